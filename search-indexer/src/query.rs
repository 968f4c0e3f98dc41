//! The questions and the answers.

use std::fmt;
use std::str::FromStr;

use domain::conversation::MessageKind;
use domain::{ConversationId, MessageId, TenantId, Timestamp, UserId};
use eventstore::Position;

/// The most characters a query may have.
pub const MAX_QUERY_CHARS: usize = 1_000;
/// The most terms a query may have: words, and in Chinese, Japanese and Korean pairs of characters.
pub const MAX_QUERY_TERMS: usize = 64;
/// The most hits on one page; a higher limit counts as this one.
pub const MAX_LIMIT: usize = 1_000;

/// What someone searches. Its `Debug` form leaves the text out.
#[derive(Clone)]
pub struct SearchRequest {
    /// The tenant of the one who asks.
    pub tenant: TenantId,
    /// The conversations in which the one who asks is an active member: nothing outside of them is
    /// found or counted.
    pub conversations: Vec<ConversationId>,
    /// Words and "quoted phrases", all of which must be in the message. A word with diacritics is found
    /// as it is written, one without in every spelling. Punctuation means nothing.
    pub text: String,
    /// How many hits at most, from 1 to [`MAX_LIMIT`].
    pub limit: usize,
    /// Where the page before ended.
    pub cursor: Option<SearchCursor>,
    /// What else must be true of a message.
    pub filters: Filters,
}

impl fmt::Debug for SearchRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SearchRequest")
            .field("tenant", &self.tenant)
            .field("conversations", &self.conversations.len())
            .field("limit", &self.limit)
            .field("cursor", &self.cursor)
            .field("filters", &self.filters)
            .finish_non_exhaustive()
    }
}

/// What must be true of a message beside its words. They narrow hits, total and facets alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters {
    /// It is of this type.
    pub kind: Option<MessageKind>,
    /// This user sent it.
    pub user: Option<UserId>,
    /// It is in this conversation, which must be one of the asker's own.
    pub conversation: Option<ConversationId>,
    /// It was sent then or later.
    pub sent_from: Option<Timestamp>,
    /// It was sent before then.
    pub sent_before: Option<Timestamp>,
}

/// Where a page ended. Opaque, and good for any later state of the index, a rebuilt one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SearchCursor(pub(crate) u64);

/// A text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the search cursor is malformed")]
pub struct CursorError;

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for SearchCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let canonical = text.len() == 16 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(CursorError);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| CursorError)
    }
}

/// A page of hits, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// The messages of this page.
    pub hits: Vec<Hit>,
    /// How many messages match, on all pages together.
    pub total: u64,
    /// What they are, on all pages together.
    pub facets: Facets,
    /// Where the next page begins; `None` when there is none.
    pub next: Option<SearchCursor>,
    /// How far the index is, per shard: everything up to there was searched.
    pub indexed: Vec<Position>,
}

/// A message that matches. What it says is in the read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The message.
    pub id: MessageId,
}

/// Exact counts of all matching messages, each list with the most frequent first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// By the type of message.
    pub by_type: Vec<(MessageKind, u64)>,
    /// By sender.
    pub by_user: Vec<(UserId, u64)>,
    /// By conversation.
    pub by_conversation: Vec<(ConversationId, u64)>,
}

/// Why a search was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchError {
    /// The text has no word: no letter and no digit.
    #[error("the query has no word to search for")]
    EmptyQuery,
    /// The text is longer than [`MAX_QUERY_CHARS`].
    #[error("the query has more than {MAX_QUERY_CHARS} characters")]
    QueryTooLong,
    /// The text has more terms than [`MAX_QUERY_TERMS`].
    #[error("the query has more than {MAX_QUERY_TERMS} words")]
    TooManyWords,
    /// The index failed.
    #[error("the search index failed: {0}")]
    Failed(String),
}
