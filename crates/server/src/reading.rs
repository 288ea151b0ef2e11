//! From a picture's bytes to its answer: plan, cache, queue, engine, history.

mod background;
mod merge;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::plan::{Plan, Requirements};
use maoocr_pdf::is_pdf;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::app::App;
use crate::auth;
use crate::cache::OWNER;
use crate::config::Switch;
use crate::document::{self, PageOptions, ReadError, ReadFile, ReadPage};
use crate::metrics;
use crate::models::LoadError;
use crate::pool::{Done, Lane, Refused, Stop};
use crate::problem::Problem;
use crate::store::NewEntry;
use crate::vision::Vision;

pub use self::background::{
    Begin, Found, open_in_background, read_in_background, read_page_in_background,
};
pub use self::merge::{Merged, Merger, blank};
use self::watch::{Ear, Watch};
pub use self::watch::{Event, PageEvent};
pub use maoocr_engine::answer::merged;

/// A picture to read.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its file.
    pub picture: Bytes,
    /// The caller's name for it; may be empty.
    pub name: String,
    /// What the caller needs.
    pub requirements: Requirements,
    /// Which pages, and how.
    pub options: PageOptions,
    /// Its owner.
    pub owner: String,
}

/// A picture that was read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its id.
    pub id: Uuid,
    /// The pages, each as [`ReadPage::into_json`] gives it.
    pub pages: Vec<Value>,
    /// Whether it comes from the cache.
    pub cached: bool,
    /// Whether nothing is missing that another attempt might bring: no page was lost, and every planned model read it.
    pub complete: bool,
}

impl Answer {
    /// The answer of the HTTP interface; see [`merged`].
    pub fn into_json(self) -> Value {
        merged(self.pages)
    }

    /// The text of all pages.
    pub fn text(&self) -> String {
        let texts = self.pages.iter().filter_map(|p| p["text"].as_str());
        texts.collect::<Vec<_>>().join("\n\n")
    }
}

/// Reads a picture that someone is waiting for. Dropping the future cancels the reading.
///
/// # Errors
/// The problem to send: the picture is unreadable, no plan is possible, the queue is full or the deadline has passed.
pub async fn read(
    app: &Arc<App>,
    order: Order,
    deadline: Instant,
    events: Option<UnboundedSender<Event>>,
) -> Result<Answer, Problem> {
    let ear = events.map_or(Ear::Nobody, Ear::Lines);
    read_for(app, order, deadline, ear).await
}

/// The same page by page: `pages` hears of each as it is read or lost.
///
/// # Errors
/// As for [`read`]; it may come after pages that were read.
pub async fn read_pages(
    app: &Arc<App>,
    order: Order,
    deadline: Instant,
    pages: UnboundedSender<PageEvent>,
) -> Result<Answer, Problem> {
    read_for(app, order, deadline, Ear::Pages(pages)).await
}

async fn read_for(
    app: &Arc<App>,
    order: Order,
    deadline: Instant,
    ear: Ear,
) -> Result<Answer, Problem> {
    let stop = Stop::at(Some(deadline));
    let _waiting = stop.when_dropped();
    let plan = plan(app, &order.requirements)?;
    // No frame of a live camera comes twice.
    let key = match order.requirements.real_time {
        true => None,
        false => {
            let file = FileId::of(&order.picture);
            key(app, (file, &order.options), &order.owner, &plan)
        }
    };
    if let Some(answer) = cached(app, key.as_ref()).await {
        ear.hear_all(&answer.pages);
        remember(app, &order, &answer).await;
        return Ok(answer);
    }
    let id = Uuid::now_v7();
    // Pages are told of once they are what they will be.
    let (ear, late) = match ear {
        Ear::Pages(_) if plan.vision.is_some() => (Ear::Nobody, Some(ear)),
        ear => (ear, None),
    };
    let watch = Watch {
        stop: stop.clone(),
        id,
        ear,
    };
    let picture = order.picture.clone();
    let options = with_sight(app, &plan, &order.options);
    let mut file = run(app, Lane::Interactive, stop.clone(), None, move |app| {
        let most = app.config.max_pages_at_once;
        whole(app, (&picture, &options), &plan, most, watch)
    })
    .await?;
    auth::count_pages(app, file.pages.len()).await;
    let seen = look(app, &mut file.pages, &stop).await;
    let lost: Vec<_> = file
        .lost
        .iter()
        .filter_map(|e| Some((e.index?, e.clone().into())))
        .collect();
    let mut answer = fresh(id, file);
    answer.complete &= seen;
    if let Some(ear) = late {
        ear.hear_late(&answer.pages, lost);
    }
    if answer.complete {
        keep(app, key.as_ref(), &answer.pages).await;
    }
    remember(app, &order, &answer).await;
    Ok(answer)
}

/// Chooses the models: those installed, and the vision model for what is worth it.
fn plan(app: &App, requirements: &Requirements) -> Result<Plan, Problem> {
    let mut plan = app.models.plan(requirements)?;
    if let Some(vision) = &app.vision {
        plan.offer_vision(requirements, vision.model());
    }
    Ok(plan)
}

/// The options with which pages are read for a plan.
fn with_sight(app: &App, plan: &Plan, options: &PageOptions) -> PageOptions {
    let vision = app.vision.as_ref().filter(|_| plan.vision.is_some());
    PageOptions {
        sight: vision.map(Vision::side),
        ..options.clone()
    }
}

/// Has the vision model read the pages that it was planned for, away from the threads that read. Whether it read all of
/// them: answers without it are not what the cache is to keep.
async fn look(app: &App, pages: &mut [ReadPage], stop: &Stop) -> bool {
    match &app.vision {
        Some(vision) => vision.read(pages, stop.left()).await,
        None => true,
    }
}

/// What work of the pool yields, with the millions of pixels read, if it teaches how long that takes.
type Read<T> = Result<(T, Option<f64>), Failure>;

/// Does work on a thread of the pool, once `begin` allows it.
async fn run<T: Send + 'static>(
    app: &Arc<App>,
    lane: Lane,
    stop: Stop,
    begin: Option<Begin>,
    read: impl FnOnce(&App) -> Read<T> + Send + 'static,
) -> Result<T, Problem> {
    let work = {
        let app = app.clone();
        let runtime = tokio::runtime::Handle::current();
        move || {
            if let Some(begin) = begin
                && !matches!(runtime.block_on(begin), Ok(true))
            {
                return Done::untold(Err(Failure::NotBegun));
            }
            match read(&app) {
                Ok((value, megapixels)) => Done {
                    value: Ok(value),
                    megapixels,
                },
                Err(failure) => Done::untold(Err(failure)),
            }
        }
    };
    let receiver = app.pool.submit(lane, stop.clone(), work)?;
    match receiver.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Failure::NotBegun)) => {
            let detail =
                "the picture was given to another server, or the database does not respond";
            Err(Problem::busy("not_begun", detail, 5))
        }
        Ok(Err(Failure::Load(error))) => {
            metrics::picture("failed");
            app.fitness.doubt();
            Err(error.into())
        }
        Ok(Err(Failure::Read(ReadError::Engine(EngineError::Cancelled)))) => Err(ended(&stop)),
        Ok(Err(Failure::Read(error))) => {
            metrics::picture("failed");
            let problem = Problem::from(error);
            if problem.status.is_server_error() {
                app.fitness.doubt();
            }
            Err(problem)
        }
        // It was dropped: before its turn, or because it panicked.
        Err(_) if stop.asked() => Err(ended(&stop)),
        Err(_) => {
            metrics::picture("failed");
            app.fitness.doubt();
            Err(Problem::internal(
                "reader_failed",
                "the thread that read the picture panicked",
            ))
        }
    }
}

/// Why stopped work ended.
fn ended(stop: &Stop) -> Problem {
    metrics::picture("stopped");
    if stop.is_stopped() {
        return EngineError::Cancelled.into();
    }
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "deadline_exceeded",
        "reading this picture took longer than its deadline: send a smaller one, request more speed, or send it as a job",
    )
}

enum Failure {
    NotBegun,
    Load(LoadError),
    Read(ReadError),
}

/// Reads a whole file, on a thread of the pool.
fn whole(
    app: &App,
    (picture, options): (&Bytes, &PageOptions),
    plan: &Plan,
    most: u16,
    mut watch: Watch,
) -> Read<ReadFile> {
    let _models = app.models.hold(plan).map_err(Failure::Load)?;
    let engine = app.models.engine();
    let bounds = (plan, &app.limits, most.into());
    let file = document::read(engine, picture, options, bounds, &mut watch);
    let file = pollster::block_on(file).map_err(Failure::Read)?;
    metrics::pages(file.pages.iter().map(|page| &page.answer));
    let megapixels = megapixels(&file.pages);
    Ok((file, Some(megapixels)))
}

/// Millions of pixels on all pages.
fn megapixels(pages: &[ReadPage]) -> f64 {
    let pixels = pages
        .iter()
        .map(|p| f64::from(p.answer.width) * f64::from(p.answer.height));
    pixels.sum::<f64>() / 1e6
}

/// A page with the id of its answer.
fn json_of(id: Uuid, mut page: ReadPage) -> Value {
    page.answer.id = id.to_string();
    page.into_json()
}

/// The answer of a file, with blank pages where some were lost.
fn fresh(id: Uuid, file: ReadFile) -> Answer {
    let complete = file.lost.is_empty();
    let mut pages: Vec<(usize, Value)> = file
        .pages
        .into_iter()
        .map(|page| (page.index, json_of(id, page)))
        .collect();
    for error in file.lost {
        let (Some(index), Some((_, like))) = (error.index, pages.first()) else {
            continue;
        };
        let blank = blank(index, &Problem::from(error).to_json(), like);
        pages.push((index, blank));
    }
    pages.sort_by_key(|(index, _)| *index);
    Answer {
        id,
        pages: pages.into_iter().map(|(_, page)| page).collect(),
        cached: false,
        complete,
    }
}

/// What the cache knows a file by.
#[derive(Clone, Copy, Debug)]
pub struct FileId {
    sha256: [u8; 32],
    pdf: bool,
}

impl FileId {
    /// Of a file's bytes.
    pub fn of(file: &[u8]) -> Self {
        Self {
            sha256: Sha256::digest(file).into(),
            pdf: is_pdf(file),
        }
    }
}

/// The cache key of an answer: whose it is, and a hash of everything it depends on, which is the file, the choice of its
/// pages, the plan and the weights. None if it must not be cached: callers whom nobody knows would learn from a hit what
/// others have read.
fn key(
    app: &App,
    (file, options): (FileId, &PageOptions),
    owner: &str,
    plan: &Plan,
) -> Option<[u8; 32]> {
    let shared = app.config.cache_shared;
    if owner == auth::STRANGERS && !shared {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update(file.sha256);
    hash.update(options.fingerprint(file.pdf));
    hash.update(serde_json::to_vec(plan).unwrap_or_default());
    hash.update(app.models.fingerprint(plan));
    if let (Some(vision), Some(_)) = (&app.vision, &plan.vision) {
        hash.update(vision.fingerprint());
    }
    hash.update(env!("CARGO_PKG_VERSION"));
    let mut key: [u8; 32] = hash.finalize().into();
    if shared {
        key[..OWNER].fill(0);
    } else {
        key[..OWNER].copy_from_slice(&tag(owner));
    }
    Some(key)
}

/// The beginning of the keys of an owner's answers.
fn tag(owner: &str) -> [u8; OWNER] {
    let hash = Sha256::digest(owner.as_bytes());
    let mut tag = [0; OWNER];
    tag.copy_from_slice(&hash[..OWNER]);
    tag
}

/// Forgets an owner's cached answers.
pub async fn forget(app: &App, owner: &str) {
    app.cache.forget(&tag(owner)).await;
}

/// Puts the pages of an answer into the cache.
async fn keep(app: &App, key: Option<&[u8; 32]>, pages: &[Value]) {
    if let (Some(key), Ok(bytes)) = (key, serde_json::to_vec(pages)) {
        app.cache.put(key, bytes.into()).await;
    }
}

async fn cached(app: &App, key: Option<&[u8; 32]>) -> Option<Answer> {
    let key = key?;
    let began = Instant::now();
    let found = app.cache.get(key).await;
    // An entry that can't be parsed counts as missing.
    let pages = found.and_then(|bytes| serde_json::from_slice::<Vec<Value>>(&bytes).ok());
    metrics::cache(pages.is_some());
    let id = Uuid::now_v7();
    let mut pages = pages?;
    let seconds = began.elapsed().as_secs_f64() / pages.len().max(1) as f64;
    for page in &mut pages {
        page["id"] = json!(id.to_string());
        page["processing_time"] = json!(seconds);
        page["timings"] = json!({"cache": seconds});
    }
    Some(Answer {
        id,
        pages,
        cached: true,
        complete: true,
    })
}

/// Whether the history has such an answer: not if it is off, the caller is anonymous, or it is of a live camera's frame.
pub fn is_kept(app: &App, owner: &str, requirements: &Requirements) -> bool {
    let nobodys = owner == auth::STRANGERS;
    !nobodys && app.config.history == Switch::On && !requirements.real_time
}

/// The history entry of an answer, if there is to be one.
pub fn entry(app: &App, order: &Order, answer: &Answer) -> Option<NewEntry> {
    is_kept(app, &order.owner, &order.requirements).then(|| NewEntry {
        id: answer.id,
        owner: order.owner.clone(),
        name: order.name.clone(),
        text: answer.text(),
        document: merged(answer.pages.clone()).to_string().into(),
        original: app.config.keep_originals.then(|| order.picture.clone()),
    })
}

/// Stores the answer in the history. If that fails, the caller still gets the answer.
async fn remember(app: &App, order: &Order, answer: &Answer) {
    if let Some(entry) = entry(app, order, answer)
        && let Err(error) = app.store.remember(vec![entry]).await
    {
        tracing::error!(%error, "could not store an answer in the history");
    }
}

/// When the answer is due: as the caller wishes, but no later than the server's own deadline.
pub fn deadline(app: &App, wanted: Option<Duration>) -> Instant {
    Instant::now() + wanted.map_or(app.config.deadline, |w| w.min(app.config.deadline))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = match refused {
            Refused::Closed => "this server is shutting down; try again, another one may answer",
            _ => "more pictures are waiting than this server can read in time; try again later",
        };
        Self::busy(refused.code(), detail, refused.retry_after())
    }
}
