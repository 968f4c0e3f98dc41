//! What the projector reads and writes: rows by key, batches, checkpoints. A table is written by one
//! statement per batch, which takes its rows as columns.

use domain::{MessageId, Ordinal, Timestamp};
use eventstore::consumer::Checkpoint;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection};

use super::column::{column, numbers};
use super::notify::{devices, ended_devices};
use super::{attachments, sql, store_error};
use crate::commands::CommandRow;
use crate::conversations::ConversationRow;
use crate::fold::{Keys, Rows};
use crate::members::{MemberRow, ReadMoveRow};
use crate::messages::{HiddenRow, MessageRow, ReactionKey, ReactionRow, VersionRow};
use crate::store::column::integer;
use crate::store::spelling::{folded, kind_text, role_text, status_text};
use crate::store::{ApplyError, Batch, StoreError, rows};
use crate::users::{SettingsRow, StatusRow, UserRow};

pub(super) type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

pub(super) async fn checkpoint(
    connection: &mut PgConnection,
    shard: u16,
) -> Result<Option<Checkpoint>, StoreError> {
    let row = sqlx::query(sql::CHECKPOINT_LOAD)
        .bind(i64::from(shard))
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(rows::checkpoint).transpose()
}

pub(super) async fn checkpoints(connection: &mut PgConnection) -> Result<Vec<Checkpoint>, StoreError> {
    let rows = sqlx::query(sql::CHECKPOINTS)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::checkpoint).collect()
}

pub(super) async fn load(connection: &mut PgConnection, keys: &Keys) -> Result<Rows, StoreError> {
    let mut loaded = Rows::default();
    if !keys.conversations.is_empty() {
        let asked: Vec<_> = keys.conversations.keys().map(|id| id.to_bytes()).collect();
        let query = sqlx::query(sql::LOAD_CONVERSATIONS).bind(asked);
        let found = fetch(query, connection).await?;
        loaded.conversations = found.iter().map(rows::conversation).collect::<Result<_, _>>()?;
    }
    let (conversations, users): (Vec<_>, Vec<_>) = keys
        .conversations
        .iter()
        .flat_map(|(id, users)| users.iter().map(|user| (id.to_bytes(), user.as_str())))
        .unzip();
    if !users.is_empty() {
        let query = sqlx::query(sql::LOAD_MEMBERS).bind(conversations).bind(users);
        let found = fetch(query, connection).await?;
        loaded.members = found.iter().map(rows::member).collect::<Result<_, _>>()?;
    }
    if !keys.messages.is_empty() {
        let asked: Vec<_> = keys.messages.iter().copied().collect();
        let query = sqlx::query(sql::LOAD_MESSAGES)
            .bind(column(&asked, |id| id.conversation.to_bytes()))
            .bind(numbers(&asked, |id| id.ordinal.get())?);
        let found = fetch(query, connection).await?;
        loaded.messages = found.iter().map(rows::message_row).collect::<Result<_, _>>()?;
    }
    if !keys.settings.is_empty() {
        let asked: Vec<_> = keys.settings.iter().collect();
        let query = sqlx::query(sql::LOAD_SETTINGS)
            .bind(column(&asked, |(tenant, ..)| tenant.as_str()))
            .bind(column(&asked, |(_, user, _)| user.as_str()))
            .bind(column(&asked, |(.., id)| id.to_bytes()));
        let found = fetch(query, connection).await?;
        loaded.settings = found.iter().map(rows::settings).collect::<Result<_, _>>()?;
    }
    Ok(loaded)
}

async fn fetch(query: Query<'_>, connection: &mut PgConnection) -> Result<Vec<PgRow>, StoreError> {
    query.fetch_all(connection).await.map_err(store_error)
}

/// The transaction is as durable as any other, although everything in it could be folded again: others act
/// on a checkpoint as soon as they see it (an actor forgets facts below it, a reader was promised it), so one
/// that they saw must never go back.
pub(super) async fn apply(connection: &mut PgConnection, batch: &Batch) -> Result<(), ApplyError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    // First of all, so that a generation that is held still is waited for before anything is written.
    move_checkpoint(&mut transaction, &batch.from, &batch.to).await?;
    let changes = &batch.changes;
    let writes = [
        write(&changes.conversations, conversations),
        write(&changes.members, members),
        write(&changes.marks, marks),
        write(&changes.messages, messages),
        write(&changes.changed_messages, message_changes),
        // What is gone goes first: nothing of this batch is among it.
        write(&changes.purged, |purged| {
            messages_named(sql::PURGE_VERSIONS, purged)
        }),
        write(&changes.purged, |purged| {
            messages_named(sql::PURGE_REACTIONS, purged)
        }),
        write(&changes.versions, versions),
        write(&changes.removed_reactions, removed_reactions),
        write(&changes.reactions, reactions),
        write(&changes.hidden, hidden),
        write(&changes.settings, settings),
        write(&changes.read_moves, read_moves),
        write(&changes.users, users),
        write(&changes.statuses, statuses),
        write(&changes.commands, commands),
        write(&changes.push_subscriptions, devices),
        write(&changes.ended_subscriptions, ended_devices),
        write(&changes.attachments, attachments::rows),
        write(&changes.removed_attachments, attachments::removed),
        // What is released may have come in this batch.
        write(&changes.attachment_uses, attachments::uses),
        write(&changes.purged, |purged| {
            messages_named(sql::RELEASE_ATTACHMENT_USES, purged)
        }),
    ];
    for query in writes.into_iter().flatten() {
        query?.execute(&mut *transaction).await.map_err(store_error)?;
    }
    transaction.commit().await.map_err(store_error)?;
    Ok(())
}

async fn move_checkpoint(
    connection: &mut PgConnection,
    from: &Checkpoint,
    to: &Checkpoint,
) -> Result<(), ApplyError> {
    let epoch = from.epoch.to_string();
    if from.sequence == 0 {
        sqlx::query(sql::CHECKPOINT_START)
            .bind(i64::from(from.shard))
            .bind(&epoch)
            .execute(&mut *connection)
            .await
            .map_err(store_error)?;
    }
    let moved = sqlx::query(sql::CHECKPOINT_MOVE)
        .bind(i64::from(from.shard))
        .bind(epoch)
        .bind(integer(from.sequence)?)
        .bind(integer(to.sequence)?)
        .bind(to.commit_id.map(|id| id.to_bytes()))
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

/// The statement that writes these rows; none when nothing changed.
fn write<'q, R>(
    rows: &'q [R],
    statement: impl FnOnce(&'q [R]) -> Result<Query<'q>, StoreError>,
) -> Option<Result<Query<'q>, StoreError>> {
    (!rows.is_empty()).then(|| statement(rows))
}

fn conversations(rows: &[ConversationRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_CONVERSATIONS)
        .bind(column(rows, |row| row.id.to_bytes()))
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| kind_text(row.kind)))
        .bind(column(rows, |row| row.name.as_deref()))
        .bind(column(rows, |row| row.description.as_deref()))
        .bind(column(rows, |row| row.avatar.as_deref()))
        .bind(column(rows, |row| row.owner.as_ref().map(|owner| owner.as_str())))
        .bind(column(rows, |row| row.created_at.as_millis()))
        .bind(column(rows, |row| row.updated_at.as_millis()))
        .bind(column(rows, |row| row.activity_at.as_millis()))
        .bind(numbers(rows, |row| row.last_ordinal)?)
        .bind(numbers(rows, |row| row.joins)?)
        .bind(numbers(rows, |row| row.member_count)?)
        .bind(column(rows, |row| row.name.as_deref().map(folded))))
}

fn members(rows: &[MemberRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_MEMBERS)
        .bind(column(rows, |row| row.conversation.to_bytes()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| role_text(row.role)))
        .bind(numbers(rows, |row| row.standing)?)
        .bind(column(rows, |row| row.is_active))
        .bind(column(rows, |row| row.joined_at.as_millis()))
        .bind(numbers(rows, |row| row.marks.read)?)
        .bind(numbers(rows, |row| row.marks.receipt)?)
        .bind(column(rows, |row| row.last_read_at.map(Timestamp::as_millis)))
        .bind(numbers(rows, |row| row.own_count)?)
        .bind(numbers(rows, |row| row.last_own_ordinal)?)
        .bind(column(rows, |row| i64::from(row.shard)))
        .bind(numbers(rows, |row| row.changed)?))
}

fn marks(rows: &[MemberRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_MARKS)
        .bind(column(rows, |row| row.conversation.to_bytes()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(numbers(rows, |row| row.marks.read)?)
        .bind(numbers(rows, |row| row.marks.receipt)?)
        .bind(column(rows, |row| row.last_read_at.map(Timestamp::as_millis)))
        .bind(numbers(rows, |row| row.own_count)?)
        .bind(numbers(rows, |row| row.last_own_ordinal)?))
}

fn messages(rows: &[MessageRow]) -> Result<Query<'_>, StoreError> {
    let reply_to = |row: &MessageRow| {
        row.reply_to
            .map(|ordinal| integer(Ordinal::get(ordinal)))
            .transpose()
    };
    Ok(sqlx::query(sql::APPLY_MESSAGES)
        .bind(column(rows, |row| row.conversation.to_bytes()))
        .bind(numbers(rows, |row| row.ordinal.get())?)
        .bind(column(rows, |row| row.sender.as_str()))
        .bind(numbers(rows, |row| row.sender_seq)?)
        .bind(column(rows, |row| row.kind.as_str()))
        .bind(column(rows, |row| row.content.as_deref()))
        .bind(rows.iter().map(reply_to).collect::<Result<Vec<_>, _>>()?)
        .bind(column(rows, |row| row.sent_at.as_millis()))
        .bind(column(rows, |row| row.recorded_at.as_millis()))
        .bind(numbers(rows, |row| row.version)?)
        .bind(numbers(rows, |row| row.edits)?)
        .bind(column(rows, |row| row.edited_at.map(Timestamp::as_millis)))
        .bind(column(rows, |row| row.deleted_at.map(Timestamp::as_millis)))
        .bind(column(rows, |row| row.attachments.as_deref()))
        .bind(column(rows, |row| row.card.as_deref())))
}

fn message_changes(rows: &[MessageRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_MESSAGE_CHANGES)
        .bind(column(rows, |row| row.conversation.to_bytes()))
        .bind(numbers(rows, |row| row.ordinal.get())?)
        .bind(column(rows, |row| row.content.as_deref()))
        .bind(numbers(rows, |row| row.edits)?)
        .bind(column(rows, |row| row.edited_at.map(Timestamp::as_millis)))
        .bind(column(rows, |row| row.deleted_at.map(Timestamp::as_millis)))
        .bind(numbers(rows, |row| row.version)?)
        .bind(column(rows, |row| row.attachments.as_deref()))
        .bind(column(rows, |row| row.card.as_deref())))
}

fn messages_named<'q>(statement: &'static str, ids: &'q [MessageId]) -> Result<Query<'q>, StoreError> {
    Ok(sqlx::query(statement)
        .bind(column(ids, |id| id.conversation.to_bytes()))
        .bind(numbers(ids, |id| id.ordinal.get())?))
}

fn versions(rows: &[VersionRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_VERSIONS)
        .bind(column(rows, |row| row.message.conversation.to_bytes()))
        .bind(numbers(rows, |row| row.message.ordinal.get())?)
        .bind(numbers(rows, |row| row.number)?)
        .bind(column(rows, |row| row.content.as_deref()))
        .bind(column(rows, |row| row.written_at.as_millis())))
}

fn reactions(rows: &[ReactionRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_REACTIONS)
        .bind(column(rows, |row| row.key.0.conversation.to_bytes()))
        .bind(numbers(rows, |row| row.key.0.ordinal.get())?)
        .bind(column(rows, |row| row.key.1.as_str()))
        .bind(column(rows, |row| row.key.2.as_str()))
        .bind(column(rows, |row| row.added_at.as_millis())))
}

fn removed_reactions(keys: &[ReactionKey]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_REACTIONS_REMOVED)
        .bind(column(keys, |(message, ..)| message.conversation.to_bytes()))
        .bind(numbers(keys, |(message, ..)| message.ordinal.get())?)
        .bind(column(keys, |(_, user, _)| user.as_str()))
        .bind(column(keys, |(.., emoji)| emoji.as_str())))
}

fn hidden(rows: &[HiddenRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_HIDDEN)
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(column(rows, |row| row.message.conversation.to_bytes()))
        .bind(numbers(rows, |row| row.message.ordinal.get())?))
}

fn settings(rows: &[SettingsRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_SETTINGS)
        .bind(column(rows, |row| row.key.0.as_str()))
        .bind(column(rows, |row| row.key.1.as_str()))
        .bind(column(rows, |row| row.key.2.to_bytes()))
        .bind(column(rows, |row| row.archived_at.map(Timestamp::as_millis)))
        .bind(column(rows, |row| row.is_muted))
        .bind(column(rows, |row| row.muted_until.map(Timestamp::as_millis))))
}

fn read_moves(rows: &[ReadMoveRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_READ_MOVES)
        .bind(column(rows, |row| row.conversation.to_bytes()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(numbers(rows, |row| row.ordinal.get())?)
        .bind(column(rows, |row| row.at.as_millis())))
}

fn users(rows: &[UserRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_USERS)
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(column(rows, |row| row.name.as_deref()))
        .bind(column(rows, |row| row.avatar.as_deref()))
        .bind(column(rows, |row| row.name.as_deref().map(folded))))
}

fn statuses(rows: &[StatusRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_STATUSES)
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(column(rows, |row| status_text(row.status)))
        .bind(column(rows, |row| i64::from(row.shard)))
        .bind(numbers(rows, |row| row.changed)?))
}

fn commands(rows: &[CommandRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_COMMANDS)
        .bind(column(rows, |row| row.stream.as_str()))
        .bind(column(rows, |row| row.id.to_bytes()))
        .bind(column(rows, |row| row.fingerprint.to_bytes()))
        .bind(numbers(rows, |row| row.sequence)?)
        .bind(column(rows, |row| row.recorded_at.as_millis())))
}

pub(super) async fn prune_commands(
    connection: &mut PgConnection,
    before: Timestamp,
    limit: u32,
) -> Result<u64, StoreError> {
    let pruned = sqlx::query(sql::PRUNE_COMMANDS)
        .bind(before.as_millis())
        .bind(i64::from(limit))
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(pruned.rows_affected())
}
