//! Requests to servers: signed, streamed both ways, given up in time, tried elsewhere where that is harmless.

use js_sys::{Promise, Uint8Array};
use maoocr_signature::{Claim, HEADER, Target, sign};
use wasm_bindgen::JsValue;
use web_sys::{Headers, ReadableStream, Response};

use super::js::{self, Joined, Patience, Silence, header};
use super::state::origins;
use crate::config::Config;
use crate::origins::Ending;
use crate::problem::Problem;

/// How long the caller waits, ms.
pub const DEADLINE: &str = "x-maoocr-deadline-ms";

/// How long a body that comes from elsewhere may take, ms. Servers have a time of their own for it.
const SENDING: u64 = 600_000;
/// How long a server that doesn't believe the edge is asked after all others, s.
const DISBELIEF: u64 = 60;

/// What servers get of a caller's headers. Keys and addresses aren't among them: the edge vouches for the caller.
const PASSED: [&str; 13] = [
    "accept",
    "cache-control",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "traceparent",
    "tracestate",
    "upgrade",
    "user-agent",
];

/// The problem of a server that doesn't believe the edge.
const REFUSED: &str = "origin_refused";

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
    Stream(Joined),
}

impl Body {
    /// A body that comes with these headers, of which the beginning was read already.
    pub fn passed(
        beginning: &[u8],
        rest: &ReadableStream,
        headers: &Headers,
    ) -> Result<Self, Problem> {
        let length = header(headers, "content-length").and_then(|v| v.parse().ok());
        let joined = js::joined(beginning, rest, length);
        let joined = joined.map_err(|e| Problem::internal("forward_failed", js::words(&e)))?;
        Ok(Self::Stream(joined))
    }

    fn value(&self) -> JsValue {
        match self {
            Self::Empty => JsValue::UNDEFINED,
            Self::Whole(array) => array.into(),
            Self::Stream(joined) => (&joined.stream).into(),
        }
    }

    fn sending(&self) -> Option<&Promise> {
        match self {
            Self::Stream(joined) => Some(&joined.sending),
            _ => None,
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
    let held = out.body.sending().is_none();
    let again = out.idempotent && held;
    let mut last = Problem::no_origin().after(5);
    for (at, &index) in order.iter().enumerate() {
        let more = at + 1 < order.len();
        match ask(config, index, out).await? {
            // Another one may have less to do.
            Ok(incoming) if incoming.response.status() == 503 && again && more => continue,
            Ok(incoming) => return Ok(incoming),
            Err(problem) => last = problem,
        }
        // Who doesn't believe the edge has done nothing.
        let undone = held && last.code == REFUSED;
        if !again && !undone {
            break;
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
        return Err(Problem::late());
    }
    let patience = Patience {
        body: SENDING,
        answer: config.timeout,
        until: out.deadline.unwrap_or(u64::MAX),
    };
    // Timers may be early.
    let is_late = || out.deadline.is_some_and(|at| js::now() + 20 >= at);
    let (url, origin, name, request) = origins(|origins| {
        let request = origins.began(index, now);
        let origin = &origins.all[index];
        let url = format!("{}{}", origin.url, out.path);
        let signed = maoocr_signature::origin(&origin.url);
        (url, signed, origin.name.clone(), request)
    });
    let ended = |ending| origins(|origins| origins.ended(index, request, js::now(), ending));
    let headers = match headers(config, out, &origin, now, left) {
        Ok(headers) => headers,
        Err(problem) => {
            ended(Ending::Unknown);
            return Err(problem);
        }
    };
    let fields = [
        ("method", out.method.into()),
        ("headers", headers.into()),
        ("body", out.body.value()),
    ];
    let response = match js::fetch(&url, &fields, out.body.sending(), patience).await {
        Ok(response) => response,
        Err(Silence::Late) => {
            // A caller in a hurry says nothing about the server.
            if is_late() {
                ended(Ending::Unknown);
                return Err(Problem::late());
            }
            ended(Ending::Failed);
            let detail = "the server did not respond in time; try again shortly";
            let problem = Problem::new(504, "origin_timeout", detail).after(1);
            let limit = config.timeout;
            return Ok(Err(
                problem.because(format!("{name}: no answer after {limit} ms"))
            ));
        }
        // Nor do callers that send slowly, or not at all.
        Err(Silence::Slow) => {
            ended(Ending::Unknown);
            if is_late() {
                return Err(Problem::late());
            }
            let detail = "the body took too long to arrive; send it over a faster connection";
            return Err(Problem::new(408, "upload_too_slow", detail));
        }
        Err(Silence::Cut(why)) => {
            ended(Ending::Unknown);
            let problem = Problem::new(
                400,
                "body_broken",
                "the connection broke before the body was complete",
            );
            return Err(problem.because(why));
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
            if let Some(why) = disbelief(&response).await {
                ended(Ending::Busy { seconds: DISBELIEF });
                let detail = "the server rejected this edge's signature; the operator must check the secret and the clocks";
                let problem = Problem::new(502, REFUSED, detail);
                worker::console_error!("{}: {name}: {why}", out.id);
                return Ok(Err(problem.because(format!("{name}: {why}"))));
            }
            ended(Ending::Answered);
        }
        _ => ended(Ending::Answered),
    }
    Ok(Ok(Incoming { name, response }))
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
    origin: &str,
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
    let target = Target {
        method: out.method,
        origin,
        path: out.path,
    };
    let signature = sign(secret, target, &claim);
    let signature = signature
        .ok_or_else(|| Problem::internal("forward_failed", "this caller can't be signed for"))?;
    headers.set(HEADER, &signature).map_err(failed)?;
    Ok(headers)
}
