//! Nodes that start and stop at random, on a log whose acknowledgements get lost, whose reads fail and
//! lag, with a database that is away, behind or ahead: in the end every named command is there once.
//!
//! Time stands still but for what is waited for, so that a minute of it takes milliseconds; the faults
//! come from a seed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use domain::conversation::{Command, Error};
use eventstore::execute::{ExecuteError, Outcome};
use eventstore::{Append, AppendError, Appended, Epoch, EventLog, ReadError, Record, Stream};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::history::History;
use super::stores::Keys;
use super::world::{Done, Node, World, conversation, message, tag};

/// Chance, drawn from a seed.
#[derive(Clone)]
struct Chance(Arc<Mutex<StdRng>>);

impl Chance {
    fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(StdRng::seed_from_u64(seed))))
    }

    fn below(&self, limit: u64) -> u64 {
        self.0.lock().unwrap().random_range(0..limit)
    }

    fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// Something else may happen meanwhile.
    async fn pause(&self) {
        tokio::time::sleep(Duration::from_micros(self.below(3_000))).await;
    }
}

/// How often what goes wrong, in percent.
#[derive(Clone, Copy, Debug)]
struct Faults {
    lost_appends: u64,
    lost_answers: u64,
    late_appends: u64,
    failures: u64,
    blind_reads: u64,
}

/// A log to which everything happens that may happen to one.
struct Faulty {
    log: Arc<dyn EventLog>,
    chance: Chance,
    faults: Faults,
    calm: Arc<AtomicBool>,
}

impl Faulty {
    fn happens(&self, percent: u64) -> bool {
        !self.calm.load(SeqCst) && self.chance.percent(percent)
    }

    async fn maybe_away(&self) -> Result<(), ReadError> {
        self.chance.pause().await;
        if self.happens(self.faults.failures) {
            return Err(ReadError::Unavailable("away on purpose".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl EventLog for Faulty {
    fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    fn shards(&self) -> u16 {
        self.log.shards()
    }

    async fn append(&self, append: Append) -> Result<Appended, AppendError> {
        self.chance.pause().await;
        let unknown = || Err(AppendError::Unknown("lost on purpose".to_owned()));
        if self.happens(self.faults.failures) {
            return Err(AppendError::Unavailable("away on purpose".to_owned()));
        }
        if self.happens(self.faults.lost_appends) {
            return unknown();
        }
        if self.happens(self.faults.late_appends) {
            let (log, delay) = (
                Arc::clone(&self.log),
                Duration::from_millis(self.chance.below(200)),
            );
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                let _ = log.append(append).await;
            });
            return unknown();
        }
        let answer = self.log.append(append).await;
        self.chance.pause().await;
        if self.happens(self.faults.lost_answers) {
            unknown()
        } else {
            answer
        }
    }

    async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        self.maybe_away().await?;
        self.log.head(stream).await
    }

    async fn read_stream(&self, stream: &Stream, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.maybe_away().await?;
        let mut records = self.log.read_stream(stream, after, limit).await?;
        if self.happens(self.faults.blind_reads) {
            records.truncate(usize::try_from(self.chance.below(2)).unwrap());
        }
        Ok(records)
    }

    async fn read(&self, shard: u16, after: u64, limit: usize) -> Result<Vec<Record>, ReadError> {
        self.log.read(shard, after, limit).await
    }

    async fn end(&self, shard: u16) -> Result<u64, ReadError> {
        self.log.end(shard).await
    }

    fn follow(&self, _: u16, _: u64) -> BoxStream<'static, Result<Vec<Record>, ReadError>> {
        stream::pending().boxed()
    }
}

/// The nodes there are; any of them may be another one the next time.
struct Cluster {
    world: World,
    chance: Chance,
    faults: Faults,
    calm: Arc<AtomicBool>,
    nodes: Mutex<Vec<Node>>,
    doubted: AtomicU64,
}

impl Cluster {
    fn new(seed: u64, nodes: usize, faults: Faults) -> Self {
        let mut world = World::on(World::in_memory().log, Arc::new(Keys::default()));
        world.max_lag = 50;
        let cluster = Self {
            world,
            chance: Chance::new(seed),
            faults,
            calm: Arc::default(),
            nodes: Mutex::default(),
            doubted: AtomicU64::new(0),
        };
        let started = (0..nodes).map(|_| cluster.start()).collect();
        *cluster.nodes.lock().unwrap() = started;
        cluster
    }

    fn start(&self) -> Node {
        self.world.node_on(Arc::new(Faulty {
            log: Arc::clone(&self.world.log),
            chance: self.chance.clone(),
            faults: self.faults,
            calm: Arc::clone(&self.calm),
        }))
    }

    fn any(&self) -> Node {
        let mut nodes = self.nodes.lock().unwrap();
        let index = usize::try_from(self.chance.below(nodes.len() as u64)).unwrap();
        if self.chance.percent(3) {
            nodes[index] = self.start();
        }
        nodes[index].clone()
    }

    /// The read model takes in some of what there is, and the database comes and goes.
    async fn project(&self) {
        let world = &self.world;
        while !self.calm.load(SeqCst) {
            tokio::time::sleep(Duration::from_millis(self.chance.below(100))).await;
            world.facts.away.store(self.chance.percent(20), SeqCst);
            world.snapshots.away.store(self.chance.percent(20), SeqCst);
            let end = world.log.end(0).await.unwrap();
            let behind = end.saturating_sub(self.chance.below(40));
            world.facts.project(&*world.log, &world.codec, 0, behind).await;
            // What nodes hear of it may be late, or early.
            let heard = world.facts.checkpoint(0) + self.chance.below(10);
            world
                .projected
                .set(0, heard.saturating_sub(self.chance.below(15)));
        }
    }

    /// Asks any node until one says what became of the command.
    async fn insist(&self, stream: &Stream, actor: &str, name: &str) -> Result<Done, ExecuteError<Error>> {
        let named = tag(actor, name, name);
        loop {
            let node = self.any();
            match node.execute(stream, actor, Some(named), message(name)).await {
                Err(ExecuteError::Unavailable(_) | ExecuteError::LogAway | ExecuteError::Overloaded) => {
                    self.doubted.fetch_add(1, SeqCst);
                    self.chance.pause().await;
                }
                decided => return decided,
            }
        }
    }
}

async fn named_client(
    cluster: Arc<Cluster>,
    stream: Stream,
    actor: String,
    count: usize,
) -> Vec<(String, u64)> {
    let mut done = Vec::new();
    for n in 0..count {
        let name = format!("{actor} {n}");
        let first = cluster.insist(&stream, &actor, &name).await.unwrap().position();
        if cluster.chance.percent(30) {
            let again = cluster.insist(&stream, &actor, &name).await.unwrap();
            assert_eq!(again, Outcome::Repeated { position: first });
        }
        done.push((name, first.sequence));
    }
    done
}

/// What a client without names was told: accepted where, or nothing certain.
async fn nameless_client(
    cluster: Arc<Cluster>,
    stream: Stream,
    actor: String,
    count: usize,
) -> Vec<(String, Option<u64>)> {
    let mut told = Vec::new();
    for n in 0..count {
        let text = format!("{actor} {n}");
        let node = cluster.any();
        match node.send(&stream, &actor, &text).await {
            Ok(done) => told.push((text, Some(done.position().sequence))),
            Err(ExecuteError::Unavailable(_) | ExecuteError::LogAway | ExecuteError::Overloaded) => {
                told.push((text, None))
            }
            Err(error) => panic!("{error}"),
        }
        cluster.chance.pause().await;
    }
    told
}

/// A guest is added, writes, and leaves, again and again, each time through whichever node.
async fn guest(cluster: Arc<Cluster>, stream: Stream, rounds: usize) {
    for round in 0..rounds {
        let (command, name) = (Command::Leave, format!("guest {round}"));
        while cluster.any().add(&stream, "ann", "guest").await.is_err() {
            cluster.chance.pause().await;
        }
        cluster.insist(&stream, "guest", &name).await.unwrap();
        let leave = tag("guest", &format!("leave {round}"), "");
        loop {
            match cluster
                .any()
                .execute(&stream, "guest", Some(leave), command.clone())
                .await
            {
                Ok(_) => break,
                Err(ExecuteError::Unavailable(_) | ExecuteError::LogAway | ExecuteError::Overloaded) => {
                    cluster.chance.pause().await
                }
                Err(error) => panic!("{error}"),
            }
        }
        let gone = cluster.insist(&stream, "guest", &format!("gone {round}")).await;
        assert_eq!(
            gone,
            Err(ExecuteError::Refused(Error::NotFound)),
            "who has left writes no more"
        );
    }
}

async fn simulate(seed: u64, nodes: usize, faults: Faults) {
    let cluster = Arc::new(Cluster::new(seed, nodes, faults));
    let stream = conversation(1);
    cluster
        .world
        .node()
        .found(&stream, &["ann", "bob", "cid", "dan"])
        .await;
    let projecting = tokio::spawn({
        let cluster = Arc::clone(&cluster);
        async move { cluster.project().await }
    });
    let spawn_named = |actor: &str| {
        tokio::spawn(named_client(
            Arc::clone(&cluster),
            stream.clone(),
            actor.to_owned(),
            60,
        ))
    };
    let named = join_all(["ann", "bob"].map(spawn_named));
    let spawn_nameless = |actor: &str| {
        tokio::spawn(nameless_client(
            Arc::clone(&cluster),
            stream.clone(),
            actor.to_owned(),
            60,
        ))
    };
    let nameless = join_all(["cid", "dan"].map(spawn_nameless));
    let guest = tokio::spawn(guest(Arc::clone(&cluster), stream.clone(), 10));
    let (named, nameless, guest) = tokio::join!(named, nameless, guest);
    guest.unwrap();
    cluster.calm.store(true, SeqCst);
    projecting.await.unwrap();
    // What is still under way arrives.
    tokio::time::sleep(Duration::from_secs(60)).await;

    let history = History::of(&cluster.world, &stream).await;
    let mut places: HashMap<&str, Vec<u64>> = HashMap::new();
    for commit in &history.commits {
        for event in &commit.events {
            if let eventstore::Event::Conversation(domain::conversation::Event::MessageSent(m)) = &event.event
            {
                places
                    .entry(super::history::text(m))
                    .or_default()
                    .push(commit.sequence);
            }
        }
    }
    for (name, sequence) in named.into_iter().flat_map(Result::unwrap) {
        assert_eq!(
            places.get(&*name),
            Some(&vec![sequence]),
            "{name} is where its client was told, once"
        );
    }
    for (text, told) in nameless.into_iter().flat_map(Result::unwrap) {
        let there = places.get(&*text).cloned().unwrap_or_default();
        match told {
            Some(sequence) => assert_eq!(there, [sequence], "{text}"),
            None => assert!(there.len() <= 1, "{text} is there {} times", there.len()),
        }
    }
    for (id, sequences) in history.named() {
        assert_eq!(sequences.len(), 1, "{id} is there {} times", sequences.len());
    }
    let node = cluster.world.node();
    cluster.world.projected.set(0, u64::MAX);
    assert_eq!(
        node.state(&stream).await.unwrap(),
        history.state(),
        "snapshots tell the truth"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn every_command_is_there_once(
        seed: u64,
        nodes in 1_usize..4,
        lost_appends in 0_u64..15,
        lost_answers in 0_u64..15,
        late_appends in 0_u64..15,
        failures in 0_u64..5,
        blind_reads in 0_u64..20,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let faults = Faults { lost_appends, lost_answers, late_appends, failures, blind_reads };
        runtime.block_on(simulate(seed, nodes, faults));
    }
}
