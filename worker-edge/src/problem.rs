//! Problem documents (RFC 9457) with the server's codes, for what the edge refuses itself.

use maoocr_engine::imaging::ImagingError;
use maoocr_engine::plan::RequirementError;
use serde_json::{Value, json};

/// What went wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// A stable word for programs.
    pub code: &'static str,
    /// What is wrong with this very request, and what to do.
    pub detail: String,
    /// The field of the request that can't be used, where it is one.
    pub field: Option<Box<str>>,
    /// What may stand there instead: values, or methods.
    pub allowed: Vec<String>,
    /// Seconds after which another try makes sense.
    pub retry_after: Option<u64>,
    /// What happened inside: for the log, not for the caller.
    pub cause: Option<Box<str>>,
}

impl Problem {
    /// A problem of this status and code.
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            code,
            detail: detail.into(),
            field: None,
            allowed: Vec::new(),
            retry_after: None,
            cause: None,
        }
    }

    /// Names the field.
    pub fn field(mut self, field: impl Into<Box<str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The problem of a method that does nothing at a path, and those that do.
    pub fn method(detail: impl Into<String>, allowed: &[&str]) -> Self {
        let mut problem = Self::new(405, "method_not_allowed", detail);
        problem.allowed = allowed.iter().map(ToString::to_string).collect();
        problem
    }

    /// Names the time to wait, s.
    pub fn after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// Says what happened inside.
    pub fn because(mut self, cause: impl std::fmt::Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    /// The edge's own fault.
    pub fn internal(code: &'static str, cause: impl std::fmt::Display) -> Self {
        Self::new(
            500,
            code,
            "the edge failed to process this request; its log says why",
        )
        .because(cause)
    }

    /// Nobody can be asked.
    pub fn no_origin() -> Self {
        let detail = "no server is available right now; try again shortly";
        Self::new(503, "no_origin", detail)
    }

    /// The caller stops waiting before there is an answer.
    pub fn late() -> Self {
        let detail = "reading this picture took longer than its deadline: send a smaller one, request more speed, or send it as a job";
        Self::new(504, "deadline_exceeded", detail)
    }

    /// The document.
    pub fn to_json(&self) -> Value {
        let mut json = json!({
            "type": format!("urn:maoocr:problem:{}", self.code),
            "title": title(self.status),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        });
        if let Some(field) = &self.field {
            json["field"] = json!(field);
        }
        if !self.allowed.is_empty() {
            json["allowed"] = json!(self.allowed);
        }
        if let Some(seconds) = self.retry_after {
            json["retry_after"] = json!(seconds);
        }
        json
    }

    /// The same with `error`, where OpenAI's and Azure's clients look for it.
    pub fn to_foreign_json(&self) -> Value {
        let kind = match self.status {
            500.. => "server_error",
            _ => "invalid_request_error",
        };
        let mut json = self.to_json();
        json["error"] = json!({
            "message": self.detail, "type": kind, "code": self.code, "param": self.field
        });
        json
    }
}

fn title(status: u16) -> &'static str {
    match status {
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        411 => "Length Required",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Error",
    }
}

impl From<RequirementError> for Problem {
    fn from(error: RequirementError) -> Self {
        let mut problem = Self::new(422, "invalid_requirements", error.to_string());
        problem.field = Some(error.field.into());
        problem.allowed = error.allowed;
        problem
    }
}

/// What can be wrong with a file, and the status of it.
const FILES: [(&str, u16); 14] = [
    ("empty", 400),
    ("invalid_frame", 400),
    ("unknown_format", 415),
    ("unsupported", 415),
    ("too_large", 413),
    ("too_many_pixels", 413),
    ("too_many_pages", 413),
    ("out_of_memory", 413),
    ("truncated", 422),
    ("malformed", 422),
    ("too_complex", 422),
    ("password_required", 422),
    ("password_wrong", 422),
    ("model_not_installed", 422),
];

impl Problem {
    /// What the reader said of a file.
    pub fn of_file(code: &str, detail: &str) -> Self {
        match FILES.into_iter().find(|(known, _)| *known == code) {
            Some((code, status)) => Self::new(status, code, detail),
            None => Self::internal("reader_failed", format!("{code}: {detail}")),
        }
    }
}

impl From<ImagingError> for Problem {
    fn from(error: ImagingError) -> Self {
        Self::of_file(error.code(), &error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use maoocr_engine::plan::Requirements;

    use super::*;

    #[test]
    fn a_problem_says_what_may_stand_there() {
        let error = Requirements::from_json(&json!({"language": "klingon"})).unwrap_err();
        let json = Problem::from(error).to_json();
        assert_eq!(json["status"], 422);
        assert_eq!(json["code"], "invalid_requirements");
        assert_eq!(json["field"], "language");
        assert!(
            json["allowed"]
                .as_array()
                .unwrap()
                .contains(&json!("chinese"))
        );
    }

    #[test]
    fn other_services_clients_find_the_error() {
        let json = Problem::new(404, "not_found", "nothing").to_foreign_json();
        assert_eq!(json["error"]["message"], "nothing");
        assert_eq!(json["error"]["type"], "invalid_request_error");
        assert_eq!(json["status"], 404);
    }
}
