//! The index on disk: opened, or discarded and begun anew; and what a search sees of it.
//!
//! The folder `<dir>.next` beside it belongs to a rebuild. Its last commit says that it is complete: from
//! then on it is the index, and what is in `<dir>` is only what was not deleted yet. So a crash at any
//! point leaves the old index or the new one.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use eventstore::Checkpoint;
use serde::{Deserialize, Serialize};
use tantivy::directory::error::{OpenDirectoryError, OpenReadError};
use tantivy::index::SegmentId;
use tantivy::schema::Schema;
use tantivy::store::Compressor;
use tantivy::{Index, IndexReader, IndexSettings, ReloadPolicy, Searcher, TantivyError};

use crate::query::{self, SearchError, SearchPage, SearchRequest};
use crate::schema::{self, Fields};

mod columns;

pub(crate) use columns::{Columns, Terms, damaged};

/// Why an index could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be read or written.
    #[error("the search index in {path} cannot be opened")]
    Io {
        /// The folder.
        path: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A new index cannot be made in the folder.
    #[error("a search index cannot be made in {path}: {detail}")]
    Create {
        /// The folder.
        path: String,
        /// What is wrong.
        detail: String,
    },
}

/// What an opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// There was none: it is empty and will be filled from the start of the log.
    Created,
    /// The one that was there.
    Opened,
    /// What was there could not be used and was deleted: it is empty and will be filled from the start
    /// of the log.
    Discarded {
        /// Why.
        reason: String,
    },
}

/// What the index says of itself, in the payload of each commit and so as atomic as its documents.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// [`schema::VERSION`] when it was written.
    pub(crate) version: u32,
    /// Set by the last commit of a rebuild: it may take the live index's place.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) complete: bool,
    /// How far each shard was taken in.
    pub(crate) checkpoints: Vec<Checkpoint>,
}

/// What searches see: one state of the index, and how far in the log it is.
pub(crate) struct Snapshot {
    pub(crate) searcher: Searcher,
    /// By the searcher's own numbers of its segments.
    pub(crate) columns: Vec<Arc<Columns>>,
    pub(crate) checkpoints: Vec<Checkpoint>,
}

impl Snapshot {
    /// The columns of a segment.
    pub(crate) fn columns_of(&self, segment: SegmentId) -> Option<&Arc<Columns>> {
        self.columns.iter().find(|columns| columns.segment == segment)
    }
}

/// An index of messages. Clones share it.
#[derive(Clone)]
pub struct SearchIndex {
    shared: Arc<Shared>,
}

struct Shared {
    origin: Origin,
    index: Index,
    fields: Fields,
    reader: IndexReader,
    snapshot: RwLock<Arc<Snapshot>>,
}

impl SearchIndex {
    /// Opens the index in a folder, and creates it when it is missing. An index of another schema, or
    /// one that is damaged beyond opening, is deleted and begun anew: [`SearchIndex::origin`] says so.
    /// The folder is the index's own. Blocks on files for a moment.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        finish_rebuild(dir).map_err(|source| failed(dir, source))?;
        if is_vacant(dir).map_err(|source| failed(dir, source))? {
            return Self::create(dir, Origin::Created);
        }
        match Self::open_existing(dir) {
            Ok(index) => Ok(index),
            Err(Unusable::Io(source)) => Err(failed(dir, source)),
            Err(Unusable::Discard(reason)) => {
                tracing::warn!(index.path = %dir.display(), reason, "the search index is discarded and will be rebuilt");
                fs::remove_dir_all(dir).map_err(|source| failed(dir, source))?;
                Self::create(dir, Origin::Discarded { reason })
            }
        }
    }

    /// What the opening found.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.shared.origin
    }

    /// How many messages are in the index.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.snapshot().searcher.num_docs()
    }

    /// Answers a request. This is work for the processor: in async code use [`SearchIndex::query`].
    ///
    /// # Errors
    /// [`SearchError`] when the request is not one that can be answered, or the index fails.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchPage, SearchError> {
        query::search(&self.snapshot(), &self.shared.fields, request)
    }

    /// [`SearchIndex::search`] on a thread that may be kept busy.
    ///
    /// # Errors
    /// As [`SearchIndex::search`].
    pub async fn query(&self, request: SearchRequest) -> Result<SearchPage, SearchError> {
        let index = self.clone();
        tokio::task::spawn_blocking(move || index.search(&request))
            .await
            // A panic's own text could quote what was searched for.
            .unwrap_or_else(|_| Err(SearchError::Failed("the search did not end".to_owned())))
    }

    pub(crate) fn create(dir: &Path, origin: Origin) -> Result<Self, OpenError> {
        fs::create_dir_all(dir).map_err(|source| failed(dir, source))?;
        let (schema, fields) = schema::build();
        let settings = IndexSettings {
            // Nothing is stored, so there is nothing to compress on a thread of its own.
            docstore_compression: Compressor::None,
            docstore_compress_dedicated_thread: false,
            ..IndexSettings::default()
        };
        let created = Index::builder()
            .schema(schema)
            .settings(settings)
            .create_in_dir(dir)
            .and_then(|index| Self::wrap(index, fields, origin, Vec::new()));
        created.map_err(|error| match io_error(&error) {
            Some(source) => failed(dir, source),
            None => OpenError::Create {
                path: dir.display().to_string(),
                detail: error.to_string(),
            },
        })
    }

    fn open_existing(dir: &Path) -> Result<Self, Unusable> {
        let index = Index::open_in_dir(dir)?;
        let (schema, fields) = schema::build();
        let payload = read_payload(&index, &schema)?;
        Ok(Self::wrap(index, fields, Origin::Opened, payload.checkpoints)?)
    }

    fn wrap(
        mut index: Index,
        fields: Fields,
        origin: Origin,
        checkpoints: Vec<Checkpoint>,
    ) -> Result<Self, TantivyError> {
        index.set_tokenizers(schema::tokenizers());
        // The indexer alone changes the index, and reloads after each commit.
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .try_into()?;
        let snapshot = Snapshot {
            searcher: reader.searcher(),
            columns: Columns::of_all(&reader.searcher(), &[])?,
            checkpoints,
        };
        let snapshot = RwLock::new(Arc::new(snapshot));
        Ok(Self {
            shared: Arc::new(Shared {
                origin,
                index,
                fields,
                reader,
                snapshot,
            }),
        })
    }

    /// The newest state that searches see.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(
            &self
                .shared
                .snapshot
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// How far each shard is in the newest commit on disk.
    ///
    /// # Errors
    /// When the index's own description cannot be read.
    pub(crate) fn committed(&self) -> Result<Vec<Checkpoint>, TantivyError> {
        match read_payload(&self.shared.index, &self.shared.index.schema()) {
            Ok(payload) => Ok(payload.checkpoints),
            Err(Unusable::Io(error)) => Err(error.into()),
            Err(Unusable::Discard(reason)) => Err(TantivyError::InternalError(reason)),
        }
    }

    /// Lets searches see what was committed.
    ///
    /// # Errors
    /// When the new segments cannot be opened; searches go on with what they saw.
    pub(crate) fn publish(&self, checkpoints: Vec<Checkpoint>) -> Result<(), TantivyError> {
        self.shared.reader.reload()?;
        let searcher = self.shared.reader.searcher();
        let columns = Columns::of_all(&searcher, &self.snapshot().columns)?;
        self.replace(Snapshot {
            searcher,
            columns,
            checkpoints,
        });
        Ok(())
    }

    /// Says that the index, as searches see it, is further in the log: what came changed nothing.
    pub(crate) fn advance(&self, checkpoints: Vec<Checkpoint>) {
        let now = self.snapshot();
        self.replace(Snapshot {
            searcher: now.searcher.clone(),
            columns: now.columns.clone(),
            checkpoints,
        });
    }

    fn replace(&self, snapshot: Snapshot) {
        *self
            .shared
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    pub(crate) fn inner(&self) -> &Index {
        &self.shared.index
    }

    pub(crate) fn fields(&self) -> &Fields {
        &self.shared.fields
    }
}

/// An index that is there but not to be used.
enum Unusable {
    /// The system's fault: to be tried again by whoever can mend it.
    Io(io::Error),
    /// The index's own.
    Discard(String),
}

impl From<TantivyError> for Unusable {
    fn from(error: TantivyError) -> Self {
        io_error(&error).map_or_else(|| Self::Discard(error.to_string()), Self::Io)
    }
}

/// The system's error behind one of the index, unless it says that a file is missing or cut short.
fn io_error(error: &TantivyError) -> Option<io::Error> {
    let source = match error {
        TantivyError::IoError(source) => source,
        TantivyError::OpenReadError(OpenReadError::IoError { io_error, .. })
        | TantivyError::OpenDirectoryError(OpenDirectoryError::IoError { io_error, .. }) => io_error,
        _ => return None,
    };
    let damaged = matches!(
        source.kind(),
        io::ErrorKind::NotFound
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::Other
    );
    if damaged {
        None
    } else {
        Some(io::Error::new(source.kind(), source.to_string()))
    }
}

fn read_payload(index: &Index, schema: &Schema) -> Result<Payload, Unusable> {
    if index.schema() != *schema {
        return Err(Unusable::Discard("it is of another schema".to_owned()));
    }
    let metas = index.load_metas()?;
    let payload = match metas.payload {
        // Created, and nothing committed yet.
        None if metas.segments.is_empty() => Payload {
            version: schema::VERSION,
            complete: false,
            checkpoints: Vec::new(),
        },
        None => return Err(Unusable::Discard("it does not say how far it is".to_owned())),
        Some(payload) => serde_json::from_str(&payload)
            .map_err(|_| Unusable::Discard("what it says of itself is not understood".to_owned()))?,
    };
    if payload.version == schema::VERSION {
        Ok(payload)
    } else {
        Err(Unusable::Discard(format!(
            "it is of version {}, not {}",
            payload.version,
            schema::VERSION
        )))
    }
}

fn failed(dir: &Path, source: io::Error) -> OpenError {
    OpenError::Io {
        path: dir.display().to_string(),
        source,
    }
}

fn is_vacant(dir: &Path) -> io::Result<bool> {
    match fs::read_dir(dir) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Where a rebuild fills the new index.
pub(crate) fn next_dir(dir: &Path) -> PathBuf {
    let mut name = dir.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".next");
    dir.with_file_name(name)
}

/// Ends a rebuild that was cut off: a complete index takes the live one's place, an incomplete one goes.
///
/// # Errors
/// When the folders cannot be changed.
pub(crate) fn finish_rebuild(dir: &Path) -> io::Result<()> {
    let next = next_dir(dir);
    if is_vacant(&next)? {
        return Ok(());
    }
    if !is_complete(&next) {
        return fs::remove_dir_all(&next);
    }
    if fs::exists(dir)? {
        fs::remove_dir_all(dir)?;
    }
    fs::rename(&next, dir)?;
    if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        File::open(parent)?.sync_all()?;
    }
    Ok(())
}

fn is_complete(next: &Path) -> bool {
    let (schema, _) = schema::build();
    Index::open_in_dir(next)
        .map_err(Unusable::from)
        .and_then(|index| read_payload(&index, &schema))
        .is_ok_and(|payload| payload.complete)
}
