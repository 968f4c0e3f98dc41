//! Who is to be notified, and where.

use domain::{MessageId, TenantId, Timestamp, UserId};
use sqlx::SqliteConnection;

use super::column::{Found, json};
use super::sql;
use crate::notify::{Noticed, PushView, RecipientPage};
use crate::store::column::integer;
use crate::store::{StoreError, rows};

pub(super) async fn push_subscriptions(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<Vec<PushView>, StoreError> {
    let query = sqlx::query(sql::PUSH_SUBSCRIPTIONS)
        .bind(tenant.as_str())
        .bind(json(users)?);
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::device).collect()
}

pub(super) async fn recipients(
    connection: &mut SqliteConnection,
    (tenant, noticed): (&TenantId, Noticed),
    (from, limit): (u64, u32),
    now: Timestamp,
) -> Result<RecipientPage, StoreError> {
    let query = sqlx::query(sql::RECIPIENTS)
        .bind(tenant.as_str())
        .bind(noticed.conversation().to_bytes().to_vec())
        .bind(integer(noticed.message.ordinal.get())?)
        .bind(integer(noticed.sequence)?)
        .bind(integer(from)?)
        .bind(i64::from(limit) + 1)
        .bind(now.as_millis());
    let found = Found::of(query, connection).await?;
    rows::recipients(&found.rows()?, limit)
}

pub(super) async fn recipients_among(
    connection: &mut SqliteConnection,
    (tenant, message): (&TenantId, MessageId),
    users: &[UserId],
    now: Timestamp,
) -> Result<Vec<UserId>, StoreError> {
    let query = sqlx::query(sql::RECIPIENTS_AMONG)
        .bind(tenant.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(integer(message.ordinal.get())?)
        .bind(json(users)?)
        .bind(now.as_millis());
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::user).collect()
}
