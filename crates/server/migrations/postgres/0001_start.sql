-- Times are milliseconds since 1970, all by this clock: those of the replicas may differ. Ids are UUIDs of version 7:
-- their order is that of their making. JSON is kept as text, because PostgreSQL's own types refuse some of it.

CREATE FUNCTION maoocr_now() RETURNS bigint LANGUAGE sql VOLATILE AS
$$ SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint $$;

CREATE TABLE jobs (
    id              uuid   NOT NULL PRIMARY KEY,
    owner           text   NOT NULL,
    idempotency_key text,
    state           text   NOT NULL,
    requirements    text   NOT NULL,
    total           bigint NOT NULL DEFAULT 0,
    done            bigint NOT NULL DEFAULT 0,
    failed          bigint NOT NULL DEFAULT 0,
    created_at      bigint NOT NULL,
    started_at      bigint,
    finished_at     bigint,
    UNIQUE (owner, idempotency_key)
);
CREATE INDEX jobs_finished ON jobs (finished_at) WHERE finished_at IS NOT NULL;
CREATE INDEX jobs_receiving ON jobs (created_at) WHERE state = 'receiving';

CREATE TABLE items (
    job         uuid   NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    idx         bigint NOT NULL,
    name        text   NOT NULL,
    state       text   NOT NULL,
    attempt     bigint NOT NULL DEFAULT 0,
    worker      uuid,
    lease_until bigint,
    finished_at bigint,
    error       text,
    result      text,
    picture     bytea,
    PRIMARY KEY (job, idx)
);
-- Pictures are compressed already.
ALTER TABLE items ALTER COLUMN picture SET STORAGE EXTERNAL;
-- What may be claimed, in the order of claiming.
CREATE INDEX items_waiting ON items (job, idx) WHERE state IN ('queued', 'running');
CREATE INDEX items_held ON items (worker) WHERE worker IS NOT NULL;

CREATE TABLE entries (
    id         uuid   NOT NULL PRIMARY KEY,
    owner      text   NOT NULL,
    name       text   NOT NULL,
    created_at bigint NOT NULL,
    preview    text   NOT NULL,
    document   text   NOT NULL,
    original   bytea,
    -- Tokens between spaces, as store/search.rs makes them, and the same with pairs of characters as an index.
    words      text   NOT NULL COLLATE "C",
    lexemes    tsvector NOT NULL
);
ALTER TABLE entries ALTER COLUMN original SET STORAGE EXTERNAL;
CREATE INDEX entries_owner ON entries (owner, id);
CREATE INDEX entries_created ON entries (created_at);
CREATE INDEX entries_lexemes ON entries USING gin (lexemes);

CREATE TABLE keys (
    id         uuid   NOT NULL PRIMARY KEY,
    name       text   NOT NULL,
    hash       bytea  NOT NULL UNIQUE,
    scopes     text   NOT NULL,
    rate       bigint,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
