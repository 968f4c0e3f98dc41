//! Uploads on their way: written to a file piece by piece, counted, and gone when nobody needs them any more,
//! however that came about.

use std::io;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use domain::conversation::body::MAX_ATTACHMENT_BYTES;
use futures::{Stream, StreamExt};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::fs::File;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;

/// How long the next piece of a body may take.
pub const PIECE_PATIENCE: Duration = Duration::from_secs(10);
/// How long it may take once the server is to stop.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// How long a whole upload may take: at a megabit a second, the largest comes in time.
const UPLOAD_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// What is written at once.
const WRITE_BYTES: usize = 256 * 1024;

/// An upload that is whole. Its file is gone when this value is.
#[derive(Debug)]
pub struct Spooled {
    file: NamedTempFile,
    /// How many bytes there are, at least one.
    pub size: u64,
    /// SHA-256 of them.
    pub digest: [u8; 32],
}

impl Spooled {
    /// Where they are.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// The file, to be read from its beginning.
    ///
    /// # Errors
    /// When it cannot be opened again.
    pub fn open(&self) -> io::Result<File> {
        Ok(File::from_std(self.file.reopen()?))
    }
}

/// Makes the folder, and deletes what a process that ended badly left there.
///
/// # Errors
/// When it cannot be made or read.
pub fn clear(folder: &Path) -> io::Result<()> {
    crate::folder::create_private(folder)?;
    for entry in std::fs::read_dir(folder)? {
        std::fs::remove_file(entry?.path())?;
    }
    Ok(())
}

/// Takes an upload in.
///
/// # Errors
/// 413 as soon as there is too much, 408 when it does not come in time, 422 when there is nothing, and whatever
/// the pieces say. Nothing is left then.
pub async fn take_in(
    folder: &Path,
    pieces: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
    stopping: CancellationToken,
) -> Result<Spooled, ApiError> {
    let taking = write(folder, pieces, stopping);
    let taken = timeout(UPLOAD_PATIENCE, taking).await;
    taken.unwrap_or_else(|_| Err(ApiError::request_timeout()))
}

async fn write(
    folder: &Path,
    mut pieces: impl Stream<Item = Result<Bytes, ApiError>> + Unpin,
    stopping: CancellationToken,
) -> Result<Spooled, ApiError> {
    let file = NamedTempFile::new_in(folder).map_err(no_room)?;
    let writer = File::from_std(file.reopen().map_err(no_room)?);
    let mut writer = BufWriter::with_capacity(WRITE_BYTES, writer);
    let (mut size, mut digest) = (0, Sha256::new());
    loop {
        let last_call = async {
            stopping.cancelled().await;
            sleep(LAST_PATIENCE).await;
        };
        let piece = tokio::select! {
            biased;
            piece = pieces.next() => piece,
            () = sleep(PIECE_PATIENCE) => return Err(ApiError::request_timeout()),
            () = last_call => return Err(ApiError::request_timeout()),
        };
        let Some(piece) = piece else { break };
        let piece = piece?;
        size += piece.len() as u64;
        if size > MAX_ATTACHMENT_BYTES {
            return Err(ApiError::too_large());
        }
        digest.update(&piece);
        writer.write_all(&piece).await.map_err(no_room)?;
    }
    writer.flush().await.map_err(no_room)?;
    if size == 0 {
        return Err(ApiError::invalid("validation_failed", "the file is empty"));
    }
    Ok(Spooled {
        file,
        size,
        digest: digest.finalize().into(),
    })
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn no_room(error: io::Error) -> ApiError {
    tracing::error!(%error, "an upload cannot be written to the data folder");
    ApiError::unavailable(
        "blobs_unavailable",
        "there is no room for the file now; try again",
    )
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;

    fn pieces(count: usize, length: usize) -> impl Stream<Item = Result<Bytes, ApiError>> + Unpin {
        let piece = Bytes::from(vec![7; length]);
        stream::iter((0..count).map(move |_| Ok(piece.clone())))
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn an_upload_is_counted_and_gone_in_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let never = CancellationToken::new();
        let spooled = take_in(folder.path(), pieces(3, 1_000), never).await.unwrap();
        assert_eq!(spooled.size, 3_000);
        assert_eq!(spooled.digest, <[u8; 32]>::from(Sha256::digest(vec![7; 3_000])));
        assert_eq!(std::fs::read(spooled.path()).unwrap(), vec![7; 3_000]);
        drop(spooled);
        assert_eq!(files(folder.path()), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_taken_in_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let never = CancellationToken::new;
        let mebibyte = 1024 * 1024;
        let most = take_in(folder.path(), pieces(100, mebibyte), never()).await;
        assert_eq!(most.unwrap().size, MAX_ATTACHMENT_BYTES);
        let too_much = pieces(100, mebibyte).chain(pieces(1, 1));
        let broken = pieces(1, 9).chain(stream::iter([Err(ApiError::internal())]));
        let silent = pieces(1, 9).chain(stream::pending());
        for (error, status) in [
            (take_in(folder.path(), too_much, never()).await, 413),
            (take_in(folder.path(), pieces(0, 1), never()).await, 422),
            (take_in(folder.path(), broken, never()).await, 500),
            (take_in(folder.path(), silent, never()).await, 408),
        ] {
            assert_eq!(error.unwrap_err().status(), status);
        }
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn what_was_left_behind_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let spool = folder.path().join("uploads");
        clear(&spool).unwrap();
        std::fs::write(spool.join("left"), "behind").unwrap();
        clear(&spool).unwrap();
        assert_eq!(files(&spool), 0);
    }
}
