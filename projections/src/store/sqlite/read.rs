//! What people ask. Each answer comes out of one statement, or out of one transaction.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ConversationId, MessageId, Ordinal, TenantId, Timestamp, UserId};
use sqlx::{Connection, SqliteConnection};

use super::column::{Found, Hex, json};
use super::{sql, store_error};
use crate::store::column::integer;
use crate::store::spelling::{folded, kind_text};
use crate::store::{StoreError, rows};
use crate::view::{
    ConversationPage, ConversationStats, ConversationView, ListRange, MEMBERS_IN_VIEW, MemberPage,
    MemberView, MembershipChanges, Memberships, MessagePage, MessageRange, MessageTally, MessageView,
    Profile, ReactionView, ReceiptPage, ReceiptRange, StatusChange, VersionView,
};

pub(super) async fn conversations(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    range: ListRange<'_>,
    now: Timestamp,
) -> Result<ConversationPage, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let query = sqlx::query(sql::CONVERSATION_PAGE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(range.after.map(|cursor| cursor.activity_at.as_millis()))
        .bind(range.after.map(|cursor| cursor.id.to_bytes().to_vec()))
        .bind(i64::from(range.limit) + 1)
        .bind(now.as_millis())
        .bind(range.filter.kind.map(kind_text))
        .bind(range.filter.archived)
        .bind(range.filter.muted)
        .bind(range.filter.unread)
        .bind(range.filter.text.as_deref().map(folded));
    let found = Found::of(query, &mut transaction).await?;
    let mut ids = found
        .rows()?
        .iter()
        .map(rows::conversation_id)
        .collect::<Result<Vec<_>, _>>()?;
    let has_more = rows::cut(&mut ids, range.limit);
    let items = views(&mut transaction, (tenant, user), &ids, now).await?;
    transaction.commit().await.map_err(store_error)?;
    Ok(ConversationPage { items, has_more })
}

pub(super) async fn conversation(
    connection: &mut SqliteConnection,
    asking: (&TenantId, &UserId),
    id: ConversationId,
    now: Timestamp,
) -> Result<Option<ConversationView>, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let view = views(&mut transaction, asking, &[id], now).await?.pop();
    transaction.commit().await.map_err(store_error)?;
    Ok(view)
}

async fn views(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    ids: &[ConversationId],
    now: Timestamp,
) -> Result<Vec<ConversationView>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let query = sqlx::query(sql::CONVERSATION_VIEWS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(json(ids.iter().map(|id| Hex(id.to_bytes())))?)
        .bind(now.as_millis());
    let found = Found::of(query, connection).await?;
    let views = found
        .rows()?
        .iter()
        .map(rows::view)
        .collect::<Result<Vec<_>, _>>()?;
    // Only members of what may be seen.
    let query = sqlx::query(sql::CONVERSATION_MEMBERS)
        .bind(json(views.iter().map(|view| Hex(view.id.to_bytes())))?)
        .bind(integer(MEMBERS_IN_VIEW as u64)?);
    let found = Found::of(query, connection).await?;
    rows::with_members(views, &found.rows()?)
}

pub(super) async fn conversation_stats(
    connection: &mut SqliteConnection,
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
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
    (from, limit): (u64, u32),
) -> Result<Option<MemberPage>, StoreError> {
    let query = sqlx::query(sql::MEMBER_PAGE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes().to_vec())
        .bind(i64::try_from(from).unwrap_or(i64::MAX))
        .bind(i64::from(limit) + 1);
    let found = Found::of(query, connection).await?;
    rows::member_page(found.rows()?.iter(), limit)
}

pub(super) async fn members_named(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
    names: &[UserId],
) -> Result<Vec<MemberView>, StoreError> {
    let query = sqlx::query(sql::MEMBERS_NAMED)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes().to_vec())
        .bind(json(names)?);
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::named_member).collect()
}

pub(super) async fn message_versions(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<Option<Vec<VersionView>>, StoreError> {
    let query = sqlx::query(sql::MESSAGE_VERSIONS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX));
    let found = Found::of(query, connection).await?;
    rows::versions(found.rows()?.iter())
}

pub(super) async fn is_hidden(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<bool, StoreError> {
    let row = sqlx::query(sql::IS_HIDDEN)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    Ok(rows::number(&row)? > 0)
}

pub(super) async fn message_reactions(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<Vec<ReactionView>, StoreError> {
    let query = sqlx::query(sql::MESSAGE_REACTIONS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX));
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::reaction).collect()
}

pub(super) async fn message_stats(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
) -> Result<Vec<MessageTally>, StoreError> {
    let query = sqlx::query(sql::MESSAGE_STATS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes().to_vec());
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::tally).collect()
}

pub(super) async fn messages(
    connection: &mut SqliteConnection,
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
        .bind(conversation.to_bytes().to_vec());
    if let Some(after) = after {
        query = query.bind(after);
    }
    query = query.bind(before).bind(i64::from(range.limit) + 1);
    let found = Found::of(query, connection).await?;
    rows::message_page(found.rows()?.iter(), range)
}

pub(super) async fn hydrate(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    ids: &[MessageId],
) -> Result<Vec<MessageView>, StoreError> {
    // No message has an ordinal beyond 63 bits, so such an id is of none.
    let asked = ids
        .iter()
        .filter_map(|id| Some((Hex(id.conversation.to_bytes()), integer(id.ordinal.get()).ok()?)));
    let query = sqlx::query(sql::HYDRATE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(json(asked)?);
    let found = Found::of(query, connection).await?;
    rows::messages(&found.rows()?)
}

pub(super) async fn unread(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    conversation: ConversationId,
) -> Result<Option<u64>, StoreError> {
    let row = sqlx::query(sql::UNREAD)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(conversation.to_bytes().to_vec())
        .fetch_optional(connection)
        .await
        .map_err(store_error)?;
    row.as_ref().map(rows::number).transpose()
}

pub(super) async fn active_conversations(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
) -> Result<Arc<[ConversationId]>, StoreError> {
    let query = sqlx::query(sql::ACTIVE_CONVERSATIONS)
        .bind(tenant.as_str())
        .bind(user.as_str());
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::conversation_id).collect()
}

pub(super) async fn memberships(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
) -> Result<Memberships, StoreError> {
    let query = sqlx::query(sql::MEMBERSHIPS)
        .bind(tenant.as_str())
        .bind(user.as_str());
    let found = Found::of(query, connection).await?;
    rows::memberships(&found.rows()?)
}

pub(super) async fn membership_changes(
    connection: &mut SqliteConnection,
    shard: u16,
    after: u64,
    limit: u32,
) -> Result<MembershipChanges, StoreError> {
    let query = sqlx::query(sql::MEMBERSHIP_CHANGES)
        .bind(shard)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit.max(1));
    let found = Found::of(query, connection).await?;
    rows::membership_changes(shard, &found.rows()?)
}

pub(super) async fn sizes(
    connection: &mut SqliteConnection,
    conversations: &[ConversationId],
) -> Result<BTreeMap<ConversationId, u64>, StoreError> {
    let query = sqlx::query(sql::SIZES).bind(json(conversations.iter().map(|id| Hex(id.to_bytes())))?);
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::size).collect()
}

pub(super) async fn authors(
    connection: &mut SqliteConnection,
    conversation: ConversationId,
    (above, up_to): (u64, Ordinal),
) -> Result<Vec<UserId>, StoreError> {
    let query = sqlx::query(sql::AUTHORS)
        .bind(conversation.to_bytes().to_vec())
        .bind(i64::try_from(above).unwrap_or(i64::MAX))
        .bind(i64::try_from(up_to.get()).unwrap_or(i64::MAX));
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::user).collect()
}

pub(super) async fn status_changes(
    connection: &mut SqliteConnection,
    shard: u16,
    after: u64,
    limit: u32,
) -> Result<Vec<StatusChange>, StoreError> {
    let query = sqlx::query(sql::STATUS_CHANGES)
        .bind(shard)
        .bind(i64::try_from(after).unwrap_or(i64::MAX))
        .bind(limit);
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::status_change).collect()
}

pub(super) async fn members_of(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    conversation: ConversationId,
) -> Result<Vec<UserId>, StoreError> {
    let query = sqlx::query(sql::MEMBERS_OF)
        .bind(tenant.as_str())
        .bind(conversation.to_bytes().to_vec());
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::user).collect()
}

pub(super) async fn profiles(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<BTreeMap<UserId, Profile>, StoreError> {
    let query = sqlx::query(sql::PROFILES)
        .bind(tenant.as_str())
        .bind(json(users)?);
    let found = Found::of(query, connection).await?;
    found.rows()?.iter().map(rows::profile).collect()
}

pub(super) async fn receipts(
    connection: &mut SqliteConnection,
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
        .bind(message.conversation.to_bytes().to_vec())
        .bind(ordinal)
        .bind(page.after.map_or("", UserId::as_str))
        .bind(i64::from(page.limit) + 1);
    let found = Found::of(query, connection).await?;
    rows::receipts(found.rows()?.iter(), page.limit)
}

pub(super) async fn has_read(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<bool, StoreError> {
    let row = sqlx::query(sql::HAS_READ)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(i64::try_from(Ordinal::get(message.ordinal)).unwrap_or(i64::MAX))
        .fetch_one(connection)
        .await
        .map_err(store_error)?;
    Ok(rows::number(&row)? > 0)
}
