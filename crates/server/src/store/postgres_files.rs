//! Files in PostgreSQL.

use async_trait::async_trait;
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::files::{FileLink, Files, Kept, NewFile, Room, StoredFile};
use super::postgres::Postgres;
use super::{StoreError, rows};

/// The lock under which room is counted: `maoocr` and a number.
const ROOM: i64 = 0x6d61_6f6f_6372_0001;

#[async_trait]
impl Files for Postgres {
    async fn add_file(&self, file: NewFile, room: Room) -> Result<Kept, StoreError> {
        let (owner, name) = (rows::clean(&file.owner), rows::clean(&file.name));
        let media_type = rows::clean(&file.media_type);
        let secret = &file.secret[..];
        let size = file.bytes.len() as i64;
        let lifetime = rows::millis(file.lifetime);
        let mut tx = self.transaction().await?;
        // Two that count at the same time would both find room for one.
        query("SELECT pg_advisory_xact_lock($1)")
            .bind(ROOM)
            .execute(&mut *tx)
            .await?;
        query!("DELETE FROM files WHERE expires_at <= maoocr_now()")
            .execute(&mut *tx)
            .await?;
        let there = query!(
            r#"SELECT COUNT(*) FILTER (WHERE owner = $1) AS "files!",
                 COALESCE(SUM(size) FILTER (WHERE owner = $1), 0)::bigint AS "owned!",
                 COALESCE(SUM(size), 0)::bigint AS "total!" FROM files"#,
            owner,
        )
        .fetch_one(&mut *tx)
        .await?;
        let kept = room.fits(size, there.files, there.owned, there.total);
        if kept == Kept::Stored {
            query!(
                "INSERT INTO files (id, owner, kind, name, media_type, size, created_at, expires_at,
                     secret, bytes)
                 VALUES ($1, $2, $3, $4, $5, $6, maoocr_now(), maoocr_now() + $7, $8, $9)",
                file.id,
                owner,
                file.kind,
                name,
                media_type,
                size,
                lifetime,
                secret,
                file.bytes,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(kept)
    }

    async fn file(
        &self,
        owner: &str,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<StoredFile>, StoreError> {
        let owner = rows::clean(owner);
        Ok(query_as!(
            StoredFile,
            "SELECT id, name, media_type, size, created_at, expires_at
             FROM files WHERE id = $1 AND owner = $2 AND kind = $3 AND expires_at > maoocr_now()",
            id,
            owner,
            kind,
        )
        .fetch_optional(&self.0)
        .await?)
    }

    async fn file_bytes(
        &self,
        owner: &str,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let owner = rows::clean(owner);
        Ok(query_scalar!(
            "SELECT bytes FROM files WHERE id = $1 AND owner = $2 AND kind = $3 AND expires_at > maoocr_now()",
            id,
            owner,
            kind,
        )
        .fetch_optional(&self.0)
        .await?)
    }

    async fn file_link(&self, kind: &str, id: Uuid) -> Result<Option<FileLink>, StoreError> {
        Ok(query_as!(
            FileLink,
            "SELECT owner, secret FROM files WHERE id = $1 AND kind = $2 AND expires_at > maoocr_now()",
            id,
            kind,
        )
        .fetch_optional(&self.0)
        .await?)
    }

    async fn files(&self, owner: &str, kind: &str) -> Result<Vec<StoredFile>, StoreError> {
        let owner = rows::clean(owner);
        Ok(query_as!(
            StoredFile,
            "SELECT id, name, media_type, size, created_at, expires_at
             FROM files WHERE owner = $1 AND kind = $2 AND expires_at > maoocr_now() ORDER BY id DESC",
            owner,
            kind,
        )
        .fetch_all(&self.0)
        .await?)
    }

    async fn delete_file(&self, owner: &str, kind: &str, id: Uuid) -> Result<bool, StoreError> {
        let owner = rows::clean(owner);
        let deleted = query!(
            "DELETE FROM files WHERE id = $1 AND owner = $2 AND kind = $3 AND expires_at > maoocr_now()",
            id,
            owner,
            kind,
        )
        .execute(&self.0)
        .await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn purge_files(&self) -> Result<u64, StoreError> {
        let purged = query!("DELETE FROM files WHERE expires_at <= maoocr_now()")
            .execute(&self.0)
            .await?;
        Ok(purged.rows_affected())
    }
}
