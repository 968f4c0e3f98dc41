//! The log to search: a tantivy index of messages, with exact facet counts and the permission filter
//! inside every query.
//!
//! In reading order: [`text`] is what a word is, [`schema`] what the index holds, [`document`] how an
//! event becomes a change of the index, [`index`] the index on disk, [`indexer`] follows the log and
//! [`rebuild`](mod@rebuild) fills a new index beside the live one, [`query`] answers.
//!
//! The index is a projection: it holds no text that it could hand out, hits are hydrated from the read
//! model, and it may be deleted at any time while nothing runs.

pub mod index;
pub mod indexer;
pub mod query;
pub mod rebuild;
mod text;

pub use index::{OpenError, Origin, SearchIndex};
pub use indexer::{Indexer, IndexerStopped, StartError, Status};
pub use query::{
    CursorError, Facets, Filters, Hit, SearchCursor, SearchError, SearchPage, SearchRequest,
};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
