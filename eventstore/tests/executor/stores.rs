//! The read model as the executor sees it, in memory: it can lag, be away, hang, and be behind the
//! snapshots.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use async_trait::async_trait;
use domain::{CommandId, Ordinal, TenantId, UserId, conversation};
use eventstore::facts::{
    Asked, CommandFact, CommandIds, FactStore, Facts as Answer, FactsUnavailable, MessageFacts,
};
use eventstore::sealing::{KeyId, KeyStore, KeysUnavailable, UserKey};
use eventstore::snapshot::{Snapshot, SnapshotStore, SnapshotsUnavailable};
use eventstore::{Codec, EventLog, Stream};
use tokio::sync::watch;

/// Facts of commands and messages, as far as they were projected.
#[derive(Default)]
pub(super) struct Facts {
    /// The checkpoint and what is at or below it, per shard.
    shards: Mutex<HashMap<u16, Projected>>,
    pub(super) away: AtomicBool,
    pub(super) hangs: AtomicBool,
    /// How often they were asked for.
    pub(super) asked: AtomicU64,
}

#[derive(Default)]
struct Projected {
    checkpoint: u64,
    commands: HashMap<(Stream, CommandId), CommandFact>,
    messages: HashMap<(Stream, Ordinal), Option<conversation::Facts>>,
}

impl Facts {
    /// Takes in the shard up to the sequence, as the projector does.
    pub(super) async fn project(&self, log: &dyn EventLog, codec: &Codec, shard: u16, up_to: u64) {
        let mut after = self.checkpoint(shard);
        while after < up_to {
            let records = log.read(shard, after, 1_000).await.unwrap();
            let Some(last) = records.last() else { break };
            after = last.sequence;
            let commits = codec.decode(&records).await.unwrap();
            let mut shards = self.shards.lock().unwrap();
            let projected = shards.entry(shard).or_default();
            for commit in commits.into_iter().filter(|commit| commit.sequence <= up_to) {
                for tag in commit.events.iter().filter_map(|event| event.command) {
                    let fact = CommandFact {
                        fingerprint: tag.fingerprint,
                        sequence: commit.sequence,
                    };
                    projected.commands.insert((commit.stream.clone(), tag.id), fact);
                }
                for (message, change) in commit.events.iter().filter_map(|e| e.event.fact_change()) {
                    let of = (commit.stream.clone(), message);
                    conversation::Facts::apply(projected.messages.entry(of).or_default(), &change);
                }
                projected.checkpoint = commit.sequence;
            }
        }
    }

    /// Takes in all there is.
    pub(super) async fn project_all(&self, log: &dyn EventLog, codec: &Codec) {
        for shard in 0..log.shards() {
            let end = log.end(shard).await.unwrap();
            self.project(log, codec, shard, end).await;
        }
    }

    /// Counts a question, and is as well as it is to be.
    async fn attend(&self) -> Result<(), FactsUnavailable> {
        self.asked.fetch_add(1, SeqCst);
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(SeqCst) {
            return Err(FactsUnavailable("away on purpose".to_owned()));
        }
        Ok(())
    }

    pub(super) fn checkpoint(&self, shard: u16) -> u64 {
        self.shards
            .lock()
            .unwrap()
            .get(&shard)
            .map_or(0, |projected| projected.checkpoint)
    }
}

#[async_trait]
impl FactStore for Facts {
    async fn facts(
        &self,
        shard: u16,
        stream: &Stream,
        commands: &[CommandId],
    ) -> Result<Answer, FactsUnavailable> {
        self.attend().await?;
        let shards = self.shards.lock().unwrap();
        let Some(projected) = shards.get(&shard) else {
            return Ok(Answer::default());
        };
        let known = |id: &CommandId| Some((*id, *projected.commands.get(&(stream.clone(), *id))?));
        Ok(Answer {
            checkpoint: projected.checkpoint,
            commands: commands.iter().filter_map(known).collect(),
        })
    }

    async fn command_ids(
        &self,
        shard: u16,
        stream: &Stream,
        at_most: u32,
    ) -> Result<CommandIds, FactsUnavailable> {
        self.attend().await?;
        let shards = self.shards.lock().unwrap();
        let Some(projected) = shards.get(&shard) else {
            return Ok(CommandIds {
                checkpoint: 0,
                ids: Some(Vec::new()),
            });
        };
        let of_stream = projected.commands.keys().filter(|(of, _)| of == stream);
        let ids: Vec<_> = of_stream.map(|(_, id)| *id).collect();
        Ok(CommandIds {
            checkpoint: projected.checkpoint,
            ids: (ids.len() <= at_most as usize).then_some(ids),
        })
    }

    async fn message_facts(
        &self,
        shard: u16,
        stream: &Stream,
        asked: &[Asked],
    ) -> Result<MessageFacts, FactsUnavailable> {
        self.attend().await?;
        let shards = self.shards.lock().unwrap();
        let Some(projected) = shards.get(&shard) else {
            return Ok(MessageFacts::default());
        };
        let known = |(message, _): &Asked| {
            let facts = projected.messages.get(&(stream.clone(), *message))?;
            Some((*message, facts.clone()?))
        };
        Ok(MessageFacts {
            checkpoint: projected.checkpoint,
            messages: asked.iter().filter_map(known).collect(),
        })
    }
}

/// The newest snapshot of each stream.
pub(super) struct Snapshots {
    kept: watch::Sender<HashMap<Stream, Snapshot>>,
    pub(super) away: AtomicBool,
    pub(super) hangs: AtomicBool,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            kept: watch::Sender::new(HashMap::new()),
            away: false.into(),
            hangs: false.into(),
        }
    }
}

impl Snapshots {
    pub(super) fn of(&self, stream: &Stream) -> Option<Snapshot> {
        self.kept.borrow().get(stream).cloned()
    }

    /// The stream's snapshot, once there is one of this version or a newer.
    pub(super) async fn at_version(&self, stream: &Stream, version: u64) -> Snapshot {
        let mut kept = self.kept.subscribe();
        let is_there = |kept: &HashMap<Stream, Snapshot>| {
            kept.get(stream)
                .is_some_and(|snapshot| snapshot.version >= version)
        };
        kept.wait_for(is_there)
            .await
            .unwrap()
            .get(stream)
            .cloned()
            .unwrap()
    }

    /// Puts a snapshot there that nobody saved.
    pub(super) fn plant(&self, stream: &Stream, snapshot: Snapshot) {
        self.kept.send_modify(|kept| {
            kept.insert(stream.clone(), snapshot);
        });
    }
}

#[async_trait]
impl SnapshotStore for Snapshots {
    async fn load(&self, stream: &Stream) -> Result<Option<Snapshot>, SnapshotsUnavailable> {
        if self.hangs.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(SeqCst) {
            return Err(SnapshotsUnavailable("away on purpose".to_owned()));
        }
        Ok(self.of(stream))
    }

    async fn save(&self, stream: &Stream, snapshot: &Snapshot) -> Result<(), SnapshotsUnavailable> {
        if self.away.load(SeqCst) {
            return Err(SnapshotsUnavailable("away on purpose".to_owned()));
        }
        self.kept.send_if_modified(|kept| {
            let newer = kept.get(stream).is_none_or(|known| known.head < snapshot.head);
            if newer {
                kept.insert(stream.clone(), snapshot.clone());
            }
            newer
        });
        Ok(())
    }
}

/// Keys that can be away.
#[derive(Default)]
pub(super) struct Keys {
    keys: Mutex<HashMap<(TenantId, UserId), UserKey>>,
    pub(super) away: AtomicBool,
}

#[async_trait]
impl KeyStore for Keys {
    async fn current(&self, tenant: &TenantId, users: &[UserId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        if self.away.load(SeqCst) {
            return Err(KeysUnavailable("away on purpose".to_owned()));
        }
        let mut keys = self.keys.lock().unwrap();
        let key = |user: &UserId| {
            keys.entry((tenant.clone(), user.clone()))
                .or_insert_with(UserKey::draw)
                .clone()
        };
        Ok(users.iter().map(key).collect())
    }

    async fn find(&self, ids: &[KeyId]) -> Result<Vec<UserKey>, KeysUnavailable> {
        if self.away.load(SeqCst) {
            return Err(KeysUnavailable("away on purpose".to_owned()));
        }
        Ok(self
            .keys
            .lock()
            .unwrap()
            .values()
            .filter(|key| ids.contains(&key.id))
            .cloned()
            .collect())
    }
}
