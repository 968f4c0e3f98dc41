//! The named commands that an actor knows to be carried out: those newer than what the read model has.

use std::collections::{HashMap, VecDeque};

use domain::CommandId;

use crate::envelope::Commit;
use crate::facts::CommandFact;

/// Named commands of one stream in all commits above `floor`.
#[derive(Debug, Default)]
pub(super) struct KnownCommands {
    facts: HashMap<CommandId, CommandFact>,
    order: VecDeque<(u64, CommandId)>,
    /// Every commit of the stream above this sequence is known here.
    pub(super) floor: u64,
}

impl KnownCommands {
    /// Nothing known yet of the commits above this sequence.
    pub(super) fn above(floor: u64) -> Self {
        Self { floor, ..Self::default() }
    }

    pub(super) fn get(&self, command: CommandId) -> Option<CommandFact> {
        self.facts.get(&command).copied()
    }

    pub(super) fn insert(&mut self, command: CommandId, fact: CommandFact) {
        if self.facts.insert(command, fact).is_none() {
            self.order.push_back((fact.sequence, command));
        }
    }

    /// Takes in the commands of a commit.
    pub(super) fn learn(&mut self, commit: &Commit) {
        for tag in commit.events.iter().filter_map(|event| event.command) {
            let fact = CommandFact { fingerprint: tag.fingerprint, sequence: commit.sequence };
            self.insert(tag.id, fact);
        }
    }

    /// Forgets what the read model was seen to have. `checkpoint` must have been read from it together
    /// with the facts that are asked for from now on.
    pub(super) fn forget(&mut self, checkpoint: u64) {
        if checkpoint <= self.floor {
            return;
        }
        self.floor = checkpoint;
        while let Some((sequence, command)) = self.order.front().copied()
            && sequence <= checkpoint
        {
            self.order.pop_front();
            self.facts.remove(&command);
        }
    }
}
