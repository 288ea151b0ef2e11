//! Many pictures as one job: how it is created. What becomes of it is in `job.rs`.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::Requirements;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::job::JobStatus;
use crate::api::schema;
use crate::app::App;
use crate::auth::Caller;
use crate::body::{BodyError, Incoming, announced};
use crate::document::{PageOptions, TextLayer};
use crate::input::{self, Queried};
use crate::json::{self, JsonRequirements, List, Object, Text};
use crate::problem::Problem;
use crate::reading::Order;
use crate::store::{Created, ItemKey, Job, NewJob, Scope, State as JobState, Waiting};
use crate::wishes::Said;
use crate::{multipart, webhooks};

/// Parts of a form that come before the pictures.
const EARLY: [&str; 5] = ["requirements", "webhook", "pages", "password", "text_layer"];
/// Longest idempotency key, characters.
const KEY: usize = 200;

/// A form with pictures.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct JobForm {
    /// The requirements, as JSON. They must come before the pictures.
    #[schema(required = false)]
    requirements: Option<schema::Requirements>,
    /// Whom to tell when the job is over. It must come before the pictures.
    #[schema(required = false)]
    webhook: Option<String>,
    /// Which pages of each file with several, such as `1-3,7,10-`. Like the next two, it must come before the pictures.
    #[schema(required = false)]
    pages: Option<String>,
    /// The password of encrypted PDFs.
    #[schema(required = false)]
    password: Option<String>,
    /// When to use the text that a PDF contains.
    #[schema(required = false)]
    text_layer: Option<TextLayer>,
    /// The files, one part per picture.
    #[schema(value_type = Vec<String>, format = Binary)]
    image: Vec<Vec<u8>>,
}

/// The JSON form of a job.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"images": [{"name": "page 1", "image_base64": crate::api::EXAMPLE}]}))]
pub struct JsonJob<'a> {
    /// The pictures.
    #[serde(borrow)]
    #[schema(value_type = Vec<JsonJobPicture>)]
    images: List<Object<JsonJobPicture<'a>>>,
    /// The requirements.
    #[schema(value_type = Option<schema::Requirements>)]
    requirements: Option<JsonRequirements>,
    /// Whom to tell when the job is over.
    #[schema(value_type = Option<String>)]
    webhook: Option<Text<'a>>,
    /// Which pages of each file with several, such as `1-3,7,10-`.
    #[schema(value_type = Option<String>)]
    pages: Option<Text<'a>>,
    /// The password of encrypted PDFs.
    #[schema(value_type = Option<String>)]
    password: Option<Text<'a>>,
    /// When to use the text that a PDF contains.
    #[schema(value_type = Option<TextLayer>)]
    text_layer: Option<Text<'a>>,
}

/// A picture of a job. What it says of pages holds for it instead of what the job says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JsonJobPicture<'a> {
    /// The file in base64, or a data URL.
    #[serde(borrow)]
    #[schema(value_type = String)]
    image_base64: Text<'a>,
    /// A name for it.
    #[schema(value_type = Option<String>)]
    name: Option<Text<'a>>,
    /// Which of its pages.
    #[schema(value_type = Option<String>)]
    pages: Option<Text<'a>>,
    /// The password of an encrypted PDF.
    #[schema(value_type = Option<String>)]
    password: Option<Text<'a>>,
    /// When to use the text that a PDF contains.
    #[schema(value_type = Option<TextLayer>)]
    text_layer: Option<Text<'a>>,
}

/// Read many pictures
///
/// The server responds once all pictures are stored; from then on, the job survives restarts and crashes. A second request
/// with the same `Idempotency-Key` gets the job of the first. If the first is still uploading, the second replaces it and
/// the first gets 409.
///
/// When the job finishes, `{type, timestamp, data}` is posted to the `webhook`: `job.done` or `job.cancelled`, and the job.
/// The message is signed according to Standard Webhooks and retried for a day, until the host, which the operator must
/// have allowed, responds with 2xx. It may arrive more than once, with the same `webhook-id`.
#[utoipa::path(
    post,
    path = "/api/ocr/batch",
    tag = "jobs",
    params(
        ("idempotency-key" = Option<String>, Header, description = "Any text, unique to the job", max_length = 200),
        schema::Said, schema::Requirements
    ),
    request_body(content((JobForm = "multipart/form-data"), (JsonJob<'_> = "application/json"))),
    responses(
        (status = 202, description = "The job", body = JobStatus, headers(("location" = String, description = "Path of the job"))),
        (status = "4XX", description = "A picture or the request is invalid; no job was created", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload, or the database does not respond; no job was created", body = Problem, content_type = "application/problem+json")
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
    if announced(request.headers()).is_some_and(|length| length > limit) {
        return Err(too_much(limit));
    }
    let idempotency_key = idempotency_key(request.headers())?;
    caller.may_create_job(&app).await?;
    let multipart = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.to_ascii_lowercase().starts_with("multipart/form-data"));
    let mut intake = Intake::new(&app, &caller, idempotency_key);
    let received = if multipart {
        receive_form(&mut intake, request).await
    } else {
        receive_json(&mut intake, request).await
    };
    let job = match received {
        Ok(()) => {
            let job = intake.start().await?;
            caller.count_job(&app, job.total).await;
            job
        }
        Err(Ended::Existing(job)) => job,
        Err(Ended::Problem(problem)) => return Err(problem),
    };
    Ok(accepted(&job))
}

fn accepted(job: &Job) -> Response {
    let mut response = (StatusCode::ACCEPTED, Json(JobStatus::from(job))).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/jobs/{}", job.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

/// Makes a job of a file that has too many pages to be read while its caller waits. Each counts against the caller's rate.
///
/// # Errors
/// As for any job.
pub async fn of_file(
    app: &Arc<App>,
    caller: &Caller,
    order: &Order,
    pages: u32,
) -> Result<Response, Problem> {
    caller.may_create_job(app).await?;
    let mut intake = Intake::new(app, caller, None);
    let added = match intake.open(&order.requirements).await {
        Ok(()) => {
            intake
                .add(&order.name, &order.options, &order.picture)
                .await
        }
        ended => ended,
    };
    match added {
        Ok(()) => {}
        Err(Ended::Existing(job)) => return Ok(accepted(&job)),
        Err(Ended::Problem(problem)) => return Err(problem),
    }
    let job = intake.start().await?;
    caller.count_job(app, pages).await;
    Ok(accepted(&job))
}

fn too_much(limit: u64) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "too_large",
        format!("the request of a job may have at most {limit} bytes: split it into several jobs"),
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
            format!("an idempotency key must have 1 to {KEY} visible ASCII characters"),
        )
        .field("idempotency-key")),
    }
}

/// Why receiving a job ended early.
enum Ended {
    /// A job with this idempotency key exists.
    Existing(Job),
    /// The job is invalid.
    Problem(Problem),
}

impl Ended {
    /// Says which picture of the list it is about, unless it is about all of them.
    fn of_picture(self, index: usize) -> Self {
        match self {
            Self::Problem(problem) if problem.retry_after.is_none() => {
                let field = problem.field.as_deref();
                let field = field.map_or_else(String::new, |field| format!(".{field}"));
                Self::Problem(Problem {
                    field: Some(format!("images[{index}]{field}")),
                    detail: format!("picture {}: {}", index + 1, problem.detail),
                    ..problem
                })
            }
            ended => ended,
        }
    }
}

impl<T: Into<Problem>> From<T> for Ended {
    fn from(problem: T) -> Self {
        Self::Problem(problem.into())
    }
}

/// Stores pictures as they arrive, so that a large job needs little memory. Dropping it before the start deletes the job.
struct Intake {
    app: Arc<App>,
    owner: String,
    idempotency_key: Option<String>,
    /// Whom to tell when the job is over.
    webhook: Option<String>,
    job: Option<Uuid>,
    total: u32,
    /// Bytes that may still arrive.
    left: u64,
    /// What the owner has waiting, this job included.
    waiting: Waiting,
}

impl Intake {
    fn new(app: &Arc<App>, caller: &Caller, idempotency_key: Option<String>) -> Self {
        Self {
            app: app.clone(),
            owner: caller.owner.clone(),
            idempotency_key,
            webhook: None,
            job: None,
            total: 0,
            left: app.config.max_batch_size << 20,
            waiting: Waiting::default(),
        }
    }

    async fn open(&mut self, requirements: &Requirements) -> Result<(), Ended> {
        // If no plan is possible, fail now rather than in the queue.
        self.app.models.plan(requirements)?;
        self.waiting = self.app.store.waiting(&self.owner).await?;
        let job = NewJob {
            owner: self.owner.clone(),
            requirements: json!(requirements),
            idempotency_key: self.idempotency_key.take(),
        };
        loop {
            match self.app.store.create_job(job.clone()).await? {
                Created::New(job) => {
                    self.job = Some(job.id);
                    if let Some(url) = self.webhook.take() {
                        self.app.store.add_webhook(job.id, &url).await?;
                    }
                    return Ok(());
                }
                // Its server may have died during the upload; there is no way to tell. So a complete new upload takes
                // its place, and if the old one is still going on, it finds its job gone.
                Created::Existing(job) if job.state == JobState::Receiving => {
                    self.app.store.abandon_job(job.id).await?;
                }
                Created::Existing(job) => return Err(Ended::Existing(job)),
            }
        }
    }

    async fn add(
        &mut self,
        name: &str,
        options: &PageOptions,
        picture: &[u8],
    ) -> Result<(), Ended> {
        let Some(job) = self.job else {
            return Ok(());
        };
        let most = self.app.config.max_batch;
        if self.total >= most {
            let detail =
                format!("a job may have at most {most} pictures: split it into several jobs");
            return Err(Problem::unprocessable("too_many_pictures", detail).into());
        }
        let limit = self.app.config.max_batch_size << 20;
        self.left = self
            .left
            .checked_sub(picture.len() as u64)
            .ok_or_else(|| too_much(limit))?;
        self.waiting.pictures += 1;
        self.waiting.bytes += picture.len() as u64;
        let (pictures, size) = (
            self.app.config.max_waiting,
            self.app.config.max_waiting_size,
        );
        if self.waiting.pictures > pictures || self.waiting.bytes > size << 20 {
            let detail = format!(
                "your unfinished jobs may contain {pictures} waiting pages and {size} MiB: wait until some are finished"
            );
            let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_much_waiting", detail);
            return Err(problem.after(30).into());
        }
        let item = ItemKey::file(job, self.total);
        let name = input::short(name);
        let store = &self.app.store;
        let options = options.to_json();
        store.add_item(item, &name, Some(&options), picture).await?;
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
            // If this fails, the job is deleted later, with others whose sender vanished.
            if let Err(error) = app.store.abandon_job(id).await {
                tracing::warn!(%error, job = %id, "a job that was given up could not be deleted");
            }
        });
    }
}

async fn receive_form(intake: &mut Intake, request: Request) -> Result<(), Ended> {
    let app = intake.app.clone();
    let (head, body) = request.into_parts();
    let limit = app.config.max_batch_size << 20;
    let large = |error: BodyError| {
        error.problem(|bytes| match bytes > limit {
            true => too_much(limit),
            false => input::too_large(&app, bytes),
        })
    };
    let incoming = Incoming::new(&app.config, body, limit, app.config.batch_upload_timeout);
    let mut form = multipart::Form::new(&head.headers, incoming)?;
    let queried = queried(&head)?;
    let (mut requirements, mut said) = (None, Said::default());
    let mut options = PageOptions::default();
    while let Some(part) = form.next().await.map_err(large)? {
        match part.name.as_deref() {
            Some("requirements") if requirements.is_none() && intake.job.is_none() => {
                let text = form.data(input::REST, &mut app.memory()).await;
                requirements = Some(json::requirements_of(&text.map_err(large)?)?);
            }
            Some("webhook") if intake.webhook.is_none() && intake.job.is_none() => {
                let url = form.data(input::REST, &mut app.memory()).await;
                let url = String::from_utf8_lossy(&url.map_err(large)?).into_owned();
                webhooks::accept(&app, &url)?;
                intake.webhook = Some(url);
            }
            Some(name)
                if intake.job.is_none()
                    && said.field(name).is_some_and(|field| field.is_none()) =>
            {
                let text = input::text_part(&app, &mut form, name).await?;
                if let Some(field) = said.field(name) {
                    *field = Some(text);
                }
            }
            Some(name) if intake.job.is_some() && EARLY.contains(&name) => {
                let detail = format!("`{name}` must come before the first picture");
                let problem = Problem::unprocessable("unexpected_part", detail);
                return Err(problem.field(name).into());
            }
            Some("image" | "images" | "file") => {
                if intake.job.is_none() {
                    let all = (queried.requirements.clone(), requirements.clone());
                    let all = input::either(all.0, all.1, "requirements")?.unwrap_or_default();
                    options = queried.said.clone().and(said.clone())?.options(&all)?;
                    intake.open(&all).await?;
                }
                let name = part.file_name.unwrap_or_default();
                // One picture at a time is held in memory.
                let mut memory = app.memory();
                let picture = form.data(app.config.file_bytes(), &mut memory).await;
                let picture = picture.map_err(large)?;
                if picture.is_empty() {
                    let problem = Problem::from(ImagingError::Empty);
                    return Err(problem.field(input::short(&name)).into());
                }
                intake.add(&name, &options, &picture).await?;
            }
            other => {
                return Err(input::unexpected(other, &[&EARLY[..], &["image"]].concat()).into());
            }
        }
    }
    Ok(())
}

async fn receive_json(intake: &mut Intake, request: Request) -> Result<(), Ended> {
    let app = intake.app.clone();
    // JSON is held in memory whole, so larger jobs must be sent as a form.
    let most = input::json_limit(&app);
    let too_large = |_| {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("a job sent as JSON may have at most {most} bytes: send it as a form"),
        )
    };
    if let Some(length) = announced(request.headers())
        && length > most as u64
    {
        return Err(too_large(length).into());
    }
    let (head, body) = request.into_parts();
    let queried = queried(&head)?;
    let mut memory = app.memory();
    let time = app.config.upload_timeout;
    let incoming = Incoming::new(&app.config, body, most as u64, time);
    let body = incoming.whole(&mut memory).await;
    let body = body.map_err(|e| e.problem(too_large))?;
    let job: JsonJob = json::parse(&body)?;
    let requirements = job.requirements.map(|r| r.check()).transpose()?;
    let requirements = input::either(queried.requirements, requirements, "requirements")?;
    let requirements = requirements.unwrap_or_default();
    if job.images.0.is_empty() {
        return Ok(());
    }
    if let Some(url) = job.webhook {
        webhooks::accept(&app, &url.0)?;
        intake.webhook = Some(url.0.into_owned());
    }
    let said = Said::of([job.pages, job.password, job.text_layer]);
    let said = queried.said.and(said)?;
    // What is wrong for all is wrong before the first.
    said.clone().options(&requirements)?;
    intake.open(&requirements).await?;
    for (index, Object(picture)) in job.images.0.into_iter().enumerate() {
        let own = Said::of([picture.pages, picture.password, picture.text_layer]);
        let added = async || {
            let options = own.or(&said).options(&requirements)?;
            memory.hold(body.len() + picture.image_base64.0.len() / 4 * 3)?;
            let bytes = input::decode(&app, &picture.image_base64.0)?;
            if bytes.is_empty() {
                return Err(Problem::from(ImagingError::Empty)
                    .field("image_base64")
                    .into());
            }
            let name = picture.name.unwrap_or_default();
            intake.add(&name.0, &options, &bytes).await
        };
        added().await.map_err(|ended| ended.of_picture(index))?;
    }
    Ok(())
}

/// What the query says of all files of a job.
fn queried(head: &Parts) -> Result<Queried, Problem> {
    let queried = input::queried(head)?;
    if queried.format.is_some() {
        let detail = "a job has no `format`: ask for it when you get its answers from the history";
        return Err(Problem::unprocessable("invalid_format", detail).field("format"));
    }
    Ok(queried)
}
