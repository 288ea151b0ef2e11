//! The answer to a caller: an [`Answer`] for each page, which serialises to the JSON of the HTTP interface.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::document::{Block, Line};
use crate::geometry::Quad;
use crate::plan::Plan;

/// A page that was read.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The page's text as a person would read it.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1; 0 where there is no text.
    pub confidence: f32,
    /// Time from the bytes to this answer, s.
    pub processing_time: f64,
    /// Names of the models that ran.
    pub selected_models: Vec<String>,
    /// Given by the caller; empty otherwise.
    pub id: String,
    /// Width of the picture as a person sees it, px.
    pub width: u32,
    /// Height of it, px.
    pub height: u32,
    /// Clockwise turn that makes the text upright, degrees: 0, 90, 180 or 270. Boxes are in the picture's own frame.
    pub turn: u16,
    /// What executed the models.
    pub device: String,
    /// BCP 47 tag that was asked for, or `auto`.
    pub language: String,
    /// Lines in reading order.
    pub lines: Vec<Line>,
    /// Paragraphs in reading order.
    pub blocks: Vec<Block>,
    /// What looked like a line and is not in the text, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    /// What was decided before the first stage, and why.
    pub plan: Plan,
    /// Time of each stage, s.
    pub timings: BTreeMap<&'static str, f64>,
}

/// Something that looked like a line and is not in the text.
#[derive(Clone, Debug, Serialize)]
pub struct Dropped {
    /// What it was read as.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Why it was dropped.
    pub reason: DropReason,
}

/// Why something isn't in the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It was not read surely enough to be taken for text.
    Unsure,
    /// It is text, but in no script that the recogniser knows, or too blurred to be read.
    Unread,
    /// It is ruby: it says how the characters beside it are pronounced.
    Ruby,
}
