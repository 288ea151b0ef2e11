//! The HTTP interface, one module per group of paths, and its OpenAPI description.

pub mod azure;
pub mod azure_result;
pub mod capabilities;
pub mod chat;
pub mod docling;
pub mod files;
pub mod history;
pub mod job;
pub mod jobs;
pub mod keys;
pub mod mistral;
pub mod mistral_page;
pub mod models;
mod placed;
pub mod recognize;
pub mod schema;
pub mod status;
pub mod stream;
pub mod ws;

use std::ops::RangeInclusive;
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

/// How many entries a caller wants.
///
/// # Errors
/// 422 naming the parameter where it is out of the range.
fn within(name: &'static str, wanted: u32, range: RangeInclusive<u32>) -> Result<u32, Problem> {
    if range.contains(&wanted) {
        return Ok(wanted);
    }
    let detail = format!(
        "{name} must be between {} and {}",
        range.start(),
        range.end()
    );
    Err(Problem::unprocessable("invalid_query", detail).field(name))
}

/// A white picture of 8 × 8 px, for the examples in the description.
pub(crate) const EXAMPLE: &str = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR42mP4DwUMlDEA98A/wa9cD80AAAAASUVORK5CYII=";

#[derive(OpenApi)]
#[openapi(
    info(
        title = "MaoOCR",
        description = "Reads text in pictures and PDFs. Errors are problem documents (RFC 9457) with a stable `code`. \
                       `/mcp` speaks the Model Context Protocol, which describes itself.",
        license(name = "Apache-2.0")
    ),
    tags(
        (name = "recognition", description = "Read a picture while you wait"),
        (name = "jobs", description = "Read many pictures without waiting"),
        (name = "files", description = "Files to be read later"),
        (name = "history", description = "Earlier answers"),
        (name = "server", description = "Models and health")
    ),
    components(schemas(Problem))
)]
struct Api;

/// The paths that need a key (if the server requires keys), and the description of all paths.
pub fn router() -> (Router<Arc<App>>, Description) {
    let (router, mut description) = OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(recognize::recognize))
        .routes(routes!(recognize::recognize_with_requirements))
        .routes(routes!(ws::connect))
        .routes(routes!(jobs::create))
        .routes(routes!(job::list))
        .routes(routes!(job::show, job::cancel))
        .routes(routes!(job::retry))
        .routes(routes!(job::events))
        .routes(routes!(history::list, history::clear))
        .routes(routes!(history::show, history::delete))
        .routes(routes!(history::original))
        .routes(routes!(capabilities::list))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::revoke))
        .routes(routes!(models::list))
        .routes(routes!(models::reload))
        .routes(routes!(mistral::ocr))
        .routes(routes!(azure::read))
        .routes(routes!(azure::layout))
        .routes(routes!(azure::show, azure::delete))
        .routes(routes!(azure::pdf))
        .routes(routes!(chat::complete))
        .routes(routes!(docling::convert))
        .routes(routes!(chat::models))
        .routes(routes!(chat::model))
        .routes(routes!(files::upload, files::list))
        .routes(routes!(files::show, files::delete))
        .routes(routes!(files::url))
        .routes(routes!(files::content))
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
                .description(Some("An API key, if the server requires one"))
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

/// A path parameter; an invalid one becomes a problem document.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// Query parameters, likewise.
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
