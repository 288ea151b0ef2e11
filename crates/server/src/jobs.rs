//! Works off the jobs in the store.
//!
//! Every replica does the same: it claims as many pictures as it has threads for, reads them behind those that people
//! wait for, and prolongs its claims while it does. A replica that dies stops prolonging; then others take over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use maoocr_engine::plan::Requirements;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::app::App;
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::store::{Claim, ItemKey, Outcome};

/// How often the store is asked for work while there is none. A job made here is begun at once.
const LOOK: Duration = Duration::from_secs(1);
/// A picture whose worker died so often is not tried again: it may be the reason.
const ATTEMPTS: u32 = 3;
/// How often finishing a picture is tried while the database doesn't answer.
const TRIES: u32 = 60;

/// Pictures of jobs that this process is reading.
#[derive(Default)]
pub struct RunningItems {
    stops: Mutex<HashMap<ItemKey, Stop>>,
}

impl RunningItems {
    /// Stops those of a job.
    pub fn stop(&self, job: Uuid) {
        for (item, stop) in &*self.lock() {
            if item.job == job {
                stop.stop();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemKey, Stop>> {
        self.stops.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// Works until the server stops, then gives back what it holds.
pub async fn run(app: Arc<App>) {
    let worker = Uuid::now_v7();
    // One beyond the threads, so that none waits for the store between two pictures.
    let places = Arc::new(Semaphore::new(app.pool.workers() + 1));
    let mut reading = JoinSet::new();
    let prolong = tokio::spawn(prolong(app.clone(), worker));
    while !app.stopping.is_cancelled() {
        let free = places.available_permits();
        let claimed = if free == 0 {
            Ok(Vec::new())
        } else {
            app.store.claim(worker, free as u32, app.config.lease).await
        };
        let claims = claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "no work could be claimed; trying again");
            Vec::new()
        });
        let none = claims.is_empty();
        for claim in claims {
            let stop = Stop::at(Some(Instant::now() + app.config.job_deadline));
            app.running.lock().insert(claim.item, stop.clone());
            let (app, places) = (app.clone(), places.clone());
            reading.spawn(async move {
                let Ok(_place) = places.acquire().await else {
                    return;
                };
                one(&app, worker, claim, stop).await;
                app.work.notify_one();
            });
        }
        if none {
            tokio::select! {
                () = app.work.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = app.stopping.cancelled() => {}
            }
        }
        while reading.try_join_next().is_some() {}
    }
    // What is being read is not worth finishing at any price: another replica, or the next start, does it anew.
    for stop in app.running.lock().values() {
        stop.stop();
    }
    while reading.join_next().await.is_some() {}
    prolong.abort();
    match app.store.release(worker).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "gave back pictures of jobs"),
        Err(error) => {
            tracing::warn!(%error, "pictures of jobs stay claimed until their lease ends")
        }
    }
}

/// Keeps the claims, and stops what was cancelled or given to another.
async fn prolong(app: Arc<App>, worker: Uuid) {
    loop {
        tokio::time::sleep(app.config.lease / 3).await;
        let items: Vec<ItemKey> = app.running.lock().keys().copied().collect();
        if items.is_empty() {
            continue;
        }
        match app.store.renew(worker, &items, app.config.lease).await {
            Ok(lost) => {
                let running = app.running.lock();
                for stop in lost.iter().filter_map(|item| running.get(item)) {
                    stop.stop();
                }
            }
            Err(error) => tracing::warn!(%error, "claims could not be prolonged; trying again"),
        }
    }
}

async fn one(app: &Arc<App>, worker: Uuid, claim: Claim, stop: Stop) {
    let item = claim.item;
    let outcome = outcome(app, claim, stop.clone()).await;
    // Stopped from outside: cancelled, another's, or to be given back. Nothing to record.
    if !stop.is_stopped()
        && let Some(outcome) = outcome
    {
        finish(app, worker, item, outcome, &stop).await;
    }
    app.running.lock().remove(&item);
}

/// None where the picture is to be given back.
async fn outcome(app: &Arc<App>, claim: Claim, stop: Stop) -> Option<Outcome> {
    if claim.attempt > ATTEMPTS {
        let problem = Problem::unprocessable(
            "gave_up",
            format!("reading this picture ended the server {ATTEMPTS} times"),
        );
        return Some(Outcome::Failed(problem.to_json()));
    }
    let requirements = match Requirements::from_json(&claim.requirements) {
        Ok(requirements) => requirements,
        Err(error) => return Some(Outcome::Failed(Problem::from(error).to_json())),
    };
    let order = Order {
        picture: claim.picture.into(),
        name: claim.name,
        requirements,
        owner: claim.owner,
    };
    match reading::read_in_background(app, &order, stop).await {
        Ok(answer) => Some(Outcome::Done {
            history: reading::entry(app, &order, &answer).into_iter().collect(),
            result: answer.pages.into(),
        }),
        Err(problem) if problem.code == "shutting_down" => None,
        Err(problem) => Some(Outcome::Failed(problem.to_json())),
    }
}

/// Records it. While the database doesn't answer, the work is kept; a lease that ran out meanwhile is taken up again
/// where nobody else has the picture.
async fn finish(app: &App, worker: Uuid, item: ItemKey, outcome: Outcome, stop: &Stop) {
    for _ in 0..TRIES {
        let recorded = match app.store.finish(worker, item, outcome.clone()).await {
            Ok(false) => {
                let renewed = app.store.renew(worker, &[item], app.config.lease).await;
                renewed.map(|lost| lost.is_empty().then_some(()))
            }
            Ok(true) => return,
            Err(error) => Err(error),
        };
        match recorded {
            Ok(Some(())) => {}
            Ok(None) => {
                tracing::info!(job = %item.job, index = item.index, "was no longer this server's");
                return;
            }
            Err(error) => {
                tracing::warn!(%error, job = %item.job, index = item.index, "could not be recorded; trying again");
                tokio::time::sleep(LOOK).await;
                if stop.is_stopped() {
                    return;
                }
            }
        }
    }
}

/// Deletes what is too old, now and then every hour.
pub async fn retain(app: Arc<App>) {
    const DAY: i64 = 86_400_000;
    loop {
        let now = crate::auth::now();
        let before = |days: u32| (days > 0).then(|| now - i64::from(days) * DAY);
        let entries = before(app.config.keep_history);
        let jobs = before(app.config.keep_jobs);
        match app.store.purge(entries, jobs, now - DAY).await {
            Ok(purged) if purged.jobs + purged.entries > 0 => {
                tracing::info!(
                    jobs = purged.jobs,
                    entries = purged.entries,
                    "deleted what was too old"
                );
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "what is too old could not be deleted"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(3600)) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}
