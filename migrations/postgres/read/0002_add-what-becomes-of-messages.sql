-- What becomes of messages after they were sent, and how users keep their conversations.

-- `edits` counts how often the text was written anew. What is deleted has no content.
ALTER TABLE messages
    ADD COLUMN edits bigint NOT NULL DEFAULT 0,
    ADD COLUMN edited_at bigint,
    ADD COLUMN deleted_at bigint,
    -- JSON: files, and what is neither text nor file.
    ADD COLUMN attachments text,
    ADD COLUMN card text;

-- Unread counts leave out what was deleted above the mark.
CREATE INDEX messages_deleted ON messages (conversation_id, ordinal) WHERE deleted_at IS NOT NULL;

-- The texts that messages had before; number 0 is the one that was sent.
CREATE TABLE message_versions (
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    number          bigint NOT NULL,
    content         text,
    written_at      bigint NOT NULL,
    PRIMARY KEY (conversation_id, ordinal, number)
);

CREATE TABLE reactions (
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    user_id         text   COLLATE "C" NOT NULL,
    emoji           text   COLLATE "C" NOT NULL,
    added_at        bigint NOT NULL,
    PRIMARY KEY (conversation_id, ordinal, user_id, emoji)
);

-- Messages that a user deleted for nobody else.
CREATE TABLE hidden_messages (
    tenant_id       text   COLLATE "C" NOT NULL,
    user_id         text   COLLATE "C" NOT NULL,
    conversation_id bytea  NOT NULL,
    ordinal         bigint NOT NULL,
    PRIMARY KEY (tenant_id, user_id, conversation_id, ordinal)
);

-- How a user keeps a conversation. They are written from the user's shard, and so lie beside the members.
CREATE TABLE settings (
    tenant_id       text    COLLATE "C" NOT NULL,
    user_id         text    COLLATE "C" NOT NULL,
    conversation_id bytea   NOT NULL,
    archived_at     bigint,
    is_muted        boolean NOT NULL,
    muted_until     bigint,
    PRIMARY KEY (tenant_id, user_id, conversation_id)
) WITH (fillfactor = 80);

-- Names as they are searched for: in lower case, without diacritics.
ALTER TABLE conversations ADD COLUMN folded_name text;
ALTER TABLE users ADD COLUMN folded_name text;
