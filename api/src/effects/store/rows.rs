//! Rows to what they mean, the same for both databases.

use domain::{CommitId, ConversationId, EventId, MessageId, Ordinal, PushId, TenantId, Timestamp, UserId};
use eventstore::Checkpoint;
use sqlx::FromRow;

use super::{DeadLetter, Delivery, Notice, StoreUnavailable, Target, Way};

type Read<T> = Result<T, StoreUnavailable>;

#[derive(FromRow)]
pub(super) struct CheckpointRow {
    shard: i64,
    epoch: String,
    sequence: i64,
    commit_id: Option<Vec<u8>>,
}

#[derive(FromRow)]
pub(super) struct NoticeRow {
    event_id: Vec<u8>,
    shard: i64,
    tenant_id: String,
    conversation_id: Vec<u8>,
    ordinal: i64,
    sender_id: String,
    sequence: i64,
    recorded_at: i64,
    standing: i64,
}

#[derive(FromRow)]
pub(super) struct DeliveryRow {
    id: String,
    shard: i64,
    tenant_id: String,
    conversation_id: Vec<u8>,
    ordinal: i64,
    recorded_at: i64,
    target: String,
    recipients: String,
    subscription_id: Option<Vec<u8>>,
    attempts: i64,
    replayed: i64,
    died_at: Option<i64>,
    reason: Option<String>,
}

pub(super) fn checkpoint(row: CheckpointRow) -> Read<Checkpoint> {
    Ok(Checkpoint {
        shard: shard(row.shard)?,
        epoch: row.epoch.parse().map_err(|_| damaged("an epoch"))?,
        sequence: number(row.sequence)?,
        commit_id: row.commit_id.map(id).transpose()?.map(CommitId::from_bytes),
    })
}

pub(super) fn notice(row: NoticeRow) -> Read<Notice> {
    Ok(Notice {
        event: EventId::from_bytes(id(row.event_id)?),
        shard: shard(row.shard)?,
        tenant: TenantId::parse(row.tenant_id).map_err(|_| damaged("a tenant"))?,
        message: message(row.conversation_id, row.ordinal)?,
        sender: user(row.sender_id)?,
        sequence: number(row.sequence)?,
        recorded_at: Timestamp::from_millis(row.recorded_at),
        standing: number(row.standing)?,
    })
}

pub(super) fn delivery(row: DeliveryRow) -> Read<Delivery> {
    let users: Vec<UserId> = serde_json::from_str(&row.recipients).map_err(|_| damaged("a list of users"))?;
    let target = match (row.target.as_str(), row.subscription_id) {
        (name, None) if name == Way::Webhook.as_str() => Target::Webhook(users),
        (name, Some(subscription)) if name == Way::Push.as_str() => {
            let one = users
                .into_iter()
                .next()
                .ok_or_else(|| damaged("a list of users"))?;
            Target::Push(one, PushId::from_bytes(id(subscription)?))
        }
        _ => return Err(damaged("a target")),
    };
    Ok(Delivery {
        id: row.id,
        shard: shard(row.shard)?,
        tenant: TenantId::parse(row.tenant_id).map_err(|_| damaged("a tenant"))?,
        message: message(row.conversation_id, row.ordinal)?,
        recorded_at: Timestamp::from_millis(row.recorded_at),
        target,
        attempts: u32::try_from(row.attempts).map_err(|_| damaged("a number of attempts"))?,
        is_replayed: row.replayed != 0,
    })
}

pub(super) fn dead_letter(row: DeliveryRow) -> Read<DeadLetter> {
    let died_at = row.died_at.ok_or_else(|| damaged("a dead letter"))?;
    let reason = row.reason.clone().unwrap_or_default();
    Ok(DeadLetter {
        delivery: delivery(row)?,
        died_at: Timestamp::from_millis(died_at),
        reason,
    })
}

/// Users as one column holds them.
pub(super) fn recipients(target: &Target) -> String {
    let users = match target {
        Target::Webhook(users) => serde_json::to_string(users),
        Target::Push(user, _) => serde_json::to_string(&[user]),
    };
    // A list of texts always has a JSON form.
    users.unwrap_or_default()
}

pub(super) fn subscription(target: &Target) -> Option<Vec<u8>> {
    match target {
        Target::Webhook(_) => None,
        Target::Push(_, subscription) => Some(subscription.to_bytes().to_vec()),
    }
}

/// A number as databases keep it.
pub(super) fn integer(number: u64) -> Read<i64> {
    i64::try_from(number).map_err(|_| damaged("a number"))
}

fn damaged(what: &str) -> StoreUnavailable {
    StoreUnavailable(format!("it holds {what} that is none"))
}

fn id(bytes: Vec<u8>) -> Read<[u8; 16]> {
    bytes.try_into().map_err(|_| damaged("an id"))
}

fn shard(number: i64) -> Read<u16> {
    u16::try_from(number).map_err(|_| damaged("a shard"))
}

fn number(number: i64) -> Read<u64> {
    u64::try_from(number).map_err(|_| damaged("a number"))
}

fn user(text: String) -> Read<UserId> {
    UserId::parse(text).map_err(|_| damaged("a user"))
}

fn message(conversation: Vec<u8>, ordinal: i64) -> Read<MessageId> {
    Ok(MessageId {
        conversation: ConversationId::from_bytes(id(conversation)?),
        ordinal: Ordinal::new(number(ordinal)?).ok_or_else(|| damaged("an ordinal"))?,
    })
}
