//! Jobs that exist: their state and results, their progress, and what their owner can do with them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{self, Stream, StreamExt};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::schema::Answer;
use crate::api::{Path, Query, within};
use crate::app::App;
use crate::auth::{CHECK, Caller};
use crate::callers::Kind;
use crate::problem::Problem;
use crate::reading::merged;
use crate::split;
use crate::store::{Item, ItemKey, Job, Scope, State as JobState};

/// Most pictures or jobs per page.
const PAGE: u32 = 100;

/// A job.
#[derive(Serialize, ToSchema)]
pub struct JobStatus {
    /// The job's id.
    pub id: Uuid,
    /// `receiving`, `queued`, `running`, `done` or `cancelled`.
    #[schema(value_type = String)]
    pub state: JobState,
    /// Pages in the job. A file counts as one until it is known how many it has.
    pub total: u32,
    /// Pages read.
    pub done: u32,
    /// Pages that could not be read; each says why.
    pub failed: u32,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When the first picture was started, likewise.
    pub started_at: Option<i64>,
    /// When the last picture was finished, likewise.
    pub finished_at: Option<i64>,
}

impl From<&Job> for JobStatus {
    fn from(job: &Job) -> Self {
        Self {
            id: job.id,
            state: job.state,
            total: job.total,
            done: job.done,
            failed: job.failed,
            created_at: job.created_at,
            started_at: job.started_at,
            finished_at: job.finished_at,
        }
    }
}

/// A job and some of its pictures.
#[derive(Serialize, ToSchema)]
pub struct JobResults {
    /// Its state.
    #[serde(flatten)]
    pub job: JobStatus,
    /// Its pictures in order, from `first` on.
    pub results: Vec<JobResult>,
    /// The `first` of the next page; none on the last.
    pub next: Option<u32>,
}

/// One picture of a job.
#[derive(Serialize, ToSchema)]
pub struct JobResult {
    /// Its place in the job.
    pub index: u32,
    /// The caller's name for it.
    pub name: String,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    #[schema(value_type = String)]
    pub state: JobState,
    /// The answer, once done; of a cancelled job, what was read until then. Pages that could not be read among others have
    /// an `error` in it.
    #[schema(value_type = Option<Answer>)]
    pub document: Option<Box<RawValue>>,
    /// Why it could not be read.
    #[schema(value_type = Option<Problem>)]
    pub error: Option<Value>,
}

impl JobResult {
    async fn new(app: &App, job: Uuid, item: Item) -> Result<Self, Problem> {
        let over = matches!(item.state, JobState::Done | JobState::Cancelled);
        let document = match item.result {
            Some(Value::Array(pages)) => Some(to_raw_value(&merged(pages))),
            Some(other) => Some(to_raw_value(&other)),
            None if over && item.pages.is_some() => {
                let merged = split::answer(app, ItemKey::file(job, item.index)).await?;
                merged.ok().map(|merged| RawValue::from_string(merged.json))
            }
            None => None,
        };
        let unreadable = |error| Problem::internal("answer_unreadable", error);
        Ok(Self {
            index: item.index,
            name: item.name,
            state: item.state,
            document: document.transpose().map_err(unreadable)?,
            error: item.error,
        })
    }
}

/// Jobs, newest first.
#[derive(Serialize, ToSchema)]
pub struct JobList {
    /// The jobs on this page.
    pub jobs: Vec<JobStatus>,
    /// The `before` of the next page; none on the last.
    pub next: Option<Uuid>,
}

/// Which jobs to return.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WantedJobs {
    /// Only jobs older than this one: the last id of the previous page.
    before: Option<Uuid>,
    /// The most to return.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// Which pictures to return.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Index of the first one.
    #[param(minimum = 0, maximum = 2147483647, default = 0)]
    first: Option<u32>,
    /// Maximum number to return; 0 for the job alone.
    #[param(minimum = 0, maximum = 100, default = 20)]
    limit: Option<u32>,
}

fn none() -> Problem {
    Problem::not_found("there is no such job, or it has been deleted")
}

/// Get a job
#[utoipa::path(
    get,
    path = "/api/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id"), Wanted),
    responses(
        (status = 200, description = "Its state and some of its pictures", body = JobResults),
        (status = "4XX", description = "No such job, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<JobResults>, Problem> {
    caller.needs(Scope::Jobs)?;
    let first = within("first", wanted.first.unwrap_or(0), 0..=i32::MAX as u32)?;
    let limit = within("limit", wanted.limit.unwrap_or(20), 0..=PAGE)?;
    let job = app.store.job(&caller.owner, id).await?.ok_or_else(none)?;
    // One more says whether there is another page.
    let items = match limit {
        0 => Vec::new(),
        limit => app.store.items(id, first, limit + 1).await?,
    };
    let more = items.len() > limit as usize;
    let mut results = Vec::new();
    for item in items.into_iter().take(limit as usize) {
        results.push(JobResult::new(&app, id, item).await?);
    }
    Ok(Json(JobResults {
        job: (&job).into(),
        next: more.then(|| first + limit),
        results,
    }))
}

/// List jobs
#[utoipa::path(
    get,
    path = "/api/jobs",
    tag = "jobs",
    params(WantedJobs),
    responses(
        (status = 200, description = "Newest first", body = JobList),
        (status = "4XX", description = "Invalid parameter, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<WantedJobs>,
) -> Result<Json<JobList>, Problem> {
    caller.needs(Scope::Jobs)?;
    if caller.is_stranger() {
        let detail = "callers without a key can't list jobs: keep the ids of your own";
        return Err(Problem::not_found(detail));
    }
    let limit = within("limit", wanted.limit.unwrap_or(20), 1..=PAGE)?;
    let jobs = app.store.jobs(&caller.owner, wanted.before, limit).await?;
    let full = jobs.len() == limit as usize;
    Ok(Json(JobList {
        next: jobs.last().filter(|_| full).map(|job| job.id),
        jobs: jobs.iter().map(JobStatus::from).collect(),
    }))
}

/// Cancel or delete a job
///
/// A finished job is deleted with its results. Otherwise, waiting pictures are cancelled, those being read are stopped,
/// and the results so far are kept.
#[utoipa::path(
    delete,
    path = "/api/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Its new state, or its last one if it was deleted", body = JobStatus),
        (status = "4XX", description = "No such job, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<JobStatus>, Problem> {
    caller.needs(Scope::Jobs)?;
    if let Some(job) = app.store.delete_job(&caller.owner, id).await? {
        return Ok(Json((&job).into()));
    }
    let job = app.store.cancel_job(&caller.owner, id).await?;
    let job = job.ok_or_else(none)?;
    app.running.stop(id);
    app.followers.look();
    Ok(Json((&job).into()))
}

/// Retry the failed pictures of a job
///
/// They are read again; the others keep their results. A job without failed pictures is left unchanged.
#[utoipa::path(
    post,
    path = "/api/jobs/{id}/retry",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Its new state", body = JobStatus),
        (status = "4XX", description = "No such job, it was cancelled or is still being uploaded, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn retry(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<JobStatus>, Problem> {
    caller.needs(Scope::Jobs)?;
    let job = app.store.retry_job(&caller.owner, id).await?;
    let job = job.ok_or_else(none)?;
    if matches!(job.state, JobState::Cancelled | JobState::Receiving) {
        return Err(Problem::new(
            StatusCode::CONFLICT,
            "job_not_started",
            "a job that was cancelled or is still being uploaded can't be retried",
        ));
    }
    app.work.notify_one();
    Ok(Json((&job).into()))
}

/// Follow a job
///
/// Server-sent events: `progress` with the job whenever it changes, `done` with the job at the end.
#[utoipa::path(
    get,
    path = "/api/jobs/{id}/events",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Events until the job ends", body = String, content_type = "text/event-stream"),
        (status = "4XX", description = "No such job, too many listeners, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn events(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.needs(Scope::Jobs)?;
    let job = app.store.job(&caller.owner, id).await?.ok_or_else(none)?;
    let holding = caller.hold(&app, Kind::Followers)?;
    let followed = app.followers.follow(&job);
    let first = event(&job);
    let rest = stream::unfold(
        (app, caller, followed, holding),
        async |(app, caller, mut followed, holding)| {
            let job = loop {
                tokio::select! {
                    job = followed.next() => break job?,
                    () = app.stopping.cancelled() => return None,
                    () = tokio::time::sleep(CHECK) => {
                        if !caller.is_valid(&app).await {
                            return None;
                        }
                    }
                }
            };
            Some((event(&job), (app, caller, followed, holding)))
        },
    );
    let events = stream::once(std::future::ready(first)).chain(rest);
    Ok(Sse::new(events).keep_alive(KeepAlive::default()))
}

fn event(job: &Job) -> Result<Event, Infallible> {
    let name = if job.is_over() { "done" } else { "progress" };
    // Plain data always serialises.
    let data = serde_json::to_string(&JobStatus::from(job)).unwrap_or_default();
    Ok(Event::default().event(name).data(data))
}
