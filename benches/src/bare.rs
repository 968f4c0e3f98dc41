//! A bare server of sockets, the baseline of what goes out over them: every text that comes in is
//! acknowledged, and one shared frame goes to all.

use std::process::Stdio;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::broadcast;

pub(crate) mod reads;
pub(crate) mod search;
pub(crate) mod uploads;

/// The first argument of its process; the second says how many bytes the shared frame has.
pub(crate) const COMMAND: &str = "serve-bare";

/// Frames that may wait for a socket.
const WAITING: usize = 1_024;

/// A bare server in a process of its own. It ends with this value.
pub(crate) struct Bare {
    process: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl Bare {
    /// Starts one whose frames have so many bytes.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn start(frame_bytes: usize) -> anyhow::Result<Self> {
        Self::spawn([COMMAND, &frame_bytes.to_string()]).await
    }

    /// Starts a bare server with these arguments, which tells where it listens.
    async fn spawn<const N: usize>(arguments: [&str; N]) -> anyhow::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(arguments)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(process.stdout.take().context("a pipe")?).lines();
        let address = lines
            .next_line()
            .await?
            .context("the bare server did not start")?;
        Ok(Self { process, address })
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id().unwrap_or_default()
    }
}

struct App {
    frame: Utf8Bytes,
    everyone: broadcast::Sender<Utf8Bytes>,
}

/// The process of a bare server.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    let bytes: usize = std::env::args().nth(2).context("the bytes of a frame")?.parse()?;
    let open = r#"{"event":"new_message","data":""#;
    let app = App {
        frame: format!("{open}{}\"}}", "x".repeat(bytes.saturating_sub(open.len() + 2))).into(),
        everyone: broadcast::channel(WAITING).0,
    };
    let router = Router::new().route("/ws", any(upgrade)).with_state(Arc::new(app));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(&listener.local_addr()?.to_string());
    Ok(axum::serve(listener, router).await?)
}

async fn upgrade(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade
        .read_buffer_size(4 * 1024)
        .on_upgrade(async move |socket| serve(&app, socket).await.unwrap_or_default())
}

async fn serve(app: &App, mut socket: WebSocket) -> Option<()> {
    let mut heard = app.everyone.subscribe();
    socket
        .send(Message::Text(Utf8Bytes::from_static(r#"{"event":"connected"}"#)))
        .await
        .ok()?;
    loop {
        tokio::select! {
            frame = heard.recv() => socket.send(Message::Text(frame.ok()?)).await.ok()?,
            message = socket.recv() => {
                let Message::Text(text) = message?.ok()? else { continue };
                let id = text.as_str().split(r#""id":"#).nth(1)?.split(',').next()?;
                let ack = format!(r#"{{"event":"ack","id":{id},"data":{{"success":true}}}}"#);
                app.everyone.send(app.frame.clone()).ok()?;
                socket.send(Message::Text(ack.into())).await.ok()?;
            }
        }
    }
}
