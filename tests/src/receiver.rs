//! Somebody who is called over HTTP: a webhook, or a push service.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

use crate::eventually;

/// A call that came.
#[derive(Clone, Debug)]
pub struct Call {
    /// The path it was for.
    pub path: String,
    /// Its headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Vec<u8>,
    /// The status that it was answered with.
    pub answered: u16,
}

/// A server that notes every call and answers as it was told to.
pub struct Receiver {
    address: String,
    calls: Arc<Mutex<Vec<Call>>>,
    answers: Arc<Mutex<VecDeque<String>>>,
    task: AbortHandle,
}

impl Call {
    /// The body as JSON.
    ///
    /// # Panics
    /// If it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// A header, empty when it is not there.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
}

impl Receiver {
    /// A receiver on a free port of this machine, which takes everything.
    ///
    /// # Panics
    /// If the operating system refuses.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (calls, answers) = (Arc::default(), Arc::default());
        let (noted, told) = (Arc::clone(&calls), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&noted), Arc::clone(&told)));
            }
        });
        Self {
            address,
            calls,
            answers,
            task: task.abort_handle(),
        }
    }

    /// Where it is called at this path.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next calls are answered with these: a status, and headers in further lines. After them comes 200.
    ///
    /// # Panics
    /// Never in practice.
    pub fn answer(&self, answers: impl IntoIterator<Item = impl Into<String>>) {
        self.answers
            .lock()
            .unwrap()
            .extend(answers.into_iter().map(Into::into));
    }

    /// The calls that came so far.
    ///
    /// # Panics
    /// Never in practice.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// All calls, once there are at least so many.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn wait(&self, count: usize) -> Vec<Call> {
        eventually("the calls come", || {
            let calls = self.calls();
            let enough = calls.len() >= count;
            std::future::ready(if enough {
                Ok(calls)
            } else {
                Err(format!("{} of {count}", calls.len()))
            })
        })
        .await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers the calls of a connection until it is closed.
async fn serve(stream: TcpStream, calls: Arc<Mutex<Vec<Call>>>, answers: Arc<Mutex<VecDeque<String>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(mut call) = read(&mut stream).await {
        let answer = answers.lock().unwrap().pop_front();
        let answer = answer.unwrap_or_else(|| "200".to_owned());
        let (status, headers) = answer.split_once('\n').unwrap_or((&answer, ""));
        call.answered = status.parse().unwrap();
        calls.lock().unwrap().push(call);
        let headers: String = headers.lines().map(|line| format!("{line}\r\n")).collect();
        let answer = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next call of a connection; `None` when it was closed, or is broken.
async fn read(stream: &mut BufReader<TcpStream>) -> Option<Call> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Call {
        path,
        headers,
        body,
        answered: 0,
    })
}
