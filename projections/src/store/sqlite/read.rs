//! What people ask. Each answer comes out of one statement, or out of one transaction.

use std::collections::BTreeMap;

use domain::{ConversationId, MessageId, Ordinal, TenantId, UserId};
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, SqliteConnection};

use super::column::{Columns, Hex, damaged, integer, json};
use super::{sql, store_error};
use crate::store::StoreError;
use crate::view::{
    ConversationPage, ConversationView, ListCursor, MEMBERS_IN_VIEW, MemberView, Memberships, MessagePage,
    MessageRange, MessageView, Profile, Receipt,
};

pub(super) async fn conversations(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    limit: u32,
    cursor: Option<ListCursor>,
) -> Result<ConversationPage, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let rows = sqlx::query(sql::CONVERSATION_PAGE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(cursor.map(|cursor| cursor.activity_at.as_millis()))
        .bind(cursor.map(|cursor| cursor.id.to_bytes().to_vec()))
        .bind(i64::from(limit) + 1)
        .fetch_all(&mut *transaction)
        .await
        .map_err(store_error)?;
    let mut ids = rows
        .iter()
        .map(|row| Columns::of(row).id(ConversationId::from_bytes))
        .collect::<Result<Vec<_>, _>>()?;
    let has_more = cut(&mut ids, limit);
    let items = views(&mut transaction, (tenant, user), &ids).await?;
    transaction.commit().await.map_err(store_error)?;
    Ok(ConversationPage { items, has_more })
}

pub(super) async fn conversation(
    connection: &mut SqliteConnection,
    asking: (&TenantId, &UserId),
    id: ConversationId,
) -> Result<Option<ConversationView>, StoreError> {
    let mut transaction = connection.begin().await.map_err(store_error)?;
    let view = views(&mut transaction, asking, &[id]).await?.pop();
    transaction.commit().await.map_err(store_error)?;
    Ok(view)
}

async fn views(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    ids: &[ConversationId],
) -> Result<Vec<ConversationView>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let rows = sqlx::query(sql::CONVERSATION_VIEWS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(json(ids.iter().map(|id| Hex(id.to_bytes())))?)
        .fetch_all(&mut *connection)
        .await
        .map_err(store_error)?;
    let mut views = rows.iter().map(view_from).collect::<Result<Vec<_>, _>>()?;
    // Only members of what may be seen.
    let rows = sqlx::query(sql::CONVERSATION_MEMBERS)
        .bind(json(views.iter().map(|view| Hex(view.id.to_bytes())))?)
        .bind(integer(MEMBERS_IN_VIEW as u64)?)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let mut members: BTreeMap<ConversationId, Vec<MemberView>> = BTreeMap::new();
    for row in &rows {
        let mut columns = Columns::of(row);
        let id = columns.id(ConversationId::from_bytes)?;
        members.entry(id).or_default().push(member_from(columns)?);
    }
    for view in &mut views {
        view.members = members.remove(&view.id).unwrap_or_default();
    }
    Ok(views)
}

fn view_from(row: &SqliteRow) -> Result<ConversationView, StoreError> {
    let mut columns = Columns::of(row);
    Ok(ConversationView {
        id: columns.id(ConversationId::from_bytes)?,
        kind: columns.kind()?,
        name: columns.optional_text()?,
        description: columns.optional_text()?,
        avatar: columns.optional_text()?,
        owner: columns.optional_user()?,
        created_at: columns.time()?,
        updated_at: columns.time()?,
        activity_at: columns.time()?,
        last_ordinal: columns.number()?,
        member_count: columns.number()?,
        last_message: columns.optional_text()?,
        last_message_at: columns.optional_time()?,
        unread_count: columns.number()?,
        members: Vec::new(),
    })
}

fn member_from(mut columns: Columns<'_>) -> Result<MemberView, StoreError> {
    Ok(MemberView {
        user_id: columns.parsed(UserId::parse)?,
        role: columns.role()?,
        joined_at: columns.time()?,
        last_read_at: columns.optional_time()?,
        is_active: columns.flag()?,
        name: columns.optional_text()?,
        avatar: columns.optional_text()?,
    })
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
    let rows = query
        .bind(before)
        .bind(i64::from(range.limit) + 1)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut items = rows
        .iter()
        .filter_map(|row| message_from(row).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    items.sort_unstable_by_key(|item| item.id);
    // The one beyond the limit is the farthest from what was asked for: the newest after, the oldest before.
    if after.is_none() {
        items.reverse();
    }
    let has_more = cut(&mut items, range.limit);
    if after.is_none() {
        items.reverse();
    }
    Ok(Some(MessagePage { items, has_more }))
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
    let rows = sqlx::query(sql::HYDRATE)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(json(asked)?)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter()
        .filter_map(|row| message_from(row).transpose())
        .collect()
}

/// The message of a row; `None` when the row only says that there is none.
fn message_from(row: &SqliteRow) -> Result<Option<MessageView>, StoreError> {
    let mut columns = Columns::of(row);
    let Some(conversation) = columns.optional_id(ConversationId::from_bytes)? else {
        return Ok(None);
    };
    let ordinal = columns
        .optional_ordinal()?
        .ok_or_else(|| damaged("a message without an ordinal"))?;
    Ok(Some(MessageView {
        id: MessageId {
            conversation,
            ordinal,
        },
        sender: columns.parsed(UserId::parse)?,
        kind: columns.message_kind()?,
        content: columns.optional_text()?,
        reply_to: columns.optional_ordinal()?,
        sent_at: columns.time()?,
        recorded_at: columns.time()?,
    }))
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
    row.as_ref().map(|row| Columns::of(row).number()).transpose()
}

pub(super) async fn memberships(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
) -> Result<Memberships, StoreError> {
    let rows = sqlx::query(sql::MEMBERSHIPS)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let mut memberships = Memberships::default();
    for row in &rows {
        let mut columns = Columns::of(row);
        let id = columns.optional_id(ConversationId::from_bytes)?;
        match id {
            Some(id) => memberships.conversations.push(id),
            None => memberships
                .checkpoints
                .push((columns.shard()?, columns.number()?)),
        }
    }
    Ok(memberships)
}

pub(super) async fn members_of(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    conversation: ConversationId,
) -> Result<Vec<UserId>, StoreError> {
    let rows = sqlx::query(sql::MEMBERS_OF)
        .bind(tenant.as_str())
        .bind(conversation.to_bytes().to_vec())
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    rows.iter()
        .map(|row| Columns::of(row).parsed(UserId::parse))
        .collect()
}

pub(super) async fn profiles(
    connection: &mut SqliteConnection,
    tenant: &TenantId,
    users: &[UserId],
) -> Result<BTreeMap<UserId, Profile>, StoreError> {
    let rows = sqlx::query(sql::PROFILES)
        .bind(tenant.as_str())
        .bind(json(users)?)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let profile = |row: &SqliteRow| {
        let mut columns = Columns::of(row);
        let user = columns.parsed(UserId::parse)?;
        Ok((
            user,
            Profile {
                name: columns.optional_text()?,
                avatar: columns.optional_text()?,
            },
        ))
    };
    rows.iter().map(profile).collect()
}

pub(super) async fn read_by(
    connection: &mut SqliteConnection,
    (tenant, user): (&TenantId, &UserId),
    message: MessageId,
) -> Result<Vec<Receipt>, StoreError> {
    let Ok(ordinal) = integer(Ordinal::get(message.ordinal)) else {
        return Ok(Vec::new());
    };
    let rows = sqlx::query(sql::READ_BY)
        .bind(tenant.as_str())
        .bind(user.as_str())
        .bind(message.conversation.to_bytes().to_vec())
        .bind(ordinal)
        .fetch_all(connection)
        .await
        .map_err(store_error)?;
    let receipt = |row: &SqliteRow| {
        let mut columns = Columns::of(row);
        Ok((columns.parsed(UserId::parse)?, columns.time()?))
    };
    rows.iter().map(receipt).collect()
}

/// Cuts off what was fetched beyond the limit, and says whether anything was.
fn cut<T>(items: &mut Vec<T>, limit: u32) -> bool {
    let limit = limit as usize;
    let has_more = items.len() > limit;
    items.truncate(limit);
    has_more
}
