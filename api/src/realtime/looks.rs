//! Who was added to what, while being online: signals hasten it, and a look at the changed memberships
//! from time to time makes it certain.

use std::sync::Arc;
use std::time::Duration;

use eventstore::Checkpoint;
use eventstore::signals::{Signal, Signals, Topic};
use futures::StreamExt;
use projections::store::{ReadModel, StoreError};
use projections::view::MembershipChange;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::audience::At;
use super::hub::{Ask, Hub};

/// How often memberships are looked at: as long as someone who was added may hear nothing of it when the
/// signal was lost, and as far as a cursor lags behind what is verified.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long signals that cannot be had are not asked for again.
const RETRY: Duration = Duration::from_secs(1);
/// Changes read at a time.
const PAGE: u32 = 1_000;

/// What tells the hub of memberships.
pub(super) struct Looking {
    pub(super) hub: Hub,
    pub(super) signals: Arc<dyn Signals>,
    pub(super) read_model: Arc<dyn ReadModel>,
    /// Where to begin, by shard: how far the read model was when nobody was online yet.
    pub(super) from: Vec<u64>,
    pub(super) cancel: CancellationToken,
}

impl Looking {
    pub(super) async fn run(self) {
        let (hub, signals) = (self.hub.clone(), Arc::clone(&self.signals));
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = listen(hub, signals) => {}
            () = look(self.hub, self.read_model, self.from) => {}
        }
    }
}

/// Passes on every signal that someone was added.
async fn listen(hub: Hub, signals: Arc<dyn Signals>) {
    loop {
        match signals.subscribe(&[Topic::Joined]).await {
            Ok(mut joined) => {
                while let Some(signal) = joined.next().await {
                    let Signal::Joined {
                        tenant,
                        user,
                        conversation,
                        position,
                    } = signal
                    else {
                        continue;
                    };
                    let announced = Ask::Announced {
                        key: (tenant, user),
                        conversation,
                        at: At {
                            shard: position.shard,
                            sequence: position.sequence,
                        },
                    };
                    if hub.ask(announced).await.is_none() {
                        return;
                    }
                }
            }
            Err(error) => tracing::debug!(%error, "memberships are not announced"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Looks at what changed since the last look, for ever.
async fn look(hub: Hub, read_model: Arc<dyn ReadModel>, mut from: Vec<u64>) {
    let mut ticks = interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_away = false;
    loop {
        ticks.tick().await;
        for (shard, from) in (0..).zip(&mut from) {
            match changes(&*read_model, shard, *from).await {
                Ok(Some((changes, checkpoint))) => {
                    is_away = false;
                    *from = checkpoint.sequence;
                    if hub.ask(Ask::Looked { changes, checkpoint }).await.is_none() {
                        return;
                    }
                }
                Ok(None) => is_away = false,
                Err(error) => {
                    if !std::mem::replace(&mut is_away, true) {
                        tracing::warn!(%error, "changed memberships cannot be looked at");
                    }
                    break;
                }
            }
        }
    }
}

/// The memberships that changed after a place, and the checkpoint that they are complete up to; `None`
/// when the read model has not moved.
async fn changes(
    read_model: &dyn ReadModel,
    shard: u16,
    from: u64,
) -> Result<Option<(Vec<MembershipChange>, Checkpoint)>, StoreError> {
    let (mut all, mut after) = (Vec::new(), from);
    loop {
        let page = read_model.membership_changes(shard, after, PAGE).await?;
        let is_last = page.changes.len() < PAGE as usize;
        after = page.changes.last().map_or(after, |change| change.sequence);
        all.extend(page.changes);
        if is_last {
            let checkpoint = page.checkpoint.filter(|checkpoint| checkpoint.sequence > from);
            return Ok(checkpoint.map(|checkpoint| (all, checkpoint)));
        }
    }
}
