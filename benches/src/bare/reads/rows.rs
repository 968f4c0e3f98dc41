//! Rows as they are stored, by statements for either database.
//!
//! SQLite hands each row over from a thread of its own, which costs more than finding it; so it is asked for one
//! row that holds all of them as JSON.

use std::time::Duration;

use domain::ConversationId;
use eventstore::postgres::Database;
use serde::Deserialize;
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{FromRow, PgPool, SqlitePool};
use tests::token::DEFAULT_TENANT;

use crate::deployment::Place;

/// As many connections as an embedded node, and one of a cluster, has for what people read.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 16;
/// As the node has it, in KiB and in bytes.
const SQLITE_CACHE: &str = "-16384";
const SQLITE_MMAP: &str = "268435456";
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Deserialize, FromRow)]
pub(super) struct MessageRow {
    pub(super) ordinal: i64,
    pub(super) sender_id: String,
    pub(super) kind: String,
    pub(super) content: Option<String>,
    pub(super) reply_to: Option<i64>,
    pub(super) sent_at: i64,
}

#[derive(Deserialize, FromRow)]
pub(super) struct ConversationRow {
    /// In hexadecimal digits.
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) avatar: Option<String>,
    pub(super) owner_id: Option<String>,
    pub(super) created_at: i64,
    pub(super) updated_at: i64,
    pub(super) activity_at: i64,
    pub(super) member_count: i64,
    pub(super) last_message: Option<String>,
    pub(super) last_message_at: Option<i64>,
    pub(super) unread_count: i64,
    #[sqlx(skip)]
    pub(super) members: Vec<MemberRow>,
}

#[derive(Deserialize, FromRow)]
pub(super) struct MemberRow {
    /// Of which conversation, counted from 1.
    #[serde(skip)]
    place: i64,
    pub(super) user_id: String,
    pub(super) role: String,
    pub(super) joined_at: i64,
    pub(super) last_read_at: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) avatar: Option<String>,
}

const MESSAGES_IN_SQLITE: &str = "
    SELECT json_group_array(json_array(ordinal, sender_id, kind, content, reply_to, sent_at)) FROM (
        SELECT * FROM messages WHERE conversation_id = ?1 AND ordinal < ?2 ORDER BY ordinal DESC LIMIT ?3
    )";

const MESSAGES_IN_POSTGRES: &str = "
    SELECT ordinal, sender_id, kind, content, reply_to, sent_at FROM messages
    WHERE conversation_id = $1 AND ordinal < $2 ORDER BY ordinal DESC LIMIT $3";

const CONVERSATIONS_IN_SQLITE: &str = "
    SELECT json_group_array(json_array(
        hex(c.conversation_id), c.kind, c.name, c.description, c.avatar, c.owner_id, c.created_at, c.updated_at,
        c.activity_at, c.member_count, newest.content, newest.sent_at,
        c.last_ordinal - mine.read_mark - CASE WHEN mine.last_own_ordinal <= mine.read_mark THEN 0 ELSE
            mine.own_count - coalesce((
                SELECT own.sender_seq FROM messages AS own
                WHERE own.conversation_id = c.conversation_id AND own.sender_id = ?2
                  AND own.ordinal <= mine.read_mark
                ORDER BY own.ordinal DESC LIMIT 1
            ), 0)
        END,
        (
            SELECT json_group_array(
                json_array(m.user_id, m.role, m.joined_at, m.last_read_at, u.name, u.avatar)
            )
            FROM (
                SELECT * FROM members WHERE conversation_id = c.conversation_id AND is_active = 1
                ORDER BY standing LIMIT 20
            ) AS m
            LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
        )
    ))
    FROM (
        SELECT m.conversation_id, m.read_mark, m.own_count, m.last_own_ordinal
        FROM members AS m CROSS JOIN conversations AS c ON c.conversation_id = m.conversation_id
        WHERE m.tenant_id = ?1 AND m.user_id = ?2 AND m.is_active = 1
        ORDER BY c.activity_at DESC, c.conversation_id DESC LIMIT ?3
    ) AS mine
    CROSS JOIN conversations AS c ON c.conversation_id = mine.conversation_id
    LEFT JOIN messages AS newest
        ON newest.conversation_id = c.conversation_id AND newest.ordinal = c.last_ordinal";

const CONVERSATIONS_IN_POSTGRES: &str = "
    SELECT encode(c.conversation_id, 'hex') AS id, c.kind, c.name, c.description, c.avatar, c.owner_id,
           c.created_at, c.updated_at, c.activity_at, c.member_count,
           newest.content AS last_message, newest.sent_at AS last_message_at,
           c.last_ordinal - mine.read_mark - CASE WHEN mine.last_own_ordinal <= mine.read_mark THEN 0 ELSE
               mine.own_count - coalesce((
                   SELECT own.sender_seq FROM messages AS own
                   WHERE own.conversation_id = c.conversation_id AND own.sender_id = $2
                     AND own.ordinal <= mine.read_mark
                   ORDER BY own.ordinal DESC LIMIT 1
               ), 0)
           END AS unread_count
    FROM (
        SELECT m.conversation_id, m.read_mark, m.own_count, m.last_own_ordinal
        FROM members AS m JOIN conversations AS c ON c.conversation_id = m.conversation_id
        WHERE m.tenant_id = $1 AND m.user_id = $2 AND m.is_active
        ORDER BY c.activity_at DESC, c.conversation_id DESC LIMIT $3
    ) AS mine
    JOIN conversations AS c ON c.conversation_id = mine.conversation_id
    LEFT JOIN messages AS newest
        ON newest.conversation_id = c.conversation_id AND newest.ordinal = c.last_ordinal
    ORDER BY c.activity_at DESC, c.conversation_id DESC";

const MEMBERS_IN_POSTGRES: &str = "
    SELECT asked.place, m.user_id, m.role, m.joined_at, m.last_read_at, u.name, u.avatar
    FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM members WHERE conversation_id = asked.id AND is_active ORDER BY standing LIMIT 20
    ) AS m
    LEFT JOIN users AS u ON u.tenant_id = m.tenant_id AND u.user_id = m.user_id
    ORDER BY asked.place, m.standing";

/// Where the rows are.
pub(super) enum Rows {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Rows {
    pub(super) fn at(place: &Place) -> anyhow::Result<Self> {
        Ok(match place {
            Place::Folder(folder) => {
                let file = SqliteConnectOptions::new()
                    .filename(folder.join("read.db"))
                    .read_only(true)
                    .pragma("cache_size", SQLITE_CACHE)
                    .pragma("mmap_size", SQLITE_MMAP);
                let pool = SqlitePoolOptions::new()
                    .max_connections(SQLITE_CONNECTIONS)
                    .test_before_acquire(false);
                Self::Sqlite(pool.connect_lazy_with(file))
            }
            Place::Servers {
                database, namespace, ..
            } => {
                let database = Database::parse(database, namespace)?;
                Self::Postgres(database.pool(&database.schema("read"), POSTGRES_CONNECTIONS, PATIENCE))
            }
        })
    }

    /// The newest messages below an ordinal, the newest first.
    pub(super) async fn messages(
        &self,
        conversation: ConversationId,
        before: i64,
        limit: i64,
    ) -> anyhow::Result<Vec<MessageRow>> {
        let id = conversation.to_bytes();
        Ok(match self {
            Self::Sqlite(pool) => {
                let query = sqlx::query_scalar(MESSAGES_IN_SQLITE).bind(&id[..]);
                let rows: String = query.bind(before).bind(limit).fetch_one(pool).await?;
                serde_json::from_str(&rows)?
            }
            Self::Postgres(pool) => {
                let query = sqlx::query_as(MESSAGES_IN_POSTGRES).bind(&id[..]);
                query.bind(before).bind(limit).fetch_all(pool).await?
            }
        })
    }

    /// A user's conversations, the newest activity first, with their members.
    pub(super) async fn conversations(&self, user: &str, limit: i64) -> anyhow::Result<Vec<ConversationRow>> {
        Ok(match self {
            Self::Sqlite(pool) => {
                let query = sqlx::query_scalar(CONVERSATIONS_IN_SQLITE).bind(DEFAULT_TENANT);
                let rows: String = query.bind(user).bind(limit).fetch_one(pool).await?;
                serde_json::from_str(&rows)?
            }
            Self::Postgres(pool) => {
                let query = sqlx::query_as(CONVERSATIONS_IN_POSTGRES).bind(DEFAULT_TENANT);
                let mut rows: Vec<ConversationRow> = query.bind(user).bind(limit).fetch_all(pool).await?;
                let ids = rows.iter().map(|row| Ok(row.id()?.to_bytes()));
                let ids = ids.collect::<anyhow::Result<Vec<_>>>()?;
                let query = sqlx::query_as(MEMBERS_IN_POSTGRES).bind(ids);
                let members: Vec<MemberRow> = query.fetch_all(pool).await?;
                for member in members {
                    rows[usize::try_from(member.place - 1)?].members.push(member);
                }
                rows
            }
        })
    }
}

impl ConversationRow {
    pub(super) fn id(&self) -> anyhow::Result<ConversationId> {
        let id = u128::from_str_radix(&self.id, 16)?;
        Ok(ConversationId::from_bytes(id.to_be_bytes()))
    }
}
