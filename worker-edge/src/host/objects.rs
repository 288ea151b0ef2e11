//! Durable Objects: one for each caller's quota, one for each batch.

use worker::{DurableObject, Env, Method, Request, Response, Result, State, durable_object};

use super::js;
use crate::job::{Job, Stage};
use crate::quota::Bucket;

/// How long a batch is remembered, ms.
const MEMORY: i64 = 7 * 86_400_000;

/// The bucket of one key or address.
#[durable_object(fetch)]
pub struct Quota {
    state: State,
}

impl DurableObject for Quota {
    fn new(state: State, _env: Env) -> Self {
        Self { state }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let url = request.url()?;
        let rate = url
            .query()
            .and_then(|q| q.strip_prefix("rate=")?.parse().ok())
            .unwrap_or(1)
            .max(1);
        let now = js::now();
        // Read before each use, not kept: the runtime lets no other request in between reading and writing.
        let storage = self.state.storage();
        let mut bucket = storage
            .get("bucket")
            .await?
            .unwrap_or_else(|| Bucket::full(rate, now));
        let wait = bucket.take(rate, now).err().unwrap_or(0);
        storage.put("bucket", bucket).await?;
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
