-- Times are milliseconds since 1970. Ids are UUIDs of version 7: their order is that of their making.

CREATE TABLE jobs (
    id              BLOB    NOT NULL PRIMARY KEY,
    owner           TEXT    NOT NULL,
    idempotency_key TEXT,
    state           TEXT    NOT NULL,
    requirements    TEXT    NOT NULL,
    total           INTEGER NOT NULL DEFAULT 0,
    done            INTEGER NOT NULL DEFAULT 0,
    failed          INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    started_at      INTEGER,
    finished_at     INTEGER,
    UNIQUE (owner, idempotency_key)
) STRICT;
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_receiving ON jobs (created_at) WHERE state = 'receiving';

CREATE TABLE items (
    job         BLOB    NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx         INTEGER NOT NULL,
    name        TEXT    NOT NULL,
    state       TEXT    NOT NULL,
    attempt     INTEGER NOT NULL DEFAULT 0,
    worker      BLOB,
    lease_until INTEGER,
    finished_at INTEGER,
    error       TEXT,
    result      TEXT,
    picture     BLOB,
    PRIMARY KEY (job, idx)
) STRICT;
-- What may be claimed, in the order of claiming.
CREATE INDEX items_waiting ON items (job, idx) WHERE state IN ('queued', 'running');
CREATE INDEX items_held ON items (worker) WHERE worker IS NOT NULL;

CREATE TABLE entries (
    number     INTEGER NOT NULL PRIMARY KEY,
    id         BLOB    NOT NULL UNIQUE,
    owner      TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    preview    TEXT    NOT NULL,
    document   TEXT    NOT NULL,
    original   BLOB
) STRICT;
CREATE INDEX entries_owner ON entries (owner, id);
CREATE INDEX entries_created ON entries (created_at);

-- Tokens between spaces, as store/search.rs makes them: the tokenizer `ascii` leaves them as they are.
CREATE VIRTUAL TABLE entry_words USING fts5 (words, tokenize = 'ascii');
CREATE TRIGGER entries_forgotten AFTER DELETE ON entries BEGIN
    DELETE FROM entry_words WHERE rowid = old.number;
END;

CREATE TABLE keys (
    id         BLOB    NOT NULL PRIMARY KEY,
    name       TEXT    NOT NULL,
    hash       BLOB    NOT NULL UNIQUE,
    scopes     TEXT    NOT NULL,
    rate       INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER
) STRICT;
