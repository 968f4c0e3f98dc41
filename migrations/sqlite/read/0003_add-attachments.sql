-- Files that were uploaded, and the messages they came with.

-- Written from the shard of the user. `upload` is JSON: what is known of the file; NULL when the user was erased.
CREATE TABLE attachments (
    attachment_id BLOB    NOT NULL PRIMARY KEY,
    tenant_id     TEXT    NOT NULL,
    user_id       TEXT    NOT NULL,
    uploaded_at   INTEGER NOT NULL,
    upload        TEXT
) STRICT, WITHOUT ROWID;

-- Written from the shard of the conversation. A message that was deleted for everyone keeps its rows: so one sees
-- that a file was used, and is not any more.
CREATE TABLE attachment_uses (
    conversation_id BLOB    NOT NULL,
    ordinal         INTEGER NOT NULL,
    attachment_id   BLOB    NOT NULL,
    is_live         INTEGER NOT NULL CHECK (is_live IN (0, 1)),
    PRIMARY KEY (conversation_id, ordinal, attachment_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX attachment_uses_by_file ON attachment_uses (attachment_id, is_live);
