//! Files: taken in, looked into, kept, handed out and removed.
//!
//! The bytes are in a blob store, the facts in the log. In reading order: [`blobs`] is where bytes are kept, [`slots`]
//! bounds how many uploads come at once and [`spool`] takes them in, [`media`] finds out what they are, [`links`] are
//! the signed URLs that they are fetched by, and [`sweep`] removes what nobody uses. The handlers are beside all
//! others.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use self::blobs::Blobs;
use self::slots::Slots;
use crate::error::ApiError;

pub mod blobs;
pub mod links;
pub mod media;
pub mod slots;
pub mod spool;
pub mod sweep;

#[cfg(test)]
mod contract;

/// Pictures that are decoded at once, each of which may take [`media::MAX_MEMORY`].
const MEASURED_AT_ONCE: usize = 2;

/// What a node that takes files in does so with.
pub struct Attachments {
    /// Where the bytes are kept.
    pub blobs: Arc<Blobs>,
    /// The folder that uploads lie in until they are whole.
    pub spool: PathBuf,
    /// How long an upload may wait for a message to come with.
    pub kept: Duration,
    /// How many uploads may be on their way.
    pub slots: Arc<Slots>,
    measuring: Arc<Semaphore>,
}

impl Attachments {
    /// Files that are kept there.
    #[must_use]
    pub fn new(blobs: Arc<Blobs>, spool: PathBuf, kept: Duration) -> Self {
        Self {
            blobs,
            spool,
            kept,
            slots: Arc::default(),
            measuring: Arc::new(Semaphore::new(MEASURED_AT_ONCE)),
        }
    }

    /// What a file is, by its bytes. Few are looked into at once, also of those whose clients have gone meanwhile.
    ///
    /// # Errors
    /// 422 for a picture that cannot be decoded within the limits.
    pub async fn examine(&self, file: spool::Spooled) -> Result<(spool::Spooled, media::Found), ApiError> {
        let permit = Arc::clone(&self.measuring).acquire_owned().await;
        let examined = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            media::examine(file.path()).map(|found| (file, found))
        });
        match examined.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(media::MediaError::Io(error))) => {
                tracing::error!(%error, "an upload cannot be read back");
                Err(ApiError::internal())
            }
            Ok(Err(error)) => Err(ApiError::invalid(error.code(), error.to_string())),
            Err(error) => {
                tracing::error!(%error, "an upload was not looked into to the end");
                Err(ApiError::internal())
            }
        }
    }
}
