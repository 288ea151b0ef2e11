//! The models and their state.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::Path;
use crate::app::App;
use crate::auth::Caller;
use crate::models::ModelState;
use crate::problem::Problem;
use crate::store::Scope;

/// The models.
#[derive(Serialize, ToSchema)]
pub struct ModelList {
    /// Everything the server knows, on this machine or not.
    pub models: Vec<ModelState>,
    /// What runs them.
    pub device: String,
}

/// The models
///
/// What there is, what is on this machine, and what is loaded.
#[utoipa::path(
    get,
    path = "/api/models",
    tag = "server",
    responses(
        (status = 200, description = "All of them", body = ModelList),
        (status = "4XX", description = "No key, or a wrong one", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The server's fault, or its database's", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(State(app): State<Arc<App>>) -> Json<ModelList> {
    Json(ModelList {
        models: app.models.states(),
        device: app.device.clone(),
    })
}

/// Read a loaded model's file anew
///
/// Pictures that are being read end with the old one; none is dropped.
#[utoipa::path(
    post,
    path = "/api/models/{name}/reload",
    tag = "server",
    params(("name" = String, Path, description = "As the list shows it")),
    responses(
        (status = 204, description = "It runs now, or will be read when it is first needed"),
        (status = "4XX", description = "No such model, or no right to do this", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The file can't be used: the old model goes on", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn reload(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    caller.needs(Scope::Admin)?;
    if !app.models.knows(&name) {
        return Err(Problem::not_found(
            "there is no such model; GET /api/models lists them",
        ));
    }
    let work = app.clone();
    let reloaded = tokio::task::spawn_blocking(move || work.models.reload(&name)).await;
    reloaded.map_err(|error| Problem::internal("model_unusable", error))??;
    Ok(StatusCode::NO_CONTENT)
}
