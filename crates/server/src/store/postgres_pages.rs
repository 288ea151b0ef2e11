//! Pages of files of jobs in PostgreSQL. Locks are taken as in `postgres.rs`: a job's row, then its pictures', then their
//! pages' rows, each in their order. What claims locks pages first and never waits.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::{PgConnection, query, query_as, query_scalar};
use uuid::Uuid;

use super::pages::{Page, Pages};
use super::postgres::Postgres;
use super::rows::{self, ClaimRow, Ending, PageRow};
use super::{ItemKey, StoreError};

#[async_trait]
impl Pages for Postgres {
    async fn split(
        &self,
        worker: Uuid,
        item: ItemKey,
        answer: Uuid,
        pages: &[u32],
    ) -> Result<bool, StoreError> {
        let (index, count) = (i64::from(item.index), rows::length(pages));
        let pages: Vec<i64> = pages.iter().copied().map(i64::from).collect();
        let mut tx = self.transaction().await?;
        query!(
            "SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE",
            item.job
        )
        .fetch_optional(&mut *tx)
        .await?;
        let split = query!(
            "UPDATE items
             SET pages = $4, answer = $5, attempt = 0, retries = 0, begun_at = NULL, worker = NULL, lease_until = NULL
             WHERE job = $1 AND idx = $2 AND worker = $3 AND state = 'running' AND lease_until > maoocr_now()
                 AND pages IS NULL",
            item.job,
            index,
            worker,
            count,
            answer,
        )
        .execute(&mut *tx)
        .await?;
        if split.rows_affected() == 0 {
            return Ok(false);
        }
        query!(
            "INSERT INTO pages (job, idx, page) SELECT $1, $2, page FROM UNNEST($3::bigint[]) AS chosen (page)",
            item.job,
            index,
            &pages,
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE jobs SET total = total + $2 - 1 WHERE id = $1",
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
            "SELECT picture FROM items WHERE job = $1 AND idx = $2",
            item.job,
            i64::from(item.index),
        )
        .fetch_optional(&self.0)
        .await?;
        Ok(file.flatten())
    }

    async fn pages(&self, item: ItemKey, first: u32, limit: u32) -> Result<Vec<Page>, StoreError> {
        let found = query_as!(
            PageRow,
            "SELECT page, state, result, error FROM pages
             WHERE job = $1 AND idx = $2 AND page >= $3 ORDER BY page LIMIT $4",
            item.job,
            i64::from(item.index),
            i64::from(first),
            i64::from(limit),
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(found)
    }
}

/// Claims pages, as [`super::Store::claim`] does.
pub(super) async fn claim(
    connection: &mut PgConnection,
    worker: Uuid,
    max: u32,
    lease: Duration,
    avoid: &[Uuid],
) -> Result<Vec<ClaimRow>, StoreError> {
    let mut claimed = query_as!(
        ClaimRow,
        r#"WITH waiting AS (
             SELECT job, idx, page FROM pages
             WHERE state IN ('queued', 'running')
                 AND (state = 'queued' AND ready_at <= maoocr_now() OR lease_until <= maoocr_now())
                 AND job <> ALL($4::uuid[])
             ORDER BY job, idx, page LIMIT $1
             FOR UPDATE SKIP LOCKED
         )
         UPDATE pages
         SET state = 'running', worker = $2, lease_until = maoocr_now() + $3, begun_at = NULL
         FROM waiting JOIN jobs ON jobs.id = waiting.job
             JOIN items ON items.job = waiting.job AND items.idx = waiting.idx
         WHERE pages.job = waiting.job AND pages.idx = waiting.idx AND pages.page = waiting.page
         RETURNING pages.job, pages.idx, pages.page AS "page?", jobs.owner, items.name, jobs.requirements, items.options,
             items.pages, items.answer, NULL::bytea AS picture, pages.attempt, pages.retries"#,
        i64::from(max),
        worker,
        rows::millis(lease),
        avoid,
    )
    .fetch_all(connection)
    .await?;
    claimed.sort_unstable_by_key(|row| (row.job, row.idx, row.page));
    Ok(claimed)
}

impl Postgres {
    pub(super) async fn begin_page(
        &self,
        worker: Uuid,
        item: ItemKey,
        page: u32,
    ) -> Result<bool, StoreError> {
        let begun = query!(
            "UPDATE pages SET begun_at = maoocr_now(), attempt = attempt + 1
             WHERE job = $1 AND idx = $2 AND page = $3 AND worker = $4 AND state = 'running' AND begun_at IS NULL",
            item.job,
            i64::from(item.index),
            i64::from(page),
            worker,
        )
        .execute(&self.0)
        .await?;
        Ok(begun.rows_affected() > 0)
    }

    pub(super) async fn postpone_page(
        &self,
        worker: Uuid,
        (item, page): (ItemKey, u32),
        wait: Duration,
        failed: bool,
    ) -> Result<bool, StoreError> {
        let postponed = query!(
            "UPDATE pages
             SET state = 'queued', worker = NULL, lease_until = NULL, ready_at = maoocr_now() + $5,
                 attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL,
                 retries = retries + $6
             WHERE job = $1 AND idx = $2 AND page = $3 AND worker = $4 AND state = 'running'",
            item.job,
            i64::from(item.index),
            i64::from(page),
            worker,
            rows::millis(wait),
            i64::from(failed),
        )
        .execute(&self.0)
        .await?;
        Ok(postponed.rows_affected() > 0)
    }

    pub(super) async fn finish_page(
        &self,
        worker: Uuid,
        (item, page): (ItemKey, u32),
        ending: Ending,
    ) -> Result<bool, StoreError> {
        let index = i64::from(item.index);
        let mut tx = self.transaction().await?;
        // Whoever finishes the last page must see that all others are over.
        query!(
            "SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE",
            item.job
        )
        .fetch_optional(&mut *tx)
        .await?;
        query!(
            "SELECT idx FROM items WHERE job = $1 AND idx = $2 FOR NO KEY UPDATE",
            item.job,
            index,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let finished = query!(
            "UPDATE pages
             SET state = $5, result = $6, error = $7, worker = NULL, lease_until = NULL
             WHERE job = $1 AND idx = $2 AND page = $3 AND worker = $4 AND state = 'running'
                 AND lease_until > maoocr_now()",
            item.job,
            index,
            i64::from(page),
            worker,
            ending.state,
            ending.result,
            ending.error,
        )
        .execute(&mut *tx)
        .await?;
        if finished.rows_affected() == 0 {
            return Ok(false);
        }
        query!(
            "UPDATE jobs SET done = done + $2, failed = failed + $3 WHERE id = $1",
            item.job,
            ending.done,
            ending.failed,
        )
        .execute(&mut *tx)
        .await?;
        // The last one hands the file over for its end.
        query!(
            "UPDATE items SET state = 'queued', ready_at = 0
             WHERE job = $1 AND idx = $2 AND state = 'running' AND worker IS NULL AND NOT EXISTS (
                 SELECT 1 FROM pages
                 WHERE pages.job = $1 AND pages.idx = $2 AND pages.state IN ('queued', 'running')
             )",
            item.job,
            index,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// Extends the leases of those pages among `items` that the worker holds; says which.
pub(super) async fn renew(
    connection: &mut PgConnection,
    worker: Uuid,
    items: &[ItemKey],
    lease: Duration,
) -> Result<Vec<ItemKey>, StoreError> {
    let pages: Vec<(ItemKey, i64)> = items
        .iter()
        .filter_map(|item| Some((*item, i64::from(item.page?))))
        .collect();
    if pages.is_empty() {
        return Ok(Vec::new());
    }
    let jobs: Vec<Uuid> = pages.iter().map(|(item, _)| item.job).collect();
    let indices: Vec<i64> = pages.iter().map(|(item, _)| item.index.into()).collect();
    let numbers: Vec<i64> = pages.iter().map(|(_, page)| *page).collect();
    let held = query!(
        "UPDATE pages SET lease_until = maoocr_now() + $5
         FROM (
             SELECT pages.job, pages.idx, pages.page
             FROM pages JOIN UNNEST($2::uuid[], $3::bigint[], $4::bigint[]) AS wanted (job, idx, page)
                 ON pages.job = wanted.job AND pages.idx = wanted.idx AND pages.page = wanted.page
             WHERE worker = $1 AND state = 'running'
             ORDER BY pages.job, pages.idx, pages.page FOR UPDATE OF pages
         ) AS held
         WHERE pages.job = held.job AND pages.idx = held.idx AND pages.page = held.page
         RETURNING pages.job, pages.idx, pages.page",
        worker,
        &jobs,
        &indices,
        &numbers,
        rows::millis(lease),
    )
    .fetch_all(connection)
    .await?;
    held.into_iter()
        .map(|row| {
            Ok(ItemKey {
                job: row.job,
                index: rows::count(row.idx)?,
                page: Some(rows::count(row.page)?),
            })
        })
        .collect()
}

/// Returns all pages that a worker holds.
pub(super) async fn release(
    connection: &mut PgConnection,
    worker: Uuid,
) -> Result<u64, StoreError> {
    let released = query!(
        "UPDATE pages
         SET state = 'queued', worker = NULL, lease_until = NULL,
             attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL
         FROM (
             SELECT job, idx, page FROM pages WHERE worker = $1 AND state = 'running'
             ORDER BY job, idx, page FOR UPDATE
         ) AS held
         WHERE pages.job = held.job AND pages.idx = held.idx AND pages.page = held.page",
        worker,
    )
    .execute(connection)
    .await?;
    Ok(released.rows_affected())
}

/// Cancels the open pages of a job.
pub(super) async fn cancel(connection: &mut PgConnection, job: Uuid) -> Result<(), StoreError> {
    query!(
        "UPDATE pages SET state = 'cancelled', worker = NULL, lease_until = NULL
         FROM (
             SELECT idx, page FROM pages WHERE job = $1 AND state IN ('queued', 'running')
             ORDER BY idx, page FOR UPDATE
         ) AS open
         WHERE pages.job = $1 AND pages.idx = open.idx AND pages.page = open.page",
        job,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Lets the failed pages of a job's files that are over be read again, and these files with them. The number of pages,
/// and of files. The caller holds the job's row.
pub(super) async fn retry(
    connection: &mut PgConnection,
    job: Uuid,
) -> Result<(i64, u64), StoreError> {
    let files = query_scalar!(
        "SELECT idx FROM items
         WHERE job = $1 AND pages IS NOT NULL AND picture IS NOT NULL AND state IN ('done', 'failed')
         ORDER BY idx FOR NO KEY UPDATE",
        job,
    )
    .fetch_all(&mut *connection)
    .await?;
    let pages = query!(
        "UPDATE pages
         SET state = 'queued', error = NULL, attempt = 0, retries = 0, ready_at = 0
         WHERE job = $1 AND state = 'failed' AND idx = ANY($2)",
        job,
        &files,
    )
    .execute(&mut *connection)
    .await?;
    let files = query!(
        "UPDATE items
         SET error = NULL, finished_at = NULL, attempt = 0, retries = 0, ready_at = 0,
             state = CASE WHEN EXISTS (
                 SELECT 1 FROM pages WHERE pages.job = $1 AND pages.idx = items.idx AND pages.state = 'queued'
             ) THEN 'running' ELSE 'queued' END
         WHERE job = $1 AND idx = ANY($2)",
        job,
        &files,
    )
    .execute(connection)
    .await?;
    Ok((pages.rows_affected().cast_signed(), files.rows_affected()))
}
