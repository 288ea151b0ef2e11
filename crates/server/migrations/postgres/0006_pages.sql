-- A file of many pages is read page by page: each is claimed, read and recorded on its own. Meanwhile the file's row is
-- `running` without a worker. Once no page is open any more, it is queued again, for its end.
CREATE TABLE pages (
    job         uuid   NOT NULL,
    idx         bigint NOT NULL,
    -- Position in the file, from 0.
    page        bigint NOT NULL,
    state       text   NOT NULL DEFAULT 'queued',
    attempt     bigint NOT NULL DEFAULT 0,
    retries     bigint NOT NULL DEFAULT 0,
    ready_at    bigint NOT NULL DEFAULT 0,
    begun_at    bigint,
    worker      uuid,
    lease_until bigint,
    error       text,
    result      text,
    PRIMARY KEY (job, idx, page),
    FOREIGN KEY (job, idx) REFERENCES items (job, idx) ON DELETE CASCADE
);
-- What may be claimed, in the order of claiming.
CREATE INDEX pages_waiting ON pages (job, idx, page) WHERE state IN ('queued', 'running');
CREATE INDEX pages_held ON pages (worker) WHERE worker IS NOT NULL;

ALTER TABLE items
    -- How many pages are read one by one; none while nobody knows, or where the file is read as a whole.
    ADD COLUMN pages   bigint,
    -- Which pages, and how; JSON.
    ADD COLUMN options text;
