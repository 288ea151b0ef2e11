//! Many pictures as one job.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::multipart::Multipart;
use axum::extract::{Extension, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::Requirements;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::schema::{self, Answer};
use crate::api::{Path, Query};
use crate::app::App;
use crate::auth::Caller;
use crate::input;
use crate::problem::Problem;
use crate::reading::merged;
use crate::store::{Created, Item, ItemKey, Job, NewJob, Scope, State as JobState};

/// Most pictures of one page of a job's results.
const PAGE: u32 = 100;
/// How often a job is looked at for whoever listens to its progress.
const LOOK: Duration = Duration::from_millis(400);
/// Longest idempotency key, characters.
const KEY: usize = 200;

/// A job.
#[derive(Serialize, ToSchema)]
pub struct JobStatus {
    /// Its name.
    pub id: Uuid,
    /// receiving, queued, running, done, cancelled.
    #[schema(value_type = String)]
    pub state: JobState,
    /// Pictures in it.
    pub total: u32,
    /// Read.
    pub done: u32,
    /// Not readable; each says why.
    pub failed: u32,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// When its first picture was begun, likewise.
    pub started_at: Option<i64>,
    /// When its last picture was finished, likewise.
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
    /// How it stands.
    #[serde(flatten)]
    pub job: JobStatus,
    /// Its pictures in order, from the one asked for on.
    pub results: Vec<JobResult>,
    /// Give it as `first` for the next page; none on the last one.
    pub next: Option<u32>,
}

/// One picture of a job.
#[derive(Serialize, ToSchema)]
pub struct JobResult {
    /// Its place in the job.
    pub index: u32,
    /// What the caller called it.
    pub name: String,
    /// queued, running, done, failed, cancelled.
    #[schema(value_type = String)]
    pub state: JobState,
    /// What it says, once done.
    #[schema(value_type = Option<Answer>)]
    pub document: Option<Value>,
    /// Why it could not be read.
    #[schema(value_type = Option<Problem>)]
    pub error: Option<Value>,
}

impl From<Item> for JobResult {
    fn from(item: Item) -> Self {
        let document = item.result.map(|pages| match pages {
            Value::Array(pages) => merged(pages),
            other => other,
        });
        Self {
            index: item.index,
            name: item.name,
            state: item.state,
            document,
            error: item.error,
        }
    }
}

/// Which pictures.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The first one's index.
    #[param(minimum = 0, default = 0)]
    first: Option<u32>,
    /// How many at most; 0 for the job alone.
    #[param(minimum = 0, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// A form with pictures.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct Form {
    /// What the caller needs, as JSON. It comes before the pictures.
    #[schema(required = false)]
    requirements: Option<schema::Requirements>,
    /// The files, one part each.
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<Vec<u8>>,
}

/// The JSON form of a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"images": [{"name": "page 1", "image_base64": crate::api::EXAMPLE}]}))]
pub struct JsonJob {
    /// The pictures.
    images: Vec<JsonJobPicture>,
    /// What the caller needs.
    #[schema(value_type = Option<schema::Requirements>)]
    requirements: Option<Value>,
}

/// A picture of a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonJobPicture {
    /// The file in base64, or a data URL.
    image_base64: String,
    /// What to call it.
    name: Option<String>,
}

/// Read many pictures
///
/// The answer comes as soon as all pictures are stored; then the job survives whatever happens to the server. A second
/// request with the same `Idempotency-Key` is answered with the first one's job; while the first is still being
/// uploaded, the second takes its place and the first is answered with 409.
#[utoipa::path(
    post,
    path = "/api/ocr/batch",
    tag = "jobs",
    params(("idempotency-key" = Option<String>, Header, description = "Any text, new for each job", max_length = 200)),
    request_body(content((Form = "multipart/form-data"), (JsonJob = "application/json"))),
    responses(
        (status = 202, description = "The job", body = JobStatus, headers(("location" = String, description = "Where it can be seen"))),
        (status = "4XX", description = "A picture or the request can't be used; there is no job", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload, or the database doesn't answer; there is no job", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    caller.needs(Scope::Jobs)?;
    let limit = app.config.max_batch_size << 20;
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|v| v.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|l| l > limit) {
        return Err(too_much(limit));
    }
    let idempotency_key = idempotency_key(request.headers())?;
    let multipart = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.to_ascii_lowercase().starts_with("multipart/form-data"));
    let mut intake = Intake {
        app: app.clone(),
        owner: caller.owner,
        idempotency_key,
        job: None,
        total: 0,
        left: limit,
    };
    let received = if multipart {
        receive_form(&mut intake, request).await
    } else {
        receive_json(&mut intake, request).await
    };
    let job = match received {
        Ok(()) => intake.start().await?,
        Err(Ended::Existing(job)) => job,
        Err(Ended::Problem(problem)) => return Err(problem),
    };
    let mut response = (StatusCode::ACCEPTED, Json(JobStatus::from(&job))).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

fn too_much(limit: u64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("a job's request has at most {limit} bytes: make several jobs"),
    )
}

fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    match value.to_str() {
        Ok(key) if !key.is_empty() && key.len() <= KEY => Ok(Some(key.into())),
        _ => Err(Problem::bad_request(
            "invalid_idempotency_key",
            format!("an idempotency key has 1 to {KEY} visible ASCII characters"),
        )
        .field("idempotency-key")),
    }
}

/// Why receiving a job ended early.
enum Ended {
    /// There is one with this idempotency key.
    Existing(Job),
    /// It can't be.
    Problem(Problem),
}

impl<T: Into<Problem>> From<T> for Ended {
    fn from(problem: T) -> Self {
        Self::Problem(problem.into())
    }
}

/// Stores pictures as they come, so that a large job needs little memory. A job that isn't started is deleted.
struct Intake {
    app: Arc<App>,
    owner: String,
    idempotency_key: Option<String>,
    job: Option<Uuid>,
    total: u32,
    /// Bytes that may still come.
    left: u64,
}

impl Intake {
    async fn open(&mut self, requirements: &Requirements) -> Result<(), Ended> {
        // What can't be planned now need not wait in a queue to fail.
        self.app.models.plan(requirements)?;
        let job = NewJob {
            owner: self.owner.clone(),
            requirements: json!(requirements),
            idempotency_key: self.idempotency_key.take(),
        };
        loop {
            match self.app.store.create_job(job.clone()).await? {
                Created::New(job) => {
                    self.job = Some(job.id);
                    return Ok(());
                }
                // Its server may have died amid the upload, and nobody can tell: whoever comes with all of it again
                // takes its place. An upload that still goes on finds its job gone.
                Created::Existing(job) if job.state == JobState::Receiving => {
                    self.app.store.abandon_job(job.id).await?;
                }
                Created::Existing(job) => return Err(Ended::Existing(job)),
            }
        }
    }

    async fn add(&mut self, name: &str, picture: &[u8]) -> Result<(), Ended> {
        let Some(job) = self.job else {
            return Ok(());
        };
        if picture.is_empty() {
            return Err(Problem::from(ImagingError::Empty)
                .field(input::short(name))
                .into());
        }
        let most = self.app.config.max_batch;
        if self.total >= most {
            let detail = format!("a job has at most {most} pictures: make several jobs");
            return Err(Problem::unprocessable("too_many_pictures", detail).into());
        }
        let limit = self.app.config.max_batch_size << 20;
        self.left = self
            .left
            .checked_sub(picture.len() as u64)
            .ok_or_else(|| too_much(limit))?;
        let item = ItemKey {
            job,
            index: self.total,
        };
        let name = input::short(name);
        self.app.store.add_item(item, &name, picture).await?;
        self.total += 1;
        Ok(())
    }

    async fn start(mut self) -> Result<Job, Problem> {
        match self.job {
            Some(id) if self.total > 0 => {
                let job = self.app.store.start_job(id).await?;
                self.job = None;
                self.app.work.notify_one();
                Ok(job)
            }
            _ => Err(Problem::unprocessable(
                "picture_missing",
                "a job needs at least one picture",
            )),
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        let Some(id) = self.job.take() else {
            return;
        };
        let app = self.app.clone();
        tokio::spawn(async move {
            // One that stays is deleted later, with others whose sender vanished.
            if let Err(error) = app.store.abandon_job(id).await {
                tracing::warn!(%error, job = %id, "a job that was given up could not be deleted");
            }
        });
    }
}

async fn receive_form(intake: &mut Intake, request: Request) -> Result<(), Ended> {
    let app = intake.app.clone();
    // One picture at a time is in memory.
    let _memory = app.memory(app.config.file_bytes())?;
    let mut form = Multipart::from_request(request, &())
        .await
        .map_err(|e| Problem::bad_request("invalid_multipart", e.body_text()))?;
    let mut requirements = None;
    let limit = app.config.upload_timeout;
    loop {
        let field = tokio::time::timeout(limit, form.next_field()).await;
        let field = field.map_err(|_| input::too_slow(limit))?;
        let Some(field) = field.map_err(input::malformed)? else {
            break;
        };
        match field.name() {
            Some("requirements") if requirements.is_none() && intake.job.is_none() => {
                let text = input::part(&app, field, 64 << 10).await?;
                requirements = Some(input::requirements_of(&text)?);
            }
            Some("requirements") if requirements.is_none() => {
                let detail = "the requirements must come before the first picture";
                let problem = Problem::unprocessable("unexpected_part", detail);
                return Err(problem.field("requirements").into());
            }
            Some("image" | "images" | "file") => {
                if intake.job.is_none() {
                    intake
                        .open(&requirements.clone().unwrap_or_default())
                        .await?;
                }
                let name = field.file_name().unwrap_or("").to_string();
                let part = input::part(&app, field, app.config.file_bytes());
                let picture = tokio::time::timeout(limit, part).await;
                let picture = picture.map_err(|_| input::too_slow(limit))??;
                intake.add(&name, &picture).await?;
            }
            other => return Err(input::unexpected(other, "requirements, image").into()),
        }
    }
    Ok(())
}

async fn receive_json(intake: &mut Intake, request: Request) -> Result<(), Ended> {
    let app = intake.app.clone();
    // JSON is in memory whole: a job that is larger than a few pictures is sent as a form.
    let most = app.config.file_bytes() / 3 * 4 + (64 << 10);
    let _memory = app.memory(most)?;
    let limit = app.config.upload_timeout;
    let body = tokio::time::timeout(limit, input::collect(request.into_body(), most)).await;
    let body = body
        .map_err(|_| input::too_slow(limit))?
        .map_err(|error| match error {
            input::BodyError::TooLarge(_) => Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_large",
                format!("a job as JSON has at most {most} bytes: send it as a form"),
            ),
            input::BodyError::Broken => {
                Problem::bad_request("body_broken", "the body ended before its end")
            }
        })?;
    let job: JsonJob = input::from_json(&body)?;
    drop(body);
    let requirements = match &job.requirements {
        Some(requirements) => Requirements::from_json(requirements).map_err(Problem::from)?,
        None => Requirements::default(),
    };
    if job.images.is_empty() {
        return Ok(());
    }
    intake.open(&requirements).await?;
    for picture in job.images {
        let bytes = input::decode(&app, &picture.image_base64)?;
        intake
            .add(picture.name.as_deref().unwrap_or(""), &bytes)
            .await?;
    }
    Ok(())
}

fn none() -> Problem {
    Problem::not_found("there is no such job, or no longer")
}

/// A job
#[utoipa::path(
    get,
    path = "/api/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id"), Wanted),
    responses(
        (status = 200, description = "How it stands, and some of its pictures", body = JobResults),
        (status = "4XX", description = "There is none, or no right to see it", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
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
    let first = wanted.first.unwrap_or(0);
    let limit = wanted.limit.unwrap_or(20);
    if limit > PAGE {
        let detail = format!("limit must be between 0 and {PAGE}");
        return Err(Problem::unprocessable("invalid_query", detail).field("limit"));
    }
    let job = app.store.job(&caller.owner, id).await?.ok_or_else(none)?;
    let items = if limit > 0 && first < job.total {
        app.store.items(id, first, limit).await?
    } else {
        Vec::new()
    };
    let next = first.saturating_add(items.len() as u32);
    Ok(Json(JobResults {
        job: (&job).into(),
        next: (!items.is_empty() && next < job.total).then_some(next),
        results: items.into_iter().map(JobResult::from).collect(),
    }))
}

/// Stop a job
///
/// What was read stays; what waits is cancelled, and what is being read stops.
#[utoipa::path(
    delete,
    path = "/api/jobs/{id}",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "How it stands now", body = JobStatus),
        (status = "4XX", description = "There is none, or no right to do this", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn cancel(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<JobStatus>, Problem> {
    caller.needs(Scope::Jobs)?;
    let job = app.store.cancel_job(&caller.owner, id).await?;
    let job = job.ok_or_else(none)?;
    app.running.stop(id);
    Ok(Json((&job).into()))
}

/// A job's progress
///
/// Server-sent events: `progress` with the job whenever it changed, `done` with the job at its end.
#[utoipa::path(
    get,
    path = "/api/jobs/{id}/events",
    tag = "jobs",
    params(("id" = Uuid, Path, description = "The job's id")),
    responses(
        (status = 200, description = "Until the job is over", body = String, content_type = "text/event-stream"),
        (status = "4XX", description = "There is none, or no right to see it", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn events(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    caller.needs(Scope::Jobs)?;
    let owner = caller.owner;
    let job = app.store.job(&owner, id).await?.ok_or_else(none)?;
    let (sender, receiver) = mpsc::channel(4);
    tokio::spawn(async move {
        let mut job = job;
        loop {
            let over = matches!(job.state, JobState::Done | JobState::Cancelled);
            let name = if over { "done" } else { "progress" };
            // Plain data; it can't fail to become JSON.
            let data = serde_json::to_string(&JobStatus::from(&job)).unwrap_or_default();
            let event = Event::default().event(name).data(data);
            if sender.send(Ok(event)).await.is_err() || over {
                return;
            }
            let seen = (job.state, job.done, job.failed);
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = sender.closed() => return,
                    () = app.stopping.cancelled() => return,
                }
                match app.store.job(&owner, id).await {
                    Ok(Some(now)) => job = now,
                    // Deleted meanwhile.
                    Ok(None) => return,
                    // The next look may find the database again.
                    Err(_) => continue,
                }
                if (job.state, job.done, job.failed) != seen {
                    break;
                }
            }
        }
    });
    Ok(Sse::new(ReceiverStream::new(receiver)).keep_alive(KeepAlive::default()))
}
