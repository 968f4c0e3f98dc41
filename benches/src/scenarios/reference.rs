//! What a user would pick instead: the same load on Verbatim and on the reference's design, which is socket.io on
//! Node over Postgres. This baseline is no bound, so what is aimed at are multiples of it.

use std::collections::BTreeMap;

use ::tests::{eventually, token};
use anyhow::{Context, ensure};

use super::Run;
use super::idle::grown;
use crate::deployment::{Deployment, Mode};
use crate::figures::{Aim, Row};
use crate::load::{Outcome, Pace, Plan, Room, to_f64};
use crate::protocol::Protocol;
use crate::reference::{self, Reference, Stack};
use crate::requests::{Answers, Requests};
use crate::seed::{Seed, words};

/// Conversations of so many connected members. In half of them two send, with so many in flight each.
const ROOMS: usize = 100;
const MEMBERS: usize = 10;
const SENDERS: usize = 2;
const IN_FLIGHT: usize = 8;
const PER_SECOND: f64 = 200.0;
/// Members of one conversation.
const CROWD: usize = 1_000;
/// Clients that read at once, and the conversations that they read, with pages of so many messages from each.
const READERS: usize = 16;
const ARCHIVES: usize = 50;
const LIMIT: usize = 50;
const PAGES: usize = 4;
/// Words that are searched for, from this rank to the rarest.
const SEARCHES: u32 = 64;
const FREQUENT: f64 = 100.0;

pub(super) async fn run(run: Run) -> anyhow::Result<Vec<Row>> {
    let stack = match Stack::provide().await {
        Ok(stack) => stack,
        Err(error) => return Ok(vec![Row::new(format!("NOT MEASURED: {error:#}"), Aim::None)]),
    };
    let sends = match run.mode {
        Mode::Embedded => 8.0,
        Mode::Cluster => 5.0,
    };
    let searches = format!("searches/s with facets at {} messages", messages(run));
    // In the order in which they are measured.
    let mut rows = [
        (
            format!("KiB of each of {} idle sockets", ROOMS * MEMBERS),
            Aim::AtMost(0.5),
        ),
        (
            format!("pages/s of {LIMIT} messages, {READERS} readers"),
            Aim::Part(8.0),
        ),
        (searches.clone(), Aim::Part(100.0)),
        ("send to ack p50 at 200/s, ms".to_owned(), Aim::AtMost(1.0 / 3.0)),
        (format!("deliveries/s to {CROWD} members"), Aim::Part(15.0)),
        (
            "durable sends/s, 100 senders, 8 in flight each".to_owned(),
            Aim::Part(sends),
        ),
        // The reference has no such index; whoever searches much would soon make one.
        (format!("{searches}, trigrams indexed"), Aim::None),
    ]
    .map(|(what, aim)| Row::new(what, aim));
    for _ in 0..run.times() {
        let theirs = of_reference(run, &stack).await?;
        let ours = of_verbatim(run).await?;
        for (row, (ours, theirs)) in rows
            .iter_mut()
            .zip(ours.figures().into_iter().zip(theirs.figures()))
        {
            row.ours.push(ours);
            row.baseline.push(theirs);
        }
        ours.note("", &mut rows);
        theirs.note("reference: ", &mut rows);
    }
    Ok(rows.into())
}

const fn messages(run: Run) -> usize {
    if run.is_quick { 10_000 } else { 100_000 }
}

/// Less than elsewhere when it is to be quick: there is much to measure.
fn seconds(run: Run) -> f64 {
    if run.is_quick { 1.0 } else { run.seconds() }
}

/// What is read: a member of all conversations reads it.
const fn archive(run: Run) -> Seed {
    Seed {
        conversations: ARCHIVES,
        messages: messages(run) / ARCHIVES,
        members: MEMBERS,
        shared: 1,
    }
}

/// What the load is made on.
struct Subject {
    server: String,
    protocol: Protocol,
    secret: String,
    /// Its process.
    id: u32,
    rooms: Vec<Room>,
    crowd: Vec<Room>,
    archive: Vec<Room>,
}

/// What it was found to do.
struct Found {
    idle_kib: f64,
    pages: Answers,
    searches: Answers,
    latency: Outcome,
    fan_out: Outcome,
    sends: Outcome,
    /// With an index for it, where there was none.
    indexed_searches: Option<Answers>,
    /// CPU seconds of each process so far, before the first of these and after each.
    cpu: Vec<BTreeMap<&'static str, f64>>,
}

async fn of_verbatim(run: Run) -> anyhow::Result<Found> {
    let (mut deployment, archive) = Deployment::start_with(run.mode, archive(run)).await?;
    let subject = Subject {
        server: deployment.node.address().to_owned(),
        protocol: Protocol::Verbatim,
        secret: deployment.node.folder.secret(),
        id: deployment.node.process().id(),
        rooms: deployment.rooms(ROOMS, MEMBERS, SENDERS).await,
        crowd: deployment.rooms(1, CROWD, 1).await,
        archive,
    };
    let nobody = deployment.node.anonymous();
    eventually("read models and index have caught up", || async {
        let ready: serde_json::Value = nobody.get("/ready").send().await.expect_any(&[200]).json();
        match &ready["behind"] {
            behind if behind["read_models"] == 0 && behind["search"] == 0 => Ok(()),
            behind => Err(behind.to_string()),
        }
    })
    .await;
    let start = deployment.cpu();
    subject
        .measure(run, || deployment.cpu().since(start).collect())
        .await
}

async fn of_reference(run: Run, stack: &Stack) -> anyhow::Result<Found> {
    let mut reference = Reference::start(stack).await?;
    let subject = Subject {
        server: reference.address.clone(),
        protocol: Protocol::SocketIo,
        secret: reference::SECRET.to_owned(),
        id: reference.id(),
        rooms: reference.rooms(ROOMS, MEMBERS, SENDERS).await?,
        crowd: reference.rooms(1, CROWD, 1).await?,
        archive: reference.fill(archive(run)).await?,
    };
    reference.settle().await?;
    let mut found = subject.measure(run, || reference.cpu().into()).await?;
    reference.index_trigrams().await?;
    found.indexed_searches = Some(subject.searches(run).carry_out().await?);
    Ok(found)
}

impl Subject {
    /// Idle sockets first, in a process that has not done anything yet, and sends last, because they leave much
    /// behind.
    async fn measure(
        &self,
        run: Run,
        mut cpu: impl FnMut() -> BTreeMap<&'static str, f64>,
    ) -> anyhow::Result<Found> {
        let busy = &self.rooms[..ROOMS / 2];
        let mut so_far = vec![cpu()];
        let (idle_kib, _) = grown(self.id, &self.plan(run, &self.rooms, Pace::InFlight(0))).await?;
        let pages = self.pages(run).await?;
        so_far.push(cpu());
        let pages = pages.carry_out().await?;
        so_far.push(cpu());
        let searches = self.searches(run).carry_out().await?;
        so_far.push(cpu());
        let latency = self.plan(run, busy, Pace::PerSecond(PER_SECOND));
        let latency = latency.carry_out().await?;
        so_far.push(cpu());
        let fan_out = self.plan(run, &self.crowd, Pace::InFlight(4));
        let fan_out = fan_out.carry_out().await?;
        so_far.push(cpu());
        let sends = self.plan(run, busy, Pace::InFlight(IN_FLIGHT));
        let sends = sends.carry_out().await?;
        so_far.push(cpu());
        Ok(Found {
            idle_kib,
            pages,
            searches,
            latency,
            fan_out,
            sends,
            indexed_searches: None,
            cpu: so_far,
        })
    }

    fn plan(&self, run: Run, rooms: &[Room], pace: Pace) -> Plan {
        Plan {
            servers: vec![self.server.clone()],
            protocol: self.protocol,
            secret: self.secret.clone(),
            rooms: rooms.to_vec(),
            pace,
            warm_up: 1.0,
            seconds: seconds(run),
        }
    }

    fn requests(&self, run: Run, paths: Vec<String>) -> Requests {
        let reader = &self.archive[0].members[0];
        Requests {
            server: self.server.clone(),
            token: token::sign(&token::claims(reader), &self.secret),
            paths,
            clients: READERS,
            per_second: None,
            warm_up: 1.0,
            seconds: seconds(run),
        }
    }

    /// Pages of every conversation, from the newest on.
    async fn pages(&self, run: Run) -> anyhow::Result<Requests> {
        let mut paths = Vec::with_capacity(ARCHIVES * PAGES);
        for room in &self.archive {
            let newest = format!("/conversations/{}/messages?limit={LIMIT}", room.id);
            let mut next = newest.clone();
            for _ in 0..PAGES {
                let page = self.requests(run, Vec::new()).once(&next).await?;
                let messages = page["data"].as_array().context("messages")?;
                ensure!(messages.len() == LIMIT, "a page of {} messages", messages.len());
                let oldest = page["prevCursor"].as_str().context("a cursor")?;
                paths.push(std::mem::replace(&mut next, format!("{newest}&before={oldest}")));
            }
        }
        Ok(self.requests(run, paths))
    }

    /// Searches for words of all frequencies. Without words of its own, the reference finds them inside others too.
    fn searches(&self, run: Run) -> Requests {
        let words = words();
        let rarest = to_f64(words.len() as u64) / FREQUENT;
        let paths = (0..SEARCHES).map(|number| {
            let rank = FREQUENT * rarest.powf(f64::from(number) / f64::from(SEARCHES));
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "less than the number of words"
            )]
            let word = &words[rank as usize];
            format!("/conversations/messages/search?q={word}")
        });
        self.requests(run, paths.collect())
    }
}

impl Found {
    /// The figures, in the order of the rows.
    fn figures(&self) -> [f64; 7] {
        let indexed = self.indexed_searches.as_ref().unwrap_or(&self.searches);
        [
            self.idle_kib / to_f64((ROOMS * MEMBERS) as u64),
            self.pages.per_second,
            self.searches.per_second,
            self.latency.to_ack.p50,
            self.fan_out.deliveries_per_second(),
            self.sends.sends_per_second(),
            indexed.per_second,
        ]
    }

    /// Notes what else is known.
    fn note(&self, whose: &str, rows: &mut [Row; 7]) {
        let mut note = |row: usize, name: &str, value| rows[row].note(format!("{whose}{name}"), value);
        for (row, (before, after)) in self.cpu.iter().zip(&self.cpu[1..]).enumerate() {
            for (name, seconds) in after {
                note(row, name, seconds - before.get(name).unwrap_or(&0.0));
            }
        }
        note(1, "p99 ms", self.pages.latencies.p99);
        note(1, "CPU s of the clients", self.pages.cpu);
        note(2, "p99 ms", self.searches.latencies.p99);
        note(3, "p99 ms", self.latency.to_ack.p99);
        note(3, "send to delivered p50 ms", self.latency.to_delivery.p50);
        note(3, "send to delivered p99 ms", self.latency.to_delivery.p99);
        note(4, "send to ack p50 ms", self.fan_out.to_ack.p50);
        note(4, "CPU s of the clients", self.fan_out.cpu);
        note(5, "deliveries/s", self.sends.deliveries_per_second());
        note(5, "CPU s of the clients", self.sends.cpu);
        if let Some(indexed) = &self.indexed_searches {
            note(6, "p99 ms", indexed.latencies.p99);
        }
    }
}
