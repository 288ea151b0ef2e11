//! What leaves the edge: answers and problems, with the headers that all of them have.

use serde_json::Value;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Request, Response};

use super::js::{self, header};
use crate::config::Config;
use crate::cors::{self, Page};
use crate::place::is_foreign;
use crate::problem::Problem;

/// Names the request.
pub const REQUEST_ID: &str = "x-request-id";
/// Where a request was worked on, and why there.
pub const ROUTE: &str = "x-maoocr-route";
/// Whether the answer comes from the cache.
pub const CACHE: &str = "x-maoocr-cache";
/// What pages of other origins may see beside the body.
const EXPOSED: &str =
    "x-request-id, retry-after, location, x-maoocr-cache, x-maoocr-id, x-maoocr-route";

/// An answer on its way out.
pub struct Answer {
    /// Status, headers and body.
    pub response: Response,
    /// Where it was made and why there; empty where that says nothing.
    pub route: String,
}

impl Answer {
    /// A JSON document.
    pub fn json(status: u16, value: &Value) -> Result<Self, Problem> {
        Self::text(status, "application/json", &value.to_string())
    }

    /// A text.
    pub fn text(status: u16, kind: &str, text: &str) -> Result<Self, Problem> {
        let headers = js::object(&[("content-type", kind.into())]);
        let init = js::object(&[("status", status.into()), ("headers", headers)]);
        let response = js::response(&text.into(), &init);
        let response = response.map_err(|e| Problem::internal("answer_failed", js::words(&e)))?;
        Ok(Self {
            response,
            route: String::new(),
        })
    }

    /// A response as it is.
    pub fn of(response: Response, route: impl Into<String>) -> Self {
        Self {
            response,
            route: route.into(),
        }
    }
}

/// A request as far as every answer needs it.
pub struct Asked {
    /// Names it.
    pub id: String,
    /// What page sent it.
    pub page: Page,
    /// Whether another service's client asks, which looks for errors elsewhere.
    pub foreign: bool,
}

impl Asked {
    /// From its headers.
    pub fn of(request: &Request, path: &str, host: Option<&str>, config: &Config) -> Self {
        let headers = request.headers();
        let id = header(&headers, REQUEST_ID)
            .filter(|id| is_id(id))
            .unwrap_or_else(js::uuid);
        let page = cors::page(header(&headers, "origin").as_deref(), host, &config.cors);
        let foreign = is_foreign(path);
        Self { id, page, foreign }
    }
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic())
}

/// The response to a page's question whether it may call.
pub fn preflight(request: &Request) -> Result<Answer, Problem> {
    let wanted = header(&request.headers(), "access-control-request-headers").unwrap_or_default();
    let headers = js::object(&[
        ("access-control-allow-methods", "GET, POST, DELETE".into()),
        ("access-control-allow-headers", wanted.into()),
        ("access-control-max-age", "3600".into()),
    ]);
    let init = js::object(&[("status", 204.into()), ("headers", headers)]);
    let response = js::response(&JsValue::NULL, &init);
    let response = response.map_err(|e| Problem::internal("answer_failed", js::words(&e)))?;
    Ok(Answer::of(response, ""))
}

/// The response to send.
pub fn finish(asked: &Asked, result: Result<Answer, Problem>) -> Result<Response, JsValue> {
    let answer = match result {
        Ok(answer) => answer,
        Err(problem) => {
            if let Some(cause) = &problem.cause {
                worker::console_error!("{} {}: {cause}", asked.id, problem.code);
            }
            let headers = js::object(&[("content-type", "application/problem+json".into())]);
            if let Some(seconds) = problem.retry_after {
                js::set(&headers, "retry-after", &seconds.to_string().into());
            }
            if problem.status == 405 {
                js::set(&headers, "allow", &problem.allowed.join(", ").into());
            }
            if problem.status == 401 {
                js::set(&headers, "www-authenticate", &"Bearer".into());
            }
            let init = js::object(&[("status", problem.status.into()), ("headers", headers)]);
            let body = match asked.foreign {
                true => problem.to_foreign_json(),
                false => problem.to_json(),
            };
            Answer::of(js::response(&body.to_string().into(), &init)?, "")
        }
    };
    let given = &answer.response;
    let headers = Headers::new_with_headers(&given.headers())?;
    // A server's word on who may call is for pages that call the server.
    for name in [
        "access-control-allow-origin",
        "access-control-allow-credentials",
        "access-control-expose-headers",
        "vary",
    ] {
        headers.delete(name)?;
    }
    headers.set(REQUEST_ID, &asked.id)?;
    if !answer.route.is_empty() {
        headers.set(ROUTE, &answer.route)?;
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        (
            "content-security-policy",
            "default-src 'none'; frame-ancestors 'none'",
        ),
    ] {
        if !headers.has(name)? {
            headers.set(name, value)?;
        }
    }
    if let Page::Allowed(origin) = &asked.page {
        headers.set("access-control-allow-origin", origin)?;
        headers.set("access-control-expose-headers", EXPOSED)?;
    }
    headers.set("vary", "accept, accept-encoding, origin")?;
    let init = js::object(&[
        ("status", given.status().into()),
        ("headers", headers.into()),
    ]);
    let socket = js::get(given, "webSocket");
    if socket.is_truthy() {
        js::set(&init, "webSocket", &socket);
        return js::response(&JsValue::NULL, &init);
    }
    js::response(&given.body().map_or(JsValue::NULL, JsValue::from), &init)
}
