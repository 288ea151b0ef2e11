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
    /// Every known model, installed or not.
    pub models: Vec<ModelState>,
    /// What runs them.
    pub device: String,
}

/// List the models
///
/// All known models, and which of them are installed and loaded.
#[utoipa::path(
    get,
    path = "/api/models",
    tag = "server",
    responses(
        (status = 200, description = "The models", body = ModelList),
        (status = "4XX", description = "No key, or an invalid one", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(State(app): State<Arc<App>>) -> Json<ModelList> {
    Json(ModelList {
        models: app.models.states(),
        device: app.device.clone(),
    })
}

/// Reload a model from its file
///
/// Pictures that are being read finish with the old model; none is lost.
#[utoipa::path(
    post,
    path = "/api/models/{name}/reload",
    tag = "server",
    params(("name" = String, Path, description = "Its name in the list")),
    responses(
        (status = 204, description = "Reloaded, or to be loaded when first needed"),
        (status = "4XX", description = "No such model, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "The file is unusable; the old model stays", body = Problem, content_type = "application/problem+json")
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
    app.fitness.doubt();
    reloaded.map_err(|error| Problem::internal("model_unusable", error))??;
    Ok(StatusCode::NO_CONTENT)
}
