//! Removing what nobody uses: uploads that came with no message, or with deleted ones alone, once they are too
//! old to come with another; all of erased users; and bytes that were left without any record.
//!
//! One node does so at a time. That is no matter of correctness: what is removed twice is gone, and recorded
//! twice.

use std::sync::Arc;
use std::time::Duration;

use domain::user::{Command, User};
use domain::{AttachmentId, Timestamp};
use eventstore::envelope::Trace;
use eventstore::execute::{Executor, Request};
use eventstore::lease::{Lease, Leases};
use eventstore::{EventLog, Progress, Stream};
use projections::attachments::AttachmentView;
use projections::store::ReadModel;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::Attachments;
use super::blobs::day;
use crate::app::now;

const LEASE: &str = "attachments";
/// Files that are looked at with one question.
const PAGE: u32 = 500;
/// A sweep comes this often within the time that uploads are kept, and once an hour at least.
const SWEEPS: u32 = 24;
/// Clocks may differ, and an append may be on its way, for so long; a trial that keeps files for less waits for less.
const LEAST_MARGIN_MS: i64 = 15 * 60 * 1_000;
const EVERY: Duration = Duration::from_secs(60 * 60);
/// How long the read model is waited for.
const PATIENCE: Duration = Duration::from_secs(60);
const A_DAY: i64 = 24 * 60 * 60 * 1_000;
/// How many days back bytes without a record are looked for when a node begins.
const DAYS_BACK: i64 = 7;

/// What sweeping stands on.
pub struct Sweep {
    /// Where files are kept, and for how long.
    pub attachments: Arc<Attachments>,
    /// Lets one node do it.
    pub leases: Arc<dyn Leases>,
    /// The log, whose end the read models must have reached.
    pub log: Arc<dyn EventLog>,
    /// How far they are.
    pub projected: Progress,
    /// Says what is used.
    pub read_model: Arc<dyn ReadModel>,
    /// Records what is removed.
    pub users: Arc<Executor<User>>,
}

/// Why a sweep did not come to its end: the next one tries again.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Interrupted(String);

impl Interrupted {
    fn by(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}

impl Sweep {
    /// Sweeps from time to time until it is cancelled.
    pub async fn run(self, cancel: CancellationToken) {
        while let Some(lease) = self.leases.contend(LEASE, cancel.child_token()).await {
            let lost = lease.lost();
            tokio::select! {
                () = self.hold(&lease) => {}
                () = lost.cancelled() => {}
                () = cancel.cancelled() => {}
            }
            lease.release().await;
            if cancel.is_cancelled() {
                return;
            }
        }
    }

    async fn hold(&self, lease: &Lease) {
        let every = (self.attachments.kept / SWEEPS).min(EVERY);
        let mut orphans_from = now().as_millis() - DAYS_BACK * A_DAY;
        while lease.held() {
            match self.sweep(lease, &mut orphans_from).await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(removed, "unused attachments were removed"),
                Err(error) => tracing::warn!(%error, "unused attachments were not all removed"),
            }
            sleep(every).await;
        }
    }

    /// One sweep; says how many files it removed. Bytes without a record are looked for on the days that are
    /// over and were not looked at yet.
    async fn sweep(&self, lease: &Lease, orphans_from: &mut i64) -> Result<u64, Interrupted> {
        let kept = i64::try_from(self.attachments.kept.as_millis()).unwrap_or(i64::MAX);
        // A message that was sent in the last moment is in the log by then, whatever the clocks of nodes say.
        let margin = (kept / i64::from(SWEEPS)).max(LEAST_MARGIN_MS.min(kept));
        let before = now().as_millis() - kept - margin;
        self.caught_up().await?;
        let mut removed = 0;
        let mut after = None;
        loop {
            let page = self.read_model.attachments_after(after, PAGE).await;
            let page = page.map_err(Interrupted::by)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let unused = |view: &&AttachmentView| view.is_unused(Timestamp::from_millis(before));
            for view in page.iter().filter(unused) {
                if !lease.held() {
                    return Ok(removed);
                }
                // One that cannot be removed now is none of the others' business.
                match self.remove(view).await {
                    Ok(()) => removed += 1,
                    Err(error) => {
                        tracing::warn!(attachment.id = %view.id, %error, "a file was not removed");
                    }
                }
            }
        }
        while *orphans_from + A_DAY + kept + margin < now().as_millis() && lease.held() {
            removed += self.orphans_of(&day(*orphans_from)).await?;
            *orphans_from += A_DAY;
        }
        Ok(removed)
    }

    /// Waits until everything that is in the log now is in the read models: a file whose use they do not have
    /// yet is used.
    async fn caught_up(&self) -> Result<(), Interrupted> {
        for shard in 0..self.log.shards() {
            let end = self.log.end(shard).await.map_err(Interrupted::by)?;
            let position = self.log.position(shard, end);
            if !self.projected.reached(position, PATIENCE).await {
                return Err(Interrupted(
                    "the read models have not come that far yet".to_owned(),
                ));
            }
        }
        Ok(())
    }

    /// The bytes first: whatever ends this in between, the record is still there, and the next sweep finds it.
    async fn remove(&self, view: &AttachmentView) -> Result<(), Interrupted> {
        let deleted = self.attachments.blobs.delete(&view.tenant, view.id).await;
        deleted.map_err(Interrupted::by)?;
        let stream = Stream::User(view.tenant.clone(), view.user.clone());
        let request = Request {
            command: Command::RemoveAttachment(view.id),
            actor: None,
            tag: None,
            trace: Trace::default(),
        };
        let recorded = self.users.execute(&stream, request).await;
        recorded.map(drop).map_err(Interrupted::by)
    }

    /// Deletes bytes of a day that no record knows: those of a process that ended before it recorded them.
    async fn orphans_of(&self, day: &str) -> Result<u64, Interrupted> {
        let mut found = self
            .attachments
            .blobs
            .of_day(day)
            .await
            .map_err(Interrupted::by)?;
        found.dedup();
        let mut deleted = 0;
        for (tenant, id) in found {
            if !is_known(&*self.read_model, id).await? {
                let gone = self.attachments.blobs.delete(&tenant, id).await;
                gone.map_err(Interrupted::by)?;
                deleted += 1;
            }
        }
        Ok(deleted)
    }
}

async fn is_known(read_model: &dyn ReadModel, id: AttachmentId) -> Result<bool, Interrupted> {
    let found = read_model.attachment(id).await.map_err(Interrupted::by)?;
    Ok(found.is_some())
}
