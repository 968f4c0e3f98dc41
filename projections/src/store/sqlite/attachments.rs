//! Files that were uploaded.

use async_trait::async_trait;
use domain::{AttachmentId, TenantId, UserId};

use super::column::{Hex, json};
use super::write::key;
use super::{SqliteReadModel, sql, store_error};
use crate::attachments::{AttachmentModel, AttachmentView};
use crate::fold::Changes;
use crate::store::{StoreError, rows};

/// Adds the statements that write what changed of files.
pub(super) fn encode(
    changes: &Changes,
    statements: &mut Vec<(&'static str, String)>,
) -> Result<(), StoreError> {
    if !changes.attachments.is_empty() {
        let uploaded = changes.attachments.iter().map(|row| {
            (
                Hex(row.id.to_bytes()),
                row.tenant.as_str(),
                row.user.as_str(),
                row.uploaded_at,
                &row.upload,
            )
        });
        statements.push((sql::APPLY_ATTACHMENTS, json(uploaded)?));
    }
    if !changes.removed_attachments.is_empty() {
        let removed = changes.removed_attachments.iter().map(|id| Hex(id.to_bytes()));
        statements.push((sql::APPLY_ATTACHMENTS_REMOVED, json(removed)?));
    }
    if !changes.attachment_uses.is_empty() {
        let used = changes.attachment_uses.iter().map(|used| {
            let (conversation, ordinal) = key(&used.message);
            (conversation, ordinal, Hex(used.attachment.to_bytes()))
        });
        statements.push((sql::APPLY_ATTACHMENT_USES, json(used)?));
    }
    // What is released may have come in this batch.
    if !changes.purged.is_empty() {
        let released = json(changes.purged.iter().map(key))?;
        statements.push((sql::RELEASE_ATTACHMENT_USES, released));
    }
    Ok(())
}

#[async_trait]
impl AttachmentModel for SqliteReadModel {
    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentView>, StoreError> {
        let found = sqlx::query(sql::ATTACHMENT)
            .bind(id.to_bytes().to_vec())
            .fetch_optional(&mut *self.reader().await?.connection)
            .await
            .map_err(store_error)?;
        found.as_ref().map(rows::attachment).transpose()
    }

    async fn own_attachments(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[AttachmentId],
    ) -> Result<Vec<AttachmentView>, StoreError> {
        let found = sqlx::query(sql::OWN_ATTACHMENTS)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(json(ids.iter().map(|id| Hex(id.to_bytes())))?)
            .fetch_all(&mut *self.reader().await?.connection)
            .await
            .map_err(store_error)?;
        rows::attachments(&found)
    }

    async fn attachment_for(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: AttachmentId,
    ) -> Result<Option<AttachmentView>, StoreError> {
        let found = sqlx::query(sql::ATTACHMENT_FOR)
            .bind(tenant.as_str())
            .bind(user.as_str())
            .bind(id.to_bytes().to_vec())
            .fetch_optional(&mut *self.reader().await?.connection)
            .await
            .map_err(store_error)?;
        found.as_ref().map(rows::attachment).transpose()
    }

    async fn attachments_after(
        &self,
        after: Option<AttachmentId>,
        limit: u32,
    ) -> Result<Vec<AttachmentView>, StoreError> {
        let found = sqlx::query(sql::ATTACHMENTS_AFTER)
            .bind(after.map_or_else(Vec::new, |id| id.to_bytes().to_vec()))
            .bind(limit)
            .fetch_all(&mut *self.reader().await?.connection)
            .await
            .map_err(store_error)?;
        rows::attachments(&found)
    }
}
