//! The HTTP interface, one module a group of paths, and its description.

pub mod history;
pub mod jobs;
pub mod mistral;
pub mod models;
pub mod recognize;
pub mod schema;
pub mod status;
pub mod ws;

use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::http::StatusCode;
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Description;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::problem::Problem;

/// A white picture of 8 × 8 px, for the description's examples.
pub(crate) const EXAMPLE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR42mP4DwUMlDEA98A/wa9cD80AAAAASUVORK5CYII=";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MaoOCR",
        description = "Reads text in pictures. Errors are problem documents (RFC 9457) with a stable `code`.",
        license(name = "Apache-2.0")
    ),
    tags(
        (name = "recognition", description = "Read a picture while you wait"),
        (name = "jobs", description = "Read many pictures without waiting"),
        (name = "history", description = "What was read before"),
        (name = "server", description = "Models and health")
    ),
    components(schemas(Problem))
)]
struct Api;

/// The paths that callers need a key for (where the server wants keys), and the description of all.
pub fn router() -> (Router<Arc<App>>, Description) {
    let (router, mut description) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(recognize::recognize))
        .routes(routes!(recognize::recognize_with_requirements))
        .routes(routes!(ws::connect))
        .routes(routes!(jobs::create))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(jobs::events))
        .routes(routes!(history::list, history::clear))
        .routes(routes!(history::show, history::delete))
        .routes(routes!(history::original))
        .routes(routes!(models::list))
        .routes(routes!(models::reload))
        .routes(routes!(mistral::ocr))
        .split_for_parts();
    let (_, public) = OpenApiRouter::<Arc<App>>::new()
        .routes(routes!(status::health))
        .routes(routes!(status::ready))
        .routes(routes!(status::metrics))
        .split_for_parts();
    let components = description.components.get_or_insert_default();
    components.add_security_scheme(
        "key",
        SecurityScheme::Http(
            HttpBuilder::new()
                .scheme(HttpAuthScheme::Bearer)
                .description(Some("An API key, where the server wants one"))
                .build(),
        ),
    );
    components.add_security_scheme(
        "header",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("x-api-key"))),
    );
    description.merge(public);
    (router, description)
}

/// A parameter of the path; the problem of one that can't be used is a problem document.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// Parameters of the query, likewise.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(error: PathRejection) -> Self {
        match error.status() {
            StatusCode::INTERNAL_SERVER_ERROR => Self::internal("invalid_path", error),
            _ => Self::bad_request("invalid_path", error.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(error: QueryRejection) -> Self {
        Self::bad_request("invalid_query", error.body_text())
    }
}
