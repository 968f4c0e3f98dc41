//! What a feed is subscribed to: single streams, and whole partitions where it listens to many.
//!
//! A subscription costs kilobytes here and memory at the server, so a partition with more than a few
//! streams gets one for all of them, and what is not listened to is dropped when it comes.

use std::collections::HashMap;

use async_nats::{Message, Subscriber};
use futures::stream::{SelectAll, TakeUntil};
use futures::{FutureExt, StreamExt};
use tokio::sync::oneshot;

use super::super::Inner;
use super::super::read::unavailable;
use crate::log::ReadError;
use crate::subject::{Stream, live_partition};

/// With more streams than this in a partition, the whole partition is subscribed to.
const SINGLE: usize = 8;

/// Ends its subscription when it is dropped.
type Handle = oneshot::Sender<()>;
type Incoming = TakeUntil<Subscriber, oneshot::Receiver<()>>;

#[derive(Default)]
struct Partition {
    listened: usize,
    single: HashMap<Stream, Handle>,
    wide: Option<Handle>,
}

#[derive(Default)]
pub(super) struct Subscriptions {
    incoming: SelectAll<Incoming>,
    partitions: HashMap<u16, Partition>,
}

/// Subscriptions that were sent to the server, and not taken over yet. Dropped, they end.
pub(super) struct Prepared {
    streams: Vec<(Stream, Option<Handle>)>,
    wide: Vec<(u16, Handle)>,
    incoming: Vec<Incoming>,
}

impl Subscriptions {
    /// What comes next; none while there are no subscriptions.
    pub(super) async fn next(&mut self) -> Option<Message> {
        self.incoming.next().await
    }

    /// What has come already.
    pub(super) fn ready(&mut self) -> Option<Message> {
        // Without the scheduler's budget, which would say that there is nothing when it is used up.
        tokio::task::unconstrained(self.incoming.next())
            .now_or_never()
            .flatten()
    }

    /// Subscribes to what these need beside what is there. It is in effect once the server has answered
    /// a request that was sent after this.
    pub(super) async fn prepare(&self, inner: &Inner, new: &[Stream]) -> Result<Prepared, ReadError> {
        let mut by_partition: HashMap<u16, Vec<&Stream>> = HashMap::new();
        for stream in new {
            by_partition.entry(stream.partition()).or_default().push(stream);
        }
        let mut prepared = Prepared {
            streams: Vec::with_capacity(new.len()),
            wide: Vec::new(),
            incoming: Vec::new(),
        };
        for (partition, streams) in by_partition {
            let here = self.partitions.get(&partition);
            let is_wide = here.is_some_and(|here| here.wide.is_some());
            let many = here.map_or(0, |here| here.listened) + streams.len() > SINGLE;
            if many && !is_wide {
                let handle = prepared.subscribe(inner, &live_partition(partition)).await?;
                prepared.wide.push((partition, handle));
            }
            for stream in streams {
                let single = if many || is_wide {
                    None
                } else {
                    Some(prepared.subscribe(inner, &stream.live_subject()).await?)
                };
                prepared.streams.push((stream.clone(), single));
            }
        }
        Ok(prepared)
    }

    /// Takes over what is in effect, and ends single subscriptions that are not needed any more. What
    /// they have brought should have been taken before.
    pub(super) fn adopt(&mut self, prepared: Prepared) {
        self.incoming.extend(prepared.incoming);
        for (stream, single) in prepared.streams {
            let partition = self.partitions.entry(stream.partition()).or_default();
            partition.listened += 1;
            partition.single.extend(single.map(|handle| (stream, handle)));
        }
        for (number, handle) in prepared.wide {
            let partition = self.partitions.entry(number).or_default();
            partition.wide = Some(handle);
            partition.single = HashMap::new();
        }
    }

    /// Ends what was needed for this stream alone.
    pub(super) fn leave(&mut self, stream: &Stream) {
        let number = stream.partition();
        if let Some(partition) = self.partitions.get_mut(&number) {
            partition.single.remove(stream);
            partition.listened = partition.listened.saturating_sub(1);
            if partition.listened == 0 {
                self.partitions.remove(&number);
            }
        }
    }
}

impl Prepared {
    async fn subscribe(&mut self, inner: &Inner, subject: &str) -> Result<Handle, ReadError> {
        let messages = inner
            .in_time(inner.client.subscribe(inner.named(subject)))
            .await?
            .map_err(|error| unavailable(&error))?;
        let (handle, ended) = oneshot::channel();
        self.incoming.push(messages.take_until(ended));
        Ok(handle)
    }
}
