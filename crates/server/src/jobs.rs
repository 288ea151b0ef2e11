//! Processes the jobs in the store.
//!
//! Every replica does the same: it claims as many pictures as it has threads for, reads them at lower priority than
//! interactive ones, and extends its claims meanwhile. If a replica dies, its claims expire and others take over.
//!
//! A PDF or TIFF of several pages is split when it is first claimed: from then on its pages are what is claimed, by whichever
//! replica, and each has a deadline, retries and a result of its own. Whoever claims the file once they are over makes one
//! answer of them; a page that can't be read is blank in it.
//!
//! An error that is the picture's own is final. One that is the server's own, such as a model that can't be loaded or a
//! thread that panicked, gives the picture back for another try, on another replica if there is one. A picture whose
//! reading never ended, because its server died, is read alone from then on, so that its neighbours don't die with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use maoocr_engine::plan::Requirements;
use serde_json::Value;
use tokio::sync::{OwnedSemaphorePermit, RwLock, Semaphore};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::app::App;
use crate::document::PageOptions;
use crate::opened::Opened;
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Begin, Found, Order};
use crate::split;
use crate::store::{Claim, ItemKey, NewEntry, Outcome, StoreError};

/// How often the store is asked for work while there is none. A job created on this server starts at once.
const LOOK: Duration = Duration::from_secs(1);
/// A picture whose server died this often while it was read is not tried again, since it may be the cause.
const ATTEMPTS: u32 = 5;
/// How often recording a result is retried while the database doesn't respond.
const TRIES: u32 = 60;
/// How long a job is left to other replicas after this one failed at it; doubled each time, at most an hour.
const AVOID: Duration = Duration::from_secs(30);

/// Pictures of jobs being read by this process.
#[derive(Default)]
pub struct RunningItems {
    stops: Mutex<HashMap<ItemKey, Stop>>,
}

impl RunningItems {
    /// Stops the pictures of a job.
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

/// What this process claims pictures as.
struct Worker {
    app: Arc<App>,
    id: Uuid,
    /// Held whole by a picture that may have ended a server, shared by all others.
    alone: RwLock<()>,
    /// Files whose pages are being read.
    opened: Opened,
    /// Jobs that this replica failed at: until when it avoids them, and how often it failed.
    avoided: Mutex<HashMap<Uuid, (Instant, u32)>>,
}

/// Works until the server shuts down, then returns what it holds.
pub async fn run(app: Arc<App>) {
    let worker = Arc::new(Worker {
        app: app.clone(),
        id: Uuid::now_v7(),
        alone: RwLock::default(),
        opened: Opened::default(),
        avoided: Mutex::default(),
    });
    // One more than there are threads, so that none waits for the store between two pictures.
    let places = Arc::new(Semaphore::new(app.pool.workers() + 1));
    let mut reading = JoinSet::new();
    let prolong = tokio::spawn(prolong(app.clone(), worker.id));
    while !app.stopping.is_cancelled() {
        // A replica that reads nothing right takes nothing.
        tokio::select! {
            () = app.fitness.fit() => {}
            () = app.stopping.cancelled() => break,
        }
        let Some(mut free) = free(&app, &places).await else {
            break;
        };
        let avoid = worker.avoid();
        let count = free.num_permits() as u32;
        let claimed = app
            .store
            .claim(worker.id, count, app.config.lease, &avoid)
            .await;
        let claims = claimed.unwrap_or_else(|error| {
            tracing::warn!(%error, "could not claim work; trying again");
            Vec::new()
        });
        let none = claims.is_empty();
        for claim in claims {
            let stop = Stop::after(app.config.job_deadline);
            app.running.lock().insert(claim.item, stop.clone());
            let (worker, place) = (worker.clone(), free.split(1));
            reading.spawn(async move {
                worker.one(claim, stop).await;
                drop(place);
            });
        }
        drop(free);
        if none {
            tokio::select! {
                () = app.work.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = app.stopping.cancelled() => {}
            }
        }
        while reading.try_join_next().is_some() {}
    }
    // Don't insist on finishing what is being read: another replica, or the next start, reads it again.
    for stop in app.running.lock().values() {
        stop.stop();
    }
    while reading.join_next().await.is_some() {}
    prolong.abort();
    match app.store.release(worker.id).await {
        Ok(0) => {}
        Ok(count) => tracing::info!(count, "returned pictures of jobs"),
        Err(error) => {
            tracing::warn!(%error, "pictures of jobs stay claimed until their lease expires")
        }
    }
}

/// All free places, once there is one; none when the server shuts down.
async fn free(app: &App, places: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    let mut free = tokio::select! {
        place = places.clone().acquire_owned() => place.ok()?,
        () = app.stopping.cancelled() => return None,
    };
    while let Ok(place) = places.clone().try_acquire_owned() {
        free.merge(place);
    }
    Some(free)
}

/// Extends the claims, and stops pictures that were cancelled or given to another replica.
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
            Err(error) => tracing::warn!(%error, "could not extend claims; trying again"),
        }
    }
}

/// What becomes of a picture.
enum End {
    /// It is over.
    Final(Outcome),
    /// It is to be read again, for this reason.
    Again(Problem),
    /// It is to be returned as it was.
    Returned,
    /// It was split into pages, or belongs to another server.
    Passed,
}

impl Worker {
    /// Reads one picture. Ordinary ones are read side by side.
    async fn one(&self, claim: Claim, stop: Stop) {
        let (item, retries) = (claim.item, claim.retries);
        let end = if claim.attempt > 0 {
            let _alone = self.alone.write().await;
            self.read(claim, stop.clone()).await
        } else {
            let _beside = self.alone.read().await;
            self.read(claim, stop.clone()).await
        };
        // Stopped from outside: cancelled, given to another, or to be returned. Nothing to record.
        if !stop.is_stopped() {
            match end {
                End::Final(outcome) => self.finish(item, outcome, &stop).await,
                End::Again(problem) => self.again(item, retries, &problem).await,
                End::Returned => self.postpone(item, LOOK, false).await,
                End::Passed => {}
            }
        }
        self.app.running.lock().remove(&item);
        if item.page.is_some() {
            // It may have been the last, and its file is waiting.
            self.app.work.notify_one();
        }
    }

    async fn read(&self, claim: Claim, stop: Stop) -> End {
        let item = claim.item;
        if stop.is_stopped() {
            return End::Returned;
        }
        if claim.attempt >= ATTEMPTS {
            let what = if item.page.is_some() {
                "page"
            } else {
                "picture"
            };
            let detail = format!("reading this {what} ended the server {ATTEMPTS} times");
            let problem = Problem::unprocessable("gave_up", detail);
            return End::Final(Outcome::Failed(problem.to_json()));
        }
        let requirements = Requirements::from_json(&claim.requirements).map_err(Problem::from);
        let options = claim.options.as_ref().map(PageOptions::from_json);
        let (requirements, options) = match (requirements, options.transpose()) {
            (Ok(requirements), Ok(options)) => (requirements, options.unwrap_or_default()),
            (Err(problem), _) | (_, Err(problem)) => {
                return End::Final(Outcome::Failed(problem.to_json()));
            }
        };
        let retries = claim.retries;
        let read = match (item.page, claim.pages) {
            (Some(page), _) => self.page(&claim, page, (requirements, options), stop).await,
            (None, Some(_)) => self.whole(&claim, &requirements).await,
            (None, None) => self.file(claim, (requirements, options), stop).await,
        };
        match read {
            Ok(end) => {
                self.avoided().remove(&item.job);
                end
            }
            Err(problem) if ["shutting_down", "not_begun"].contains(&problem.code) => End::Returned,
            Err(problem) if retries < allowed(&problem) => End::Again(problem),
            Err(problem) => End::Final(Outcome::Failed(problem.to_json())),
        }
    }

    /// Reads a file, or splits it.
    async fn file(
        &self,
        claim: Claim,
        (requirements, options): (Requirements, PageOptions),
        stop: Stop,
    ) -> Result<End, Problem> {
        let (app, item) = (&self.app, claim.item);
        let order = Order {
            picture: claim.picture.into(),
            name: claim.name,
            requirements,
            options,
            owner: claim.owner,
        };
        let found = reading::open_in_background(app, &order, stop, self.begin(item)).await?;
        match found {
            Found::Answer(answer) => Ok(End::Final(Outcome::Done {
                id: answer.id,
                history: reading::entry(app, &order, &answer).into_iter().collect(),
                result: answer.pages.into(),
            })),
            Found::Pages(file, paged, pages) => {
                let answer = Uuid::now_v7();
                for _ in 0..TRIES {
                    match app.store.split(self.id, item, answer, &pages).await {
                        Ok(true) => {
                            self.opened.keep(item, file, paged);
                            app.followers.look();
                            app.work.notify_one();
                            break;
                        }
                        Ok(false) => break,
                        Err(error) => {
                            tracing::warn!(%error, job = %item.job, index = item.index, "could not be split; trying again");
                            tokio::time::sleep(LOOK).await;
                        }
                    }
                }
                Ok(End::Passed)
            }
        }
    }

    /// Reads a page of a file that was split.
    async fn page(
        &self,
        claim: &Claim,
        page: u32,
        (requirements, options): (Requirements, PageOptions),
        stop: Stop,
    ) -> Result<End, Problem> {
        let (app, item) = (&self.app, claim.item);
        let file = match self.opened.get(item, &*app.store).await {
            Ok(Some(file)) => file,
            Ok(None) => {
                let problem = Problem::not_found("the file of this page has been deleted");
                return Ok(End::Final(Outcome::Failed(problem.to_json())));
            }
            Err(error) => return Ok(returned(item, &error)),
        };
        let id = claim.answer.unwrap_or_default();
        let begin = self.begin(item);
        let how = (&requirements, options, claim.owner.as_str());
        let page =
            reading::read_page_in_background(app, (file, page), how, id, stop, begin).await?;
        Ok(End::Final(Outcome::Done {
            id,
            result: page,
            history: Vec::new(),
        }))
    }

    /// Makes one answer of a file's pages.
    async fn whole(&self, claim: &Claim, requirements: &Requirements) -> Result<End, Problem> {
        let (app, item) = (&self.app, claim.item);
        self.opened.close(item);
        // What may end the server is counted here, too.
        match app.store.begin(self.id, item).await {
            Ok(true) => {}
            Ok(false) => return Ok(End::Passed),
            Err(error) => return Ok(returned(item, &error)),
        }
        let id = claim.answer.unwrap_or_default();
        let merged = match split::answer(app, item).await {
            Ok(Ok(merged)) => merged,
            Ok(Err(problem)) => return Ok(End::Final(Outcome::Failed(problem))),
            Err(error) => return Ok(returned(item, &error)),
        };
        let mut history = Vec::new();
        if reading::is_kept(app, &claim.owner, requirements) {
            let original = match app.config.keep_originals {
                true => match app.store.picture(item).await {
                    Ok(file) => file.map(Into::into),
                    Err(error) => return Ok(returned(item, &error)),
                },
                false => None,
            };
            history.push(NewEntry {
                id,
                owner: claim.owner.clone(),
                name: claim.name.clone(),
                text: merged.text,
                document: merged.json.into(),
                original,
            });
        }
        Ok(End::Final(Outcome::Done {
            id,
            result: Value::Null,
            history,
        }))
    }

    /// Notes that a picture or page is being read from now on.
    fn begin(&self, item: ItemKey) -> Begin {
        let (store, id) = (self.app.store.clone(), self.id);
        Box::pin(async move { store.begin(id, item).await })
    }

    /// Gives a picture back that this server failed at.
    async fn again(&self, item: ItemKey, retries: u32, problem: &Problem) {
        // 1 s, 4 s, 16 s and so on.
        let wait = Duration::from_secs(1 << (2 * retries.min(5)));
        tracing::warn!(
            job = %item.job, index = item.index, code = problem.code, ?wait,
            "could not read a picture of a job, which is not its fault; it is tried again"
        );
        if problem.code != "deadline_exceeded" {
            let mut avoided = self.avoided();
            let times = avoided.get(&item.job).map_or(0, |(_, times)| *times);
            let time = AVOID * (1 << times.min(7));
            let until = Instant::now() + time.min(Duration::from_secs(3600));
            avoided.insert(item.job, (until, times + 1));
        }
        self.postpone(item, wait, true).await;
    }

    async fn postpone(&self, item: ItemKey, wait: Duration, failed: bool) {
        let postponed = self.app.store.postpone(self.id, item, wait, failed).await;
        if let Err(error) = postponed {
            // Then its lease expires, and it is read again all the same.
            tracing::warn!(%error, job = %item.job, index = item.index, "could not be given back");
        }
    }

    /// Records a result. While the database doesn't respond, the result is kept; if the lease expires in the meantime, it
    /// is renewed unless someone else has the picture.
    async fn finish(&self, item: ItemKey, outcome: Outcome, stop: &Stop) {
        let (store, lease) = (&self.app.store, self.app.config.lease);
        for _ in 0..TRIES {
            let recorded = match store.finish(self.id, item, outcome.clone()).await {
                Ok(false) => {
                    let renewed = store.renew(self.id, &[item], lease).await;
                    renewed.map(|lost| lost.is_empty().then_some(()))
                }
                Ok(true) => {
                    self.app.followers.look();
                    return;
                }
                Err(error) => Err(error),
            };
            match recorded {
                Ok(Some(())) => {}
                Ok(None) => {
                    tracing::info!(job = %item.job, index = item.index, "no longer belonged to this server");
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

    /// The jobs that are now left to other replicas.
    fn avoid(&self) -> Vec<Uuid> {
        let now = Instant::now();
        let mut avoided = self.avoided();
        // What was long ago says nothing any more.
        avoided.retain(|_, (until, _)| *until + Duration::from_secs(3600) > now);
        let current = avoided.iter().filter(|(_, (until, _))| *until > now);
        current.map(|(job, _)| *job).collect()
    }

    fn avoided(&self) -> MutexGuard<'_, HashMap<Uuid, (Instant, u32)>> {
        self.avoided.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// What becomes of a picture or page while the database doesn't respond.
fn returned(item: ItemKey, error: &StoreError) -> End {
    tracing::warn!(%error, job = %item.job, index = item.index, "could not be read; it is given back");
    End::Returned
}

/// How often a picture is tried again after such a problem: never if the problem is its own.
fn allowed(problem: &Problem) -> u32 {
    match problem.code {
        // It may have been a machine with too much to do, or a picture that takes too long on any.
        "deadline_exceeded" => 1,
        // Another replica may have the model.
        "model_not_installed" => 5,
        // It may be the picture, though it must not be.
        "reader_failed" => 2,
        _ if problem.status.is_server_error() => 5,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use maoocr_engine::imaging::ImagingError;

    use super::*;

    #[test]
    fn only_the_servers_own_errors_are_tried_again() {
        assert_eq!(allowed(&Problem::from(ImagingError::Empty)), 0);
        assert_eq!(allowed(&Problem::unprocessable("no_pages", "")), 0);
        assert!(allowed(&Problem::internal("model_unusable", "")) > 0);
        assert!(allowed(&Problem::busy("database_unavailable", "", 1)) > 0);
        assert!(allowed(&Problem::unprocessable("model_not_installed", "")) > 0);
    }
}
