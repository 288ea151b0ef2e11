//! Pictures in and lines out over a WebSocket: for live cameras, and for clients that show lines as they are read.
//!
//! A binary message is a picture, or a file of several pages. A text message is a JSON object. It says how to read the
//! pictures that follow, with `requirements`, `pages` (such as `1-3,7`; `1-` for all), `password` (of encrypted PDFs) and
//! `text_layer`; or it is `{"cancel": true}`, for those sent before it. Each event comes back as one text message, a JSON
//! object with `event` and the number of the `picture`, counted from 0:
//!
//! - `detected`: `boxes` of the lines found
//! - `line`: one of them has been read: `index`, `text`, `box`, `confidence`. Another `line` with the same `index`
//!   replaces it; an `index` beyond the detected boxes is a line that was part of another
//! - `page`: the page at position `index` has been read, or, with `error`, can't be: `read` so far, `of` as many
//! - `withdrawn`: the line with this `index` is not in the answer: it was noise or part of another line
//! - `done`: the `document`
//! - `error`: the `problem`; `picture` is null if it concerns no picture
//! - `skipped`: with `real_time`, a newer picture arrived before this one was started
//! - `cancelled`: the caller cancelled it
//!
//! One picture is read at a time. With `real_time` the newest is next, and older waiting ones are skipped; otherwise they
//! are read in order, and at most one more is taken from the connection ahead of time.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use maoocr_engine::plan::Requirements;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::auth::{CHECK, Caller};
use crate::body::Memory;
use crate::callers::Kind;
use crate::document::PageOptions;
use crate::json::{self, JsonRequirements, Text};
use crate::problem::Problem;
use crate::reading::{self, Answer, Event, Order};
use crate::store::Scope;
use crate::wishes::Said;
use crate::{input, metrics};

/// A connection without a message for this long is closed.
const IDLE: Duration = Duration::from_secs(300);
/// A client that doesn't read its events for this long counts as gone.
const SLOW: Duration = Duration::from_secs(20);
/// The subprotocol's name, for browsers that also offer a key.
const PROTOCOL: &str = "maoocr";

/// Read pictures over a WebSocket
///
/// Send each picture as a binary message; optionally `{"requirements": {…}}`, `{"pages": "1-3"}`, `{"password": "…"}` or
/// `{"text_layer": "never"}` before it and `{"cancel": true}` after it.
/// Events arrive as JSON: `detected`, `line`, `withdrawn`, `page`, `done`, `error`, `skipped`, `cancelled`.
#[utoipa::path(
    get,
    path = "/api/ocr/ws",
    tag = "recognition",
    responses(
        (status = 101, description = "The connection becomes a WebSocket"),
        (status = "4XX", description = "Not a WebSocket request, or not allowed", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "Too many WebSockets are open", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn connect(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Recognize)?;
    check_origin(&app, &headers)?;
    let upgrade = upgrade
        .map_err(|e| Problem::new(StatusCode::UPGRADE_REQUIRED, "no_websocket", e.body_text()))?;
    let holding = caller.hold(&app, Kind::Sockets)?;
    let place = Place::take(&app)?;
    let most = app.config.file_bytes();
    Ok(upgrade
        .protocols([PROTOCOL])
        .max_message_size(most)
        .max_frame_size(most)
        .on_upgrade(move |socket| async move {
            Connection::new(app, caller).run(socket).await;
            drop((place, holding));
        }))
}

/// Browsers let any page open a WebSocket anywhere: only pages that may call the API may.
fn check_origin(app: &App, headers: &HeaderMap) -> Result<(), Problem> {
    let text = |name| {
        headers
            .get(name)
            .and_then(|v: &header::HeaderValue| v.to_str().ok())
    };
    let Some(origin) = text(header::ORIGIN) else {
        return Ok(());
    };
    let own = text(header::HOST).is_some_and(|host| {
        origin.strip_prefix("http://") == Some(host)
            || origin.strip_prefix("https://") == Some(host)
    });
    if own || app.config.cors.iter().any(|o| o == "*" || o == origin) {
        return Ok(());
    }
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "origin_not_allowed",
        "pages from this origin may not open a WebSocket here; the operator can allow it with --cors",
    ))
}

/// One of the WebSockets that may be open.
struct Place(Arc<App>);

impl Place {
    fn take(app: &Arc<App>) -> Result<Self, Problem> {
        let most = app.config.max_websockets as usize;
        if app.websockets.fetch_add(1, Ordering::Relaxed) >= most {
            app.websockets.fetch_sub(1, Ordering::Relaxed);
            return Err(Problem::busy(
                "too_many_websockets",
                "too many WebSockets are open; try again later",
                10,
            ));
        }
        metrics::websocket(true);
        Ok(Self(app.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.websockets.fetch_sub(1, Ordering::Relaxed);
        metrics::websocket(false);
    }
}

struct Connection {
    app: Arc<App>,
    caller: Caller,
    /// How to read the pictures that follow.
    requirements: Requirements,
    said: Said,
    /// The next picture's number.
    next: u64,
    running: Option<Running>,
    waiting: Option<Waiting>,
    /// Where events go, and from where they are sent.
    events: mpsc::Sender<Value>,
    outbox: Option<mpsc::Receiver<Value>>,
}

/// A text message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Control<'a> {
    requirements: Option<JsonRequirements>,
    #[serde(borrow)]
    pages: Option<Text<'a>>,
    password: Option<Text<'a>>,
    text_layer: Option<Text<'a>>,
    cancel: Option<bool>,
}

struct Running {
    number: u64,
    task: JoinHandle<()>,
}

struct Waiting {
    number: u64,
    picture: Bytes,
    requirements: Requirements,
    options: PageOptions,
    memory: Memory,
}

impl Connection {
    fn new(app: Arc<App>, caller: Caller) -> Self {
        // Full, it holds back the reader, and so the connection.
        let (events, outbox) = mpsc::channel(256);
        Self {
            app,
            caller,
            requirements: Requirements::default(),
            said: Said::default(),
            next: 0,
            running: None,
            waiting: None,
            events,
            outbox: Some(outbox),
        }
    }

    async fn run(mut self, socket: WebSocket) {
        let (mut sink, mut stream) = socket.split();
        let Some(mut outbox) = self.outbox.take() else {
            return;
        };
        let mut sender = tokio::spawn(async move {
            while let Some(event) = outbox.recv().await {
                let message = Message::Text(event.to_string().into());
                match tokio::time::timeout(SLOW, sink.send(message)).await {
                    Ok(Ok(())) => {}
                    _ => return,
                }
            }
            // The client may be gone already.
            let _ = sink.close().await;
        });
        let stopping = self.app.stopping.clone();
        let mut check = tokio::time::interval(CHECK);
        let mut heard = Instant::now();
        loop {
            // With one ahead nothing more is taken, unless the newest picture replaces it.
            let takes = self.waiting.is_none() || self.requirements.real_time;
            tokio::select! {
                () = finished(&mut self.running) => self.begin(),
                message = stream.next(), if takes => match message {
                    Some(Ok(message)) => {
                        heard = Instant::now();
                        if !self.take(message).await {
                            break;
                        }
                    }
                    _ => break,
                },
                _ = check.tick() => {
                    if takes && heard.elapsed() > IDLE {
                        break;
                    }
                    if !self.caller.is_valid(&self.app).await {
                        let problem = Problem::new(
                            StatusCode::UNAUTHORIZED,
                            "key_invalid",
                            "this API key has expired or was revoked",
                        );
                        self.tell(json!({"event": "error", "picture": null, "problem": problem.to_json()}))
                            .await;
                        break;
                    }
                }
                () = stopping.cancelled() => break,
                // The client doesn't read.
                _ = &mut sender => break,
            }
        }
        if let Some(running) = self.running.take() {
            running.task.abort();
        }
        drop(self);
        // What was sent before the end still reaches a client that reads.
        let _ = tokio::time::timeout(Duration::from_secs(1), sender).await;
    }

    /// `false` at the end of the connection.
    async fn take(&mut self, message: Message) -> bool {
        match message {
            Message::Binary(picture) => self.picture(picture).await,
            Message::Text(text) => {
                if let Err(problem) = self.control(&text).await {
                    self.tell(
                        json!({"event": "error", "picture": null, "problem": problem.to_json()}),
                    )
                    .await;
                }
            }
            Message::Close(_) => return false,
            Message::Ping(_) | Message::Pong(_) => {}
        }
        true
    }

    async fn picture(&mut self, picture: Bytes) {
        let number = self.next;
        self.next += 1;
        let mut memory = self.app.memory();
        let counted = match self.caller.count(&self.app).await {
            Ok(()) => memory.hold(picture.len()),
            Err(problem) => Err(problem),
        };
        let options = counted.and_then(|()| self.said.clone().options(&self.requirements));
        let options = match options {
            Ok(options) => options,
            Err(problem) => return self.tell(failed(number, &problem)).await,
        };
        let waiting = Waiting {
            number,
            picture,
            requirements: self.requirements.clone(),
            // The document has a place for the errors of pages.
            options: PageOptions {
                partial: true,
                ..options
            },
            memory,
        };
        if let Some(older) = self.waiting.replace(waiting) {
            self.tell(json!({"event": "skipped", "picture": older.number}))
                .await;
        }
        self.begin();
    }

    async fn control(&mut self, text: &str) -> Result<(), Problem> {
        if text.len() > input::REST {
            let detail = format!("a text message may have at most {} bytes", input::REST);
            let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail);
            return Err(problem);
        }
        self.caller.count_message(&self.app).await?;
        let control: Control = json::parse(text.as_bytes())?;
        let requirements = match control.requirements {
            Some(requirements) => requirements.check()?,
            None => self.requirements.clone(),
        };
        let said = Said::of([control.pages, control.password, control.text_layer]).or(&self.said);
        // A message that is refused changes nothing.
        said.clone().options(&requirements)?;
        (self.requirements, self.said) = (requirements, said);
        if control.cancel == Some(true) {
            self.cancel().await;
        }
        Ok(())
    }

    async fn cancel(&mut self) {
        let mut numbers = Vec::new();
        if let Some(running) = self.running.take() {
            // Its work stops with it.
            running.task.abort();
            if !running.task.is_finished() {
                numbers.push(running.number);
            }
        }
        numbers.extend(self.waiting.take().map(|w| w.number));
        for number in numbers {
            self.tell(json!({"event": "cancelled", "picture": number}))
                .await;
        }
    }

    /// Begins the picture that waits, if none is being read.
    fn begin(&mut self) {
        if self.running.as_ref().is_some_and(|r| !r.task.is_finished()) {
            return;
        }
        self.running = self.waiting.take().map(|waiting| {
            let order = Order {
                picture: waiting.picture,
                name: String::new(),
                requirements: waiting.requirements,
                options: waiting.options,
                owner: self.caller.owner.clone(),
            };
            let (app, events, number) = (self.app.clone(), self.events.clone(), waiting.number);
            let (memory, caller) = (waiting.memory, self.caller.clone());
            Running {
                number,
                task: tokio::spawn(async move {
                    caller.on_behalf(read(app, order, number, events)).await;
                    drop(memory);
                }),
            }
        });
    }

    async fn tell(&self, event: Value) {
        // A sender that ended is noticed by the loop.
        let _ = self.events.send(event).await;
    }
}

/// Ends when the picture that is being read is done; never where there is none.
async fn finished(running: &mut Option<Running>) {
    match running {
        Some(current) => {
            // A panic in it has been answered by the pool.
            let _ = (&mut current.task).await;
            *running = None;
        }
        None => std::future::pending().await,
    }
}

async fn read(app: Arc<App>, order: Order, number: u64, events: mpsc::Sender<Value>) {
    let deadline = reading::deadline(&app, None);
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let reading = reading::read(&app, order, deadline, Some(sender));
    tokio::pin!(reading);
    let last = loop {
        tokio::select! {
            biased;
            Some(event) = receiver.recv() => {
                if events.send(early(number, event)).await.is_err() {
                    return;
                }
            }
            result = &mut reading => break last(number, result),
        }
    };
    // What the engine told before its end comes before it.
    while let Ok(event) = receiver.try_recv() {
        if events.send(early(number, event)).await.is_err() {
            return;
        }
    }
    // Nobody there to read it: the work is done anyway.
    let _ = events.send(last).await;
}

fn early(number: u64, event: Event) -> Value {
    match event {
        Event::Page {
            index,
            error,
            read,
            of,
        } => {
            let mut event =
                json!({"event": "page", "picture": number, "index": index, "read": read, "of": of});
            if let Some(problem) = error {
                event["error"] = problem.to_json();
            }
            event
        }
        Event::Withdrawn(index) => {
            json!({"event": "withdrawn", "picture": number, "index": index})
        }
        Event::Detected(boxes) => json!({"event": "detected", "picture": number, "boxes": boxes}),
        Event::Line {
            index,
            quad,
            text,
            confidence,
        } => json!({
            "event": "line",
            "picture": number,
            "index": index,
            "text": text,
            "box": quad,
            "confidence": confidence,
        }),
    }
}

fn last(number: u64, result: Result<Answer, Problem>) -> Value {
    match result {
        Ok(answer) => json!({"event": "done", "picture": number, "document": answer.into_json()}),
        Err(problem) => failed(number, &problem),
    }
}

fn failed(number: u64, problem: &Problem) -> Value {
    json!({"event": "error", "picture": number, "problem": problem.to_json()})
}
