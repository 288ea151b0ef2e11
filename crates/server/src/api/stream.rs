//! Answers page by page: a line for each page as it is read.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::task::JoinHandle;

use crate::app::App;
use crate::auth::{Caller, Held};
use crate::body::Memory;
use crate::lines;
use crate::metrics;
use crate::problem::Problem;
use crate::reading::{self, Answer, Order, PageEvent};

/// Tells nginx to pass on each line at once.
const UNBUFFERED: HeaderName = HeaderName::from_static("x-accel-buffering");

/// A file that is being read. Dropping it stops the reading.
struct Reading {
    task: JoinHandle<Result<Answer, Problem>>,
    pages: UnboundedReceiver<PageEvent>,
    /// Events that came before the first page was read.
    early: VecDeque<PageEvent>,
    /// A page of the answer.
    like: Value,
    ended: bool,
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reads a file and answers a line for each page. What the request holds is kept until the last.
///
/// # Errors
/// Why not even one page can be read. A later problem is the last line.
pub async fn answer(
    app: Arc<App>,
    caller: Caller,
    order: Order,
    deadline: Instant,
    held: (Memory, Option<Held>),
) -> Result<Response, Problem> {
    let (sender, pages) = mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        let reading = reading::read_pages(&app, order, deadline, sender);
        let answer = caller.on_behalf(reading).await;
        drop(held);
        answer
    });
    let mut reading = Reading {
        task,
        pages,
        early: VecDeque::new(),
        like: Value::Null,
        ended: false,
    };
    // Until then, the status can say what is wrong.
    while reading.like.is_null() {
        let Some(event) = reading.pages.recv().await else {
            break;
        };
        if let PageEvent::Read { page, .. } = &event {
            reading.like = page.clone();
        }
        reading.early.push_back(event);
    }
    if reading.like.is_null() {
        let ended = (&mut reading.task).await;
        let lost = || Problem::internal("reader_failed", "a reading ended without a page");
        return Err(ended.ok().and_then(Result::err).unwrap_or_else(lost));
    }
    let lines = stream::unfold(reading, async |mut reading| {
        let line = reading.next().await?;
        Some((Ok::<_, Infallible>(Bytes::from(line)), reading))
    });
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static(lines::MEDIA_TYPE),
        ),
        (header::VARY, HeaderValue::from_static("accept")),
        (UNBUFFERED, HeaderValue::from_static("no")),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}

impl Reading {
    /// The next line; none after the last.
    async fn next(&mut self) -> Option<String> {
        if self.ended {
            return None;
        }
        let event = match self.early.pop_front() {
            Some(event) => Some(event),
            None => self.pages.recv().await,
        };
        if let Some(event) = event {
            return Some(lines::page(event, &self.like).to_string() + "\n");
        }
        self.ended = true;
        Some(match (&mut self.task).await {
            Ok(Ok(answer)) => answer.last_line(),
            Ok(Err(problem)) => {
                metrics::problem(problem.code);
                problem.to_json().to_string() + "\n"
            }
            Err(_) => {
                let problem = Problem::internal("reader_failed", "the reading panicked");
                problem.to_json().to_string() + "\n"
            }
        })
    }
}
