//! `/mcp`: the protocol over HTTP, for the holders of keys.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use serde_json::json;
use tokio::sync::Mutex;
use tower::ServiceExt;

use super::Handler;
use crate::app::App;
use crate::body::Memory;
use crate::input;
use crate::problem::Problem;

/// Most values of a message: each takes more memory than its text.
const VALUES: usize = 10_000;

/// The route. Who calls was checked before.
pub fn route() -> MethodRouter<Arc<App>> {
    any(answer)
}

async fn answer(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let (mut head, body) = request.into_parts();
    // Like every body: counted, timed, and held in the memory for uploads, here until the call ends.
    let body = match head.method {
        Method::POST => {
            let most = input::json_limit(&app);
            let mut memory = app.memory();
            let body = input::incoming(&app, &head.headers, body, most)?;
            let body = body.whole(&mut memory).await.map_err(|error| {
                error.problem(|_| {
                    let detail = format!("the request may have at most {most} bytes");
                    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail)
                })
            })?;
            if !is_small(&body) {
                let detail = format!("a message may have at most {VALUES} values beside its text");
                return Err(Problem::new(
                    StatusCode::PAYLOAD_TOO_LARGE,
                    "too_large",
                    detail,
                ));
            }
            if let Some(refused) = malformed(&body) {
                return Ok(refused);
            }
            // Its text is there a second time once it is parsed.
            memory.hold(2 * body.len())?;
            head.extensions.insert(Held(Arc::new(Mutex::new(memory))));
            body
        }
        _ => Bytes::new(),
    };
    let config = StreamableHttpServerConfig::default()
        // The names of hosts were checked before, as for every route.
        .disable_allowed_hosts()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_max_request_body_bytes(usize::MAX)
        .with_cancellation_token(app.stopping.child_token());
    let handler = Handler { app, user: None };
    let sessions = Arc::new(NeverSessionManager::default());
    let service = StreamableHttpService::new(move || Ok(handler.clone()), sessions, config);
    let request = Request::from_parts(head, Body::from(body));
    match service.oneshot(request).await {
        Ok(response) => Ok(response.map(Body::new).into_response()),
        Err(never) => match never {},
    }
}

/// Keeps a share of the memory for as long as the request is known.
#[derive(Clone)]
struct Held(#[allow(dead_code)] Arc<Mutex<Memory>>);

/// Why a body is no message of the protocol: its library would answer that in plain text.
fn malformed(body: &[u8]) -> Option<Response> {
    // Codes of JSON-RPC 2.0, section 5.1.
    let (code, why) = match serde_json::from_slice::<ClientJsonRpcMessage>(body) {
        Ok(_) => return None,
        Err(error) if error.is_data() => {
            (-32600, format!("not a message of the protocol: {error}"))
        }
        Err(error) => (-32700, format!("not JSON: {error}")),
    };
    let error = json!({"jsonrpc": "2.0", "id": null, "error": {"code": code, "message": why}});
    Some((StatusCode::BAD_REQUEST, Json(error)).into_response())
}

/// Whether JSON has few values, counted by what separates them; whether it is JSON is not asked.
fn is_small(json: &[u8]) -> bool {
    let (mut values, mut within, mut escaped) = (0, false, false);
    for &byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if within => escaped = true,
            b'"' => within = !within,
            b',' | b'[' | b'{' | b':' if !within => values += 1,
            _ => {}
        }
    }
    values <= VALUES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_long_and_values_are_few() {
        let text = "[,{:\\\"".repeat(VALUES);
        assert!(is_small(
            format!("{{\"a\": \"{text}\", \"b\": [1, 2]}}").as_bytes()
        ));
        assert!(!is_small(format!("[{}0]", "0,".repeat(VALUES)).as_bytes()));
        assert!(!is_small("[".repeat(VALUES + 1).as_bytes()));
        assert!(is_small(b""));
    }
}
