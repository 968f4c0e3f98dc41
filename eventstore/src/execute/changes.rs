//! What an actor knows of the messages of its stream: what became of them above what the read model has.

use std::collections::{BTreeMap, HashMap};

use domain::Ordinal;
use domain::conversation::Facts;
use domain::conversation::messages::FactChange;

use crate::envelope::Commit;
use crate::facts::{Asked, MessageFacts};

/// Commits whose changes are kept in memory without asking whether the read model has them too.
const KEPT: usize = 64;

/// What changed of messages, by the sequences of the commits.
#[derive(Debug, Default)]
pub(super) struct KnownChanges {
    changes: BTreeMap<u64, Vec<(Ordinal, FactChange)>>,
    /// Every change of the stream above this sequence is known here.
    pub(super) floor: u64,
}

impl KnownChanges {
    /// Nothing known yet of the commits above this sequence.
    pub(super) const fn above(floor: u64) -> Self {
        Self {
            changes: BTreeMap::new(),
            floor,
        }
    }

    /// Takes in a commit.
    pub(super) fn learn(&mut self, commit: &Commit) {
        let events = commit.events.iter();
        self.insert(
            commit.sequence,
            events.filter_map(|recorded| recorded.event.fact_change()),
        );
    }

    pub(super) fn insert(&mut self, sequence: u64, changes: impl IntoIterator<Item = (Ordinal, FactChange)>) {
        let changes: Vec<_> = changes.into_iter().collect();
        if !changes.is_empty() {
            self.changes.insert(sequence, changes);
        }
    }

    /// Forgets what the read model was seen to have.
    fn forget(&mut self, checkpoint: u64) {
        if checkpoint > self.floor {
            self.floor = checkpoint;
            self.changes = self.changes.split_off(&(checkpoint + 1));
        }
    }

    /// Sheds what a read model that is said to have come this far has too, once it is much. If that turns
    /// out to be wrong, the floor tells, and the stretch is read from the log again.
    pub(super) fn shed(&mut self, projected: u64) {
        if self.changes.len() > KEPT {
            self.forget(projected);
        }
    }

    /// What can be told of these messages without the read model: everything, if all of them were sent above
    /// the floor.
    pub(super) fn without_read_model(&self, asked: &[Asked]) -> Option<MessageFacts> {
        let changes = self.changes.values().flatten();
        let sent: Vec<_> = changes
            .filter(|(_, change)| matches!(change, FactChange::Sent(_)))
            .map(|(message, _)| *message)
            .collect();
        if !asked.iter().all(|(message, _)| sent.contains(message)) {
            return None;
        }
        Some(MessageFacts {
            checkpoint: self.floor,
            messages: BTreeMap::new(),
        })
    }

    /// The messages as they are now: what the read model has of them, and what changed since.
    pub(super) fn now(&self, asked: &[Asked], known: &MessageFacts) -> Messages {
        let mut now = Messages::default();
        for (message, _) in asked {
            now.0.insert(*message, known.messages.get(message).cloned());
        }
        if now.0.is_empty() {
            return now;
        }
        for (message, change) in self
            .changes
            .range(known.checkpoint + 1..)
            .flat_map(|(_, changes)| changes)
        {
            now.apply(*message, change);
        }
        now
    }
}

/// What is known of the messages that a turn's commands are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Messages(HashMap<Ordinal, Option<Facts>>);

impl Messages {
    pub(super) fn get(&self, message: Ordinal) -> Option<&Facts> {
        self.0.get(&message)?.as_ref()
    }

    /// Takes in a change, if it is of one of the messages.
    pub(super) fn apply(&mut self, message: Ordinal, change: &FactChange) {
        if let Some(facts) = self.0.get_mut(&message) {
            Facts::apply(facts, change);
        }
    }
}
