-- Files that their owners keep for a while: uploads, and what was made of them.
CREATE TABLE files (
    id         uuid   NOT NULL PRIMARY KEY,
    owner      text   NOT NULL,
    kind       text   NOT NULL,
    name       text   NOT NULL,
    media_type text   NOT NULL,
    size       bigint NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    -- Signs links to the file.
    secret     bytea  NOT NULL,
    bytes      bytea  NOT NULL
);
-- Pictures and PDFs are compressed already.
ALTER TABLE files ALTER COLUMN bytes SET STORAGE EXTERNAL;
CREATE INDEX files_owner ON files (owner, kind, id);
CREATE INDEX files_expired ON files (expires_at);
