//! What people ask. Each answer comes out of one statement, or out of one transaction that sees one snapshot.
//!
//! Every statement that joins locks the checkpoints before any other table, and so does a transaction: a
//! generation that is swapped away waits for them, and none finds one table here and another there.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use sqlx::{Connection, PgConnection};

use super::{sql, store_error};
use crate::store::column::integer;
use crate::store::spelling::{folded, kind_text};
use crate::store::{StoreError, rows};
use crate::view::{
    ConversationPage, ConversationStats, ConversationView, ListRange, MEMBERS_IN_VIEW, MemberPage,
    MemberView, MembershipChanges, Memberships, MessagePage, MessageRange, MessageTally, MessageView,
    Profile, ReactionView, ReceiptPage, ReceiptRange, StatusChange, VersionView,
};

/// Two statements in one round trip. Locking takes no snapshot, so the first look comes after it.
const ONE_SNAPSHOT: &str =
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; LOCK TABLE checkpoints IN ACCESS SHARE MODE";

pub(super) async fn conversations(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    range: ListRange<'_>,
    now: Timestamp,
) -> Result<ConversationPage, StoreError> {
    let mut transaction = connection.begin_with(ONE_SNAPSHOT).await.map_err(store_error)?;
    let rows = sqlx::query(sql::CONVERSATION_PAGE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(range.after.map(|cursor| cursor.activity_at.as_millis()))
        .bind(range.after.map(|cursor| cursor.id.to_bytes()))
        .bind(i64::from(range.limit) + 1)
        .bind(now.as_millis())
        .bind(range.filter.kind.map(kind_text))
        .bind(range.filter.archived)
        .bind(range.filter.muted)
        .bind(range.filter.unread)
        .bind(range.filter.text.as_deref().map(folded))
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
    let mut ids = rows
        .iter()
        .map(rows::conversation_id)
        .collect::<Result<Vec<_>, _>>()?;
    let has_more = rows::cut(&mut ids, range.limit);
    let items = views(&mut transaction, (tenant, user), &ids, now).await?;
    transaction.commit().await.map_err(store_error)?;
    Ok(ConversationPage { items, has_more })
}

pub(super) async fn conversation(
    connection: &mut PgConnection,
    asking: (&TenantId, &UserId),
    id: ConversationId,
    now: Timestamp,
) -> Result<Option<ConversationView>, StoreError> {
    let mut transaction = connection.begin_with(ONE_SNAPSHOT).await.map_err(store_error)?;
    let view = views(&mut transaction, asking, &[id], now).await?.pop();
    transaction.commit().await.map_err(store_error)?;
    Ok(view)
}

async fn views(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    ids: &[ConversationId],
    now: Timestamp,
) -> Result<Vec<ConversationView>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let asked: Vec<_> = ids.iter().map(|id| id.to_bytes()).collect();
    let rows = sqlx::query(sql::CONVERSATION_VIEWS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(asked)
        .bind(now.as_millis())
        .fetch_all(&mut *connection)
        .await
        .map_err(store_error)?;
    let views = rows.iter().map(rows::view).collect::<Result<Vec<_>, _>>()?;
    // Only members of what may be seen.
    let seen: Vec<_> = views.iter().map(|view| view.id.to_bytes()).collect();
    let rows = sqlx::query(sql::CONVERSATION_MEMBERS)
        .bind(seen)
        .bind(integer(MEMBERS_IN_VIEW as u64)?)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::with_members(views, &rows)
}

pub(super) async fn conversation_stats(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    now: Timestamp,
) -> Result<ConversationStats, StoreError> {
    let row = sqlx::query(sql::CONVERSATION_STATS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(now.as_millis())
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    rows::conversation_stats(&row)
}

pub(super) async fn member_page(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
    (from, limit): (u64, u32),
) -> Result<Option<MemberPage>, StoreError> {
    let rows = sqlx::query(sql::MEMBER_PAGE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes())
        .bind(i64::try_from(from).unwrap_or(i64::MAX))
        .bind(i64::from(limit) + 1)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::member_page(rows.iter(), limit)
}

pub(super) async fn members_named(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
    names: &[UserId],
) -> Result<Vec<MemberView>, StoreError> {
    let rows = sqlx::query(sql::MEMBERS_NAMED)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes())
        .bind(names.iter().map(UserId::as_str).collect::<Vec<_>>())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::named_member).collect()
}

pub(super) async fn message_versions(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<Option<Vec<VersionView>>, StoreError> {
    let rows = sqlx::query(sql::MESSAGE_VERSIONS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::versions(rows.iter())
}

pub(super) async fn is_hidden(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<bool, StoreError> {
    let row = sqlx::query(sql::IS_HIDDEN)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    Ok(rows::number(&row)? > 0)
}

pub(super) async fn message_reactions(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<Vec<ReactionView>, StoreError> {
    let rows = sqlx::query(sql::MESSAGE_REACTIONS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::reaction).collect()
}

pub(super) async fn message_stats(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
) -> Result<Vec<MessageTally>, StoreError> {
    let rows = sqlx::query(sql::MESSAGE_STATS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::tally).collect()
}

pub(super) async fn messages(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
    range: MessageRange,
) -> Result<Option<MessagePage>, StoreError> {
    let before = range
        .before
        .map_or(Ok(i64::MAX), |ordinal| integer(ordinal.get()))?;
    let after = range.after.map(|ordinal| integer(ordinal.get())).transpose()?;
    let statement = if after.is_some() {
        sql::MESSAGES_AFTER
    } else {
        sql::MESSAGES_BEFORE
    };
    let mut query = sqlx::query(statement)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes());
    if let Some(after) = after {
        query = query.bind(after);
    }
    let rows = query
        .bind(before)
        .bind(i64::from(range.limit) + 1)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::message_page(rows.iter(), range)
}

pub(super) async fn hydrate(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    ids: &[MessageId],
) -> Result<Vec<MessageView>, StoreError> {
    // No message has an ordinal beyond 63 bits, so such an id is of none.
    let (conversations, ordinals): (Vec<_>, Vec<_>) = ids
        .iter()
        .filter_map(|id| Some((id.conversation.to_bytes(), integer(id.ordinal.get()).ok()?)))
        .unzip();
    let rows = sqlx::query(sql::HYDRATE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversations)
        .bind(ordinals)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::messages(&rows)
}

pub(super) async fn unread(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
) -> Result<Option<u64>, StoreError> {
    let row = sqlx::query(sql::UNREAD)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(rows::number).transpose()
}

pub(super) async fn active_conversations(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
) -> Result<Arc<[ConversationId]>, StoreError> {
    let ids: Vec<[u8; 16]> = sqlx::query_scalar(sql::ACTIVE_CONVERSATIONS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    Ok(ids.into_iter().map(ConversationId::from_bytes).collect())
}

pub(super) async fn memberships(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
) -> Result<Memberships, StoreError> {
    let rows = sqlx::query(sql::MEMBERSHIPS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::memberships(&rows)
}

pub(super) async fn membership_changes(
    connection: &mut PgConnection,
    shard: u16,
    after: u64,
    limit: u32,
) -> Result<MembershipChanges, StoreError> {
    let rows = sqlx::query(sql::MEMBERSHIP_CHANGES)
        .bind(i64::from(shard))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit.max(1)))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows::membership_changes(shard, &rows)
}

pub(super) async fn sizes(
    connection: &mut PgConnection,
    conversations: &[ConversationId],
) -> Result<BTreeMap<ConversationId, u64>, StoreError> {
    let asked: Vec<_> = conversations.iter().map(|id| id.to_bytes()).collect();
    let rows = sqlx::query(sql::SIZES)
        .bind(asked)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::size).collect()
}

pub(super) async fn authors(
    connection: &mut PgConnection,
    conversation: ConversationId,
    (above, up_to): (u64, Ordinal),
) -> Result<Vec<UserId>, StoreError> {
    let rows = sqlx::query(sql::AUTHORS)
        .bind(conversation.to_bytes())
        .bind(i64::try_from(above).unwrap_or(i64::MAX))
        .bind(i64::try_from(up_to.get()).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::user).collect()
}

pub(super) async fn status_changes(
    connection: &mut PgConnection,
    shard: u16,
    after: u64,
    limit: u32,
) -> Result<Vec<StatusChange>, StoreError> {
    let rows = sqlx::query(sql::STATUS_CHANGES)
        .bind(i64::from(shard))
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::status_change).collect()
}

pub(super) async fn members_of(
    connection: &mut PgConnection,
    tenant: &TenantId,
    conversation: ConversationId,
) -> Result<Vec<UserId>, StoreError> {
    let rows = sqlx::query(sql::MEMBERS_OF)
        .bind(tenant.as_str())
        .bind(conversation.to_bytes())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::user).collect()
}

pub(super) async fn profiles(
    connection: &mut PgConnection,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<BTreeMap<UserId, Profile>, StoreError> {
    let asked: Vec<_> = users.iter().map(UserId::as_str).collect();
    let rows = sqlx::query(sql::PROFILES)
        .bind(tenant.as_str())
        .bind(asked)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter().map(rows::profile).collect()
}

pub(super) async fn receipts(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
    page: ReceiptRange<'_>,
) -> Result<Option<ReceiptPage>, StoreError> {
    let Ok(ordinal) = integer(Ordinal::get(message.ordinal)) else {
        return Ok(None);
    };
    let query = sqlx::query(sql::RECEIPTS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes())
        .bind(ordinal)
        .bind(page.after.map_or("", UserId::as_str))
        .bind(i64::from(page.limit) + 1);
    let rows = query.fetch_all(connection).await.map_err(store_error)?;
    rows::receipts(rows.iter(), page.limit)
}

pub(super) async fn has_read(
    connection: &mut PgConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<bool, StoreError> {
    let row = sqlx::query(sql::HAS_READ)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    Ok(rows::number(&row)? > 0)
}
