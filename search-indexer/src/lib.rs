//! The log to search: a tantivy index of messages with facet counts.
