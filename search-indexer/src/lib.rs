//! The log to search: a tantivy index of messages, with exact facet counts and the permission filter
//! inside every query.
//!
//! In reading order: `text` is what a word is, `schema` what the index holds, `document` how an event
//! becomes a change of it, [`index`] the index on disk, `writer` fills it, [`indexer`] follows the log,
//! [`mod@rebuild`] fills a new index beside the live one, [`query`] answers.
//!
//! The index is a projection: it has no text to hand out, hits are hydrated from the read model, and
//! whoever deletes its folder while nothing runs loses nothing but the time to fill it again.

mod document;
pub mod index;
pub mod indexer;
pub mod query;
pub mod rebuild;
mod schema;
mod text;
mod writer;

pub use index::{OpenError, Origin, SearchIndex};
pub use indexer::{Indexer, IndexerStopped, StartError, Status};
pub use query::{CursorError, Facets, Filters, Hit, SearchCursor, SearchError, SearchPage, SearchRequest};
pub use rebuild::{RebuildError, Rebuilt, rebuild};
pub use schema::tokenizers;
