-- `attempt` counts readings that began and whose end nobody recorded: those are what may have killed a server. `retries`
-- counts readings that failed for the server's own reasons; until `ready_at` nobody tries again.
ALTER TABLE items
    ADD COLUMN begun_at bigint,
    ADD COLUMN retries  bigint NOT NULL DEFAULT 0,
    ADD COLUMN ready_at bigint NOT NULL DEFAULT 0,
    -- The answer's id, by which it can be forgotten.
    ADD COLUMN answer   uuid;
CREATE INDEX items_answer ON items (answer) WHERE answer IS NOT NULL;

-- What a job's pictures weigh: an owner may have only so much waiting.
ALTER TABLE jobs ADD COLUMN bytes bigint NOT NULL DEFAULT 0;
CREATE INDEX jobs_owner ON jobs (owner, id);
CREATE INDEX jobs_open ON jobs (owner) WHERE state IN ('receiving', 'queued', 'running');

-- Signatures that were used, by the hash of their nonce.
CREATE TABLE nonces (
    hash       bytea  NOT NULL PRIMARY KEY,
    expires_at bigint NOT NULL
);
CREATE INDEX nonces_expiry ON nonces (expires_at);
