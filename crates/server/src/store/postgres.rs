//! PostgreSQL: one database for any number of replicas.
//!
//! Locks are taken in a fixed order, so that no two transactions deadlock: a job's row, then its pictures' rows by index.
//! `claim` locks pictures first and therefore never waits.

use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{PgConnection, PgPool, Postgres as Driver, Transaction, query, query_as, query_scalar};
use uuid::Uuid;

use super::postgres_pages;
use super::rows::{self, ClaimRow, Ending, EntryRow, ItemRow, JobRow, KeyRow, SummaryRow};
use super::search::{Index, Query};
use super::{
    Claim, Created, Entry, Item, ItemKey, Job, Key, NewEntry, NewJob, NewKey, Outcome, Purged,
    Store, StoreError, Summary, Waiting,
};
use serde_json::Value;

/// They run in one transaction with a lock of its own: a session's lock would be left behind by a pooler that gives each
/// transaction another session.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_locking(false);
    migrations
});

/// How long a caller waits for a connection before giving up.
const PATIENCE: Duration = Duration::from_secs(3);
/// A replica that vanished silently must not keep its locks, and no statement may run for ever. Set for each transaction:
/// what is set for a session doesn't pass through a pooler such as PgBouncer.
const BEGIN: &str = "BEGIN; SET LOCAL idle_in_transaction_session_timeout = '30s'; SET LOCAL statement_timeout = '60s'";
/// Migrations take their time, and replicas that start together wait for the first.
const BEGIN_MIGRATION: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
     SET LOCAL idle_in_transaction_session_timeout = 0; SELECT pg_advisory_xact_lock(7236281109563294)";

/// Connections to one database.
pub struct Postgres(pub(super) PgPool);

impl Postgres {
    pub async fn open(address: &str, connections: u32) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(address)?.application_name("maoocr");
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(PATIENCE)
            .connect_with(options)
            .await?;
        check_pooler(&pool).await?;
        let mut tx = pool.begin_with(BEGIN_MIGRATION).await?;
        MIGRATIONS
            .run_direct(None, &mut *tx, false)
            .await
            .map_err(|e| rows::migration(e, &MIGRATIONS))?;
        tx.commit().await?;
        Ok(Self(pool))
    }

    pub(super) async fn transaction(&self) -> Result<Transaction<'static, Driver>, StoreError> {
        Ok(self.0.begin_with(BEGIN).await?)
    }
}

/// Prepares a statement on each of two connections. A pooler that gives them one session by turns, and doesn't keep apart
/// whose statement is whose, fails here rather than under load.
async fn check_pooler(pool: &PgPool) -> Result<(), StoreError> {
    let (mut one, mut two) = (pool.acquire().await?, pool.acquire().await?);
    for connection in [&mut one, &mut two] {
        query("SELECT 1")
            .execute(&mut **connection)
            .await
            .map_err(|error| match &error {
                // There is one of this name, or none.
                sqlx::Error::Database(e)
                    if matches!(e.code().as_deref(), Some("42P05" | "26000")) =>
                {
                    StoreError::Pooler
                }
                _ => error.into(),
            })?;
    }
    Ok(())
}

/// A job of an owner, whose name is clean.
async fn job(
    executor: impl sqlx::PgExecutor<'_>,
    owner: &str,
    id: Uuid,
) -> Result<Option<Job>, StoreError> {
    let row = query_as!(
        JobRow,
        "SELECT id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at
             FROM jobs WHERE id = $1 AND owner = $2",
        id,
        owner,
    )
    .fetch_optional(executor)
    .await?;
    row.map(Job::try_from).transpose()
}

#[async_trait]
impl Store for Postgres {
    async fn ping(&self) -> Result<(), StoreError> {
        let ping = query("SELECT 1").execute(&self.0);
        match tokio::time::timeout(PATIENCE, ping).await {
            Ok(answer) => Ok(answer.map(drop)?),
            Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
        }
    }

    async fn create_job(&self, job: NewJob) -> Result<Created, StoreError> {
        let owner = rows::clean(&job.owner);
        let key = job.idempotency_key.as_deref().map(rows::clean);
        let requirements = job.requirements.to_string();
        loop {
            let made = query_as!(
                JobRow,
                "INSERT INTO jobs (id, owner, idempotency_key, state, requirements, created_at)
                 VALUES ($1, $2, $3, 'receiving', $4, maoocr_now())
                 ON CONFLICT (owner, idempotency_key) DO NOTHING
                 RETURNING id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at",
                Uuid::now_v7(),
                owner,
                key,
                requirements,
            )
            .fetch_optional(&self.0)
            .await?;
            if let Some(row) = made {
                return Ok(Created::New(row.try_into()?));
            }
            let there = query_as!(
                JobRow,
                "SELECT id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at
                 FROM jobs WHERE owner = $1 AND idempotency_key = $2",
                owner,
                key,
            )
            .fetch_optional(&self.0)
            .await?;
            if let Some(row) = there {
                return Ok(Created::Existing(row.try_into()?));
            }
            // Deleted between the two statements, so the key is free again.
        }
    }

    async fn add_item(
        &self,
        item: ItemKey,
        name: &str,
        options: Option<&Value>,
        picture: &[u8],
    ) -> Result<(), StoreError> {
        let index = i64::from(item.index);
        let mut tx = self.transaction().await?;
        let counted = query!(
            "UPDATE jobs SET total = total + 1, bytes = bytes + $3
             WHERE id = $1 AND state = 'receiving' AND total = $2",
            item.job,
            index,
            rows::length(picture),
        )
        .execute(&mut *tx)
        .await?;
        if counted.rows_affected() == 0 {
            return Err(StoreError::NotReceiving(item.job));
        }
        query!(
            "INSERT INTO items (job, idx, name, state, options, picture) VALUES ($1, $2, $3, 'receiving', $4, $5)",
            item.job,
            index,
            rows::clean(name),
            options.map(Value::to_string),
            picture,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn waiting(&self, owner: &str) -> Result<Waiting, StoreError> {
        let row = query!(
            r#"SELECT COALESCE(SUM(total - done - failed), 0)::bigint AS "pictures!",
                 COALESCE(SUM(bytes), 0)::bigint AS "bytes!"
             FROM jobs WHERE owner = $1 AND state IN ('receiving', 'queued', 'running')"#,
            rows::clean(owner),
        )
        .fetch_one(&self.0)
        .await?;
        Ok(Waiting {
            pictures: row.pictures.unsigned_abs(),
            bytes: row.bytes.unsigned_abs(),
        })
    }

    async fn start_job(&self, id: Uuid) -> Result<Job, StoreError> {
        let mut tx = self.transaction().await?;
        let started = query!(
            "UPDATE jobs
             SET state = CASE total WHEN 0 THEN 'done' ELSE 'queued' END,
                 finished_at = CASE total WHEN 0 THEN maoocr_now() END
             WHERE id = $1 AND state = 'receiving'",
            id,
        )
        .execute(&mut *tx)
        .await?;
        if started.rows_affected() > 0 {
            query!(
                "UPDATE items SET state = 'queued' WHERE job = $1 AND state = 'receiving'",
                id
            )
            .execute(&mut *tx)
            .await?;
        }
        let row = query_as!(
            JobRow,
            "SELECT id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at
             FROM jobs WHERE id = $1",
            id,
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.ok_or(StoreError::NotReceiving(id))?.try_into()
    }

    async fn abandon_job(&self, id: Uuid) -> Result<(), StoreError> {
        query!("DELETE FROM jobs WHERE id = $1 AND state = 'receiving'", id)
            .execute(&self.0)
            .await?;
        Ok(())
    }

    async fn job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        job(&self.0, &rows::clean(owner), id).await
    }

    async fn jobs(
        &self,
        owner: &str,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let found = query_as!(
            JobRow,
            "SELECT id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at
             FROM jobs WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            rows::clean(owner),
            before.unwrap_or(Uuid::max()),
            i64::from(limit),
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(found)
    }

    async fn jobs_by_id(&self, ids: &[Uuid]) -> Result<Vec<Job>, StoreError> {
        let found = query_as!(
            JobRow,
            "SELECT id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at
             FROM jobs WHERE id = ANY($1)",
            ids,
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(found)
    }

    async fn items(&self, id: Uuid, first: u32, limit: u32) -> Result<Vec<Item>, StoreError> {
        let found = query_as!(
            ItemRow,
            "SELECT idx, name, state, result, error, finished_at, pages
             FROM items WHERE job = $1 AND idx >= $2 ORDER BY idx LIMIT $3",
            id,
            i64::from(first),
            i64::from(limit),
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(found)
    }

    async fn cancel_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let cancelled = query!(
            "UPDATE jobs SET state = 'cancelled', finished_at = maoocr_now()
             WHERE id = $1 AND owner = $2 AND state IN ('receiving', 'queued', 'running')",
            id,
            owner,
        )
        .execute(&mut *tx)
        .await?;
        if cancelled.rows_affected() > 0 {
            query!(
                "UPDATE items
                 SET state = 'cancelled', picture = NULL, options = NULL, worker = NULL, lease_until = NULL,
                     finished_at = maoocr_now()
                 FROM (
                     SELECT idx FROM items
                     WHERE job = $1 AND state IN ('receiving', 'queued', 'running')
                     ORDER BY idx FOR UPDATE
                 ) AS open
                 WHERE items.job = $1 AND items.idx = open.idx",
                id,
            )
            .execute(&mut *tx)
            .await?;
            postgres_pages::cancel(&mut tx, id).await?;
        }
        let job = job(&mut *tx, &owner, id).await?;
        tx.commit().await?;
        Ok(job)
    }

    async fn retry_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let open = query_scalar!(
            "SELECT id FROM jobs
             WHERE id = $1 AND owner = $2 AND state IN ('queued', 'running', 'done') FOR NO KEY UPDATE",
            id,
            owner,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if open.is_some() {
            // Those of earlier versions were not kept.
            let pictures = query!(
                "UPDATE items
                 SET state = 'queued', error = NULL, finished_at = NULL, attempt = 0, retries = 0, ready_at = 0
                 FROM (
                     SELECT idx FROM items
                     WHERE job = $1 AND state = 'failed' AND picture IS NOT NULL AND pages IS NULL
                     ORDER BY idx FOR UPDATE
                 ) AS failed
                 WHERE items.job = $1 AND items.idx = failed.idx",
                id,
            )
            .execute(&mut *tx)
            .await?
            .rows_affected()
            .cast_signed();
            let (pages, files) = postgres_pages::retry(&mut tx, id).await?;
            let again = pictures + pages;
            if again > 0 || files > 0 {
                query!(
                    "UPDATE jobs SET failed = failed - $2, state = 'running', finished_at = NULL WHERE id = $1",
                    id,
                    again,
                )
                .execute(&mut *tx)
                .await?;
            }
        }
        let job = job(&mut *tx, &owner, id).await?;
        tx.commit().await?;
        Ok(job)
    }

    async fn delete_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        let row = query_as!(
            JobRow,
            "DELETE FROM jobs WHERE id = $1 AND owner = $2 AND state IN ('done', 'cancelled')
             RETURNING id, owner, state, requirements, total, done, failed, created_at, started_at, finished_at",
            id,
            rows::clean(owner),
        )
        .fetch_optional(&self.0)
        .await?;
        row.map(Job::try_from).transpose()
    }

    async fn claim(
        &self,
        worker: Uuid,
        max: u32,
        lease: Duration,
        avoid: &[Uuid],
    ) -> Result<Vec<Claim>, StoreError> {
        let mut tx = self.transaction().await?;
        let mut pages = postgres_pages::claim(&mut tx, worker, max, lease, avoid).await?;
        let rest = i64::from(max).saturating_sub(rows::length(&pages));
        let mut claimed = query_as!(
            ClaimRow,
            r#"WITH waiting AS (
                 SELECT job, idx FROM items
                 WHERE state IN ('queued', 'running')
                     AND (state = 'queued' AND ready_at <= maoocr_now() OR lease_until <= maoocr_now())
                     AND job <> ALL($4::uuid[])
                 ORDER BY job, idx LIMIT $1
                 FOR UPDATE SKIP LOCKED
             )
             UPDATE items
             SET state = 'running', worker = $2, lease_until = maoocr_now() + $3, begun_at = NULL
             FROM waiting JOIN jobs ON jobs.id = waiting.job
             WHERE items.job = waiting.job AND items.idx = waiting.idx
             RETURNING items.job, items.idx, NULL::bigint AS page, jobs.owner, items.name, jobs.requirements,
                 items.options, items.pages, items.answer,
                 CASE WHEN items.pages IS NULL THEN items.picture END AS picture, items.attempt, items.retries"#,
            rest,
            worker,
            rows::millis(lease),
            avoid,
        )
        .fetch_all(&mut *tx)
        .await?;
        if claimed.is_empty() {
            tx.commit().await?;
            return rows::all(pages);
        }
        claimed.sort_unstable_by_key(|row| (row.job, row.idx));
        let mut jobs: Vec<Uuid> = claimed.iter().map(|row| row.job).collect();
        jobs.dedup();
        // A locked job is being started, finished or cancelled by another transaction, which sets its state.
        query!(
            "UPDATE jobs SET state = 'running', started_at = maoocr_now()
             WHERE id IN (SELECT id FROM jobs WHERE id = ANY($1) AND state = 'queued' FOR UPDATE SKIP LOCKED)",
            &jobs,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        pages.extend(claimed);
        rows::all(pages)
    }

    async fn begin(&self, worker: Uuid, item: ItemKey) -> Result<bool, StoreError> {
        if let Some(page) = item.page {
            return self.begin_page(worker, item, page).await;
        }
        let begun = query!(
            "UPDATE items SET begun_at = maoocr_now(), attempt = attempt + 1
             WHERE job = $1 AND idx = $2 AND worker = $3 AND state = 'running' AND begun_at IS NULL",
            item.job,
            i64::from(item.index),
            worker,
        )
        .execute(&self.0)
        .await?;
        Ok(begun.rows_affected() > 0)
    }

    async fn postpone(
        &self,
        worker: Uuid,
        item: ItemKey,
        wait: Duration,
        failed: bool,
    ) -> Result<bool, StoreError> {
        if let Some(page) = item.page {
            let page = (item, page);
            return self.postpone_page(worker, page, wait, failed).await;
        }
        let postponed = query!(
            "UPDATE items
             SET state = 'queued', worker = NULL, lease_until = NULL, ready_at = maoocr_now() + $4,
                 attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL,
                 retries = retries + $5
             WHERE job = $1 AND idx = $2 AND worker = $3 AND state = 'running'",
            item.job,
            i64::from(item.index),
            worker,
            rows::millis(wait),
            i64::from(failed),
        )
        .execute(&self.0)
        .await?;
        Ok(postponed.rows_affected() > 0)
    }

    async fn renew(
        &self,
        worker: Uuid,
        items: &[ItemKey],
        lease: Duration,
    ) -> Result<Vec<ItemKey>, StoreError> {
        let mut tx = self.transaction().await?;
        let files: Vec<&ItemKey> = items.iter().filter(|key| key.page.is_none()).collect();
        let jobs: Vec<Uuid> = files.iter().map(|key| key.job).collect();
        let indices: Vec<i64> = files.iter().map(|key| key.index.into()).collect();
        // An expired lease that nobody took can still be extended, so its work isn't lost.
        let held = query!(
            "UPDATE items SET lease_until = maoocr_now() + $4
             FROM (
                 SELECT items.job, items.idx
                 FROM items JOIN UNNEST($2::uuid[], $3::bigint[]) AS wanted (job, idx)
                     ON items.job = wanted.job AND items.idx = wanted.idx
                 WHERE worker = $1 AND state = 'running'
                 ORDER BY items.job, items.idx FOR UPDATE OF items
             ) AS held
             WHERE items.job = held.job AND items.idx = held.idx
             RETURNING items.job, items.idx",
            worker,
            &jobs,
            &indices,
            rows::millis(lease),
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut held: Vec<ItemKey> = held
            .into_iter()
            .map(|row| Ok(ItemKey::file(row.job, rows::count(row.idx)?)))
            .collect::<Result<_, StoreError>>()?;
        held.extend(postgres_pages::renew(&mut tx, worker, items, lease).await?);
        tx.commit().await?;
        Ok(rows::missing(items, &held))
    }

    async fn finish(
        &self,
        worker: Uuid,
        item: ItemKey,
        outcome: Outcome,
    ) -> Result<bool, StoreError> {
        let ending = Ending::from(outcome);
        if let Some(page) = item.page {
            return self.finish_page(worker, (item, page), ending).await;
        }
        let mut tx = self.transaction().await?;
        query!(
            "SELECT id FROM jobs WHERE id = $1 FOR NO KEY UPDATE",
            item.job
        )
        .fetch_optional(&mut *tx)
        .await?;
        let finished = query!(
            "UPDATE items
             SET state = $4, answer = COALESCE($7, answer), result = $5, error = $6, finished_at = maoocr_now(),
                 picture = CASE WHEN kept.file THEN picture END, options = CASE WHEN kept.file THEN options END,
                 worker = NULL, lease_until = NULL
             FROM (
                 SELECT $4 = 'failed' OR EXISTS (
                     SELECT 1 FROM pages WHERE pages.job = $1 AND pages.idx = $2 AND pages.state = 'failed'
                 ) AS file
             ) AS kept
             WHERE job = $1 AND idx = $2 AND worker = $3 AND state = 'running' AND lease_until > maoocr_now()
             RETURNING pages",
            item.job,
            i64::from(item.index),
            worker,
            ending.state,
            ending.result,
            ending.error,
            ending.answer,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(finished) = finished else {
            return Ok(false);
        };
        // The pages of a file that was split have been counted, each at its end.
        let (done, failed) = match finished.pages {
            Some(_) => (0, 0),
            None => (ending.done, ending.failed),
        };
        query!(
            "UPDATE jobs
             SET total = total + GREATEST($2::bigint - 1, 0), done = done + $2::bigint, failed = failed + $3,
                 started_at = COALESCE(started_at, maoocr_now()), state = open.state,
                 finished_at = CASE open.state WHEN 'done' THEN maoocr_now() END
             FROM (
                 SELECT CASE WHEN EXISTS (
                     SELECT 1 FROM items WHERE job = $1 AND state IN ('queued', 'running')
                 ) THEN 'running' ELSE 'done' END AS state
             ) AS open
             WHERE id = $1",
            item.job,
            done,
            failed,
        )
        .execute(&mut *tx)
        .await?;
        if finished.pages.is_some() {
            // If some of its pages were read again, there is an older answer.
            query!("DELETE FROM entries WHERE id = $1", ending.answer)
                .execute(&mut *tx)
                .await?;
        }
        for entry in &ending.history {
            insert(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(true)
    }

    async fn release(&self, worker: Uuid) -> Result<u64, StoreError> {
        let mut tx = self.transaction().await?;
        let released = query!(
            "UPDATE items
             SET state = 'queued', worker = NULL, lease_until = NULL,
                 attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL
             FROM (
                 SELECT job, idx FROM items WHERE worker = $1 AND state = 'running'
                 ORDER BY job, idx FOR UPDATE
             ) AS held
             WHERE items.job = held.job AND items.idx = held.idx",
            worker,
        )
        .execute(&mut *tx)
        .await?;
        let pages = postgres_pages::release(&mut tx, worker).await?;
        tx.commit().await?;
        Ok(released.rows_affected() + pages)
    }

    async fn backlog(&self) -> Result<u64, StoreError> {
        let mut tx = self.transaction().await?;
        let waiting = query_scalar!(
            r#"SELECT (
                 SELECT COUNT(*) FROM items
                 WHERE state IN ('queued', 'running') AND (state = 'queued' OR lease_until <= maoocr_now())
             ) + (
                 SELECT COUNT(*) FROM pages
                 WHERE state IN ('queued', 'running') AND (state = 'queued' OR lease_until <= maoocr_now())
             ) AS "waiting!""#
        )
        .fetch_one(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(waiting.unsigned_abs())
    }

    async fn remember(&self, entries: Vec<NewEntry>) -> Result<(), StoreError> {
        let mut tx = self.transaction().await?;
        for entry in &entries {
            insert(&mut tx, entry).await?;
        }
        Ok(tx.commit().await?)
    }

    async fn history(
        &self,
        owner: &str,
        query: Option<&str>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Summary>, StoreError> {
        let owner = rows::clean(owner);
        let before = before.unwrap_or(Uuid::max());
        let limit = i64::from(limit);
        let mut tx = self.transaction().await?;
        let found = match query.filter(|q| !q.trim().is_empty()).map(Query::new) {
            None => {
                query_as!(
                    SummaryRow,
                    r#"SELECT id, name, created_at, preview, original IS NOT NULL AS "has_original!"
                     FROM entries WHERE owner = $1 AND id < $2 ORDER BY id DESC LIMIT $3"#,
                    owner,
                    before,
                    limit,
                )
                .fetch_all(&mut *tx)
                .await?
            }
            Some(None) => Vec::new(),
            Some(Some(words)) => {
                query_as!(
                    SummaryRow,
                    r#"SELECT id, name, created_at, preview, original IS NOT NULL AS "has_original!"
                     FROM entries
                     WHERE owner = $1 AND id < $2 AND lexemes @@ ($4::text)::tsquery AND words LIKE ALL($5::text[])
                     ORDER BY id DESC LIMIT $3"#,
                    owner,
                    before,
                    limit,
                    words.tsquery(),
                    &words.patterns(),
                )
                .fetch_all(&mut *tx)
                .await?
            }
        };
        tx.commit().await?;
        Ok(found.into_iter().map(Summary::from).collect())
    }

    async fn entry(&self, owner: &str, id: Uuid) -> Result<Option<Entry>, StoreError> {
        let row = query_as!(
            EntryRow,
            r#"SELECT id, name, created_at, preview, original IS NOT NULL AS "has_original!", document
             FROM entries WHERE id = $1 AND owner = $2"#,
            id,
            rows::clean(owner),
        )
        .fetch_optional(&self.0)
        .await?;
        row.map(Entry::try_from).transpose()
    }

    async fn original(&self, owner: &str, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
        let row = query_scalar!(
            "SELECT original FROM entries WHERE id = $1 AND owner = $2",
            id,
            rows::clean(owner)
        )
        .fetch_optional(&self.0)
        .await?;
        Ok(row.flatten())
    }

    async fn forget(&self, owner: &str, id: Uuid) -> Result<bool, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let forgotten = query!(
            "DELETE FROM entries WHERE id = $1 AND owner = $2",
            id,
            owner
        )
        .execute(&mut *tx)
        .await?;
        if forgotten.rows_affected() > 0 {
            // Nor can its failed pages be read again, if it is over.
            query!(
                "UPDATE items
                 SET result = NULL, picture = CASE WHEN state IN ('queued', 'running') THEN picture END,
                     options = CASE WHEN state IN ('queued', 'running') THEN options END
                 WHERE answer = $1",
                id,
            )
            .execute(&mut *tx)
            .await?;
            query!(
                "UPDATE pages SET result = NULL
                 FROM items
                 WHERE items.answer = $1 AND pages.job = items.job AND pages.idx = items.idx",
                id,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(forgotten.rows_affected() > 0)
    }

    async fn forget_all(&self, owner: &str) -> Result<u64, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        query!(
            "DELETE FROM jobs WHERE id IN (
                 SELECT id FROM jobs WHERE owner = $1 AND state IN ('done', 'cancelled') ORDER BY id FOR UPDATE
             )",
            owner
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE items SET result = NULL
             FROM (
                 SELECT items.job, items.idx FROM items JOIN jobs ON jobs.id = items.job
                 WHERE jobs.owner = $1 AND items.state = 'done'
                 ORDER BY items.job, items.idx FOR UPDATE OF items
             ) AS read
             WHERE items.job = read.job AND items.idx = read.idx",
            owner
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE pages SET result = NULL
             FROM (
                 SELECT pages.job, pages.idx, pages.page FROM pages JOIN jobs ON jobs.id = pages.job
                 WHERE jobs.owner = $1 AND pages.state = 'done'
                 ORDER BY pages.job, pages.idx, pages.page FOR UPDATE OF pages
             ) AS read
             WHERE pages.job = read.job AND pages.idx = read.idx AND pages.page = read.page",
            owner
        )
        .execute(&mut *tx)
        .await?;
        let forgotten = query!("DELETE FROM entries WHERE owner = $1", owner)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(forgotten.rows_affected())
    }

    async fn first_use(&self, hash: &[u8; 32], until: i64) -> Result<bool, StoreError> {
        let first = query!(
            "INSERT INTO nonces (hash, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            &hash[..],
            until,
        )
        .execute(&self.0)
        .await?;
        Ok(first.rows_affected() > 0)
    }

    async fn add_key(&self, key: NewKey) -> Result<(), StoreError> {
        query!(
            "INSERT INTO keys (id, name, hash, scopes, rate, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, maoocr_now(), $6)",
            key.id,
            rows::clean(&key.name),
            &key.hash[..],
            rows::scopes(&key.scopes),
            key.rate.map(i64::from),
            key.expires_at,
        )
        .execute(&self.0)
        .await?;
        Ok(())
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<Key>, StoreError> {
        let row = query_as!(
            KeyRow,
            "SELECT id, name, hash, scopes, rate, created_at, expires_at, revoked_at FROM keys WHERE hash = $1",
            &hash[..],
        )
        .fetch_optional(&self.0)
        .await?;
        row.map(Key::try_from).transpose()
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        let found = query_as!(
            KeyRow,
            "SELECT id, name, hash, scopes, rate, created_at, expires_at, revoked_at FROM keys ORDER BY id"
        )
        .fetch_all(&self.0)
        .await?;
        rows::all(found)
    }

    async fn revoke_key(&self, id: Uuid) -> Result<bool, StoreError> {
        let revoked = query!(
            "UPDATE keys SET revoked_at = maoocr_now()
             WHERE id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > maoocr_now())",
            id,
        )
        .execute(&self.0)
        .await?;
        Ok(revoked.rows_affected() > 0)
    }

    async fn forget_nonces(&self) -> Result<u64, StoreError> {
        let forgotten = query!(
            "DELETE FROM nonces WHERE hash IN (
                 SELECT hash FROM nonces WHERE expires_at < maoocr_now() FOR UPDATE SKIP LOCKED
             )"
        )
        .execute(&self.0)
        .await?;
        Ok(forgotten.rows_affected())
    }

    async fn purge(
        &self,
        entries: Option<i64>,
        jobs: Option<i64>,
        receiving: i64,
    ) -> Result<Purged, StoreError> {
        let mut tx = self.transaction().await?;
        // Another replica may purge at the same time and deletes what it has locked.
        let jobs = query!(
            "DELETE FROM jobs WHERE id IN (
                 SELECT id FROM jobs
                 WHERE finished_at < $1 OR (state = 'receiving' AND created_at < $2)
                 FOR UPDATE SKIP LOCKED
             )",
            jobs,
            receiving,
        )
        .execute(&mut *tx)
        .await?;
        let entries = query!(
            "DELETE FROM entries WHERE id IN (
                 SELECT id FROM entries WHERE created_at < $1 FOR UPDATE SKIP LOCKED
             )",
            entries,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(Purged {
            jobs: jobs.rows_affected(),
            entries: entries.rows_affected(),
        })
    }
}

async fn insert(connection: &mut PgConnection, entry: &NewEntry) -> Result<(), StoreError> {
    let index = Index::new(&entry.name, &entry.text);
    query!(
        "INSERT INTO entries (id, owner, name, created_at, preview, document, original, words, lexemes)
         VALUES ($1, $2, $3, maoocr_now(), $4, $5, $6, $7, array_to_tsvector($8))",
        entry.id,
        rows::clean(&entry.owner),
        rows::clean(&entry.name),
        rows::preview(&entry.text),
        &*entry.document,
        entry.original.as_deref(),
        index.words,
        &index.lexemes,
    )
    .execute(connection)
    .await?;
    Ok(())
}
