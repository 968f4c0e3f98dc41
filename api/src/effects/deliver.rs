//! Delivers what is due, a bounded number at once, and tries again what was not taken: each time after a longer
//! pause, and then it is a dead letter.
//!
//! Any number of nodes deliver. What one has claimed, no other touches until the claim is over; a claim is longer
//! than an attempt can take.

use std::sync::Arc;
use std::time::Duration;

use domain::user::Command;
use eventstore::Stream;
use eventstore::envelope::Trace;
use eventstore::execute::Request;
use projections::StoreError;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::store::{Delivery, StoreUnavailable, Target, Way};
use super::{Effects, after, before, content};
use crate::app::now;

/// How many are on their way at once.
const WEBHOOKS: usize = 16;
const PUSHES: usize = 64;
/// How long a claim is good for.
const CLAIM: Duration = Duration::from_secs(60);
/// How long one may go without looking what is due: others plan and replay, too.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// The pause after the first attempt; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(15 * 60);
/// The longest pause that a receiver may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// What became of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Taken,
    /// There is nobody there any more, for ever.
    Gone,
    /// It was not taken.
    Refused {
        /// Why, in words that name nobody.
        reason: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
        /// Whether the same would be refused again.
        is_final: bool,
    },
}

impl Sent {
    /// It was not taken, and may be the next time.
    pub(super) fn refused(reason: impl Into<String>) -> Self {
        Self::Refused {
            reason: reason.into(),
            retry_after: None,
            is_final: false,
        }
    }
}

/// Delivers in one way until it is cancelled; then what is on its way is finished.
pub(super) async fn run(effects: &Arc<Effects>, way: Way, cancel: &CancellationToken) {
    let at_once = match way {
        Way::Webhook if effects.settings.webhook.is_some() => WEBHOOKS,
        Way::Push if effects.settings.push.is_some() => PUSHES,
        Way::Webhook | Way::Push => return,
    };
    let room = Arc::new(Semaphore::new(at_once));
    let mut under_way = JoinSet::new();
    while !cancel.is_cancelled() {
        while under_way.try_join_next().is_some() {}
        let claimed = match claim(effects, way, room.available_permits()).await {
            Ok(claimed) => claimed,
            Err(error) => {
                tracing::warn!(%error, "what is to be delivered cannot be looked at");
                cancel.run_until_cancelled(sleep(LOOK_EVERY)).await;
                continue;
            }
        };
        let is_idle = claimed.is_empty();
        for delivery in claimed {
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else {
                return;
            };
            let effects = Arc::clone(effects);
            under_way.spawn(async move {
                attempt(&effects, &delivery).await;
                drop(permit);
            });
        }
        if room.available_permits() == 0 {
            tokio::select! {
                () = cancel.cancelled() => {}
                _ = under_way.join_next() => {}
            }
        } else if is_idle {
            tokio::select! {
                () = cancel.cancelled() => {}
                () = effects.wake.of(way).notified() => {}
                () = sleep(until_due(effects, way).await) => {}
            }
        }
    }
    while under_way.join_next().await.is_some() {}
}

async fn claim(effects: &Effects, way: Way, room: usize) -> Result<Vec<Delivery>, StoreUnavailable> {
    let (now, limit) = (now(), u32::try_from(room).unwrap_or(u32::MAX));
    if limit == 0 {
        return Ok(Vec::new());
    }
    let until = after(now, CLAIM);
    effects.store.claim(way, &effects.node, now, until, limit).await
}

/// How long nothing is due, as far as is known.
async fn until_due(effects: &Effects, way: Way) -> Duration {
    let due = effects.store.next_due(way).await.ok().flatten();
    let wait = due.map(|due| due.as_millis().saturating_sub(now().as_millis()).max(1));
    let wait = wait.and_then(|wait| u64::try_from(wait).ok());
    wait.map_or(LOOK_EVERY, Duration::from_millis).min(LOOK_EVERY)
}

/// Tries once, and notes what became of it. What cannot be noted is tried again when the claim is over.
async fn attempt(effects: &Effects, delivery: &Delivery) {
    let is_over = !delivery.is_replayed && delivery.recorded_at < before(now(), effects.settings.max_age);
    // What was planned in time is tried as often as anything; only what never was is too old now.
    let sent = if is_over && delivery.attempts <= 1 {
        Ok(None)
    } else {
        send(effects, delivery).await
    };
    let sent = sent.unwrap_or_else(|error| Some(Sent::refused(error.to_string())));
    let (outcome, noted) = match sent {
        None => ("needless", effects.store.done(delivery).await),
        Some(Sent::Taken) => ("delivered", effects.store.done(delivery).await),
        Some(Sent::Gone) => {
            end_device(effects, delivery).await;
            ("gone", effects.store.done(delivery).await)
        }
        Some(Sent::Refused { reason, is_final, .. })
            if is_final || delivery.attempts >= effects.settings.attempts =>
        {
            tracing::warn!(
                notification.id = delivery.id,
                reason,
                "a notification is a dead letter"
            );
            ("dead", effects.store.bury(delivery, now(), &reason).await)
        }
        Some(Sent::Refused {
            reason, retry_after, ..
        }) => {
            let pause = pause(delivery.attempts, rand::random()).max(retry_after.unwrap_or_default());
            let at = after(now(), pause.min(LONGEST_ASKED));
            tracing::debug!(
                notification.id = delivery.id,
                reason,
                "a notification is tried again"
            );
            ("failed", effects.store.retry(delivery, at, &reason).await)
        }
    };
    let labels = [("target", delivery.target.way().as_str()), ("outcome", outcome)];
    metrics::counter!("verbatim_notifications_total", &labels).increment(1);
    if let Err(error) = noted {
        tracing::warn!(%error, "what became of a notification was not noted: it may be sent again");
    }
}

/// Sends it; `None` when there is nobody or nothing left.
async fn send(effects: &Effects, delivery: &Delivery) -> Result<Option<Sent>, StoreError> {
    let Some(content) = content::read(effects, delivery).await? else {
        return Ok(None);
    };
    match (
        &delivery.target,
        &effects.settings.webhook,
        &effects.settings.push,
    ) {
        (Target::Webhook(_), Some(webhook), _) => {
            Ok(Some(webhook.send(delivery, content, &effects.links).await))
        }
        (Target::Push(user, subscription), _, Some(push)) => {
            let devices = effects
                .read_model
                .push_subscriptions(&delivery.tenant, std::slice::from_ref(user))
                .await?;
            let device = devices.into_iter().find(|device| device.id == *subscription);
            let Some(device) = device else { return Ok(None) };
            let age = now().as_millis().saturating_sub(delivery.recorded_at.as_millis());
            let age = Duration::from_millis(u64::try_from(age).unwrap_or_default());
            let ttl = effects.settings.max_age.saturating_sub(age);
            Ok(Some(push.send(delivery, &device.target, content, ttl).await))
        }
        // It is not configured any more.
        _ => Ok(Some(Sent::refused("it is not configured"))),
    }
}

/// Ends the device that a push service says is gone. When that fails, the next message makes it known again.
async fn end_device(effects: &Effects, delivery: &Delivery) {
    let Target::Push(user, subscription) = &delivery.target else {
        return;
    };
    let request = Request {
        command: Command::Unsubscribe(*subscription),
        actor: None,
        tag: None,
        trace: Trace::default(),
    };
    let stream = Stream::User(delivery.tenant.clone(), user.clone());
    if let Err(error) = effects.users.execute(&stream, request).await {
        tracing::warn!(%error, "a push subscription that is gone was not ended");
    }
}

/// How long nothing is tried after so many attempts: twice as long each time, and between half and all of that, so
/// that what failed together does not come back together.
fn pause(attempts: u32, chance: f64) -> Duration {
    let doubled =
        FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE).mul_f64(0.5 + chance / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_end_at_the_longest() {
        assert_eq!(pause(1, 1.0), FIRST_PAUSE);
        assert_eq!(pause(1, 0.0), FIRST_PAUSE / 2);
        assert_eq!(pause(2, 1.0), 2 * FIRST_PAUSE);
        assert_eq!(pause(5, 1.0), 16 * FIRST_PAUSE);
        for many in [12, 31, 32, 33, u32::MAX] {
            assert_eq!(pause(many, 1.0), LONGEST_PAUSE, "{many}");
        }
    }
}
