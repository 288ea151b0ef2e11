//! Lines → a document: reading order, paragraphs, text.

use serde::Serialize;

use crate::geometry::Quad;

/// A word and where it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
}

/// A line of text.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// Its text.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Its words, in reading order.
    pub words: Vec<Word>,
    /// Whether it runs from top to bottom (Chinese and Japanese).
    pub vertical: bool,
}

/// A group of lines that belong together.
#[derive(Clone, Debug, Serialize)]
pub struct Block {
    /// `paragraph` so far.
    pub kind: String,
    /// Around its lines, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Indices into the document's lines.
    pub lines: Vec<usize>,
}
