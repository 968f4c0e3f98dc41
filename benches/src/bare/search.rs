//! The baseline of searches: tantivy over the node's own index, with a collector written by hand. It finds, counts
//! and filters the same, and names the hits without saying what is in them.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use axum::{Json, Router};
use domain::{ConversationId, MessageId, Ordinal};
use serde::{Deserialize, Serialize};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::{ColumnValues, StrColumn};
use tantivy::query::{BooleanQuery, TermQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, Index, Score, Searcher, SegmentOrdinal, SegmentReader, Term};
use tests::token::DEFAULT_TENANT;
use tokio::net::TcpListener;

use super::Bare;

/// The first argument of its process; the second says where the index is.
pub(crate) const COMMAND: &str = "serve-bare-search";

/// Hits on a page, as the node has it.
const LIMIT: usize = 20;

impl Bare {
    /// Starts one that searches this index, for someone who is a member of all its conversations.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) async fn of_search(index: &Path) -> anyhow::Result<Self> {
        Self::spawn([COMMAND, index.to_str().context("a path")?]).await
    }
}

/// The process of a bare server of searches.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn run() -> anyhow::Result<()> {
    let folder = std::env::args().nth(2).context("an index")?;
    let app = App::open(Path::new(&folder))?;
    let router = Router::new()
        .route("/conversations/messages/search", get(search))
        .with_state(Arc::new(app));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    crate::say(&listener.local_addr()?.to_string());
    let listener = listener.tap_io(|stream| stream.set_nodelay(true).unwrap_or_default());
    Ok(axum::serve(listener, router).await?)
}

#[derive(Deserialize)]
struct Asked {
    q: String,
}

async fn search(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Response {
    let found = tokio::task::spawn_blocking(move || Ok(Json(app.search(&asked.q)?).into_response()));
    let failed = |error: anyhow::Error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    match found.await {
        Ok(found) => found.map_err(failed).into_response(),
        Err(error) => failed(error.into()).into_response(),
    }
}

/// What was found. Ids are as the node spells them.
#[derive(Serialize)]
struct Answer<'a> {
    ids: Vec<MessageId>,
    total: u64,
    facets: Facets<'a>,
}

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Facets<'a> {
    by_type: HashMap<&'a str, u64>,
    by_user: HashMap<&'a str, u64>,
    by_conversation: HashMap<&'a str, u64>,
}

struct App {
    searcher: Searcher,
    text: Field,
    /// By the numbers of the segments.
    segments: Vec<Arc<Columns>>,
    /// The conversations of the one who searches, sorted.
    memberships: Vec<String>,
}

/// A column of strings: the numbers of the documents' terms, and the terms, which are sorted.
struct Terms {
    numbers: Arc<dyn ColumnValues<u64>>,
    terms: Vec<String>,
}

/// What is needed of a segment.
struct Columns {
    tenant: Terms,
    kind: Terms,
    user: Terms,
    conversation: Terms,
    recorded_at: Arc<dyn ColumnValues<u64>>,
    rank: Arc<dyn ColumnValues<u64>>,
    ordinal: Arc<dyn ColumnValues<u64>>,
}

impl App {
    fn open(folder: &Path) -> anyhow::Result<Self> {
        let index = Index::open_in_dir(folder)?;
        let searcher = index.reader()?.searcher();
        let segments: Vec<_> = searcher
            .segment_readers()
            .iter()
            .map(|reader| Ok(Arc::new(Columns::open(reader)?)))
            .collect::<anyhow::Result<_>>()?;
        let all = segments.iter().flat_map(|columns| &columns.conversation.terms);
        let mut memberships: Vec<_> = all.cloned().collect();
        memberships.sort_unstable();
        memberships.dedup();
        Ok(Self {
            searcher,
            text: index.schema().get_field("text")?,
            segments,
            memberships,
        })
    }

    fn search(&self, words: &str) -> anyhow::Result<Answer<'_>> {
        let word = |word| {
            let term = Term::from_field_text(self.text, word);
            Box::new(TermQuery::new(term, IndexRecordOption::Basic)) as _
        };
        let query = BooleanQuery::intersection(words.split(' ').map(word).collect());
        let found = self.searcher.search(&query, &Matches(self))?;
        let mut answer = Answer {
            ids: Vec::with_capacity(LIMIT),
            total: 0,
            facets: Facets::default(),
        };
        let mut newest = Vec::with_capacity(2 * LIMIT * self.segments.len());
        for (of_segment, columns) in found.into_iter().zip(&self.segments) {
            answer.total += of_segment.total;
            newest.extend(of_segment.newest.into_iter().map(|hit| (hit, columns)));
            columns.kind.add(&of_segment.by_type, &mut answer.facets.by_type);
            columns.user.add(&of_segment.by_user, &mut answer.facets.by_user);
            let by_conversation = &mut answer.facets.by_conversation;
            columns
                .conversation
                .add(&of_segment.by_conversation, by_conversation);
        }
        newest.sort_unstable_by_key(|(hit, _)| Reverse(hit.age));
        for (hit, columns) in newest.iter().take(LIMIT) {
            answer.ids.push(columns.id(hit.document)?);
        }
        Ok(answer)
    }
}

impl Columns {
    fn open(reader: &SegmentReader) -> anyhow::Result<Self> {
        let fast = reader.fast_fields();
        let terms = |name| Terms::of(&fast.str(name)?.context("a column")?);
        Ok(Self {
            tenant: terms("tenant")?,
            kind: terms("type")?,
            user: terms("user")?,
            conversation: terms("conversation")?,
            recorded_at: fast.column_first_or_default("recorded_at")?,
            rank: fast.column_first_or_default("rank")?,
            ordinal: fast.column_first_or_default("ordinal")?,
        })
    }

    fn id(&self, document: DocId) -> anyhow::Result<MessageId> {
        let number = usize::try_from(self.conversation.numbers.get_val(document))?;
        Ok(MessageId {
            conversation: self.conversation.terms[number].parse::<ConversationId>()?,
            ordinal: Ordinal::new(self.ordinal.get_val(document)).context("an ordinal")?,
        })
    }
}

impl Terms {
    fn of(column: &StrColumn) -> anyhow::Result<Self> {
        let mut terms = Vec::with_capacity(column.num_terms());
        let mut all = column.dictionary().stream()?;
        while all.advance() {
            terms.push(std::str::from_utf8(all.key())?.to_owned());
        }
        Ok(Self {
            numbers: column.ords().clone().first_or_default_col(0),
            terms,
        })
    }

    /// Adds what was counted of each term.
    fn add<'a>(&'a self, counts: &[u32], sums: &mut HashMap<&'a str, u64>) {
        for (term, count) in self.terms.iter().zip(counts) {
            if *count > 0 {
                *sums.entry(term).or_default() += u64::from(*count);
            }
        }
    }
}

/// Collects what a page and its facets need.
struct Matches<'a>(&'a App);

/// A hit; the greater its age, the newer.
struct Hit {
    age: (u64, u64),
    document: DocId,
}

struct SegmentMatches {
    columns: Arc<Columns>,
    tenant: u64,
    is_member: Vec<bool>,
    total: u64,
    by_type: Vec<u32>,
    by_user: Vec<u32>,
    by_conversation: Vec<u32>,
    newest: Vec<Hit>,
}

impl Collector for Matches<'_> {
    type Fruit = Vec<SegmentMatches>;
    type Child = SegmentMatches;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        _reader: &SegmentReader,
    ) -> tantivy::Result<SegmentMatches> {
        let columns = &self.0.segments[segment as usize];
        let conversations = &columns.conversation.terms;
        let mut is_member = vec![false; conversations.len()];
        for conversation in &self.0.memberships {
            if let Ok(number) = conversations.binary_search(conversation) {
                is_member[number] = true;
            }
        }
        let tenant = columns
            .tenant
            .terms
            .iter()
            .position(|tenant| tenant == DEFAULT_TENANT);
        Ok(SegmentMatches {
            tenant: tenant.map_or(u64::MAX, |number| number as u64),
            is_member,
            total: 0,
            by_type: vec![0; columns.kind.terms.len()],
            by_user: vec![0; columns.user.terms.len()],
            by_conversation: vec![0; conversations.len()],
            newest: Vec::with_capacity(2 * LIMIT),
            columns: Arc::clone(columns),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<SegmentMatches>) -> tantivy::Result<Vec<SegmentMatches>> {
        Ok(segments)
    }
}

impl SegmentCollector for SegmentMatches {
    type Fruit = Self;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.collect_block(&[document]);
    }

    #[allow(clippy::cast_possible_truncation, reason = "numbers of terms, which are few")]
    fn collect_block(&mut self, documents: &[DocId]) {
        let columns = Arc::clone(&self.columns);
        for documents in documents.chunks(COLLECT_BLOCK_BUFFER_LEN) {
            let values = |column: &dyn ColumnValues<u64>| {
                let mut values = [0; COLLECT_BLOCK_BUFFER_LEN];
                column.get_vals(documents, &mut values[..documents.len()]);
                values
            };
            let tenants = values(&*columns.tenant.numbers);
            let conversations = values(&*columns.conversation.numbers);
            let kinds = values(&*columns.kind.numbers);
            let users = values(&*columns.user.numbers);
            let times = values(&*columns.recorded_at);
            for (index, document) in documents.iter().enumerate() {
                let conversation = conversations[index] as usize;
                if tenants[index] != self.tenant || !self.is_member[conversation] {
                    continue;
                }
                self.total += 1;
                self.by_conversation[conversation] += 1;
                self.by_type[kinds[index] as usize] += 1;
                self.by_user[users[index] as usize] += 1;
                self.newest.push(Hit {
                    age: (times[index], columns.rank.get_val(*document)),
                    document: *document,
                });
                if self.newest.len() == 2 * LIMIT {
                    self.newest
                        .select_nth_unstable_by_key(LIMIT - 1, |hit| Reverse(hit.age));
                    self.newest.truncate(LIMIT);
                }
            }
        }
    }

    fn harvest(self) -> Self {
        self
    }
}
