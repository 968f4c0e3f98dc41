//! What an actor knows that is newer than what the read model has: the named commands that were carried
//! out, and (in `changes`) what became of messages.

use std::collections::{HashMap, VecDeque};

use domain::CommandId;

use super::changes::KnownChanges;
use crate::envelope::Commit;
use crate::facts::CommandFact;

/// Commands that are kept in memory without asking whether the read model has them too.
const KEPT: usize = 256;
/// Look-ups after which it is worth reading the ids of all older commands, and the most of them that are
/// read.
const LOOK_UPS: u32 = 8;
pub(super) const MOST_OLDER: u32 = 16_384;

/// Everything that an actor knows beside its state.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) commands: KnownCommands,
    pub(super) changes: KnownChanges,
}

impl Known {
    /// Nothing known yet of the commits above this sequence.
    pub(super) fn above(floor: u64) -> Self {
        Self {
            commands: KnownCommands::above(floor),
            changes: KnownChanges::above(floor),
        }
    }

    /// Takes in a commit.
    pub(super) fn learn(&mut self, commit: &Commit) {
        self.commands.learn(commit);
        self.changes.learn(commit);
    }

    /// Sheds what a read model that is said to have come this far has too, once it is much.
    pub(super) fn shed(&mut self, projected: u64) {
        self.commands.shed(projected);
        self.changes.shed(projected);
    }
}

/// Named commands of one stream in all commits above `floor`.
#[derive(Debug, Default)]
pub(super) struct KnownCommands {
    facts: HashMap<CommandId, CommandFact>,
    order: VecDeque<(u64, CommandId)>,
    /// Every commit of the stream above this sequence is known here.
    pub(super) floor: u64,
    /// How far the read model was when commands were last shed.
    shed: u64,
    older: Older,
}

/// What is known of the commands up to the floor.
#[derive(Debug)]
enum Older {
    /// Nothing; so often one was looked up.
    Nothing(u32),
    /// All of their ids, and a few others.
    Among(IdFilter),
    /// That they are too many.
    TooMany,
}

impl Default for Older {
    fn default() -> Self {
        Self::Nothing(0)
    }
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

    /// Whether it takes a look-up to know if this command was carried out.
    pub(super) fn is_in_doubt(&self, command: CommandId) -> bool {
        self.floor > 0
            && self.get(command).is_none()
            && match &self.older {
                Older::Among(older) => older.may_have(command),
                Older::Nothing(_) | Older::TooMany => true,
            }
    }

    /// Before a look-up: whether the ids of all older commands are to be read instead, so that there need
    /// be no more of them.
    pub(super) fn wants_older(&mut self) -> bool {
        match &mut self.older {
            Older::Nothing(look_ups) => {
                *look_ups += 1;
                *look_ups > LOOK_UPS
            }
            Older::Among(_) | Older::TooMany => false,
        }
    }

    /// Takes in the ids of all commands up to the floor; `None` when they are too many.
    pub(super) fn learn_older(&mut self, ids: Option<Vec<CommandId>>) {
        self.older = ids.map_or(Older::TooMany, |ids| {
            let mut filter = IdFilter::with_room_for(2 * ids.len().max(KEPT));
            ids.into_iter().for_each(|id| filter.insert(id));
            Older::Among(filter)
        });
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
            if let Older::Among(older) = &mut self.older {
                older.insert(command);
            }
            // A command may have been carried out again long after: only what this entry stands for goes.
            if self.get(command).is_some_and(|known| known.sequence == sequence) {
                self.facts.remove(&command);
            }
        }
        if matches!(&self.older, Older::Among(older) if older.is_full()) {
            self.older = Older::Nothing(LOOK_UPS);
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

/// Ids in a few bits each (a Bloom filter): says of none that is in it that it is not, and of one in some
/// hundred that is not in it that it may be.
#[derive(Debug)]
struct IdFilter {
    words: Vec<u64>,
    ids: usize,
    room: usize,
}

impl IdFilter {
    const BITS_PER_ID: usize = 10;
    const BITS_OF_AN_ID: u64 = 4;

    fn with_room_for(ids: usize) -> Self {
        Self {
            words: vec![0; (ids * Self::BITS_PER_ID).div_ceil(64).next_power_of_two()],
            ids: 0,
            room: ids,
        }
    }

    /// Ids are hashes, or end in random bits: those choose the places.
    fn places(&self, id: CommandId) -> impl Iterator<Item = (usize, u64)> + use<> {
        let random = u128::from_be_bytes(id.to_bytes());
        let bits = self.words.len() as u64 * 64;
        let [first, step] = [random, random >> 32].map(|random| random as u32).map(u64::from);
        (0..Self::BITS_OF_AN_ID).map(move |number| {
            let bit = (first + number * (step | 1)) & (bits - 1);
            ((bit / 64) as usize, 1 << (bit % 64))
        })
    }

    fn insert(&mut self, id: CommandId) {
        for (word, bit) in self.places(id) {
            self.words[word] |= bit;
        }
        self.ids += 1;
    }

    fn may_have(&self, id: CommandId) -> bool {
        self.places(id).all(|(word, bit)| self.words[word] & bit != 0)
    }

    fn is_full(&self) -> bool {
        self.ids > self.room
    }
}

#[cfg(test)]
mod tests {
    use domain::Fingerprint;
    use ulid::Ulid;

    use super::*;

    fn id() -> CommandId {
        Ulid::generate().into()
    }

    fn fact(sequence: u64) -> CommandFact {
        CommandFact {
            fingerprint: Fingerprint::from_bytes([1; 16]),
            sequence,
        }
    }

    #[test]
    fn a_filter_has_what_is_in_it_and_little_else() {
        let mut filter = IdFilter::with_room_for(1_000);
        let ids: Vec<_> = (0..1_000).map(|_| id()).collect();
        ids.iter().for_each(|id| filter.insert(*id));
        assert!(ids.iter().all(|id| filter.may_have(*id)) && !filter.is_full());
        let wrong = (0..10_000).filter(|_| filter.may_have(id())).count();
        assert!(wrong < 500, "{wrong}");
    }

    #[test]
    fn what_was_let_go_of_stays_in_doubt_and_what_never_was_is_not() {
        let (old, new) = (id(), id());
        let mut known = KnownCommands::above(10);
        assert!(known.is_in_doubt(old));
        while !known.wants_older() {}
        known.learn_older(Some(vec![old]));
        known.insert(new, fact(11));
        assert!(known.is_in_doubt(old) && !known.is_in_doubt(new) && known.get(new).is_some());
        known.forget(11);
        assert!(known.is_in_doubt(old) && known.is_in_doubt(new) && known.get(new).is_none());
        assert!((0..64).any(|_| !known.is_in_doubt(id())));
        known.learn_older(None);
        assert!(known.is_in_doubt(id()) && !known.wants_older());
    }

    #[test]
    fn a_filter_that_is_full_is_read_anew() {
        let mut known = KnownCommands::above(1);
        known.learn_older(Some(Vec::new()));
        for sequence in 2..=600 {
            known.insert(id(), fact(sequence));
        }
        known.forget(600);
        assert!(known.wants_older());
    }
}
