//! A client's socket, as bare as it can be: the load should cost little beside what it loads.

use std::time::Duration;

use anyhow::{Context, bail};
use futures::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

const PATIENCE: Duration = Duration::from_secs(30);

/// An open socket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `ws://{address}{path}`, with this token if there is one.
    ///
    /// # Errors
    /// When it is refused, or takes too long.
    pub(crate) async fn open(address: &str, path: &str, token: Option<&str>) -> anyhow::Result<Self> {
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        if let Some(token) = token {
            request
                .headers_mut()
                .insert("authorization", format!("Bearer {token}").parse()?);
        }
        let opening = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let config = WebSocketConfig::default().read_buffer_size(4 * 1024);
            let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
            Ok(Self(socket))
        };
        tokio::time::timeout(PATIENCE, opening)
            .await
            .context("a socket was not opened in time")?
    }

    /// The next text.
    ///
    /// # Errors
    /// When the server closes the socket.
    pub(crate) async fn next(&mut self) -> anyhow::Result<String> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text.as_str().to_owned()),
                Some(Ok(Message::Close(frame))) => bail!("the server closed a socket: {frame:?}"),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => bail!("a socket has ended"),
            }
        }
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the socket is gone.
    pub(crate) async fn send(&mut self, text: String) -> anyhow::Result<()> {
        Ok(self.0.send(Message::Text(text.into())).await?)
    }
}
