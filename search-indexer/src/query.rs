//! The questions and the answers.
//!
//! A query is one tantivy query of three parts that must all be true: the words, the filters, and the
//! scope (tenant, and the conversations of the one who asks). What is found, counted and counted by
//! facet is what that whole query matches, so nothing outside the scope shows in any number.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use domain::conversation::MessageKind;
use domain::{ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use eventstore::Position;
use tantivy::query::{BooleanQuery, Occur, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::{TantivyError, Term};

use crate::index::Snapshot;
use crate::schema::Fields;

mod grammar;
mod matches;
mod scope;

use grammar::Clause;
use matches::{Age, Matches, Place};
use scope::Scope;

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
pub struct SearchCursor(pub(crate) Age);

/// A text is not a cursor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the search cursor is malformed")]
pub struct CursorError;

impl fmt::Display for SearchCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.0.0, self.0.1)
    }
}

impl FromStr for SearchCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let canonical = text.len() == 32
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if !canonical {
            return Err(CursorError);
        }
        let number = |digits| u64::from_str_radix(digits, 16).map_err(|_| CursorError);
        Ok(Self((number(&text[..16])?, number(&text[16..])?)))
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

impl From<TantivyError> for SearchError {
    fn from(error: TantivyError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// Answers a request from one state of the index.
///
/// # Errors
/// [`SearchError`] when the request is not one that can be answered, or the index fails.
pub(crate) fn search(
    snapshot: &Arc<Snapshot>,
    fields: &Fields,
    request: &SearchRequest,
) -> Result<SearchPage, SearchError> {
    let clauses = grammar::parse(&request.text)?;
    let indexed = snapshot.checkpoints.iter().map(|checkpoint| Position {
        epoch: checkpoint.epoch,
        shard: checkpoint.shard,
        sequence: checkpoint.sequence,
    });
    let mut page = SearchPage {
        hits: Vec::new(),
        total: 0,
        facets: Facets::default(),
        next: None,
        indexed: indexed.collect(),
    };
    let conversations = allowed(request);
    if conversations.is_empty() {
        return Ok(page);
    }
    let limit = request.limit.clamp(1, MAX_LIMIT);
    let query = whole_query(snapshot, fields, request, clauses, conversations)?;
    let matches = Matches {
        snapshot: Arc::clone(snapshot),
        before: request.cursor.map_or((u64::MAX, u64::MAX), |cursor| cursor.0),
        // One more than asked for tells whether there is a next page.
        keep: limit + 1,
    };
    let found = snapshot.searcher.search(&query, &matches)?;
    page.total = found.total;
    page.facets = found.facets;
    if found.newest.len() > limit {
        page.next = Some(SearchCursor(found.newest[limit - 1].age));
    }
    page.hits = found
        .newest
        .iter()
        .take(limit)
        .map(|place| hit(snapshot, place))
        .collect::<Result<_, _>>()?;
    Ok(page)
}

/// The conversations that may be found: the asker's own, narrowed by the filter.
fn allowed(request: &SearchRequest) -> Vec<ConversationId> {
    let mut allowed = request.conversations.clone();
    if let Some(wanted) = request.filters.conversation {
        allowed.retain(|conversation| *conversation == wanted);
    }
    allowed.sort_unstable();
    allowed.dedup();
    allowed
}

fn whole_query(
    snapshot: &Arc<Snapshot>,
    fields: &Fields,
    request: &SearchRequest,
    clauses: HashSet<Clause>,
    conversations: Vec<ConversationId>,
) -> Result<BooleanQuery, SearchError> {
    let mut parts: Vec<Box<dyn Query>> = Vec::new();
    let mut candidates = u64::MAX;
    for clause in clauses {
        let mut terms = Vec::with_capacity(clause.len());
        for (position, term) in clause {
            let term = Term::from_field_text(fields.text, &term);
            candidates = candidates.min(snapshot.searcher.doc_freq(&term)?);
            terms.push((position, term));
        }
        parts.push(clause_query(terms));
    }
    if let Some(user) = &request.filters.user {
        parts.push(term_query(Term::from_field_text(fields.user, user.as_str())));
    }
    if let Some(kind) = request.filters.kind {
        parts.push(term_query(Term::from_field_text(fields.kind, kind.as_str())));
    }
    parts.extend(Scope::new(snapshot, request, conversations).queries(fields, candidates));
    Ok(BooleanQuery::new(
        parts.into_iter().map(|part| (Occur::Must, part)).collect(),
    ))
}

fn clause_query(mut terms: Vec<(usize, Term)>) -> Box<dyn Query> {
    match terms.pop() {
        Some((_, only)) if terms.is_empty() => term_query(only),
        last => {
            terms.extend(last);
            Box::new(PhraseQuery::new_with_offset(terms))
        }
    }
}

fn term_query(term: Term) -> Box<dyn Query> {
    Box::new(TermQuery::new(term, IndexRecordOption::Basic))
}

fn hit(snapshot: &Snapshot, place: &Place) -> Result<Hit, SearchError> {
    let damaged = || SearchError::Failed("a hit cannot be named".to_owned());
    let columns = snapshot.columns.get(place.segment as usize).ok_or_else(damaged)?;
    let number = columns.conversation.numbers.get_val(place.document);
    let conversation = columns
        .conversations()?
        .get(usize::try_from(number).map_err(|_| damaged())?);
    let ordinal = Ordinal::new(columns.ordinal.get_val(place.document));
    match (conversation, ordinal) {
        (Some(conversation), Some(ordinal)) => Ok(Hit {
            id: MessageId {
                conversation: *conversation,
                ordinal,
            },
        }),
        _ => Err(damaged()),
    }
}
