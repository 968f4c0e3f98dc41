// Everything that is asked of Postgres: prepared statements, each known by its name, over a pool of connections.

import pg from 'pg'

// Times go out as Postgres spells them: through Date they would cost more than all the rest of a page.
pg.types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, (text) => text.replace(' ', 'T').replace('+00', 'Z'))

const MESSAGE = `
  m.id::text AS id, m.conversation_id::text AS "conversationId", m.from_user_id AS "fromUserId", m.content,
  m.type, m.reply_to_id::text AS "replyToId", m.is_edited AS "isEdited", m.edited_at AS "editedAt",
  m.is_deleted AS "isDeleted", m.deleted_at AS "deletedAt", m.deleted_for_everyone AS "deletedForEveryone",
  m.created_at AS "createdAt", m.updated_at AS "updatedAt"`

// Whether the user is an active member: who is none reads and changes nothing.
const IS_MEMBER = `
  EXISTS (SELECT FROM conversation_members WHERE conversation_id = $1 AND user_id = $2 AND is_active)`

const STATEMENTS = {
  connect: `
    SELECT u.id, u.name, array(
      SELECT conversation_id FROM conversation_members WHERE user_id = u.id AND is_active
    ) AS conversations
    FROM users u WHERE u.id = $1 AND u.status = 'ACTIVE'`,

  // The whole transaction as one statement: one way to the database and back, and the locks are held no longer.
  // Each step rests on the one before, so two senders lock in the same order.
  send: `
    WITH touched AS (
      UPDATE conversations SET last_message = $3, last_message_at = now(), updated_at = now()
      WHERE id = $1 AND ${IS_MEMBER}
      RETURNING id
    ), unread AS (
      UPDATE conversation_members SET unread_count = unread_count + 1
      WHERE conversation_id = (SELECT id FROM touched) AND user_id <> $2 AND is_active
    )
    INSERT INTO messages AS m (conversation_id, from_user_id, content)
    SELECT id, $2, $3 FROM touched
    RETURNING ${MESSAGE}`,

  member: `SELECT ${IS_MEMBER} AS is_member`,

  newest: `
    SELECT ${MESSAGE} FROM messages m
    WHERE m.conversation_id = $1 AND NOT m.is_deleted AND ${IS_MEMBER}
    ORDER BY m.created_at DESC, m.id DESC LIMIT $3`,

  before: `
    SELECT ${MESSAGE} FROM messages m
    WHERE m.conversation_id = $1 AND NOT m.is_deleted AND ${IS_MEMBER}
      AND (m.created_at, m.id) < ((SELECT created_at FROM messages WHERE id = $4), $4)
    ORDER BY m.created_at DESC, m.id DESC LIMIT $3`,

  conversations: `
    SELECT c.id, c.type, c.name, c.description, c.avatar, c.owner_id AS "ownerId",
      c.last_message AS "lastMessage", c.last_message_at AS "lastMessageAt", c.is_archived AS "isArchived",
      c.created_at AS "createdAt", c.updated_at AS "updatedAt", m.unread_count AS "unreadCount",
      m.is_muted AS "isMuted", m.muted_until AS "mutedUntil"
    FROM conversation_members m JOIN conversations c ON c.id = m.conversation_id
    WHERE m.user_id = $1 AND m.is_active
    ORDER BY c.last_message_at DESC NULLS LAST, c.id DESC LIMIT $2 OFFSET $3`,

  // One scan for the page, the total and every facet; by text first, for whoever searches is a member of much.
  search: `
    WITH said AS MATERIALIZED (
      SELECT * FROM messages WHERE content ILIKE $2 AND NOT is_deleted
    ), m AS (
      SELECT said.* FROM said JOIN conversation_members USING (conversation_id)
      WHERE user_id = $1 AND is_active
    )
    SELECT
      (SELECT count(*)::int FROM m) AS total,
      (SELECT json_agg(page) FROM (
        SELECT ${MESSAGE} FROM m ORDER BY m.created_at DESC, m.id DESC LIMIT $3
      ) page) AS data,
      (SELECT json_object_agg(type, n) FROM (SELECT type, count(*) n FROM m GROUP BY 1) f) AS by_type,
      (SELECT json_object_agg(from_user_id, n)
        FROM (SELECT from_user_id, count(*) n FROM m GROUP BY 1) f) AS by_user,
      (SELECT json_object_agg(conversation_id, n)
        FROM (SELECT conversation_id, count(*) n FROM m GROUP BY 1) f) AS by_conversation`,
}

export class Store {
  #pool

  constructor(connectionString) {
    // As many connections as conversations are busy: those that wait for the lock of one hold up no other.
    this.#pool = new pg.Pool({ connectionString, max: 50, options: '-c TimeZone=UTC' })
  }

  async #rows(name, ...values) {
    return (await this.#pool.query({ name, text: STATEMENTS[name], values })).rows
  }

  // The user with the ids of their conversations, or undefined.
  async connect(userId) {
    return (await this.#rows('connect', userId))[0]
  }

  // The message, recorded, or undefined when the user is no member.
  async send(userId, conversationId, content) {
    return (await this.#rows('send', conversationId, userId, content))[0]
  }

  // A page of messages, oldest first, or undefined when the user is no member.
  async messages(userId, conversationId, limit, before) {
    const rows = before
      ? await this.#rows('before', conversationId, userId, limit + 1, before)
      : await this.#rows('newest', conversationId, userId, limit + 1)
    if (rows.length === 0) {
      const [{ is_member: isMember }] = await this.#rows('member', conversationId, userId)
      if (!isMember) return undefined
    }
    const hasMore = rows.length > limit
    const data = rows.slice(0, limit).reverse()
    return { data, hasMore, nextCursor: data.at(-1)?.id ?? null, prevCursor: data[0]?.id ?? null }
  }

  // A page of the user's conversations, the busiest first.
  async conversations(userId, limit, offset) {
    const rows = await this.#rows('conversations', userId, limit + 1, offset)
    return { data: rows.slice(0, limit), pagination: { limit, offset, hasMore: rows.length > limit } }
  }

  // A page of the messages that hold this text, newest first, with how many there are by type, user and conversation.
  async search(userId, text, limit) {
    const pattern = `%${text.replace(/[\\%_]/g, '\\$&')}%`
    const [found] = await this.#rows('search', userId, pattern, limit)
    return {
      data: found.data ?? [],
      pagination: { limit, total: found.total, hasMore: found.total > limit },
      facets: {
        byType: found.by_type ?? {},
        byUser: found.by_user ?? {},
        byConversation: found.by_conversation ?? {},
      },
    }
  }
}
