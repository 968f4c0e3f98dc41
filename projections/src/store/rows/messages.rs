//! Rows of messages, and of what became of them.

use std::collections::BTreeMap;

use domain::conversation;
use domain::values::Emoji;
use domain::{ConversationId, MessageId, Ordinal, UserId};
use eventstore::facts::MessageFacts;
use serde::de::DeserializeOwned;

use super::super::column::{Cells, Columns, damaged};
use super::{Read, cut};
use crate::messages::MessageRow;
use crate::view::{
    AnsweredView, MessagePage, MessageRange, MessageTally, MessageView, ReactionCount, ReactionView,
    VersionView,
};

fn ordinal<'r>(columns: &mut Columns<impl Cells<'r>>) -> Read<Ordinal> {
    columns
        .optional_ordinal()?
        .ok_or_else(|| damaged("a message without an ordinal"))
}

/// The message of a row; `None` when the row only says that there is none.
fn message<'r>(row: impl Cells<'r>) -> Read<Option<MessageView>> {
    let mut columns = Columns::of(row);
    let Some(conversation) = columns.optional_id(ConversationId::from_bytes)? else {
        return Ok(None);
    };
    Ok(Some(MessageView {
        id: MessageId {
            conversation,
            ordinal: ordinal(&mut columns)?,
        },
        sender: columns.parsed(UserId::parse)?,
        kind: columns.message_kind()?,
        content: columns.optional_text()?,
        reply_to: columns.optional_ordinal()?,
        sent_at: columns.time()?,
        recorded_at: columns.time()?,
        edited_at: columns.optional_time()?,
        deleted_at: columns.optional_time()?,
        attachments: json(columns.optional_text()?)?.unwrap_or_default(),
        card: json(columns.optional_text()?)?,
        answered: answered(&mut columns)?,
        reactions: reactions(columns.optional_text()?)?,
    }))
}

/// What a column holds as JSON.
fn json<T: DeserializeOwned>(text: Option<String>) -> Read<Option<T>> {
    let value = text.map(|text| serde_json::from_str(&text));
    value.transpose().map_err(|_| damaged("JSON of another shape"))
}

fn answered<'r>(columns: &mut Columns<impl Cells<'r>>) -> Read<Option<AnsweredView>> {
    let Some(sender) = columns.optional_user()? else {
        columns.skip(3);
        return Ok(None);
    };
    Ok(Some(AnsweredView {
        sender,
        kind: columns.message_kind()?,
        content: columns.optional_text()?,
        is_deleted: columns.flag()?,
    }))
}

/// The reactions to a message: `[[emoji, how many, 1 when the asking user's is among them], ...]`.
fn reactions(text: Option<String>) -> Read<Vec<ReactionCount>> {
    let counted: Vec<(String, u64, u8)> = json(text)?.unwrap_or_default();
    let count = |(emoji, count, mine)| ReactionCount {
        emoji,
        count,
        is_mine: mine != 0,
    };
    Ok(counted.into_iter().map(count).collect())
}

pub(in crate::store) fn messages<'r>(
    rows: impl IntoIterator<Item = impl Cells<'r>>,
) -> Read<Vec<MessageView>> {
    rows.into_iter()
        .filter_map(|row| message(row).transpose())
        .collect()
}

/// A page of what was asked for: one row more than its limit was fetched. No row at all is no conversation.
pub(in crate::store) fn message_page<'r, C: Cells<'r>>(
    rows: impl ExactSizeIterator<Item = C>,
    range: MessageRange,
) -> Read<Option<MessagePage>> {
    if rows.len() == 0 {
        return Ok(None);
    }
    let mut items = messages(rows)?;
    items.sort_unstable_by_key(|item| item.id);
    // The one beyond the limit is the farthest from what was asked for: the newest after, the oldest before.
    if range.after.is_none() {
        items.reverse();
    }
    let has_more = cut(&mut items, range.limit);
    if range.after.is_none() {
        items.reverse();
    }
    Ok(Some(MessagePage { items, has_more }))
}

/// The texts of a message; no row at all is no message.
pub(in crate::store) fn versions<'r, C: Cells<'r>>(
    rows: impl ExactSizeIterator<Item = C>,
) -> Read<Option<Vec<VersionView>>> {
    if rows.len() == 0 {
        return Ok(None);
    }
    let mut versions = Vec::new();
    for row in rows {
        let mut columns = Columns::of(row);
        // One row without a text says that there was no other.
        let Some(number) = columns.optional_number()? else {
            break;
        };
        versions.push(VersionView {
            number,
            content: columns.optional_text()?,
            written_at: columns.time()?,
        });
    }
    Ok(Some(versions))
}

pub(in crate::store) fn reaction<'r>(row: impl Cells<'r>) -> Read<ReactionView> {
    let mut columns = Columns::of(row);
    Ok((columns.text()?, columns.parsed(UserId::parse)?, columns.time()?))
}

pub(in crate::store) fn tally<'r>(row: impl Cells<'r>) -> Read<MessageTally> {
    let mut columns = Columns::of(row);
    Ok(MessageTally {
        kind: columns.message_kind()?,
        sender: columns.parsed(UserId::parse)?,
        day: columns.time()?.as_millis(),
        count: columns.number()?,
        first_at: columns.time()?,
        last_at: columns.time()?,
        attachments: columns.number()?,
    })
}

pub(in crate::store) fn message_row<'r>(row: impl Cells<'r>) -> Read<MessageRow> {
    let mut columns = Columns::of(row);
    Ok(MessageRow {
        conversation: columns.id(ConversationId::from_bytes)?,
        ordinal: ordinal(&mut columns)?,
        sender: columns.parsed(UserId::parse)?,
        sender_seq: columns.number()?,
        kind: columns.message_kind()?,
        content: columns.optional_text()?,
        reply_to: columns.optional_ordinal()?,
        sent_at: columns.time()?,
        recorded_at: columns.time()?,
        edits: columns.number()?,
        edited_at: columns.optional_time()?,
        deleted_at: columns.optional_time()?,
        version: columns.number()?,
        attachments: columns.optional_text()?,
        card: columns.optional_text()?,
    })
}

pub(in crate::store) fn message_facts<'r>(
    rows: impl IntoIterator<Item = impl Cells<'r>>,
) -> Read<MessageFacts> {
    let mut facts = MessageFacts::default();
    for row in rows {
        let mut columns = Columns::of(row);
        facts.checkpoint = columns.number()?;
        // One row without a message carries the checkpoint when none is known.
        let Some(ordinal) = columns.optional_ordinal()? else {
            continue;
        };
        let message = conversation::Facts {
            sender: columns.parsed(UserId::parse)?,
            kind: columns.message_kind()?,
            reply_to: columns.optional_ordinal()?,
            sent_at: columns.time()?,
            is_deleted: columns.flag()?,
            reactions: BTreeMap::new(),
        };
        let message = facts.messages.entry(ordinal).or_insert(message);
        if let Some(user) = columns.optional_user()? {
            let emoji = Emoji::recorded(columns.text()?);
            message.reactions.entry(user).or_default().insert(emoji);
        }
    }
    Ok(facts)
}
