-- Files that their owners keep for a while: uploads, and what was made of them.
CREATE TABLE files (
    id         BLOB    NOT NULL PRIMARY KEY,
    owner      TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    name       TEXT    NOT NULL,
    media_type TEXT    NOT NULL,
    size       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    -- Signs links to the file.
    secret     BLOB    NOT NULL,
    bytes      BLOB    NOT NULL
) STRICT;
CREATE INDEX files_owner ON files (owner, kind, id);
CREATE INDEX files_expired ON files (expires_at);
