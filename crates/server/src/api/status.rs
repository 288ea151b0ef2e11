//! Whether the server lives, whether it can work, and what it counts. No key needed for the first two.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::metrics as counters;
use crate::problem::Problem;

/// A living server.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: &'static str,
    /// Of the server.
    pub version: &'static str,
    /// What runs the models.
    pub device: String,
}

/// Whether the server lives
///
/// It does as soon as it answers; whether it can work, `/ready` says.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, description = "It does", body = Health)))]
pub async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        device: app.device.clone(),
    })
}

/// Whether the server can take work
///
/// Not before its models are warm, not while it shuts down, and not without its database.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "server",
    responses(
        (status = 200, description = "It can", body = Health),
        (status = 503, description = "Not now, and why", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn ready(State(app): State<Arc<App>>) -> Result<Json<Health>, Problem> {
    if app.stopping.is_cancelled() {
        return Err(Problem::busy(
            "shutting_down",
            "this server is shutting down",
            5,
        ));
    }
    if !app.is_warm() {
        return Err(Problem::busy(
            "warming_up",
            "the models are being loaded",
            2,
        ));
    }
    app.store.ping().await?;
    Ok(health(State(app)).await)
}

/// What is counted, for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses(
        (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
        (status = "4XX", description = "A key with the right `metrics` is needed", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    // A database that doesn't answer is one more thing the metrics should be there to show.
    let backlog = app.store.backlog().await.ok();
    counters::state(
        app.pool.load(),
        app.pool.workers(),
        app.models.loaded_bytes(),
        backlog,
    );
    let text = app.recorder.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
