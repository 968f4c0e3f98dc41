//! Clients that ask over HTTP, in a process of their own, each on a connection that stays open: the next as soon as
//! the one before was answered, or when its time has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use bytes::Bytes;
use futures::future::try_join_all;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;

use crate::latencies::{Latencies, Summary};
use crate::load::to_f64;
use crate::{processes, role};

/// The first argument of the process that asks.
pub(crate) const COMMAND: &str = "ask";

/// What to ask.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Requests {
    /// Where the server listens.
    pub(crate) server: String,
    /// Who asks.
    pub(crate) token: String,
    /// What is asked for, by the clients in turns.
    pub(crate) paths: Vec<String>,
    /// How many clients there are.
    pub(crate) clients: usize,
    /// How many are due a second, of all clients together; `None` is as many as are answered.
    pub(crate) per_second: Option<f64>,
    /// Seconds before it counts.
    pub(crate) warm_up: f64,
    /// Seconds for which it counts.
    pub(crate) seconds: f64,
}

/// What was answered.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Answers {
    /// Answers a second.
    pub(crate) per_second: f64,
    /// From asked, or due, to read to the end.
    pub(crate) latencies: Summary,
    /// CPU seconds of the clients.
    pub(crate) cpu: f64,
}

impl Requests {
    /// Asks in a process of its own.
    ///
    /// # Errors
    /// When anything is answered otherwise than by 200.
    pub(crate) async fn carry_out(&self) -> anyhow::Result<Answers> {
        role::carry_out(COMMAND, self).await
    }

    /// The same, of another server.
    pub(crate) fn to(&self, server: &str) -> Self {
        Self {
            server: server.to_owned(),
            ..self.clone()
        }
    }

    /// Asks for one path, once, and gives the answer.
    ///
    /// # Errors
    /// When it is answered otherwise than by 200.
    pub(crate) async fn once(&self, path: &str) -> anyhow::Result<serde_json::Value> {
        let body = Client::connect(self).await?.ask(path).await?;
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The process of the clients.
///
/// # Errors
/// When anything was answered otherwise than by 200.
pub(crate) async fn run() -> anyhow::Result<()> {
    role::run(async |requests: Requests| {
        let requests = Arc::new(requests);
        let start = Instant::now() + Duration::from_secs_f64(requests.warm_up);
        let clients = (0..requests.clients).map(async |client| {
            let first = client * requests.paths.len() / requests.clients;
            tokio::spawn(ask(Arc::clone(&requests), (client, first), start)).await?
        });
        let mut latencies = Latencies::default();
        for of_client in try_join_all(clients).await? {
            latencies.add(&of_client);
        }
        let latencies = latencies.summary();
        Ok(Answers {
            per_second: to_f64(latencies.count) / requests.seconds,
            latencies,
            cpu: processes::cpu_seconds(std::process::id()),
        })
    })
    .await
}

/// One client: what is answered from the start on, until the time is over, counts.
async fn ask(
    requests: Arc<Requests>,
    (number, first): (usize, usize),
    start: Instant,
) -> anyhow::Result<Latencies> {
    let end = start + Duration::from_secs_f64(requests.seconds);
    let mut client = Client::connect(&requests).await?;
    let mut latencies = Latencies::default();
    let begun = Instant::now();
    for (turn, path) in requests.paths.iter().cycle().skip(first).enumerate() {
        let mut asked = Instant::now();
        if let Some(per_second) = requests.per_second {
            let due = to_f64((turn * requests.clients + number) as u64) / per_second;
            asked = begun + Duration::from_secs_f64(due);
            tokio::time::sleep_until(asked.into()).await;
        }
        client.ask(path).await?;
        let answered = Instant::now();
        if answered > end {
            break;
        }
        if answered > start {
            latencies.record(answered - asked);
        }
    }
    Ok(latencies)
}

/// A connection.
struct Client<'a> {
    requests: &'a Requests,
    sender: SendRequest<Empty<Bytes>>,
}

impl<'a> Client<'a> {
    async fn connect(requests: &'a Requests) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(&requests.server).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Self { requests, sender })
    }

    async fn ask(&mut self, path: &str) -> anyhow::Result<Bytes> {
        let request = Request::get(path)
            .header("host", &self.requests.server)
            .header("authorization", format!("Bearer {}", self.requests.token))
            .body(Empty::new())?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status();
        let body = answer.into_body().collect().await?.to_bytes();
        ensure!(
            status == 200,
            "{path} was answered by {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(body)
    }
}
