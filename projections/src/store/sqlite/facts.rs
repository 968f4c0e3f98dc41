//! What the executor asks: which commands were carried out, and snapshots of streams.

use domain::{CommandId, UserId};
use eventstore::facts::{Asked, CommandIds, Facts, MessageFacts};
use eventstore::snapshot::Snapshot;
use eventstore::subject::Stream;
use sqlx::SqliteConnection;

use super::column::{Found, Hex, json};
use super::{sql, store_error};
use crate::store::column::integer;
use crate::store::{StoreError, rows};

pub(super) async fn facts(
    connection: &mut SqliteConnection,
    shard: u16,
    stream: &Stream,
    commands: &[CommandId],
) -> Result<Facts, StoreError> {
    let query = sqlx::query(sql::FACTS)
        .bind(shard)
        .bind(stream.subject())
        .bind(json(commands.iter().map(|id| Hex(id.to_bytes())))?);
    let found = Found::of(query, connection).await?;
    rows::facts(&found.rows()?)
}

pub(super) async fn command_ids(
    connection: &mut SqliteConnection,
    shard: u16,
    stream: &Stream,
    at_most: u32,
) -> Result<CommandIds, StoreError> {
    let query = sqlx::query(sql::COMMAND_IDS)
        .bind(shard)
        .bind(stream.subject())
        .bind(i64::from(at_most) + 1);
    let found = Found::of(query, connection).await?;
    rows::command_ids(&found.rows()?, at_most)
}

pub(super) async fn messages(
    connection: &mut SqliteConnection,
    shard: u16,
    stream: &Stream,
    asked: &[Asked],
) -> Result<MessageFacts, StoreError> {
    let Stream::Conversation(_, conversation) = stream else {
        return Ok(MessageFacts::default());
    };
    let asked = asked
        .iter()
        .map(|(message, user)| (message, user.as_ref().map(UserId::as_str)));
    let query = sqlx::query(sql::MESSAGE_FACTS)
        .bind(shard)
        .bind(conversation.to_bytes().to_vec())
        .bind(json(asked)?);
    let found = Found::of(query, connection).await?;
    rows::message_facts(&found.rows()?)
}

pub(super) async fn load_snapshot(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    stream: &Stream,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    sqlx::query(sql::SNAPSHOT_SAVE)
        .bind(stream.subject())
        .bind(&snapshot.schema)
        .bind(snapshot.epoch.to_string())
        .bind(integer(snapshot.head)?)
        .bind(snapshot.commit_id.to_bytes().to_vec())
        .bind(integer(snapshot.version)?)
        .bind(snapshot.time.as_millis())
        .bind(&snapshot.state)
        .execute(connection)
        .await
        .map_err(store_error)?;
    Ok(())
}
