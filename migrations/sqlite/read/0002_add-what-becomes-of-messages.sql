-- What becomes of messages after they were sent, and how users keep their conversations.

-- `edits` counts how often the text was written anew. What is deleted has no content.
ALTER TABLE messages ADD COLUMN edits INTEGER NOT NULL DEFAULT 0;
ALTER TABLE messages ADD COLUMN edited_at INTEGER;
ALTER TABLE messages ADD COLUMN deleted_at INTEGER;
-- JSON: files, and what is neither text nor file.
ALTER TABLE messages ADD COLUMN attachments TEXT;
ALTER TABLE messages ADD COLUMN card TEXT;

-- Unread counts leave out what was deleted above the mark.
CREATE INDEX messages_deleted ON messages (conversation_id, ordinal) WHERE deleted_at IS NOT NULL;

-- The texts that messages had before; number 0 is the one that was sent.
CREATE TABLE message_versions (
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    number          INTEGER NOT NULL,
    content         TEXT,
    written_at      INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, ordinal, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE reactions (
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    user_id         TEXT    NOT NULL,
    emoji           TEXT    NOT NULL,
    added_at        INTEGER NOT NULL,
    PRIMARY KEY (conversation_id, ordinal, user_id, emoji)
) STRICT, WITHOUT ROWID;

-- Messages that a user deleted for nobody else.
CREATE TABLE hidden_messages (
    tenant_id       TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    PRIMARY KEY (tenant_id, user_id, conversation_id, ordinal)
) STRICT, WITHOUT ROWID;

-- How a user keeps a conversation. They are written from the user's shard, and so lie beside the members.
CREATE TABLE settings (
    tenant_id       TEXT    NOT NULL,
    user_id         TEXT    NOT NULL,
    conversation_id BLOB    NOT NULL,
    archived_at     INTEGER,
    is_muted        INTEGER NOT NULL CHECK (is_muted IN (0, 1)),
    muted_until     INTEGER,
    PRIMARY KEY (tenant_id, user_id, conversation_id)
) STRICT, WITHOUT ROWID;

-- Names as they are searched for: in lower case, without diacritics.
ALTER TABLE conversations ADD COLUMN folded_name TEXT;
ALTER TABLE users ADD COLUMN folded_name TEXT;
