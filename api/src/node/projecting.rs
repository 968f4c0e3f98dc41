//! The projectors of a node: each shard's is run by whichever node holds the shard's lease, and the
//! others stand by.

use std::sync::Arc;
use std::time::Duration;

use eventstore::lease::{Lease, Leases};
use eventstore::live::LiveLog;
use eventstore::log::EventLog;
use eventstore::signals::{Signal, Signals, Topic};
use futures::StreamExt;
use projections::Projector;
use tokio_util::sync::CancellationToken;

/// How often a node that stands by looks how far the read model is, beside being told.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long signals that cannot be had are not asked for again.
const RETRY: Duration = Duration::from_secs(1);

/// What projecting stands on.
pub(super) struct Projecting {
    pub(super) projector: Projector,
    pub(super) log: Arc<dyn EventLog>,
    pub(super) live: Arc<dyn LiveLog>,
    pub(super) leases: Arc<dyn Leases>,
    pub(super) signals: Arc<dyn Signals>,
}

impl Projecting {
    /// Runs until it is cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let shards = (0..self.log.shards()).map(|shard| self.shard(shard, &cancel));
        tokio::join!(
            futures::future::join_all(shards),
            self.projector.prune(&cancel),
            self.hear(&cancel),
        );
    }

    /// Contends for a shard for as long as this node can project it. One that has stopped for good, over
    /// an event that it cannot decode perhaps, leaves the shard to others.
    async fn shard(&self, shard: u16, cancel: &CancellationToken) {
        let name = format!("projector-{shard}");
        while !cancel.is_cancelled() {
            let contending = cancel.child_token();
            let lease = tokio::select! {
                lease = self.leases.contend(&name, contending.clone()) => lease,
                () = self.stand_by(shard) => None,
            };
            let Some(lease) = lease else { return };
            tracing::info!(log.shard = shard, lease.term = lease.term(), "projects the shard");
            let has_stopped = self.hold(shard, &lease, cancel).await;
            lease.release().await;
            if has_stopped {
                tokio::select! {
                    () = self.stand_by(shard) => {}
                    () = cancel.cancelled() => {}
                }
            }
        }
    }

    /// Projects a shard while the lease is held; `true` when the projector will not go on.
    async fn hold(&self, shard: u16, lease: &Lease, cancel: &CancellationToken) -> bool {
        let holding = cancel.child_token();
        let attending = holding.child_token();
        let work = async {
            let ended = self.projector.run_shard(shard, &holding);
            tokio::select! {
                () = ended => {}
                () = self.publish(shard) => {}
            }
            attending.cancel();
        };
        let watch = async {
            tokio::select! {
                () = lease.lost().cancelled_owned() => holding.cancel(),
                () = attending.cancelled() => {}
            }
        };
        tokio::join!(work, watch, self.live.attend(shard, attending.clone()));
        !cancel.is_cancelled() && !holding.is_cancelled()
    }

    /// Tells the other nodes how far the read model is.
    async fn publish(&self, shard: u16) {
        let progress = self.projector.progress();
        let mut sequence = progress.get(shard);
        loop {
            sequence = progress.moved_from(shard, sequence).await;
            self.signals
                .publish(Signal::Projected(self.log.position(shard, sequence)));
        }
    }

    /// Looks from time to time how far the holder of the lease is.
    async fn stand_by(&self, shard: u16) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.projector.look(shard).await;
        }
    }

    /// Hears how far the holders of the leases are.
    async fn hear(&self, cancel: &CancellationToken) {
        let progress = self.projector.progress();
        let hearing = async {
            loop {
                if let Ok(mut signals) = self.signals.subscribe(&[Topic::Projected]).await {
                    while let Some(signal) = signals.next().await {
                        if let Signal::Projected(position) = signal
                            && position.epoch == self.log.epoch()
                        {
                            progress.raise(position.shard, position.sequence);
                        }
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        };
        tokio::select! {
            () = hearing => {}
            () = cancel.cancelled() => {}
        }
    }
}
