//! A client of the WebSocket.

use std::collections::VecDeque;

use futures::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::Message as Wire;
use tokio_tungstenite::tungstenite::{Error, http};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::PATIENCE;
use crate::shapes::Message;

/// A frame of the server.
#[derive(Clone, Debug, Deserialize)]
pub struct Frame {
    /// What it tells.
    pub event: String,
    /// Which frame of ours it answers.
    pub id: Option<Value>,
    /// What it tells about it.
    #[serde(default)]
    pub data: Value,
    /// What a later connection goes on with, when the frame is of the log.
    pub cursor: Option<String>,
}

/// The server closed the connection, with this code if it gave one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed(pub Option<u16>);

/// A connection. A task reads it at all times, so that it is never slow.
pub struct Socket {
    outgoing: futures::stream::SplitSink<WebSocketStream<TcpStream>, Wire>,
    incoming: UnboundedReceiver<Result<Frame, Closed>>,
    /// Frames that came while another was waited for.
    passed_over: VecDeque<Frame>,
    calls: u64,
}

/// Opens a connection, with the token in `Authorization` if there is one. Nobody reads it yet.
///
/// # Errors
/// When there is no server or it refuses.
///
/// # Panics
/// If the operating system refuses.
pub async fn open(
    address: &str,
    path: &str,
    token: Option<&str>,
    receive_buffer: Option<u32>,
) -> Result<WebSocketStream<TcpStream>, Error> {
    let mut request = format!("ws://{address}{path}").into_client_request()?;
    if let Some(token) = token {
        request
            .headers_mut()
            .insert("authorization", format!("Bearer {token}").parse()?);
    }
    let tcp = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        tcp.set_recv_buffer_size(bytes)?;
    }
    let tcp = tcp.connect(address.parse().unwrap()).await?;
    tcp.set_nodelay(true)?;
    Ok(client_async(request, tcp).await?.0)
}

/// The status with which the server refuses to open a connection with this token.
///
/// # Panics
/// If it opens one.
pub async fn refusal(address: &str, token: &str) -> http::StatusCode {
    match open(address, "/ws", Some(token), None).await {
        Err(Error::Http(answer)) => answer.status(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("the connection was accepted"),
    }
}

impl Socket {
    /// A connection of the token's user, once the server has said that it stands.
    ///
    /// # Panics
    /// If it does not come about.
    pub async fn connect(address: &str, token: &str) -> Self {
        let mut socket = Self::try_connect(address, token).await.unwrap();
        socket.wait("connected").await;
        socket
    }

    /// The same with a server that may be ending, and without waiting for its word.
    ///
    /// # Errors
    /// When there is no server or it refuses.
    pub async fn try_connect(address: &str, token: &str) -> Result<Self, Error> {
        Ok(Self::over(open(address, "/ws", Some(token), None).await?))
    }

    /// A connection of a client that comes back with the cursor of the last frame it was given.
    ///
    /// # Errors
    /// When there is no server or it refuses.
    pub async fn try_resume(address: &str, token: &str, cursor: &str) -> Result<Self, Error> {
        let path = format!("/ws?cursor={}", crate::client::encode(cursor));
        Ok(Self::over(open(address, &path, Some(token), None).await?))
    }

    /// A connection that did not say who it is yet.
    ///
    /// # Panics
    /// If it does not come about.
    pub async fn anonymous(address: &str, path: &str) -> Self {
        Self::over(open(address, path, None, None).await.unwrap())
    }

    /// Takes over an open connection and reads it from now on.
    #[must_use]
    pub fn over(stream: WebSocketStream<TcpStream>) -> Self {
        let (outgoing, mut reading) = stream.split();
        let (arrived, incoming) = unbounded_channel();
        tokio::spawn(async move {
            loop {
                let item = match reading.next().await {
                    Some(Ok(Wire::Text(text))) => Ok(serde_json::from_str(&text).unwrap()),
                    Some(Ok(Wire::Close(frame))) => Err(Closed(frame.map(|f| f.code.into()))),
                    Some(Ok(_)) => continue,
                    Some(Err(_)) | None => Err(Closed(None)),
                };
                let ends = item.is_err();
                if arrived.send(item).is_err() || ends {
                    // Reading on to the end completes the closing handshake.
                    while let Some(Ok(_)) = reading.next().await {}
                    break;
                }
            }
        });
        Self {
            outgoing,
            incoming,
            passed_over: VecDeque::new(),
            calls: 0,
        }
    }

    /// Sends a text frame as it stands. What the server made of it, its frames tell.
    pub async fn send_raw(&mut self, text: &str) {
        let _ = self.outgoing.send(Wire::text(text)).await;
    }

    /// Sends a binary frame.
    pub async fn send_binary(&mut self, bytes: Vec<u8>) {
        let _ = self.outgoing.send(Wire::binary(bytes)).await;
    }

    /// Sends an event.
    pub async fn emit(&mut self, event: &str, data: &Value) {
        self.send_raw(&json!({"event": event, "data": data}).to_string())
            .await;
    }

    /// Sends an event that the server is to acknowledge, and gives its id.
    pub async fn emit_with_id(&mut self, event: &str, data: &Value) -> u64 {
        self.calls += 1;
        self.send_raw(&json!({"event": event, "id": self.calls, "data": data}).to_string())
            .await;
        self.calls
    }

    /// Sends an event and waits for its acknowledgement's data. Other frames are kept for later.
    pub async fn call(&mut self, event: &str, data: &Value) -> Value {
        let id = self.emit_with_id(event, data).await;
        self.wait_where("ack", |frame| frame.event == "ack" && frame.id == Some(json!(id)))
            .await
    }

    /// Sends a text and waits until it is acknowledged.
    ///
    /// # Panics
    /// If it is refused.
    pub async fn say(&mut self, conversation: &str, content: &str) -> Value {
        let ack = self
            .call("send_message", &crate::client::text(conversation, content))
            .await;
        assert_eq!(ack["success"], true, "{ack}");
        ack
    }

    /// The next frame, or the end.
    ///
    /// # Errors
    /// [`Closed`] when the server closed the connection.
    ///
    /// # Panics
    /// If nothing comes in time.
    pub async fn next(&mut self) -> Result<Frame, Closed> {
        if let Some(frame) = self.passed_over.pop_front() {
            return Ok(frame);
        }
        self.arrival("a frame").await
    }

    /// The next frame, or the end, however long it takes. Dropped before it is done, it has taken nothing.
    ///
    /// # Errors
    /// [`Closed`] when the server closed the connection.
    pub async fn next_ever(&mut self) -> Result<Frame, Closed> {
        match self.passed_over.pop_front() {
            Some(frame) => Ok(frame),
            None => self.incoming.recv().await.unwrap_or(Err(Closed(None))),
        }
    }

    /// Closes the connection, and waits until the server has too.
    pub async fn close(mut self) {
        let _ = self.outgoing.send(Wire::Close(None)).await;
        self.closed().await;
    }

    /// Waits for an event and gives its data. Other frames are kept for later.
    pub async fn wait(&mut self, event: &str) -> Value {
        self.wait_where(event, |frame| frame.event == event).await
    }

    /// Waits for the next `new_message` and gives the message.
    ///
    /// # Panics
    /// If it has another shape.
    pub async fn new_message(&mut self) -> Message {
        serde_json::from_value(self.wait("new_message").await["message"].take()).unwrap()
    }

    /// Waits until the server closes the connection; frames before that are dropped.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }

    /// Whether a frame of this event has come already and was not taken. Frames that are still on their
    /// way do not count, so ask after something that comes behind them.
    pub fn has(&mut self, event: &str) -> bool {
        while let Ok(Ok(frame)) = self.incoming.try_recv() {
            self.passed_over.push_back(frame);
        }
        self.passed_over.iter().any(|frame| frame.event == event)
    }

    async fn wait_where(&mut self, what: &str, wanted: impl Fn(&Frame) -> bool) -> Value {
        if let Some(index) = self.passed_over.iter().position(&wanted) {
            return self.passed_over.remove(index).unwrap().data;
        }
        loop {
            match self.arrival(what).await {
                Ok(frame) if wanted(&frame) => return frame.data,
                Ok(frame) => self.passed_over.push_back(frame),
                Err(closed) => panic!("{closed:?} instead of {what}; before it {:?}", self.passed_over),
            }
        }
    }

    async fn arrival(&mut self, what: &str) -> Result<Frame, Closed> {
        match timeout(PATIENCE, self.incoming.recv()).await {
            Ok(item) => item.unwrap_or(Err(Closed(None))),
            Err(_) => panic!("no {what} in time; before it {:?}", self.passed_over),
        }
    }
}
