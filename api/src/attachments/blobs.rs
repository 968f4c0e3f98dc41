//! Where bytes are kept: the port of blob stores, which `object_store` has adapters for. All that is used here
//! is tested on each of them by one suite.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use domain::{AttachmentId, TenantId};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use time::OffsetDateTime;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// The most that is held of a file on its way into the store: this much, twice.
const PART_BYTES: usize = 5 * 1024 * 1024;
const PARTS_AT_ONCE: usize = 1;
const PIECE_BYTES: usize = 256 * 1024;

/// Why bytes could not be kept or had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BlobError {
    /// There is nothing under this name.
    #[error("there is no such blob")]
    Missing,
    /// The store is away, full, or refuses.
    #[error("the blob store is unavailable: {0}")]
    Unavailable(String),
}

impl From<object_store::Error> for BlobError {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Missing,
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<std::io::Error> for BlobError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Which bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// As they were uploaded.
    Original,
    /// A small picture of it.
    Thumbnail,
}

/// The name of a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BlobKey {
    /// The tenant.
    pub tenant: TenantId,
    /// The file.
    pub id: AttachmentId,
    /// Which bytes of it.
    pub variant: Variant,
}

impl BlobKey {
    /// The bytes of a file as they were uploaded.
    #[must_use]
    pub const fn original(tenant: TenantId, id: AttachmentId) -> Self {
        Self {
            tenant,
            id,
            variant: Variant::Original,
        }
    }

    /// A small picture of it.
    #[must_use]
    pub const fn thumbnail(tenant: TenantId, id: AttachmentId) -> Self {
        Self {
            tenant,
            id,
            variant: Variant::Thumbnail,
        }
    }

    /// Below the day it is of, so that what was left behind on some day is found without looking through all.
    fn path(&self, prefix: &Path) -> Path {
        let name = match self.variant {
            Variant::Original => self.id.to_string(),
            Variant::Thumbnail => format!("{}.thumbnail", self.id),
        };
        // Whatever a tenant is called, it is one step of the path: what would lead elsewhere is encoded.
        prefix
            .clone()
            .join(day_of(self.id))
            .join(self.tenant.as_str())
            .join(name)
    }
}

/// The day that an id was drawn on, in UTC.
fn day_of(id: AttachmentId) -> String {
    day(millis_of(id))
}

/// When an id was drawn, in milliseconds since the Unix epoch.
#[must_use]
pub fn millis_of(id: AttachmentId) -> i64 {
    let [a, b, c, d, e, f, ..] = id.to_bytes();
    i64::from_be_bytes([0, 0, a, b, c, d, e, f])
}

/// The day of this time, in UTC, as it is written in paths.
#[must_use]
pub fn day(millis: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(millis.div_euclid(1_000));
    // The ids of the year 10000 and later share a day.
    time.map_or_else(|_| "later".to_owned(), |time| time.date().to_string())
}

/// A blob store.
#[derive(Debug)]
pub struct Blobs {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// Whether the last that was asked of it failed.
    is_away: AtomicBool,
}

impl Blobs {
    /// What is kept in this store, below a prefix.
    pub fn new(store: impl ObjectStore, prefix: &str) -> Self {
        Self {
            store: Arc::new(store),
            prefix: Path::from(prefix),
            is_away: AtomicBool::new(false),
        }
    }

    /// Whether it answered the last time.
    ///
    /// # Errors
    /// That it did not, in words.
    pub fn health(&self) -> Result<(), String> {
        if self.is_away.load(Ordering::Relaxed) {
            Err("the blob store did not answer, or refused".to_owned())
        } else {
            Ok(())
        }
    }

    fn noting<T>(&self, outcome: Result<T, BlobError>) -> Result<T, BlobError> {
        let is_away = matches!(outcome, Err(BlobError::Unavailable(_)));
        self.is_away.store(is_away, Ordering::Relaxed);
        outcome
    }

    /// Keeps the bytes of a file, durably; never more than a part of it is in memory.
    ///
    /// # Errors
    /// [`BlobError`]; there is nothing then under this name.
    pub async fn put(&self, key: &BlobKey, file: File) -> Result<(), BlobError> {
        self.noting(self.write(key, file).await)
    }

    async fn write(&self, key: &BlobKey, mut file: File) -> Result<(), BlobError> {
        let path = key.path(&self.prefix);
        let mut writer = BufWriter::with_capacity(Arc::clone(&self.store), path, PART_BYTES)
            .with_max_concurrency(PARTS_AT_ONCE);
        loop {
            let mut piece = bytes::BytesMut::with_capacity(PIECE_BYTES);
            let written = match file.read_buf(&mut piece).await {
                Ok(0) => break,
                Ok(_) => writer.put(piece.freeze()).await.map_err(BlobError::from),
                Err(error) => Err(error.into()),
            };
            if let Err(error) = written {
                // What is left of it is of no use to anyone; that it cannot be given up changes nothing.
                let _ = writer.abort().await;
                return Err(error);
            }
        }
        Ok(writer.shutdown().await?)
    }

    /// Keeps a few bytes.
    ///
    /// # Errors
    /// As [`Blobs::put`].
    pub async fn put_bytes(&self, key: &BlobKey, bytes: Bytes) -> Result<(), BlobError> {
        let payload = PutPayload::from_bytes(bytes);
        let put = self.store.put(&key.path(&self.prefix), payload).await;
        self.noting(put.map(drop).map_err(BlobError::from))
    }

    /// How many bytes there are.
    ///
    /// # Errors
    /// [`BlobError::Missing`] when there are none.
    pub async fn size(&self, key: &BlobKey) -> Result<u64, BlobError> {
        let found = self.store.head(&key.path(&self.prefix)).await;
        self.noting(found.map(|meta| meta.size).map_err(BlobError::from))
    }

    /// Some of the bytes, as they come.
    ///
    /// # Errors
    /// [`BlobError::Missing`] when there are none.
    pub async fn get(
        &self,
        key: &BlobKey,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, BlobError>>, BlobError> {
        let options = object_store::GetOptions::new().with_range(Some(range));
        let found = self.store.get_opts(&key.path(&self.prefix), options).await;
        let found = self.noting(found.map_err(BlobError::from))?;
        Ok(found.into_stream().map_err(BlobError::from).boxed())
    }

    /// Deletes all bytes of a file. That there are none is fine.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`]; some of them may be there still.
    pub async fn delete(&self, tenant: &TenantId, id: AttachmentId) -> Result<(), BlobError> {
        // The original last: as long as it is there, it is known that something is left.
        for key in [
            BlobKey::thumbnail(tenant.clone(), id),
            BlobKey::original(tenant.clone(), id),
        ] {
            let deleted = self.store.delete(&key.path(&self.prefix)).await;
            match self.noting(deleted.map_err(BlobError::from)) {
                Ok(()) | Err(BlobError::Missing) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The files that there are of a day, each once for each of its blobs.
    ///
    /// # Errors
    /// [`BlobError::Unavailable`].
    pub async fn of_day(&self, day: &str) -> Result<Vec<(TenantId, AttachmentId)>, BlobError> {
        let below = self.prefix.clone().join(day);
        let listed: Result<Vec<_>, _> = self.store.list(Some(&below)).try_collect().await;
        let listed = self.noting(listed.map_err(BlobError::from))?;
        let found = listed.iter().filter_map(|meta| {
            let mut parts: Vec<_> = meta.location.parts().collect();
            let (name, tenant) = (parts.pop()?, parts.pop()?);
            let id = name.as_ref().split('.').next()?.parse().ok()?;
            let tenant = percent_encoding::percent_decode_str(tenant.as_ref());
            Some((TenantId::parse(tenant.decode_utf8().ok()?).ok()?, id))
        });
        Ok(found.collect())
    }
}
