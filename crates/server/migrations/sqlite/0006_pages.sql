-- A file of many pages is read page by page: each is claimed, read and recorded on its own. Meanwhile the file's row is
-- `running` without a worker. Once no page is open any more, it is queued again, for its end.
CREATE TABLE pages (
    job         BLOB    NOT NULL,
    idx         INTEGER NOT NULL,
    -- Position in the file, from 0.
    page        INTEGER NOT NULL,
    state       TEXT    NOT NULL DEFAULT 'queued',
    attempt     INTEGER NOT NULL DEFAULT 0,
    retries     INTEGER NOT NULL DEFAULT 0,
    ready_at    INTEGER NOT NULL DEFAULT 0,
    begun_at    INTEGER,
    worker      BLOB,
    lease_until INTEGER,
    error       TEXT,
    result      TEXT,
    PRIMARY KEY (job, idx, page),
    FOREIGN KEY (job, idx) REFERENCES items (job, idx) ON DELETE CASCADE
) STRICT;
-- What may be claimed, in the order of claiming.
CREATE INDEX pages_waiting ON pages (job, idx, page) WHERE state IN ('queued', 'running');
CREATE INDEX pages_held ON pages (worker) WHERE worker IS NOT NULL;

-- How many pages are read one by one; none while nobody knows, or where the file is read as a whole.
ALTER TABLE items ADD COLUMN pages INTEGER;
-- Which pages, and how; JSON.
ALTER TABLE items ADD COLUMN options TEXT;
