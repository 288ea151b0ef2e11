//! What talks to the runtime: the Worker's events.

mod answer;
mod batch;
mod callers;
mod export;
mod forward;
mod js;
mod objects;
mod reader;
mod recognize;
mod state;

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::JsValue;
use web_sys::{Headers, Request, Response};
use worker::{
    AnalyticsEngineDataPointBuilder, Context, Env, MessageBatch, MessageExt,
    QueueRetryOptionsBuilder, ScheduleContext, ScheduledEvent, event,
};

use answer::{Answer, Asked, finish, preflight};
use forward::{Body, Outgoing, forward};
use js::{Patience, header};
use state::origins;

use crate::caller::Caller;
use crate::config::Config;
use crate::cors::Page;
use crate::job::check_query;
use crate::origins::{Seen, Wish};
use crate::place::{Place, is_idempotent, is_link, place};
use crate::problem::Problem;
use crate::route::{Decision, Facts, Picture, Right, Servers, Work, missing, route};

/// Bytes of a refused body that are read all the same.
const DRAINED: usize = 8 << 20;
/// Seconds until a batch is looked at again that the edge itself had trouble with: a message may be tried a hundred
/// times, which is as long as batches are offered to servers.
const TROUBLE: u32 = 240;
/// How long the cron waits for a server to say how it stands, ms.
const READY: u64 = 5_000;

/// A request of a known caller.
struct Exchange<'a> {
    request: &'a Request,
    config: &'a Config,
    asked: &'a Asked,
    caller: Caller,
    /// Path and query.
    target: &'a str,
    query: &'a str,
    region: String,
}

#[event(start)]
fn start() {
    std::panic::set_hook(Box::new(|panic| worker::console_error!("{panic}")));
}

#[event(fetch)]
async fn fetch(request: Request, env: Env, context: Context) -> worker::Result<Response> {
    let began = js::now();
    let url = request.url();
    let url = worker::Url::parse(&url)?;
    let config = match state::config(&env) {
        Ok(config) => config,
        Err(why) => {
            let asked = Asked {
                id: js::uuid(),
                page: Page::Own,
                foreign: false,
            };
            let problem = Problem::internal("misconfigured", why);
            return Ok(finish(&asked, Err(problem))?);
        }
    };
    if state::must_look() {
        let env = env.clone();
        context.wait_until(state::look(env));
    }
    let host = header(&request.headers(), "host");
    let asked = Asked::of(
        &request,
        url.path(),
        host.as_deref().or(url.host_str()),
        &config,
    );
    let result = answer(&request, &url, &config, &asked, &env, &context).await;
    if let (Err(_), Some(body)) = (&result, request.body()) {
        // Who still sends would not hear the answer.
        js::drain(&body, DRAINED).await;
    }
    let code = result.as_ref().err().map_or("", |p| p.code);
    let route = result.as_ref().map_or("", |a| a.route.as_str()).to_string();
    let response = finish(&asked, result)?;
    record(&env, &request, &response, &route, code, js::now() - began);
    Ok(response)
}

async fn answer(
    request: &Request,
    url: &worker::Url,
    config: &Config,
    asked: &Asked,
    env: &Env,
    context: &Context,
) -> Result<Answer, Problem> {
    let method = request.method();
    let place = place(&method, url.path());
    if method == "OPTIONS"
        && request
            .headers()
            .has("access-control-request-method")
            .unwrap_or(false)
    {
        return preflight(request);
    }
    match place {
        Place::Health => return Answer::json(200, &health()),
        Place::Ready => return ready(env).await,
        Place::LookOnly => {
            let detail = format!("{} accepts only GET", url.path());
            return Err(Problem::method(detail, &["GET", "HEAD"]));
        }
        Place::File => return file(request, url, env).await,
        Place::Operator => return Err(nothing(url.path())),
        Place::Api(_) | Place::Job { .. } => {}
    }
    let headers = request.headers();
    let query = url.query().unwrap_or_default();
    let linked = method == "GET" && is_link(&place, url.path(), query);
    let caller = callers::known(config, env, &headers, linked).await?;
    let socket = place == Place::Api(Work::Socket);
    // Looking is cheap; what is limited is work.
    if socket || !["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
        callers::count(env, &caller.who, caller.rate).await?;
    }
    // Browsers let any page open a WebSocket anywhere.
    if socket && asked.page == Page::Foreign {
        let detail = "pages from this origin may not open a WebSocket here";
        return Err(Problem::new(403, "origin_not_allowed", detail));
    }
    let target = match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_string(),
    };
    let region = js::get(&js::get(request, "cf"), "continent")
        .as_string()
        .unwrap_or_default();
    let exchange = Exchange {
        request,
        config,
        asked,
        caller,
        target: &target,
        query,
        region,
    };
    match place {
        Place::Api(Work::Recognize) => recognize::recognize(&exchange, env, context).await,
        Place::Api(Work::Batch) if batch::is_here(env) => {
            exchange.needs(Right::Jobs)?;
            batch::take(env, config, request, &exchange.caller, &exchange.region).await
        }
        Place::Job { id, rest } => job(&exchange, env, id, rest).await,
        Place::Api(work) => pass(&exchange, work, &place).await,
        _ => Err(nothing(url.path())),
    }
}

impl Exchange<'_> {
    fn needs(&self, right: Right) -> Result<(), Problem> {
        match self.caller.rights.contains(&right) {
            true => Ok(()),
            false => Err(missing(right)),
        }
    }

    fn outgoing<'a>(
        &'a self,
        method: &'a str,
        headers: &'a Headers,
        rights: &'a str,
    ) -> Result<Outgoing<'a>, Problem> {
        Ok(Outgoing {
            method,
            path: self.target,
            headers,
            id: &self.asked.id,
            caller: &self.caller.owner,
            rights,
            body: match self.request.body() {
                // What these have as a body says nothing (RFC 9110, 9.3.1 and 9.3.5), and isn't sent on: a server that
                // answers without reading it ends the connection.
                Some(body) if !["GET", "HEAD", "DELETE"].contains(&method) => {
                    Body::passed(&[], &body, headers)?
                }
                _ => Body::Empty,
            },
            deadline: recognize::deadline(self.request)?,
            idempotent: false,
        })
    }
}

/// A server's to answer, as it is.
async fn pass(exchange: &Exchange<'_>, work: Work, place: &Place<'_>) -> Result<Answer, Problem> {
    let method = exchange.request.method();
    let headers = exchange.request.headers();
    if work == Work::Socket
        && !header(&headers, "upgrade").is_some_and(|v| v.eq_ignore_ascii_case("websocket"))
    {
        let detail = "this path is for WebSockets: send `Upgrade: websocket`";
        return Err(Problem::new(426, "no_websocket", detail));
    }
    let facts = Facts {
        work,
        requirements: &Default::default(),
        picture: &Picture::Unknown,
        bytes: None,
        whole: false,
        rights: &exchange.caller.rights,
        left: None,
        elsewhere: None,
    };
    let wish = Wish {
        region: &exchange.region,
        capability: None,
    };
    let now = js::now();
    let servers = origins(|origins| Servers {
        order: origins.order(wish, now, js_sys::Math::random),
        retry_after: origins.retry_after(now),
    });
    match route(
        &facts,
        &servers,
        exchange.config.light,
        exchange.config.bounds,
    ) {
        Decision::Forward { order, reason } => {
            let rights = exchange.caller.rights();
            let headers = match work {
                Work::Batch => batch::keyed(headers, &exchange.caller).await?,
                _ => headers,
            };
            let mut out = exchange.outgoing(&method, &headers, &rights)?;
            out.idempotent = is_idempotent(&method, place);
            let incoming = forward(exchange.config, &order, &out).await?;
            Ok(Answer::of(
                incoming.response,
                format!("{}: {reason}", incoming.name),
            ))
        }
        Decision::Refuse(problem) => Err(problem),
        Decision::Here { .. } => Err(Problem::internal(
            "route_failed",
            "only pictures are read at the edge",
        )),
    }
}

/// A job: here while no server has it, else at that server.
async fn job(exchange: &Exchange<'_>, env: &Env, id: &str, rest: &str) -> Result<Answer, Problem> {
    let method = exchange.request.method();
    let Some(job) = batch::find(env, id, &exchange.caller.owner).await? else {
        let place = Place::Job { id, rest };
        return pass(exchange, Work::Lookup, &place).await;
    };
    exchange.needs(Right::Jobs)?;
    let name = job.id.clone();
    let place = match method.as_str() {
        "GET" | "HEAD" if ["", "/events"].contains(&rest) => {
            if rest.is_empty() {
                check_query(&recognize::pairs(exchange.query))?;
            }
            batch::show(env, job, rest).await?
        }
        "DELETE" if rest.is_empty() => batch::cancel(env, job).await?,
        "POST" if rest == "/retry" => batch::retry(job)?,
        _ => {
            let detail = format!("jobs do not accept {method} here; /docs shows what they accept");
            let allowed: &[_] = match rest {
                "" => &["GET", "HEAD", "DELETE"],
                "/events" => &["GET", "HEAD"],
                "/retry" => &["POST"],
                _ => return Err(nothing(&format!("/api/jobs/{id}{rest}"))),
            };
            return Err(Problem::method(detail, allowed));
        }
    };
    let (origin, theirs) = match place {
        Ok(answer) => return Ok(answer),
        Err(place) => place,
    };
    let headers = exchange.request.headers();
    let rights = exchange.caller.rights();
    let target = exchange.target.replacen(&name, &theirs, 1);
    let mut out = exchange.outgoing(&method, &headers, &rights)?;
    out.path = &target;
    out.idempotent = is_idempotent(&method, &Place::Job { id, rest });
    // The server that took it first. The others may share its database; who doesn't says that there is no such job.
    let wish = Wish {
        region: &exchange.region,
        capability: None,
    };
    let now = js::now();
    let (order, all, wait) = origins(|origins| {
        let mut order = origins.order(wish, now, js_sys::Math::random);
        let first = origins.position(&origin);
        order.sort_by_key(|index| Some(*index) != first);
        (order, origins.all.len(), origins.retry_after(now))
    });
    let mut missing = 0;
    let mut last = Problem::no_origin().after(wait);
    for index in order {
        let incoming = match forward(exchange.config, &[index], &out).await {
            Ok(incoming) => incoming,
            Err(problem) if out.idempotent => {
                last = problem;
                continue;
            }
            Err(problem) => return Err(problem),
        };
        if incoming.response.status() == 404 {
            missing += 1;
            continue;
        }
        let response = batch::renamed(incoming.response, &theirs, &name)?;
        let route = format!("{}: it has this job", incoming.name);
        return Ok(Answer::of(response, route));
    }
    // One that doesn't answer may have it.
    Err(match missing == all {
        true => batch::not_found(&name),
        false => last,
    })
}

fn health() -> serde_json::Value {
    json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "device": "edge"})
}

/// Ready where pictures can be read, be it with the tiny models alone.
async fn ready(env: &Env) -> Result<Answer, Problem> {
    state::look(env.clone()).await;
    let now = js::now();
    let (there, wait) = origins(|origins| {
        let order = origins.order(Wish::default(), now, js_sys::Math::random);
        (!order.is_empty(), origins.retry_after(now))
    });
    match there || reader::works() {
        true => Answer::json(200, &health()),
        false => Err(Problem::no_origin().after(wait)),
    }
}

/// A static file. Most are served before the Worker is asked; what comes here is what no file has the name of.
async fn file(request: &Request, url: &worker::Url, env: &Env) -> Result<Answer, Problem> {
    let method = request.method();
    let headers = request.headers();
    let assets = js::get(env, "ASSETS");
    if !["GET", "HEAD"].contains(&method.as_str()) || assets.is_undefined() {
        return Err(nothing(url.path()));
    }
    let failed = |thrown: JsValue| Problem::internal("assets_failed", js::words(&thrown));
    let page = header(&headers, "accept").is_some_and(|v| v.contains("text/html"));
    // The web app's pages are all the same file.
    let path = if page { "/" } else { url.path() };
    let address = format!("https://assets{path}");
    let init = js::object(&[("method", method.into()), ("headers", headers.into())]);
    let found = js::ask(&assets, "fetch", &[address.into(), init])
        .await
        .map_err(failed)?;
    let response: Response = wasm_bindgen::JsCast::unchecked_into(found);
    match response.status() {
        404 => Err(nothing(url.path())),
        _ => Ok(Answer::of(response, "")),
    }
}

fn nothing(path: &str) -> Problem {
    let path: String = path.chars().filter(|c| !c.is_control()).take(200).collect();
    Problem::new(
        404,
        "not_found",
        format!("there is nothing at {path}; /docs lists all paths"),
    )
}

/// One event for Analytics Engine, where it is bound: what was asked, where it went and why, and how long it took.
fn record(env: &Env, request: &Request, response: &Response, route: &str, code: &str, ms: u64) {
    let Ok(events) = env.analytics_engine("EVENTS") else {
        return;
    };
    let (place, reason) = route.split_once(": ").unwrap_or((route, ""));
    let cache = header(&response.headers(), answer::CACHE).unwrap_or_default();
    let status = response.status().to_string();
    let method = request.method();
    let point = AnalyticsEngineDataPointBuilder::new()
        .indexes([place])
        .add_blob(method.as_str())
        .add_blob(place)
        .add_blob(reason)
        .add_blob(status.as_str())
        .add_blob(code)
        .add_blob(cache.as_str())
        .add_double(ms as f64)
        .build();
    if let Err(error) = events.write_data_point(&point) {
        worker::console_error!("events: {error}");
    }
}

/// Looks at every server and writes down what it sees, for all isolates.
#[event(scheduled)]
async fn scheduled(_event: ScheduledEvent, env: Env, _context: ScheduleContext) {
    let Ok(config) = state::config(&env) else {
        return;
    };
    let mut seen = HashMap::new();
    for origin in &config.origins {
        let patience = Patience {
            body: 0,
            answer: READY,
            until: u64::MAX,
        };
        let answer = js::fetch(&format!("{}/ready", origin.url), &[], None, patience).await;
        let ready = answer.is_ok_and(|response| response.status() == 200);
        seen.insert(
            &origin.name,
            Seen {
                at: js::now(),
                ready,
            },
        );
    }
    let Ok(text) = serde_json::to_string(&seen) else {
        return;
    };
    let written = match env.kv("STORE").and_then(|s| Ok(s.put("seen", text)?)) {
        Ok(put) => put
            .expiration_ttl(600)
            .execute()
            .await
            .map_err(|e| e.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = written {
        worker::console_error!("seen: {error}");
    }
}

/// What the queue carries.
#[derive(Deserialize)]
struct Offer {
    job: String,
}

/// Gives batches to servers.
#[event(queue)]
async fn queue(batch: MessageBatch<Offer>, env: Env, _context: Context) -> worker::Result<()> {
    let later = |seconds| {
        QueueRetryOptionsBuilder::new()
            .with_delay_seconds(seconds)
            .build()
    };
    let Ok(config) = state::config(&env) else {
        batch.retry_all_with_options(&later(TROUBLE));
        return Ok(());
    };
    for message in batch.iter() {
        let Ok(message) = message else {
            worker::console_error!("queue: a message is none of ours");
            continue;
        };
        match batch::offer(&env, &config, &message.body().job).await {
            Ok(None) => message.ack(),
            Ok(Some(seconds)) => message.retry_with_options(&later(seconds)),
            Err(problem) => {
                worker::console_error!(
                    "queue: {} {}",
                    problem.code,
                    problem.cause.unwrap_or_default()
                );
                message.retry_with_options(&later(TROUBLE));
            }
        }
    }
    Ok(())
}
