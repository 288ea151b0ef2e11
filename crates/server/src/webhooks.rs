//! Tells callers' servers when a job is over, as Standard Webhooks says: signed, and tried again until they listen.
//!
//! What is due is in the database, and any replica takes it from there. A server that dies in between has told nobody or
//! somebody; another tells again, under the same id. Jobs never wait for any of it.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use maoocr_engine::export::rfc3339;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::api::job::JobStatus;
use crate::app::App;
use crate::auth::now;
use crate::config::Config;
use crate::metrics;
use crate::outside::{NOT_PUBLIC, Outside};
use crate::problem::Problem;
use crate::store::webhooks::DueWebhook;
use crate::store::{Job, State};
use crate::webhook_secret::Secret;

/// How often the store is asked what is due.
const LOOK: Duration = Duration::from_secs(1);
/// Receivers asked at the same time.
const AT_ONCE: usize = 32;
const CONNECT: Duration = Duration::from_secs(5);
/// A receiver notes what it is told and answers; it doesn't work on it meanwhile.
const TOTAL: Duration = Duration::from_secs(15);
/// Longer than one try takes.
const LEASE: Duration = Duration::from_secs(25);
/// Seconds before each further try; after the last one the receiver has been away for a day.
const PAUSES: [u64; 10] = [2, 10, 60, 300, 1800, 3600, 7200, 14_400, 28_800, 28_800];
/// Longest URL, characters.
const LONGEST: usize = 2000;

/// Signs, and talks to receivers.
pub struct Webhooks {
    outside: Outside,
    client: Client,
    secrets: Vec<Secret>,
}

/// Why telling failed.
enum Failure {
    /// It may work later.
    Now(String),
    /// It never will.
    Ever(String),
}

impl Webhooks {
    /// As configured; none if no host is allowed.
    ///
    /// # Errors
    /// The HTTP client can't be created.
    pub fn new(config: &Config) -> Result<Option<Self>, reqwest::Error> {
        if config.webhook_hosts.is_empty() {
            return Ok(None);
        }
        let outside = Outside::new(&config.webhook_hosts, &config.webhook_networks);
        let client = outside
            .client()
            // Whoever moves says so to whoever named the address.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .build()?;
        let secrets = config.webhook_secrets.iter().map(|s| Secret::parse(s));
        Ok(Some(Self {
            outside,
            client,
            // The configuration was checked.
            secrets: secrets.filter_map(Result::ok).collect(),
        }))
    }

    async fn tell(&self, due: &DueWebhook, job: &Job) -> Result<(), Failure> {
        let url = Url::parse(&due.url).map_err(|e| Failure::Ever(e.to_string()))?;
        // The list may have changed since.
        self.outside.check(&url).map_err(Failure::Ever)?;
        let (id, timestamp) = (format!("msg_{}", due.event.simple()), now() / 1000);
        let body = message(job);
        let signatures: Vec<String> = self
            .secrets
            .iter()
            .map(|secret| secret.sign(&id, timestamp, &body))
            .collect();
        let response = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signatures.join(" "))
            .body(body)
            .send()
            .await
            .map_err(|error| Failure::Now(cause(&error)))?;
        let outside = |a: std::net::SocketAddr| !self.outside.has(a.ip());
        if response.remote_addr().is_some_and(outside) {
            return Err(Failure::Ever(NOT_PUBLIC.into()));
        }
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(()),
            // It wants no more of it.
            StatusCode::GONE => Err(Failure::Ever(format!("it answered with {status}"))),
            _ => Err(Failure::Now(format!("it answered with {status}"))),
        }
    }
}

/// Checks the URL that a caller gives for a job.
///
/// # Errors
/// It is no URL, or not one that this server calls.
pub fn accept(app: &App, url: &str) -> Result<(), Problem> {
    let refuse = |detail: String| {
        Problem::new(StatusCode::FORBIDDEN, "url_not_allowed", detail).field("webhook")
    };
    let webhooks = app.webhooks.as_ref().ok_or_else(|| {
        refuse("this server has webhooks turned off: poll the job, or follow its events".into())
    })?;
    if url.chars().count() > LONGEST {
        let detail = format!("the URL of a webhook may have at most {LONGEST} characters");
        return Err(Problem::unprocessable("invalid_url", detail).field("webhook"));
    }
    let parsed = Url::parse(url).map_err(|e| {
        let detail = format!("invalid URL: {e}");
        Problem::unprocessable("invalid_url", detail).field("webhook")
    })?;
    webhooks.outside.check(&parsed).map_err(refuse)
}

/// Tells whoever is to be told, until the server shuts down.
pub async fn run(app: Arc<App>) {
    if app.webhooks.is_none() {
        return;
    }
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while !app.stopping.is_cancelled() {
        let free = places.available_permits() as u32;
        let due = match free {
            0 => Ok(Vec::new()),
            _ => app.store.due_webhooks(free, LEASE).await,
        };
        let due = due.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not ask which webhooks are due; trying again");
            Vec::new()
        });
        let none = due.is_empty();
        for due in due {
            // There are as many as were asked for.
            let Ok(place) = places.clone().try_acquire_owned() else {
                break;
            };
            let app = app.clone();
            tokio::spawn(async move {
                one(&app, &due).await;
                drop(place);
            });
        }
        if none {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = app.stopping.cancelled() => {}
            }
        }
    }
}

/// One try, and what comes of it. If that can't be recorded, the lease ends, and it is tried again.
async fn one(app: &App, due: &DueWebhook) {
    let Some(webhooks) = &app.webhooks else {
        return;
    };
    let job = match app.store.jobs_by_id(&[due.job]).await {
        Ok(jobs) => jobs.into_iter().find(Job::is_over),
        Err(error) => {
            tracing::warn!(%error, job = %due.job, "a webhook waits for the database");
            return;
        }
    };
    // Deleted or resumed meanwhile: nothing to tell.
    let told = match &job {
        Some(job) => webhooks.tell(due, job).await,
        None => Ok(()),
    };
    let (outcome, wait) = match told {
        Ok(()) => ("delivered", None),
        Err(Failure::Now(why)) => {
            let wait = pause(due.attempts);
            let outcome = if wait.is_some() { "failed" } else { "given_up" };
            tracing::warn!(job = %due.job, attempt = due.attempts, why, outcome, "a webhook failed");
            (outcome, wait)
        }
        Err(Failure::Ever(why)) => {
            tracing::warn!(job = %due.job, why, outcome = "given_up", "a webhook failed");
            ("given_up", None)
        }
    };
    if job.is_some() {
        metrics::webhook(outcome);
    }
    if let Err(error) = app.store.settle_webhook(due.job, due.event, wait).await {
        tracing::warn!(%error, job = %due.job, "a webhook's outcome could not be recorded: it is tried again");
    }
}

/// How long to wait after so many tries; none after the last. Up to a tenth longer, so that many don't come at once.
fn pause(attempts: u32) -> Option<Duration> {
    let seconds = *PAUSES.get(attempts.saturating_sub(1) as usize)?;
    Some(Duration::from_secs(seconds).mul_f64(1.0 + rand::random::<f64>() / 10.0))
}

/// What is told: which job ended, and how. Its results are asked for.
fn message(job: &Job) -> String {
    let kind = match job.state {
        State::Cancelled => "job.cancelled",
        _ => "job.done",
    };
    let at = job.finished_at.unwrap_or(job.created_at).unsigned_abs();
    let message = json!({
        "type": kind,
        "timestamp": rfc3339(at / 1000),
        "data": JobStatus::from(job),
    });
    message.to_string()
}

/// The last cause, which is the one that tells. The URL may hold a secret and stays out.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    match error.is_timeout() {
        true => "it did not answer in time".into(),
        false => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receiver_is_asked_for_a_day() {
        let pauses: Vec<Duration> = (1..).map_while(pause).collect();
        assert_eq!(pauses.len(), PAUSES.len());
        let whole: Duration = pauses.iter().sum();
        assert!((23..27).contains(&(whole.as_secs() / 3600)), "{whole:?}");
    }
}
