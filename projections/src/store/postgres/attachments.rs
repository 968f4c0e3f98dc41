//! Files that were uploaded.

use async_trait::async_trait;
use domain::{AttachmentId, TenantId, UserId};

use super::column::{column, numbers};
use super::write::Query;
use super::{PostgresReadModel, sql, store_error};
use crate::attachments::{AttachmentModel, AttachmentRow, AttachmentUse, AttachmentView};
use crate::store::{StoreError, rows};

pub(super) fn rows(rows: &[AttachmentRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_ATTACHMENTS)
        .bind(column(rows, |row| row.id.to_bytes()))
        .bind(column(rows, |row| row.tenant.as_str()))
        .bind(column(rows, |row| row.user.as_str()))
        .bind(column(rows, |row| row.uploaded_at.as_millis()))
        .bind(column(rows, |row| row.upload.as_deref())))
}

pub(super) fn removed(ids: &[AttachmentId]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_ATTACHMENTS_REMOVED).bind(column(ids, |id| id.to_bytes())))
}

pub(super) fn uses(uses: &[AttachmentUse]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_ATTACHMENT_USES)
        .bind(column(uses, |used| used.message.conversation.to_bytes()))
        .bind(numbers(uses, |used| used.message.ordinal.get())?)
        .bind(column(uses, |used| used.attachment.to_bytes())))
}

#[async_trait]
impl AttachmentModel for PostgresReadModel {
    async fn attachment(&self, id: AttachmentId) -> Result<Option<AttachmentView>, StoreError> {
        self.read(async |connection| {
            let query = sqlx::query(sql::ATTACHMENT).bind(id.to_bytes());
            let found = query.fetch_optional(connection).await.map_err(store_error)?;
            found.as_ref().map(rows::attachment).transpose()
        })
        .await
    }

    async fn own_attachments(
        &self,
        tenant: &TenantId,
        user: &UserId,
        ids: &[AttachmentId],
    ) -> Result<Vec<AttachmentView>, StoreError> {
        self.read(async |connection| {
            let query = sqlx::query(sql::OWN_ATTACHMENTS)
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(column(ids, |id| id.to_bytes()));
            let found = query.fetch_all(connection).await.map_err(store_error)?;
            rows::attachments(&found)
        })
        .await
    }

    async fn attachment_for(
        &self,
        tenant: &TenantId,
        user: &UserId,
        id: AttachmentId,
    ) -> Result<Option<AttachmentView>, StoreError> {
        self.read(async |connection| {
            let query = sqlx::query(sql::ATTACHMENT_FOR)
                .bind(tenant.as_str())
                .bind(user.as_str())
                .bind(id.to_bytes());
            let found = query.fetch_optional(connection).await.map_err(store_error)?;
            found.as_ref().map(rows::attachment).transpose()
        })
        .await
    }

    async fn attachments_after(
        &self,
        after: Option<AttachmentId>,
        limit: u32,
    ) -> Result<Vec<AttachmentView>, StoreError> {
        self.read(async |connection| {
            let query = sqlx::query(sql::ATTACHMENTS_AFTER)
                .bind(after.map_or_else(Vec::new, |id| id.to_bytes().to_vec()))
                .bind(i64::from(limit));
            let found = query.fetch_all(connection).await.map_err(store_error)?;
            rows::attachments(&found)
        })
        .await
    }
}
