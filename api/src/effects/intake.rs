//! The log to notices: which messages somebody may have to be notified of.
//!
//! A shard is looked at by the node that holds its lease. Two that think they do are told apart by the
//! checkpoint, which moves only from where it was found.

use std::time::Duration;

use domain::MessageId;
use domain::conversation::Event as Happened;
use eventstore::codec::{DecodeError, commit_id};
use eventstore::consumer::{ResumeError, verify};
use eventstore::envelope::{Commit, Event};
use eventstore::log::{ReadError, Record};
use eventstore::{Checkpoint, Stream};
use futures::StreamExt;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::store::{Notice, StoreUnavailable, TakeInError};
use super::{Effects, before, plan};
use crate::app::now;

const FIRST_BACKOFF: Duration = Duration::from_millis(100);
const LONGEST_BACKOFF: Duration = Duration::from_secs(10);
/// A checkpoint that only passes over what notifies nobody need not be moved each time.
const MOVE_AFTER_RECORDS: u64 = 1_000;
const MOVE_AFTER: Duration = Duration::from_secs(5);

/// Why a shard is not looked at any further for now.
pub(super) struct Interruption(pub(super) String);

macro_rules! interrupted_by {
    ($($error:ty),*) => {$(
        impl From<$error> for Interruption {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}

interrupted_by!(
    StoreUnavailable,
    TakeInError,
    ReadError,
    ResumeError,
    DecodeError,
    projections::StoreError
);

/// Begins with a shard: at its end when it was never looked at, and when the checkpoint is of another log.
/// Nothing is resumed that was not begun here, and what waits of another log is forgotten.
pub(super) async fn begin(effects: &Effects, shard: u16) -> anyhow::Result<()> {
    let Some(checkpoint) = effects.store.checkpoint(shard).await? else {
        effects.store.begin(&end(effects, shard).await?).await?;
        return Ok(());
    };
    match verify(&*effects.log, &checkpoint).await {
        Ok(()) => Ok(()),
        Err(ResumeError::Read(error)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "notifying begins anew at the end of the log: what waited is of another one");
            effects.store.begin_anew(&end(effects, shard).await?).await?;
            Ok(())
        }
    }
}

/// The checkpoint at the end of a shard.
async fn end(effects: &Effects, shard: u16) -> Result<Checkpoint, ReadError> {
    let start = Checkpoint::start(effects.log.epoch(), shard);
    let sequence = effects.log.end(shard).await?;
    let last = effects.log.read(shard, sequence.saturating_sub(1), 1).await?;
    let last = last.first().filter(|record| record.sequence == sequence);
    // What has no commit at its end has no records.
    Ok(match last.and_then(|record| commit_id(&record.payload)) {
        Some(id) => Checkpoint {
            sequence,
            commit_id: Some(id),
            ..start
        },
        None => start,
    })
}

/// Contends for a shard and looks at it, until it is cancelled.
pub(super) async fn run(effects: &Effects, shard: u16, cancel: &CancellationToken) {
    let name = format!("effects-{shard}");
    let mut backoff = FIRST_BACKOFF;
    while !cancel.is_cancelled() {
        let Some(lease) = effects.leases.contend(&name, cancel.child_token()).await else {
            return;
        };
        let (lost, began) = (lease.lost(), Instant::now());
        let ended = tokio::select! {
            () = cancel.cancelled() => None,
            () = lost.cancelled_owned() => None,
            Err(interruption) = follow(effects, shard) => Some(interruption.0),
        };
        lease.release().await;
        let Some(reason) = ended else {
            effects.troubles.set(shard, None);
            continue;
        };
        tracing::warn!(log.shard = shard, reason, "notifying tries again");
        effects.troubles.set(shard, Some(reason));
        if began.elapsed() > LONGEST_BACKOFF {
            backoff = FIRST_BACKOFF;
        }
        cancel.run_until_cancelled(sleep(backoff)).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Looks at a shard from its checkpoint for as long as it can.
async fn follow(effects: &Effects, shard: u16) -> Result<std::convert::Infallible, Interruption> {
    let unknown = || Interruption("the shard has no checkpoint".to_owned());
    let mut kept = effects.store.checkpoint(shard).await?.ok_or_else(unknown)?;
    verify(&*effects.log, &kept).await?;
    plan::all(effects, shard).await?;
    effects.troubles.set(shard, None);
    let mut records = effects.log.follow(shard, kept.sequence);
    let mut moved = Instant::now();
    while let Some(read) = records.next().await {
        let read = read?;
        let Some(last) = read.last() else { continue };
        let to = Checkpoint {
            sequence: last.sequence,
            commit_id: commit_id(&last.payload),
            ..kept
        };
        let notices = notices(effects, &read).await?;
        let far = to.sequence - kept.sequence >= MOVE_AFTER_RECORDS || moved.elapsed() >= MOVE_AFTER;
        if notices.is_empty() && !far {
            continue;
        }
        effects.store.take_in(&kept, &to, &notices).await?;
        (kept, moved) = (to, Instant::now());
        if !notices.is_empty() {
            plan::all(effects, shard).await?;
        }
    }
    Err(Interruption("the log's stream has ended".to_owned()))
}

/// The messages among these records that somebody may have to be notified of.
async fn notices(effects: &Effects, records: &[Record]) -> Result<Vec<Notice>, DecodeError> {
    let of_conversations: Vec<_> = records
        .iter()
        .filter(|record| matches!(record.stream, Stream::Conversation(..)))
        .cloned()
        .collect();
    let oldest = before(now(), effects.settings.max_age);
    let commits = effects.codec.decode(&of_conversations).await?;
    let young = commits.iter().filter(|commit| commit.time >= oldest);
    Ok(young.flat_map(of_commit).collect())
}

fn of_commit(commit: &Commit) -> Vec<Notice> {
    let Stream::Conversation(tenant, conversation) = &commit.stream else {
        return Vec::new();
    };
    let sent = commit.events.iter().filter_map(|recorded| match &recorded.event {
        // What was imported was said long ago, elsewhere.
        Event::Conversation(Happened::MessageSent(sent)) if sent.imported_line.is_none() => {
            Some((recorded.id, sent))
        }
        _ => None,
    });
    let notice = |(event, sent): (_, &domain::conversation::Message)| Notice {
        event,
        shard: commit.shard,
        tenant: tenant.clone(),
        message: MessageId {
            conversation: *conversation,
            ordinal: sent.ordinal,
        },
        sender: sent.sender.clone(),
        sequence: commit.sequence,
        recorded_at: commit.time,
        standing: 0,
    };
    sent.map(notice).collect()
}
