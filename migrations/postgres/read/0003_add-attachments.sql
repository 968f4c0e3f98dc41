-- Files that were uploaded, and the messages they came with.

-- Written from the shard of the user. `upload` is JSON: what is known of the file; NULL when the user was erased.
CREATE TABLE attachments (
    attachment_id bytea  PRIMARY KEY,
    tenant_id     text   COLLATE "C" NOT NULL,
    user_id       text   COLLATE "C" NOT NULL,
    uploaded_at   bigint NOT NULL,
    upload        text
);

-- Written from the shard of the conversation. A message that was deleted for everyone keeps its rows: so one sees
-- that a file was used, and is not any more.
CREATE TABLE attachment_uses (
    conversation_id bytea   NOT NULL,
    ordinal         bigint  NOT NULL,
    attachment_id   bytea   NOT NULL,
    is_live         boolean NOT NULL,
    PRIMARY KEY (conversation_id, ordinal, attachment_id)
);

CREATE INDEX attachment_uses_by_file ON attachment_uses (attachment_id, is_live);
