//! Where the bytes of files are kept: a folder, or a bucket of a server that speaks S3.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;
use object_store::{BackoffConfig, ClientOptions, RetryConfig};

use crate::attachments::blobs::Blobs;
use crate::attachments::{Attachments, spool};
use crate::config::attachments::{BlobPlace, Storage};
use crate::folder::{Folder, create_private};

/// How long a server is waited for: for a connection, and for each next word of an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(30);
/// How often, and for how long, what may pass is tried again while somebody waits.
const RETRIES: usize = 3;
const RETRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Opens the store that was named; an embedded node has one in its data folder. `None` for a cluster that was
/// not told where.
///
/// # Errors
/// When a folder cannot be made. A server is asked for nothing before a file comes.
pub fn open(storage: &Storage, folder: &Folder, is_cluster: bool) -> anyhow::Result<Option<Attachments>> {
    let blobs = match &storage.blobs {
        Some(place) => open_at(place, storage)?,
        None if is_cluster => return Ok(None),
        None => in_folder(&folder.blobs())?,
    };
    let uploads = folder.uploads();
    spool::clear(&uploads).with_context(|| format!("{} cannot be used", uploads.display()))?;
    Ok(Some(Attachments::new(
        blobs.into(),
        uploads,
        storage.unused_uploads_kept,
    )))
}

/// Opens the store at this place.
///
/// # Errors
/// As [`open`].
pub fn open_at(place: &BlobPlace, storage: &Storage) -> anyhow::Result<Blobs> {
    match place {
        BlobPlace::Folder(folder) => in_folder(folder),
        BlobPlace::Bucket { bucket, prefix } => in_bucket(bucket, prefix, storage),
    }
}

fn in_folder(folder: &Path) -> anyhow::Result<Blobs> {
    let refused = || format!("files cannot be kept in {}", folder.display());
    create_private(folder).with_context(refused)?;
    let store = LocalFileSystem::new_with_prefix(folder).with_context(refused)?;
    // What is acknowledged is on the disk, as in the log; and days that are over leave no empty folders.
    let store = store.with_fsync(true).with_automatic_cleanup(true);
    Ok(Blobs::new(store, ""))
}

fn in_bucket(bucket: &str, prefix: &str, storage: &Storage) -> anyhow::Result<Blobs> {
    let client = ClientOptions::new()
        .with_connect_timeout(CONNECT_TIMEOUT)
        .with_read_timeout(SILENCE)
        // A large file to a slow client takes its time.
        .with_timeout_disabled()
        .with_allow_http(storage.s3_endpoint.as_ref().is_some_and(|url| url.is_plain()));
    let retry = RetryConfig {
        backoff: BackoffConfig::default(),
        max_retries: RETRIES,
        retry_timeout: RETRY_TIMEOUT,
    };
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_region(&storage.s3_region)
        .with_client_options(client)
        .with_retry(retry);
    if let Some(endpoint) = &storage.s3_endpoint {
        builder = builder.with_endpoint(endpoint.as_str());
    }
    if let (Some(key), Some(secret)) = (&storage.s3_access_key, &storage.s3_secret_key) {
        builder = builder
            .with_access_key_id(key)
            .with_secret_access_key(secret.as_str());
    }
    let store = builder.build().context("files cannot be kept in a bucket")?;
    Ok(Blobs::new(store, prefix))
}
