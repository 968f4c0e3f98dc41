//! The read model in a SQLite file, `read.db`: one writer, several readers, and a file per generation.
//!
//! The file is not fully synchronous: a crash of the machine may lose its newest transactions, but each
//! holds its checkpoint, and the log has the rest.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use domain::{CommandId, ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use eventstore::consumer::Checkpoint;
use eventstore::facts::{Asked, CommandIds, FactStore, Facts, FactsUnavailable, MessageFacts};
use eventstore::snapshot::{Snapshot, SnapshotStore, SnapshotsUnavailable};
use eventstore::subject::Stream;
use sqlx::Sqlite;
use sqlx::pool::PoolConnection;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard};

use self::generation::Generation;
use super::{ApplyError, Batch, ProjectionStore, ReadModel, StoreError};
use crate::fold::{Keys, Rows};
use crate::notify::{Noticed, PushView, RecipientPage};
use crate::view::{
    ConversationPage, ConversationStats, ConversationView, ListRange, MemberPage, MemberView,
    MembershipChanges, Memberships, MessagePage, MessageRange, MessageTally, MessageView, Profile,
    ReactionView, ReceiptPage, ReceiptRange, StatusChange, VersionView,
};

mod active;
mod attachments;
mod column;
mod facts;
mod generation;
mod notify;
mod read;
mod sql;
mod swap;
mod write;

#[cfg(test)]
mod tests;

const READERS: u32 = 4;

/// Why the file could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refuses.
    #[error("the read model's file cannot be opened")]
    Io(#[from] std::io::Error),
    /// The database refuses.
    #[error("the read model cannot be opened: {0}")]
    Database(String),
    /// The file is not one of this version.
    #[error("the file is not a read model of this version: {0}")]
    Foreign(String),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(error) => Self::Io(error),
            error if is_no_database(&error) => Self::Foreign(error.to_string()),
            error => Self::Database(error.to_string()),
        }
    }
}

/// The read model of an embedded node. Clones share it.
#[derive(Clone, Debug)]
pub struct SqliteReadModel {
    path: PathBuf,
    /// Everything that is asked or applied holds this for reading. `None` once it was closed.
    live: Arc<RwLock<Option<Generation>>>,
    /// Held by the one rebuild there may be.
    rebuilding: Arc<Mutex<()>>,
}

impl SqliteReadModel {
    /// Opens the file, and creates it when it is missing. A rebuild that was interrupted while it swapped
    /// is finished. A file that is not of the current schema is discarded: the projector fills the new
    /// one from the log.
    ///
    /// # Errors
    /// [`OpenError`] when the file system or the database refuses.
    pub async fn open(path: &Path) -> Result<Self, OpenError> {
        generation::settle(path).await?;
        Self::open_generation(path, READERS).await
    }

    async fn open_generation(path: &Path, readers: u32) -> Result<Self, OpenError> {
        let generation = Generation::open(path, readers).await?;
        Ok(Self {
            path: path.to_owned(),
            live: Arc::new(RwLock::new(Some(generation))),
            rebuilding: Arc::default(),
        })
    }

    /// Closes the file: what is asked or applied afterwards is answered as unavailable.
    ///
    /// # Errors
    /// [`StoreError`] when the database refuses; it is closed nevertheless.
    pub async fn close(&self) -> Result<(), StoreError> {
        match self.live.write().await.take() {
            Some(generation) => generation.close().await.map_err(store_error),
            None => Ok(()),
        }
    }

    async fn live(&self) -> Result<RwLockReadGuard<'_, Generation>, StoreError> {
        RwLockReadGuard::try_map(self.live.read().await, Option::as_ref)
            .map_err(|_| StoreError::Unavailable("it is closed".to_owned()))
    }
}

/// A reader's connection and the generation it belongs to, which is not swapped away meanwhile.
struct Reader<'a> {
    connection: PoolConnection<Sqlite>,
    _live: RwLockReadGuard<'a, Generation>,
}

impl SqliteReadModel {
    async fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let live = self.live().await?;
        let connection = live.readers.acquire().await.map_err(store_error)?;
        Ok(Reader {
            connection,
            _live: live,
        })
    }
}

#[async_trait]
impl ProjectionStore for SqliteReadModel {
    async fn checkpoint(&self, shard: u16) -> Result<Option<Checkpoint>, StoreError> {
        write::checkpoint(&mut self.reader().await?.connection, shard).await
    }

    async fn load(&self, keys: &Keys) -> Result<Rows, StoreError> {
        write::load(&mut self.reader().await?.connection, keys).await
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        let live = self.live().await?;
        let mut writer = live.writer.lock().await;
        let members = batch.changes.members.iter();
        live.active
            .changing(members.map(|row| (row.tenant.clone(), row.user.clone())));
        write::apply(&mut writer, batch).await?;
        live.active.changed();
        Ok(())
    }

    async fn prune_commands(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        let live = self.live().await?;
        write::prune_commands(&mut *live.writer.lock().await, before, limit).await
    }
}

#[async_trait]
impl ReadModel for SqliteReadModel {
    async fn conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
        page: ListRange<'_>,
        now: Timestamp,
    ) -> Result<ConversationPage, StoreError> {
        read::conversations(&mut self.reader().await?.connection, (tenant, user), page, now).await
    }

    async fn conversation(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: ConversationId,
        now: Timestamp,
    ) -> Result<Option<ConversationView>, StoreError> {
        read::conversation(&mut self.reader().await?.connection, (tenant, user), id, now).await
    }

    async fn conversation_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<ConversationStats, StoreError> {
        read::conversation_stats(&mut self.reader().await?.connection, (tenant, user), now).await
    }

    async fn member_page(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        from: u64,
        limit: u32,
    ) -> Result<Option<MemberPage>, StoreError> {
        read::member_page(
            &mut self.reader().await?.connection,
            (tenant, user),
            conversation,
            (from, limit),
        )
        .await
    }

    async fn members_named(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        names: &[UserId],
    ) -> Result<Vec<MemberView>, StoreError> {
        read::members_named(
            &mut self.reader().await?.connection,
            (tenant, user),
            conversation,
            names,
        )
        .await
    }

    async fn message_versions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Option<Vec<VersionView>>, StoreError> {
        read::message_versions(&mut self.reader().await?.connection, (tenant, user), message).await
    }

    async fn is_hidden(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError> {
        read::is_hidden(&mut self.reader().await?.connection, (tenant, user), message).await
    }

    async fn message_reactions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Vec<ReactionView>, StoreError> {
        read::message_reactions(&mut self.reader().await?.connection, (tenant, user), message).await
    }

    async fn message_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Vec<MessageTally>, StoreError> {
        read::message_stats(&mut self.reader().await?.connection, (tenant, user), conversation).await
    }

    async fn messages(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        range: MessageRange,
    ) -> Result<Option<MessagePage>, StoreError> {
        read::messages(
            &mut self.reader().await?.connection,
            (tenant, user),
            conversation,
            range,
        )
        .await
    }

    async fn hydrate(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MessageView>, StoreError> {
        read::hydrate(&mut self.reader().await?.connection, (tenant, user), ids).await
    }

    async fn unread(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<u64>, StoreError> {
        read::unread(&mut self.reader().await?.connection, (tenant, user), conversation).await
    }

    async fn active_conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Arc<[ConversationId]>, StoreError> {
        let key = (tenant.clone(), user.clone());
        let live = self.live().await?;
        let before = match live.active.of(&key) {
            Ok(known) => return Ok(known),
            Err(before) => before,
        };
        let mut connection = live.readers.acquire().await.map_err(store_error)?;
        let conversations = read::active_conversations(&mut connection, (tenant, user)).await?;
        live.active.keep(key, &before, &conversations);
        Ok(conversations)
    }

    async fn memberships(&self, tenant: &TenantId, user: &UserId) -> Result<Memberships, StoreError> {
        read::memberships(&mut self.reader().await?.connection, (tenant, user)).await
    }

    async fn membership_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<MembershipChanges, StoreError> {
        read::membership_changes(&mut self.reader().await?.connection, shard, after, limit).await
    }

    async fn sizes(
        &self,
        conversations: &[ConversationId],
    ) -> Result<BTreeMap<ConversationId, u64>, StoreError> {
        read::sizes(&mut self.reader().await?.connection, conversations).await
    }

    async fn authors(
        &self,
        conversation: ConversationId,
        above: u64,
        up_to: Ordinal,
    ) -> Result<Vec<UserId>, StoreError> {
        read::authors(&mut self.reader().await?.connection, conversation, (above, up_to)).await
    }

    async fn status_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StatusChange>, StoreError> {
        read::status_changes(&mut self.reader().await?.connection, shard, after, limit).await
    }

    async fn members_of(
        &self,
        tenant: &TenantId,
        conversation: ConversationId,
    ) -> Result<Vec<UserId>, StoreError> {
        read::members_of(&mut self.reader().await?.connection, tenant, conversation).await
    }

    async fn profiles(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<BTreeMap<UserId, Profile>, StoreError> {
        read::profiles(&mut self.reader().await?.connection, tenant, users).await
    }

    async fn receipts(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
        page: ReceiptRange<'_>,
    ) -> Result<Option<ReceiptPage>, StoreError> {
        read::receipts(
            &mut self.reader().await?.connection,
            (tenant, user),
            message,
            page,
        )
        .await
    }

    async fn has_read(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError> {
        read::has_read(&mut self.reader().await?.connection, (tenant, user), message).await
    }

    async fn push_subscriptions(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<Vec<PushView>, StoreError> {
        notify::push_subscriptions(&mut self.reader().await?.connection, tenant, users).await
    }

    async fn recipients(
        &self,
        tenant: &TenantId,
        noticed: Noticed,
        from: u64,
        limit: u32,
        now: Timestamp,
    ) -> Result<RecipientPage, StoreError> {
        notify::recipients(
            &mut self.reader().await?.connection,
            (tenant, noticed),
            (from, limit),
            now,
        )
        .await
    }

    async fn recipients_among(
        &self,
        tenant: &TenantId,
        message: MessageId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<UserId>, StoreError> {
        let connection = &mut self.reader().await?.connection;
        notify::recipients_among(connection, (tenant, message), users, now).await
    }
}

#[async_trait]
impl FactStore for SqliteReadModel {
    async fn facts(
        &self,
        shard: u16,
        stream: &Stream,
        commands: &[CommandId],
    ) -> Result<Facts, FactsUnavailable> {
        let away = |error: StoreError| FactsUnavailable(error.to_string());
        let mut reader = self.reader().await.map_err(away)?;
        facts::facts(&mut reader.connection, shard, stream, commands)
            .await
            .map_err(away)
    }

    async fn message_facts(
        &self,
        shard: u16,
        stream: &Stream,
        asked: &[Asked],
    ) -> Result<MessageFacts, FactsUnavailable> {
        let away = |error: StoreError| FactsUnavailable(error.to_string());
        let mut reader = self.reader().await.map_err(away)?;
        facts::messages(&mut reader.connection, shard, stream, asked)
            .await
            .map_err(away)
    }

    async fn command_ids(
        &self,
        shard: u16,
        stream: &Stream,
        at_most: u32,
    ) -> Result<CommandIds, FactsUnavailable> {
        let away = |error: StoreError| FactsUnavailable(error.to_string());
        let mut reader = self.reader().await.map_err(away)?;
        facts::command_ids(&mut reader.connection, shard, stream, at_most)
            .await
            .map_err(away)
    }
}

#[async_trait]
impl SnapshotStore for SqliteReadModel {
    async fn load(&self, stream: &Stream) -> Result<Option<Snapshot>, SnapshotsUnavailable> {
        let away = |error: StoreError| SnapshotsUnavailable(error.to_string());
        let mut reader = self.reader().await.map_err(away)?;
        facts::load_snapshot(&mut reader.connection, stream)
            .await
            .map_err(away)
    }

    async fn save(&self, stream: &Stream, snapshot: &Snapshot) -> Result<(), SnapshotsUnavailable> {
        let away = |error: StoreError| SnapshotsUnavailable(error.to_string());
        let live = self.live().await.map_err(away)?;
        let mut writer = live.writer.lock().await;
        facts::save_snapshot(&mut writer, stream, snapshot)
            .await
            .map_err(away)
    }
}

/// SQLite's primary result code of an error.
fn result_code(error: &sqlx::Error) -> Option<i32> {
    let extended: i32 = error.as_database_error()?.code()?.parse().ok()?;
    Some(extended & 0xff)
}

/// Whether the file is damaged (`SQLITE_CORRUPT`) or no database at all (`SQLITE_NOTADB`).
fn is_no_database(error: &sqlx::Error) -> bool {
    matches!(result_code(error), Some(11 | 26))
}

/// What does not heal by itself is damage: a broken constraint or type, rows that cannot be read, a file
/// that is no database. Everything else (a busy or full disk) may pass.
fn store_error(error: sqlx::Error) -> StoreError {
    const CONSTRAINT: i32 = 19;
    const MISMATCH: i32 = 20;
    let is_damage = is_no_database(&error)
        || matches!(result_code(&error), Some(CONSTRAINT | MISMATCH))
        || matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_));
    if is_damage {
        StoreError::Damaged(error.to_string())
    } else {
        StoreError::Unavailable(error.to_string())
    }
}
