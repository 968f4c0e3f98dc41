//! Listening to the embedded log: its one shard is followed, and what is not listened to is left out.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{EmbeddedLog, FOLLOW_PAGE, Page, Reading, SHARD};
use crate::live::{Listening, Live, LiveFeed, LiveLog};
use crate::log::{ReadError, Record};
use crate::subject::Stream;

/// The pause before a log that failed is followed again.
const PAUSE: Duration = Duration::from_millis(200);

#[async_trait]
impl LiveLog for EmbeddedLog {
    async fn live(&self, shard: u16) -> Result<Box<dyn LiveFeed>, ReadError> {
        if shard != SHARD {
            return Err(ReadError::Unavailable(format!("the log has no shard {shard}")));
        }
        let begins = *self.reading.end.borrow();
        Ok(Box::new(Feed {
            reading: self.reading.clone(),
            following: self.reading.clone().follow(begins),
            listening: Listening::from(begins),
            health: watch::Sender::new(None),
        }))
    }

    async fn attend(&self, _shard: u16, until: CancellationToken) {
        // A follower of a file misses nothing.
        until.cancelled().await;
    }
}

struct Feed {
    reading: Reading,
    following: BoxStream<'static, Result<Vec<Record>, ReadError>>,
    listening: Listening,
    health: watch::Sender<Option<String>>,
}

#[async_trait]
impl LiveFeed for Feed {
    fn verified(&self) -> u64 {
        self.listening.verified()
    }

    fn health(&self) -> watch::Receiver<Option<String>> {
        self.health.subscribe()
    }

    async fn listen(&mut self, streams: Vec<Stream>, since: u64) -> Result<(), ReadError> {
        let new = self.listening.unknown(streams);
        // What is newer comes by following, which is nowhere beyond this.
        let end = *self.reading.end.borrow();
        let wanted: HashSet<&Stream> = new.iter().collect();
        let (mut after, mut records) = (since, Vec::new());
        while !wanted.is_empty() && after < end {
            let page = Page {
                stream: None,
                after,
                limit: FOLLOW_PAGE,
            };
            let page = self.reading.page(page).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            records.extend(
                page.into_iter()
                    .filter(|record| record.sequence <= end && wanted.contains(&record.stream)),
            );
        }
        self.listening.listen(new, since, end, records);
        Ok(())
    }

    fn unlisten(&mut self, streams: &[Stream]) {
        self.listening.unlisten(streams);
    }

    async fn next(&mut self) -> Result<Live, ReadError> {
        loop {
            if let Some(live) = self.listening.due() {
                return Ok(live);
            }
            let reason = match self.following.next().await {
                Some(Ok(page)) => {
                    let newest = page.last().map_or(0, |record| record.sequence);
                    page.into_iter().for_each(|record| self.listening.take(record));
                    self.listening.verify(newest);
                    self.health.send_if_modified(|health| health.take().is_some());
                    continue;
                }
                Some(Err(ReadError::Unavailable(reason))) => reason,
                Some(Err(damaged)) => return Err(damaged),
                None => "the follower has ended".to_owned(),
            };
            self.health.send_replace(Some(reason));
            self.following = self.reading.clone().follow(self.listening.verified());
            tokio::time::sleep(PAUSE).await;
        }
    }
}
