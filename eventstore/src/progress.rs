//! How far a consumer of the log has come, so that others can wait for it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::log::Position;

/// The sequence per shard up to which a consumer has taken the log in. Clones share it.
#[derive(Clone, Debug)]
pub struct Progress {
    shards: Arc<[watch::Sender<u64>]>,
}

impl Progress {
    /// Nothing taken in yet, of this many shards.
    #[must_use]
    pub fn new(shards: u16) -> Self {
        Self {
            shards: (0..shards).map(|_| watch::Sender::new(0)).collect(),
        }
    }

    /// The sequence of the newest record that was taken in; 0 when none was, or there is no such shard.
    #[must_use]
    pub fn get(&self, shard: u16) -> u64 {
        self.shards
            .get(usize::from(shard))
            .map_or(0, |sequence| *sequence.borrow())
    }

    /// Says that everything up to this sequence was taken in.
    pub fn set(&self, shard: u16, sequence: u64) {
        if let Some(progress) = self.shards.get(usize::from(shard)) {
            progress.send_replace(sequence);
        }
    }

    /// Says that everything up to this sequence was taken in, if that is news.
    pub fn raise(&self, shard: u16, sequence: u64) {
        if let Some(progress) = self.shards.get(usize::from(shard)) {
            progress.send_if_modified(|known| {
                let is_news = sequence > *known;
                *known = sequence.max(*known);
                is_news
            });
        }
    }

    /// Waits until a shard is elsewhere than at this sequence, and says where.
    pub async fn moved_from(&self, shard: u16, sequence: u64) -> u64 {
        let Some(progress) = self.shards.get(usize::from(shard)) else {
            return std::future::pending().await;
        };
        let mut progress = progress.subscribe();
        // The sender is held here, so the wait ends only with news.
        match progress.wait_for(|now| *now != sequence).await {
            Ok(now) => *now,
            Err(_) => sequence,
        }
    }

    /// Waits until the position was taken in; `false` when the time ran out before.
    pub async fn reached(&self, position: Position, timeout: Duration) -> bool {
        let Some(progress) = self.shards.get(usize::from(position.shard)) else {
            return false;
        };
        if *progress.borrow() >= position.sequence {
            return true;
        }
        let mut progress = progress.subscribe();
        let reached = progress.wait_for(|sequence| *sequence >= position.sequence);
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Epoch;

    #[tokio::test]
    async fn waits_until_it_is_reached_and_no_longer_than_asked() {
        let progress = Progress::new(2);
        let position = Position {
            epoch: Epoch::draw(),
            shard: 1,
            sequence: 5,
        };
        assert!(!progress.reached(position, Duration::from_millis(1)).await);
        progress.set(0, 9);
        assert!(!progress.reached(position, Duration::from_millis(1)).await);
        let waiting = progress.clone();
        let wait = tokio::spawn(async move { waiting.reached(position, Duration::from_secs(60)).await });
        progress.set(1, 5);
        assert!(wait.await.unwrap());
        assert!(
            !progress
                .reached(Position { shard: 2, ..position }, Duration::from_millis(1))
                .await
        );
    }
}
