//! Documents in other forms.
//!
//! Each form has a file of its own and is made from a [`Document`] alone. Text forms are written page by page
//! ([`Writer`]), so that a book need not be in memory; [`write`] does a whole document.

mod alto;
mod clean;
mod csv;
mod date;
#[cfg(feature = "office")]
mod docx;
pub mod form;
mod hocr;
mod html;
mod json;
mod markdown;
#[cfg(feature = "office")]
mod numbers;
mod page_xml;
mod text;
mod tsv;
#[cfg(feature = "office")]
mod xlsx;
mod xml;

pub use date::rfc3339;
#[cfg(feature = "office")]
pub use docx::docx;
pub use html::table as table_html;
pub use markdown::{MarkdownPage, escaped as markdown, markdown_page};
#[cfg(feature = "office")]
pub use xlsx::xlsx;

use crate::document::{Cell, Document, PageText, Region, RegionKind, Table};

/// A text form of a document.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// Plain text, a form feed between pages.
    Text,
    /// GitHub's Markdown; tables whose cells span are HTML.
    Markdown,
    /// One HTML file, pictures within.
    Html,
    /// Pages, lines, words and regions with boxes.
    Json,
    /// hOCR 1.2.
    Hocr,
    /// ALTO 4.4.
    Alto,
    /// PAGE-XML 2019-07-15, which has one page a file.
    PageXml,
    /// Words with boxes in tesseract's columns.
    Tsv,
    /// The cells of all tables, an empty line between tables.
    Csv,
}

/// What is said of a document beside its text.
#[derive(Clone, Debug, Default)]
pub struct Meta {
    /// Its title; empty if nobody gave one.
    pub title: String,
    /// Name of the file it was read from.
    pub source: String,
    /// BCP 47 tag of its language, where it is known.
    pub language: Option<String>,
    /// When it was read, as in `2026-11-29T21:05:00Z`; empty if nobody says.
    pub date: String,
    /// Folder, as forms that refer to pictures shall name it; none where pictures are not kept.
    pub pictures: Option<String>,
}

/// Writes a document page by page.
pub trait Writer: Send {
    /// What stands before the first page.
    fn begin(&mut self) -> String {
        String::new()
    }

    /// A page.
    fn page(&mut self, page: &PageText) -> String;

    /// What stands after the last page.
    fn end(&mut self) -> String {
        String::new()
    }
}

impl Format {
    /// The form of that name, as the command and callers write it.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "txt" => Self::Text,
            "md" => Self::Markdown,
            "html" => Self::Html,
            "json" => Self::Json,
            "hocr" => Self::Hocr,
            "alto" => Self::Alto,
            "page" => Self::PageXml,
            "tsv" => Self::Tsv,
            "csv" => Self::Csv,
            _ => return None,
        })
    }

    /// Whether it shows a document as a whole, in which paragraphs and tables go on over pages and running heads are told
    /// from text: [`join_pages`](crate::structure::join_pages) comes before it.
    pub fn flows(self) -> bool {
        matches!(self, Self::Markdown | Self::Html | Self::Csv)
    }

    /// A writer for one document.
    pub fn writer(self, meta: &Meta) -> Box<dyn Writer> {
        let writer: Box<dyn Writer> = match self {
            Self::Text => Box::new(text::Text::default()),
            Self::Markdown => Box::new(markdown::Markdown::new(meta)),
            Self::Html => Box::new(html::Html::new(meta)),
            Self::Json => Box::new(json::Json::default()),
            Self::Hocr => Box::new(hocr::Hocr::new(meta)),
            Self::Alto => Box::new(alto::Alto::new(meta)),
            Self::PageXml => Box::new(page_xml::PageXml::new(meta)),
            Self::Tsv => Box::new(tsv::Tsv),
            Self::Csv => Box::new(csv::Csv::default()),
        };
        Box::new(clean::Clean(writer))
    }
}

/// A whole document in one piece.
pub fn write(document: &Document, format: Format, meta: &Meta) -> String {
    let mut writer = format.writer(meta);
    let mut out = writer.begin();
    for page in &document.pages {
        out.push_str(&writer.page(page));
    }
    out.push_str(&writer.end());
    out
}

/// Name of the file that a region's picture is kept in.
pub fn picture_name(page: &PageText, region: usize) -> String {
    format!("page-{}-picture-{}.png", page.index + 1, region + 1)
}

/// Whether a region is part of the page and not of what is written on it.
fn is_furniture(kind: RegionKind) -> bool {
    matches!(
        kind,
        RegionKind::Header | RegionKind::Footer | RegionKind::PageNumber
    )
}

/// Whether a paragraph goes on with the one before it. What stands between them is told apart by its kind.
fn goes_on(region: &Region) -> bool {
    region.continued && region.kind == RegionKind::Paragraph
}

/// A table that goes on from the page before, without the head that it repeats.
fn body(table: &Table) -> Table {
    let head = table.header_rows.min(table.rows);
    let cells = table.cells.iter().filter(|c| c.row >= head);
    Table {
        rows: table.rows - head,
        columns: table.columns,
        header_rows: 0,
        cells: cells
            .map(|c| Cell {
                row: c.row - head,
                ..c.clone()
            })
            .collect(),
    }
}

/// What joins two parts of a paragraph: nothing between characters of scripts without spaces.
fn joint(before: &str, after: &str) -> &'static str {
    let unspaced = |c: Option<char>| {
        c.is_some_and(|c| crate::recognise::is_unspaced(c.encode_utf8(&mut [0; 4])))
    };
    if unspaced(before.chars().next_back()) && unspaced(after.chars().next()) {
        ""
    } else {
        " "
    }
}

#[cfg(test)]
mod sample;
#[cfg(test)]
mod tests;
