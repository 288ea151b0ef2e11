//! Every error leaves the server as a problem document (RFC 9457) with a stable `code`.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::plan::{PlanError, RequirementError};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::store::StoreError;

/// What went wrong, and what to do about it. As JSON it is a [`ProblemDocument`].
#[derive(Clone, Debug)]
pub struct Problem {
    /// The HTTP status.
    pub status: StatusCode,
    /// What is wrong with this request, and what to do about it.
    pub detail: String,
    /// A stable identifier for programs.
    pub code: &'static str,
    /// The field of the request at fault, if there is one.
    pub field: Option<String>,
    /// The values that field accepts.
    pub allowed: Vec<String>,
    /// Seconds to wait before trying again.
    pub retry_after: Option<u64>,
    /// How many pages a job would have that could do it. Callers read that in `detail`.
    pub by_job: Option<u32>,
}

/// A problem as callers see it.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemDocument<'a> {
    /// `urn:maoocr:problem:` followed by the code.
    #[schema(example = "urn:maoocr:problem:truncated")]
    r#type: String,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What is wrong with this request, and what to do about it.
    detail: &'a str,
    /// A stable identifier for programs.
    #[schema(example = "truncated")]
    code: &'static str,
    /// The field of the request at fault, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    /// The values that field accepts.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    #[schema(required = false)]
    allowed: &'a [String],
    /// Seconds to wait before trying again.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ProblemDocument {
            r#type: format!("urn:maoocr:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
            field: self.field.as_deref(),
            allowed: &self.allowed,
            retry_after: self.retry_after,
        }
        .serialize(serializer)
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        ProblemDocument::schema()
    }
}

impl ToSchema for Problem {
    fn name() -> Cow<'static, str> {
        "Problem".into()
    }
}

impl Problem {
    /// A problem with this status and code.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            code,
            field: None,
            allowed: Vec::new(),
            retry_after: None,
            by_job: None,
        }
    }

    /// 400: the request is malformed.
    pub fn bad_request(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 422: the request is well formed but asks for something impossible.
    pub fn unprocessable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    /// 404: there is no such thing, or it belongs to someone else.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 503 with `Retry-After`: the server can't do it now.
    pub fn busy(code: &'static str, detail: impl Into<String>, retry_after: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(retry_after)
    }

    /// 500: the server's own fault. The cause goes to the log, never to the caller.
    pub fn internal(code: &'static str, cause: impl std::fmt::Display) -> Self {
        tracing::error!(code, %cause, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            code,
            "the server failed to process this request; its log says why",
        )
    }

    /// Sets the field at fault.
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Sets the time to wait, s.
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The document as JSON, for places without an HTTP status.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status;
        let retry_after = self.retry_after;
        let mut response = (status, Json(&self)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"maoocr\""),
            );
        }
        response.extensions_mut().insert(Told(Arc::new(self)));
        response
    }
}

/// The problem of a response, kept for the metrics and for clients that look for it elsewhere.
#[derive(Clone)]
pub struct Told(pub Arc<Problem>);

impl From<RequirementError> for Problem {
    fn from(error: RequirementError) -> Self {
        let mut problem = Self::unprocessable("invalid_requirements", error.to_string());
        problem.field = Some(error.field);
        problem.allowed = error.allowed;
        problem
    }
}

impl From<PlanError> for Problem {
    fn from(error: PlanError) -> Self {
        Self::unprocessable("model_not_installed", error.to_string())
    }
}

impl From<ImagingError> for Problem {
    fn from(error: ImagingError) -> Self {
        let status = match error {
            ImagingError::Empty | ImagingError::FrameSize { .. } => StatusCode::BAD_REQUEST,
            ImagingError::UnknownFormat(_) | ImagingError::Unsupported { .. } => {
                StatusCode::UNSUPPORTED_MEDIA_TYPE
            }
            ImagingError::TooLarge { .. }
            | ImagingError::TooManyPixels { .. }
            | ImagingError::TooManyPages { .. }
            | ImagingError::OutOfMemory { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl From<EngineError> for Problem {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Imaging(error) => error.into(),
            EngineError::Plan(error) => error.into(),
            EngineError::Cancelled => Self::new(
                StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
                "cancelled",
                "the caller cancelled this request",
            ),
            error => Self::internal(error.code(), &error),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Database(cause) => {
                tracing::error!(%cause, "the database failed");
                Self::busy(
                    "database_unavailable",
                    "the database does not respond; try again shortly",
                    5,
                )
            }
            StoreError::NotReceiving(_) => Self::new(
                StatusCode::CONFLICT,
                "job_gone",
                "the job was cancelled or uploaded again during this upload; send it again if you still want it",
            ),
            error => Self::internal("storage_failed", error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_a_problem_document() {
        let response = Problem::busy("queue_full", "too much to do", 3).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(
            response.headers()["content-type"],
            "application/problem+json"
        );
        assert_eq!(response.headers()["retry-after"], "3");
    }

    #[test]
    fn a_wrong_requirement_is_named() {
        let json = serde_json::json!({"language": "klingon"});
        let error = maoocr_engine::plan::Requirements::from_json(&json).unwrap_err();
        let problem = Problem::from(error);
        assert_eq!(problem.status, 422);
        assert_eq!(problem.field.as_deref(), Some("language"));
        assert!(problem.allowed.iter().any(|a| a == "chinese"));
    }

    #[test]
    fn what_happened_inside_stays_inside() {
        let error = EngineError::Model {
            model: "m".into(),
            reason: "secret",
        };
        let problem = Problem::from(error);
        assert_eq!(problem.status, 500);
        assert!(!problem.detail.contains("secret"));
    }
}
