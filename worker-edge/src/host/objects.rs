//! Durable Objects: one for each caller's quota, one for each batch.

use std::cell::Cell;

use worker::{DurableObject, Env, Method, Request, Response, Result, State, durable_object};

use super::js;
use crate::job::{Job, Stage};
use crate::quota::Bucket;

/// How long a batch is remembered, ms.
const MEMORY: i64 = 7 * 86_400_000;

/// The bucket of one key or address, in memory alone: the runtime takes an object away only when nobody has asked for
/// longer than a bucket takes to fill.
#[durable_object(fetch)]
pub struct Quota {
    bucket: Cell<Option<Bucket>>,
}

impl DurableObject for Quota {
    fn new(_state: State, _env: Env) -> Self {
        Self {
            bucket: Cell::new(None),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let url = request.url()?;
        let rate = url
            .query()
            .and_then(|q| q.strip_prefix("rate=")?.parse().ok());
        let (rate, now) = (rate.unwrap_or(1).max(1), js::now());
        let mut bucket = self.bucket.get().unwrap_or_else(|| Bucket::full(rate, now));
        let wait = bucket.take(rate, now).err().unwrap_or(0);
        self.bucket.set(Some(bucket));
        Response::ok(wait.to_string())
    }
}

/// One batch: `GET` it; `PUT` it where there is none yet, and get the one there is; `POST` another stage.
#[durable_object(alarm)]
pub struct Batch {
    state: State,
}

impl DurableObject for Batch {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, mut request: Request) -> Result<Response> {
        let storage = self.state.storage();
        let found: Option<String> = storage.get("job").await?;
        let job = match (request.method(), found) {
            (Method::Put, None) => {
                storage.set_alarm(MEMORY).await?;
                Some(request.text().await?)
            }
            (Method::Post, Some(found)) => {
                let stage: Stage = request.json().await?;
                let mut job: Job = serde_json::from_str(&found)?;
                // Who cancels a batch while it is handed over cancels it at the server: see `batch::cancel`.
                job.stage = stage;
                Some(serde_json::to_string(&job)?)
            }
            (Method::Delete, Some(_)) => {
                storage.delete_all().await?;
                return Response::ok("null");
            }
            (_, found) => return Response::ok(found.unwrap_or_else(|| "null".into())),
        };
        if let Some(job) = &job {
            storage.put("job", job).await?;
        }
        Response::ok(job.unwrap_or_else(|| "null".into()))
    }

    async fn alarm(&self) -> Result<Response> {
        self.state.storage().delete_all().await?;
        Response::ok("")
    }
}
