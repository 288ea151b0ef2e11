-- Who is told when a job is over.
CREATE TABLE webhooks (
    job      BLOB    NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    url      TEXT    NOT NULL,
    -- Names what is told, the same for every try.
    event    BLOB,
    -- When to try next; none while the job goes on, and once it was told.
    due_at   INTEGER,
    attempts INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- In the transaction that ends the job, whichever that is: neither is lost without the other.
CREATE TRIGGER jobs_over AFTER UPDATE OF finished_at ON jobs
WHEN (OLD.finished_at IS NULL) <> (NEW.finished_at IS NULL)
BEGIN
    UPDATE webhooks SET event = randomblob(16), due_at = NEW.finished_at, attempts = 0 WHERE job = NEW.id;
END;
