//! What was read before.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::api::schema::Answer;
use crate::api::{Path, Query};
use crate::app::App;
use crate::auth::{self, Caller};
use crate::config::Switch;
use crate::problem::Problem;
use crate::store::{Scope, Summary};

/// Longest search, characters.
const SEARCH: usize = 500;
/// Most answers of one page of the list.
const PAGE: u32 = 100;

/// Which answers.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Words that all occur in the text or the picture's name. Chinese and Japanese are found anywhere.
    #[param(max_length = 500)]
    q: Option<String>,
    /// Those older than this one: the last id of the page before.
    before: Option<Uuid>,
    /// How many at most.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u32>,
}

/// Remembered answers, newest first.
#[derive(Serialize, ToSchema)]
pub struct HistoryList {
    /// Of this page.
    pub entries: Vec<HistoryEntry>,
    /// Give it as `before` for the next page; none on the last one.
    pub next: Option<Uuid>,
}

/// A remembered answer.
#[derive(Serialize, ToSchema)]
pub struct HistoryEntry {
    /// The answer's id.
    pub id: Uuid,
    /// What the caller called the picture.
    pub name: String,
    /// Milliseconds since 1970.
    pub created_at: i64,
    /// How its text begins.
    pub preview: String,
    /// Whether its picture was kept.
    pub has_original: bool,
}

/// How many there were.
#[derive(Serialize, ToSchema)]
pub struct Deleted {
    /// Deleted now.
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
        return Err(Problem::not_found("this server remembers nothing"));
    }
    if caller.owner == auth::STRANGERS {
        let detail = "what is read for callers without a key is not remembered";
        return Err(Problem::not_found(detail));
    }
    Ok(())
}

fn none() -> Problem {
    Problem::not_found("there is no such answer, or no longer")
}

/// What was read before
#[utoipa::path(
    get,
    path = "/api/history",
    tag = "history",
    params(Wanted),
    responses(
        (status = 200, description = "Newest first", body = HistoryList),
        (status = "4XX", description = "A parameter can't be used, or no right to do this", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Query(wanted): Query<Wanted>,
) -> Result<Json<HistoryList>, Problem> {
    allowed(&app, &caller)?;
    let limit = wanted.limit.unwrap_or(20);
    if !(1..=PAGE).contains(&limit) {
        let detail = format!("limit must be between 1 and {PAGE}");
        return Err(Problem::unprocessable("invalid_query", detail).field("limit"));
    }
    let query = wanted.q.as_deref().filter(|q| !q.trim().is_empty());
    if query.is_some_and(|q| q.chars().count() > SEARCH) {
        let detail = format!("a search has at most {SEARCH} characters");
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

/// Forget everything
#[utoipa::path(
    delete,
    path = "/api/history",
    tag = "history",
    responses(
        (status = 200, description = "How many answers there were", body = Deleted),
        (status = "4XX", description = "No right to do this", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn clear(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Deleted>, Problem> {
    allowed(&app, &caller)?;
    let deleted = app.store.forget_all(&caller.owner).await?;
    Ok(Json(Deleted { deleted }))
}

/// One answer
#[utoipa::path(
    get,
    path = "/api/history/{id}",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id")),
    responses(
        (status = 200, description = "The answer as it was given", body = Answer),
        (status = "4XX", description = "There is none, or no right to see it", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn show(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<Json<Value>, Problem> {
    allowed(&app, &caller)?;
    let entry = app.store.entry(&caller.owner, id).await?;
    Ok(Json(entry.ok_or_else(none)?.document))
}

/// Forget one answer
#[utoipa::path(
    delete,
    path = "/api/history/{id}",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id")),
    responses(
        (status = 204, description = "It is gone"),
        (status = "4XX", description = "There is none, or no right to do this", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
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

/// The picture of an answer
#[utoipa::path(
    get,
    path = "/api/history/{id}/original",
    tag = "history",
    params(("id" = Uuid, Path, description = "The answer's id")),
    responses(
        (status = 200, description = "The file as it was sent", body = Vec<u8>, content_type = "application/octet-stream"),
        (status = "4XX", description = "There is none, or pictures are not kept", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The database doesn't answer", body = Problem, content_type = "application/problem+json")
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
    // What somebody once sent is never to be run in a browser as anything: it is a download of bytes.
    let mut response = picture.into_response();
    let headers = response.headers_mut();
    let bytes = HeaderValue::from_static("application/octet-stream");
    headers.insert(header::CONTENT_TYPE, bytes);
    let download = HeaderValue::from_static("attachment");
    headers.insert(header::CONTENT_DISPOSITION, download);
    Ok(response)
}
