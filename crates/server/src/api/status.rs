//! Liveness, readiness and metrics. The first two need no key.

use std::sync::Arc;

use axum::Json;
use axum::extract::State as Shared;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::fitness::State;
use crate::metrics as counters;
use crate::problem::Problem;

/// A live server.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`
    pub status: &'static str,
    /// Version of the server.
    pub version: &'static str,
    /// What runs the models.
    pub device: String,
}

/// A server that can work.
#[derive(Serialize, ToSchema)]
pub struct Ready {
    /// As for a live one.
    #[serde(flatten)]
    pub health: Health,
    /// `ok` or `unavailable`.
    pub database: &'static str,
}

/// Liveness
///
/// The server is alive if it answers. `/ready` says whether it can work.
#[utoipa::path(get, path = "/health", tag = "server", responses((status = 200, description = "Alive", body = Health)))]
pub async fn health(Shared(app): Shared<Arc<App>>) -> Json<Health> {
    Json(Health {
        status: "ok",
        version: env!("CARGO_PKG_VERSION"),
        device: app.device.clone(),
    })
}

/// Readiness
///
/// The server is ready once it has read its own test picture correctly, unless it is shutting down. While its database
/// doesn't respond, it still reads pictures, but without jobs and history.
#[utoipa::path(
    get,
    path = "/ready",
    tag = "server",
    responses(
        (status = 200, description = "Ready", body = Ready),
        (status = 503, description = "Not ready, with the reason", body = Problem, content_type = "application/problem+json")
    )
)]
pub async fn ready(Shared(app): Shared<Arc<App>>) -> Result<Json<Ready>, Problem> {
    if app.stopping.is_cancelled() {
        return Err(Problem::busy(
            "shutting_down",
            "this server is shutting down",
            5,
        ));
    }
    match app.fitness.state() {
        State::Fit => {}
        State::Untested => return Err(Problem::busy("warming_up", "the models are loading", 2)),
        State::Unfit(reason) => return Err(Problem::busy("unfit", reason, 5)),
    }
    // Without its database the server still reads. If it were not ready, no replica would be, as all have the same one.
    let database = app.store.ping().await;
    let Json(health) = health(Shared(app)).await;
    Ok(Json(Ready {
        health,
        database: if database.is_ok() {
            "ok"
        } else {
            "unavailable"
        },
    }))
}

/// Metrics for Prometheus
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "server",
    responses(
        (status = 200, description = "Prometheus text format", body = String, content_type = "text/plain"),
        (status = "4XX", description = "A key with the scope `metrics` is required", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn metrics(Shared(app): Shared<Arc<App>>) -> Response {
    // The metrics must be there even if the database isn't.
    let backlog = app.store.backlog().await.ok();
    counters::database(backlog.is_some());
    counters::state(
        app.pool.load(),
        app.pool.workers(),
        app.models.loaded_bytes(),
        backlog,
    );
    let text = app.recorder.render();
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
