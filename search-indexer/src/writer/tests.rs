//! Replay, crashes and checkpoints, without a log.

use std::path::Path;

use domain::conversation::{Body, Edit, Event as Happened, Message, MessageKind};
use domain::values::Content;
use domain::{CommitId, ConversationId, EventId, MessageId, Ordinal, Private, TenantId, Timestamp, UserId};
use eventstore::envelope::{Recorded, Trace};
use eventstore::{Event, Stream};

use super::*;
use crate::query::{Filters, SearchRequest};

fn tenant() -> TenantId {
    TenantId::parse("t").unwrap()
}

fn conversation() -> ConversationId {
    ConversationId::from_bytes([1; 16])
}

/// The commit at a sequence, which sends the message of that ordinal.
fn commit(sequence: u64, body: Private<&str>) -> Commit {
    let body = match body {
        Private::Readable(text) => Private::Readable(Body::text(Content::parse(text).unwrap(), None)),
        Private::Erased => Private::Erased,
    };
    let message = Message {
        ordinal: Ordinal::new(sequence).unwrap(),
        sender: UserId::parse("ann").unwrap(),
        kind: MessageKind::Text,
        body,
        reply_to: None,
        sent_at: Timestamp::from_millis(0),
        imported_line: None,
    };
    happened(sequence, Happened::MessageSent(message))
}

/// The commit at a sequence, of this one event.
fn happened(sequence: u64, event: Happened) -> Commit {
    Commit {
        id: CommitId::from_bytes(u128::from(sequence).to_be_bytes()),
        shard: 0,
        sequence,
        stream: Stream::Conversation(tenant(), conversation()),
        time: Timestamp::from_millis(0),
        events: vec![Recorded {
            id: EventId::from_bytes([0; 16]),
            version: sequence,
            actor: None,
            command: None,
            trace: Trace::default(),
            event: Event::Conversation(event),
        }],
    }
}

fn found(index: &SearchIndex) -> Vec<u64> {
    let request = SearchRequest {
        tenant: tenant(),
        conversations: vec![conversation()],
        text: "word".to_owned(),
        limit: 1_000,
        cursor: None,
        filters: Filters::default(),
    };
    let page = index.search(&request).unwrap();
    assert_eq!(page.total, page.hits.len() as u64);
    let ordinal = |MessageId { ordinal, .. }| ordinal.get();
    page.hits.into_iter().map(|hit| ordinal(hit.id)).collect()
}

struct Opened {
    index: SearchIndex,
    writer: Writer,
    progress: Progress,
}

fn open(dir: &Path, epoch: Epoch) -> Opened {
    let index = SearchIndex::open(dir).unwrap();
    let writer = Writer::open(&index, epoch).unwrap();
    Opened {
        index,
        writer,
        progress: Progress::new(1),
    }
}

impl Opened {
    fn take(&mut self, sequences: impl IntoIterator<Item = u64>) {
        for sequence in sequences {
            self.writer
                .take(&commit(sequence, Private::Readable("word")))
                .unwrap();
        }
    }

    fn commit(&mut self) {
        self.writer.commit(&self.progress).unwrap();
    }
}

#[test]
fn taking_in_the_same_commits_again_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = Epoch::draw();
    let mut opened = open(dir.path(), epoch);
    opened.take([1, 2, 3]);
    opened.take([2, 3]);
    opened.commit();
    assert_eq!(found(&opened.index), [3, 2, 1]);
    opened.take([1, 2, 3]);
    opened.commit();
    assert_eq!(found(&opened.index), [3, 2, 1]);
    drop(opened);

    let mut opened = open(dir.path(), epoch);
    opened.take([1, 2, 3, 4]);
    opened.commit();
    assert_eq!(found(&opened.index), [4, 3, 2, 1]);
    assert_eq!(opened.index.messages(), 4);
}

fn edited(sequence: u64, ordinal: u64, text: &str) -> Commit {
    let edit = Edit {
        message: Ordinal::new(ordinal).unwrap(),
        sender: UserId::parse("ann").unwrap(),
        reply_to: None,
        sent_at: Timestamp::from_millis(0),
        content: Private::Readable(Content::parse(text).unwrap()),
    };
    happened(sequence, Happened::MessageEdited(edit))
}

#[test]
fn an_edited_message_is_found_by_its_new_text_and_a_deleted_one_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = Epoch::draw();
    let mut opened = open(dir.path(), epoch);
    opened.take([1, 2, 3]);
    opened.commit();
    let deleted = Happened::MessageDeleted {
        message: Ordinal::new(2).unwrap(),
        by: UserId::parse("ann").unwrap(),
    };
    let changes = [
        edited(4, 1, "another"),
        happened(5, deleted),
        edited(6, 3, "word for word"),
        edited(7, 3, "word again"),
    ];
    // Also when they are taken in again, and with what they change.
    for round in 0..2 {
        for change in &changes {
            opened.writer.take(change).unwrap();
        }
        opened.commit();
        assert_eq!(found(&opened.index), [3], "round {round}");
        assert_eq!(opened.index.messages(), 2);
        drop(opened);
        opened = open(dir.path(), epoch);
        opened.take([1, 2, 3]);
    }
}

#[test]
fn what_was_not_committed_is_taken_in_again() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = Epoch::draw();
    let mut opened = open(dir.path(), epoch);
    opened.take([1, 2]);
    opened.commit();
    opened.take([3, 4]);
    assert!(opened.writer.has_changes());
    assert_eq!((found(&opened.index), opened.progress.get(0)), (vec![2, 1], 2));
    drop(opened);

    let mut opened = open(dir.path(), epoch);
    assert_eq!(found(&opened.index), [2, 1]);
    let checkpoint = opened.writer.checkpoints()[0];
    assert_eq!(
        (checkpoint.sequence, checkpoint.commit_id),
        (2, Some(commit(2, Private::Erased).id))
    );
    opened.take([3, 4, 5]);
    opened.commit();
    assert_eq!(
        (found(&opened.index), opened.progress.get(0)),
        (vec![5, 4, 3, 2, 1], 5)
    );
}

#[test]
fn an_erased_message_goes() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path(), Epoch::draw());
    opened.take([1, 2]);
    opened.commit();
    opened.writer.take(&commit(1, Private::Erased)).unwrap();
    opened.commit();
    assert_eq!(found(&opened.index), [2]);
}

#[test]
fn the_checkpoint_outlives_many_commits_and_merges() {
    let dir = tempfile::tempdir().unwrap();
    let epoch = Epoch::draw();
    let mut opened = open(dir.path(), epoch);
    for sequence in 1..=40 {
        opened.take([sequence]);
        opened.commit();
    }
    opened.take([41]);
    opened.writer.complete(&opened.progress).unwrap();
    let index = SearchIndex::open(dir.path()).unwrap();
    assert_eq!(Writer::open(&index, epoch).unwrap().checkpoints()[0].sequence, 41);
    assert_eq!(found(&index), (1..=41).rev().collect::<Vec<_>>());
    assert!(index.snapshot().columns.len() < 40, "segments were merged");
}

#[test]
fn what_changes_nothing_advances_without_a_commit() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = open(dir.path(), Epoch::draw());
    let mut nothing = commit(7, Private::Erased);
    nothing.stream = Stream::User(tenant(), UserId::parse("ann").unwrap());
    opened.writer.take(&nothing).unwrap();
    assert!(opened.writer.has_moved() && !opened.writer.has_changes());
    opened.writer.advance(&opened.progress);
    assert_eq!(opened.progress.get(0), 7);

    opened.take([8]);
    opened.writer.advance(&opened.progress);
    assert_eq!(
        opened.progress.get(0),
        7,
        "what searches do not see is not reported"
    );
}

#[test]
fn only_one_writes() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path(), Epoch::draw());
    assert!(matches!(
        Writer::open(&opened.index, Epoch::draw()),
        Err(WriteError::Busy)
    ));
    drop(opened.writer);
    assert!(Writer::open(&opened.index, Epoch::draw()).is_ok());
}
