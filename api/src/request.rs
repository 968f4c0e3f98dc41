//! What every request has: an id, in its answer and in what is logged about it, and a place to note where
//! its user stands.

use std::cell::Cell;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument;
use ulid::Ulid;

use crate::limits::Standing;

/// The id of a request.
pub const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken over from a client.
const MAX_ID_BYTES: usize = 128;

struct Context {
    id: HeaderValue,
    standing: Cell<Option<Standing>>,
}

tokio::task_local! {
    /// The request that is being answered.
    static CURRENT: Context;
}

/// The id of the request that is being answered; none on a socket.
#[must_use]
pub fn current_id() -> Option<String> {
    let id = CURRENT.try_with(|current| current.id.to_str().map(str::to_owned).ok());
    id.ok().flatten()
}

/// Notes where the user stands, for the headers of the answer.
pub fn note(standing: Standing) {
    // What is not asked over HTTP has no headers.
    let _ = CURRENT.try_with(|current| current.standing.set(Some(standing)));
}

/// Gives a request its id: the client's, if it is sane, or a new one.
pub async fn identify(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let id = match sane_id(headers) {
        Some(id) => id,
        None => {
            // What is not taken over is not recorded either.
            headers.remove(X_REQUEST_ID);
            let id = Ulid::generate().to_string();
            HeaderValue::try_from(id).unwrap_or_else(|_| HeaderValue::from_static("-"))
        }
    };
    let span = tracing::info_span!("request", request.id = id.to_str().unwrap_or_default());
    let current = Context {
        id: id.clone(),
        standing: Cell::default(),
    };
    let answered = async move {
        let mut response = next.run(request).await;
        let standing = CURRENT.with(|current| current.standing.get());
        if let Some(standing) = standing {
            standing.write_to(response.headers_mut());
        }
        response.headers_mut().insert(X_REQUEST_ID, id);
        response
    };
    CURRENT.scope(current, answered.instrument(span)).await
}

/// The one id of the client that can stand in a log line as it is.
fn sane_id(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut ids = headers.get_all(X_REQUEST_ID).iter();
    let id = ids.next().filter(|_| ids.next().is_none())?;
    let is_sane = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@#".contains(byte);
    let bytes = id.as_bytes();
    let fits = (1..=MAX_ID_BYTES).contains(&bytes.len());
    (fits && bytes.iter().all(is_sane)).then(|| id.clone())
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use tower::ServiceExt;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn what_is_logged_names_the_request() {
        let lines = Lines::default();
        let writer = lines.clone();
        let logging = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let logging = tracing::subscriber::set_default(logging.finish());
        let handler = || async {
            tokio::task::yield_now().await;
            tracing::info!("something happened");
        };
        let router = Router::new().route("/", get(handler));
        let router = router.layer(axum::middleware::from_fn(identify));
        let request = Request::builder().uri("/").header(X_REQUEST_ID, "trace-1");
        let answer = router
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        drop(logging);
        assert_eq!(answer.headers()[X_REQUEST_ID], "trace-1");
        let logged = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(
            logged.contains("something happened") && logged.contains("request.id=\"trace-1\""),
            "{logged}"
        );
    }

    #[test]
    fn an_id_is_short_and_plain_and_the_only_one() {
        let sane = |ids: &[&str]| {
            let pairs = ids
                .iter()
                .map(|id| (X_REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).unwrap()));
            sane_id(&HeaderMap::from_iter(pairs)).is_some()
        };
        assert!(sane(&["0af7651916cd43dd8448eb211c80319c"]) && sane(&["a/b:c.d-e_f+g=@#"]));
        assert!(sane(&[&"x".repeat(128)]));
        for bad in [&[][..], &[""], &["a b"], &["a\"b"], &["é"], &[&"x".repeat(129)]] {
            assert!(!sane(bad), "{bad:?}");
        }
        let mut two = HeaderMap::new();
        two.append(X_REQUEST_ID, HeaderValue::from_static("a"));
        two.append(X_REQUEST_ID, HeaderValue::from_static("b"));
        assert_eq!(sane_id(&two), None);
    }
}
