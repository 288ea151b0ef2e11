//! Shapes of the answers, for the API's description. The engine makes the answers themselves; the tests of the HTTP
//! interface hold them against these.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// What a caller needs. All optional.
#[derive(Serialize, ToSchema)]
pub struct Requirements {
    /// What the picture shows.
    #[schema(default = "auto")]
    pub document_type: Option<DocumentType>,
    /// `auto`, an English name or a BCP 47 tag.
    #[schema(default = "auto", example = "chinese")]
    pub language: Option<String>,
    /// How much an error costs.
    #[schema(default = "medium")]
    pub accuracy_requirement: Option<Level>,
    /// How much waiting costs.
    #[schema(default = "medium")]
    pub speed_requirement: Option<Level>,
    /// Whether a person waits for each picture, as with a live camera.
    #[schema(default = false)]
    pub real_time: Option<bool>,
    /// Whether this is one of many pictures and the total time counts.
    #[schema(default = false)]
    pub batch_processing: Option<bool>,
}

/// What a picture shows.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)] // Described, never made here.
pub enum DocumentType {
    /// Not said.
    Auto,
    /// Upright lines.
    SimpleText,
    /// Columns, tables, forms, whichever way up.
    ComplexLayout,
}

/// How much something matters.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)] // Described, never made here.
pub enum Level {
    /// Hardly.
    Low,
    /// As usual.
    Medium,
    /// Most of all.
    High,
}

/// Four corners in pixels of the picture as a person sees it, clockwise from the text's top left.
pub type Box = [[f32; 2]; 4];

/// A word and where it stands.
#[derive(Serialize, ToSchema)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// 0 to 1.
    pub confidence: f32,
    /// Its corners.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
}

/// A line of text.
#[derive(Serialize, ToSchema)]
pub struct Line {
    /// Its text.
    pub text: String,
    /// 0 to 1.
    pub confidence: f32,
    /// Its corners.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
    /// Its words, in reading order.
    pub words: Vec<Word>,
    /// Whether it runs from top to bottom.
    pub vertical: bool,
}

/// Lines that belong together.
#[derive(Serialize, ToSchema)]
pub struct Block {
    /// `paragraph`
    pub kind: String,
    /// Around its lines.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
    /// Indices into the lines.
    pub lines: Vec<u32>,
}

/// What was decided before the first stage.
#[derive(Serialize, ToSchema)]
pub struct Plan {
    /// Name of the detector.
    pub detector: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Name of the classifier of turned lines, where it was asked.
    pub line_orientation: Option<String>,
    /// Name of the classifier of turned pages, where it was asked.
    pub page_orientation: Option<String>,
    /// Longest side of the detector's input, px.
    pub max_side: u32,
    /// The language that was asked for.
    pub language: String,
    /// Why, one sentence a choice.
    pub reasons: Vec<String>,
}

/// What a picture says. Of a file with several pages `text`, `confidence` and `processing_time` are of all of them,
/// the rest is of the first, and `pages` holds each.
#[derive(Serialize, ToSchema)]
pub struct Answer {
    /// As a person would read it.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f64,
    /// From the bytes to this answer, waiting aside, s.
    pub processing_time: f64,
    /// Names of the models that ran.
    pub selected_models: Vec<String>,
    /// Names this answer, in the history too.
    pub id: String,
    /// Of the picture as a person sees it, px.
    pub width: u32,
    /// Of the same, px.
    pub height: u32,
    /// Clockwise turn that makes the text upright, degrees.
    pub turn: u16,
    /// What executed the models.
    pub device: String,
    /// BCP 47 tag that was asked for, or `auto`.
    pub language: String,
    /// In reading order.
    pub lines: Vec<Line>,
    /// Paragraphs in reading order.
    pub blocks: Vec<Block>,
    /// What was decided, and why.
    pub plan: Plan,
    /// Time of each stage, s.
    pub timings: BTreeMap<String, f64>,
    /// Each page, where there are several.
    #[schema(no_recursion, required = false)]
    pub pages: Option<Vec<Answer>>,
}
