//! A generation is a file. Opening it, closing it so that the file alone holds everything, and putting
//! the next one in the live one's place.
//!
//! The next generation is built in `….next` and marked as complete inside before anything happens to the
//! live one. From then on the swap can only go forward: whatever moment it is interrupted at, the start
//! that finds a complete `….next` finishes it. An incomplete one is deleted.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};
use tokio::sync::Mutex;

use super::OpenError;
use super::active::Active;

static MIGRATOR: Migrator = sqlx::migrate!("../migrations/sqlite/read");

const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of 4 KiB: large enough that a batch rarely pays for a checkpoint, small enough to stay in memory.
const WAL_AUTOCHECKPOINT: &str = "4000";
const WRITER_CACHE: &str = "-65536";
const READER_CACHE: &str = "-16384";
const READER_MMAP: &str = "268435456";
const COMPLETE: i64 = 1;

/// One file with its connections.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) writer: Mutex<SqliteConnection>,
    pub(super) readers: SqlitePool,
    pub(super) active: Active,
}

impl Generation {
    /// Opens the file. One that is missing is created; one of another schema, or that is no database, is
    /// discarded first: the log has everything.
    pub(super) async fn open(path: &Path, readers: u32) -> Result<Self, OpenError> {
        let writer = match Self::writer(path).await {
            Err(OpenError::Foreign(why)) => {
                tracing::warn!(path = %path.display(), why, "discarding the read model; it is rebuilt from the log");
                remove(path).await?;
                Self::writer(path).await?
            }
            opened => opened?,
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("cache_size", READER_CACHE)
            .pragma("mmap_size", READER_MMAP)
            .pragma("query_only", "ON");
        let readers = SqlitePoolOptions::new()
            .max_connections(readers)
            .acquire_timeout(BUSY_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self {
            writer: Mutex::new(writer),
            readers,
            active: Active::new(),
        })
    }

    async fn writer(path: &Path) -> Result<SqliteConnection, OpenError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", WAL_AUTOCHECKPOINT)
            .pragma("cache_size", WRITER_CACHE);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        if let Err(error) = Self::migrate(&mut connection).await {
            // The file may be removed next, and must not be open then.
            let _ = connection.close().await;
            return Err(error);
        }
        Ok(connection)
    }

    /// Creates the tables of an empty file, and refuses one that was made by other migrations: a table
    /// that a migration adds or changes can only be filled from the log.
    async fn migrate(connection: &mut SqliteConnection) -> Result<(), OpenError> {
        let (tables, migrations): (i64, i64) = sqlx::query_as(
            "SELECT count(*), coalesce(sum(name = '_sqlx_migrations'), 0) FROM sqlite_schema WHERE type = 'table'",
        )
        .fetch_one(&mut *connection)
        .await?;
        if tables == 0 {
            return MIGRATOR
                .run_direct(None, connection, false)
                .await
                .map_err(|error| OpenError::Database(error.to_string()));
        }
        if migrations == 0 {
            return Err(OpenError::Foreign("it was made by something else".to_owned()));
        }
        let applied: Vec<(i64, Vec<u8>, bool)> =
            sqlx::query_as("SELECT version, checksum, success FROM _sqlx_migrations ORDER BY version")
                .fetch_all(connection)
                .await?;
        let current = MIGRATOR
            .iter()
            .map(|migration| (migration.version, &*migration.checksum, true));
        if applied
            .iter()
            .map(|(version, sum, success)| (*version, sum.as_slice(), *success))
            .eq(current)
        {
            Ok(())
        } else {
            Err(OpenError::Foreign("it has another schema".to_owned()))
        }
    }

    /// Says inside the file that it holds everything it should.
    pub(super) async fn mark_complete(&self) -> Result<(), sqlx::Error> {
        sqlx::query("PRAGMA user_version = 1")
            .execute(&mut *self.writer.lock().await)
            .await?;
        Ok(())
    }

    /// Closes every connection. Afterwards the file alone holds everything, durably.
    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        self.readers.close().await;
        let mut writer = self.writer.into_inner();
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut writer)
            .await?;
        writer.close().await
    }
}

/// The file that the next generation of this one is built in.
pub(super) fn next_of(path: &Path) -> PathBuf {
    beside(path, ".next")
}

/// Finishes the swap that an interrupted process left, or deletes the next generation it left unfinished.
pub(super) async fn settle(path: &Path) -> Result<(), OpenError> {
    let next = next_of(path);
    if !tokio::fs::try_exists(&next).await? {
        return Ok(());
    }
    if is_complete(&next).await {
        tracing::info!(path = %path.display(), "finishing the swap to the rebuilt read model");
        promote(path).await
    } else {
        tracing::info!(path = %path.display(), "deleting an unfinished rebuild of the read model");
        remove(&next).await
    }
}

async fn is_complete(next: &Path) -> bool {
    let read = async {
        let mut connection = Generation::writer(next).await?;
        let version: i64 = sqlx::query_scalar("PRAGMA user_version")
            .fetch_one(&mut connection)
            .await?;
        // What was marked must be in the file itself before the file is renamed.
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&mut connection)
            .await?;
        connection.close().await?;
        Ok::<_, OpenError>(version == COMPLETE)
    };
    read.await.unwrap_or(false)
}

/// Puts the complete and closed next generation in the live one's place.
pub(super) async fn promote(path: &Path) -> Result<(), OpenError> {
    // A write-ahead log of the old file would be taken for one of the new file.
    for sidecar in sidecars(path) {
        remove_file(&sidecar).await?;
    }
    tokio::fs::rename(next_of(path), path).await?;
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        tokio::fs::File::open(folder).await?.sync_all().await?;
    }
    Ok(())
}

/// Deletes a generation's files.
pub(super) async fn remove(path: &Path) -> Result<(), OpenError> {
    remove_file(path).await?;
    for sidecar in sidecars(path) {
        remove_file(&sidecar).await?;
    }
    Ok(())
}

async fn remove_file(path: &Path) -> Result<(), OpenError> {
    match tokio::fs::remove_file(path).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn sidecars(path: &Path) -> [PathBuf; 2] {
    [beside(path, "-wal"), beside(path, "-shm")]
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
