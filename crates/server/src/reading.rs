//! From a picture's bytes to its answer: plan, cache, queue, engine, history.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::answer::Document;
use maoocr_engine::geometry::Quad;
use maoocr_engine::pipeline::{EngineError, Observer};
use maoocr_engine::plan::{Plan, Requirements};
use maoocr_engine::recognise::Reading;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::UnboundedSender;
use uuid::Uuid;

use crate::app::App;
use crate::auth;
use crate::config::Switch;
use crate::metrics;
use crate::models::LoadError;
use crate::pool::{Lane, Refused, Stop};
use crate::problem::Problem;
use crate::store::NewEntry;

/// A picture to read.
#[derive(Clone, Debug)]
pub struct Order {
    /// Its file.
    pub picture: Bytes,
    /// What the caller calls it; may be empty.
    pub name: String,
    /// What the caller needs.
    pub requirements: Requirements,
    /// Whose it is.
    pub owner: String,
}

/// What is known before the end.
#[derive(Clone, Debug)]
pub enum Event {
    /// Lines were found.
    Detected(Vec<Quad>),
    /// One of them was read. They come in no particular order, those that turn out to be noise too.
    Line {
        /// Among those found.
        index: usize,
        /// Where it is.
        quad: Quad,
        /// What it says.
        text: String,
        /// 0 to 1.
        confidence: f32,
    },
}

/// A picture that was read.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its name.
    pub id: Uuid,
    /// The pages, each a [`Document`] as JSON.
    pub pages: Vec<Value>,
    /// Whether it comes from the cache.
    pub cached: bool,
}

impl Answer {
    /// The answer of the HTTP interface: the first page, and with several pages the text of all of them and the pages
    /// themselves.
    pub fn into_json(self) -> Value {
        merged(self.pages)
    }

    /// The text of all pages.
    pub fn text(&self) -> String {
        let texts = self.pages.iter().filter_map(|p| p["text"].as_str());
        texts.collect::<Vec<_>>().join("\n\n")
    }
}

/// One answer of all pages.
pub fn merged(mut pages: Vec<Value>) -> Value {
    if pages.len() == 1 {
        return pages.remove(0);
    }
    let Some(mut whole) = pages.first().cloned() else {
        return Value::Null;
    };
    let number = |page: &Value, field: &str| page[field].as_f64().unwrap_or(0.0);
    let texts: Vec<&str> = pages.iter().filter_map(|p| p["text"].as_str()).collect();
    let weights = texts.iter().map(|t| t.chars().count() as f64);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (page, characters) in pages.iter().zip(weights) {
        sum += number(page, "confidence") * characters;
        weight += characters;
    }
    whole["text"] = json!(texts.join("\n\n"));
    whole["confidence"] = json!(if weight > 0.0 { sum / weight } else { 0.0 });
    let seconds: f64 = pages.iter().map(|p| number(p, "processing_time")).sum();
    whole["processing_time"] = json!(seconds);
    whole["pages"] = Value::Array(pages);
    whole
}

/// Reads a picture that somebody waits for. It is given up when the future is dropped.
pub async fn read(
    app: &Arc<App>,
    order: Order,
    deadline: Instant,
    events: Option<UnboundedSender<Event>>,
) -> Result<Answer, Problem> {
    let stop = Stop::at(Some(deadline));
    let _waiting = stop.when_dropped();
    let plan = app.models.plan(&order.requirements)?;
    let key = key(app, &order.picture, &plan);
    // Whoever wants to see the lines come wants them from the engine.
    if events.is_none()
        && let Some(answer) = cached(app, &key).await
    {
        remember(app, &order, &answer).await;
        return Ok(answer);
    }
    let picture = order.picture.clone();
    let documents = run(app, Lane::Interactive, picture, plan, stop, events).await?;
    let answer = fresh(documents);
    if let Ok(bytes) = serde_json::to_vec(&answer.pages) {
        app.cache.put(&key, bytes.into()).await;
    }
    remember(app, &order, &answer).await;
    Ok(answer)
}

/// Reads a picture of a job: nobody waits for it, and its queue is in the store.
pub async fn read_in_background(
    app: &Arc<App>,
    order: &Order,
    stop: Stop,
) -> Result<Answer, Problem> {
    let plan = app.models.plan(&order.requirements)?;
    let key = key(app, &order.picture, &plan);
    if let Some(answer) = cached(app, &key).await {
        return Ok(answer);
    }
    let picture = order.picture.clone();
    let documents = run(app, Lane::Background, picture, plan, stop, None).await?;
    Ok(fresh(documents))
}

async fn run(
    app: &Arc<App>,
    lane: Lane,
    picture: Bytes,
    plan: Plan,
    stop: Stop,
    events: Option<UnboundedSender<Event>>,
) -> Result<Vec<Document>, Problem> {
    let work = {
        let (app, stop) = (app.clone(), stop.clone());
        move || engine(&app, &picture, &plan, stop, events)
    };
    let receiver = app.pool.submit(lane, stop.clone(), work)?;
    match receiver.await {
        Ok(Ok(documents)) => {
            metrics::pages(&documents);
            Ok(documents)
        }
        Ok(Err(Failure::Load(error))) => {
            metrics::picture("failed");
            Err(error.into())
        }
        Ok(Err(Failure::Engine(EngineError::Cancelled))) => Err(ended(&stop)),
        Ok(Err(Failure::Engine(error))) => {
            metrics::picture("failed");
            Err(error.into())
        }
        // It was dropped: before its turn, or because it panicked.
        Err(_) if stop.asked() => Err(ended(&stop)),
        Err(_) => {
            metrics::picture("failed");
            Err(Problem::internal(
                "reader_failed",
                "the thread that read the picture panicked",
            ))
        }
    }
}

/// Why work that was told to stop did.
fn ended(stop: &Stop) -> Problem {
    metrics::picture("stopped");
    if stop.is_stopped() {
        return EngineError::Cancelled.into();
    }
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "deadline_exceeded",
        "reading this picture took longer than its deadline: send it smaller, ask for more speed, or make it a job",
    )
}

enum Failure {
    Load(LoadError),
    Engine(EngineError),
}

/// On a thread of the pool.
fn engine(
    app: &App,
    picture: &[u8],
    plan: &Plan,
    stop: Stop,
    events: Option<UnboundedSender<Event>>,
) -> Result<Vec<Document>, Failure> {
    let _models = app.models.hold(plan).map_err(Failure::Load)?;
    let mut watch = Watch { stop, events };
    let engine = app.models.engine();
    pollster::block_on(engine.read(picture, &app.limits, plan, &mut watch)).map_err(Failure::Engine)
}

/// Passes on what the engine tells, and tells it when to stop.
struct Watch {
    stop: Stop,
    events: Option<UnboundedSender<Event>>,
}

impl Watch {
    fn tell(&self, event: Event) {
        if let Some(events) = &self.events {
            // Nobody there to hear it: the stop is on its way.
            let _ = events.send(event);
        }
    }
}

impl Observer for Watch {
    fn detected(&mut self, quads: &[Quad]) {
        self.tell(Event::Detected(quads.to_vec()));
    }

    fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        if self.events.is_some() && !reading.is_empty() {
            self.tell(Event::Line {
                index,
                quad: *quad,
                text: reading.text(),
                confidence: reading.confidence(),
            });
        }
    }

    fn cancelled(&mut self) -> bool {
        self.stop.asked()
    }
}

fn fresh(documents: Vec<Document>) -> Answer {
    let id = Uuid::now_v7();
    let pages = documents
        .into_iter()
        .map(|mut document| {
            document.id = id.to_string();
            // A document is plain data; it can't fail to become JSON.
            serde_json::to_value(document).unwrap_or(Value::Null)
        })
        .collect();
    Answer {
        id,
        pages,
        cached: false,
    }
}

/// Names an answer by what it follows from: the picture, the plan and the weights.
fn key(app: &App, picture: &[u8], plan: &Plan) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update((picture.len() as u64).to_le_bytes());
    hash.update(picture);
    hash.update(serde_json::to_vec(plan).unwrap_or_default());
    hash.update(app.models.fingerprint(plan));
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.finalize().into()
}

async fn cached(app: &App, key: &[u8; 32]) -> Option<Answer> {
    let began = Instant::now();
    let found = app.cache.get(key).await;
    // What can't be read back counts as not there.
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

/// The history entry of an answer; none where the history is off, or nobody's.
pub fn entry(app: &App, order: &Order, answer: &Answer) -> Option<NewEntry> {
    // The frames of a live camera are looked at, not kept.
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

/// A history that can't be written is no reason to withhold the answer.
async fn remember(app: &App, order: &Order, answer: &Answer) {
    if let Some(entry) = entry(app, order, answer)
        && let Err(error) = app.store.remember(vec![entry]).await
    {
        tracing::error!(%error, "an answer could not be remembered");
    }
}

/// The time by which a caller wants the answer: no later than the server's own deadline.
pub fn deadline(app: &App, wanted: Option<Duration>) -> Instant {
    Instant::now() + wanted.map_or(app.config.deadline, |w| w.min(app.config.deadline))
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = match refused {
            Refused::Closed => "this server is shutting down; another one may be there",
            _ => "more pictures are waiting than this server can read in time; try again later",
        };
        Self::busy(refused.code(), detail, refused.retry_after())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pages_make_one_answer() {
        let page = |text: &str, confidence: f64| json!({"text": text, "confidence": confidence, "processing_time": 0.5, "width": 3});
        let whole = merged(vec![page("abc", 1.0), page("d", 0.6)]);
        assert_eq!(whole["text"], "abc\n\nd");
        assert_eq!(whole["confidence"], 0.9);
        assert_eq!(whole["processing_time"], 1.0);
        assert_eq!(whole["pages"].as_array().unwrap().len(), 2);
        assert_eq!(merged(vec![page("abc", 1.0)]), page("abc", 1.0));
    }
}
