//! Groups that are so large that not everybody hears who read what: of a read there, the reader's own sockets
//! hear at once, and those who wrote what was read from time to time.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::ws::Utf8Bytes;
use domain::{ConversationId, Ordinal, UserId};
use eventstore::{Commit, Stream};
use moka::sync::Cache;
use projections::store::ReadModel;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::audience::{ConversationKey, Said};
use super::hub::Ask;

/// The most members of a group in which everyone hears who read what.
const CROWD: u64 = 100;
/// How long the size of a group is remembered, and after how long it is looked at again beside.
const SIZE_REMEMBERED: Duration = Duration::from_secs(600);
const LOOK_AGAIN: Duration = Duration::from_secs(30);
const SIZES_REMEMBERED: u64 = 100_000;
/// How long the size of a group may take, and how long it is not asked for after that was too long.
const PATIENCE: Duration = Duration::from_millis(250);
const RETRY: Duration = Duration::from_secs(1);
/// How often those who wrote hear of reads.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// How many messages up to the one that was read have authors who hear of it.
const MESSAGES_BACK: u64 = 50;

/// Which conversations are crowds.
#[derive(Clone)]
pub(super) struct Crowds {
    read_model: Arc<dyn ReadModel>,
    known: Cache<ConversationId, bool>,
    /// Those that were looked at lately.
    looked_at: Cache<ConversationId, bool>,
    /// When the read model last did not answer in time.
    failed: Arc<Mutex<Option<Instant>>>,
}

impl Crowds {
    pub(super) fn new(read_model: Arc<dyn ReadModel>) -> Self {
        let remembering = |time| Cache::builder().max_capacity(SIZES_REMEMBERED).time_to_live(time);
        Self {
            read_model,
            known: remembering(SIZE_REMEMBERED).build(),
            looked_at: remembering(LOOK_AGAIN).build(),
            failed: Arc::default(),
        }
    }

    /// Those of the conversations that somebody read in, according to these commits, that are crowds. While
    /// the read model is away, none is known to be one.
    pub(super) async fn among(&self, commits: &[Commit]) -> HashSet<ConversationId> {
        self.look_beside(commits);
        let read_in = commits.iter().filter_map(|commit| match commit.stream {
            Stream::Reads(_, id) => Some(id),
            Stream::Conversation(..) | Stream::User(..) => None,
        });
        let (mut crowds, mut unknown) = (HashSet::new(), HashSet::new());
        for id in read_in {
            match self.known.get(&id) {
                Some(true) => drop(crowds.insert(id)),
                Some(false) => {}
                None => drop(unknown.insert(id)),
            }
        }
        if unknown.is_empty() {
            return crowds;
        }
        let unknown: Vec<_> = unknown.into_iter().collect();
        // Messages of the same shard wait behind this.
        if !self.is_worth_asking() {
            return crowds;
        }
        if timeout(PATIENCE, self.look(&unknown)).await.is_err() {
            *self.failed() = Some(Instant::now());
        }
        crowds.extend(unknown.into_iter().filter(|id| self.known.get(id) == Some(true)));
        crowds
    }

    /// Has it looked at how large the conversations are that something happens in, while nobody waits for it:
    /// who reads a message comes after it.
    fn look_beside(&self, commits: &[Commit]) {
        let mut ids: Vec<_> = commits
            .iter()
            .filter_map(|commit| match commit.stream {
                Stream::Conversation(_, id) | Stream::Reads(_, id) => Some(id),
                Stream::User(..) => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|id| !self.looked_at.contains_key(id));
        if ids.is_empty() {
            return;
        }
        for id in &ids {
            self.looked_at.insert(*id, true);
        }
        let crowds = self.clone();
        tokio::spawn(async move { crowds.look(&ids).await });
    }

    async fn look(&self, ids: &[ConversationId]) {
        match self.read_model.sizes(ids).await {
            Ok(sizes) => {
                for (id, size) in sizes {
                    self.known.insert(id, size > CROWD);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "how large groups are is not known");
                *self.failed() = Some(Instant::now());
            }
        }
    }

    /// Whether the read model has not just failed to answer.
    fn is_worth_asking(&self) -> bool {
        self.failed().is_none_or(|failed| failed.elapsed() > RETRY)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Instant>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who wrote what was read up to this message.
    async fn authors(&self, conversation: ConversationId, up_to: Ordinal) -> Vec<UserId> {
        let above = up_to.get().saturating_sub(MESSAGES_BACK);
        match self.read_model.authors(conversation, above, up_to).await {
            Ok(authors) => authors,
            Err(error) => {
                tracing::debug!(%error, "nobody is told of a read");
                Vec::new()
            }
        }
    }
}

/// A read in a crowd.
#[derive(Clone, Debug)]
pub(super) struct Read {
    pub(super) reader: UserId,
    pub(super) up_to: Ordinal,
    pub(super) frame: Utf8Bytes,
}

/// The furthest read in each crowd that those who wrote were not told of yet.
pub(super) struct Untold {
    crowds: Crowds,
    hub: mpsc::WeakSender<Ask>,
    reads: HashMap<ConversationKey, (Read, Arc<Said>)>,
    /// Whether the hub is asked to tell, some time later.
    is_due: bool,
}

impl Untold {
    pub(super) fn new(crowds: Crowds, hub: mpsc::WeakSender<Ask>) -> Self {
        Self {
            crowds,
            hub,
            reads: HashMap::new(),
            is_due: false,
        }
    }

    /// Remembers a read. The first of many has the hub asked, some time later, to tell of them.
    pub(super) fn note(&mut self, room: ConversationKey, read: Read, said: Arc<Said>) {
        if !std::mem::replace(&mut self.is_due, true) {
            self.tell_later();
        }
        // Of several the furthest: it concerns the authors of the newest messages.
        let known = self
            .reads
            .entry(room)
            .or_insert_with(|| (read.clone(), Arc::clone(&said)));
        if known.0.up_to <= read.up_to {
            *known = (read, said);
        }
    }

    fn tell_later(&self) {
        let hub = self.hub.clone();
        tokio::spawn(async move {
            tokio::time::sleep(TELL_EVERY).await;
            if let Some(hub) = hub.upgrade() {
                // A hub that has ended tells nobody.
                let _ = hub.send(Ask::TellOfReads).await;
            }
        });
    }

    /// Finds out whom to tell, and has the hub tell them; when there is nobody left to tell, that is the end
    /// of it until the next read. One look-up at a time: the next one is asked for when this one has ended.
    pub(super) fn look_up(&mut self) {
        let reads = std::mem::take(&mut self.reads);
        self.is_due = !reads.is_empty();
        if reads.is_empty() {
            return;
        }
        let (crowds, hub) = (self.crowds.clone(), self.hub.clone());
        tokio::spawn(async move {
            for (room, (read, said)) in reads {
                let mut authors = crowds.authors(room.1, read.up_to).await;
                authors.retain(|author| *author != read.reader);
                let Some(hub) = hub.upgrade() else { return };
                let tell = Ask::Tell {
                    room,
                    users: authors,
                    said,
                };
                if hub.send(tell).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(TELL_EVERY).await;
            if let Some(hub) = hub.upgrade() {
                let _ = hub.send(Ask::TellOfReads).await;
            }
        });
    }
}
