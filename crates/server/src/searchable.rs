//! A file and what was read of it → a PDF whose text can be searched and copied.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::document::PageText;
use maoocr_engine::imaging::{self, Limits};
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer, WriteError};
use maoocr_pdf::{Options, Pdf, is_pdf};
use serde::Deserialize;
use serde_json::Value;

use crate::app::App;
use crate::document::{self, LayerState, OwnText};
use crate::pool::{Done, Lane, Stop};
use crate::problem::Problem;

/// A file that was read.
#[derive(Clone, Debug)]
pub struct Original {
    /// Its bytes.
    pub file: Bytes,
    /// The password of an encrypted PDF; empty if there is none.
    pub password: String,
}

/// Makes the PDF of an answer, on a thread of the pool.
///
/// # Errors
/// The answer is not of this file, the file can't be added to, the queue is full, or `stop` said so.
pub async fn make(
    app: &Arc<App>,
    lane: Lane,
    original: Original,
    answer: Value,
    stop: Stop,
) -> Result<Vec<u8>, Problem> {
    let _waiting = stop.when_dropped();
    let limits = app.limits.clone();
    let work = {
        let stop = stop.clone();
        move || Done::untold(write(&original, &answer, &limits, &stop))
    };
    match app.pool.submit(lane, stop.clone(), work)?.await {
        Ok(made) => made,
        Err(_) if stop.asked() => Err(late()),
        Err(_) => Err(Problem::internal(
            "writer_failed",
            "the thread that wrote the PDF panicked",
        )),
    }
}

/// The problem of work that was not done in time.
pub fn late() -> Problem {
    Problem::new(
        StatusCode::GATEWAY_TIMEOUT,
        "deadline_exceeded",
        "the answer was not ready in time; request fewer pages, or another format",
    )
}

fn write(
    original: &Original,
    answer: &Value,
    limits: &Limits,
    stop: &Stop,
) -> Result<Vec<u8>, Problem> {
    let unreadable = |error| Problem::internal("answer_unreadable", error);
    let texts = document::of_json(answer).map_err(unreadable)?.pages;
    let pages = match answer.get("pages") {
        Some(Value::Array(pages)) => pages.as_slice(),
        _ => std::slice::from_ref(answer),
    };
    let layers = pages.iter().map(|page| match page.get("text_layer") {
        Some(own) => OwnText::deserialize(own).map(Some),
        None => Ok(None),
    });
    let layers = layers.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    if is_pdf(&original.file) {
        extend(original, &texts, &layers, limits)
    } else {
        let language = answer["language"].as_str().filter(|tag| *tag != "auto");
        compose(&original.file, &texts, language, limits, stop)
    }
}

/// Lays text over the pages of a PDF that have none, or none that is sound.
fn extend(
    original: &Original,
    texts: &[PageText],
    layers: &[Option<OwnText>],
    limits: &Limits,
) -> Result<Vec<u8>, Problem> {
    let file = Arc::new(original.file.to_vec());
    let options = Options {
        password: original.password.clone(),
        limits: document::countless(limits),
        seconds: Some(document::PAGE_SECONDS),
        ..Options::default()
    };
    // Refuses what is too large or too deep before anything else looks at it.
    let count = Pdf::open(file.clone(), options)
        .map_err(Problem::from)?
        .count();
    let mut out = Extended::open(&file, &original.password).map_err(damaged)?;
    if out.count() != count {
        let why = format!("its page count is ambiguous: {count} or {}", out.count());
        return Err(damaged(WriteError::Structure(why)));
    }
    // Of a page that could not be read there is nothing to lay over it.
    let read = texts.iter().zip(layers).filter(|(text, _)| text.width > 0);
    for (text, own) in read {
        out.outline(text.index, text);
        let own = own.unwrap_or(OwnText {
            state: LayerState::Absent,
            painted: false,
        });
        let layer = match own.state {
            LayerState::Sound => continue,
            LayerState::Absent => Layer::Absent,
            // Whatever there is makes way.
            LayerState::Ignored if own.painted => Layer::Lying,
            LayerState::Ignored => Layer::Unseen { all: true },
            LayerState::Lies => Layer::Lying,
            LayerState::Poor => Layer::Unseen { all: !own.painted },
        };
        out.add(text.index, text, layer).map_err(damaged)?;
    }
    out.finish().map_err(damaged)
}

fn damaged(error: WriteError) -> Problem {
    let why = match error {
        WriteError::Structure(why) => why,
        error => error.to_string(),
    };
    let why: String = why.chars().take(200).collect();
    let detail = format!(
        "no text can be added to this PDF ({why}): request another format, or print it to a new PDF"
    );
    Problem::unprocessable("pdf_damaged", detail).field("format")
}

/// Makes a PDF of pictures.
fn compose(
    file: &Bytes,
    texts: &[PageText],
    language: Option<&str>,
    limits: &Limits,
    stop: &Stop,
) -> Result<Vec<u8>, Problem> {
    let mut out = Composed::new(Info {
        language: language.map(String::from),
        ..Info::default()
    });
    let mut source = imaging::open(file, limits)?;
    let mut index = 0;
    while let Some(page) = source.next_page() {
        if stop.asked() {
            return Err(late());
        }
        let text = texts.iter().find(|text| text.index == index);
        match (page, text) {
            (Ok(page), Some(text)) => out.add(file, index, text, &page.image),
            (Err(error), Some(text)) if text.width > 0 => return Err(error.into()),
            (Err(error), None) if error.index.is_none() => return Err(error.into()),
            // Not wanted, or lost when it was read.
            _ => {}
        }
        index += 1;
        if texts.iter().all(|text| text.index < index) {
            break;
        }
    }
    if out.is_empty() {
        return Err(Problem::internal(
            "answer_unreadable",
            "the answer is of another file",
        ));
    }
    Ok(out.finish())
}
