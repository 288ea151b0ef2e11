//! A picture that somebody waits for: looked at, routed, and answered here or by a server.

use maoocr_engine::imaging::Limits;
use maoocr_engine::plan::Requirements;
use wasm_bindgen::JsValue;
use web_sys::{Request, Response};
use worker::{Context, Env};

use super::Exchange;
use super::answer::{Answer, CACHE};
use super::export;
use super::forward::{Body, DEADLINE, Incoming, Outgoing, forward};
use super::js::{self, header};
use super::reader::{self, Read};
use super::state::{hold, origins, release};
use crate::intake::{self, Found, Kind};
use crate::origins::Wish;
use crate::problem::Problem;
use crate::route::{Decision, Facts, Light, Picture, Servers, Work, capability, is_heavy, route};
use crate::wishes::{Said, Wishes};

/// Bytes of a body that say how large its picture is, mostly.
const HEADERS: usize = 64 << 10;
/// Bytes of a form beside its picture.
const REST: u64 = 64 << 10;
/// How long a body is read that may be a light picture's, ms. One that takes longer is passed on while it comes.
const READING: u64 = 30_000;
/// The most a caller may say it waits, ms.
const DAY: u64 = 86_400_000;

/// How long the caller waits, by its own word: until then, ms since 1970.
pub fn deadline(request: &Request) -> Result<Option<u64>, Problem> {
    let Some(value) = header(&request.headers(), DEADLINE) else {
        return Ok(None);
    };
    match value.parse::<u64>() {
        Ok(millis) if (1..=DAY).contains(&millis) => Ok(Some(js::now() + millis)),
        _ => Err(Problem::new(
            400,
            "invalid_deadline",
            "x-maoocr-deadline-ms must be a whole number of milliseconds, 1 to 86400000",
        )
        .field(DEADLINE)),
    }
}

/// Answers.
pub async fn recognize(
    exchange: &Exchange<'_>,
    env: &Env,
    context: &Context,
) -> Result<Answer, Problem> {
    let request = exchange.request;
    let config = exchange.config;
    let headers = request.headers();
    let deadline = deadline(request)?;
    let kind = Kind::of(&header(&headers, "content-type").unwrap_or_default());
    let length = header(&headers, "content-length").and_then(|v| v.parse::<u64>().ok());
    // Base64 takes four bytes for three.
    let most = match kind {
        Kind::Json => config.max_file / 3 * 4 + REST,
        _ => config.max_file + REST,
    };
    if length.is_some_and(|length| length > most) {
        let detail = format!(
            "the file has more than the limit of {} bytes",
            config.max_file
        );
        return Err(Problem::new(413, "too_large", detail));
    }
    // A large body is passed on as it is; of one that may be small as much is read as a small one has.
    let enough = match kind {
        Kind::Json => config.bounds.bytes / 3 * 4 + REST,
        _ => config.bounds.bytes + REST,
    };
    let held = length.unwrap_or(enough).min(enough);
    let small = length.is_none_or(|length| length <= enough) && kind != Kind::Other;
    // JSON is there twice: as it came, and the file in it.
    let room = if kind == Kind::Json { 2 * held } else { held };
    let body = if small { hold(room) } else { None };
    let mut beginning = Vec::new();
    let reserved = body.is_some() && beginning.try_reserve_exact(held as usize).is_ok();
    let enough = reserved.then_some(enough);
    let result = answer(exchange, env, context, &kind, deadline, enough, beginning).await;
    if let Some(body) = body {
        release(body);
    }
    result
}

/// What a body says, and its picture. Where looking ends in a trap, it says nothing here, and all to a server. A body whose
/// beginning alone is here, is not refused for it.
fn look<'a>(
    kind: &Kind,
    body: &'a [u8],
    query: &[(String, String)],
    whole: bool,
    limits: &Limits,
) -> Result<(Found<'a>, Picture), Problem> {
    let looked = js::fenced(|| {
        let found = intake::look(kind, body, query, whole)?;
        let whole = whole && found.understood;
        let picture = intake::picture(found.file.as_deref(), whole, limits);
        Ok((found, picture))
    });
    looked.unwrap_or_else(|trap| {
        worker::console_error!("a body could not be looked into: {trap}");
        Ok((Found::default(), Picture::Unknown))
    })
}

async fn answer(
    exchange: &Exchange<'_>,
    env: &Env,
    context: &Context,
    kind: &Kind,
    deadline: Option<u64>,
    enough: Option<u64>,
    mut beginning: Vec<u8>,
) -> Result<Answer, Problem> {
    let config = exchange.config;
    let broken = |thrown: JsValue| {
        Problem::new(
            400,
            "body_broken",
            "the connection broke before the body was complete",
        )
        .because(js::words(&thrown))
    };
    let stream = exchange.request.body();
    let query = pairs(exchange.query);
    let limits = Limits {
        max_bytes: config.max_file as usize,
        ..Limits::default()
    };
    let mut whole = stream.is_none();
    if let (Some(stream), Some(enough)) = (&stream, enough) {
        let until = js::now() + READING;
        let slow = || {
            let detail = "the upload stalled for too long; send it again";
            Problem::new(408, "upload_too_slow", detail)
        };
        let read = js::read(stream, &mut beginning, HEADERS, until).await;
        whole = read.map_err(broken)?.ok_or_else(slow)?;
        // A picture that is too large by its own word isn't held.
        let (_, picture) = look(kind, &beginning, &query, whole, &limits)?;
        if !whole && !is_heavy(&picture, config.bounds) {
            let read = js::read(stream, &mut beginning, enough as usize + 1, until).await;
            whole = read.map_err(broken)?.ok_or_else(slow)?;
        }
    }
    let (found, picture) = look(kind, &beginning, &query, whole, &limits)?;
    let picture = match enough {
        Some(_) => picture,
        None => Picture::Unknown,
    };
    let file = found.file.as_deref();
    let pdf = picture == Picture::Pdf;
    let whole_and_clear = whole && found.understood;
    let unsaid = Requirements::default();
    let needs = found.requirements.as_ref().unwrap_or(&unsaid);
    // Of a beginning nobody knows what follows.
    let (said, accept) = match whole_and_clear {
        true => (
            found.said.clone(),
            header(&exchange.request.headers(), "accept"),
        ),
        false => (Said::default(), None),
    };
    let wishes = said.wishes(needs, accept.as_deref())?;
    let facts = Facts {
        work: Work::Recognize,
        requirements: needs,
        picture: &picture,
        bytes: file.map(|f| f.len() as u64),
        whole: whole_and_clear,
        rights: &exchange.caller.rights,
        left: deadline.map(|deadline| deadline.saturating_sub(js::now())),
        elsewhere: wishes.elsewhere(pdf),
    };
    let wish = Wish {
        region: &exchange.region,
        capability: capability(needs),
    };
    let now = js::now();
    let servers = origins(|origins| Servers {
        order: origins.order(wish, now, js_sys::Math::random),
        retry_after: origins.retry_after(now),
    });
    let light = if reader::works() {
        config.light
    } else {
        Light::Never
    };
    let decision = route(&facts, &servers, light, config.bounds);
    if let Decision::Refuse(problem) = decision {
        return Err(problem);
    }
    // An answer follows from the picture, the needs, the models; it is its caller's alone. What a PDF says is the same
    // wherever it is read.
    let here = matches!(decision, Decision::Here { .. }) && !pdf;
    let mut keys = match (
        file,
        facts.whole && wishes.is_plain() && config.cache_time > 0,
    ) {
        (Some(file), true) => {
            Some(Keys::of(file, needs, &wishes, pdf, &exchange.caller.owner, here).await?)
        }
        _ => None,
    };
    let fresh = header(&exchange.request.headers(), "cache-control")
        .is_some_and(|v| v.contains("no-cache"));
    if let (Some(keys), false) = (&keys, fresh)
        && let Some(answer) = kept(keys, &wishes, &found.name).await?
    {
        return Ok(answer);
    }
    let read = match decision {
        Decision::Here { reason } => {
            let read = reader::read(env, config.bounds, file.unwrap_or_default(), needs, &wishes);
            let there = !servers.order.is_empty();
            match read.await {
                Ok(Read::Answer(json)) => Ok((json, reason)),
                Ok(Read::Elsewhere(reason)) if there => Err((servers.order, reason)),
                Ok(Read::Elsewhere(reason)) => {
                    let mut problem = Problem::no_origin().after(servers.retry_after);
                    problem.detail = format!("{}; the edge can't read {reason}", problem.detail);
                    return Err(problem);
                }
                // A server has its own models, and more memory.
                Err(problem)
                    if there && (problem.status == 500 || problem.code == "out_of_memory") =>
                {
                    worker::console_error!(
                        "{} {}: {}",
                        exchange.asked.id,
                        problem.code,
                        problem.cause.as_deref().unwrap_or_default()
                    );
                    // What it was looked for under is an answer of the edge's.
                    keys = keys.filter(|_| pdf);
                    Err((servers.order, "the edge could not read it".into()))
                }
                Err(problem) => return Err(problem),
            }
        }
        Decision::Forward { order, reason } => Err((order, reason.into())),
        Decision::Refuse(problem) => return Err(problem),
    };
    let (answer, keep) = match read {
        Ok((json, reason)) => {
            if deadline.is_some_and(|deadline| js::now() >= deadline) {
                return Err(Problem::late());
            }
            let route = format!("edge: {reason}");
            let mut answer = match wishes.form.format {
                None => Answer::text(200, "application/json", &json)?,
                Some(_) => export::answer(wishes.form, &json, &found.name)?,
            };
            answer.route = route;
            let kept = Answer::text(200, "application/json", &json)?;
            (answer, keys.map(|keys| (keys.json, Some(kept))))
        }
        Err((order, reason)) => {
            let headers = exchange.request.headers();
            let body = match (&stream, whole) {
                (Some(_), true) => Body::Whole(js::array(&beginning)),
                (None, _) => Body::Empty,
                (Some(stream), false) => Body::passed(&beginning, stream, &headers)?,
            };
            drop(found);
            drop(beginning);
            let out = Outgoing {
                method: "POST",
                path: exchange.target,
                headers: &headers,
                id: &exchange.asked.id,
                caller: &exchange.caller.owner,
                rights: &exchange.caller.rights(),
                body,
                deadline,
                idempotent: true,
            };
            let Incoming { name, response } = forward(config, &order, &out).await?;
            // What a server doesn't want kept lacks a page, or a model that was away.
            let passing = header(&response.headers(), "cache-control");
            let passing = passing.is_some_and(|value| value.contains("no-store"));
            let good = response.status() == 200 && !passing;
            let answer = Answer::of(response, format!("{name}: {reason}"));
            let keys = keys.filter(|_| good);
            (
                answer,
                keys.map(|keys| (keys.form.unwrap_or(keys.json), None)),
            )
        }
    };
    let Some((key, kept)) = keep else {
        return Ok(answer);
    };
    let Answer { response, route } = answer;
    let stored = match kept {
        Some(kept) => kept.response,
        None => response.clone().map_err(broken)?,
    };
    let stored = marked(stored, "hit", Some((&route, config.cache_time)))?;
    context.wait_until(async move {
        if let Err(thrown) = store(&key, &stored).await {
            worker::console_error!("cache: {}", js::words(&thrown));
        }
    });
    Ok(Answer::of(marked(response, "miss", None)?, route))
}

/// A kept answer, as it is or in the form that is asked for.
async fn kept(keys: &Keys, wishes: &Wishes, name: &str) -> Result<Option<Answer>, Problem> {
    if let Some(response) = cached(&keys.json).await {
        let route = header(&response.headers(), super::answer::ROUTE).unwrap_or_default();
        if wishes.form.format.is_none() {
            return Ok(Some(Answer::of(marked(response, "hit", None)?, route)));
        }
        // A cache that fails is an empty one.
        if let Ok(json) = js::text(&response).await
            && json.len() <= export::LARGEST
        {
            let made = export::answer(wishes.form, &json, name)?;
            let route = "edge: made of a cached answer";
            return Ok(Some(Answer::of(marked(made.response, "hit", None)?, route)));
        }
    }
    let Some(form) = &keys.form else {
        return Ok(None);
    };
    let Some(response) = cached(form).await else {
        return Ok(None);
    };
    let route = header(&response.headers(), super::answer::ROUTE).unwrap_or_default();
    Ok(Some(Answer::of(marked(response, "hit", None)?, route)))
}

/// The fields of a query.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    worker::url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .collect()
}

/// What an answer is kept under.
struct Keys {
    /// Its JSON, of which the other forms are made.
    json: String,
    /// It in another form, as a server made it.
    form: Option<String>,
}

impl Keys {
    async fn of(
        file: &[u8],
        needs: &Requirements,
        wishes: &Wishes,
        pdf: bool,
        owner: &str,
        here: bool,
    ) -> Result<Self, Problem> {
        let failed = |thrown: JsValue| Problem::internal("cache_failed", js::words(&thrown));
        let picture = js::hex(&js::sha256(file).await.map_err(failed)?);
        let needs = serde_json::to_string(needs).unwrap_or_default();
        let text = format!(
            "{}\n{picture}\n{needs}\n{}\n{owner}\n{here}",
            env!("CARGO_PKG_VERSION"),
            wishes.fingerprint(pdf),
        );
        let name = js::hex(&js::sha256(text.as_bytes()).await.map_err(failed)?);
        let json = format!("https://cache.invalid/{name}");
        let form = wishes
            .form
            .format
            .map(|_| format!("{json}.{}", wishes.form.name));
        Ok(Self { json, form })
    }
}

fn cache() -> JsValue {
    js::get(&js::get(&js_sys::global(), "caches"), "default")
}

async fn cached(key: &str) -> Option<Response> {
    // A cache that fails is an empty one.
    let found = js::ask(&cache(), "match", &[key.into()]).await.ok()?;
    found
        .is_truthy()
        .then(|| wasm_bindgen::JsCast::unchecked_into(found))
}

async fn store(key: &str, response: &Response) -> Result<(), JsValue> {
    js::ask(&cache(), "put", &[key.into(), response.into()])
        .await
        .map(drop)
}

/// A copy that says whether it comes from the cache; for the cache itself with its route and the time it keeps.
fn marked(response: Response, cache: &str, kept: Option<(&str, u32)>) -> Result<Response, Problem> {
    let failed = |thrown: JsValue| Problem::internal("cache_failed", js::words(&thrown));
    let headers = web_sys::Headers::new_with_headers(&response.headers()).map_err(failed)?;
    headers.set(CACHE, cache).map_err(failed)?;
    match kept {
        Some((route, seconds)) => {
            headers.set(super::answer::ROUTE, route).map_err(failed)?;
            let value = format!("public, max-age={seconds}");
            headers.set("cache-control", &value).map_err(failed)?;
            headers.delete("vary").map_err(failed)?;
        }
        // Nobody else's caches keep it.
        None => headers
            .set("cache-control", "private, no-store")
            .map_err(failed)?,
    }
    let init = js::object(&[
        ("status", response.status().into()),
        ("headers", headers.into()),
    ]);
    js::response(&response.body().map_or(JsValue::NULL, JsValue::from), &init).map_err(failed)
}
