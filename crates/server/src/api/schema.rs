//! Shapes of the answers, for the OpenAPI description. The engine makes the answers; the tests of the HTTP interface check
//! them against these shapes.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use crate::document::{OwnText, TextLayer};
use crate::problem::Problem;
use crate::vision::VisionRead;

/// A file's bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code)] // Described, never made here.
pub struct Bytes(String);

/// What the caller needs. Every field is optional.
#[derive(Serialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)] // Described, never made here.
pub struct Requirements {
    /// Kind of document.
    #[schema(default = "auto", required = false)]
    #[param(default = "auto", required = false, inline)]
    document_type: DocumentType,
    /// `auto`, an English name or a BCP 47 tag.
    #[schema(default = "auto", example = "chinese", required = false)]
    #[param(default = "auto", example = "chinese", required = false)]
    language: String,
    /// How important accuracy is.
    #[schema(default = "medium", required = false)]
    #[param(default = "medium", required = false, inline)]
    accuracy_requirement: Level,
    /// How important speed is.
    #[schema(default = "medium", required = false)]
    #[param(default = "medium", required = false, inline)]
    speed_requirement: Level,
    /// Whether a person waits for each picture, as with a live camera.
    #[schema(default = false, required = false)]
    #[param(default = false, required = false)]
    real_time: bool,
    /// Whether this is one of many pictures, so that total time matters most.
    #[schema(default = false, required = false)]
    #[param(default = false, required = false)]
    batch_processing: bool,
}

/// Which pages of a file are read, and how: in the query or in the body.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[allow(dead_code)] // Described, never made here.
pub struct Said {
    /// Which pages of a file with several, such as `1-3,7,10-`.
    pages: Option<String>,
    /// The password of an encrypted PDF.
    password: Option<String>,
    /// When to use the text that a PDF contains.
    #[param(inline)]
    text_layer: Option<TextLayer>,
}

/// Kind of document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code)] // Described, never made here.
pub enum DocumentType {
    /// Unknown.
    Auto,
    /// Lines of text, upright.
    SimpleText,
    /// Columns, tables, forms, in any orientation.
    ComplexLayout,
}

/// How important something is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code)] // Described, never made here.
pub enum Level {
    /// Not important.
    Low,
    /// The default.
    Medium,
    /// Very important.
    High,
}

/// Four corners in pixels of the upright picture (EXIF applied), clockwise from the text's top left.
pub type Box = [[f32; 2]; 4];

/// A word and its position.
#[derive(Serialize, ToSchema)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// Confidence, 0 to 1.
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
    /// Confidence, 0 to 1.
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
    /// `paragraph`; in PDFs, and where the answer's form or `complex_layout` asks for it, also `title`, `heading`, `list`,
    /// `table`, `figure`, `caption`, `formula`, `code`, `footnote`, `header`, `footer`, `page_number` and `unread`.
    pub kind: String,
    /// Around its lines.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
    /// Indices into the lines.
    pub lines: Vec<u32>,
    /// Level of a heading, 1 to 6.
    #[schema(required = false)]
    pub level: Option<u8>,
    /// How sure its kind is, 0 to 1; where regions were looked for, as are the fields that follow.
    #[schema(required = false)]
    pub confidence: Option<f32>,
    /// Its text as it flows.
    #[schema(required = false)]
    pub text: Option<String>,
    /// Rows and cells of a table.
    #[schema(required = false)]
    pub table: Option<Table>,
    /// Items of a list.
    #[schema(required = false)]
    pub items: Option<Vec<ListItem>>,
    /// The block that is the caption of this table or figure.
    #[schema(required = false)]
    pub caption: Option<u32>,
    /// Whether it goes on from the last block of its kind, on this page or the one before.
    #[schema(required = false)]
    pub continued: Option<bool>,
}

/// A table as a grid of cells.
#[derive(Serialize, ToSchema)]
pub struct Table {
    /// Number of rows.
    pub rows: u32,
    /// Number of columns.
    pub columns: u32,
    /// How many rows at the top are its head.
    pub header_rows: u32,
    /// Cells by row, then by column; a place covered by a spanning cell has none of its own.
    pub cells: Vec<Cell>,
}

/// A cell of a table.
#[derive(Serialize, ToSchema)]
pub struct Cell {
    /// First row, from 0.
    pub row: u32,
    /// First column, from 0.
    pub column: u32,
    /// Rows it spans.
    pub row_span: u32,
    /// Columns it spans.
    pub column_span: u32,
    /// Around it.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
    /// Its text; a line feed between its lines.
    pub text: String,
}

/// An item of a list.
#[derive(Serialize, ToSchema)]
pub struct ListItem {
    /// Depth, 0 for the outermost.
    pub level: u8,
    /// What stands before it: `•`, `–`, `3.`, `(b)`.
    pub marker: String,
    /// Its number, where the list is numbered.
    #[schema(required = false)]
    pub number: Option<u32>,
    /// Its text without the marker.
    pub text: String,
    /// Its lines.
    pub lines: Vec<u32>,
}

/// Something that looked like a line and is not in the text.
#[derive(Serialize, ToSchema)]
pub struct Dropped {
    /// What it was read as.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f64,
    /// Where it is.
    #[schema(value_type = Vec<Vec<f32>>)]
    pub r#box: Box,
    /// `unsure`, `unread` (text that the recogniser can't read) or `ruby`.
    pub reason: String,
}

/// What was decided before the first stage ran.
#[derive(Serialize, ToSchema)]
pub struct Plan {
    /// Name of the detector.
    pub detector: String,
    /// Name of the recogniser.
    pub recogniser: String,
    /// Names of recognisers of single scripts, for lines that the recogniser can't read; left out where there are none.
    #[schema(required = false)]
    pub script_recognisers: Option<Vec<String>>,
    /// Name of the line orientation classifier, if it ran.
    pub line_orientation: Option<String>,
    /// Name of the page orientation classifier, if it ran.
    pub page_orientation: Option<String>,
    /// Longest side of the detector's input, px.
    pub max_side: u32,
    /// Name of the vision model that is to read whole pages, if there is one; `vision` says what became of that.
    #[schema(required = false)]
    pub vision: Option<String>,
    /// The requested language.
    pub language: String,
    /// The reasons, one sentence per choice.
    pub reasons: Vec<String>,
}

/// The text of a picture and its layout. For a file with several pages, `text`, `confidence` and `processing_time` cover
/// all of them, `pages` holds each page, and the other fields describe the first.
#[derive(Serialize, ToSchema)]
pub struct Answer {
    /// The text in reading order.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f64,
    /// Time from the bytes to this answer, without waiting, s.
    pub processing_time: f64,
    /// Names of the models that ran.
    pub selected_models: Vec<String>,
    /// Identifies this answer, in the history too.
    pub id: String,
    /// Width of the upright picture (EXIF applied), px.
    pub width: u32,
    /// Its height, px.
    pub height: u32,
    /// Clockwise rotation that makes the text upright, degrees.
    pub turn: u16,
    /// What executed the models.
    pub device: String,
    /// The requested BCP 47 tag, or `auto`.
    pub language: String,
    /// Lines in reading order.
    pub lines: Vec<Line>,
    /// Paragraphs, or all kinds of blocks, in reading order.
    pub blocks: Vec<Block>,
    /// Position of the page in the file, from 0; left out for the first page of a picture.
    #[schema(required = false)]
    pub index: Option<u32>,
    /// Pixels an inch, if the file states them.
    #[schema(required = false)]
    pub dpi: Option<f32>,
    /// The text that a PDF's page has of its own.
    #[schema(required = false)]
    pub text_layer: Option<OwnText>,
    /// What became of a page that a vision model was to read.
    #[schema(required = false)]
    pub vision: Option<VisionRead>,
    /// Why this page of several could not be read; the rest is empty then.
    #[schema(value_type = Option<Problem>, required = false)]
    pub error: Option<serde_json::Value>,
    /// What looked like a line and is not in the text, if there is any.
    #[schema(required = false)]
    pub dropped: Option<Vec<Dropped>>,
    /// The plan and its reasons.
    pub plan: Plan,
    /// Time per stage, s.
    pub timings: BTreeMap<String, f64>,
    /// Each page, if there are several.
    #[schema(no_recursion, required = false)]
    pub pages: Option<Vec<Answer>>,
}
