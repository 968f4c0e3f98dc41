//! Who is to be notified, and where.

use domain::{MessageId, TenantId, Timestamp, UserId};
use sqlx::PgConnection;

use super::column::column;
use super::write::Query;
use super::{sql, store_error};
use crate::notify::{Noticed, PushKey, PushRow, PushView, RecipientPage};
use crate::store::column::integer;
use crate::store::{StoreError, rows};

pub(super) async fn push_subscriptions(
    connection: &mut PgConnection,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<Vec<PushView>, StoreError> {
    let rows = sqlx::query(sql::PUSH_SUBSCRIPTIONS)
        .bind(tenant.as_str())
        .bind(column(users, UserId::as_str))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::device).collect()
}

pub(super) async fn recipients(
    connection: &mut PgConnection,
    (tenant, noticed): (&TenantId, Noticed),
    (from, limit): (u64, u32),
    now: Timestamp,
) -> Result<RecipientPage, StoreError> {
    let rows = sqlx::query(sql::RECIPIENTS)
        .bind(tenant.as_str())
        .bind(noticed.conversation().to_bytes())
        .bind(integer(noticed.message.ordinal.get())?)
        .bind(integer(noticed.sequence)?)
        .bind(integer(from)?)
        .bind(i64::from(limit) + 1)
        .bind(now.as_millis())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::recipients(&rows, limit)
}

pub(super) async fn recipients_among(
    connection: &mut PgConnection,
    (tenant, message): (&TenantId, MessageId),
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let rows = sqlx::query(sql::RECIPIENTS_AMONG)
        .bind(tenant.as_str())
        .bind(message.conversation.to_bytes())
        .bind(integer(message.ordinal.get())?)
        .bind(column(users, UserId::as_str))
        .bind(now.as_millis())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::user).collect()
}

/// The statement that writes devices.
pub(super) fn devices(rows: &[PushRow]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::APPLY_PUSH_SUBSCRIPTIONS)
        .bind(column(rows, |row| row.key.0.as_str()))
        .bind(column(rows, |row| row.key.1.as_str()))
        .bind(column(rows, |row| row.key.2.to_bytes()))
        .bind(column(rows, |row| row.target.endpoint.as_str()))
        .bind(column(rows, |row| row.target.p256dh.as_str()))
        .bind(column(rows, |row| row.target.auth.as_str()))
        .bind(column(rows, |row| row.created_at.as_millis())))
}

/// The statement that ends devices.
pub(super) fn ended_devices(keys: &[PushKey]) -> Result<Query<'_>, StoreError> {
    Ok(sqlx::query(sql::END_PUSH_SUBSCRIPTIONS)
        .bind(column(keys, |(tenant, ..)| tenant.as_str()))
        .bind(column(keys, |(_, user, _)| user.as_str()))
        .bind(column(keys, |(.., id)| id.to_bytes())))
}
