//! Collects in one pass what a page needs: the newest matches, how many there are, and what they are.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::Arc;

use domain::UserId;
use domain::conversation::MessageKind;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as NameError, StrDeserializer};
use tantivy::collector::{Collector, SegmentCollector};
use tantivy::columnar::ColumnValues;
use tantivy::{COLLECT_BLOCK_BUFFER_LEN, DocId, Score, SegmentOrdinal, SegmentReader, TantivyError};

use super::Facets;
use crate::index::{Columns, Snapshot, Terms, damaged};

/// Collects the matches of a query: all are counted, the newest are kept.
pub(super) struct Matches {
    /// The state of the index that is searched.
    pub(super) snapshot: Arc<Snapshot>,
    /// Only older messages are kept: the page before ended here.
    pub(super) before: Age,
    /// How many of the newest are kept.
    pub(super) keep: usize,
}

/// When a message was recorded and its rank: the greater is the newer.
pub(crate) type Age = (u64, u64);

/// Where a match is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) age: Age,
    pub(super) segment: SegmentOrdinal,
    pub(super) document: DocId,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// How many messages match.
    pub(super) total: u64,
    /// What they are.
    pub(super) facets: Facets,
    /// The newest ones below the cursor, newest first.
    pub(super) newest: Vec<Place>,
}

impl Collector for Matches {
    type Fruit = Found;
    type Child = SegmentMatches;

    fn for_segment(
        &self,
        segment: SegmentOrdinal,
        _reader: &SegmentReader,
    ) -> tantivy::Result<SegmentMatches> {
        let columns = self.snapshot.columns.get(segment as usize);
        let columns =
            columns.ok_or_else(|| TantivyError::InternalError("a segment without columns".to_owned()))?;
        Ok(SegmentMatches {
            total: 0,
            newest: Newest {
                segment,
                before: self.before,
                keep: self.keep,
                places: Vec::new(),
            },
            by_kind: Counts::of(columns.kind.count()),
            by_user: Counts::of(columns.user.count()),
            by_conversation: Counts::of(columns.conversation.count()),
            columns: Arc::clone(columns),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, segments: Vec<SegmentMatches>) -> tantivy::Result<Found> {
        let mut total = 0;
        let mut newest = Vec::new();
        let (mut kinds, mut users, mut conversations) = (Names::default(), Names::default(), Vec::new());
        for segment in segments {
            total += segment.total;
            newest.extend(segment.newest.places);
            kinds.add(&segment.columns.kind, &segment.by_kind)?;
            users.add(&segment.columns.user, &segment.by_user)?;
            let known = segment.columns.conversations()?;
            let counts = segment.by_conversation.0.iter();
            conversations.extend(
                known
                    .iter()
                    .copied()
                    .zip(counts.map(|c| u64::from(*c)))
                    .filter(|(_, c)| *c > 0),
            );
        }
        newest.sort_unstable_by_key(|place: &Place| Reverse(place.age));
        newest.truncate(self.keep);
        let facets = Facets {
            by_type: by_frequency(kinds.merged(), kind)?,
            by_user: by_frequency(users.merged(), |user| UserId::parse(user).ok())?,
            by_conversation: by_frequency(merged(conversations), Some)?,
        };
        Ok(Found {
            total,
            facets,
            newest,
        })
    }
}

/// Counted terms of several segments, in one piece of memory.
#[derive(Default)]
struct Names {
    text: String,
    counts: Vec<(Range<usize>, u64)>,
}

impl Names {
    fn add(&mut self, terms: &Terms, counts: &Counts) -> tantivy::Result<()> {
        let (numbers, counts): (Vec<u64>, Vec<u32>) = (0..)
            .zip(&counts.0)
            .filter(|(_, count)| **count > 0)
            .map(|(number, count)| (number, *count))
            .unzip();
        let mut counts = counts.into_iter();
        terms.each_of(&numbers, |name| {
            let start = self.text.len();
            self.text.push_str(name);
            self.counts
                .push((start..self.text.len(), counts.next().map_or(0, u64::from)));
        })
    }

    fn merged(&self) -> Vec<(&str, u64)> {
        merged(
            self.counts
                .iter()
                .map(|(name, count)| (&self.text[name.clone()], *count))
                .collect(),
        )
    }
}

/// Adds up what several segments counted of the same name. Each segment's names are in order, which the
/// sort makes use of.
fn merged<N: Ord>(mut counts: Vec<(N, u64)>) -> Vec<(N, u64)> {
    counts.sort_by(|(a, _), (b, _)| a.cmp(b));
    counts.dedup_by(|(name, more), (kept, count)| {
        let same = name == kept;
        *count += if same { *more } else { 0 };
        same
    });
    counts
}

/// Names what was counted, the most frequent first; equally frequent ones stay in the order of their names.
fn by_frequency<N, K>(
    mut counts: Vec<(N, u64)>,
    named: impl Fn(N) -> Option<K>,
) -> tantivy::Result<Vec<(K, u64)>> {
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let named = counts
        .into_iter()
        .map(|(name, count)| Some((named(name)?, count)));
    named
        .collect::<Option<_>>()
        .ok_or_else(|| damaged("it names something unknown"))
}

fn kind(name: &str) -> Option<MessageKind> {
    let name: StrDeserializer<'_, NameError> = name.into_deserializer();
    MessageKind::deserialize(name).ok()
}

/// The matches in one segment.
pub(super) struct SegmentMatches {
    columns: Arc<Columns>,
    total: u64,
    newest: Newest,
    by_kind: Counts,
    by_user: Counts,
    by_conversation: Counts,
}

impl SegmentCollector for SegmentMatches {
    type Fruit = Self;

    fn collect(&mut self, document: DocId, _score: Score) {
        self.collect_block(&[document]);
    }

    fn collect_block(&mut self, documents: &[DocId]) {
        for documents in documents.chunks(COLLECT_BLOCK_BUFFER_LEN) {
            self.total += documents.len() as u64;
            let mut values = [0; COLLECT_BLOCK_BUFFER_LEN];
            let values = &mut values[..documents.len()];
            self.by_kind.count(&self.columns.kind.numbers, documents, values);
            self.by_user.count(&self.columns.user.numbers, documents, values);
            self.by_conversation
                .count(&self.columns.conversation.numbers, documents, values);
            self.columns.recorded_at.get_vals(documents, values);
            for (document, recorded_at) in documents.iter().zip(values) {
                self.newest.offer(*document, *recorded_at, &*self.columns.rank);
            }
        }
    }

    fn harvest(mut self) -> Self {
        self.newest.cut();
        self
    }
}

/// The newest matches of a segment: up to twice as many as are kept, then the older half goes.
struct Newest {
    segment: SegmentOrdinal,
    before: Age,
    keep: usize,
    places: Vec<Place>,
}

impl Newest {
    /// The rank of a message is looked up only when its time does not say already that it is too new.
    fn offer(&mut self, document: DocId, recorded_at: u64, ranks: &dyn ColumnValues<u64>) {
        if recorded_at > self.before.0 {
            return;
        }
        let age = (recorded_at, ranks.get_val(document));
        if age < self.before {
            self.places.push(Place {
                age,
                segment: self.segment,
                document,
            });
            if self.places.len() == 2 * self.keep {
                self.cut();
            }
        }
    }

    fn cut(&mut self) {
        if self.places.len() > self.keep {
            self.places
                .select_nth_unstable_by_key(self.keep - 1, |place| Reverse(place.age));
            self.places.truncate(self.keep);
        }
    }
}

/// How often each term of a column was seen, by its number in the segment.
struct Counts(Vec<u32>);

impl Counts {
    fn of(terms: usize) -> Self {
        Self(vec![0; terms])
    }

    fn count(&mut self, numbers: &Arc<dyn ColumnValues<u64>>, documents: &[DocId], values: &mut [u64]) {
        // With a single term there is nothing to look up.
        if let [only] = &mut self.0[..] {
            *only += u32::try_from(documents.len()).unwrap_or(u32::MAX);
            return;
        }
        numbers.get_vals(documents, values);
        for number in values {
            if let Some(count) = usize::try_from(*number)
                .ok()
                .and_then(|number| self.0.get_mut(number))
            {
                *count += 1;
            }
        }
    }
}
