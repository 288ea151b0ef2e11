//! API keys, for callers who may administer the server.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::api::Path;
use crate::app::App;
use crate::auth::Caller;
use crate::keys::{self, KeyInfo};
use crate::problem::Problem;
use crate::store::Scope;
use crate::{input, json};

/// Largest request for a key, bytes.
const MAX_REQUEST: usize = 16 << 10;
/// Longest name, characters.
const MAX_NAME: usize = 200;
/// Most requests per minute that a key may have.
const MAX_RATE: u32 = 1_000_000;
/// Most days until a key expires.
const MAX_DAYS: u32 = 36_500;

/// The keys.
#[derive(Serialize, ToSchema)]
pub struct KeyList {
    /// Those in the database, oldest first, with expired and revoked ones.
    pub keys: Vec<KeyInfo>,
}

/// A key to create.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyRequest {
    /// A name for people.
    #[schema(min_length = 1, max_length = 200, example = "shop")]
    name: String,
    /// What it allows [default: `recognize` and `jobs`].
    #[schema(value_type = Option<Vec<String>>, required = false, example = json!(["recognize", "jobs"]))]
    scopes: Option<Vec<Scope>>,
    /// Requests per minute [default: the server's rate].
    #[schema(minimum = 1, maximum = 1_000_000, required = false)]
    rate: Option<u32>,
    /// Days until it expires [default: never].
    #[schema(minimum = 1, maximum = 36_500, required = false)]
    days: Option<u32>,
}

/// A new key.
#[derive(Serialize, ToSchema)]
pub struct NewKeyInfo {
    /// The key. It is shown only here: the server keeps its hash.
    pub key: String,
    /// What is known of it.
    #[serde(flatten)]
    pub info: KeyInfo,
}

/// List the API keys
///
/// Needs the scope `admin`. Keys of the configuration are not among them.
#[utoipa::path(
    get,
    path = "/api/keys",
    tag = "server",
    responses(
        (status = 200, description = "The keys, without the secrets", body = KeyList),
        (status = "4XX", description = "No key, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<KeyList>, Problem> {
    caller.needs(Scope::Admin)?;
    let keys = app.store.keys().await?;
    Ok(Json(KeyList {
        keys: keys.into_iter().map(KeyInfo::from).collect(),
    }))
}

/// Create an API key
///
/// Needs the scope `admin`.
#[utoipa::path(
    post,
    path = "/api/keys",
    tag = "server",
    request_body(content = KeyRequest, content_type = "application/json"),
    responses(
        (status = 201, description = "The key, shown only once", body = NewKeyInfo),
        (status = "4XX", description = "No key, not allowed, or an invalid request", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn create(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    caller.needs(Scope::Admin)?;
    let mut memory = app.memory();
    let body = input::incoming(&app, &headers, body, MAX_REQUEST)?
        .whole(&mut memory)
        .await;
    let body = body.map_err(|error| {
        error.problem(|_| {
            let detail = format!("a request for a key has at most {MAX_REQUEST} bytes");
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
        })
    })?;
    let request = json::parse::<KeyRequest>(&body)?;
    let name = request.name.trim();
    let invalid = |field: &str, detail: String| {
        Err(Problem::unprocessable("invalid_key_request", detail).field(field))
    };
    if name.is_empty() || name.chars().count() > MAX_NAME || name.chars().any(char::is_control) {
        let detail =
            format!("name needs 1 to {MAX_NAME} characters, none of them a control character");
        return invalid("name", detail);
    }
    if request
        .rate
        .is_some_and(|rate| !(1..=MAX_RATE).contains(&rate))
    {
        return invalid("rate", format!("rate must be between 1 and {MAX_RATE}"));
    }
    if request
        .days
        .is_some_and(|days| !(1..=MAX_DAYS).contains(&days))
    {
        return invalid("days", format!("days must be between 1 and {MAX_DAYS}"));
    }
    let mut scopes = Vec::new();
    for scope in request
        .scopes
        .unwrap_or_else(|| vec![Scope::Recognize, Scope::Jobs])
    {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    if scopes.is_empty() {
        return invalid("scopes", "scopes needs at least one scope".into());
    }
    let (key, new) = keys::fresh(name.into(), scopes, request.rate, request.days);
    let info = KeyInfo::of_new(&new);
    app.store.add_key(new).await?;
    tracing::info!(id = %info.id, name = info.name, "an API key was created");
    let no_store = [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    let made = Json(NewKeyInfo { key, info });
    Ok((StatusCode::CREATED, no_store, made).into_response())
}

/// Revoke an API key
///
/// Needs the scope `admin`. All servers notice within half a minute.
#[utoipa::path(
    delete,
    path = "/api/keys/{id}",
    tag = "server",
    params(("id" = Uuid, Path, description = "Its id in the list")),
    responses(
        (status = 204, description = "Revoked"),
        (status = "4XX", description = "No such valid key, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn revoke(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Admin)?;
    if !app.store.revoke_key(id).await? {
        let detail = "there is no valid key with this id; GET /api/keys lists them";
        return Err(Problem::not_found(detail));
    }
    tracing::info!(%id, "an API key was revoked");
    Ok(StatusCode::NO_CONTENT)
}
