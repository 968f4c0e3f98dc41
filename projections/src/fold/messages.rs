//! What becomes of messages.

use std::collections::{BTreeMap, BTreeSet};

use domain::conversation::{Edit, Reaction};
use domain::{ConversationId, MessageId, Ordinal, Private, Timestamp};

use super::{Changes, Folded};
use crate::messages::{MessageRow, ReactionKey, ReactionRow, VersionRow};

/// The messages of a batch: the new ones, those that something became of, and what.
#[derive(Default)]
pub(super) struct Messages {
    rows: BTreeMap<MessageId, (MessageRow, Change)>,
    versions: Vec<VersionRow>,
    purged: BTreeSet<MessageId>,
    /// When each was added; `None` when it was removed.
    reactions: BTreeMap<ReactionKey, Option<Timestamp>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    None,
    Changed,
    New,
}

impl Messages {
    pub(super) fn over(rows: Vec<MessageRow>) -> Self {
        let rows = rows.into_iter().map(|row| (row.id(), (row, Change::None)));
        Self {
            rows: rows.collect(),
            ..Self::default()
        }
    }

    pub(super) fn sent(&mut self, row: MessageRow) {
        self.rows.insert(row.id(), (row, Change::New));
    }

    pub(super) fn edited(
        &mut self,
        conversation: ConversationId,
        edit: Edit,
        version: u64,
        at: Timestamp,
    ) -> Folded {
        let row = self.changing(conversation, edit.message)?;
        let before = row.edited(edit, version, at);
        self.versions.push(before);
        Ok(())
    }

    pub(super) fn deleted(
        &mut self,
        conversation: ConversationId,
        message: Ordinal,
        version: u64,
        at: Timestamp,
    ) -> Folded {
        let row = self.changing(conversation, message)?;
        row.deleted(version, at);
        let id = row.id();
        self.versions.retain(|row| row.message != id);
        self.reactions.retain(|(message, ..), _| *message != id);
        self.purged.insert(id);
        Ok(())
    }

    /// What an erased reaction was is not known: nothing is there, and nothing goes.
    pub(super) fn reacted(
        &mut self,
        conversation: ConversationId,
        reaction: Reaction,
        added_at: Option<Timestamp>,
    ) {
        if let Private::Readable(emoji) = reaction.emoji {
            let message = MessageId {
                conversation,
                ordinal: reaction.message,
            };
            self.reactions.insert((message, reaction.user, emoji), added_at);
        }
    }

    fn changing(&mut self, conversation: ConversationId, ordinal: Ordinal) -> Folded<&mut MessageRow> {
        let id = MessageId {
            conversation,
            ordinal,
        };
        let (row, change) = self.rows.get_mut(&id).ok_or("the message was never sent")?;
        if *change == Change::None {
            *change = Change::Changed;
        }
        Ok(row)
    }

    pub(super) fn into_changes(self, changes: &mut Changes) {
        for (row, change) in self.rows.into_values() {
            match change {
                Change::None => {}
                Change::Changed => changes.changed_messages.push(row),
                Change::New => changes.messages.push(row),
            }
        }
        changes.versions = self.versions;
        changes.purged = self.purged.into_iter().collect();
        for (key, added_at) in self.reactions {
            match added_at {
                Some(added_at) => changes.reactions.push(ReactionRow { key, added_at }),
                None => changes.removed_reactions.push(key),
            }
        }
    }
}
