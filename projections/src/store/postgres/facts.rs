//! What the executor asks: which commands were carried out, and snapshots of streams.

use domain::{CommandId, UserId};
use eventstore::facts::{Asked, CommandIds, Facts, MessageFacts};
use eventstore::snapshot::Snapshot;
use eventstore::subject::Stream;
use sqlx::PgConnection;

use super::column::{column, numbers};
use super::{sql, store_error};
use crate::store::column::integer;
use crate::store::{StoreError, rows};

pub(super) async fn facts(
    connection: &mut PgConnection,
    shard: u16,
    stream: &Stream,
    commands: &[CommandId],
) -> Result<Facts, StoreError> {
    let commands: Vec<_> = commands.iter().map(|id| id.to_bytes()).collect();
    let rows = sqlx::query(sql::FACTS)
        .bind(i64::from(shard))
        .bind(stream.subject())
        .bind(commands)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::facts(&rows)
}

pub(super) async fn command_ids(
    connection: &mut PgConnection,
    shard: u16,
    stream: &Stream,
    at_most: u32,
) -> Result<CommandIds, StoreError> {
    let rows = sqlx::query(sql::COMMAND_IDS)
        .bind(i64::from(shard))
        .bind(stream.subject())
        .bind(i64::from(at_most) + 1)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::command_ids(&rows, at_most)
}

pub(super) async fn messages(
    connection: &mut PgConnection,
    shard: u16,
    stream: &Stream,
    asked: &[Asked],
) -> Result<MessageFacts, StoreError> {
    let Stream::Conversation(_, conversation) = stream else {
        return Ok(MessageFacts::default());
    };
    let rows = sqlx::query(sql::MESSAGE_FACTS)
        .bind(i64::from(shard))
        .bind(conversation.to_bytes())
        .bind(numbers(asked, |(message, _)| message.get())?)
        .bind(column(asked, |(_, user)| user.as_ref().map(UserId::as_str)))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::message_facts(&rows)
}

pub(super) async fn load_snapshot(
    connection: &mut PgConnection,
    stream: &Stream,
) -> Result<Option<Snapshot>, StoreError> {
    let row = sqlx::query(sql::SNAPSHOT_LOAD)
        .bind(stream.subject())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(rows::snapshot).transpose()
}

pub(super) async fn save_snapshot(
    connection: &mut PgConnection,
    stream: &Stream,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    sqlx::query(sql::SNAPSHOT_SAVE)
        .bind(stream.subject())
        .bind(&snapshot.schema)
        .bind(snapshot.epoch.to_string())
        .bind(integer(snapshot.head)?)
        .bind(snapshot.commit_id.to_bytes())
        .bind(integer(snapshot.version)?)
        .bind(snapshot.time.as_millis())
        .bind(&snapshot.state)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
