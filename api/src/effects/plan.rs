//! Notices to deliveries: who of the members is away, and how they are told.
//!
//! Members are chosen a page at a time, and a page is kept in the transaction that moves its notice on. So a group
//! of any size takes as much memory as a page, and what a page was chosen for has the same id for ever.

use std::collections::HashSet;
use std::time::Duration;

use domain::UserId;
use eventstore::roll_call::Person;
use projections::notify::Noticed;

use super::intake::Interruption;
use super::store::{Delivery, Notice, Planned, Target};
use super::{Effects, before};
use crate::app::now;

/// The most members in a page, and so in one call of the webhook.
const PAGE: u32 = 500;
/// The most notices that are looked at at once, and the most members of all of them: that are as many as one
/// question to all nodes may name, or a few.
const NOTICES: u32 = 128;
const MEMBERS: usize = 4_000;
/// How long the read models may take to come to where the log was.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long those of other shards may, from which only settings come.
const OTHERS_PATIENCE: Duration = Duration::from_secs(2);

/// Chooses recipients for all notices of a shard.
pub(super) async fn all(effects: &Effects, shard: u16) -> Result<(), Interruption> {
    loop {
        let notices = effects.store.notices(shard, NOTICES).await?;
        if notices.is_empty() {
            return Ok(());
        }
        settled(effects, shard).await?;
        let planned = pages(effects, notices).await?;
        effects.store.plan(&planned).await?;
        effects.wake.all();
    }
}

/// Waits until the read models have what was acknowledged until now: who left, read or muted before a message was
/// sent is known to have.
async fn settled(effects: &Effects, shard: u16) -> Result<(), Interruption> {
    let log = &effects.log;
    let end = log.position(shard, log.end(shard).await?);
    if !effects.projected.reached(end, PATIENCE).await {
        return Err(Interruption("the read models are behind".to_owned()));
    }
    for other in (0..log.shards()).filter(|other| *other != shard) {
        let end = log.position(other, log.end(other).await?);
        if !effects.projected.reached(end, OTHERS_PATIENCE).await {
            tracing::debug!(
                log.shard = other,
                "members are notified although settings may be behind"
            );
        }
    }
    Ok(())
}

/// A page of a notice, with who is away not known yet.
struct Page {
    notice: Notice,
    next: Option<u64>,
    members: Vec<Person>,
}

async fn pages(effects: &Effects, notices: Vec<Notice>) -> Result<Vec<Planned>, Interruption> {
    let (now, oldest) = (now(), before(now(), effects.settings.max_age));
    let (mut pages, mut members) = (Vec::new(), HashSet::new());
    for notice in notices {
        if members.len() >= MEMBERS {
            break;
        }
        let mut page = Page {
            next: None,
            members: Vec::new(),
            notice,
        };
        if page.notice.recorded_at >= oldest {
            let notice = &page.notice;
            let noticed = Noticed {
                message: notice.message,
                sequence: notice.sequence,
            };
            let found = effects
                .read_model
                .recipients(&notice.tenant, noticed, notice.standing, PAGE, now)
                .await?;
            page.next = found.next;
            let others = found.users.into_iter().filter(|user| *user != notice.sender);
            page.members = others.map(|user| (notice.tenant.clone(), user)).collect();
            members.extend(page.members.iter().cloned());
        }
        pages.push(page);
    }
    let members: Vec<_> = members.into_iter().collect();
    let online = effects.roll_call.call(&members).await;
    let mut planned = Vec::with_capacity(pages.len());
    for page in pages {
        let away: Vec<_> = page
            .members
            .into_iter()
            .filter(|member| !online.contains(member))
            .map(|(_, user)| user)
            .collect();
        planned.push(Planned {
            deliveries: deliveries(effects, &page.notice, away).await?,
            next: page.next,
            notice: page.notice,
        });
    }
    Ok(planned)
}

/// How those who are away are told.
async fn deliveries(
    effects: &Effects,
    notice: &Notice,
    away: Vec<UserId>,
) -> Result<Vec<Delivery>, Interruption> {
    let mut deliveries = Vec::new();
    if away.is_empty() {
        return Ok(deliveries);
    }
    let delivery = |id: String, target| Delivery {
        id,
        shard: notice.shard,
        tenant: notice.tenant.clone(),
        message: notice.message,
        recorded_at: notice.recorded_at,
        target,
        attempts: 0,
        is_replayed: false,
    };
    if effects.settings.push.is_some() {
        let devices = effects
            .read_model
            .push_subscriptions(&notice.tenant, &away)
            .await?;
        deliveries.extend(devices.into_iter().map(|device| {
            let id = format!("{}-push-{}", notice.event, device.id);
            delivery(id, Target::Push(device.user, device.id))
        }));
    }
    if effects.settings.webhook.is_some() {
        let id = format!("{}-webhook-{}", notice.event, notice.standing);
        deliveries.push(delivery(id, Target::Webhook(away)));
    }
    Ok(deliveries)
}
