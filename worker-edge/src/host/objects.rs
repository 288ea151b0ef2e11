//! Durable Objects: one for each caller's quota, one for each batch.

use std::cell::Cell;

use worker::{DurableObject, Env, Method, Request, Response, Result, State, durable_object};

use super::js;
use crate::job::{Change, Job};
use crate::quota::{self, Bucket};

/// The bucket of one key or address, in memory alone where it fills within the ten seconds for which the runtime keeps
/// an object that nobody asks.
#[durable_object(fetch)]
pub struct Quota {
    state: State,
    bucket: Cell<Option<Bucket>>,
}

impl DurableObject for Quota {
    fn new(state: State, _env: Env) -> Self {
        Self {
            state,
            bucket: Cell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let url = request.url()?;
        let rate = url
            .query()
            .and_then(|q| q.strip_prefix("rate=")?.parse().ok());
        let (rate, now) = (rate.unwrap_or(1).max(1), js::now());
        let slow = quota::is_slow(rate);
        let mut bucket = self.bucket.get();
        if slow && bucket.is_none() {
            bucket = self.state.storage().get("bucket").await?;
        }
        let mut bucket = bucket.unwrap_or_else(|| Bucket::full(rate, now));
        let wait = bucket.take(rate, now).err().unwrap_or(0);
        self.bucket.set(Some(bucket));
        if slow && wait == 0 {
            self.state.storage().put("bucket", bucket).await?;
        }
        Response::ok(wait.to_string())
    }
}

/// One batch: `GET` it, or `POST` a [`Change`] and get what it is then.
#[durable_object(alarm)]
pub struct Batch {
    state: State,
}

impl Batch {
    async fn found(&self) -> Result<Option<Job>> {
        let found: Option<String> = self.state.storage().get("job").await?;
        Ok(found.map(|text| serde_json::from_str(&text)).transpose()?)
    }

    /// Keeps it, and looks at it again when it is due.
    async fn keep(&self, job: &Option<Job>) -> Result<()> {
        let storage = self.state.storage();
        let Some(job) = job else {
            storage.delete_alarm().await?;
            return storage.delete_all().await;
        };
        storage.put("job", serde_json::to_string(job)?).await?;
        let wait = job.due().saturating_sub(js::now()).max(1);
        storage.set_alarm(wait as i64).await
    }
}

impl DurableObject for Batch {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        // All of the request first: from here on nothing is waited for but the storage, and nobody comes between.
        let change: Option<Change> = match request.method() {
            Method::Post => Some(serde_json::from_str(&request.text().await?)?),
            _ => None,
        };
        let found = self.found().await?;
        let job = match change {
            None => found,
            Some(change) => {
                let job = Job::changed(found.clone(), change);
                if job != found {
                    self.keep(&job).await?;
                }
                job
            }
        };
        Response::from_json(&job)
    }

    async fn alarm(&self) -> Result<Response> {
        if let Some(job) = self.found().await? {
            let early = js::now() < job.due();
            let job = if early { Some(job) } else { job.overdue() };
            self.keep(&job).await?;
        }
        Response::ok("")
    }
}
