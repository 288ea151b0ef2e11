//! Answers as files: the forms that callers can ask for, in one table that parses, documents and writes them.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::document::Document;
use maoocr_engine::export::{self, Format, Meta};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::document;
use crate::lines;
use crate::problem::Problem;

/// The id of an answer that isn't JSON.
const ID: HeaderName = HeaderName::from_static("x-maoocr-id");

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
    format: Option<Format>,
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
        media_type: lines::MEDIA_TYPE,
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

/// A form as callers see it.
#[derive(Serialize, ToSchema)]
pub struct FormDescription {
    /// Value of `format`.
    pub name: &'static str,
    /// Its media type, which `Accept` may name instead.
    pub media_type: &'static str,
    /// What it has.
    pub description: &'static str,
}

/// What the table says of each form.
pub fn described() -> Vec<FormDescription> {
    let description = |form: Form| FormDescription {
        name: form.name,
        media_type: form.media_type,
        description: form.what,
    };
    FORMS.map(description).into()
}

impl Form {
    /// The form that a caller names.
    ///
    /// # Errors
    /// 422 with the names there are.
    pub fn named(name: &str) -> Result<Self, Problem> {
        FORMS
            .into_iter()
            .find(|form| form.name == name)
            .ok_or_else(|| {
                let names = FORMS.map(|form| form.name);
                let detail = format!("format must be one of {}", names.join(", "));
                let mut problem = Problem::unprocessable("invalid_format", detail).field("format");
                problem.allowed = names.map(String::from).into();
                problem
            })
    }

    /// The form that a request asks for: by name, else by its `Accept` headers, of which the type counts that is in
    /// the table and wanted most.
    ///
    /// # Errors
    /// As for [`Form::named`].
    pub fn asked(name: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        if let Some(name) = name {
            return Self::named(name);
        }
        let accepted = headers.get_all(header::ACCEPT).into_iter();
        let types = accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','));
        let known = types.filter_map(|part| {
            let mut parameters = part.split(';').map(str::trim);
            let wanted = parameters.next().unwrap_or("");
            let quality = parameters.find_map(|p| p.strip_prefix("q=")).unwrap_or("1");
            let quality: f32 = quality.parse().unwrap_or(0.0);
            let is = |form: &Form| form.media_type.eq_ignore_ascii_case(wanted);
            let form = FORMS.into_iter().find(is).filter(|_| quality > 0.0)?;
            Some((form, quality))
        });
        // Of equals, the first.
        let best = known.reduce(|a, b| if b.1 > a.1 { b } else { a });
        Ok(best.map_or(FORMS[0], |(form, _)| form))
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
        self.media_type == lines::MEDIA_TYPE
    }

    /// Whether it is made of the file, too.
    pub fn is_pdf(self) -> bool {
        self.name == "pdf"
    }

    /// An answer in this form as text.
    ///
    /// # Errors
    /// 422 if the form has one page and the answer has several; 500 if the answer is from another version.
    pub fn text(self, answer: &Value, name: &str) -> Result<String, Problem> {
        let Some(format) = self.format else {
            return Ok(match self.is_lines() {
                true => lines::all(answer),
                false => answer.to_string(),
            });
        };
        let document = document::of_json(answer)
            .map_err(|error| Problem::internal("answer_unreadable", error))?;
        if format == Format::PageXml && document.pages.len() > 1 {
            return Err(single_page());
        }
        let language = answer["language"].as_str().filter(|tag| *tag != "auto");
        let meta = Meta {
            source: name.into(),
            language: language.map(String::from),
            ..Meta::default()
        };
        Ok(write(document, format, &meta))
    }

    /// An answer in this form; as [`Self::text`], but for PDFs, which [`Self::pdf`] sends.
    ///
    /// # Errors
    /// As for [`Self::text`].
    pub fn response(self, answer: Value, name: &str) -> Result<Response, Problem> {
        let vary = (header::VARY, HeaderValue::from_static("accept"));
        let id = answer["id"].as_str().and_then(|id| id.parse().ok());
        if self.format.is_none() && !self.is_lines() {
            return Ok(([vary], axum::Json(answer)).into_response());
        }
        let mut response = self.text(&answer, name)?.into_response();
        let headers = response.headers_mut();
        let kind = match self.is_lines() {
            true => self.media_type.into(),
            false => format!("{}; charset=utf-8", self.media_type),
        };
        let kind = HeaderValue::from_str(&kind)
            .unwrap_or(HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_TYPE, kind);
        headers.insert(vary.0, vary.1);
        // Under which the history has it.
        if let Some(id) = id {
            headers.insert(ID, id);
        }
        // A browser must not run what a document says.
        headers.insert(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(
                "default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox",
            ),
        );
        Ok(response)
    }

    /// A PDF with the text of an answer.
    pub fn pdf(self, pdf: Vec<u8>, answer_id: Option<&str>) -> Response {
        let mut response = pdf.into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/pdf"),
        );
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if let Some(id) = answer_id.and_then(|id| id.parse().ok()) {
            headers.insert(ID, id);
        }
        // A browser must not run what a document has in it, and has no reason to show it here.
        let download = HeaderValue::from_static("attachment");
        headers.insert(header::CONTENT_DISPOSITION, download);
        response
    }
}

/// The problem of several pages in a form that has one.
pub fn single_page() -> Problem {
    let detail = "PAGE-XML holds one page per file: select one with `pages`";
    Problem::unprocessable("single_page", detail).field("format")
}

fn write(mut document: Document, format: Format, meta: &Meta) -> String {
    if format.flows() {
        maoocr_engine::structure::join_pages(&mut document);
    }
    export::write(&document, format, meta)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer() -> Value {
        let corners = json!([[0.0, 0.0], [90.0, 0.0], [90.0, 20.0], [0.0, 20.0]]);
        let line = json!({"text": "Total <5>", "confidence": 0.9, "box": corners, "words": [], "vertical": false});
        json!({
            "width": 100, "height": 50, "turn": 0, "text": "Total <5>", "confidence": 0.9, "language": "en",
            "lines": [line], "blocks": [{"kind": "paragraph", "box": corners, "lines": [0]}],
        })
    }

    #[test]
    fn every_form_is_made_of_an_answer() {
        for form in FORMS.into_iter().filter(|form| !form.is_pdf()) {
            let response = form.response(answer(), "a.png").unwrap();
            let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(kind.starts_with(form.media_type), "{kind}");
        }
        let document = document::of_json(&answer()).unwrap();
        let html = write(document.clone(), Format::Html, &Meta::default());
        assert!(html.contains("Total &lt;5&gt;"), "{html}");
        assert_eq!(
            write(document, Format::Text, &Meta::default()).trim(),
            "Total <5>"
        );
        let pages = json!({"pages": [answer(), answer()], "language": "auto"});
        assert_eq!(document::of_json(&pages).unwrap().pages.len(), 2);
        let page = Form::named("page").unwrap();
        assert_eq!(page.response(pages, "").unwrap_err().code, "single_page");
    }

    #[test]
    fn forms_are_named_or_accepted() {
        let mut headers = HeaderMap::new();
        assert_eq!(Form::asked(None, &headers).unwrap().name, "json");
        headers.insert(
            header::ACCEPT,
            "text/x, text/markdown;q=0.9, */*".parse().unwrap(),
        );
        assert_eq!(Form::asked(None, &headers).unwrap().name, "md");
        for (accept, name) in [
            ("text/html;q=0", "json"),
            ("text/html;q=0.1, application/json", "json"),
            ("application/json;q=0, text/markdown", "md"),
            ("TEXT/HTML", "html"),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Form::asked(None, &headers).unwrap().name, name, "{accept}");
        }
        assert_eq!(Form::asked(Some("alto"), &headers).unwrap().name, "alto");
        let problem = Form::asked(Some("doc"), &headers).unwrap_err();
        assert!(problem.allowed.contains(&"hocr".into()), "{problem:?}");
    }
}
