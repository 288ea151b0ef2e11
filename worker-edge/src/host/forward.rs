//! Requests to servers: signed, streamed both ways, given up in time, tried elsewhere where that is harmless.

use js_sys::Uint8Array;
use maoocr_signature::{Claim, HEADER, sign};
use wasm_bindgen::JsValue;
use web_sys::{Headers, ReadableStream, Response};

use super::js::{self, Silence, header};
use super::state::origins;
use crate::config::Config;
use crate::origins::Ending;
use crate::problem::Problem;

/// How long the caller waits, ms.
pub const DEADLINE: &str = "x-maoocr-deadline-ms";

/// What servers get of a caller's headers. Keys and addresses aren't among them: the edge vouches for the caller.
const PASSED: [&str; 10] = [
    "accept",
    "cache-control",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "traceparent",
    "tracestate",
    "upgrade",
    "user-agent",
];

/// A request to whichever server answers.
pub struct Outgoing<'a> {
    /// As the caller wrote it.
    pub method: &'a str,
    /// With its query.
    pub path: &'a str,
    /// Of the caller.
    pub headers: &'a Headers,
    /// Names the request in logs.
    pub id: &'a str,
    /// Who is vouched for.
    pub caller: &'a str,
    /// What they may do.
    pub rights: &'a str,
    /// The body.
    pub body: Body,
    /// When the caller stops waiting, ms since 1970.
    pub deadline: Option<u64>,
    /// Whether asking twice does what asking once does.
    pub idempotent: bool,
}

/// A request's body.
pub enum Body {
    /// None.
    Empty,
    /// All of it is here.
    Whole(Uint8Array),
    /// It is passed on while it comes.
    Stream(ReadableStream),
}

impl Body {
    fn value(&self) -> JsValue {
        match self {
            Self::Empty => JsValue::UNDEFINED,
            Self::Whole(array) => array.into(),
            Self::Stream(stream) => stream.into(),
        }
    }
}

/// A server's answer.
pub struct Incoming {
    /// The server's name.
    pub name: String,
    /// What it said.
    pub response: Response,
}

/// Asks servers in this order until one answers.
pub async fn forward(
    config: &Config,
    order: &[usize],
    out: &Outgoing<'_>,
) -> Result<Incoming, Problem> {
    // A stream can be sent once only.
    let again = out.idempotent && !matches!(out.body, Body::Stream(..));
    let tries = if again { order.len() } else { 1 };
    let mut last = Problem::new(
        503,
        "no_origin",
        "no server answers at the moment; try again shortly",
    )
    .after(5);
    for (at, &index) in order.iter().take(tries).enumerate() {
        match ask(config, index, out).await? {
            // Another one may have less to do.
            Ok(incoming) if incoming.response.status() == 503 && at + 1 < tries => continue,
            Ok(incoming) => return Ok(incoming),
            Err(problem) => last = problem,
        }
    }
    Err(last)
}

/// Asks one server. What another server could answer is the inner error.
async fn ask(
    config: &Config,
    index: usize,
    out: &Outgoing<'_>,
) -> Result<Result<Incoming, Problem>, Problem> {
    let now = js::now();
    let left = out.deadline.map(|deadline| deadline.saturating_sub(now));
    if left == Some(0) {
        return Err(late());
    }
    let limit = left.map_or(config.timeout, |left| left.min(config.timeout));
    let (url, name) = origins(|origins| {
        origins.began(index, now);
        let origin = &origins.all[index];
        (format!("{}{}", origin.url, out.path), origin.name.clone())
    });
    let ended = |ending| origins(|origins| origins.ended(index, js::now(), ending));
    let headers = match headers(config, out, now, left) {
        Ok(headers) => headers,
        Err(problem) => {
            ended(Ending::Answered);
            return Err(problem);
        }
    };
    let fields = [
        ("method", out.method.into()),
        ("headers", headers.into()),
        ("body", out.body.value()),
    ];
    let response = match js::fetch(&url, &fields, limit).await {
        Ok(response) => response,
        Err(Silence::Late) => {
            // A caller in a hurry says nothing about the server.
            ended(if limit < config.timeout {
                Ending::Answered
            } else {
                Ending::Failed
            });
            return match left {
                Some(left) if left <= config.timeout => Err(late()),
                _ => Ok(Err(Problem::new(
                    504,
                    "origin_timeout",
                    "the server did not answer in time; try again shortly",
                )
                .after(1)
                .because(format!("{name}: no answer after {limit} ms")))),
            };
        }
        Err(Silence::Broken(why)) => {
            ended(Ending::Failed);
            let problem = Problem::new(
                502,
                "origin_failed",
                "the connection to the server broke; try again",
            )
            .after(1)
            .because(format!("{name}: {why}"));
            return Ok(Err(problem));
        }
    };
    match response.status() {
        // What stands before a server says so for a server that isn't there.
        502 | 504 if !is_problem(&response) => {
            ended(Ending::Failed);
            let why = format!("{name}: status {}", response.status());
            let problem = Problem::new(
                502,
                "origin_failed",
                "the server can't be reached; try again shortly",
            );
            return Ok(Err(problem.after(1).because(why)));
        }
        503 => {
            let seconds = header(&response.headers(), "retry-after").and_then(|v| v.parse().ok());
            ended(Ending::Busy {
                seconds: seconds.unwrap_or(1),
            });
        }
        403 => {
            ended(Ending::Answered);
            if let Some(why) = disbelief(&response).await {
                let problem = Problem::new(
                    502,
                    "origin_refused",
                    "the server does not believe this edge; its operator knows",
                );
                return Err(problem.because(format!("{name}: {why}")));
            }
        }
        _ => ended(Ending::Answered),
    }
    Ok(Ok(Incoming { name, response }))
}

fn late() -> Problem {
    let detail = "reading this picture took longer than its deadline: send it smaller, ask for more speed, or make it a job";
    Problem::new(504, "deadline_exceeded", detail)
}

fn is_problem(response: &Response) -> bool {
    header(&response.headers(), "content-type")
        .is_some_and(|v| v.starts_with("application/problem+json"))
}

/// Why a server doesn't believe the edge, where that is what it says.
async fn disbelief(response: &Response) -> Option<String> {
    let copy = response.clone().ok()?;
    let text = js::text(&copy).await.ok()?;
    text.contains("\"edge_signature_").then_some(text)
}

fn headers(
    config: &Config,
    out: &Outgoing,
    now: u64,
    left: Option<u64>,
) -> Result<Headers, Problem> {
    let failed = |e: JsValue| Problem::internal("forward_failed", js::words(&e));
    let headers = Headers::new().map_err(failed)?;
    for name in PASSED {
        if let Some(value) = header(out.headers, name) {
            headers.set(name, &value).map_err(failed)?;
        }
    }
    // The key that stands beside it is the edge's business.
    let offered = header(out.headers, "sec-websocket-protocol");
    if offered.is_some_and(|v| v.split(',').any(|p| p.trim() == "maoocr")) {
        headers
            .set("sec-websocket-protocol", "maoocr")
            .map_err(failed)?;
    }
    headers.set("x-request-id", out.id).map_err(failed)?;
    if let Some(left) = left {
        headers.set(DEADLINE, &left.to_string()).map_err(failed)?;
    }
    let nonce = js::uuid();
    let claim = Claim {
        time: now / 1000,
        nonce: &nonce,
        caller: out.caller,
        rights: out.rights,
    };
    let secret = config.secret.as_deref().unwrap_or_default();
    let signature = sign(secret, out.method, out.path, &claim);
    let signature = signature
        .ok_or_else(|| Problem::internal("forward_failed", "this caller can't be signed for"))?;
    headers.set(HEADER, &signature).map_err(failed)?;
    Ok(headers)
}
