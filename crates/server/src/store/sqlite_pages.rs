//! Pages of files of jobs in SQLite.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{SqliteConnection, query, query_as, query_scalar};
use uuid::Uuid;

use super::pages::{Page, Pages};
use super::rows::{self, ClaimRow, Ending, PageRow};
use super::sqlite::{Sqlite, now};
use super::{ItemKey, StoreError};

#[async_trait]
impl Pages for Sqlite {
    async fn split(
        &self,
        worker: Uuid,
        item: ItemKey,
        answer: Uuid,
        pages: &[u32],
    ) -> Result<bool, StoreError> {
        let (now, count) = (now(), rows::length(pages));
        let list = serde_json::json!(pages).to_string();
        let mut tx = self.transaction().await?;
        let split = query!(
            "UPDATE items
             SET pages = ?5, answer = ?6, attempt = 0, retries = 0, begun_at = NULL, worker = NULL, lease_until = NULL
             WHERE job = ?1 AND idx = ?2 AND worker = ?3 AND state = 'running' AND lease_until > ?4 AND pages IS NULL",
            item.job,
            item.index,
            worker,
            now,
            count,
            answer,
        )
        .execute(&mut *tx)
        .await?;
        if split.rows_affected() == 0 {
            return Ok(false);
        }
        query!(
            "INSERT INTO pages (job, idx, page) SELECT ?1, ?2, value FROM json_each(?3)",
            item.job,
            item.index,
            list,
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE jobs SET total = total + ?2 - 1 WHERE id = ?1",
            item.job,
            count,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }

    async fn picture(&self, item: ItemKey) -> Result<Option<Vec<u8>>, StoreError> {
        let file = query_scalar!(
            "SELECT picture FROM items WHERE job = ?1 AND idx = ?2",
            item.job,
            item.index,
        )
        .fetch_optional(&self.read)
        .await?;
        Ok(file.flatten())
    }

    async fn pages(&self, item: ItemKey, first: u32, limit: u32) -> Result<Vec<Page>, StoreError> {
        let found = query_as!(
            PageRow,
            "SELECT page, state, result, error FROM pages
             WHERE job = ?1 AND idx = ?2 AND page >= ?3 ORDER BY page LIMIT ?4",
            item.job,
            item.index,
            first,
            limit,
        )
        .fetch_all(&self.read)
        .await?;
        rows::all(found)
    }
}

/// Claims pages, as [`super::Store::claim`] does.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    worker: Uuid,
    max: u32,
    (now, until): (i64, i64),
    avoid: &str,
) -> Result<Vec<ClaimRow>, StoreError> {
    let claimed = query_as!(
        ClaimRow,
        r#"SELECT pages.job AS "job!: Uuid", pages.idx AS "idx!", pages.page AS "page?", jobs.owner AS "owner!",
             items.name AS "name!", jobs.requirements AS "requirements!", items.options, items.pages,
             items.answer AS "answer?: Uuid", NULL AS "picture?: Vec<u8>", pages.attempt AS "attempt!",
             pages.retries AS "retries!"
         FROM pages JOIN items ON items.job = pages.job AND items.idx = pages.idx JOIN jobs ON jobs.id = pages.job
         WHERE pages.state IN ('queued', 'running')
             AND (pages.state = 'queued' AND pages.ready_at <= ?1 OR pages.lease_until <= ?1)
             AND pages.job NOT IN (SELECT unhex(value) FROM json_each(?3))
         ORDER BY pages.job, pages.idx, pages.page LIMIT ?2"#,
        now,
        max,
        avoid,
    )
    .fetch_all(&mut *connection)
    .await?;
    for row in &claimed {
        query!(
            "UPDATE pages SET state = 'running', worker = ?4, lease_until = ?5, begun_at = NULL
             WHERE job = ?1 AND idx = ?2 AND page = ?3",
            row.job,
            row.idx,
            row.page,
            worker,
            until,
        )
        .execute(&mut *connection)
        .await?;
    }
    Ok(claimed)
}

impl Sqlite {
    pub(super) async fn begin_page(
        &self,
        worker: Uuid,
        item: ItemKey,
        page: u32,
    ) -> Result<bool, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let begun = query!(
            "UPDATE pages SET begun_at = ?5, attempt = attempt + 1
             WHERE job = ?1 AND idx = ?2 AND page = ?3 AND worker = ?4 AND state = 'running' AND begun_at IS NULL",
            item.job,
            item.index,
            page,
            worker,
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(begun.rows_affected() > 0)
    }

    pub(super) async fn postpone_page(
        &self,
        worker: Uuid,
        (item, page): (ItemKey, u32),
        wait: Duration,
        failed: bool,
    ) -> Result<bool, StoreError> {
        let ready = now().saturating_add(rows::millis(wait));
        let mut tx = self.transaction().await?;
        let postponed = query!(
            "UPDATE pages
             SET state = 'queued', worker = NULL, lease_until = NULL, ready_at = ?5,
                 attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL,
                 retries = retries + ?6
             WHERE job = ?1 AND idx = ?2 AND page = ?3 AND worker = ?4 AND state = 'running'",
            item.job,
            item.index,
            page,
            worker,
            ready,
            failed,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(postponed.rows_affected() > 0)
    }

    pub(super) async fn finish_page(
        &self,
        worker: Uuid,
        (item, page): (ItemKey, u32),
        ending: Ending,
    ) -> Result<bool, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let finished = query!(
            "UPDATE pages
             SET state = ?5, result = ?6, error = ?7, worker = NULL, lease_until = NULL
             WHERE job = ?1 AND idx = ?2 AND page = ?3 AND worker = ?4 AND state = 'running' AND lease_until > ?8",
            item.job,
            item.index,
            page,
            worker,
            ending.state,
            ending.result,
            ending.error,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if finished.rows_affected() == 0 {
            return Ok(false);
        }
        query!(
            "UPDATE jobs SET done = done + ?2, failed = failed + ?3 WHERE id = ?1",
            item.job,
            ending.done,
            ending.failed,
        )
        .execute(&mut *tx)
        .await?;
        // The last one hands the file over for its end.
        query!(
            "UPDATE items SET state = 'queued', ready_at = 0
             WHERE job = ?1 AND idx = ?2 AND state = 'running' AND worker IS NULL AND NOT EXISTS (
                 SELECT 1 FROM pages
                 WHERE pages.job = ?1 AND pages.idx = ?2 AND pages.state IN ('queued', 'running')
             )",
            item.job,
            item.index,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Extends the lease of a page, if the worker holds it.
pub(super) async fn renew(
    connection: &mut SqliteConnection,
    worker: Uuid,
    (item, page): (ItemKey, u32),
    until: i64,
) -> Result<bool, StoreError> {
    let renewed = query!(
        "UPDATE pages SET lease_until = ?5
         WHERE job = ?1 AND idx = ?2 AND page = ?3 AND worker = ?4 AND state = 'running'",
        item.job,
        item.index,
        page,
        worker,
        until,
    )
    .execute(connection)
    .await?;
    Ok(renewed.rows_affected() > 0)
}

/// Returns all pages that a worker holds.
pub(super) async fn release(
    connection: &mut SqliteConnection,
    worker: Uuid,
) -> Result<u64, StoreError> {
    let released = query!(
        "UPDATE pages
         SET state = 'queued', worker = NULL, lease_until = NULL,
             attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL
         WHERE worker = ?1 AND state = 'running'",
        worker,
    )
    .execute(connection)
    .await?;
    Ok(released.rows_affected())
}

/// Lets the failed pages of a job's files that are over be read again, and these files with them. The number of pages,
/// and of files.
pub(super) async fn retry(
    connection: &mut SqliteConnection,
    job: Uuid,
) -> Result<(i64, u64), StoreError> {
    let pages = query!(
        "UPDATE pages
         SET state = 'queued', error = NULL, attempt = 0, retries = 0, ready_at = 0
         WHERE job = ?1 AND state = 'failed' AND idx IN (
             SELECT idx FROM items
             WHERE job = ?1 AND pages IS NOT NULL AND picture IS NOT NULL AND state IN ('done', 'failed')
         )",
        job,
    )
    .execute(&mut *connection)
    .await?;
    let files = query!(
        "UPDATE items
         SET error = NULL, finished_at = NULL, attempt = 0, retries = 0, ready_at = 0,
             state = CASE WHEN EXISTS (
                 SELECT 1 FROM pages WHERE pages.job = ?1 AND pages.idx = items.idx AND pages.state = 'queued'
             ) THEN 'running' ELSE 'queued' END
         WHERE job = ?1 AND pages IS NOT NULL AND picture IS NOT NULL AND state IN ('done', 'failed')",
        job,
    )
    .execute(connection)
    .await?;
    Ok((pages.rows_affected().cast_signed(), files.rows_affected()))
}
