//! The forms that callers can ask for, in one table that parses, documents and writes them.

use serde_json::Value;

use super::{Format, Meta, write};
use crate::answer;
use crate::structure;

/// The media type of one line of JSON a page.
pub const LINES: &str = "application/x-ndjson";
/// The `Content-Security-Policy` of text forms: a browser must not run what a document says.
pub const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox";

/// A form that answers come in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Form {
    /// As callers name it, and the extension of its files.
    pub name: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// What it has.
    pub what: &'static str,
    /// How the engine writes it; none for the answer itself, and for PDFs.
    pub format: Option<Format>,
}

/// All of them; the first is the default.
pub const FORMS: [Form; 11] = [
    Form {
        name: "json",
        media_type: "application/json",
        what: "pages, lines, words and blocks with boxes",
        format: None,
    },
    Form {
        name: "ndjson",
        media_type: LINES,
        what: "one line of JSON for each page as it is read, and a last one for the whole document",
        format: None,
    },
    Form {
        name: "txt",
        media_type: "text/plain",
        what: "plain text, with a form feed between pages",
        format: Some(Format::Text),
    },
    Form {
        name: "md",
        media_type: "text/markdown",
        what: "GitHub Flavored Markdown",
        format: Some(Format::Markdown),
    },
    Form {
        name: "html",
        media_type: "text/html",
        what: "one HTML file",
        format: Some(Format::Html),
    },
    Form {
        name: "hocr",
        media_type: "application/vnd.hocr+html",
        what: "hOCR 1.2",
        format: Some(Format::Hocr),
    },
    Form {
        name: "alto",
        media_type: "application/alto+xml",
        what: "ALTO 4.4",
        format: Some(Format::Alto),
    },
    Form {
        name: "page",
        media_type: "application/vnd.prima.page+xml",
        what: "PAGE-XML 2019-07-15 of a single page",
        format: Some(Format::PageXml),
    },
    Form {
        name: "tsv",
        media_type: "text/tab-separated-values",
        what: "words with boxes, in tesseract's column layout",
        format: Some(Format::Tsv),
    },
    Form {
        name: "csv",
        media_type: "text/csv",
        what: "the cells of all tables",
        format: Some(Format::Csv),
    },
    Form {
        name: "pdf",
        media_type: "application/pdf",
        what: "the file as a searchable PDF",
        format: None,
    },
];

/// Why an answer can't be had in a form.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The form has one page, the answer several.
    #[error("PAGE-XML holds one page per file: select one with `pages`")]
    SinglePage,
    /// It is no answer of this version.
    #[error(transparent)]
    Unreadable(#[from] serde_json::Error),
}

impl Form {
    /// The form of that name.
    pub fn named(name: &str) -> Option<Self> {
        FORMS.into_iter().find(|form| form.name == name)
    }

    /// The form that `Accept` headers ask for: the type counts that is in the table and wanted most.
    pub fn accepted<'a>(headers: impl IntoIterator<Item = &'a str>) -> Self {
        let types = headers.into_iter().flat_map(|value| value.split(','));
        let known = types.filter_map(|part| {
            let mut parameters = part.split(';').map(str::trim);
            let wanted = parameters.next().unwrap_or("");
            let quality = parameters.find_map(|p| p.strip_prefix("q=")).unwrap_or("1");
            let quality: f32 = quality.parse().unwrap_or(0.0);
            let is = |form: &Self| form.media_type.eq_ignore_ascii_case(wanted);
            let form = FORMS.into_iter().find(is).filter(|_| quality > 0.0)?;
            Some((form, quality))
        });
        // Of equals, the first.
        let best = known.reduce(|a, b| if b.1 > a.1 { b } else { a });
        best.map_or(FORMS[0], |(form, _)| form)
    }

    /// Whether it shows headings, lists and tables, so that they must be looked for.
    pub fn has_structure(self) -> bool {
        self.is_pdf() || !matches!(self.format, None | Some(Format::Text))
    }

    /// Whether it has a single page.
    pub fn is_single(self) -> bool {
        self.format == Some(Format::PageXml)
    }

    /// Whether it has a line for each page.
    pub fn is_lines(self) -> bool {
        self.media_type == LINES
    }

    /// Whether it says of a page why that can't be read.
    pub fn tells_errors(self) -> bool {
        self.name == "json" || self.is_lines()
    }

    /// Whether it is made of the file, too.
    pub fn is_pdf(self) -> bool {
        self.name == "pdf"
    }

    /// What files of it are, with their character set.
    pub fn content_type(self) -> String {
        match self.format {
            Some(_) => format!("{}; charset=utf-8", self.media_type),
            None => self.media_type.into(),
        }
    }

    /// An answer's JSON in this form, where it is made of that alone: none for JSON itself, its lines and PDFs.
    ///
    /// # Errors
    /// The form has one page and the answer several, or it is no answer of this version.
    pub fn text(self, answer: &Value, source: &str) -> Result<Option<String>, FormError> {
        let Some(format) = self.format else {
            return Ok(None);
        };
        let mut document = answer::document(answer)?;
        if self.is_single() && document.pages.len() > 1 {
            return Err(FormError::SinglePage);
        }
        let language = answer["language"].as_str().filter(|tag| *tag != "auto");
        let meta = Meta {
            source: source.into(),
            language: language.map(String::from),
            ..Meta::default()
        };
        if format.flows() {
            structure::join_pages(&mut document);
        }
        Ok(Some(write(&document, format, &meta)))
    }
}
