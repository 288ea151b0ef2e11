//! What the parts of a page are: [`Region`] and its details.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::geometry::Quad;

/// A part of a page that is one thing to its reader.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Region {
    /// What it is.
    pub kind: RegionKind,
    /// Level of a heading, 1 to 6; none for other kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<u8>,
    /// Around all of it, in the picture's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// How sure its kind is, 0 to 1.
    #[serde(default)]
    pub confidence: f32,
    /// Its lines, as indices into [`PageText::lines`](super::PageText::lines), in reading order.
    pub lines: Vec<usize>,
    /// Its text as it flows: lines joined, hyphens at line ends resolved; a line feed where the author broke the line.
    #[serde(default)]
    pub text: String,
    /// Rows and cells of a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<Table>,
    /// Items of a list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<ListItem>,
    /// The caption of a table or figure: an index into [`PageText::regions`](super::PageText::regions).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caption: Option<usize>,
    /// Whether it goes on from the last region of its kind, on this page or the one before: a paragraph across
    /// columns, a table across pages.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continued: bool,
    /// What a figure or formula looks like.
    #[serde(skip)]
    pub picture: Option<Arc<Picture>>,
}

/// The kinds of regions.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RegionKind {
    /// The title of the document.
    Title,
    /// The heading of a section; [`Region::level`] says which.
    Heading,
    /// Running text.
    Paragraph,
    /// A list; [`Region::items`] has its items.
    List,
    /// A table; [`Region::table`] has its cells.
    Table,
    /// A picture, a diagram, a chart.
    Figure,
    /// What is said about a figure or table.
    Caption,
    /// A displayed formula.
    Formula,
    /// Program text; line breaks and indentation matter.
    Code,
    /// A note at the foot of the page.
    Footnote,
    /// What every page has at its top.
    Header,
    /// What every page has at its foot.
    Footer,
    /// The number of the page.
    PageNumber,
    /// Text in a script that no installed recogniser knows; `lines` is empty.
    Unread,
}

/// A table as a grid of cells.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub struct Table {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub columns: usize,
    /// How many rows at the top are its head.
    pub header_rows: usize,
    /// Cells by row, then by column. Empty cells are there; a place covered by a spanning cell has none of its own.
    pub cells: Vec<Cell>,
}

/// A cell of a table.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Cell {
    /// First row it stands in, from 0.
    pub row: usize,
    /// First column it stands in, from 0.
    pub column: usize,
    /// Rows it spans, at least 1.
    pub row_span: usize,
    /// Columns it spans, at least 1.
    pub column_span: usize,
    /// Around it, in the picture's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Its text; a line feed between its lines.
    pub text: String,
}

/// An item of a list.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ListItem {
    /// Depth, 0 for the outermost.
    pub level: u8,
    /// What stands before it: `•`, `–`, `3.`, `(b)`.
    pub marker: String,
    /// Its number where the list is numbered: 3 for `3.`, 2 for `(b)`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
    /// Its text as it flows, without the marker.
    pub text: String,
    /// Its lines, as indices into [`PageText::lines`](super::PageText::lines).
    pub lines: Vec<usize>,
}

/// A cut-out of the page.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// A PNG file.
    pub png: Vec<u8>,
}
