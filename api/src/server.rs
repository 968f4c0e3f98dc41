//! Connections: accepting them, and none of them for ever.
//!
//! HTTP/1.1 with upgrades. A connection is closed when its next request does not come in time, and when
//! the node stops: at once if no request of it is being answered, else behind the answer.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::limits::Peer;

/// How long nothing is accepted after the operating system refused to, for want of descriptors perhaps.
const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

/// How long connections are waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until the header of the next request is there, from the end of the one before.
    pub header: Duration,
    /// Until the requests in flight are answered, after the server was told to stop.
    pub drain: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(30),
            drain: Duration::from_secs(20),
        }
    }
}

/// Among the extensions of a request: is cancelled when the server is to stop.
#[derive(Clone, Debug, Default)]
pub struct Stopping(pub CancellationToken);

/// Serves until it is told to stop, and then until everything in flight is answered or the time to drain
/// is over. What was upgraded is no request any more, and ends by itself.
pub async fn serve(listener: TcpListener, router: Router, stopping: CancellationToken, patience: Patience) {
    let connections = TaskTracker::new();
    let overdue = CancellationToken::new();
    while let Some((stream, peer)) = accept(&listener, &stopping).await {
        let stopping = Stopping(stopping.clone());
        let connection = answer((stream, peer), router.clone(), stopping, patience.header);
        let overdue = overdue.clone();
        connections.spawn(async move { overdue.run_until_cancelled(connection).await });
    }
    drop(listener);
    connections.close();
    if timeout(patience.drain, connections.wait()).await.is_err() {
        tracing::warn!("requests were still open when the time to drain was over");
        overdue.cancel();
        connections.wait().await;
    }
}

/// The next connection; `None` when the server is to stop.
async fn accept(listener: &TcpListener, stopping: &CancellationToken) -> Option<(TcpStream, Peer)> {
    loop {
        match stopping.run_until_cancelled(listener.accept()).await? {
            Ok((stream, address)) => return Some((stream, Peer(address))),
            Err(error) if of_the_client(error.kind()) => {}
            Err(error) => {
                // It stays so until something is closed: asking again at once would only burn time.
                tracing::warn!(%error, "no connection can be accepted");
                stopping.run_until_cancelled(sleep(ACCEPT_PAUSE)).await?;
            }
        }
    }
}

/// Whether accepting failed because the client had gone again.
const fn of_the_client(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset
    )
}

/// Answers the requests of a connection.
async fn answer((stream, peer): (TcpStream, Peer), router: Router, stopping: Stopping, patience: Duration) {
    // Frames and answers are small and written whole: waiting for more to send would only delay them.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection goes without TCP_NODELAY");
    }
    let asked = Arc::new(AtomicBool::new(false));
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        asked.store(true, Ordering::Relaxed);
        request.extensions_mut().insert(stopping.clone());
        request.extensions_mut().insert(peer);
        let answer = router.clone().oneshot(request);
        async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.0.cancelled() => {
            // Closes what waits for a second request. What waits for the rest of the first one, it would
            // wait for.
            connection.as_mut().graceful_shutdown();
            if !asked.load(Ordering::Relaxed) {
                return;
            }
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Instant;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::Notify;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::extract::Json;

    /// Longer than anything here takes; a test that passes never waits for it.
    const LONG: Duration = Duration::from_secs(60);
    const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

    struct Running {
        address: SocketAddr,
        stopping: CancellationToken,
        served: JoinHandle<()>,
        /// `/slow` is asked, and is let go.
        asked: Arc<Notify>,
        free: Arc<Notify>,
    }

    impl Running {
        async fn start(patience: Patience) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let stopping = CancellationToken::new();
            let (asked, free) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (tell, wait) = (asked.clone(), free.clone());
            let slow = move || async move {
                tell.notify_one();
                wait.notified().await;
                "done"
            };
            let router = Router::new()
                .route("/", get(|| async { "hello" }))
                .route("/slow", get(slow))
                .route("/json", post(|_: Json<serde_json::Value>| async { "read" }));
            let served = tokio::spawn(serve(listener, router, stopping.clone(), patience));
            Self {
                address,
                stopping,
                served,
                asked,
                free,
            }
        }

        async fn connect(&self, bytes: &[u8]) -> TcpStream {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(bytes).await.unwrap();
            stream
        }

        async fn stopped(self) {
            self.stopping.cancel();
            timeout(LONG / 2, self.served).await.unwrap().unwrap();
        }
    }

    const fn patience(header: Duration) -> Patience {
        Patience { header, drain: LONG }
    }

    async fn rest(stream: &mut TcpStream) -> String {
        let mut text = Vec::new();
        let _ = timeout(LONG / 2, stream.read_to_end(&mut text)).await.unwrap();
        String::from_utf8(text).unwrap()
    }

    /// Reads until this comes.
    async fn until(stream: &mut TcpStream, end: &str) {
        let mut text = String::new();
        while !text.ends_with(end) {
            text.push(char::from(
                timeout(LONG, stream.read_u8()).await.unwrap().unwrap(),
            ));
        }
    }

    #[tokio::test]
    async fn who_sends_no_whole_header_is_not_waited_for() {
        let server = Running::start(patience(Duration::from_millis(100))).await;
        for begun in [&b""[..], b"GET / HTT", b"GET / HTTP/1.1\r\nHost: x\r\n"] {
            let mut stream = server.connect(begun).await;
            rest(&mut stream).await;
        }
        // Neither after a request that was answered.
        for begun in [&b""[..], b"GET / HTT"] {
            let mut stream = server.connect(&[ASK, begun].concat()).await;
            assert!(rest(&mut stream).await.contains("hello"));
        }
        server.stopped().await;
    }

    #[tokio::test]
    async fn a_stop_waits_for_no_request_that_is_not_there() {
        let server = Running::start(patience(LONG)).await;
        let began = Instant::now();
        let mut open = Vec::new();
        for begun in [&b""[..], b"GET / HTT"] {
            open.push(server.connect(begun).await);
            let mut used = server.connect(ASK).await;
            until(&mut used, "hello").await;
            used.write_all(begun).await.unwrap();
            open.push(used);
        }
        server.stopped().await;
        assert!(began.elapsed() < LONG / 2);
        for stream in &mut open {
            assert_eq!(rest(stream).await, "");
        }
    }

    #[tokio::test]
    async fn a_stop_waits_for_answers_and_no_longer_than_the_drain() {
        let server = Running::start(patience(LONG)).await;
        let ask = b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n";
        let mut stream = server.connect(ask).await;
        server.asked.notified().await;
        server.stopping.cancel();
        let free = server.free.clone();
        let stopped = tokio::spawn(server.stopped());
        tokio::task::yield_now().await;
        assert!(!stopped.is_finished());
        free.notify_one();
        assert!(rest(&mut stream).await.contains("done"));
        stopped.await.unwrap();

        let drain = Duration::from_millis(50);
        let server = Running::start(Patience { header: LONG, drain }).await;
        let mut stream = server.connect(ask).await;
        server.asked.notified().await;
        server.stopped().await;
        assert_eq!(rest(&mut stream).await, "");
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_long_for_the_rest_of_a_body() {
        let server = Running::start(patience(LONG)).await;
        let half = b"POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                     Content-Length: 9\r\nExpect: 100-continue\r\n\r\n";
        let mut stream = server.connect(half).await;
        until(&mut stream, "100 Continue\r\n\r\n").await;
        server.stopped().await;
        assert!(rest(&mut stream).await.contains("request_timeout"));
    }

    #[tokio::test]
    async fn a_body_that_announces_too_much_is_refused_before_it_comes() {
        let server = Running::start(patience(LONG)).await;
        for length in ["9999999", "99999999999"] {
            let head = format!(
                "POST /json HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
                 Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n"
            );
            let mut stream = server.connect(head.as_bytes()).await;
            let answer = rest(&mut stream).await;
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
            assert!(answer.contains("body_too_large"), "{answer}");
        }
        server.stopped().await;
    }
}
