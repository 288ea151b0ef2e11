//! From a picture's bytes to its answer: plan, cache, queue, engine, history.

mod merge;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::geometry::Quad;
use maoocr_engine::page::PageError;
use maoocr_engine::pipeline::{EngineError, Observer};
use maoocr_engine::plan::{Plan, Requirements};
use maoocr_engine::recognise::Reading;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::app::App;
use crate::auth;
use crate::cache::OWNER;
use crate::config::Switch;
use crate::document::{self, PageOptions, ReadError, ReadFile, ReadPage, Reader};
use crate::metrics;
use crate::models::LoadError;
use crate::pool::{Done, Lane, Refused, Stop};
use crate::problem::Problem;
use crate::store::{NewEntry, StoreError};

pub use self::merge::{blank, merged};

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

/// What is known before the answer is complete.
#[derive(Clone, Debug)]
pub enum Event {
    /// Lines were found.
    Detected(Vec<Quad>),
    /// One line was read, or read again: of each index the last one counts. Lines come in no particular order.
    Line {
        /// Its index among the detected lines.
        index: usize,
        /// Its corners.
        quad: Quad,
        /// Its text.
        text: String,
        /// Confidence, 0 to 1.
        confidence: f32,
    },
    /// The line with this index is not in the answer.
    Withdrawn(usize),
    /// A page was read.
    Page {
        /// How many pages were read so far.
        read: usize,
        /// How many there are to read, where it is known.
        of: Option<usize>,
    },
}

/// What becomes of a page while those after it are still to be read.
#[derive(Clone, Debug)]
pub enum PageEvent {
    /// It was read.
    Read {
        /// The page, as in the answer.
        page: Value,
        /// How many pages were read or lost so far.
        done: usize,
        /// How many there are to read.
        of: usize,
    },
    /// It was lost; the others are read all the same.
    Lost {
        /// Its position in the file, from 0.
        index: usize,
        /// Why.
        problem: Problem,
        /// How many pages were read or lost so far.
        done: usize,
        /// How many there are to read.
        of: usize,
    },
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

/// The same page by page: `pages` hears of each as it is read, and pages that alone can't be read are left blank.
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
    let plan = app.models.plan(&order.requirements)?;
    let key = key(app, &order, &plan);
    // Line events come only from the engine, never from the cache.
    if !matches!(ear, Ear::Lines(_))
        && let Some(answer) = cached(app, key.as_ref()).await
    {
        ear.hear_all(&answer.pages);
        remember(app, &order, &answer).await;
        return Ok(answer);
    }
    let id = Uuid::now_v7();
    let file = run(
        app,
        Lane::Interactive,
        &order,
        (plan, id),
        stop,
        (ear, None),
    )
    .await?;
    auth::count_pages(app, file.pages.len()).await;
    let whole = file.lost.is_empty();
    let answer = fresh(id, file);
    if let Some(key) = key.filter(|_| whole)
        && let Ok(bytes) = serde_json::to_vec(&answer.pages)
    {
        app.cache.put(&key, bytes.into()).await;
    }
    remember(app, &order, &answer).await;
    Ok(answer)
}

/// Notes that the reading of a job's picture begins; `false` if it must not.
pub type Begin = Pin<Box<dyn Future<Output = Result<bool, StoreError>> + Send>>;

/// Reads a picture of a job. Nobody waits for it, and its queue is in the store. `begin`, if there is one, runs when a thread
/// takes it.
///
/// # Errors
/// The problem to record for this picture, or the server's own. Of code `not_begun`: nothing was read.
pub async fn read_in_background(
    app: &Arc<App>,
    order: &Order,
    stop: Stop,
    begin: Option<Begin>,
) -> Result<Answer, Problem> {
    let plan = app.models.plan(&order.requirements)?;
    let key = key(app, order, &plan);
    if let Some(answer) = cached(app, key.as_ref()).await {
        return Ok(answer);
    }
    let id = Uuid::now_v7();
    let ear = Ear::Nobody;
    let file = run(app, Lane::Background, order, (plan, id), stop, (ear, begin)).await?;
    Ok(fresh(id, file))
}

async fn run(
    app: &Arc<App>,
    lane: Lane,
    order: &Order,
    (plan, id): (Plan, Uuid),
    stop: Stop,
    (ear, begin): (Ear, Option<Begin>),
) -> Result<ReadFile, Problem> {
    let most = match lane {
        Lane::Interactive => app.config.max_pages_at_once,
        Lane::Background => app.config.max_pages,
    };
    let work = {
        let (app, stop) = (app.clone(), stop.clone());
        let (picture, options) = (order.picture.clone(), order.options.clone());
        let runtime = tokio::runtime::Handle::current();
        move || {
            if let Some(begin) = begin
                && !matches!(runtime.block_on(begin), Ok(true))
            {
                return Done::untold(Err(Failure::NotBegun));
            }
            let watch = Watch { stop, id, ear };
            let value = engine(&app, &picture, &options, &plan, most.into(), watch);
            // Here, because whoever waits for it may have gone.
            if let Ok(file) = &value {
                metrics::pages(file.pages.iter().map(|page| &page.answer));
            }
            let megapixels = value.as_ref().ok().map(|file| megapixels(&file.pages));
            Done { value, megapixels }
        }
    };
    let receiver = app.pool.submit(lane, stop.clone(), work)?;
    match receiver.await {
        Ok(Ok(file)) => Ok(file),
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

/// Runs the engine, on a thread of the pool.
fn engine(
    app: &App,
    picture: &Bytes,
    options: &PageOptions,
    plan: &Plan,
    most: usize,
    mut watch: Watch,
) -> Result<ReadFile, Failure> {
    let _models = app.models.hold(plan).map_err(Failure::Load)?;
    let engine = app.models.engine();
    let bounds = (plan, &app.limits, most);
    pollster::block_on(document::read(engine, picture, options, bounds, &mut watch))
        .map_err(Failure::Read)
}

/// Millions of pixels on all pages.
fn megapixels(pages: &[ReadPage]) -> f64 {
    let pixels = pages
        .iter()
        .map(|p| f64::from(p.answer.width) * f64::from(p.answer.height));
    pixels.sum::<f64>() / 1e6
}

/// Who hears of a reading before its end. If nobody listens any more, the stop is on its way.
enum Ear {
    Nobody,
    Lines(UnboundedSender<Event>),
    Pages(UnboundedSender<PageEvent>),
}

impl Ear {
    fn hear(&self, event: Event) {
        if let Self::Lines(events) = self {
            let _ = events.send(event);
        }
    }

    /// Tells of pages that were read before.
    fn hear_all(&self, pages: &[Value]) {
        if let Self::Pages(events) = self {
            for (page, done) in pages.iter().zip(1..) {
                let _ = events.send(PageEvent::Read {
                    page: page.clone(),
                    done,
                    of: pages.len(),
                });
            }
        }
    }
}

/// Forwards the engine's events and tells it when to stop.
struct Watch {
    stop: Stop,
    /// The answer's id.
    id: Uuid,
    ear: Ear,
}

impl Observer for Watch {
    fn detected(&mut self, quads: &[Quad]) {
        self.ear.hear(Event::Detected(quads.to_vec()));
    }

    fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        if matches!(self.ear, Ear::Lines(_)) && !reading.is_empty() {
            self.ear.hear(Event::Line {
                index,
                quad: *quad,
                text: reading.text(),
                confidence: reading.confidence(),
            });
        }
    }

    fn withdrawn(&mut self, index: usize) {
        self.ear.hear(Event::Withdrawn(index));
    }

    fn cancelled(&mut self) -> bool {
        self.stop.asked()
    }
}

impl Reader for Watch {
    fn page(&mut self, page: &ReadPage, done: usize, of: usize) {
        match &self.ear {
            Ear::Nobody => {}
            // Whose file has one page hears of it by the answer.
            Ear::Lines(_) if of == 1 => {}
            Ear::Lines(_) => self.ear.hear(Event::Page {
                read: done,
                of: Some(of),
            }),
            Ear::Pages(events) => {
                let page = json_of(self.id, page.clone());
                let _ = events.send(PageEvent::Read { page, done, of });
            }
        }
    }

    fn lost(&mut self, error: &PageError, done: usize, of: usize) -> bool {
        let (Ear::Pages(events), Some(index)) = (&self.ear, error.index) else {
            return false;
        };
        let problem = error.clone().into();
        let _ = events.send(PageEvent::Lost {
            index,
            problem,
            done,
            of,
        });
        true
    }
}

/// A page with the id of its answer.
fn json_of(id: Uuid, mut page: ReadPage) -> Value {
    page.answer.id = id.to_string();
    page.into_json()
}

/// The answer of a file, with blank pages where some were lost.
fn fresh(id: Uuid, file: ReadFile) -> Answer {
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
    }
}

/// The cache key of an answer: whose it is, and a hash of everything it depends on, which is the file, the choice of its
/// pages, the plan and the weights. None if it must not be cached: callers whom nobody knows would learn from a hit what
/// others have read.
fn key(app: &App, order: &Order, plan: &Plan) -> Option<[u8; 32]> {
    let shared = app.config.cache_shared;
    if order.owner == auth::STRANGERS && !shared {
        return None;
    }
    let mut hash = Sha256::new();
    hash.update((order.picture.len() as u64).to_le_bytes());
    hash.update(&order.picture);
    hash.update(order.options.fingerprint(&order.picture));
    hash.update(serde_json::to_vec(plan).unwrap_or_default());
    hash.update(app.models.fingerprint(plan));
    hash.update(env!("CARGO_PKG_VERSION"));
    let mut key: [u8; 32] = hash.finalize().into();
    if shared {
        key[..OWNER].fill(0);
    } else {
        key[..OWNER].copy_from_slice(&tag(&order.owner));
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
    })
}

/// The history entry of an answer; none if the history is off or the caller is anonymous.
pub fn entry(app: &App, order: &Order, answer: &Answer) -> Option<NewEntry> {
    // Frames of a live camera are not kept.
    let nobodys = order.owner == auth::STRANGERS;
    if nobodys || app.config.history == Switch::Off || order.requirements.real_time {
        return None;
    }
    Some(NewEntry {
        id: answer.id,
        owner: order.owner.clone(),
        name: order.name.clone(),
        text: answer.text(),
        document: merged(answer.pages.clone()),
        original: app.config.keep_originals.then(|| order.picture.to_vec()),
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
