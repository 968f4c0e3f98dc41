//! What a search may see: one tenant, the asker's conversations in it, and a span of time.

use std::sync::Arc;

use domain::{ConversationId, TenantId};
use tantivy::columnar::ColumnValues;
use tantivy::query::doc_predicate_query::{
    ConstOrVariableSegmentPredicate, DocPredicate, DocPredicateQuery, SegmentDocPredicate,
};
use tantivy::query::{AllScorer, Query, TermSetQuery};
use tantivy::{DocId, SegmentReader, TantivyError, Term};

use super::SearchRequest;
use crate::index::{Columns, Snapshot};
use crate::schema::Fields;

/// Looking up a conversation in a segment takes as long as looking at this many messages, as measured with
/// 760,000 messages in ten thousand conversations.
const CANDIDATES_PER_LOOKUP: u64 = 128;

/// The scope of a search, as a condition on a message's columns.
pub(super) struct Scope {
    snapshot: Arc<Snapshot>,
    tenant: TenantId,
    /// Sorted.
    conversations: Vec<ConversationId>,
    /// Milliseconds, from inclusive and to exclusive.
    sent: Option<(i64, i64)>,
}

impl Scope {
    pub(super) fn new(
        snapshot: &Arc<Snapshot>,
        request: &SearchRequest,
        conversations: Vec<ConversationId>,
    ) -> Self {
        let (from, before) = (request.filters.sent_from, request.filters.sent_before);
        let sent = (from.is_some() || before.is_some()).then(|| {
            (
                from.map_or(i64::MIN, |t| t.as_millis()),
                before.map_or(i64::MAX, |t| t.as_millis()),
            )
        });
        Self {
            snapshot: Arc::clone(snapshot),
            tenant: request.tenant.clone(),
            conversations,
            sent,
        }
    }

    /// The scope as queries that must all match. The condition is always one of them. Where the words are
    /// so frequent (`candidates`: how many messages have the rarest of them) that looking at each of their
    /// messages takes longer than listing the conversations' own, the list is another.
    pub(super) fn queries(self, fields: &Fields, candidates: u64) -> Vec<Box<dyn Query>> {
        let lookups = self.conversations.len() as u64 * self.snapshot.columns.len() as u64;
        let mut queries: Vec<Box<dyn Query>> = Vec::with_capacity(2);
        if candidates / CANDIDATES_PER_LOOKUP > lookups {
            let names = self.conversations.iter().map(ConversationId::to_string);
            let terms = names.map(|name| Term::from_field_text(fields.conversation, &name));
            queries.push(Box::new(TermSetQuery::new(terms)));
        }
        queries.push(Box::new(DocPredicateQuery::from(self)));
        queries
    }

    /// The conversations by their numbers in a segment, one bit each; `None` when it has none of them.
    fn numbers_in(&self, columns: &Columns) -> Result<Option<Vec<u64>>, TantivyError> {
        let there = columns.conversations()?;
        let mut bits = vec![0_u64; there.len().div_ceil(64)];
        let mut any = false;
        let mut from = 0;
        for conversation in &self.conversations {
            // Both are sorted, so the search begins where the one before ended.
            match there[from..].binary_search(conversation) {
                Ok(index) => {
                    from += index;
                    bits[from / 64] |= 1 << (from % 64);
                    any = true;
                }
                Err(index) => from += index,
            }
        }
        Ok(any.then_some(bits))
    }
}

impl std::fmt::Debug for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scope").finish_non_exhaustive()
    }
}

impl DocPredicate for Scope {
    type SegmentDocPredicate = SegmentScope;

    fn doc_predicate(
        &self,
        reader: &SegmentReader,
    ) -> tantivy::Result<ConstOrVariableSegmentPredicate<SegmentScope>> {
        const NOTHING: ConstOrVariableSegmentPredicate<SegmentScope> =
            ConstOrVariableSegmentPredicate::Const(false);
        let Some(columns) = self.snapshot.columns_of(reader.segment_id()) else {
            return Err(TantivyError::InternalError(
                "a segment without columns".to_owned(),
            ));
        };
        let Some(tenant) = columns.tenant.number_of(self.tenant.as_str())? else {
            return Ok(NOTHING);
        };
        let Some(conversations) = self.numbers_in(columns)? else {
            return Ok(NOTHING);
        };
        let sent = self
            .sent
            .map(|(from, before)| (Arc::clone(&columns.sent_at), from, before));
        let predicate = SegmentScope {
            tenant,
            tenants: Arc::clone(&columns.tenant.numbers),
            allowed: conversations,
            conversations: Arc::clone(&columns.conversation.numbers),
            sent,
        };
        let necessary_condition = Box::new(AllScorer::new(reader.max_doc()));
        Ok(ConstOrVariableSegmentPredicate::Variable {
            predicate,
            necessary_condition,
        })
    }
}

/// The scope within one segment.
pub(super) struct SegmentScope {
    tenant: u64,
    tenants: Arc<dyn ColumnValues<u64>>,
    /// One bit for each conversation of the segment.
    allowed: Vec<u64>,
    conversations: Arc<dyn ColumnValues<u64>>,
    sent: Option<(Arc<dyn ColumnValues<i64>>, i64, i64)>,
}

impl SegmentDocPredicate for SegmentScope {
    fn eval(&mut self, document: DocId) -> bool {
        let conversation = self.conversations.get_val(document);
        let bits = usize::try_from(conversation / 64)
            .ok()
            .and_then(|word| self.allowed.get(word));
        bits.is_some_and(|bits| bits >> (conversation % 64) & 1 == 1)
            && self.tenants.get_val(document) == self.tenant
            && self.sent.as_ref().is_none_or(|(sent_at, from, before)| {
                let sent_at = sent_at.get_val(document);
                *from <= sent_at && sent_at < *before
            })
    }
}
