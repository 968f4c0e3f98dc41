//! `verbatim health`: whether the node on this machine is ready, for images that hold nothing else to ask.

use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::say;
use crate::config::Health;

const PATIENCE: Duration = Duration::from_secs(2);
/// More than `/ready` ever says.
const MOST_BYTES: u64 = 64 * 1024;

pub(super) async fn run(options: Health) -> anyhow::Result<()> {
    // What is listened on everywhere is asked here.
    let address = options
        .listen
        .replace("0.0.0.0", "127.0.0.1")
        .replace("[::]", "[::1]");
    let answer = timeout(PATIENCE, ask(&address))
        .await
        .context("the node does not answer in time")?
        .with_context(|| format!("the node at {address} cannot be asked"))?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .context("the node does not speak HTTP")?;
    say(body.trim());
    anyhow::ensure!(head.split(' ').nth(1) == Some("200"), "the node is not ready");
    Ok(())
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}
