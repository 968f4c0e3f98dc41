//! What becomes of the devices that users are notified at.

use std::collections::BTreeMap;

use domain::user::Event;
use domain::{TenantId, Timestamp, UserId};

use super::{Changes, Folded};
use crate::notify::{PushKey, PushRow};

/// Devices that something happened to; `None` is one that ended.
#[derive(Default)]
pub(super) struct Devices(BTreeMap<PushKey, Option<PushRow>>);

impl Devices {
    /// Something happened to a device of this user; other events are none of it.
    pub(super) fn happened(
        &mut self,
        (tenant, id): (&TenantId, &UserId),
        event: Event,
        at: Timestamp,
    ) -> Folded {
        match event {
            Event::PushSubscribed { user, .. } if user != *id => {
                return Err("a device of another user than the stream's");
            }
            Event::PushSubscribed {
                user,
                subscription,
                target,
            } => {
                let key = (tenant.clone(), user, subscription);
                self.0.insert(key.clone(), PushRow::subscribed(key, target, at));
            }
            Event::PushUnsubscribed(subscription) => {
                self.0.insert((tenant.clone(), id.clone(), subscription), None);
            }
            _ => {}
        }
        Ok(())
    }

    pub(super) fn into_changes(self, changes: &mut Changes) {
        for (key, device) in self.0 {
            match device {
                Some(row) => changes.push_subscriptions.push(row),
                None => changes.ended_subscriptions.push(key),
            }
        }
    }
}
