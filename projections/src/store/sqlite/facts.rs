//! What the executor asks: which commands were carried out, and snapshots of streams.

use domain::{CommandId, CommitId, Fingerprint};
use eventstore::facts::{CommandFact, Facts};
use eventstore::snapshot::Snapshot;
use eventstore::subject::Stream;
use sqlx::SqliteConnection;

use super::column::{Columns, Hex, integer, json};
use super::{sql, store_error};
use crate::store::StoreError;

pub(super) async fn facts(
    connection: &mut SqliteConnection,
    shard: u16,
    stream: &Stream,
    commands: &[CommandId],
) -> Result<Facts, StoreError> {
    let rows = sqlx::query(sql::FACTS)
        .bind(shard)
        .bind(stream.subject())
        .bind(json(commands.iter().map(|id| Hex(id.to_bytes())))?)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let mut facts = Facts::default();
    for row in &rows {
        let mut columns = Columns::of(row);
        facts.checkpoint = columns.number()?;
        // One row without a command carries the checkpoint when none is known.
        let Some(id) = columns.optional_id(CommandId::from_bytes)? else {
            continue;
        };
        let fact = CommandFact {
            fingerprint: columns.id(Fingerprint::from_bytes)?,
            sequence: columns.number()?,
        };
        facts.commands.insert(id, fact);
    }
    Ok(facts)
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
    let Some(row) = row else { return Ok(None) };
    let mut columns = Columns::of(&row);
    Ok(Some(Snapshot {
        schema: columns.text()?,
        epoch: columns.parsed(str::parse)?,
        head: columns.number()?,
        commit_id: columns.id(CommitId::from_bytes)?,
        version: columns.number()?,
        time: columns.time()?,
        state: columns.text()?,
    }))
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
