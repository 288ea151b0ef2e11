//! What both databases share: their rows, and how they become the trait's types.

use serde_json::Value;
use sqlx::migrate::{MigrateError, Migrator};
use uuid::Uuid;

use super::pages::Page;
use super::webhooks::DueWebhook;
use super::{Claim, Item, ItemKey, Job, Key, NewEntry, NewKey, Scope, State, StoreError, Summary};
use super::{Entry, Outcome};

/// Characters of a text that a list shows.
const PREVIEW: usize = 200;

impl State {
    fn parse(name: &str) -> Result<Self, StoreError> {
        Ok(match name {
            "receiving" => Self::Receiving,
            "queued" => Self::Queued,
            "running" => Self::Running,
            "done" => Self::Done,
            "failed" => Self::Failed,
            "cancelled" => Self::Cancelled,
            _ => return Err(StoreError::Damaged("a state", name.into())),
        })
    }
}

pub struct JobRow {
    pub id: Uuid,
    pub owner: String,
    pub state: String,
    pub requirements: String,
    pub total: i64,
    pub done: i64,
    pub failed: i64,
    pub created_at: i64,
    pub started_at: Option<i64>,
    pub finished_at: Option<i64>,
}

impl TryFrom<JobRow> for Job {
    type Error = StoreError;

    fn try_from(row: JobRow) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.id,
            owner: row.owner,
            state: State::parse(&row.state)?,
            requirements: json(&row.requirements)?,
            total: count(row.total)?,
            done: count(row.done)?,
            failed: count(row.failed)?,
            created_at: row.created_at,
            started_at: row.started_at,
            finished_at: row.finished_at,
        })
    }
}

pub struct ItemRow {
    pub idx: i64,
    pub name: String,
    pub state: String,
    pub result: Option<String>,
    pub error: Option<String>,
    pub finished_at: Option<i64>,
    pub pages: Option<i64>,
}

impl TryFrom<ItemRow> for Item {
    type Error = StoreError;

    fn try_from(row: ItemRow) -> Result<Self, StoreError> {
        Ok(Self {
            index: count(row.idx)?,
            name: row.name,
            state: State::parse(&row.state)?,
            result: row.result.as_deref().map(json).transpose()?,
            error: row.error.as_deref().map(json).transpose()?,
            finished_at: row.finished_at,
            pages: row.pages.map(count).transpose()?,
        })
    }
}

pub struct PageRow {
    pub page: i64,
    pub state: String,
    pub result: Option<String>,
    pub error: Option<String>,
}

impl TryFrom<PageRow> for Page {
    type Error = StoreError;

    fn try_from(row: PageRow) -> Result<Self, StoreError> {
        Ok(Self {
            index: count(row.page)?,
            state: State::parse(&row.state)?,
            result: row.result,
            error: row.error,
        })
    }
}

pub struct ClaimRow {
    pub job: Uuid,
    pub idx: i64,
    pub page: Option<i64>,
    pub owner: String,
    pub name: String,
    pub requirements: String,
    pub options: Option<String>,
    pub pages: Option<i64>,
    pub answer: Option<Uuid>,
    pub picture: Option<Vec<u8>>,
    pub attempt: i64,
    pub retries: i64,
}

impl TryFrom<ClaimRow> for Claim {
    type Error = StoreError;

    fn try_from(row: ClaimRow) -> Result<Self, StoreError> {
        Ok(Self {
            item: ItemKey {
                job: row.job,
                index: count(row.idx)?,
                page: row.page.map(count).transpose()?,
            },
            owner: row.owner,
            name: row.name,
            requirements: json(&row.requirements)?,
            options: row.options.as_deref().map(json).transpose()?,
            pages: row.pages.map(count).transpose()?,
            answer: row.answer,
            picture: row.picture.unwrap_or_default(),
            attempt: count(row.attempt)?,
            retries: count(row.retries)?,
        })
    }
}

pub struct SummaryRow {
    pub id: Uuid,
    pub name: String,
    pub created_at: i64,
    pub preview: String,
    pub has_original: bool,
}

impl From<SummaryRow> for Summary {
    fn from(row: SummaryRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            created_at: row.created_at,
            preview: row.preview,
            has_original: row.has_original,
        }
    }
}

pub struct EntryRow {
    pub id: Uuid,
    pub name: String,
    pub created_at: i64,
    pub preview: String,
    pub has_original: bool,
    pub document: String,
}

impl TryFrom<EntryRow> for Entry {
    type Error = StoreError;

    fn try_from(row: EntryRow) -> Result<Self, StoreError> {
        Ok(Self {
            document: json(&row.document)?,
            summary: Summary {
                id: row.id,
                name: row.name,
                created_at: row.created_at,
                preview: row.preview,
                has_original: row.has_original,
            },
        })
    }
}

pub struct KeyRow {
    pub id: Uuid,
    pub name: String,
    pub hash: Vec<u8>,
    pub scopes: String,
    pub rate: Option<i64>,
    pub created_at: i64,
    pub expires_at: Option<i64>,
    pub revoked_at: Option<i64>,
}

impl TryFrom<KeyRow> for Key {
    type Error = StoreError;

    fn try_from(row: KeyRow) -> Result<Self, StoreError> {
        let scopes: Vec<Scope> = serde_json::from_str(&row.scopes)
            .map_err(|e| StoreError::Damaged("a key's scopes", e.to_string()))?;
        let hash = row.hash.try_into().map_err(|hash: Vec<u8>| {
            StoreError::Damaged("a key's hash", format!("{} bytes", hash.len()))
        })?;
        Ok(Self {
            key: NewKey {
                id: row.id,
                name: row.name,
                hash,
                scopes,
                rate: row.rate.map(count).transpose()?,
                expires_at: row.expires_at,
            },
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        })
    }
}

pub struct WebhookRow {
    pub job: Uuid,
    pub event: Uuid,
    pub url: String,
    pub attempts: i64,
}

impl TryFrom<WebhookRow> for DueWebhook {
    type Error = StoreError;

    fn try_from(row: WebhookRow) -> Result<Self, StoreError> {
        Ok(Self {
            job: row.job,
            event: row.event,
            url: row.url,
            attempts: count(row.attempts)?,
        })
    }
}

/// An outcome as stored in a picture's row.
pub struct Ending {
    pub state: &'static str,
    pub answer: Option<Uuid>,
    pub result: Option<String>,
    pub error: Option<String>,
    pub history: Vec<NewEntry>,
    /// Increments of the job's counters.
    pub done: i64,
    pub failed: i64,
}

impl From<Outcome> for Ending {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done {
                id,
                result,
                history,
            } => Self {
                state: "done",
                answer: Some(id),
                done: pages(&result),
                // Where the pages have results of their own, the file has none.
                result: (!result.is_null()).then(|| result.to_string()),
                error: None,
                history,
                failed: 0,
            },
            Outcome::Failed(problem) => Self {
                state: "failed",
                answer: None,
                result: None,
                error: Some(problem.to_string()),
                history: Vec::new(),
                done: 0,
                failed: 1,
            },
        }
    }
}

/// How many pages a result has; at least one.
fn pages(result: &Value) -> i64 {
    let pages = result.as_array().map_or(1, Vec::len).max(1);
    i64::try_from(pages).unwrap_or(i64::MAX)
}

/// Converts rows to the trait's types; the first that can't be read is the error.
pub fn all<R, T>(rows: Vec<R>) -> Result<Vec<T>, StoreError>
where
    T: TryFrom<R>,
    StoreError: From<T::Error>,
{
    rows.into_iter().map(|r| Ok(T::try_from(r)?)).collect()
}

/// Which of these aren't among those.
pub fn missing(these: &[ItemKey], those: &[ItemKey]) -> Vec<ItemKey> {
    let those: std::collections::HashSet<&ItemKey> = those.iter().collect();
    let these = these.iter().filter(|key| !those.contains(key));
    these.copied().collect()
}

/// Text that every database can store.
pub fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

/// The beginning of a text.
pub fn preview(text: &str) -> String {
    clean(&text.chars().take(PREVIEW).collect::<String>())
}

/// Scopes as stored in a key's row.
pub fn scopes(scopes: &[Scope]) -> String {
    Value::from_iter(scopes.iter().map(|s| serde_json::json!(s))).to_string()
}

/// A lease's length.
pub fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX / 4)
}

/// Bytes of a picture, or how many there are of anything.
pub fn length<T>(these: &[T]) -> i64 {
    i64::try_from(these.len()).unwrap_or(i64::MAX)
}

/// Ids as a JSON array of hexadecimal digits, for SQLite, which takes no lists.
#[cfg(feature = "sqlite")]
pub fn hex(ids: &[Uuid]) -> String {
    Value::from_iter(ids.iter().map(|id| id.simple().to_string())).to_string()
}

/// A number that can't be negative.
pub fn count(number: i64) -> Result<u32, StoreError> {
    u32::try_from(number).map_err(|_| StoreError::Damaged("a number", number.to_string()))
}

fn json(text: &str) -> Result<Value, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Damaged("JSON", e.to_string()))
}

/// Why the tables could not be migrated.
pub fn migration(error: MigrateError, known: &Migrator) -> StoreError {
    let newest = known.iter().map(|m| m.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(version) if version > newest => {
            StoreError::Newer(version, newest)
        }
        MigrateError::Execute(error) => error.into(),
        error => StoreError::Migration(error),
    }
}
