//! The history of answers.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::schema::{Answer, Bytes};
use crate::api::{Path, Query, within};
use crate::app::App;
use crate::auth::Caller;
use crate::config::Switch;
use crate::export;
use crate::lines::AnswerLine;
use crate::pool::{Lane, Stop};
use crate::problem::Problem;
use crate::reading;
use crate::searchable::{self, Original};
use crate::store::{Scope, Summary};
use crate::wishes::page_ranges;

/// Longest search query, characters.
const SEARCH: usize = 500;
/// Most answers per page.
const PAGE: u32 = 100;

/// Which answers to return.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Words that must all occur in the text or the picture's name. Chinese and Japanese match anywhere.
    #[param(max_length = 500)]
    q: Option<String>,
    /// Only answers older than this one: the last id of the previous page.
    before: Option<Uuid>,
    /// The most to return.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// Stored answers, newest first.
#[derive(Serialize, ToSchema)]
pub struct HistoryList {
    /// The answers on this page.
    pub entries: Vec<HistoryEntry>,
    /// The `before` of the next page; none on the last.
    pub next: Option<Uuid>,
}

/// A stored answer.
#[derive(Serialize, ToSchema)]
pub struct HistoryEntry {
    /// The answer's id.
    pub id: Uuid,
    /// The caller's name for the picture.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// The beginning of its text.
    pub preview: String,
    /// Whether its picture is stored too.
    pub has_original: bool,
}

/// The number of deleted answers.
#[derive(Serialize, ToSchema)]
pub struct Deleted {
    /// Answers deleted.
    pub deleted: u64,
}

impl From<Summary> for HistoryEntry {
    fn from(summary: Summary) -> Self {
        Self {
            id: summary.id,
            name: summary.name,
            created_at: summary.created_at,
            preview: summary.preview,
            has_original: summary.has_original,
        }
    }
}

fn allowed(app: &App, caller: &Caller) -> Result<(), Problem> {
    caller.needs(Scope::Recognize)?;
    if app.config.history == Switch::Off {
        return Err(Problem::not_found("this server keeps no history"));
    }
    if caller.is_stranger() {
        let detail = "there is no history for callers without a key";
        return Err(Problem::not_found(detail));
    }
    Ok(())
}

fn none() -> Problem {
    Problem::not_found("there is no such answer, or it has been deleted")
}

/// List earlier answers
#[utoipa::path(
    get,
    path = "/api/history",
    tag = "history",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = HistoryList),
        (status = "4XX", description = "Invalid parameter, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<HistoryList>, Problem> {
    allowed(&app, &caller)?;
    let limit = within("limit", wanted.limit.unwrap_or(20), 1..=PAGE)?;
    let query = wanted.q.as_deref().filter(|q| !q.trim().is_empty());
    if query.is_some_and(|q| q.chars().count() > SEARCH) {
        let detail = format!("a search may have at most {SEARCH} characters");
        return Err(Problem::unprocessable("invalid_query", detail).field("q"));
    }
    let store = &app.store;
    let entries = store
        .history(&caller.owner, query, wanted.before, limit)
        .await?;
    let full = entries.len() == limit as usize;
    let next = entries.last().filter(|_| full).map(|e| e.id);
    let entries = entries.into_iter().map(HistoryEntry::from).collect();
    Ok(Json(HistoryList { entries, next }))
}

/// Delete the whole history
///
/// This also deletes the caller's finished jobs, the results of unfinished ones so far, and the caller's cached results.
#[utoipa::path(
    delete,
    path = "/api/history",
    tag = "history",
    responses(
        (status = 200, description = "The number of deleted answers", body = Deleted),
        (status = "4XX", description = "Not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn clear(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Deleted>, Problem> {
    allowed(&app, &caller)?;
    let deleted = app.store.forget_all(&caller.owner).await?;
    reading::forget(&app, &caller.owner).await;
    Ok(Json(Deleted { deleted }))
}

/// The form of an answer.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WantedForm {
    /// As `GET /api/capabilities` lists them. `Accept` may say it instead.
    #[param(default = "json")]
    format: Option<String>,
    /// Which of its pages, such as `1-3,7,10-`; all by default. A searchable PDF has every page of the file, and text on
    /// these.
    pages: Option<String>,
}

/// Get an answer
///
/// In the format in which it was first returned, or in another. Of a page that could not be read, JSON has the `error`;
/// other formats lack it, and `x-maoocr-lost-pages` says so.
#[utoipa::path(
    get,
    path = "/api/history/{id}",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id"), WantedForm),
    responses(
        (status = 200, description = "The answer", content(
            (Answer = "application/json"), (AnswerLine = "application/x-ndjson"), (String = "text/plain"), (String = "text/markdown"), (String = "text/html"),
            (String = "application/vnd.hocr+html"), (String = "application/alto+xml"),
            (String = "application/vnd.prima.page+xml"), (String = "text/tab-separated-values"), (String = "text/csv"), (Bytes = "application/pdf")
        ), headers(
            ("x-maoocr-id" = String, description = "The answer's id, where its form has no place for it"),
            ("x-maoocr-lost-pages" = String, description = "Numbers of the pages that could not be read, if there are any")
        )),
        (status = "4XX", description = "No such answer, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
    Query(wanted): Query<WantedForm>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    let form = export::asked(wanted.format.as_deref(), &headers)?;
    let entry = app.store.entry(&caller.owner, id).await?;
    let entry = entry.ok_or_else(none)?;
    let document = match &wanted.pages {
        Some(pages) => export::chosen(entry.document, &page_ranges(pages)?)?,
        None => entry.document,
    };
    let lost = export::lost(&document);
    let mut response = if form.is_pdf() {
        let file = app
            .store
            .original(&caller.owner, id)
            .await?
            .ok_or_else(|| {
                let detail =
                    "a PDF needs the original file, which this server didn't keep: send it again";
                Problem::unprocessable("original_not_kept", detail).field("format")
            })?;
        let original = Original {
            file: file.into(),
            password: String::new(),
        };
        let stop = Stop::at(Some(reading::deadline(&app, None)));
        let made = searchable::make(&app, Lane::Interactive, original, document, stop).await?;
        export::pdf(made, Some(&id.to_string()))
    } else {
        export::response(form, document, &entry.summary.name)?
    };
    response.headers_mut().extend(lost);
    Ok(response)
}

/// Delete an answer
#[utoipa::path(
    delete,
    path = "/api/history/{id}",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id")),
    responses(
        (status = 204, description = "Deleted"),
        (status = "4XX", description = "No such answer, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn delete(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    allowed(&app, &caller)?;
    match app.store.forget(&caller.owner, id).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none()),
    }
}

/// Get the picture of an answer
#[utoipa::path(
    get,
    path = "/api/history/{id}/original",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id")),
    responses(
        (status = 200, description = "The file as sent", body = Bytes, content_type = "application/octet-stream"),
        (status = "4XX", description = "No such answer, or its picture is not stored", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn original(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Response, Problem> {
    allowed(&app, &caller)?;
    let picture = app
        .store
        .original(&caller.owner, id)
        .await?
        .ok_or_else(none)?;
    // A browser must never interpret what someone once sent, so serve it as a download of plain bytes.
    let mut response = picture.into_response();
    let headers = response.headers_mut();
    let bytes = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, bytes);
    let download = HeaderValue::from_static("attachment");
    headers.insert(header::CONTENT_DISPOSITION, download);
    Ok(response)
}
