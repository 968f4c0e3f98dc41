//! The load generator: clients on sockets, in a process of their own, so that what they cost is not counted
//! as the server's.
//!
//! Closed loop: each sender has so many sends in flight, and sends the next when one is acknowledged. Open
//! loop: sends are due at a fixed rate, and each is timed from the moment it was due, however late it went.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tests::token;
use tokio::sync::mpsc;

use crate::latencies::{Latencies, Summary};
use crate::protocol::{self, Heard, PONG, Protocol};
use crate::role;
use crate::socket::Socket;

/// The first argument of the process that makes the load.
pub(crate) const COMMAND: &str = "make-load";

/// Sockets that are opened at once.
const OPENING: usize = 64;
/// How long the last acknowledgements and deliveries are waited for.
const LAST: Duration = Duration::from_secs(10);
/// Sends whose due times are remembered.
const REMEMBERED: usize = 1 << 20;

/// What load to make.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Plan {
    /// Where the servers listen; sockets take turns.
    pub(crate) servers: Vec<String>,
    /// What they speak.
    pub(crate) protocol: Protocol,
    /// What tokens are signed with.
    pub(crate) secret: String,
    /// The conversations.
    pub(crate) rooms: Vec<Room>,
    /// How sends are timed.
    pub(crate) pace: Pace,
    /// Seconds before it counts.
    pub(crate) warm_up: f64,
    /// Seconds for which it counts.
    pub(crate) seconds: f64,
}

/// A conversation: all members are connected.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Room {
    /// Its id.
    pub(crate) id: String,
    /// Its members.
    pub(crate) members: Vec<String>,
    /// How many of them send, the first ones.
    pub(crate) senders: usize,
}

/// When the next send is due.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) enum Pace {
    /// Each sender has so many in flight.
    InFlight(usize),
    /// So many a second, all senders together.
    PerSecond(f64),
}

/// What came of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Outcome {
    /// Sends acknowledged in the time that counts, which was this long.
    pub(crate) acknowledged: u64,
    /// Seconds.
    pub(crate) seconds: f64,
    /// Messages that arrived at members in that time.
    pub(crate) delivered: u64,
    /// From due to acknowledged.
    pub(crate) to_ack: Summary,
    /// From due to arrived, at each member; in an open loop alone.
    pub(crate) to_delivery: Summary,
    /// Sockets that were opened a second.
    pub(crate) opened_per_second: f64,
    /// CPU seconds of the generator.
    pub(crate) cpu: f64,
}

impl Outcome {
    /// Sends acknowledged a second.
    pub(crate) fn sends_per_second(&self) -> f64 {
        to_f64(self.acknowledged) / self.seconds
    }

    /// Messages delivered a second.
    pub(crate) fn deliveries_per_second(&self) -> f64 {
        to_f64(self.delivered) / self.seconds
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
pub(crate) const fn to_f64(count: u64) -> f64 {
    count as f64
}

impl Plan {
    /// Carries it out in a process of its own.
    ///
    /// # Errors
    /// When a send is refused or a socket is lost: a load that is not made is no measurement.
    pub(crate) async fn carry_out(&self) -> anyhow::Result<Outcome> {
        role::carry_out(COMMAND, self).await
    }
}

/// The process of the load: a plan comes in, and what came of it goes out.
///
/// # Errors
/// When it was not made.
pub(crate) async fn run() -> anyhow::Result<()> {
    role::run(make).await
}

/// What the clients share.
struct Shared {
    start: Instant,
    protocol: Protocol,
    in_flight: usize,
    counts: AtomicBool,
    stops: AtomicBool,
    next: AtomicU64,
    acknowledged: AtomicU64,
    delivered: AtomicU64,
    /// Sends that were sent, and of those the acknowledged ones, all the time.
    sent_ever: AtomicU64,
    acknowledged_ever: AtomicU64,
    /// When each send was due, in microseconds since the start.
    due: Vec<AtomicU64>,
    to_ack: Mutex<Latencies>,
    to_delivery: Mutex<Latencies>,
}

async fn make(plan: Plan) -> anyhow::Result<Outcome> {
    let in_flight = match plan.pace {
        Pace::InFlight(in_flight) => in_flight,
        Pace::PerSecond(_) => 0,
    };
    let shared = Arc::new(Shared {
        start: Instant::now(),
        protocol: plan.protocol,
        in_flight,
        counts: AtomicBool::new(false),
        stops: AtomicBool::new(false),
        next: AtomicU64::new(0),
        acknowledged: AtomicU64::new(0),
        delivered: AtomicU64::new(0),
        sent_ever: AtomicU64::new(0),
        acknowledged_ever: AtomicU64::new(0),
        due: (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect(),
        to_ack: Mutex::default(),
        to_delivery: Mutex::default(),
    });
    let members = plan.rooms.iter().flat_map(|room| {
        let sends = |index| (index < room.senders).then(|| room.id.clone());
        let members = room.members.iter().enumerate();
        members.map(move |(index, member)| (member.clone(), sends(index)))
    });
    let opening = Instant::now();
    let (failed, mut failure) = mpsc::channel::<anyhow::Error>(1);
    let clients: Vec<_> = stream::iter(members.enumerate())
        .map(|(number, (member, sends))| {
            let server = &plan.servers[number % plan.servers.len()];
            let token = token::sign(&token::claims(&member), &plan.secret);
            async move { anyhow::Ok((plan.protocol.connect(server, &token).await?, sends)) }
        })
        .buffer_unordered(OPENING)
        .try_collect()
        .await?;
    let opened_per_second = to_f64(clients.len() as u64) / opening.elapsed().as_secs_f64();
    let mut senders = Vec::new();
    for (socket, sends) in clients {
        let (orders, ordered) = mpsc::unbounded_channel();
        if sends.is_some() {
            senders.push(orders.clone());
        }
        let client = Client {
            shared: Arc::clone(&shared),
            socket,
            room: sends,
            ordered,
            _orders: orders,
        };
        let failed = failed.clone();
        tokio::spawn(async move {
            if let Err(error) = client.run().await {
                let _ = failed.try_send(error);
            }
        });
    }
    if let Pace::PerSecond(rate) = plan.pace {
        let shared = Arc::clone(&shared);
        std::thread::spawn(move || pace(&shared, &senders, rate));
    }
    let timing = async {
        tokio::time::sleep(Duration::from_secs_f64(plan.warm_up)).await;
        shared.counts.store(true, Relaxed);
        let begun = Instant::now();
        tokio::time::sleep(Duration::from_secs_f64(plan.seconds)).await;
        shared.counts.store(false, Relaxed);
        let (acknowledged, delivered) = (shared.acknowledged.load(Relaxed), shared.delivered.load(Relaxed));
        let seconds = begun.elapsed().as_secs_f64();
        shared.stops.store(true, Relaxed);
        let last = Instant::now();
        while shared.acknowledged_ever.load(Relaxed) < shared.sent_ever.load(Relaxed) {
            ensure!(last.elapsed() < LAST, "sends were not acknowledged");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok((acknowledged, delivered, seconds))
    };
    let (acknowledged, delivered, seconds) = tokio::select! {
        biased;
        Some(error) = failure.recv() => return Err(error),
        timed = timing => timed?,
    };
    let summary = |of: &Mutex<Latencies>| of.lock().unwrap_or_else(PoisonError::into_inner).summary();
    Ok(Outcome {
        acknowledged,
        seconds,
        delivered,
        to_ack: summary(&shared.to_ack),
        to_delivery: summary(&shared.to_delivery),
        opened_per_second,
        cpu: crate::processes::cpu_seconds(std::process::id()),
    })
}

/// Hands out sends as they are due. A thread, because it wakes up more exactly than a timer of the runtime.
fn pace(shared: &Shared, senders: &[mpsc::UnboundedSender<u64>], rate: f64) {
    let begun = Instant::now();
    for (number, sender) in (0_u32..).zip(senders.iter().cycle()) {
        let due = begun + Duration::from_secs_f64(f64::from(number) / rate);
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if shared.stops.load(Relaxed) {
            return;
        }
        let send = shared.begin(due);
        if sender.send(send).is_err() {
            return;
        }
    }
}

impl Shared {
    /// Numbers a send that is due now.
    fn begin(&self, due: Instant) -> u64 {
        let number = self.next.fetch_add(1, Relaxed);
        let micros = due.saturating_duration_since(self.start).as_micros();
        self.slot(number)
            .store(u64::try_from(micros).unwrap_or(u64::MAX), Relaxed);
        self.sent_ever.fetch_add(1, Relaxed);
        number
    }

    fn slot(&self, number: u64) -> &AtomicU64 {
        &self.due[usize::try_from(number).unwrap_or_default() % REMEMBERED]
    }

    fn since_due(&self, number: u64) -> Duration {
        let due = Duration::from_micros(self.slot(number).load(Relaxed));
        self.start.elapsed().saturating_sub(due)
    }
}

struct Client {
    shared: Arc<Shared>,
    socket: Socket,
    /// Where it sends, if it does.
    room: Option<String>,
    ordered: mpsc::UnboundedReceiver<u64>,
    /// Keeps the other end open for those who are never told to send.
    _orders: mpsc::UnboundedSender<u64>,
}

impl Client {
    async fn run(mut self) -> anyhow::Result<()> {
        if self.room.is_some() {
            for _ in 0..self.shared.in_flight {
                let number = self.shared.begin(Instant::now());
                self.send(number).await?;
            }
        }
        loop {
            tokio::select! {
                text = self.socket.next() => self.hear(&text?).await?,
                Some(number) = self.ordered.recv() => self.send(number).await?,
            }
        }
    }

    async fn send(&mut self, number: u64) -> anyhow::Result<()> {
        let room = self.room.as_deref().unwrap_or_default();
        self.socket
            .send(self.shared.protocol.send_message(room, number))
            .await
    }

    async fn hear(&mut self, text: &str) -> anyhow::Result<()> {
        let shared = Arc::clone(&self.shared);
        let counts = shared.counts.load(Relaxed);
        match shared.protocol.heard(text) {
            Heard::Message if counts => {
                shared.delivered.fetch_add(1, Relaxed);
                if shared.in_flight == 0 {
                    let number = protocol::number_of(text).context("a message of someone else")?;
                    record(&shared.to_delivery, shared.since_due(number));
                }
            }
            Heard::Recorded(number) => {
                shared.acknowledged_ever.fetch_add(1, Relaxed);
                if counts {
                    shared.acknowledged.fetch_add(1, Relaxed);
                    record(&shared.to_ack, shared.since_due(number));
                }
                if shared.in_flight > 0 && !shared.stops.load(Relaxed) {
                    let number = shared.begin(Instant::now());
                    self.send(number).await?;
                }
            }
            Heard::Refused => bail!("a send was refused: {text}"),
            Heard::Ping => self.socket.send(PONG.to_owned()).await?,
            Heard::Message | Heard::Other => {}
        }
        Ok(())
    }
}

fn record(latencies: &Mutex<Latencies>, took: Duration) {
    latencies
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .record(took);
}
