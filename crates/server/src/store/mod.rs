//! What must survive a restart: jobs, history, keys. One trait, two databases.
//!
//! Times are milliseconds since 1970 (UTC). An `owner` is the id of the API key that made a thing, or empty where
//! the server is open; nobody sees what another owner made. Ids are UUIDs of version 7: their order is that of their
//! making, and lists are in it. Characters that PostgreSQL can't keep (NUL) come back as U+FFFD.

#[cfg(feature = "postgres")]
mod postgres;
mod rows;
mod search;
#[cfg(feature = "sqlite")]
mod sqlite;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

/// Why the store could not do it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address names no database this build knows.
    #[error("{0}")]
    Address(String),
    /// The database can't be reached or failed.
    #[error("the database: {0}")]
    Database(#[from] sqlx::Error),
    /// Its tables can't be brought up to date.
    #[error("the database's tables: {0}")]
    Migration(sqlx::migrate::MigrateError),
    /// A newer version of this program has changed its tables.
    #[error(
        "the database was made by a newer version of maoocr: its tables are at version {0}, this one knows version \
         {1}. Run the newer version, or name another database"
    )]
    Newer(i64, i64),
    /// The job takes no pictures: it is complete, cancelled or gone.
    #[error("job {0} takes no more pictures: it was started, cancelled or deleted")]
    NotReceiving(Uuid),
    /// What was stored can't be read back.
    #[error("the database holds {0} that can't be read: {1}")]
    Damaged(&'static str, String),
}

/// Where a job or one of its pictures stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Its pictures are still coming in; nobody may work on it.
    Receiving,
    /// Waiting for a worker.
    Queued,
    /// At least one picture is being read, or was.
    Running,
    /// Over. A job is done even where some of its pictures failed.
    Done,
    /// A picture that couldn't be read.
    Failed,
    /// Stopped by its owner.
    Cancelled,
}

/// A job to make.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Whose it is.
    pub owner: String,
    /// As the caller gave them, already checked.
    pub requirements: Value,
    /// A second job with the same key and owner is the first one.
    pub idempotency_key: Option<String>,
}

/// Pictures read as one piece of work.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its name.
    pub id: Uuid,
    /// Whose it is.
    pub owner: String,
    /// Where it stands.
    pub state: State,
    /// As the caller gave them.
    pub requirements: Value,
    /// Pictures in it.
    pub total: u32,
    /// Read.
    pub done: u32,
    /// Not readable.
    pub failed: u32,
    /// When it was made.
    pub created_at: i64,
    /// When the first picture was begun.
    pub started_at: Option<i64>,
    /// When the last picture was finished.
    pub finished_at: Option<i64>,
}

/// What came of [`Store::create_job`].
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
    /// What the caller calls it.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// The answer's pages, once done.
    pub result: Option<Value>,
    /// A problem document, once failed.
    pub error: Option<Value>,
    /// When it was finished.
    pub finished_at: Option<i64>,
}

/// Names one picture.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ItemKey {
    /// Of the job.
    pub job: Uuid,
    /// In it.
    pub index: u32,
}

/// A picture given to a worker for a while.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Which.
    pub item: ItemKey,
    /// Whose job it is.
    pub owner: String,
    /// What the caller calls it.
    pub name: String,
    /// Of the job.
    pub requirements: Value,
    /// Its bytes.
    pub picture: Vec<u8>,
    /// How often it was claimed, this time included. A picture that kills its worker is claimed again and again.
    pub attempt: u32,
}

/// How a claimed picture ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The answer's pages, and what goes into the history.
    Done {
        /// The answer's pages.
        result: Value,
        /// None where the history is off.
        history: Vec<NewEntry>,
    },
    /// A problem document.
    Failed(Value),
}

/// An answer to remember.
#[derive(Clone, Debug)]
pub struct NewEntry {
    /// The answer's id.
    pub id: Uuid,
    /// Whose it is.
    pub owner: String,
    /// What the caller calls the picture; may be empty.
    pub name: String,
    /// The answer's text, which is searched.
    pub text: String,
    /// The answer.
    pub document: Value,
    /// The picture, where the operator keeps originals.
    pub original: Option<Vec<u8>>,
}

/// A remembered answer in a list.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The answer's id.
    pub id: Uuid,
    /// What the caller called the picture.
    pub name: String,
    /// When it was read.
    pub created_at: i64,
    /// The text's first 200 characters.
    pub preview: String,
    /// Whether [`Store::original`] has its picture.
    pub has_original: bool,
}

/// A remembered answer.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As in the list.
    pub summary: Summary,
    /// The answer.
    pub document: Value,
}

/// What a key may do.
#[derive(
    Clone, Copy, Debug, Eq, Hash, PartialEq, serde::Deserialize, Serialize, clap::ValueEnum,
)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Read pictures and the history of one's own.
    Recognize,
    /// Make and see jobs.
    Jobs,
    /// Scrape the metrics.
    Metrics,
    /// Reload models.
    Admin,
}

/// An API key to store. The key itself never reaches the store.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// Its name, which owns what is made with it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Requests a minute; none for the server's own limit.
    pub rate: Option<u32>,
    /// When it stops being valid.
    pub expires_at: Option<i64>,
}

/// A stored API key.
#[derive(Clone, Debug)]
pub struct Key {
    /// As it was stored.
    pub key: NewKey,
    /// When it was made.
    pub created_at: i64,
    /// When it was taken back.
    pub revoked_at: Option<i64>,
}

/// Opens the database at an address, makes or renews its tables. `sqlite:PATH` is a file, made where it is missing
/// with a folder around it, both for this user alone; `postgres://…` and `postgresql://…` are a server, and the
/// parameters are those of libpq.
///
/// # Errors
/// An address this build has no database for, a database that doesn't answer, one of a newer version. No error shows
/// the address: it may hold a password.
pub async fn open(address: &str) -> Result<Arc<dyn Store>, StoreError> {
    #[cfg(feature = "sqlite")]
    if let Some(path) = address.strip_prefix("sqlite:") {
        return Ok(Arc::new(sqlite::Sqlite::open(path).await?));
    }
    #[cfg(feature = "postgres")]
    if address.starts_with("postgres://") || address.starts_with("postgresql://") {
        return Ok(Arc::new(postgres::Postgres::open(address).await?));
    }
    Err(StoreError::Address(format!(
        "no such database in this build: its address begins with {}",
        SCHEMES.join(" or ")
    )))
}

const SCHEMES: &[&str] = &[
    #[cfg(feature = "sqlite")]
    "sqlite:",
    #[cfg(feature = "postgres")]
    "postgres://",
];

/// What [`Store::purge`] deleted.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Purged {
    /// Jobs with their pictures.
    pub jobs: u64,
    /// Remembered answers.
    pub entries: u64,
}

/// Jobs, history and keys in a database. Every method is one transaction.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Whether the database answers.
    async fn ping(&self) -> Result<(), StoreError>;

    /// Makes a job that receives its pictures.
    async fn create_job(&self, job: NewJob) -> Result<Created, StoreError>;
    /// Adds a picture to a job that receives; its `index` is the number of those before it. Else
    /// [`StoreError::NotReceiving`].
    async fn add_item(&self, item: ItemKey, name: &str, picture: &[u8]) -> Result<(), StoreError>;
    /// All pictures are there: the job may be worked on. A job of none is done at once. No change to one that was
    /// started or cancelled; [`StoreError::NotReceiving`] where it is gone.
    async fn start_job(&self, id: Uuid) -> Result<Job, StoreError>;
    /// Deletes a job whose pictures did not all arrive.
    async fn abandon_job(&self, id: Uuid) -> Result<(), StoreError>;
    /// The owner's job.
    async fn job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;
    /// A job's pictures in order, from `first` on.
    async fn items(&self, id: Uuid, first: u32, limit: u32) -> Result<Vec<Item>, StoreError>;
    /// Stops the owner's job: what waits is cancelled, what is being read loses its lease. No change to one that is
    /// over.
    async fn cancel_job(&self, owner: &str, id: Uuid) -> Result<Option<Job>, StoreError>;

    /// Gives up to `max` waiting pictures to a worker, oldest job first, for the length of the lease. Several workers
    /// never get the same one (`SKIP LOCKED`). Pictures whose lease ran out are waiting too.
    async fn claim(
        &self,
        worker: Uuid,
        max: u32,
        lease: Duration,
    ) -> Result<Vec<Claim>, StoreError>;
    /// Prolongs leases. Returns those the worker no longer holds: cancelled, or given to another.
    async fn renew(
        &self,
        worker: Uuid,
        items: &[ItemKey],
        lease: Duration,
    ) -> Result<Vec<ItemKey>, StoreError>;
    /// Records how a picture ended, deletes its bytes, counts it in its job and ends the job with its last picture,
    /// history included, all or nothing. `false`, and nothing recorded, where the worker no longer holds the lease.
    async fn finish(
        &self,
        worker: Uuid,
        item: ItemKey,
        outcome: Outcome,
    ) -> Result<bool, StoreError>;
    /// Gives back everything a worker holds, so that others need not wait for its leases to run out. The attempts
    /// don't count.
    async fn release(&self, worker: Uuid) -> Result<u64, StoreError>;
    /// Pictures of jobs that wait for a worker.
    async fn backlog(&self) -> Result<u64, StoreError>;

    /// Remembers answers.
    async fn remember(&self, entries: Vec<NewEntry>) -> Result<(), StoreError>;
    /// The owner's answers, newest first, before the one named `before`; with a query, those whose text or name has
    /// every one of its words. A word of Chinese or Japanese is found wherever it stands.
    async fn history(
        &self,
        owner: &str,
        query: Option<&str>,
        before: Option<Uuid>,
        limit: u32,
    ) -> Result<Vec<Summary>, StoreError>;
    /// One of them.
    async fn entry(&self, owner: &str, id: Uuid) -> Result<Option<Entry>, StoreError>;
    /// Its picture, where it was kept.
    async fn original(&self, owner: &str, id: Uuid) -> Result<Option<Vec<u8>>, StoreError>;
    /// Deletes one; `false` where there is none.
    async fn forget(&self, owner: &str, id: Uuid) -> Result<bool, StoreError>;
    /// Deletes all of the owner's.
    async fn forget_all(&self, owner: &str) -> Result<u64, StoreError>;

    /// Stores a key.
    async fn add_key(&self, key: NewKey) -> Result<(), StoreError>;
    /// The key of this hash, revoked and expired ones too.
    async fn key(&self, hash: &[u8; 32]) -> Result<Option<Key>, StoreError>;
    /// All keys, oldest first.
    async fn keys(&self) -> Result<Vec<Key>, StoreError>;
    /// Takes a key back; `false` where there is none that was valid.
    async fn revoke_key(&self, id: Uuid) -> Result<bool, StoreError>;

    /// Deletes answers made before `entries`, jobs finished before `jobs`, and jobs that have been receiving since
    /// before `receiving`.
    async fn purge(
        &self,
        entries: Option<i64>,
        jobs: Option<i64>,
        receiving: i64,
    ) -> Result<Purged, StoreError>;
}
