-- The log: records are appended and never changed.
CREATE TABLE metadata (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE streams (
    stream_id INTEGER PRIMARY KEY,
    subject   TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE records (
    sequence  INTEGER PRIMARY KEY,
    stream_id INTEGER NOT NULL REFERENCES streams,
    payload   BLOB NOT NULL
) STRICT;

CREATE INDEX records_by_stream ON records (stream_id, sequence);

CREATE TRIGGER records_are_never_changed BEFORE UPDATE ON records
BEGIN
    SELECT RAISE(ABORT, 'records are never changed');
END;

CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records
BEGIN
    SELECT RAISE(ABORT, 'records are never deleted');
END;
