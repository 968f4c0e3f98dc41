//! What the projector reads and writes: rows by key, batches, checkpoints.

use domain::{MessageId, Ordinal, Timestamp};
use eventstore::consumer::Checkpoint;
use sqlx::{Connection, SqliteConnection};

use super::column::{Found, Hex, json};
use super::{attachments, sql, store_error};
use crate::fold::{Changes, Keys, Rows};
use crate::store::column::integer;
use crate::store::spelling::{folded, kind_text, role_text, status_text};
use crate::store::{ApplyError, Batch, StoreError, rows};

pub(super) async fn checkpoint(
    connection: &mut SqliteConnection,
    shard: u16,
) -> Result<Option<Checkpoint>, StoreError> {
    let row = sqlx::query(sql::CHECKPOINT_LOAD)
        .bind(shard)
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(rows::checkpoint).transpose()
}

pub(super) async fn checkpoints(connection: &mut SqliteConnection) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = sqlx::query(sql::CHECKPOINTS)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::checkpoint).collect()
}

pub(super) async fn load(connection: &mut SqliteConnection, keys: &Keys) -> Result<Rows, StoreError> {
    let mut loaded = Rows::default();
    if !keys.conversations.is_empty() {
        let asked = json(keys.conversations.keys().map(|id| Hex(id.to_bytes())))?;
        let query = sqlx::query(sql::LOAD_CONVERSATIONS).bind(asked);
        let found = Found::of(query, connection).await?;
        loaded.conversations = found
            .rows()?
            .iter()
            .map(rows::conversation)
            .collect::<Result<_, _>>()?;
        let asked = json(
            keys.conversations
                .iter()
                .flat_map(|(id, users)| users.iter().map(|user| (Hex(id.to_bytes()), user.as_str()))),
        )?;
        let query = sqlx::query(sql::LOAD_MEMBERS).bind(asked);
        let found = Found::of(query, connection).await?;
        loaded.members = found.rows()?.iter().map(rows::member).collect::<Result<_, _>>()?;
    }
    if !keys.messages.is_empty() {
        let asked = json(keys.messages.iter().map(key))?;
        let query = sqlx::query(sql::LOAD_MESSAGES).bind(asked);
        let found = Found::of(query, connection).await?;
        loaded.messages = found
            .rows()?
            .iter()
            .map(rows::message_row)
            .collect::<Result<_, _>>()?;
    }
    if !keys.settings.is_empty() {
        let asked = keys.settings.iter();
        let asked =
            json(asked.map(|(tenant, user, id)| (tenant.as_str(), user.as_str(), Hex(id.to_bytes()))))?;
        let query = sqlx::query(sql::LOAD_SETTINGS).bind(asked);
        let found = Found::of(query, connection).await?;
        loaded.settings = found
            .rows()?
            .iter()
            .map(rows::settings)
            .collect::<Result<_, _>>()?;
    }
    Ok(loaded)
}

/// The columns that a message is found by.
pub(super) fn key(message: &MessageId) -> (Hex, Ordinal) {
    (Hex(message.conversation.to_bytes()), message.ordinal)
}

pub(super) async fn apply(connection: &mut SqliteConnection, batch: &Batch) -> Result<(), ApplyError> {
    let mut transaction = connection
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(store_error)?;
    move_checkpoint(&mut transaction, &batch.from, &batch.to).await?;
    for (statement, rows) in encode(&batch.changes)? {
        sqlx::query(statement)
            .bind(rows)
            .execute(&mut *transaction)
            .await
            .map_err(store_error)?;
    }
    transaction.commit().await.map_err(store_error)?;
    Ok(())
}

async fn move_checkpoint(
    connection: &mut SqliteConnection,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<(), ApplyError> {
    let epoch = from.epoch.to_string();
    if from.sequence == 0 {
        sqlx::query(sql::CHECKPOINT_START)
            .bind(from.shard)
            .bind(&epoch)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    let moved = sqlx::query(sql::CHECKPOINT_MOVE)
        .bind(from.shard)
        .bind(epoch)
        .bind(integer(from.sequence)?)
        .bind(integer(to.sequence)?)
        .bind(to.commit_id.map(|id| id.to_bytes().to_vec()))
        .execute(connection)
        .await
        .map_err(store_error)?;
    if moved.rows_affected() == 1 {
        Ok(())
    } else {
        Err(ApplyError::Superseded {
            shard: from.shard,
            expected: from.sequence,
        })
    }
}

/// The statements that write these changes, each with its rows. What did not change has none.
fn encode(changes: &Changes) -> Result<Vec<(&'static str, String)>, StoreError> {
    let mut statements = Vec::with_capacity(16);
    let mut add = |statement, is_empty: bool, rows: Result<String, StoreError>| {
        if !is_empty {
            statements.push((statement, rows?));
        }
        Ok::<_, StoreError>(())
    };
    let conversations = changes.conversations.iter().map(|row| {
        (
            Hex(row.id.to_bytes()),
            row.tenant.as_str(),
            kind_text(row.kind),
            &row.name,
            &row.description,
            &row.avatar,
            &row.owner,
            row.created_at,
            row.updated_at,
            row.activity_at,
            row.last_ordinal,
            row.joins,
            row.member_count,
            row.name.as_deref().map(folded),
        )
    });
    add(
        sql::APPLY_CONVERSATIONS,
        changes.conversations.is_empty(),
        json(conversations),
    )?;
    let members = changes.members.iter().map(|row| {
        (
            Hex(row.conversation.to_bytes()),
            row.user.as_str(),
            row.tenant.as_str(),
            role_text(row.role),
            row.standing,
            u8::from(row.is_active),
            row.joined_at,
            row.marks.read,
            row.marks.receipt,
            row.last_read_at,
            row.own_count,
            row.last_own_ordinal,
            row.shard,
            row.changed,
        )
    });
    add(sql::APPLY_MEMBERS, changes.members.is_empty(), json(members))?;
    let marks = changes.marks.iter().map(|row| {
        (
            Hex(row.conversation.to_bytes()),
            row.user.as_str(),
            row.marks.read,
            row.marks.receipt,
            row.last_read_at,
            row.own_count,
            row.last_own_ordinal,
        )
    });
    add(sql::APPLY_MARKS, changes.marks.is_empty(), json(marks))?;
    let messages = changes.messages.iter().map(|row| {
        (
            Hex(row.conversation.to_bytes()),
            row.ordinal,
            row.sender.as_str(),
            row.sender_seq,
            row.kind.as_str(),
            &row.content,
            row.reply_to,
            row.sent_at,
            row.recorded_at,
            row.version,
            row.edits,
            row.edited_at,
            row.deleted_at,
            &row.attachments,
            &row.card,
        )
    });
    add(sql::APPLY_MESSAGES, changes.messages.is_empty(), json(messages))?;
    let changed = changes.changed_messages.iter().map(|row| {
        let (conversation, ordinal) = key(&row.id());
        (
            conversation,
            ordinal,
            &row.content,
            row.edits,
            row.edited_at,
            row.deleted_at,
            row.version,
            &row.attachments,
            &row.card,
        )
    });
    add(
        sql::APPLY_MESSAGE_CHANGES,
        changes.changed_messages.is_empty(),
        json(changed),
    )?;
    // What is gone goes first: nothing of this batch is among it.
    let purged = || json(changes.purged.iter().map(key));
    add(sql::PURGE_VERSIONS, changes.purged.is_empty(), purged())?;
    add(sql::PURGE_REACTIONS, changes.purged.is_empty(), purged())?;
    let versions = changes.versions.iter().map(|row| {
        let (conversation, ordinal) = key(&row.message);
        (conversation, ordinal, row.number, &row.content, row.written_at)
    });
    add(sql::APPLY_VERSIONS, changes.versions.is_empty(), json(versions))?;
    let removed = changes.removed_reactions.iter().map(|(message, user, emoji)| {
        let (conversation, ordinal) = key(message);
        (conversation, ordinal, user.as_str(), emoji.as_str())
    });
    add(
        sql::APPLY_REACTIONS_REMOVED,
        changes.removed_reactions.is_empty(),
        json(removed),
    )?;
    let reactions = changes.reactions.iter().map(|row| {
        let (message, user, emoji) = &row.key;
        let (conversation, ordinal) = key(message);
        (conversation, ordinal, user.as_str(), emoji.as_str(), row.added_at)
    });
    add(
        sql::APPLY_REACTIONS,
        changes.reactions.is_empty(),
        json(reactions),
    )?;
    let hidden = changes.hidden.iter().map(|row| {
        let (conversation, ordinal) = key(&row.message);
        (row.tenant.as_str(), row.user.as_str(), conversation, ordinal)
    });
    add(sql::APPLY_HIDDEN, changes.hidden.is_empty(), json(hidden))?;
    let settings = changes.settings.iter().map(|row| {
        let (tenant, user, conversation) = &row.key;
        (
            tenant.as_str(),
            user.as_str(),
            Hex(conversation.to_bytes()),
            row.archived_at,
            u8::from(row.is_muted),
            row.muted_until,
        )
    });
    add(sql::APPLY_SETTINGS, changes.settings.is_empty(), json(settings))?;
    let moves = changes.read_moves.iter().map(|row| {
        (
            Hex(row.conversation.to_bytes()),
            row.user.as_str(),
            row.ordinal,
            row.at,
        )
    });
    add(sql::APPLY_READ_MOVES, changes.read_moves.is_empty(), json(moves))?;
    let users = changes.users.iter().map(|row| {
        (
            row.tenant.as_str(),
            row.user.as_str(),
            &row.name,
            &row.avatar,
            row.name.as_deref().map(folded),
        )
    });
    add(sql::APPLY_USERS, changes.users.is_empty(), json(users))?;
    let statuses = changes.statuses.iter().map(|row| {
        (
            row.tenant.as_str(),
            row.user.as_str(),
            status_text(row.status),
            row.shard,
            row.changed,
        )
    });
    add(sql::APPLY_STATUSES, changes.statuses.is_empty(), json(statuses))?;
    let commands = changes.commands.iter().map(|row| {
        let (id, fingerprint) = (Hex(row.id.to_bytes()), Hex(row.fingerprint.to_bytes()));
        (&row.stream, id, fingerprint, row.sequence, row.recorded_at)
    });
    add(sql::APPLY_COMMANDS, changes.commands.is_empty(), json(commands))?;
    let devices = changes.push_subscriptions.iter().map(|row| {
        let (tenant, user, id) = &row.key;
        (
            tenant.as_str(),
            user.as_str(),
            Hex(id.to_bytes()),
            row.target.endpoint.as_str(),
            row.target.p256dh.as_str(),
            row.target.auth.as_str(),
            row.created_at,
        )
    });
    add(
        sql::APPLY_PUSH_SUBSCRIPTIONS,
        changes.push_subscriptions.is_empty(),
        json(devices),
    )?;
    let ended = changes.ended_subscriptions.iter();
    add(
        sql::END_PUSH_SUBSCRIPTIONS,
        changes.ended_subscriptions.is_empty(),
        json(ended.map(|(tenant, user, id)| (tenant.as_str(), user.as_str(), Hex(id.to_bytes())))),
    )?;
    attachments::encode(changes, &mut statements)?;
    Ok(statements)
}

pub(super) async fn prune_commands(
    connection: &mut SqliteConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query(sql::PRUNE_COMMANDS)
        .bind(before.as_millis())
        .bind(limit)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(pruned.rows_affected())
}
