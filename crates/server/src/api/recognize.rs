//! Reads a picture while the caller waits.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::Response;
use utoipa::ToSchema;

use crate::api::job::JobStatus;
use crate::api::schema::{Answer, Bytes, Requirements, Said};
use crate::api::{jobs, stream};
use crate::app::App;
use crate::auth::{Caller, Held};
use crate::body::Memory;
use crate::document::TextLayer;
use crate::export;
use crate::input::{self, JsonPicture};
use crate::lines::AnswerLine;
use crate::pool::{Lane, Stop};
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::searchable::{self, Original};
use crate::store::Scope;

/// The longest a caller will wait, ms.
pub const DEADLINE: HeaderName = HeaderName::from_static("x-maoocr-deadline-ms");
/// The largest value of that header, ms.
const DAY: u32 = 86_400_000;
/// Says whether the answer comes from the cache.
const CACHE: HeaderName = HeaderName::from_static("x-maoocr-cache");

/// A form with one file.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct PictureForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// The requirements, as JSON.
    #[schema(required = false)]
    requirements: Option<Requirements>,
    /// Which pages of a file with several, such as `1-3,7,10-`.
    #[schema(required = false)]
    pages: Option<String>,
    /// The password of an encrypted PDF.
    #[schema(required = false)]
    password: Option<String>,
    /// When to use the text that a PDF contains.
    #[schema(required = false)]
    text_layer: Option<TextLayer>,
    /// The form of the answer, as `GET /api/capabilities` lists them.
    #[schema(required = false)]
    format: Option<String>,
}

/// Read a picture or a PDF
///
/// Send a form with the part `image`, JSON, or the raw file. Requirements and the choice of pages are in the body or in the
/// query, each in one of them. A file with more pages
/// than one request may read becomes a job (202) if the caller may create jobs; otherwise it is rejected: select some
/// pages with `pages`. `format` or `Accept` request Markdown, HTML, hOCR, ALTO and other formats.
///
/// With `application/x-ndjson`, the answer arrives page by page: one line of JSON for each page as it is read, and a last
/// line with a summary or a problem. A single page that can't be read has an `error`. Closing the connection stops the
/// reading.
#[utoipa::path(
    post,
    path = "/api/ocr/recognize",
    tag = "recognition",
    params(
        ("x-maoocr-deadline-ms" = Option<u32>, Header, minimum = 1, maximum = 86400000, description = "Longest the caller will wait, in milliseconds"),
        ("format" = Option<String>, Query, description = "The form of the answer, as `GET /api/capabilities` lists them. `Accept` may say it instead"),
        Said, Requirements
    ),
    request_body(content(
        (PictureForm = "multipart/form-data"),
        (JsonPicture<'_> = "application/json"),
        (Bytes = "application/octet-stream"),
        (Bytes = "application/pdf"),
        (Bytes = "image/*")
    )),
    responses(
        (status = 200, description = "The text and its layout", content(
            (Answer = "application/json"), (AnswerLine = "application/x-ndjson"), (String = "text/plain"), (String = "text/markdown"), (String = "text/html"),
            (String = "application/vnd.hocr+html"), (String = "application/alto+xml"),
            (String = "application/vnd.prima.page+xml"), (String = "text/tab-separated-values"), (String = "text/csv"), (Bytes = "application/pdf")
        ), headers(
            ("x-maoocr-cache" = String, description = "`hit` if the answer was kept from an earlier request, else `miss`"),
            ("x-maoocr-id" = String, description = "The answer's id, where its form has no place for it")
        )),
        (status = 202, description = "The job that the file became", body = JobStatus, headers(("location" = String, description = "Path of the job"))),
        (status = "4XX", description = "The picture or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline exceeded (504) or an internal error (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn recognize(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    answer(app, caller, request, true).await
}

/// Read a picture, with requirements
///
/// The same as `/api/ocr/recognize`, for clients of earlier versions.
#[utoipa::path(
    post,
    path = "/api/ocr/recognize-with-requirements",
    tag = "recognition",
    params(
        ("x-maoocr-deadline-ms" = Option<u32>, Header, minimum = 1, maximum = 86400000, description = "Longest the caller will wait, in milliseconds"),
        ("format" = Option<String>, Query, description = "The form of the answer, as `GET /api/capabilities` lists them. `Accept` may say it instead"),
        Said, Requirements
    ),
    request_body(content(
        (PictureForm = "multipart/form-data"),
        (JsonPicture<'_> = "application/json"),
        (Bytes = "application/octet-stream"),
        (Bytes = "application/pdf"),
        (Bytes = "image/*")
    )),
    responses(
        (status = 200, description = "The text and its layout", content(
            (Answer = "application/json"), (AnswerLine = "application/x-ndjson"), (String = "text/plain"), (String = "text/markdown"), (String = "text/html"),
            (String = "application/vnd.hocr+html"), (String = "application/alto+xml"),
            (String = "application/vnd.prima.page+xml"), (String = "text/tab-separated-values"), (String = "text/csv"), (Bytes = "application/pdf")
        ), headers(
            ("x-maoocr-cache" = String, description = "`hit` if the answer was kept from an earlier request, else `miss`"),
            ("x-maoocr-id" = String, description = "The answer's id, where its form has no place for it")
        )),
        (status = "4XX", description = "The picture or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline exceeded (504) or an internal error (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn recognize_with_requirements(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    answer(app, caller, request, false).await
}

async fn answer(
    app: Arc<App>,
    caller: Caller,
    request: Request,
    may_be_job: bool,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let wanted = wanted(request.headers())?;
    let deadline = reading::deadline(&app, wanted);
    // Before the body is read: a refusal must cost next to nothing.
    app.pool.admits(&Stop::at(Some(deadline)))?;
    let held = request.extensions().get::<Held>().cloned();
    let upload = input::upload(&app, request).await?;
    // The time the upload took doesn't count against the deadline.
    let deadline = reading::deadline(&app, wanted);
    let form = upload.wishes.form;
    let original = form.is_pdf().then(|| Original {
        file: upload.picture.clone(),
        password: upload.wishes.options.password.clone(),
    });
    let order = Order {
        picture: upload.picture,
        name: upload.name,
        requirements: upload.wishes.requirements,
        options: upload.wishes.options,
        owner: caller.owner.clone(),
    };
    // A PDF can be made of an answer later only if the file is kept.
    let by_job =
        may_be_job && caller.may_have_jobs() && (original.is_none() || app.config.keep_originals);
    let again = by_job.then(|| order.clone());
    let how = (form, original, deadline, (upload.memory, held));
    match (at_once(&app, &caller, order, how).await, again) {
        (
            Err(Problem {
                by_job: Some(pages),
                ..
            }),
            Some(order),
        ) => jobs::of_file(&app, &caller, &order, pages).await,
        (answered, _) => answered,
    }
}

/// Answers while the caller waits.
async fn at_once(
    app: &Arc<App>,
    caller: &Caller,
    order: Order,
    (form, original, deadline, held): (
        export::Form,
        Option<Original>,
        Instant,
        (Memory, Option<Held>),
    ),
) -> Result<Response, Problem> {
    if form.is_lines() {
        return stream::answer(app.clone(), caller.clone(), order, deadline, held).await;
    }
    let name = order.name.clone();
    let answer = reading::read(app, order, deadline, None).await?;
    let hit = if answer.cached { "hit" } else { "miss" };
    let complete = answer.complete;
    let mut response = match original {
        None => export::response(form, answer.into_json(), &name)?,
        Some(original) => {
            let id = answer.id.to_string();
            let stop = Stop::at(Some(deadline));
            let answer = answer.into_json();
            let made = searchable::make(app, Lane::Interactive, original, answer, stop).await?;
            export::pdf(made, Some(&id))
        }
    };
    drop(held);
    let headers = response.headers_mut();
    headers.insert(CACHE, HeaderValue::from_static(hit));
    if !complete {
        // An edge would keep it, and make other forms of it.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    Ok(response)
}

/// The longest the caller says it will wait.
///
/// # Errors
/// 400 if the header is not a number of milliseconds in range.
pub fn wanted(headers: &HeaderMap) -> Result<Option<Duration>, Problem> {
    let Some(value) = headers.get(&DEADLINE) else {
        return Ok(None);
    };
    let millis = value.to_str().ok().and_then(|v| v.parse::<u32>().ok());
    match millis {
        Some(millis @ 1..=DAY) => Ok(Some(Duration::from_millis(millis.into()))),
        _ => Err(Problem::bad_request(
            "invalid_deadline",
            "x-maoocr-deadline-ms must be a whole number of milliseconds, 1 to 86400000",
        )
        .field(DEADLINE.as_str())),
    }
}
