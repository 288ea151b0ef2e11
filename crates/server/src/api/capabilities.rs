//! What this server takes and gives.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use maoocr_engine::imaging::Format;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::export::{self, FormDescription};
use crate::problem::Problem;

/// What this server takes and gives.
#[derive(Serialize, ToSchema)]
pub struct Capabilities {
    /// Media types of files that are read.
    pub inputs: Vec<&'static str>,
    /// Forms of answers: values of `format`, or media types in `Accept`.
    pub formats: Vec<FormDescription>,
    /// What is refused beyond.
    pub limits: CapabilityLimits,
    /// The vision model that reads what asks for high accuracy and complex layout, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub vision: Option<CapabilityVision>,
}

/// A vision model that another server runs.
#[derive(Serialize, ToSchema)]
pub struct CapabilityVision {
    /// Its name.
    pub model: String,
    /// Whether it is asked now. After several failures in a row it isn't, for a while; the other models then read alone.
    pub available: bool,
}

/// Limits of one file.
#[derive(Serialize, ToSchema)]
pub struct CapabilityLimits {
    /// Bytes.
    pub file_bytes: u64,
    /// Millions of pixels of a page.
    pub megapixels: u64,
    /// Pages of a file in a job.
    pub pages: u16,
    /// Pages of a request whose caller waits.
    pub pages_at_once: u16,
    /// Files of a job.
    pub job_files: u32,
}

/// List the inputs, formats and limits of this server
#[utoipa::path(
    get,
    path = "/api/capabilities",
    tag = "server",
    responses(
        (status = 200, description = "Inputs, forms of answers and limits", body = Capabilities),
        (status = "4XX", description = "No key, or an invalid one", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "An internal error, or the database does not respond", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn list(State(app): State<Arc<App>>) -> Json<Capabilities> {
    let config = &app.config;
    Json(Capabilities {
        inputs: std::iter::once("application/pdf")
            .chain(Format::read().map(Format::media_type))
            .collect(),
        formats: export::described(),
        limits: CapabilityLimits {
            file_bytes: config.file_bytes() as u64,
            megapixels: config.max_megapixels,
            pages: config.max_pages,
            pages_at_once: config.max_pages_at_once,
            job_files: config.max_batch,
        },
        vision: app.vision.as_ref().map(|vision| CapabilityVision {
            model: vision.model().into(),
            available: vision.works(),
        }),
    })
}
