//! Files in SQLite.

use async_trait::async_trait;
use sqlx::{query, query_as, query_scalar};
use uuid::Uuid;

use super::files::{FileLink, Files, Kept, NewFile, Room, StoredFile};
use super::sqlite::{Sqlite, now};
use super::{StoreError, rows};

#[async_trait]
impl Files for Sqlite {
    async fn add_file(&self, file: NewFile, room: Room) -> Result<Kept, StoreError> {
        let (owner, name) = (rows::clean(&file.owner), rows::clean(&file.name));
        let media_type = rows::clean(&file.media_type);
        let secret = &file.secret[..];
        let (size, now) = (file.bytes.len() as i64, now());
        let expires_at = now.saturating_add(rows::millis(file.lifetime));
        let mut tx = self.transaction().await?;
        query!("DELETE FROM files WHERE expires_at <= ?1", now)
            .execute(&mut *tx)
            .await?;
        let there = query!(
            r#"SELECT COUNT(*) FILTER (WHERE owner = ?1) AS "files!: i64",
                 COALESCE(SUM(size) FILTER (WHERE owner = ?1), 0) AS "owned!: i64",
                 COALESCE(SUM(size), 0) AS "total!: i64" FROM files"#,
            owner,
        )
        .fetch_one(&mut *tx)
        .await?;
        let kept = room.fits(size, there.files, there.owned, there.total);
        if kept == Kept::Stored {
            query!(
                "INSERT INTO files (id, owner, kind, name, media_type, size, created_at, expires_at,
                     secret, bytes)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                file.id,
                owner,
                file.kind,
                name,
                media_type,
                size,
                now,
                expires_at,
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
        let (owner, now) = (rows::clean(owner), now());
        Ok(query_as!(
            StoredFile,
            r#"SELECT id AS "id!: Uuid", name, media_type, size, created_at, expires_at
             FROM files WHERE id = ?1 AND owner = ?2 AND kind = ?3 AND expires_at > ?4"#,
            id,
            owner,
            kind,
            now,
        )
        .fetch_optional(&self.read)
        .await?)
    }

    async fn file_bytes(
        &self,
        owner: &str,
        kind: &str,
        id: Uuid,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let (owner, now) = (rows::clean(owner), now());
        Ok(query_scalar!(
            "SELECT bytes FROM files WHERE id = ?1 AND owner = ?2 AND kind = ?3 AND expires_at > ?4",
            id,
            owner,
            kind,
            now,
        )
        .fetch_optional(&self.read)
        .await?)
    }

    async fn file_link(&self, kind: &str, id: Uuid) -> Result<Option<FileLink>, StoreError> {
        let now = now();
        Ok(query_as!(
            FileLink,
            "SELECT owner, secret FROM files WHERE id = ?1 AND kind = ?2 AND expires_at > ?3",
            id,
            kind,
            now,
        )
        .fetch_optional(&self.read)
        .await?)
    }

    async fn files(&self, owner: &str, kind: &str) -> Result<Vec<StoredFile>, StoreError> {
        let (owner, now) = (rows::clean(owner), now());
        Ok(query_as!(
            StoredFile,
            r#"SELECT id AS "id!: Uuid", name, media_type, size, created_at, expires_at
             FROM files WHERE owner = ?1 AND kind = ?2 AND expires_at > ?3 ORDER BY id DESC"#,
            owner,
            kind,
            now,
        )
        .fetch_all(&self.read)
        .await?)
    }

    async fn delete_file(&self, owner: &str, kind: &str, id: Uuid) -> Result<bool, StoreError> {
        let (owner, now) = (rows::clean(owner), now());
        let mut tx = self.transaction().await?;
        let deleted = query!(
            "DELETE FROM files WHERE id = ?1 AND owner = ?2 AND kind = ?3 AND expires_at > ?4",
            id,
            owner,
            kind,
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(deleted.rows_affected() > 0)
    }

    async fn purge_files(&self) -> Result<u64, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let purged = query!("DELETE FROM files WHERE expires_at <= ?1", now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(purged.rows_affected())
    }
}
