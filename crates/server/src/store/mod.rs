//! What must survive a restart: jobs, history, keys. One trait, two databases.
//!
//! Times are milliseconds since 1970 (UTC). An `owner` is the id of the API key that created a thing, or empty if the
//! server is open; owners can't see each other's things. Ids are UUIDs of version 7, which sort by creation time, and
//! lists are in that order. Characters that PostgreSQL can't store (NUL) come back as U+FFFD.

pub mod files;
pub mod pages;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "postgres")]
mod postgres_files;
#[cfg(feature = "postgres")]
mod postgres_pages;
#[cfg(feature = "postgres")]
mod postgres_webhooks;
mod rows;
mod search;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "sqlite")]
mod sqlite_files;
#[cfg(feature = "sqlite")]
mod sqlite_pages;
#[cfg(feature = "sqlite")]
mod sqlite_webhooks;
pub mod webhooks;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Why the store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that this build supports.
    #[error("{0}")]
    Address(String),
    /// The database failed or can't be reached.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A pooler loses prepared statements between transactions.
    #[error(
        "a pooler between this program and PostgreSQL loses prepared statements: use PgBouncer 1.21 or newer with \
         max_prepared_statements, or pool by session"
    )]
    Pooler,
    /// Its tables can't be migrated.
    #[error("can't migrate the database's tables: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// A newer version of this program has migrated its tables.
    #[error(
        "the database was made by a newer version of maoocr: its tables are at version {0}, this one supports version \
         {1}. Run the newer version, or use another database"
    )]
    Newer(i64, i64),
    /// The job accepts no pictures: it is complete, cancelled or gone.
    #[error("job {0} accepts no more pictures: it was started, cancelled or deleted")]
    NotReceiving(Uuid),
    /// A stored value can't be read back.
    #[error("the database holds {0} that can't be read: {1}")]
    Damaged(&'static str, String),
}

/// The state of a job or of one of its pictures.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its pictures are still arriving; nobody may work on it.
    Receiving,
    /// Waiting for a worker.
    Queued,
    /// At least one picture is being read or has been.
    Running,
    /// Finished. A job is done even if some of its pictures failed.
    Done,
    /// A picture that couldn't be read.
    Failed,
    /// Cancelled by its owner.
    Cancelled,
}

/// A job to create.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Its owner.
    pub owner: String,
    /// The requirements as the caller gave them, already validated.
    pub requirements: Value,
    /// A second job with the same key and owner is the first job.
    pub idempotency_key: Option<String>,
}

/// A job: pictures read as one piece of work.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub id: Uuid,
    /// Its owner.
    pub owner: String,
    /// Its state.
    pub state: State,
    /// The requirements as the caller gave them.
    pub requirements: Value,
    /// Number of pages. A file counts as one until it is known how many it has.
    pub total: u32,
    /// Pages read.
    pub done: u32,
    /// Pages that could not be read.
    pub failed: u32,
    /// When it was created.
    pub created_at: i64,
    /// When the first picture was started.
    pub started_at: Option<i64>,
    /// When the last picture was finished.
    pub finished_at: Option<i64>,
}

impl Job {
    /// Whether nothing will change any more.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Done | State::Cancelled)
    }
}

/// The result of [`Store::create_job`].
#[derive(Clone, Debug)]
pub enum Created {
    /// A new job in [`State::Receiving`].
    New(Job),
    /// The owner already has one with this idempotency key.
    Existing(Job),
}

/// One picture of a job.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its place in the job, from 0.
    pub index: u32,
    /// The caller's name for it.
    pub name: String,
    /// Its state.
    pub state: State,
    /// The answer's pages, once done, unless they are in [`pages::Pages::pages`].
    pub result: Option<Value>,
    /// A problem document, once failed.
    pub error: Option<Value>,
    /// When it was finished.
    pub finished_at: Option<i64>,
    /// How many pages are read one by one, where they are.
    pub pages: Option<u32>,
}

/// What an owner has in unfinished jobs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Waiting {
    /// Pages that aren't finished.
    pub pictures: u64,
    /// Bytes of all pictures of these jobs.
    pub bytes: u64,
}

/// Identifies one picture, or one page of a file that was split.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ItemKey {
    /// Id of the job.
    pub job: Uuid,
    /// Index in the job, from 0.
    pub index: u32,
    /// The page's position in the file, from 0; none for the file as a whole.
    pub page: Option<u32>,
}

impl ItemKey {
    /// A file of a job as a whole.
    pub fn file(job: Uuid, index: u32) -> Self {
        Self {
            job,
            index,
            page: None,
        }
    }
}

/// A picture given to a worker for a while.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which picture.
    pub item: ItemKey,
    /// Owner of the job.
    pub owner: String,
    /// The caller's name for it.
    pub name: String,
    /// Requirements of the job.
    pub requirements: Value,
    /// Which pages, and how, as it was added with.
    pub options: Option<Value>,
    /// How many pages it was split into. A file that was is claimed for its end: none of them is open.
    pub pages: Option<u32>,
    /// The id of the file's answer, if it was split.
    pub answer: Option<Uuid>,
    /// Its bytes; none of a file that was split, nor of its pages: see [`pages::Pages::picture`].
    pub picture: Vec<u8>,
    /// How many readings of it began and never ended: each may have killed its server.
    pub attempt: u32,
    /// How many readings of it failed for a server's own reasons.
    pub retries: u32,
}

/// How a claimed picture ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was read.
    Done {
        /// The answer's id.
        id: Uuid,
        /// The answer's pages; null of a file that was split; for a page, itself.
        result: Value,
        /// None if the history is off.
        history: Vec<NewEntry>,
    },
    /// A problem document.
    Failed(Value),
}

/// An answer to store.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The answer's id.
    pub id: Uuid,
    /// Its owner.
    pub owner: String,
    /// The caller's name for the picture; may be empty.
    pub name: String,
    /// The answer's text, which is searched.
    pub text: String,
    /// The answer's JSON.
    pub document: Arc<str>,
    /// The picture, if the operator keeps originals.
    pub original: Option<Bytes>,
}

/// A stored answer in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The answer's id.
    pub id: Uuid,
    /// The caller's name for the picture.
    pub name: String,
    /// When it was read.
    pub created_at: i64,
    /// The text's first 200 characters.
    pub preview: String,
    /// Whether [`Store::original`] has its picture.
    pub has_original: bool,
}

/// A stored answer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As in the list.
    pub summary: Summary,
    /// The answer.
    pub document: Value,
}

/// What a key allows.
#[derive(
    Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read pictures, and the owner's history.
    Recognize,
    /// Create and see jobs.
    Jobs,
    /// Scrape the metrics.
    Metrics,
    /// Reload models, and administer the keys.
    Admin,
}

/// An API key to store. The key itself never reaches the store.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its id, the owner of everything created with it.
    pub id: Uuid,
    /// A name for people.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// Its scopes.
    pub scopes: Vec<Scope>,
    /// Requests per minute; none: the server's own limit.
    pub rate: Option<u32>,
    /// When it expires.
    pub expires_at: Option<i64>,
}

/// A stored API key.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it was stored.
    pub key: NewKey,
    /// When it was created.
    pub created_at: i64,
    /// When it was revoked.
    pub revoked_at: Option<i64>,
}

/// Opens the database at a URL and creates or migrates its tables. `sqlite:PATH` is a file, created with its folder if
/// missing, both private to this user; `postgres://…` and `postgresql://…` are a server, with libpq's parameters.
///
/// # Errors
/// The URL is of an unknown kind, the database doesn't respond, or it was made by a newer version. No error shows the
/// URL, because it may hold a password.
pub async fn open(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    open_with(address, CONNECTIONS).await
}

/// The same with at most so many connections to a database server.
///
/// # Errors
/// As for [`open`].
pub async fn open_with(address: &str, connections: u32) -> Result<Arc<dyn Store>, StoreError> {
    #[cfg(feature = "sqlite")]
    if let Some(path) = address.strip_prefix("sqlite:") {
        return Ok(Arc::new(sqlite::Sqlite::open(path).await?));
    }
    #[cfg(feature = "postgres")]
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Arc::new(
            postgres::Postgres::open(address, connections).await?,
        ));
    }
    let _ = connections;
    Err(StoreError::Address(format!(
        "no such database in this build: its address begins with {}",
        SCHEMES.join(" or ")
    )))
}

/// Connections to a database server, unless the operator says otherwise.
pub const CONNECTIONS: u32 = 10;

const SCHEMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite:",
    #[cfg(feature = "postgres")]
    "postgres://",
];

/// What [`Store::purge`] deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Purged {
    /// Deleted jobs, with their pictures.
    pub jobs: u64,
    /// Deleted answers.
    pub entries: u64,
}

/// Jobs, history and keys in a database. Every method is one transaction.
#[async_trait]
pub trait Store: files::Files + pages::Pages + webhooks::Webhooks + Send + Sync + 'static {
    /// Checks that the database responds.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Creates a job that is to receive its pictures.
    async fn create_job(&self, job: NewJob) -> Result<Created, StoreError>;
    /// Adds a picture to a receiving job; its `index` is the number of those before it. Otherwise
    /// [`StoreError::NotReceiving`]. `options` come with its claims.
    async fn add_item(
        &self,
        item: ItemKey,
        name: &str,
        options: Option<&Value>,
        picture: &[u8],
    ) -> Result<(), StoreError>;
    /// How many pages of the owner's unfinished jobs wait or are being read, and what such jobs weigh.
    async fn waiting(&self, owner: &str) -> Result<Waiting, StoreError>;
    /// Starts a job whose pictures have all arrived. A job without pictures is done at once. One that was already started
    /// or cancelled stays as it is; [`StoreError::NotReceiving`] if it is gone.
    async fn start_job(&self, id: Uuid) -> Result<Job, StoreError>;
    /// Deletes a job whose pictures did not all arrive.
    async fn abandon_job(&self, id: Uuid) -> Result<(), StoreError>;
    /// One of the owner's jobs.
    async fn job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;
    /// The owner's jobs, newest first, older than the one with the id `before`.
    async fn jobs(
        &self,
        owner: &str,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Job>, StoreError>;
    /// Those of these jobs that still exist, whoever owns them.
    async fn jobs_by_id(&self, ids: &[Uuid]) -> Result<Vec<Job>, StoreError>;
    /// A job's pictures in order, from `first` on.
    async fn items(&self, id: Uuid, first: u32, limit: u32) -> Result<Vec<Item>, StoreError>;
    /// Cancels the owner's job: waiting pictures are cancelled, those being read lose their lease. A finished job stays as
    /// it is.
    async fn cancel_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;
    /// Lets the failed pictures of the owner's job, and the failed pages of its files that are over, be read again, as if
    /// for the first time. A cancelled job stays as it is.
    async fn retry_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;
    /// Deletes the owner's job with its results if it is over, and returns what it was.
    async fn delete_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;

    /// Gives a worker up to `max` waiting pages and pictures, for the length of the lease; none of the jobs in `avoid`.
    /// Pages of files that were split come first, then pictures, oldest job first. No two workers get the same one (`SKIP
    /// LOCKED`). What has an expired lease is waiting too.
    async fn claim(
        &self,
        worker: Uuid,
        max: u32,
        lease: Duration,
        avoid: &[Uuid],
    ) -> Result<Vec<Claim>, StoreError>;
    /// Notes that a claimed picture is being read from now on: if no end follows, that counts as an attempt. `false` if
    /// the worker no longer holds it.
    async fn begin(&self, worker: Uuid, item: ItemKey) -> Result<bool, StoreError>;
    /// Returns a claimed picture for another try after `wait`, by whichever worker. Its attempt doesn't count; with
    /// `failed` it counts as a retry. `false` if the worker no longer holds it.
    async fn postpone(
        &self,
        worker: Uuid,
        item: ItemKey,
        wait: Duration,
        failed: bool,
    ) -> Result<bool, StoreError>;
    /// Extends leases. Returns those the worker no longer holds, because they were cancelled or given to another.
    async fn renew(
        &self,
        worker: Uuid,
        items: &[ItemKey],
        lease: Duration,
    ) -> Result<Vec<ItemKey>, StoreError>;
    /// Records how a picture ended, deletes its bytes unless it or some of its pages failed, counts its pages in its job,
    /// finishes the job with its last picture and writes the history, all or nothing. A page is recorded and counted, and
    /// with the last one its file is waiting again. `false`, with nothing recorded, if the worker no longer holds the
    /// lease.
    async fn finish(
        &self,
        worker: Uuid,
        item: ItemKey,
        outcome: Outcome,
    ) -> Result<bool, StoreError>;
    /// Returns everything a worker holds, so that others need not wait for its leases to expire. The attempts don't
    /// count.
    async fn release(&self, worker: Uuid) -> Result<u64, StoreError>;
    /// Number of pictures and pages of jobs that wait for a worker.
    async fn backlog(&self) -> Result<u64, StoreError>;

    /// Stores answers in the history.
    async fn remember(&self, entries: Vec<NewEntry>) -> Result<(), StoreError>;
    /// The owner's answers, newest first, older than the one with the id `before`; with a query, those whose text or name
    /// contains all of its words. Chinese and Japanese words match anywhere.
    async fn history(
        &self,
        owner: &str,
        query: Option<&str>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Summary>, StoreError>;
    /// One of the owner's answers.
    async fn entry(&self, owner: &str, id: Uuid) -> Result<Option<Entry>, StoreError>;
    /// The picture of an answer, if it was kept.
    async fn original(&self, owner: &str, id: Uuid) -> Result<Option<Vec<u8>>, StoreError>;
    /// Deletes an answer, also from the job that it belongs to; `false` if there is none in the history.
    async fn forget(&self, owner: &str, id: Uuid) -> Result<bool, StoreError>;
    /// Deletes all of the owner's answers, with the jobs that are over and what others have read so far. Returns the
    /// number of answers in the history.
    async fn forget_all(&self, owner: &str) -> Result<u64, StoreError>;

    /// Remembers the hash of a nonce until a time; `false` if it is remembered already.
    async fn first_use(&self, hash: &[u8; 32], until: i64) -> Result<bool, StoreError>;

    /// Stores a key.
    async fn add_key(&self, key: NewKey) -> Result<(), StoreError>;
    /// The key with this hash, even if revoked or expired.
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<Key>, StoreError>;
    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;
    /// Revokes a key; `false` if there is no valid one.
    async fn revoke_key(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Forgets nonces whose time is over.
    async fn forget_nonces(&self) -> Result<u64, StoreError>;
    /// Deletes answers older than `entries`, jobs finished before `jobs`, and jobs that have been receiving since before
    /// `receiving`.
    async fn purge(
        &self,
        entries: Option<i64>,
        jobs: Option<i64>,
        receiving: i64,
    ) -> Result<Purged, StoreError>;
}
