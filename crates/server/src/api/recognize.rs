//! Reads a picture while its caller waits.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use utoipa::ToSchema;

use crate::api::schema::{Answer, Requirements};
use crate::app::App;
use crate::auth::Caller;
use crate::input::{self, JsonPicture};
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::store::Scope;

/// How long a caller waits at most, ms.
pub const DEADLINE: HeaderName = HeaderName::from_static("x-maoocr-deadline-ms");
/// The most it may say, ms.
const DAY: u32 = 86_400_000;
/// Whether the answer comes from the cache.
const CACHE: HeaderName = HeaderName::from_static("x-maoocr-cache");

/// A form with a picture.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct Form {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    image: Vec<u8>,
    /// What the caller needs, as JSON.
    #[schema(required = false)]
    requirements: Option<Requirements>,
}

/// Read a picture
///
/// A form with the part `image`, JSON, or the file itself; of a bare file the query holds the requirements.
#[utoipa::path(
    post,
    path = "/api/ocr/recognize",
    tag = "recognition",
    params(
        ("x-maoocr-deadline-ms" = Option<u32>, Header, minimum = 1, maximum = 86400000, description = "Milliseconds the caller waits at most")
    ),
    request_body(content(
        (Form = "multipart/form-data"),
        (JsonPicture = "application/json"),
        (Vec<u8> = "application/octet-stream")
    )),
    responses(
        (status = 200, description = "What it says", body = Answer),
        (status = "4XX", description = "The picture or the request can't be used", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline passed (504), or the server's fault (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn recognize(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    answer(app, caller, request).await
}

/// Read a picture, with requirements
///
/// The same; the path that clients of earlier versions call.
#[utoipa::path(
    post,
    path = "/api/ocr/recognize-with-requirements",
    tag = "recognition",
    request_body(content((Form = "multipart/form-data"), (JsonPicture = "application/json"))),
    responses(
        (status = 200, description = "What it says", body = Answer),
        (status = "4XX", description = "The picture or the request can't be used", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline passed (504), or the server's fault (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn recognize_with_requirements(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Problem> {
    answer(app, caller, request).await
}

async fn answer(app: Arc<App>, caller: Caller, request: Request) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    let wanted = wanted(request.headers())?;
    let deadline = reading::deadline(&app, wanted);
    // Before the body is read: refusing must cost next to nothing.
    app.pool.admits(&Stop::at(Some(deadline)))?;
    let upload = input::upload(&app, request).await?;
    // The sender's pace is not held against it.
    let deadline = reading::deadline(&app, wanted);
    let order = Order {
        picture: upload.picture,
        name: upload.name,
        requirements: upload.requirements,
        owner: caller.owner,
    };
    let answer = reading::read(&app, order, deadline, None).await?;
    drop(upload.memory);
    let hit = if answer.cached { "hit" } else { "miss" };
    let mut response = Json(answer.into_json()).into_response();
    response
        .headers_mut()
        .insert(CACHE, HeaderValue::from_static(hit));
    Ok(response)
}

/// How long the caller waits, by its own word.
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
