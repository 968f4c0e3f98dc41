//! The columns of a segment, opened once: a segment never changes, but for messages that go.

use std::io;
use std::sync::{Arc, OnceLock};

use domain::ConversationId;
use tantivy::columnar::{ColumnValues, StrColumn};
use tantivy::index::SegmentId;
use tantivy::{Searcher, SegmentReader, TantivyError};

use crate::schema;

/// A column of strings: each message's term as its number in the segment's sorted dictionary.
pub(crate) struct Terms {
    strings: StrColumn,
    /// A message's number.
    pub(crate) numbers: Arc<dyn ColumnValues<u64>>,
}

/// The columns of one segment.
pub(crate) struct Columns {
    pub(crate) segment: SegmentId,
    pub(crate) recorded_at: Arc<dyn ColumnValues<u64>>,
    pub(crate) rank: Arc<dyn ColumnValues<u64>>,
    pub(crate) ordinal: Arc<dyn ColumnValues<u64>>,
    pub(crate) sent_at: Arc<dyn ColumnValues<i64>>,
    pub(crate) tenant: Terms,
    pub(crate) conversation: Terms,
    pub(crate) user: Terms,
    pub(crate) kind: Terms,
    /// The conversations by their numbers, once they were needed: 16 bytes each.
    conversations: OnceLock<Vec<ConversationId>>,
}

impl Columns {
    /// The columns of each segment, in the searcher's order; those that were open already are kept.
    ///
    /// # Errors
    /// When a segment cannot be read.
    pub(crate) fn of_all(searcher: &Searcher, open: &[Arc<Self>]) -> Result<Vec<Arc<Self>>, TantivyError> {
        let mut all = Vec::with_capacity(searcher.segment_readers().len());
        for reader in searcher.segment_readers() {
            let known = open.iter().find(|columns| columns.segment == reader.segment_id());
            all.push(match known {
                Some(columns) => Arc::clone(columns),
                None => Arc::new(Self::open(reader)?),
            });
        }
        Ok(all)
    }

    fn open(reader: &SegmentReader) -> Result<Self, TantivyError> {
        let fast = reader.fast_fields();
        Ok(Self {
            segment: reader.segment_id(),
            recorded_at: fast.column_first_or_default(schema::RECORDED_AT)?,
            rank: fast.column_first_or_default(schema::RANK)?,
            ordinal: fast.column_first_or_default(schema::ORDINAL)?,
            sent_at: fast.column_first_or_default(schema::SENT_AT)?,
            tenant: Terms::open(reader, schema::TENANT)?,
            conversation: Terms::open(reader, schema::CONVERSATION)?,
            user: Terms::open(reader, schema::USER)?,
            kind: Terms::open(reader, schema::KIND)?,
            conversations: OnceLock::new(),
        })
    }

    /// The conversations of the segment by their numbers, which rise with them.
    ///
    /// # Errors
    /// When the dictionary cannot be read.
    pub(crate) fn conversations(&self) -> Result<&[ConversationId], TantivyError> {
        if let Some(known) = self.conversations.get() {
            return Ok(known);
        }
        let mut conversations = Vec::with_capacity(self.conversation.count());
        let mut terms = self.conversation.strings.dictionary().stream()?;
        while terms.advance() {
            let id = std::str::from_utf8(terms.key())
                .ok()
                .and_then(|id| id.parse().ok());
            conversations.push(id.ok_or_else(|| damaged("a conversation's id is malformed"))?);
        }
        Ok(self.conversations.get_or_init(|| conversations))
    }
}

impl Terms {
    fn open(reader: &SegmentReader, field: &str) -> Result<Self, TantivyError> {
        let strings = reader
            .fast_fields()
            .str(field)?
            .ok_or_else(|| damaged("a column is missing"))?;
        let numbers = strings.ords().clone().first_or_default_col(0);
        Ok(Self { strings, numbers })
    }

    /// How many terms there are.
    pub(crate) fn count(&self) -> usize {
        self.strings.num_terms()
    }

    /// The number of a term; `None` when the segment has none of it.
    ///
    /// # Errors
    /// When the dictionary cannot be read.
    pub(crate) fn number_of(&self, term: &str) -> io::Result<Option<u64>> {
        self.strings.dictionary().term_ord(term)
    }

    /// Passes on the terms with these numbers, which must rise.
    ///
    /// # Errors
    /// When the dictionary cannot be read, or does not have them.
    pub(crate) fn each_of(&self, numbers: &[u64], mut on: impl FnMut(&str)) -> Result<(), TantivyError> {
        let found = self
            .strings
            .dictionary()
            .sorted_ords_to_term_cb(numbers, |term| on(&String::from_utf8_lossy(term)))?;
        if found {
            Ok(())
        } else {
            Err(damaged("a term is missing"))
        }
    }
}

/// The error for what a whole index would not hold.
pub(crate) fn damaged(detail: &str) -> TantivyError {
    TantivyError::InternalError(format!("the index is damaged: {detail}"))
}
