//! Reading: heads from the leader, pages from any replica, and what makes a page whole.

use async_nats::header::{HeaderMap, HeaderName, NATS_LAST_SEQUENCE, NATS_SEQUENCE, NATS_SUBJECT};
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{self, RawMessageBuilder, RawMessageErrorKind};
use async_nats::{Message, Request, StatusCode};
use bytes::Bytes;
use futures::StreamExt;
use serde::Serialize;

use super::connection::Silence;
use super::{Inner, Shard};
use crate::log::{ReadError, Record};
use crate::subject::Stream;

/// The most bytes a page has, give or take a record.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// The most records a page has, whatever the caller's limit.
const PAGE_RECORDS: usize = 1000;

/// The status that ends a page.
const END_OF_BATCH: u16 = 204;

/// The status that stands for an empty page.
const NOTHING_FOUND: u16 = 404;

/// A request for a page (ADR-31 of NATS).
#[derive(Serialize)]
struct PageRequest<'a> {
    seq: u64,
    next_by_subj: &'a str,
    batch: usize,
    max_bytes: usize,
}

impl Inner {
    /// The sequence of a stream's newest record by its leader's knowledge, 0 when there is none.
    pub(super) async fn head(&self, stream: &Stream) -> Result<u64, ReadError> {
        let shard = self.owner(stream);
        self.continuous(shard).await?;
        let newest = shard
            .handle
            .raw_message_builder()
            .last_by_subject(self.subject(stream));
        Ok(self
            .at_leader(newest)
            .await?
            .map_or(0, |message| message.sequence))
    }

    /// The records of a shard after the sequence, of one stream or of all. Empty only at the end.
    pub(super) async fn page(
        &self,
        shard: &Shard,
        stream: Option<&Stream>,
        after: u64,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let (Some(first), 1..) = (after.checked_add(1), limit) else {
            return Ok(Vec::new());
        };
        let filter = stream.map_or_else(|| ">".to_owned(), |stream| self.subject(stream));
        let limit = limit.min(PAGE_RECORDS);
        let request = PageRequest {
            seq: first,
            next_by_subj: &filter,
            batch: limit,
            max_bytes: PAGE_BYTES,
        };
        let page = self.replica_page(shard, &request, stream.is_none()).await?;
        if !page.is_empty() {
            return Ok(page);
        }
        // The end, a replica that is behind, or a page that began with a hole: the leader knows.
        let next = shard
            .handle
            .raw_message_builder()
            .sequence(first)
            .next_by_subject(filter);
        let Some(message) = self.at_leader(next).await? else {
            return Ok(Vec::new());
        };
        if stream.is_none() && message.sequence != first {
            return Err(ReadError::Damaged {
                sequence: first,
                detail: format!("the record is missing, and the next is {}", message.sequence),
            });
        }
        self.record(shard.number, &message.subject, message.sequence, message.payload)
            .map(|record| vec![record])
    }

    /// What whichever replica answers has of a page, up to the first hole.
    async fn replica_page(
        &self,
        shard: &Shard,
        request: &PageRequest<'_>,
        contiguous: bool,
    ) -> Result<Vec<Record>, ReadError> {
        let body = serde_json::to_vec(request).map_err(|error| unavailable(&error))?;
        let inbox = self.client.new_inbox();
        let mut replies = self
            .in_time(self.client.subscribe(inbox.clone()))
            .await?
            .map_err(|error| unavailable(&error))?;
        let subject = format!("DIRECT.GET.{}", shard.name);
        let request_page = Request::new().inbox(inbox).payload(body.into());
        self.in_time(self.context.send_request(subject, request_page))
            .await?
            .map_err(|error| unavailable(&error))?;

        let mut page: Vec<Record> = Vec::new();
        while page.len() < request.batch {
            let message = match self.in_time(replies.next()).await {
                Ok(Some(message)) => message,
                // What came is right as far as it goes.
                Ok(None) | Err(_) if !page.is_empty() => break,
                Ok(None) => return Err(ReadError::Unavailable("the connection was closed".to_owned())),
                Err(silence) => return Err(silence.into()),
            };
            match message.status.as_ref().map(StatusCode::as_u16) {
                None => {}
                Some(END_OF_BATCH | NOTHING_FOUND) => break,
                Some(status) => {
                    let reason = message.description.unwrap_or_default();
                    return Err(ReadError::Unavailable(format!(
                        "a page was refused: {status} {reason}"
                    )));
                }
            }
            let link = Link::of(&message);
            let last = page.last().map(|record| record.sequence);
            let Some(sequence) = link.follows(last, request.seq, contiguous) else {
                tracing::warn!(
                    log.shard = shard.number,
                    ?link,
                    ?last,
                    "a page has a hole and was cut there"
                );
                break;
            };
            let subject = header(message.headers.as_ref(), NATS_SUBJECT).unwrap_or_default();
            match self.record(shard.number, subject, sequence, message.payload.clone()) {
                Ok(record) => page.push(record),
                // It is met again as the first of the next page.
                Err(_) if !page.is_empty() => break,
                Err(damaged) => return Err(damaged),
            }
        }
        Ok(page)
    }

    /// A shard's configuration and state, by its leader's knowledge.
    pub(super) async fn info(&self, shard: &Shard) -> Result<stream::Info, ReadError> {
        self.in_time(shard.handle.get_info())
            .await?
            .map_err(|error| unavailable(&error))
    }

    /// Asks the leader for one message.
    pub(super) async fn at_leader(
        &self,
        request: RawMessageBuilder,
    ) -> Result<Option<StreamMessage>, ReadError> {
        match self.in_time(request.send()).await? {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(unavailable(&error)),
        }
    }

    /// A message of a shard as a record.
    pub(super) fn record(
        &self,
        shard: u16,
        subject: &str,
        sequence: u64,
        payload: Bytes,
    ) -> Result<Record, ReadError> {
        match Stream::parse(self.unnamed(subject).unwrap_or(subject)) {
            Ok(stream) => Ok(Record {
                shard,
                sequence,
                stream,
                payload,
            }),
            Err(error) => Err(ReadError::Damaged {
                sequence,
                detail: error.to_string(),
            }),
        }
    }
}

impl From<Silence> for ReadError {
    fn from(silence: Silence) -> Self {
        Self::Unavailable(silence.to_string())
    }
}

/// How a record of a page says that it belongs where it came: it names itself and the one that was sent
/// before it, 0 if it is the first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) sequence: Option<u64>,
    pub(super) previous: Option<u64>,
}

impl Link {
    pub(super) fn of(message: &Message) -> Self {
        let number = |name| header(message.headers.as_ref(), name)?.parse().ok();
        Self {
            sequence: number(NATS_SEQUENCE),
            previous: number(NATS_LAST_SEQUENCE),
        }
    }

    /// The record's sequence if nothing is missing before it. `last` is the record before it in the
    /// page, `first` where the page may begin; a contiguous page leaves none out.
    fn follows(self, last: Option<u64>, first: u64, contiguous: bool) -> Option<u64> {
        let next = last.map_or(first, |last| last + 1);
        let chained = self.previous == Some(last.unwrap_or(0));
        self.sequence
            .filter(|sequence| chained && (*sequence == next || (*sequence > next && !contiguous)))
    }
}

/// A header that the server set. What the publisher set comes before it.
pub(super) fn header(headers: Option<&HeaderMap>, name: HeaderName) -> Option<&str> {
    headers?.get_last(name).map(async_nats::HeaderValue::as_str)
}

pub(super) fn unavailable(error: &dyn std::error::Error) -> ReadError {
    ReadError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_taken_only_if_none_is_missing_before_it() {
        let link = |previous, sequence| Link {
            sequence: Some(sequence),
            previous: Some(previous),
        };
        // Of a whole shard.
        assert_eq!(link(0, 7).follows(None, 7, true), Some(7));
        assert_eq!(link(7, 8).follows(Some(7), 7, true), Some(8));
        assert_eq!(
            link(0, 8).follows(None, 7, true),
            None,
            "the shard's record 7 is missing"
        );
        assert_eq!(
            link(7, 9).follows(Some(7), 7, true),
            None,
            "the shard's record 8 is missing"
        );
        // Of one stream, whose records stand apart.
        assert_eq!(link(0, 12).follows(None, 7, false), Some(12));
        assert_eq!(link(12, 40).follows(Some(12), 7, false), Some(40));
        assert_eq!(
            link(12, 40).follows(None, 7, false),
            None,
            "the first was lost on the way"
        );
        assert_eq!(
            link(40, 41).follows(Some(12), 7, false),
            None,
            "40 was lost on the way"
        );
        assert_eq!(link(12, 12).follows(Some(12), 7, false), None, "the same again");
        assert_eq!(
            Link {
                sequence: None,
                previous: Some(0)
            }
            .follows(None, 1, true),
            None
        );
        assert_eq!(
            Link {
                sequence: Some(1),
                previous: None
            }
            .follows(None, 1, true),
            None
        );
    }
}
