//! One authenticated socket: frames in, frames out, until one side has had enough.
//!
//! Commands are handed to the executor in the order they came and answered when they are done, so a
//! client may have many in flight and still finds its messages in the order it sent them.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{Message, Utf8Bytes, WebSocket};
use eventstore::Position;
use eventstore::envelope::Trace;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, SplitSink};
use futures::{SinkExt, StreamExt};
use projections::view::Memberships;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::audience::{Item, Outbox, SocketId, UserKey};
use super::cursor::{Cursor, Sealer, as_of};
use super::frame::{self, Incoming};
use super::hub::{Ask, Registered};
use super::resume::{self, Missed};
use super::socket::{self, AUTHENTICATE, Closing};
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
/// Frames after which a flush does not wait any more.
const COALESCED: usize = 128;
const PING_EVERY: Duration = Duration::from_secs(25);
const SILENCE: Duration = Duration::from_secs(60);
/// How long the read model may take to say what a user is a member of.
const ATTACH_PATIENCE: Duration = Duration::from_secs(10);
/// How long memberships that were too old are not read again.
const STALE_PAUSE: Duration = Duration::from_millis(10);
/// How long commands that were accepted are waited for when the socket is closed.
const DRAIN_PATIENCE: Duration = Duration::from_secs(5);

type Sink<'a> = SplitSink<&'a mut WebSocket, Message>;
type Answer = BoxFuture<'static, Vec<Utf8Bytes>>;

pub(super) struct Session<'a> {
    app: Arc<App>,
    key: UserKey,
    identity: Identity,
    sink: Sink<'a>,
    /// What the client was given, on this socket or before.
    cursor: Cursor,
    sealer: Sealer,
    /// Frames that were written and may still be on their way out of here.
    unflushed: usize,
    in_flight: FuturesUnordered<Answer>,
    heard: Instant,
}

/// Where a socket begins.
struct Beginning {
    /// What the client has when it is greeted.
    cursor: Cursor,
    /// What it is to be given before anything new.
    missed: Missed,
    /// What it has then.
    given: Cursor,
}

impl<'a> Session<'a> {
    /// Serves the socket until it is to be closed, and says why. `cursor` is what the client says that it
    /// was given before.
    pub(super) async fn run(
        app: Arc<App>,
        socket: &'a mut WebSocket,
        identity: Identity,
        cursor: Option<&str>,
    ) -> Closing {
        let key: UserKey = (identity.tenant.clone(), identity.user.clone());
        let (items, received) = mpsc::channel(OUTBOX);
        let overflow = CancellationToken::new();
        let outbox = Outbox {
            items,
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
        // From here on whoever is not let in any more is closed; before, nobody could.
        if app.standing.is_barred(&key) {
            return Closing::Unauthenticated;
        }
        // In a box of its own, which is gone when the socket idles.
        let beginning = Box::pin(begin(&app, &key, registered, cursor));
        let beginning = timeout(ATTACH_PATIENCE, beginning).await;
        let beginning = match beginning {
            Ok(Some(beginning)) => beginning,
            Ok(None) | Err(_) => return Closing::Unavailable,
        };
        let (sink, incoming) = socket.split();
        let sealer = app.cursors.sealer(&key);
        let session = Session {
            app,
            key,
            identity,
            sink,
            cursor: beginning.cursor.clone(),
            sealer,
            unflushed: 0,
            in_flight: FuturesUnordered::new(),
            heard: Instant::now(),
        };
        let closing = session.converse(beginning, incoming, received, overflow).await;
        drop(guard);
        closing
    }

    async fn converse(
        mut self,
        beginning: Beginning,
        mut incoming: futures::stream::SplitStream<&'a mut WebSocket>,
        mut received: mpsc::Receiver<Item>,
        overflow: CancellationToken,
    ) -> Closing {
        let stopping = self.app.stopping.clone();
        let conversation = async {
            if Box::pin(self.greet(beginning)).await.is_err() {
                return Closing::Gone;
            }
            let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
            pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut expiry = pin!(sleep_until(self.expiry()));
            loop {
                // What is there already goes out together: the flush comes when nothing else is. The client is
                // heard first, lest one that is sent much seems silent; it cannot keep the rest waiting, for
                // only so much may be under way.
                let done = tokio::select! {
                    biased;
                    () = &mut expiry => return Closing::Unauthenticated,
                    _ = pings.tick() => {
                        if self.heard.elapsed() > SILENCE {
                            return Closing::Silent;
                        }
                        self.sink.send(Message::Ping(axum::body::Bytes::new())).await.map_err(|_| Closing::Gone)
                    }
                    message = incoming.next(), if self.has_room() => match message {
                        Some(Ok(message)) => match self.hear(message).await {
                            Ok(Heard::Renewed) => {
                                expiry.as_mut().reset(self.expiry());
                                Ok(())
                            }
                            Ok(Heard::Other) => Ok(()),
                            Err(closing) => Err(closing),
                        },
                        Some(Err(error)) => return Closing::of(error),
                        None => return Closing::Gone,
                    },
                    item = received.recv(), if self.unflushed < COALESCED => match item {
                        Some(item) => self.forward(item, &mut received).await,
                        None => return Closing::TooSlow,
                    },
                    Some(answer) = self.in_flight.next(), if !self.in_flight.is_empty() => {
                        self.feed(answer).await
                    }
                    () = std::future::ready(()), if self.unflushed > 0 => self.flush().await,
                };
                if let Err(closing) = done {
                    return closing;
                }
            }
        };
        let closing = tokio::select! {
            closing = conversation => closing,
            () = overflow.cancelled() => {
                return if self.app.standing.is_barred(&self.key) {
                    Closing::Unauthenticated
                } else {
                    Closing::TooSlow
                };
            }
            () = stopping.cancelled() => Closing::Stopping,
        };
        // What was accepted is carried out in any case; who can still listen hears of it.
        let drained = async {
            while let Some(answer) = self.in_flight.next().await {
                if self.feed(answer).await.is_err() || self.flush().await.is_err() {
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

    /// Says hello, and what the client missed.
    async fn greet(&mut self, beginning: Beginning) -> Result<(), Closing> {
        let connected = frame::connected(&self.identity.user, now());
        let connected = self.with_cursor(&connected);
        self.feed([connected]).await?;
        match beginning.missed {
            Missed::All(items) => {
                for item in items {
                    self.give(&item).await?;
                    if self.unflushed >= COALESCED {
                        self.flush().await?;
                    }
                }
                self.cursor.join(&beginning.given);
            }
            Missed::Reset(reason) => {
                self.cursor = beginning.given;
                let reset = self.with_cursor(&frame::reset(reason));
                self.feed([reset]).await?;
            }
        }
        self.flush().await
    }

    /// Whether more of the client is to be heard now.
    fn has_room(&self) -> bool {
        self.in_flight.len() < IN_FLIGHT && self.unflushed < COALESCED
    }

    /// Gives the client an item and those that wait behind it.
    async fn forward(&mut self, first: Item, received: &mut mpsc::Receiver<Item>) -> Result<(), Closing> {
        let mut next = Some(first);
        while let Some(item) = next {
            self.give(&item).await?;
            next = if self.unflushed < COALESCED {
                received.try_recv().ok()
            } else {
                None
            };
        }
        Ok(())
    }

    /// Gives the client a frame that it was not given before.
    async fn give(&mut self, item: &Item) -> Result<(), Closing> {
        let said = &item.said;
        if said.is_aside {
            let frame = self.with_cursor(&said.frame);
            return self.feed([frame]).await;
        }
        let is_new = !self.cursor.has(said.shard, said.stream, said.spot);
        for (shard, safe) in (0..).zip(item.safe.iter().flat_map(|safe| safe.iter())) {
            self.cursor.advance(shard, *safe);
        }
        if is_new {
            self.cursor.note(said.shard, said.stream, said.spot);
            let frame = self.with_cursor(&said.frame);
            self.feed([frame]).await?;
        }
        Ok(())
    }

    fn with_cursor(&mut self, frame: &Utf8Bytes) -> Utf8Bytes {
        frame::with_cursor(frame, |text| self.sealer.seal_into(&self.cursor, text))
    }

    /// Writes frames, to go out with the next flush.
    async fn feed(&mut self, frames: impl IntoIterator<Item = Utf8Bytes>) -> Result<(), Closing> {
        for frame in frames {
            self.unflushed += 1;
            let fed = self.sink.feed(Message::Text(frame)).await;
            fed.map_err(|_| Closing::Gone)?;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Closing> {
        self.unflushed = 0;
        self.sink.flush().await.map_err(|_| Closing::Gone)
    }

    async fn hear(&mut self, message: Message) -> Result<Heard, Closing> {
        self.heard = Instant::now();
        let text = match message {
            Message::Text(text) => text,
            Message::Ping(_) | Message::Pong(_) => return Ok(Heard::Other),
            Message::Close(_) => return Err(Closing::Gone),
            Message::Binary(_) => {
                let error = ApiError::bad_request("malformed_frame", "a frame is text");
                self.feed([frame::message_error(&error, None)]).await?;
                return Ok(Heard::Other);
            }
        };
        let mut answer = match frame::read(&text) {
            Ok(incoming) if incoming.event == AUTHENTICATE => {
                // Boxed, because it is rare: every socket would have room for it.
                Box::pin(self.renew(incoming)).await?;
                return Ok(Heard::Renewed);
            }
            Ok(incoming) => carry_out(Arc::clone(&self.app), self.identity.clone(), incoming),
            Err(frame::Malformed { id, error }) => {
                self.refuse(id, &error).await?;
                return Ok(Heard::Other);
            }
        };
        // Polled once right here: that hands the command over before the next frame is read.
        match futures::poll!(&mut answer) {
            std::task::Poll::Ready(frames) => self.feed(frames).await?,
            std::task::Poll::Pending => self.in_flight.push(answer),
        }
        Ok(Heard::Other)
    }

    /// Takes a new token of the same user, whose time counts from now on.
    async fn renew(&mut self, incoming: Incoming) -> Result<(), Closing> {
        let id = incoming.id.clone();
        let checked = match self.app.limits.command(&self.identity) {
            Ok(()) => socket::check(&self.app, incoming).await,
            Err(error) => Err(error),
        };
        let renewed = checked.and_then(|identity| {
            let is_same = (&identity.tenant, &identity.user) == (&self.key.0, &self.key.1);
            let other = || ApiError::unauthenticated("another_user", "the token is of another user");
            is_same.then_some(identity).ok_or_else(other)
        });
        match renewed {
            Ok(identity) => {
                self.app.meet(&identity);
                self.identity = identity;
                self.feed(id.map(|id| frame::ack(&id, Ok(None)))).await
            }
            Err(error) => self.refuse(id, &error).await,
        }
    }

    async fn refuse(&mut self, id: Option<Value>, error: &ApiError) -> Result<(), Closing> {
        let ack = id.map(|id| frame::ack(&id, Err(error)));
        self.feed([frame::message_error(error, None)].into_iter().chain(ack))
            .await
    }
}

/// What a frame of the client did to the socket itself.
enum Heard {
    /// There may be a new token, with another expiry.
    Renewed,
    /// Nothing.
    Other,
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
        // A hub that has ended has no sockets to forget.
        tokio::spawn(async move { hub.ask(Ask::Remove { key, socket }).await });
    }
}

/// Makes sure that the socket hears everything from a moment on, and finds what the client missed before
/// it; `None` when something is away.
async fn begin(app: &App, key: &UserKey, registered: Registered, cursor: Option<&str>) -> Option<Beginning> {
    let mut at = registered.at;
    if cursor.is_some() {
        // Whatever the hub has heard: all that is there now comes before anything new.
        for (shard, at) in (0..).zip(&mut at) {
            match app.log.end(shard).await {
                Ok(end) => *at = end.max(*at),
                Err(error) => return away(&error),
            }
        }
    }
    let (mut given, mut memberships) = match registered.given {
        Some(given) => {
            app.hub.attach(key.clone(), None).await?.ok()?;
            (given, None)
        }
        None => {
            let (given, memberships) = attach(app, key, &at).await?;
            (given, Some(memberships))
        }
    };
    if memberships.is_none() && cursor.is_some() {
        for (shard, at) in (0..).zip(&mut at) {
            *at = given.newest(shard).max(*at);
        }
        let found = memberships_since(app, key, &at).await?;
        given.join(&Cursor::new(&as_of(&found.checkpoints, at.len())));
        memberships = Some(found);
    }
    let fresh = |missed| Beginning {
        cursor: given.clone(),
        missed,
        given: given.clone(),
    };
    let (Some(text), Some(memberships)) = (cursor, memberships) else {
        return Some(fresh(Missed::All(Vec::new())));
    };
    let cursor = match resume::check(app, key, text).await {
        Ok(Ok(cursor)) => cursor,
        Ok(Err(reason)) => return Some(fresh(Missed::Reset(reason))),
        Err(error) => return away(&error),
    };
    match resume::missed(app, key, &memberships, (&cursor, &given)).await {
        Ok(Missed::All(items)) => Some(Beginning {
            cursor,
            missed: Missed::All(items),
            given,
        }),
        Ok(reset) => Some(fresh(reset)),
        Err(error) => away(&error),
    }
}

fn away(error: &dyn std::error::Error) -> Option<Beginning> {
    tracing::warn!(%error, "a socket cannot be resumed");
    None
}

/// Gives the hub the user's memberships, as of the moment of connecting or later.
async fn attach(app: &App, key: &UserKey, at: &[u64]) -> Option<(Cursor, Memberships)> {
    loop {
        let memberships = memberships_since(app, key, at).await?;
        match app.hub.attach(key.clone(), Some(memberships.clone())).await? {
            Ok(given) => return Some((given, memberships)),
            // They are newer every time: the read model goes on.
            Err(_stale) => tokio::time::sleep(STALE_PAUSE).await,
        }
    }
}

/// The user's memberships as of these sequences, by shard, or later.
async fn memberships_since(app: &App, key: &UserKey, at: &[u64]) -> Option<Memberships> {
    for (shard, sequence) in (0..).zip(at) {
        let position = Position {
            epoch: app.log.epoch(),
            shard,
            sequence: *sequence,
        };
        app.consistency.reach(position).await.ok()?;
    }
    match app.read_model.memberships(&key.0, &key.1).await {
        Ok(memberships) => Some(memberships),
        Err(error) => {
            tracing::warn!(%error, "a socket cannot be attached");
            None
        }
    }
}

/// Carries out what a frame asks for, and answers with the frames to write.
fn carry_out(app: Arc<App>, identity: Identity, incoming: Incoming) -> Answer {
    Box::pin(async move {
        let Incoming { event, data, id } = incoming;
        let temp_id = data.get("tempId").and_then(Value::as_str).map(str::to_owned);
        let admitted = app.limits.command(&identity);
        let outcome = match (admitted, event.as_str()) {
            (Err(error), _) => Err(error),
            (Ok(()), "send_message") => send(&app, &identity, data).await.map(Some),
            (Ok(()), "mark_as_read") => read(&app, &identity, data).await.map(|_| None),
            (Ok(()), _) => Err(ApiError::bad_request("unknown_event", "there is no such event")),
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
