//! The named commands that an actor knows to be carried out: those newer than what the read model has.

use std::collections::{HashMap, VecDeque};

use domain::CommandId;

use crate::envelope::Commit;
use crate::facts::CommandFact;

/// Commands that are kept in memory without asking whether the read model has them too.
const KEPT: usize = 256;

/// Named commands of one stream in all commits above `floor`.
#[derive(Debug, Default)]
pub(super) struct KnownCommands {
    facts: HashMap<CommandId, CommandFact>,
    order: VecDeque<(u64, CommandId)>,
    /// Every commit of the stream above this sequence is known here.
    pub(super) floor: u64,
    /// How far the read model was when commands were last shed.
    shed: u64,
}

impl KnownCommands {
    /// Nothing known yet of the commits above this sequence.
    pub(super) fn above(floor: u64) -> Self {
        Self {
            floor,
            ..Self::default()
        }
    }

    pub(super) fn get(&self, command: CommandId) -> Option<CommandFact> {
        self.facts.get(&command).copied()
    }

    pub(super) fn insert(&mut self, command: CommandId, fact: CommandFact) {
        if self
            .get(command)
            .is_none_or(|known| known.sequence < fact.sequence)
        {
            self.facts.insert(command, fact);
            self.order.push_back((fact.sequence, command));
        }
    }

    /// Takes in the commands of a commit.
    pub(super) fn learn(&mut self, commit: &Commit) {
        for tag in commit.events.iter().filter_map(|event| event.command) {
            let fact = CommandFact {
                fingerprint: tag.fingerprint,
                sequence: commit.sequence,
            };
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
            // A command may have been carried out again long after: only what this entry stands for goes.
            if self.get(command).is_some_and(|known| known.sequence == sequence) {
                self.facts.remove(&command);
            }
        }
    }

    /// Sheds what a read model that is said to have come this far has too, once it is much. If that
    /// turns out to be wrong, the floor tells, and the stretch is read from the log again.
    pub(super) fn shed(&mut self, projected: u64) {
        if self.facts.len() > KEPT && projected > self.shed {
            self.shed = projected;
            self.forget(projected);
        }
    }
}
