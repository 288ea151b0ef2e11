//! SQLite: one file for one machine.
//!
//! One connection writes, in transactions that take the write lock at the start: a transaction that reads first and
//! writes later could find its snapshot outdated and fail. Others read concurrently (WAL). Another process may have the
//! file open too.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{
    Sqlite as Driver, SqliteConnection, SqlitePool, Transaction, query, query_as, query_scalar,
};
use uuid::Uuid;

use super::rows::{self, ClaimRow, Ending, EntryRow, ItemRow, JobRow, KeyRow, SummaryRow};
use super::search::{Index, Query};
use super::sqlite_pages;
use super::{
    Claim, Created, Entry, Item, ItemKey, Job, Key, NewEntry, NewJob, NewKey, Outcome, Purged,
    Store, StoreError, Summary, Waiting,
};
use serde_json::Value;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a writer waits for another process, and for its turn in this one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Connections to one file.
pub struct Sqlite {
    write: SqlitePool,
    pub(super) read: SqlitePool,
}

impl Sqlite {
    /// `path` as in an address, after `sqlite:`.
    pub async fn open(path: &str) -> Result<Self, StoreError> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() || path == ":memory:" || path.contains('?') {
            return Err(StoreError::Address(
                "sqlite: must be followed by a file path and nothing else, as in sqlite:/var/lib/maoocr/maoocr.db".into(),
            ));
        }
        let path = PathBuf::from(path);
        make(&path).map_err(|e| StoreError::Address(format!("{}: {e}", path.display())))?;
        let began = Instant::now();
        loop {
            match Self::open_file(&path).await {
                // Another process is creating the same file. SQLite doesn't wait while changing the journal mode.
                Err(error) if is_busy(&error) && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                opened => return opened,
            }
        }
    }

    async fn open_file(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            // A killed server loses nothing; a power cut may lose the last moments but never the file.
            .synchronous(SqliteSynchronous::Normal)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(PATIENCE)
                .idle_timeout(None)
                .max_lifetime(None)
        };
        let write = pool(1).connect_with(options.clone()).await?;
        // Within a transaction of our own: two processes may open a new file at the same time.
        let mut tx = write.begin_with("BEGIN IMMEDIATE").await?;
        // `run` does just this, but its future isn't `Send` for a borrowed connection.
        MIGRATIONS
            .run_direct(None, &mut *tx, false)
            .await
            .map_err(|e| rows::migration(e, &MIGRATIONS))?;
        tx.commit().await?;
        let read = pool(4).connect_with(options.read_only(true)).await?;
        Ok(Self { write, read })
    }

    pub(super) async fn transaction(&self) -> Result<Transaction<'static, Driver>, StoreError> {
        Ok(self.write.begin_with("BEGIN IMMEDIATE").await?)
    }
}

/// Whether another connection holds a lock (`SQLITE_BUSY` and its extended codes, whose low byte it is).
fn is_busy(error: &StoreError) -> bool {
    let StoreError::Database(sqlx::Error::Database(error)) = error else {
        return false;
    };
    let code = error.code().and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == 5)
}

/// Creates the file, private to this user from the start.
fn make(path: &Path) -> std::io::Result<()> {
    if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    rows::millis(since.unwrap_or_default())
}

/// A job of an owner, whose name is clean.
async fn job(
    executor: impl sqlx::SqliteExecutor<'_>,
    owner: &str,
    id: Uuid,
) -> Result<Option<Job>, StoreError> {
    let row = query_as!(
        JobRow,
        r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                 started_at, finished_at
             FROM jobs WHERE id = ?1 AND owner = ?2"#,
        id,
        owner,
    )
    .fetch_optional(executor)
    .await?;
    row.map(Job::try_from).transpose()
}

#[async_trait]
impl Store for Sqlite {
    async fn ping(&self) -> Result<(), StoreError> {
        Ok(query("SELECT 1").execute(&self.read).await.map(drop)?)
    }

    async fn create_job(&self, job: NewJob) -> Result<Created, StoreError> {
        let owner = rows::clean(&job.owner);
        let key = job.idempotency_key.as_deref().map(rows::clean);
        let (id, requirements, now) = (Uuid::now_v7(), job.requirements.to_string(), now());
        let mut tx = self.transaction().await?;
        let made = query_as!(
            JobRow,
            r#"INSERT INTO jobs (id, owner, idempotency_key, state, requirements, created_at)
             VALUES (?1, ?2, ?3, 'receiving', ?4, ?5)
             ON CONFLICT (owner, idempotency_key) DO NOTHING
             RETURNING id AS "id!: Uuid", owner AS "owner!", state AS "state!", requirements AS "requirements!",
                 total AS "total!", done AS "done!", failed AS "failed!", created_at AS "created_at!",
                 started_at, finished_at"#,
            id,
            owner,
            key,
            requirements,
            now,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let created = match made {
            Some(row) => Created::New(row.try_into()?),
            None => {
                let row = query_as!(
                    JobRow,
                    r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                         started_at, finished_at
                     FROM jobs WHERE owner = ?1 AND idempotency_key = ?2"#,
                    owner,
                    key,
                )
                .fetch_one(&mut *tx)
                .await?;
                Created::Existing(row.try_into()?)
            }
        };
        tx.commit().await?;
        Ok(created)
    }

    async fn add_item(
        &self,
        item: ItemKey,
        name: &str,
        options: Option<&Value>,
        picture: &[u8],
    ) -> Result<(), StoreError> {
        let (name, length) = (rows::clean(name), rows::length(picture));
        let options = options.map(Value::to_string);
        let mut tx = self.transaction().await?;
        let counted = query!(
            "UPDATE jobs SET total = total + 1, bytes = bytes + ?3
             WHERE id = ?1 AND state = 'receiving' AND total = ?2",
            item.job,
            item.index,
            length,
        )
        .execute(&mut *tx)
        .await?;
        if counted.rows_affected() == 0 {
            return Err(StoreError::NotReceiving(item.job));
        }
        query!(
            "INSERT INTO items (job, idx, name, state, options, picture) VALUES (?1, ?2, ?3, 'receiving', ?4, ?5)",
            item.job,
            item.index,
            name,
            options,
            picture,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn waiting(&self, owner: &str) -> Result<Waiting, StoreError> {
        let owner = rows::clean(owner);
        let row = query!(
            r#"SELECT COALESCE(SUM(total - done - failed), 0) AS "pictures!: i64",
                 COALESCE(SUM(bytes), 0) AS "bytes!: i64"
             FROM jobs WHERE owner = ?1 AND state IN ('receiving', 'queued', 'running')"#,
            owner,
        )
        .fetch_one(&self.read)
        .await?;
        Ok(Waiting {
            pictures: row.pictures.unsigned_abs(),
            bytes: row.bytes.unsigned_abs(),
        })
    }

    async fn start_job(&self, id: Uuid) -> Result<Job, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let started = query!(
            "UPDATE jobs
             SET state = CASE total WHEN 0 THEN 'done' ELSE 'queued' END,
                 finished_at = CASE total WHEN 0 THEN ?2 END
             WHERE id = ?1 AND state = 'receiving'",
            id,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if started.rows_affected() > 0 {
            query!(
                "UPDATE items SET state = 'queued' WHERE job = ?1 AND state = 'receiving'",
                id
            )
            .execute(&mut *tx)
            .await?;
        }
        let row = query_as!(
            JobRow,
            r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                 started_at, finished_at
             FROM jobs WHERE id = ?1"#,
            id,
        )
        .fetch_optional(&mut *tx)
        .await?;
        tx.commit().await?;
        row.ok_or(StoreError::NotReceiving(id))?.try_into()
    }

    async fn abandon_job(&self, id: Uuid) -> Result<(), StoreError> {
        let mut tx = self.transaction().await?;
        query!("DELETE FROM jobs WHERE id = ?1 AND state = 'receiving'", id)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        job(&self.read, &rows::clean(owner), id).await
    }

    async fn jobs(
        &self,
        owner: &str,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError> {
        let (owner, before) = (rows::clean(owner), before.unwrap_or(Uuid::max()));
        let found = query_as!(
            JobRow,
            r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                 started_at, finished_at
             FROM jobs WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"#,
            owner,
            before,
            limit,
        )
        .fetch_all(&self.read)
        .await?;
        rows::all(found)
    }

    async fn jobs_by_id(&self, ids: &[Uuid]) -> Result<Vec<Job>, StoreError> {
        let ids = rows::hex(ids);
        let found = query_as!(
            JobRow,
            r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                 started_at, finished_at
             FROM jobs WHERE id IN (SELECT unhex(value) FROM json_each(?1))"#,
            ids,
        )
        .fetch_all(&self.read)
        .await?;
        rows::all(found)
    }

    async fn items(&self, id: Uuid, first: u32, limit: u32) -> Result<Vec<Item>, StoreError> {
        let found = query_as!(
            ItemRow,
            "SELECT idx, name, state, result, error, finished_at, pages
             FROM items WHERE job = ?1 AND idx >= ?2 ORDER BY idx LIMIT ?3",
            id,
            first,
            limit,
        )
        .fetch_all(&self.read)
        .await?;
        rows::all(found)
    }

    async fn cancel_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        let (owner, now) = (rows::clean(owner), now());
        let mut tx = self.transaction().await?;
        let cancelled = query!(
            "UPDATE jobs SET state = 'cancelled', finished_at = ?3
             WHERE id = ?1 AND owner = ?2 AND state IN ('receiving', 'queued', 'running')",
            id,
            owner,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if cancelled.rows_affected() > 0 {
            query!(
                "UPDATE items
                 SET state = 'cancelled', picture = NULL, options = NULL, worker = NULL, lease_until = NULL,
                     finished_at = ?2
                 WHERE job = ?1 AND state IN ('receiving', 'queued', 'running')",
                id,
                now,
            )
            .execute(&mut *tx)
            .await?;
            query!(
                "UPDATE pages SET state = 'cancelled', worker = NULL, lease_until = NULL
                 WHERE job = ?1 AND state IN ('queued', 'running')",
                id,
            )
            .execute(&mut *tx)
            .await?;
        }
        let job = job(&mut *tx, &owner, id).await?;
        tx.commit().await?;
        Ok(job)
    }

    async fn retry_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let open = query!(
            "SELECT id FROM jobs WHERE id = ?1 AND owner = ?2 AND state IN ('queued', 'running', 'done')",
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
                 WHERE job = ?1 AND state = 'failed' AND picture IS NOT NULL AND pages IS NULL",
                id,
            )
            .execute(&mut *tx)
            .await?
            .rows_affected()
            .cast_signed();
            let (pages, files) = sqlite_pages::retry(&mut tx, id).await?;
            let again = pictures + pages;
            if again > 0 || files > 0 {
                query!(
                    "UPDATE jobs SET failed = failed - ?2, state = 'running', finished_at = NULL WHERE id = ?1",
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
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let row = query_as!(
            JobRow,
            r#"SELECT id AS "id!: Uuid", owner, state, requirements, total, done, failed, created_at,
                 started_at, finished_at
             FROM jobs WHERE id = ?1 AND owner = ?2 AND state IN ('done', 'cancelled')"#,
            id,
            owner,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if row.is_some() {
            query!("DELETE FROM jobs WHERE id = ?1", id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        row.map(Job::try_from).transpose()
    }

    async fn claim(
        &self,
        worker: Uuid,
        max: u32,
        lease: Duration,
        avoid: &[Uuid],
    ) -> Result<Vec<Claim>, StoreError> {
        let (now, avoid) = (now(), rows::hex(avoid));
        let until = now.saturating_add(rows::millis(lease));
        let mut tx = self.transaction().await?;
        let mut pages = sqlite_pages::claim(&mut tx, worker, max, (now, until), &avoid).await?;
        let rest = rows::length(&pages);
        let rest = i64::from(max).saturating_sub(rest);
        let claimed = query_as!(
            ClaimRow,
            r#"SELECT items.job AS "job!: Uuid", items.idx, NULL AS "page?: i64", jobs.owner, items.name,
                 jobs.requirements, items.options, items.pages, items.answer AS "answer?: Uuid",
                 CASE WHEN items.pages IS NULL THEN items.picture END AS "picture?: Vec<u8>", items.attempt, items.retries
             FROM items JOIN jobs ON jobs.id = items.job
             WHERE items.state IN ('queued', 'running')
                 AND (items.state = 'queued' AND items.ready_at <= ?1 OR items.lease_until <= ?1)
                 AND items.job NOT IN (SELECT unhex(value) FROM json_each(?3))
             ORDER BY items.job, items.idx LIMIT ?2"#,
            now,
            rest,
            avoid,
        )
        .fetch_all(&mut *tx)
        .await?;
        for row in &claimed {
            query!(
                "UPDATE items SET state = 'running', worker = ?3, lease_until = ?4, begun_at = NULL
                 WHERE job = ?1 AND idx = ?2",
                row.job,
                row.idx,
                worker,
                until,
            )
            .execute(&mut *tx)
            .await?;
            query!(
                "UPDATE jobs SET state = 'running', started_at = ?2 WHERE id = ?1 AND state = 'queued'",
                row.job,
                now,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        pages.extend(claimed);
        rows::all(pages)
    }

    async fn begin(&self, worker: Uuid, item: ItemKey) -> Result<bool, StoreError> {
        if let Some(page) = item.page {
            return self.begin_page(worker, item, page).await;
        }
        let now = now();
        let mut tx = self.transaction().await?;
        let begun = query!(
            "UPDATE items SET begun_at = ?4, attempt = attempt + 1
             WHERE job = ?1 AND idx = ?2 AND worker = ?3 AND state = 'running' AND begun_at IS NULL",
            item.job,
            item.index,
            worker,
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
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
        let ready = now().saturating_add(rows::millis(wait));
        let mut tx = self.transaction().await?;
        let postponed = query!(
            "UPDATE items
             SET state = 'queued', worker = NULL, lease_until = NULL, ready_at = ?4,
                 attempt = attempt - CASE WHEN begun_at IS NULL THEN 0 ELSE 1 END, begun_at = NULL,
                 retries = retries + ?5
             WHERE job = ?1 AND idx = ?2 AND worker = ?3 AND state = 'running'",
            item.job,
            item.index,
            worker,
            ready,
            failed,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(postponed.rows_affected() > 0)
    }

    async fn renew(
        &self,
        worker: Uuid,
        items: &[ItemKey],
        lease: Duration,
    ) -> Result<Vec<ItemKey>, StoreError> {
        let until = now().saturating_add(rows::millis(lease));
        let mut held = Vec::new();
        let mut tx = self.transaction().await?;
        for item in items {
            if let Some(page) = item.page {
                if sqlite_pages::renew(&mut tx, worker, (*item, page), until).await? {
                    held.push(*item);
                }
                continue;
            }
            // An expired lease that nobody took can still be extended, so its work isn't lost.
            let renewed = query!(
                "UPDATE items SET lease_until = ?4
                 WHERE job = ?1 AND idx = ?2 AND worker = ?3 AND state = 'running'",
                item.job,
                item.index,
                worker,
                until,
            )
            .execute(&mut *tx)
            .await?;
            if renewed.rows_affected() > 0 {
                held.push(*item);
            }
        }
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
        let now = now();
        let mut tx = self.transaction().await?;
        let finished = query!(
            "UPDATE items
             SET state = ?4, answer = COALESCE(?8, answer), result = ?5, error = ?6, finished_at = ?7,
                 picture = CASE WHEN kept.file THEN picture END, options = CASE WHEN kept.file THEN options END,
                 worker = NULL, lease_until = NULL
             FROM (
                 SELECT ?4 = 'failed' OR EXISTS (
                     SELECT 1 FROM pages WHERE pages.job = ?1 AND pages.idx = ?2 AND pages.state = 'failed'
                 ) AS file
             ) AS kept
             WHERE job = ?1 AND idx = ?2 AND worker = ?3 AND state = 'running' AND lease_until > ?7
             RETURNING pages",
            item.job,
            item.index,
            worker,
            ending.state,
            ending.result,
            ending.error,
            now,
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
             SET total = total + MAX(?2 - 1, 0), done = done + ?2, failed = failed + ?3, state = open.state,
                 finished_at = CASE open.state WHEN 'done' THEN ?4 END
             FROM (
                 SELECT CASE WHEN EXISTS (
                     SELECT 1 FROM items WHERE job = ?1 AND state IN ('queued', 'running')
                 ) THEN 'running' ELSE 'done' END AS state
             ) AS open
             WHERE id = ?1",
            item.job,
            done,
            failed,
            now,
        )
        .execute(&mut *tx)
        .await?;
        if finished.pages.is_some() {
            // If some of its pages were read again, there is an older answer.
            query!("DELETE FROM entries WHERE id = ?1", ending.answer)
                .execute(&mut *tx)
                .await?;
        }
        for entry in &ending.history {
            insert(&mut tx, entry, now).await?;
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
             WHERE worker = ?1 AND state = 'running'",
            worker,
        )
        .execute(&mut *tx)
        .await?;
        let pages = sqlite_pages::release(&mut tx, worker).await?;
        tx.commit().await?;
        Ok(released.rows_affected() + pages)
    }

    async fn backlog(&self) -> Result<u64, StoreError> {
        let now = now();
        let waiting = query_scalar!(
            r#"SELECT (
                 SELECT COUNT(*) FROM items
                 WHERE state IN ('queued', 'running') AND (state = 'queued' OR lease_until <= ?1)
             ) + (
                 SELECT COUNT(*) FROM pages
                 WHERE state IN ('queued', 'running') AND (state = 'queued' OR lease_until <= ?1)
             ) AS "waiting!: i64""#,
            now,
        )
        .fetch_one(&self.read)
        .await?;
        Ok(waiting.unsigned_abs())
    }

    async fn remember(&self, entries: Vec<NewEntry>) -> Result<(), StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        for entry in &entries {
            insert(&mut tx, entry, now).await?;
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
        let found = match query.filter(|q| !q.trim().is_empty()).map(Query::new) {
            None => {
                query_as!(
                    SummaryRow,
                    r#"SELECT id AS "id!: Uuid", name, created_at, preview,
                         original IS NOT NULL AS "has_original!: bool"
                     FROM entries WHERE owner = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"#,
                    owner,
                    before,
                    limit,
                )
                .fetch_all(&self.read)
                .await?
            }
            Some(None) => Vec::new(),
            Some(Some(words)) => {
                let words = words.fts5();
                query_as!(
                    SummaryRow,
                    r#"SELECT id AS "id!: Uuid", name AS "name!", created_at AS "created_at!", preview AS "preview!",
                         original IS NOT NULL AS "has_original!: bool"
                     FROM entries
                     WHERE owner = ?1 AND id < ?2
                         AND number IN (SELECT rowid FROM entry_words WHERE entry_words MATCH ?4)
                     ORDER BY id DESC LIMIT ?3"#,
                    owner,
                    before,
                    limit,
                    words,
                )
                .fetch_all(&self.read)
                .await?
            }
        };
        Ok(found.into_iter().map(Summary::from).collect())
    }

    async fn entry(&self, owner: &str, id: Uuid) -> Result<Option<Entry>, StoreError> {
        let owner = rows::clean(owner);
        let row = query_as!(
            EntryRow,
            r#"SELECT id AS "id!: Uuid", name, created_at, preview, original IS NOT NULL AS "has_original!: bool",
                 document
             FROM entries WHERE id = ?1 AND owner = ?2"#,
            id,
            owner,
        )
        .fetch_optional(&self.read)
        .await?;
        row.map(Entry::try_from).transpose()
    }

    async fn original(&self, owner: &str, id: Uuid) -> Result<Option<Vec<u8>>, StoreError> {
        let owner = rows::clean(owner);
        let row = query_scalar!(
            "SELECT original FROM entries WHERE id = ?1 AND owner = ?2",
            id,
            owner
        )
        .fetch_optional(&self.read)
        .await?;
        Ok(row.flatten())
    }

    async fn forget(&self, owner: &str, id: Uuid) -> Result<bool, StoreError> {
        let owner = rows::clean(owner);
        let mut tx = self.transaction().await?;
        let forgotten = query!(
            "DELETE FROM entries WHERE id = ?1 AND owner = ?2",
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
                 WHERE answer = ?1",
                id,
            )
            .execute(&mut *tx)
            .await?;
            query!(
                "UPDATE pages SET result = NULL
                 WHERE (job, idx) IN (SELECT job, idx FROM items WHERE answer = ?1)",
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
            "DELETE FROM jobs WHERE owner = ?1 AND state IN ('done', 'cancelled')",
            owner
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE items SET result = NULL
             WHERE state = 'done' AND job IN (SELECT id FROM jobs WHERE owner = ?1)",
            owner
        )
        .execute(&mut *tx)
        .await?;
        query!(
            "UPDATE pages SET result = NULL
             WHERE state = 'done' AND job IN (SELECT id FROM jobs WHERE owner = ?1)",
            owner
        )
        .execute(&mut *tx)
        .await?;
        let forgotten = query!("DELETE FROM entries WHERE owner = ?1", owner)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(forgotten.rows_affected())
    }

    async fn first_use(&self, hash: &[u8; 32], until: i64) -> Result<bool, StoreError> {
        let hash = &hash[..];
        let mut tx = self.transaction().await?;
        let first = query!(
            "INSERT INTO nonces (hash, expires_at) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            hash,
            until,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(first.rows_affected() > 0)
    }

    async fn add_key(&self, key: NewKey) -> Result<(), StoreError> {
        let (name, hash, now) = (rows::clean(&key.name), &key.hash[..], now());
        let scopes = rows::scopes(&key.scopes);
        let mut tx = self.transaction().await?;
        query!(
            "INSERT INTO keys (id, name, hash, scopes, rate, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            key.id,
            name,
            hash,
            scopes,
            key.rate,
            now,
            key.expires_at,
        )
        .execute(&mut *tx)
        .await?;
        Ok(tx.commit().await?)
    }

    async fn key(&self, hash: &[u8; 32]) -> Result<Option<Key>, StoreError> {
        let hash = &hash[..];
        let row = query_as!(
            KeyRow,
            r#"SELECT id AS "id!: Uuid", name, hash, scopes, rate, created_at, expires_at, revoked_at
             FROM keys WHERE hash = ?1"#,
            hash,
        )
        .fetch_optional(&self.read)
        .await?;
        row.map(Key::try_from).transpose()
    }

    async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        let found = query_as!(
            KeyRow,
            r#"SELECT id AS "id!: Uuid", name, hash, scopes, rate, created_at, expires_at, revoked_at
             FROM keys ORDER BY id"#
        )
        .fetch_all(&self.read)
        .await?;
        rows::all(found)
    }

    async fn revoke_key(&self, id: Uuid) -> Result<bool, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let revoked = query!(
            "UPDATE keys SET revoked_at = ?2
             WHERE id = ?1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > ?2)",
            id,
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(revoked.rows_affected() > 0)
    }

    async fn forget_nonces(&self) -> Result<u64, StoreError> {
        let now = now();
        let mut tx = self.transaction().await?;
        let forgotten = query!("DELETE FROM nonces WHERE expires_at < ?1", now)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(forgotten.rows_affected())
    }

    async fn purge(
        &self,
        entries: Option<i64>,
        jobs: Option<i64>,
        receiving: i64,
    ) -> Result<Purged, StoreError> {
        let mut tx = self.transaction().await?;
        let jobs = query!(
            "DELETE FROM jobs WHERE finished_at < ?1 OR (state = 'receiving' AND created_at < ?2)",
            jobs,
            receiving,
        )
        .execute(&mut *tx)
        .await?;
        let entries = query!("DELETE FROM entries WHERE created_at < ?1", entries)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Purged {
            jobs: jobs.rows_affected(),
            entries: entries.rows_affected(),
        })
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    entry: &NewEntry,
    now: i64,
) -> Result<(), StoreError> {
    let index = Index::new(&entry.name, &entry.text);
    let (owner, name) = (rows::clean(&entry.owner), rows::clean(&entry.name));
    let (preview, document) = (rows::preview(&entry.text), &*entry.document);
    let original = entry.original.as_deref();
    let number = query!(
        "INSERT INTO entries (id, owner, name, created_at, preview, document, original)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        entry.id,
        owner,
        name,
        now,
        preview,
        document,
        original,
    )
    .execute(&mut *connection)
    .await?
    .last_insert_rowid();
    query!(
        "INSERT INTO entry_words (rowid, words) VALUES (?1, ?2)",
        number,
        index.words
    )
    .execute(connection)
    .await?;
    Ok(())
}
