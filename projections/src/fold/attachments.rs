//! Files that were uploaded, and the messages they come with.

use std::collections::BTreeMap;

use domain::user::UploadFacts;
use domain::{AttachmentId, TenantId, Timestamp};

use super::Changes;
use crate::attachments::{AttachmentRow, AttachmentUse};

/// The files of a batch.
#[derive(Default)]
pub(super) struct Attachments {
    /// `None` when it is not kept any more.
    rows: BTreeMap<AttachmentId, Option<AttachmentRow>>,
    uses: Vec<AttachmentUse>,
}

impl Attachments {
    pub(super) fn uploaded(&mut self, tenant: &TenantId, facts: &UploadFacts, at: Timestamp) {
        let row = AttachmentRow::uploaded(tenant.clone(), facts, at);
        self.rows.insert(facts.id, Some(row));
    }

    pub(super) fn removed(&mut self, id: AttachmentId) {
        self.rows.insert(id, None);
    }

    pub(super) fn used(&mut self, uses: Vec<AttachmentUse>) {
        self.uses.extend(uses);
    }

    pub(super) fn into_changes(self, changes: &mut Changes) {
        for (id, row) in self.rows {
            match row {
                Some(row) => changes.attachments.push(row),
                None => changes.removed_attachments.push(id),
            }
        }
        changes.attachment_uses = self.uses;
        changes.attachment_uses.sort_unstable();
        // The same file may come with a message twice.
        changes.attachment_uses.dedup();
    }
}
