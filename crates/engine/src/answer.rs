//! The answer to a caller: a [`Document`] that serialises to the JSON of the HTTP interface.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::document::{Block, Line};
use crate::plan::Plan;

/// A page that was read.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
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
    /// What was decided before the first stage, and why.
    pub plan: Plan,
    /// Time of each stage, s.
    pub timings: BTreeMap<&'static str, f64>,
}
