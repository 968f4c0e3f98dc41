//! What a stream holds in the end, and what must be true of every stream.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::conversation::{Conversation, Event, Message};
use domain::{Aggregate, CommandId};
use eventstore::envelope;
use eventstore::log::MAX_COMMIT_BYTES;
use eventstore::{Commit, Stream};

use super::world::World;

/// All commits of a stream, from the log alone.
pub(super) struct History {
    pub(super) commits: Vec<Commit>,
    /// Bytes of each commit's payload.
    pub(super) sizes: Vec<usize>,
}

impl History {
    /// Reads a stream whole and checks what must be true of every stream.
    pub(super) async fn of(world: &World, stream: &Stream) -> Self {
        let (mut commits, mut sizes, mut after) = (Vec::new(), Vec::new(), 0);
        loop {
            let records = world.log.read_stream(stream, after, 1_000).await.unwrap();
            let Some(last) = records.last() else { break };
            after = last.sequence;
            sizes.extend(records.iter().map(|record| record.payload.len()));
            commits.extend(world.codec.decode(&records).await.unwrap());
        }
        let history = Self { commits, sizes };
        history.check(matches!(stream, Stream::Reads(..)));
        history
    }

    fn check(&self, lane: bool) {
        let (mut version, mut ordinal, mut seen) = (0, 0, HashSet::new());
        for pair in self.commits.windows(2) {
            assert!(pair[0].sequence < pair[1].sequence, "commits out of order");
            assert!(
                pair[0].time <= pair[1].time,
                "time went backwards at {}",
                pair[1].sequence
            );
        }
        for commit in &self.commits {
            assert!(
                seen.insert(commit.id.to_bytes()),
                "the commit at {} is there twice",
                commit.sequence
            );
            for event in &commit.events {
                version += u64::from(!lane);
                assert_eq!(event.version, version, "versions are contiguous");
                if let envelope::Event::Conversation(Event::MessageSent(message)) = &event.event {
                    ordinal += 1;
                    assert_eq!(message.ordinal.get(), ordinal, "ordinals are contiguous");
                }
            }
        }
        assert!(
            self.sizes.iter().all(|size| *size <= MAX_COMMIT_BYTES),
            "a commit is over the cap"
        );
    }

    pub(super) fn events(&self) -> impl Iterator<Item = &Event> {
        let events = self.commits.iter().flat_map(|commit| &commit.events);
        events.filter_map(|recorded| match &recorded.event {
            envelope::Event::Conversation(event) => Some(event),
            _ => None,
        })
    }

    pub(super) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.events().filter_map(|event| match event {
            Event::MessageSent(message) => Some(message),
            _ => None,
        })
    }

    /// The texts of the messages, in their order.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.messages().map(text).collect()
    }

    /// The texts of each sender, in their order.
    pub(super) fn texts_by_sender(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut by_sender: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for message in self.messages() {
            by_sender
                .entry(message.sender.as_str())
                .or_default()
                .push(text(message));
        }
        by_sender
    }

    /// How many commits came after this one.
    pub(super) fn since(&self, sequence: u64) -> u64 {
        let commits = self.commits.iter().filter(|commit| commit.sequence > sequence);
        commits.count() as u64
    }

    /// Where the events of each named command are.
    pub(super) fn named(&self) -> HashMap<CommandId, Vec<u64>> {
        let mut named: HashMap<_, Vec<_>> = HashMap::new();
        for commit in &self.commits {
            for tag in commit.events.iter().filter_map(|event| event.command) {
                named.entry(tag.id).or_default().push(commit.sequence);
            }
        }
        named
    }

    /// The state folded from every event.
    pub(super) fn state(&self) -> Conversation {
        let mut state = Conversation::default();
        self.events()
            .for_each(|event| Conversation::evolve(&mut state, event));
        state
    }
}

pub(super) fn text(message: &Message) -> &str {
    message
        .body
        .readable()
        .unwrap()
        .content
        .as_ref()
        .unwrap()
        .as_str()
}
