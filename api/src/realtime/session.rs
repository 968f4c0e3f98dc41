//! One authenticated socket: frames in, frames out, until one side has had enough.
//!
//! Commands are handed to the executor in the order they came and answered when they are done, so a
//! client may have many in flight and still finds its messages in the order it sent them.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use eventstore::Position;
use eventstore::envelope::Trace;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SplitSink};
use futures::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::audience::{Outbox, SocketId, UserKey};
use super::frame::{self, Incoming};
use super::socket::Closing;
use crate::app::{App, now};
use crate::auth::Identity;
use crate::commands::messages::{SendMessage, send_message};
use crate::commands::reads::{MarkRead, mark_as_read};
use crate::error::ApiError;
use crate::extract::fields;

/// Frames that may wait for a socket before it counts as too slow.
const OUTBOX: usize = 1_024;
/// Commands of one socket that may be on their way; further frames are read when one is done.
const IN_FLIGHT: usize = 128;
/// Frames written before a flush.
const COALESCED: usize = 128;
const PING_EVERY: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_secs(60);
/// How long the read model may take to say what a user is a member of.
const ATTACH_PATIENCE: Duration = Duration::from_secs(10);
/// How long commands that were accepted are waited for when the socket is closed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

type Sink<'a> = SplitSink<&'a mut WebSocket, Message>;
type Answer = BoxFuture<'static, Vec<Utf8Bytes>>;

pub(super) struct Session<'a> {
    app: Arc<App>,
    identity: Identity,
    sink: Sink<'a>,
    in_flight: FuturesUnordered<Answer>,
    heard: Instant,
}

impl<'a> Session<'a> {
    /// Serves the socket until it is to be closed, and says why.
    pub(super) async fn run(app: Arc<App>, socket: &'a mut WebSocket, identity: Identity) -> Closing {
        let key: UserKey = (identity.tenant.clone(), identity.user.clone());
        let (frames, received) = mpsc::channel(OUTBOX);
        let overflow = CancellationToken::new();
        let outbox = Outbox {
            frames,
            overflow: overflow.clone(),
        };
        let Some(registered) = app.hub.register(key.clone(), outbox).await else {
            return Closing::Stopping;
        };
        let guard = Registration {
            app: Arc::clone(&app),
            key: key.clone(),
            socket: registered.socket,
        };
        if !registered.attached {
            let attached = timeout(ATTACH_PATIENCE, attach(&app, &key, &registered.at)).await;
            if !attached.unwrap_or(false) {
                return Closing::Unavailable;
            }
        }
        let (sink, incoming) = socket.split();
        let session = Session {
            app,
            identity,
            sink,
            in_flight: FuturesUnordered::new(),
            heard: Instant::now(),
        };
        let closing = session.converse(incoming, received, overflow).await;
        drop(guard);
        closing
    }

    async fn converse(
        mut self,
        mut incoming: futures::stream::SplitStream<&'a mut WebSocket>,
        mut received: mpsc::Receiver<Utf8Bytes>,
        overflow: CancellationToken,
    ) -> Closing {
        let connected = frame::connected(&self.identity.user, now());
        let stopping = self.app.stopping.clone();
        let expiry = self.expiry();
        let conversation = async {
            if self.write(vec![connected]).await.is_err() {
                return Closing::Gone;
            }
            let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let done = tokio::select! {
                    frame = received.recv() => match frame {
                        Some(frame) => self.forward(frame, &mut received).await,
                        None => return Closing::TooSlow,
                    },
                    Some(answer) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                        self.write(answer).await
                    }
                    message = incoming.next(), if self.in_flight.len() < IN_FLIGHT => match message {
                        Some(Ok(message)) => self.hear(message).await,
                        Some(Err(_)) | None => return Closing::Gone,
                    },
                    _ = pings.tick() => {
                        if self.heard.elapsed() > SILENCE {
                            return Closing::Silent;
                        }
                        self.sink.send(Message::Ping(axum::body::Bytes::new())).await.map_err(|_| Closing::Gone)
                    }
                };
                if let Err(closing) = done {
                    return closing;
                }
            }
        };
        let closing = tokio::select! {
            closing = conversation => closing,
            () = overflow.cancelled() => return Closing::TooSlow,
            () = stopping.cancelled() => Closing::Stopping,
            () = sleep_until(expiry) => Closing::Unauthenticated,
        };
        // What was accepted is carried out in any case; who can still listen hears of it.
        let drained = async {
            while let Some(answer) = self.in_flight.next().await {
                if self.write(answer).await.is_err() {
                    return;
                }
            }
        };
        if closing != Closing::Gone {
            let _ = timeout(DRAIN_PATIENCE, drained).await;
        }
        closing
    }

    fn expiry(&self) -> Instant {
        let left = self
            .identity
            .expires_at
            .saturating_sub(jsonwebtoken::get_current_timestamp());
        // Far enough away for any socket, and near enough for any clock.
        Instant::now() + Duration::from_secs(left.min(30 * 24 * 60 * 60))
    }

    /// Writes a frame and those that wait behind it, with one flush.
    async fn forward(
        &mut self,
        first: Utf8Bytes,
        received: &mut mpsc::Receiver<Utf8Bytes>,
    ) -> Result<(), Closing> {
        let mut frames = vec![first];
        while frames.len() < COALESCED
            && let Ok(next) = received.try_recv()
        {
            frames.push(next);
        }
        self.write(frames).await
    }

    async fn write(&mut self, frames: Vec<Utf8Bytes>) -> Result<(), Closing> {
        for frame in frames {
            self.sink
                .feed(Message::Text(frame))
                .await
                .map_err(|_| Closing::Gone)?;
        }
        self.sink.flush().await.map_err(|_| Closing::Gone)
    }

    async fn hear(&mut self, message: Message) -> Result<(), Closing> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Closing::Gone),
            Message::Binary(_) => {
                let error = ApiError::bad_request("malformed_frame", "a frame is text");
                return self.write(vec![frame::message_error(&error, None)]).await;
            }
        };
        let mut answer = match frame::read(&text) {
            Ok(incoming) => carry_out(Arc::clone(&self.app), self.identity.clone(), incoming),
            Err(error) => return self.write(vec![frame::message_error(&error, None)]).await,
        };
        // Polled once right here: that hands the command over before the next frame is read.
        match futures::poll!(&mut answer) {
            std::task::Poll::Ready(frames) => self.write(frames).await,
            std::task::Poll::Pending => {
                self.in_flight.push(answer);
                Ok(())
            }
        }
    }
}

/// Tells the hub when the socket is gone, however it went.
struct Registration {
    app: Arc<App>,
    key: UserKey,
    socket: SocketId,
}

impl Drop for Registration {
    fn drop(&mut self) {
        let (hub, key, socket) = (self.app.hub.clone(), self.key.clone(), self.socket);
        tokio::spawn(async move { hub.remove(key, socket).await });
    }
}

/// Gives the hub the user's memberships, as of the moment of connecting or later.
async fn attach(app: &App, key: &UserKey, at: &[u64]) -> bool {
    loop {
        for (shard, sequence) in (0..).zip(at) {
            let position = Position {
                epoch: app.log.epoch(),
                shard,
                sequence: *sequence,
            };
            if !app.projected.reached(position, ATTACH_PATIENCE).await {
                return false;
            }
        }
        let memberships = match app.read_model.memberships(&key.0, &key.1).await {
            Ok(memberships) => memberships,
            Err(error) => {
                tracing::warn!(%error, "a socket cannot be attached");
                return false;
            }
        };
        match app.hub.attach(key.clone(), memberships).await {
            Some(Ok(())) => return true,
            Some(Err(_stale)) => {}
            None => return false,
        }
    }
}

/// Carries out what a frame asks for, and answers with the frames to write.
fn carry_out(app: Arc<App>, identity: Identity, incoming: Incoming) -> Answer {
    Box::pin(async move {
        let Incoming { event, data, id } = incoming;
        let temp_id = data.get("tempId").and_then(Value::as_str).map(str::to_owned);
        let outcome = match event.as_str() {
            "send_message" => send(&app, &identity, data).await.map(Some),
            "mark_as_read" => read(&app, &identity, data).await.map(|_| None),
            _ => Err(ApiError::bad_request("unknown_event", "there is no such event")),
        };
        let mut frames = Vec::with_capacity(2);
        match &outcome {
            Ok(Some(message)) => frames.push(frame::message_sent(message, temp_id.as_deref())),
            Ok(None) => {}
            Err(error) => frames.push(frame::message_error(error, temp_id.as_deref())),
        }
        if let Some(id) = id {
            frames.push(frame::ack(&id, outcome.as_ref().map(Option::as_ref)));
        }
        frames
    })
}

async fn send(app: &App, identity: &Identity, data: Value) -> Result<crate::wire::Message, ApiError> {
    let body: SendMessage = fields(data)?;
    Ok(send_message(app, identity, body, None, Trace::default())
        .await?
        .message)
}

async fn read(app: &App, identity: &Identity, data: Value) -> Result<Position, ApiError> {
    let body: MarkRead = fields(data)?;
    mark_as_read(app, identity, body, Trace::default()).await
}
