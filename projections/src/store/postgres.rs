//! The read model in Postgres: any number of nodes share it. Readers and writers have pools of their own, so
//! that a projector that catches up keeps nobody from reading.
//!
//! A generation is a schema, and a swap renames schemas. Connections that are open go on: Postgres resolves
//! the names of a prepared statement again when its search path leads elsewhere.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::{CommandId, ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use eventstore::consumer::Checkpoint;
use eventstore::facts::{Asked, CommandIds, FactStore, Facts, FactsUnavailable, MessageFacts};
use eventstore::postgres::{ConfigError, Database, is_damage, reason, warm};
use eventstore::snapshot::{Snapshot, SnapshotStore, SnapshotsUnavailable};
use eventstore::subject::Stream;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use tokio::sync::Mutex;

use self::generation::Names;
use self::presence::Presence;
use super::{ApplyError, Batch, ProjectionStore, ReadModel, StoreError};
use crate::fold::{Keys, Rows};
use crate::notify::{Noticed, PushView, RecipientPage};
use crate::view::{
    ConversationPage, ConversationStats, ConversationView, ListRange, MemberPage, MemberView,
    MembershipChanges, Memberships, MessagePage, MessageRange, MessageTally, MessageView, Profile,
    ReactionView, ReceiptPage, ReceiptRange, StatusChange, VersionView,
};

mod attachments;
mod column;
mod facts;
mod generation;
mod notify;
mod presence;
mod read;
mod sql;
mod swap;
mod write;

#[cfg(test)]
mod tests;

/// How long the server works on one question, and on one statement of a batch.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// What the network may add. A server that does not say a word any more is given up then.
const NETWORK_GRACE: Duration = Duration::from_secs(5);
/// A question that takes longer makes one look whether the database still answers.
const SUSPICIOUS: Duration = Duration::from_secs(1);

/// Where the read model is.
#[derive(Clone)]
pub struct PostgresConfig {
    /// The database, as `postgres://user:password@host:port/database?sslmode=…`.
    pub url: String,
    /// What the names of its schemas begin with: `{namespace}_read`.
    pub namespace: String,
    /// The most connections that questions take.
    pub readers: u32,
    /// The most connections that the projector and the snapshots take. A rebuild takes a few beside them.
    pub writers: u32,
}

impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL holds a password.
        f.debug_struct("PostgresConfig")
            .field("namespace", &self.namespace)
            .field("readers", &self.readers)
            .field("writers", &self.writers)
            .finish_non_exhaustive()
    }
}

/// Why the read model could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is no such database or namespace.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database is away, or refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is a schema of that name that is no read model; it is left alone.
    #[error("the schema {0:?} is not a read model: choose another namespace, or drop it")]
    Foreign(String),
}

impl From<sqlx::Error> for OpenError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(store_error(error))
    }
}

impl From<MigrateError> for OpenError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
            error => Self::Store(StoreError::Damaged(error.to_string())),
        }
    }
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => error,
            error => Self::Damaged(error.to_string()),
        }
    }
}

/// The read model of a cluster. Clones share its connections.
#[derive(Clone, Debug)]
pub struct PostgresReadModel {
    database: Database,
    readers: PgPool,
    writers: PgPool,
    presence: Presence,
    /// Held by the one rebuild that this node may run; the database has a lock for all nodes.
    rebuilding: Arc<Mutex<()>>,
}

impl PostgresReadModel {
    /// Opens the read model, and creates it when it is missing. One that is not of the current schema is
    /// discarded: the projector fills the new one from the log.
    ///
    /// # Errors
    /// [`OpenError`]: [`StoreError::Unavailable`] within seconds when the database is away.
    pub async fn open(config: &PostgresConfig) -> Result<Self, OpenError> {
        let database = Database::parse(&config.url, &config.namespace)?;
        let names = Names::of(&database);
        let mut connection = database.connect(&names.live, WRITE_TIMEOUT).await?;
        within(WRITE_TIMEOUT, names.open(&mut connection)).await?;
        let _ = sqlx::Connection::close(connection).await;
        let model = Self::over(database, &names.live, (config.readers, config.writers));
        tokio::join!(warm(&model.readers), warm(&model.writers));
        Ok(model)
    }

    fn over(database: Database, schema: &str, (readers, writers): (u32, u32)) -> Self {
        Self {
            readers: database.pool(schema, readers, READ_TIMEOUT),
            writers: database.pool(schema, writers, WRITE_TIMEOUT),
            database,
            presence: Presence::default(),
            rebuilding: Arc::default(),
        }
    }

    /// Closes the connections: what is asked or applied afterwards is answered as unavailable.
    pub async fn close(&self) {
        tokio::join!(self.readers.close(), self.writers.close());
    }

    /// Whether the database answers, as far as is known: as soon as it does not answer someone.
    ///
    /// # Errors
    /// That it does not, in words.
    pub fn health(&self) -> Result<(), String> {
        self.presence.check().map_err(|error| error.to_string())
    }

    async fn read<T>(
        &self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.ask(&self.readers, READ_TIMEOUT, question).await
    }

    async fn write<T, E: From<StoreError>>(
        &self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.ask(&self.writers, WRITE_TIMEOUT, question).await
    }

    /// Asks a connection of the pool, for as long as the database is there.
    async fn ask<T, E: From<StoreError>>(
        &self,
        pool: &PgPool,
        timeout: Duration,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, E>,
    ) -> Result<T, E> {
        let asking = async {
            let mut lent = Lent::by(pool, &self.presence, &self.database).await?;
            let answer = question(&mut lent.connection).await;
            lent.is_idle = answer.is_ok();
            answer
        };
        let mut asking = pin!(within(timeout, asking));
        tokio::select! {
            biased;
            answer = &mut asking => return answer,
            () = tokio::time::sleep(SUSPICIOUS) => self.presence.doubt(&self.database),
        }
        tokio::select! {
            biased;
            answer = asking => answer,
            () = self.presence.away() => Err(presence::away().into()),
        }
    }
}

/// A connection of a pool. The pool has it back when the question was answered: one that was given up in the
/// middle may be in a transaction still, or have no network any more, and is closed.
struct Lent {
    connection: PoolConnection<Postgres>,
    is_idle: bool,
}

impl Lent {
    async fn by(pool: &PgPool, presence: &Presence, database: &Database) -> Result<Self, StoreError> {
        presence.check()?;
        match pool.acquire().await {
            Ok(connection) => Ok(Self {
                connection,
                is_idle: false,
            }),
            Err(error) => {
                if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) {
                    presence.doubt(database);
                }
                Err(store_error(error))
            }
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.is_idle {
            self.connection.close_on_drop();
        }
    }
}

/// Gives up a server that has gone silent: its own time-out would have ended the statement by now.
async fn within<T, E: From<StoreError>>(
    timeout: Duration,
    asking: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    tokio::time::timeout(timeout + NETWORK_GRACE, asking)
        .await
        .unwrap_or_else(|_| Err(StoreError::Unavailable("the database does not answer".to_owned()).into()))
}

#[async_trait]
impl ProjectionStore for PostgresReadModel {
    async fn checkpoint(&self, shard: u16) -> Result<Option<Checkpoint>, StoreError> {
        self.write(async |connection| write::checkpoint(connection, shard).await)
            .await
    }

    async fn load(&self, keys: &Keys) -> Result<Rows, StoreError> {
        self.write(async |connection| write::load(connection, keys).await)
            .await
    }

    async fn apply(&self, batch: &Batch) -> Result<(), ApplyError> {
        self.write(async |connection| write::apply(connection, batch).await)
            .await
    }

    async fn prune_commands(&self, before: Timestamp, limit: u32) -> Result<u64, StoreError> {
        self.write(async |connection| write::prune_commands(connection, before, limit).await)
            .await
    }
}

#[async_trait]
impl ReadModel for PostgresReadModel {
    async fn conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
        page: ListRange<'_>,
        now: Timestamp,
    ) -> Result<ConversationPage, StoreError> {
        self.read(async |connection| read::conversations(connection, (tenant, user), page, now).await)
            .await
    }

    async fn conversation(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: ConversationId,
        now: Timestamp,
    ) -> Result<Option<ConversationView>, StoreError> {
        self.read(async |connection| read::conversation(connection, (tenant, user), id, now).await)
            .await
    }

    async fn conversation_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        now: Timestamp,
    ) -> Result<ConversationStats, StoreError> {
        self.read(async |connection| read::conversation_stats(connection, (tenant, user), now).await)
            .await
    }

    async fn member_page(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        from: u64,
        limit: u32,
    ) -> Result<Option<MemberPage>, StoreError> {
        self.read(async |connection| {
            read::member_page(connection, (tenant, user), conversation, (from, limit)).await
        })
        .await
    }

    async fn members_named(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        names: &[UserId],
    ) -> Result<Vec<MemberView>, StoreError> {
        self.read(async |connection| {
            read::members_named(connection, (tenant, user), conversation, names).await
        })
        .await
    }

    async fn message_versions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Option<Vec<VersionView>>, StoreError> {
        self.read(async |connection| read::message_versions(connection, (tenant, user), message).await)
            .await
    }

    async fn is_hidden(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError> {
        self.read(async |connection| read::is_hidden(connection, (tenant, user), message).await)
            .await
    }

    async fn message_reactions(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<Vec<ReactionView>, StoreError> {
        self.read(async |connection| read::message_reactions(connection, (tenant, user), message).await)
            .await
    }

    async fn message_stats(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Vec<MessageTally>, StoreError> {
        self.read(async |connection| read::message_stats(connection, (tenant, user), conversation).await)
            .await
    }

    async fn messages(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
        range: MessageRange,
    ) -> Result<Option<MessagePage>, StoreError> {
        self.read(async |connection| read::messages(connection, (tenant, user), conversation, range).await)
            .await
    }

    async fn hydrate(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[MessageId],
    ) -> Result<Vec<MessageView>, StoreError> {
        self.read(async |connection| read::hydrate(connection, (tenant, user), ids).await)
            .await
    }

    async fn unread(
        &self,
        tenant: &TenantId,
        user: &UserId,
        conversation: ConversationId,
    ) -> Result<Option<u64>, StoreError> {
        self.read(async |connection| read::unread(connection, (tenant, user), conversation).await)
            .await
    }

    async fn active_conversations(
        &self,
        tenant: &TenantId,
        user: &UserId,
    ) -> Result<Arc<[ConversationId]>, StoreError> {
        self.read(async |connection| read::active_conversations(connection, (tenant, user)).await)
            .await
    }

    async fn memberships(&self, tenant: &TenantId, user: &UserId) -> Result<Memberships, StoreError> {
        self.read(async |connection| read::memberships(connection, (tenant, user)).await)
            .await
    }

    async fn membership_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<MembershipChanges, StoreError> {
        self.read(async |connection| read::membership_changes(connection, shard, after, limit).await)
            .await
    }

    async fn sizes(
        &self,
        conversations: &[ConversationId],
    ) -> Result<BTreeMap<ConversationId, u64>, StoreError> {
        self.read(async |connection| read::sizes(connection, conversations).await)
            .await
    }

    async fn authors(
        &self,
        conversation: ConversationId,
        above: u64,
        up_to: Ordinal,
    ) -> Result<Vec<UserId>, StoreError> {
        self.read(async |connection| read::authors(connection, conversation, (above, up_to)).await)
            .await
    }

    async fn status_changes(
        &self,
        shard: u16,
        after: u64,
        limit: u32,
    ) -> Result<Vec<StatusChange>, StoreError> {
        self.read(async |connection| read::status_changes(connection, shard, after, limit).await)
            .await
    }

    async fn members_of(
        &self,
        tenant: &TenantId,
        conversation: ConversationId,
    ) -> Result<Vec<UserId>, StoreError> {
        self.read(async |connection| read::members_of(connection, tenant, conversation).await)
            .await
    }

    async fn profiles(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<BTreeMap<UserId, Profile>, StoreError> {
        self.read(async |connection| read::profiles(connection, tenant, users).await)
            .await
    }

    async fn receipts(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
        page: ReceiptRange<'_>,
    ) -> Result<Option<ReceiptPage>, StoreError> {
        self.read(async |connection| read::receipts(connection, (tenant, user), message, page).await)
            .await
    }

    async fn has_read(
        &self,
        tenant: &TenantId,
        user: &UserId,
        message: MessageId,
    ) -> Result<bool, StoreError> {
        self.read(async |connection| read::has_read(connection, (tenant, user), message).await)
            .await
    }

    async fn push_subscriptions(
        &self,
        tenant: &TenantId,
        users: &[UserId],
    ) -> Result<Vec<PushView>, StoreError> {
        self.read(async |connection| notify::push_subscriptions(connection, tenant, users).await)
            .await
    }

    async fn recipients(
        &self,
        tenant: &TenantId,
        noticed: Noticed,
        from: u64,
        limit: u32,
        now: Timestamp,
    ) -> Result<RecipientPage, StoreError> {
        self.read(async |connection| {
            notify::recipients(connection, (tenant, noticed), (from, limit), now).await
        })
        .await
    }

    async fn recipients_among(
        &self,
        tenant: &TenantId,
        message: MessageId,
        users: &[UserId],
        now: Timestamp,
    ) -> Result<Vec<UserId>, StoreError> {
        self.read(async |connection| {
            notify::recipients_among(connection, (tenant, message), users, now).await
        })
        .await
    }
}

#[async_trait]
impl FactStore for PostgresReadModel {
    async fn facts(
        &self,
        shard: u16,
        stream: &Stream,
        commands: &[CommandId],
    ) -> Result<Facts, FactsUnavailable> {
        self.read(async |connection| facts::facts(connection, shard, stream, commands).await)
            .await
            .map_err(|error: StoreError| FactsUnavailable(error.to_string()))
    }

    async fn message_facts(
        &self,
        shard: u16,
        stream: &Stream,
        asked: &[Asked],
    ) -> Result<MessageFacts, FactsUnavailable> {
        self.read(async |connection| facts::messages(connection, shard, stream, asked).await)
            .await
            .map_err(|error| FactsUnavailable(error.to_string()))
    }

    async fn command_ids(
        &self,
        shard: u16,
        stream: &Stream,
        at_most: u32,
    ) -> Result<CommandIds, FactsUnavailable> {
        self.read(async |connection| facts::command_ids(connection, shard, stream, at_most).await)
            .await
            .map_err(|error: StoreError| FactsUnavailable(error.to_string()))
    }
}

#[async_trait]
impl SnapshotStore for PostgresReadModel {
    async fn load(&self, stream: &Stream) -> Result<Option<Snapshot>, SnapshotsUnavailable> {
        self.read(async |connection| facts::load_snapshot(connection, stream).await)
            .await
            .map_err(|error: StoreError| SnapshotsUnavailable(error.to_string()))
    }

    async fn save(&self, stream: &Stream, snapshot: &Snapshot) -> Result<(), SnapshotsUnavailable> {
        self.write(async |connection| facts::save_snapshot(connection, stream, snapshot).await)
            .await
            .map_err(|error: StoreError| SnapshotsUnavailable(error.to_string()))
    }
}

/// Whether a lock was not to be had in time (`lock_not_available`).
fn is_lock_timeout(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code == "55P03")
}

/// What does not heal by itself is damage. Everything else (no connection, a server that shuts down, a full
/// disk, a deadlock, a time-out) may pass.
fn store_error(error: sqlx::Error) -> StoreError {
    if is_damage(&error) {
        StoreError::Damaged(reason(&error))
    } else {
        StoreError::Unavailable(reason(&error))
    }
}
