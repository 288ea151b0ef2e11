//! Problems as other services' clients read them: in `error`, beside the fields of a problem document.

use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;

use crate::problem::{Problem, Told};

/// Where the paths of their interfaces begin.
const PATHS: [&str; 2] = ["/v1/", "/documentintelligence/"];

/// Adds what OpenAI's and Azure's clients show of an error.
pub async fn errors(request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let foreign = PATHS.iter().any(|start| path.starts_with(start));
    let response = next.run(request).await;
    match response.extensions().get::<Told>().cloned() {
        Some(Told(problem)) if foreign => with_error(response, &problem),
        _ => response,
    }
}

fn with_error(response: Response, problem: &Problem) -> Response {
    let kind = match problem.status.is_server_error() {
        true => "server_error",
        false => "invalid_request_error",
    };
    let mut body = problem.to_json();
    body["error"] = json!({
        "message": problem.detail, "type": kind, "code": problem.code, "param": problem.field
    });
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, body.to_string().into())
}
