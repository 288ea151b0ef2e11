-- Who is told when a job is over.
CREATE TABLE webhooks (
    job      uuid   NOT NULL PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
    url      text   NOT NULL,
    -- Names what is told, the same for every try.
    event    uuid,
    -- When to try next; none while the job goes on, and once it was told.
    due_at   bigint,
    attempts bigint NOT NULL DEFAULT 0
);
CREATE INDEX webhooks_due ON webhooks (due_at) WHERE due_at IS NOT NULL;

-- In the transaction that ends the job, whichever that is: neither is lost without the other.
CREATE FUNCTION maoocr_job_over() RETURNS trigger LANGUAGE plpgsql AS
$$
BEGIN
    UPDATE webhooks SET event = gen_random_uuid(), due_at = NEW.finished_at, attempts = 0 WHERE job = NEW.id;
    RETURN NULL;
END
$$;
CREATE TRIGGER jobs_over AFTER UPDATE OF finished_at ON jobs FOR EACH ROW
    WHEN ((OLD.finished_at IS NULL) <> (NEW.finished_at IS NULL)) EXECUTE FUNCTION maoocr_job_over();
