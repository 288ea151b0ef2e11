//! Batches: the upload goes into R2 as it comes, a message into a queue; its consumer gives it to a server as soon as
//! one takes it. Until then the job is in a Durable Object, afterwards at that server, under the same path.

use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{Headers, Request, Response};
use worker::Env;

use super::answer::Answer;
use super::forward::{Body, Outgoing, forward};
use super::js::{self, header};
use super::state::origins;
use crate::caller::Caller;
use crate::config::Config;
use crate::intake::media;
use crate::job::{self, Change, Job, OFFERED, Renamed, Stage};
use crate::origins::Wish;
use crate::problem::Problem;

/// Refusals that another server, or the same one later, may take back.
const RETRIED: [u16; 3] = [408, 409, 429];
/// Longest wait between two offers, s.
const LONGEST: u64 = 600;
/// How long somebody who wants a job's events waits for a server to take it, and between looks, ms.
const PATIENCE: (u64, u64) = (20_000, 500);

/// Whether batches are kept here until a server takes them.
pub fn is_here(env: &Env) -> bool {
    ["BATCHES", "QUEUE", "JOBS"]
        .iter()
        .all(|name| js::get(env, name).is_truthy())
}

/// Takes a batch.
pub async fn take(
    env: &Env,
    config: &Config,
    request: &Request,
    caller: &Caller,
    region: &str,
) -> Result<Answer, Problem> {
    let headers = request.headers();
    let content_type = header(&headers, "content-type").unwrap_or_default();
    if !["multipart/form-data", "application/json"].contains(&media(&content_type).as_str()) {
        let detail = "a batch must be multipart/form-data or application/json";
        return Err(Problem::new(415, "unsupported_body", detail));
    }
    let length = header(&headers, "content-length").and_then(|v| v.parse::<u64>().ok());
    match length {
        None => {
            let detail = "a batch must have a known length: send Content-Length";
            return Err(Problem::new(411, "length_required", detail));
        }
        Some(length) if length > config.max_batch => {
            let detail = format!(
                "the request of a job may have at most {} bytes: split it into several jobs",
                config.max_batch
            );
            return Err(Problem::new(413, "too_large", detail));
        }
        Some(_) => {}
    }
    let name = match key(&headers, caller).await? {
        Some(name) => name,
        None => js::uuid(),
    };
    let Some(body) = request.body() else {
        return Err(Problem::new(422, "picture_missing", "the job has no pictures").field("image"));
    };
    let job = Job {
        id: name.clone(),
        owner: caller.owner.clone(),
        rights: caller.rights(),
        region: region.into(),
        content_type,
        upload: js::uuid(),
        created_at: js::now(),
        stage: Stage::Receiving,
    };
    let there = change(env, &name, Change::Open(job.clone())).await?;
    if there.stage != Stage::Receiving {
        // Who still sends would not hear the answer.
        js::drain(&body, config.max_batch as usize).await;
        return queued(env, &there).await;
    }
    let bucket = js::get(env, "BATCHES");
    let place = JsValue::from(job.place());
    if let Err(thrown) = js::ask(&bucket, "put", &[place.clone(), body.into()]).await {
        let closed = Change::Close { upload: job.upload };
        call(env, &name, Some(closed)).await?;
        let problem = Problem::new(
            400,
            "body_broken",
            "the connection broke before the body was complete, or the body could not be stored",
        );
        return Err(problem.because(js::words(&thrown)));
    }
    let standing = change(env, &name, Change::Queue(job.clone())).await?;
    if standing.upload != job.upload || standing.stage != Stage::Queued {
        // Another upload of it was faster, or it was cancelled meanwhile.
        js::ask(&bucket, "delete", &[place]).await.map_err(failed)?;
    }
    queued(env, &standing).await
}

/// A job's name from its caller and the idempotency key, where there is one. Without API keys callers are told apart by
/// their addresses: nobody gets a stranger's job for having thought of the same key.
async fn key(headers: &Headers, caller: &Caller) -> Result<Option<String>, Problem> {
    match header(headers, "idempotency-key") {
        None => Ok(None),
        Some(key) if (1..=200).contains(&key.len()) && key.is_ascii() => {
            let text = format!("{}\n{key}", caller.who);
            let hash = js::sha256(text.as_bytes()).await.map_err(failed)?;
            Ok(Some(job::name(&hash)))
        }
        Some(_) => {
            let detail = "an idempotency key must have 1 to 200 visible ASCII characters";
            Err(Problem::new(400, "invalid_idempotency_key", detail).field("idempotency-key"))
        }
    }
}

/// Headers with that name as the idempotency key, for a batch that goes straight to a server.
pub async fn keyed(headers: Headers, caller: &Caller) -> Result<Headers, Problem> {
    let Some(name) = key(&headers, caller).await? else {
        return Ok(headers);
    };
    let headers = Headers::new_with_headers(&headers).map_err(failed)?;
    headers.set("idempotency-key", &name).map_err(failed)?;
    Ok(headers)
}

/// The answer about a batch that is there. Whoever sends it again may do so because no message of it was sent; two do no
/// harm.
async fn queued(env: &Env, job: &Job) -> Result<Answer, Problem> {
    if job.stage == Stage::Queued {
        let message = js::object(&[("job", job.id.as_str().into())]);
        let sent = js::ask(&js::get(env, "QUEUE"), "send", &[message]).await;
        sent.map_err(failed)?;
    }
    accepted(job)
}

fn accepted(job: &Job) -> Result<Answer, Problem> {
    let mut answer = Answer::json(202, &job.summary())?;
    let place = format!("/api/jobs/{}", job.id);
    answer
        .response
        .headers()
        .set("location", &place)
        .map_err(failed)?;
    answer.route = "edge: a batch".into();
    Ok(answer)
}

/// A job by its name, where it came through here.
///
/// # Errors
/// It is another caller's.
pub async fn find(env: &Env, id: &str, owner: &str) -> Result<Option<Job>, Problem> {
    if !job::is_name(id) || !is_here(env) {
        return Ok(None);
    }
    match call(env, id, None).await? {
        Some(job) if job.owner != owner => Err(not_found(id)),
        job => Ok(job),
    }
}

/// Shows a job that no server has, or says which server to ask, and for what.
pub async fn show(
    env: &Env,
    mut job: Job,
    rest: &str,
) -> Result<Result<Answer, (String, String)>, Problem> {
    let began = js::now();
    loop {
        match &job.stage {
            Stage::Taken { origin, job } => return Ok(Err((origin.clone(), job.clone()))),
            Stage::Receiving | Stage::Queued
                if rest == "/events" && js::now() < began + PATIENCE.0 =>
            {
                js::sleep(PATIENCE.1).await;
                let again = call(env, &job.id, None).await?;
                job = again.ok_or_else(|| not_found(&job.id))?;
            }
            Stage::Receiving | Stage::Queued if rest == "/events" => {
                let detail = "no server has accepted this job yet, so there are no events";
                return Err(Problem::new(503, "job_waits", detail).after(5));
            }
            _ => return Answer::json(200, &job.status()).map(Ok),
        }
    }
}

/// Cancels a job that no server has; else says which server to ask, and for what.
pub async fn cancel(env: &Env, job: Job) -> Result<Result<Answer, (String, String)>, Problem> {
    let job = change(env, &job.id, Change::Cancel).await?;
    if let Stage::Taken { origin, job } = job.stage {
        return Ok(Err((origin, job)));
    }
    // The consumer deletes the upload when it comes by.
    Answer::json(200, &job.summary()).map(Ok)
}

/// Has the failed pictures of a job read again: the server's to do that has it.
pub fn retry(job: Job) -> Result<Result<Answer, (String, String)>, Problem> {
    match job.retry()? {
        Some(place) => Ok(Err(place)),
        None => Answer::json(200, &job.summary()).map(Ok),
    }
}

/// The problem of a job that isn't there.
pub fn not_found(id: &str) -> Problem {
    Problem::new(404, "not_found", format!("there is no job {id}"))
}

/// Offers a batch to servers. Seconds until the next offer, where none took it.
pub async fn offer(env: &Env, config: &Config, id: &str) -> Result<Option<u32>, Problem> {
    let Some(job) = call(env, id, None).await? else {
        return Ok(None);
    };
    let bucket = js::get(env, "BATCHES");
    let place = [JsValue::from(job.place())];
    let delete = async || {
        let deleted = js::ask(&bucket, "delete", &place).await;
        deleted.map(drop).map_err(failed)
    };
    match job.stage {
        Stage::Queued => {}
        // A message from before the upload broke off and came again; another will follow.
        Stage::Receiving => return Ok(None),
        _ => {
            delete().await?;
            return Ok(None);
        }
    }
    let stored = js::ask(&bucket, "get", &place).await;
    let stored = stored.map_err(failed)?;
    if !stored.is_object() {
        let detail = "the upload of this job is gone; send it again";
        let problem = Problem::new(500, "upload_lost", detail).to_json();
        call(env, id, Some(Change::Fail { problem })).await?;
        return Ok(None);
    }
    let size = js::get(&stored, "size").as_f64().unwrap_or(0.0) as u64;
    let body = js::get(&stored, "body").unchecked_into();
    let body = js::joined(&[], &body, Some(size)).map_err(failed)?;
    let headers = Headers::new().map_err(failed)?;
    headers
        .set("content-type", &job.content_type)
        .map_err(failed)?;
    // Offered twice, it is one job all the same.
    headers.set("idempotency-key", id).map_err(failed)?;
    let wish = Wish {
        region: &job.region,
        capability: Some("gpu"),
    };
    let order = origins(|origins| origins.order(wish, js::now(), js_sys::Math::random));
    let out = Outgoing {
        method: "POST",
        path: "/api/ocr/batch",
        headers: &headers,
        id,
        caller: &job.owner,
        rights: &job.rights,
        body: Body::Stream(body),
        deadline: None,
        idempotent: true,
    };
    let age = js::now().saturating_sub(job.created_at);
    let refusal = match forward(config, &order, &out).await {
        Ok(incoming) => {
            let text = js::text(&incoming.response).await.map_err(failed)?;
            let said: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
            match (incoming.response.status(), said["id"].as_str()) {
                // One that is still being received is another server's, which may have died over it.
                (202, Some(theirs)) if said["state"] != "receiving" => {
                    let taken = Change::Take {
                        origin: incoming.name,
                        job: theirs.into(),
                    };
                    let standing = change(env, id, taken).await?;
                    if standing.stage == Stage::Cancelled {
                        cancel_there(config, &order, &job, theirs).await;
                    }
                    delete().await?;
                    return Ok(None);
                }
                // What is wrong with it won't be right with another server.
                (400..500, _) if !RETRIED.contains(&incoming.response.status()) => Some(said),
                _ => None,
            }
        }
        Err(_) => None,
    };
    let given_up = (age > OFFERED).then(|| job::not_taken().to_json());
    match refusal.or(given_up) {
        Some(problem) => {
            call(env, id, Some(Change::Fail { problem })).await?;
            delete().await?;
            Ok(None)
        }
        // The older, the less often.
        None => Ok(Some((age / 2000).clamp(2, LONGEST) as u32)),
    }
}

/// Cancels at the servers what was cancelled here while one of them took it.
async fn cancel_there(config: &Config, order: &[usize], job: &Job, theirs: &str) {
    let Ok(headers) = Headers::new() else { return };
    let out = Outgoing {
        method: "DELETE",
        path: &format!("/api/jobs/{theirs}"),
        headers: &headers,
        id: &job.id,
        caller: &job.owner,
        rights: &job.rights,
        body: Body::Empty,
        deadline: None,
        // It is cancelled, however often.
        idempotent: true,
    };
    if let Err(problem) = forward(config, order, &out).await {
        let why = problem.cause.unwrap_or_default();
        worker::console_error!("{}: cancelled here alone: {} {why}", job.id, problem.code);
    }
}

/// A server's answer about a job, be it a stream of events, under the name that the caller knows.
pub fn renamed(response: Response, theirs: &str, ours: &str) -> Result<Response, Problem> {
    let headers = Headers::new_with_headers(&response.headers()).map_err(failed)?;
    for name in ["content-length", "content-encoding", "etag"] {
        headers.delete(name).map_err(failed)?;
    }
    let body = match response.body() {
        Some(body) => {
            let mut renamed = Renamed::new(theirs, ours);
            let body = js::changed(&body, move |piece| match piece {
                Some(piece) => renamed.piece(piece),
                None => renamed.end(),
            });
            body.map_err(failed)?.into()
        }
        None => JsValue::NULL,
    };
    let init = js::object(&[
        ("status", response.status().into()),
        ("headers", headers.into()),
    ]);
    js::response(&body, &init).map_err(failed)
}

/// Changes a batch, and says what it is then.
async fn change(env: &Env, id: &str, change: Change) -> Result<Job, Problem> {
    let job = call(env, id, Some(change)).await?;
    job.ok_or_else(|| not_found(id))
}

async fn call(env: &Env, id: &str, change: Option<Change>) -> Result<Option<Job>, Problem> {
    let stub = js::call(&js::get(env, "JOBS"), "getByName", &[id.into()]).map_err(failed)?;
    let init = js::object(&[]);
    if let Some(change) = change {
        js::set(&init, "method", &"POST".into());
        js::set(&init, "body", &json!(change).to_string().into());
    }
    let response = js::ask(&stub, "fetch", &["https://jobs/".into(), init])
        .await
        .map_err(failed)?;
    let response: Response = response.dyn_into().map_err(failed)?;
    let text = js::text(&response).await.map_err(failed)?;
    if !response.ok() {
        return Err(Problem::internal("jobs_failed", text));
    }
    serde_json::from_str(&text).map_err(|e| Problem::internal("jobs_failed", e))
}

fn failed(thrown: JsValue) -> Problem {
    let detail = "jobs can't be stored right now; try again shortly";
    Problem::new(503, "jobs_unavailable", detail)
        .after(5)
        .because(js::words(&thrown))
}
