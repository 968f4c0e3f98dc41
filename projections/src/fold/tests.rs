//! What is written is as little as can be, and what cannot be is refused.

use domain::testing::user;
use domain::{CommandId, ConversationId, Fingerprint};
use eventstore::envelope::CommandTag;

use super::*;
use crate::contract::{History, at};

/// Folds what is pending over nothing.
fn fold_all(history: &mut History) -> Changes {
    fold(Rows::default(), std::mem::take(&mut history.pending), at(0)).unwrap()
}

/// The rows as a store would have them after these changes.
fn kept(changes: Changes) -> Rows {
    Rows {
        conversations: changes.conversations,
        members: changes.members,
        messages: changes.messages,
        ..Rows::default()
    }
}

fn refused(rows: Rows, history: &mut History) -> FoldError {
    fold(rows, std::mem::take(&mut history.pending), at(0)).unwrap_err()
}

/// How many rows are written for each of these in a group of this size: a message, a read, a reaction, an edit
/// and a deletion.
fn rows_written(size: usize) -> Vec<usize> {
    let names: Vec<_> = (0..size).map(|number| format!("user{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let mut history = History::default();
    let id = history.group(1, &names);
    let mut rows = kept(fold_all(&mut history));
    let mut counts = Vec::new();
    let mut message = None;
    for step in 0..5 {
        match (step, message) {
            (0, _) => message = Some(history.send(id, names[7])),
            (1, _) => drop(history.read(id, names[3], 1)),
            (2, Some(message)) => drop(history.react(message, names[5], "👍")),
            (3, Some(message)) => drop(history.edit(message, names[7], "anew")),
            (_, Some(message)) => drop(history.delete(message, names[7])),
            (_, None) => unreachable!("it is sent first"),
        }
        let keys = keys(&history.pending);
        let asked = Rows {
            conversations: rows.conversations.clone(),
            members: rows
                .members
                .iter()
                .filter(|m| keys.conversations[&id].contains(&m.user))
                .cloned()
                .collect(),
            messages: rows
                .messages
                .iter()
                .filter(|m| keys.messages.contains(&m.id()))
                .cloned()
                .collect(),
            settings: Vec::new(),
        };
        let changes = fold(asked, std::mem::take(&mut history.pending), at(0)).unwrap();
        assert!(changes.users.is_empty() && changes.commands.is_empty());
        counts.push(
            changes.conversations.len()
                + changes.members.len()
                + changes.marks.len()
                + changes.messages.len()
                + changes.changed_messages.len()
                + changes.versions.len()
                + changes.purged.len()
                + changes.reactions.len()
                + changes.read_moves.len(),
        );
        rows.messages.extend(changes.messages);
    }
    counts
}

#[test]
fn what_is_written_does_not_grow_with_the_group() {
    let small = rows_written(10);
    assert_eq!(small, [3, 2, 1, 2, 2]);
    assert_eq!(rows_written(10_000), small);
}

#[test]
fn a_row_that_changes_often_is_written_once() {
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    for _ in 0..10 {
        history.send_all(id, &["ann", "bob"]);
        history.read(id, "ann", 1);
        history.profile("ann", "Ann");
    }
    history.leave(id, "ann", Some("bob"));
    let changes = fold_all(&mut history);
    assert_eq!(
        (
            changes.conversations.len(),
            changes.members.len(),
            changes.marks.len()
        ),
        (1, 2, 0)
    );
    assert_eq!(
        (
            changes.messages.len(),
            changes.read_moves.len(),
            changes.users.len()
        ),
        (20, 0, 1)
    );
    assert_eq!(
        (
            changes.conversations[0].last_ordinal,
            changes.conversations[0].member_count
        ),
        (20, 1)
    );
    assert_eq!(changes.conversations[0].owner, Some(user("bob")));
    assert_eq!(
        (changes.members[1].own_count, changes.members[1].last_own_ordinal),
        (10, 20)
    );
}

#[test]
fn a_read_touches_no_conversation() {
    let mut history = History::default();
    let id = history.group(1, &["ann", "bob"]);
    history.send_all(id, &["bob", "bob"]);
    let rows = kept(fold_all(&mut history));
    history.read(id, "ann", 1);
    history.read(id, "ann", 2);
    history.unread(id, "ann", 0);
    let changes = fold(rows, history.pending, at(0)).unwrap();
    assert_eq!(
        (
            changes.conversations.len(),
            changes.members.len(),
            changes.marks.len()
        ),
        (0, 0, 1)
    );
    assert_eq!(
        (changes.marks[0].marks.read, changes.marks[0].marks.receipt),
        (0, 2)
    );
    assert_eq!(changes.read_moves.len(), 2);
}

#[test]
fn commands_are_kept_while_they_are_promised() {
    let mut history = History::default();
    let tag = |number| CommandTag {
        id: CommandId::from_bytes([number; 16]),
        fingerprint: Fingerprint::from_bytes([0; 16]),
    };
    let id = history.group(1, &["ann"]);
    for number in 1..=3 {
        history.command = Some(tag(number));
        history.send_all(id, &["ann", "ann"]);
    }
    let kept = |since| {
        let changes = fold(Rows::default(), history.pending.clone(), since).unwrap();
        changes
            .commands
            .iter()
            .map(|command| command.sequence)
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(at(0)), [2, 3, 4]);
    assert_eq!(kept(at(3)), [3, 4]);
    assert_eq!(kept(at(5)), Vec::<u64>::new());
}

#[test]
fn what_does_not_follow_is_refused() {
    let mut history = History::default();
    let missing = ConversationId::from_bytes([9; 16]);
    history.send(missing, "ann");
    let error = refused(Rows::default(), &mut history);
    assert_eq!((error.shard, error.sequence), (0, 1));
    history.join(missing, &["ann"]);
    assert_eq!(
        refused(Rows::default(), &mut history).what,
        "the conversation was never created"
    );
    history.read(missing, "ann", 1);
    assert_eq!(
        refused(Rows::default(), &mut history).what,
        "the user was never a member"
    );
    history.group(1, &["ann"]);
    let rows = kept(fold_all(&mut history));
    history.group(1, &["ann"]);
    assert_eq!(
        refused(rows, &mut history).what,
        "a conversation that exists is created"
    );
}
