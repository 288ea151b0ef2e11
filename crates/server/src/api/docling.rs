//! `POST /v1/convert/file`: request and answer of docling-serve, for programs that convert documents with it.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::{Extension, Request, State};
use bytes::Bytes;
use maoocr_engine::plan::Requirements;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::recognize::wanted;
use crate::app::App;
use crate::auth::Caller;
use crate::body::Memory;
use crate::document::{PageOptions, TextLayer};
use crate::multipart::Form;
use crate::pool::Stop;
use crate::problem::Problem;
use crate::reading::{self, Order};
use crate::store::Scope;
use crate::{export, input};

/// Longest value of a field, bytes.
const SHORT: usize = 4 << 10;
/// Most fields of a form.
const FIELDS: usize = 100;

/// A form with one file. Other fields of docling-serve steer models that it alone has, and have no effect.
#[derive(ToSchema)]
#[allow(dead_code)] // Described; the form is read part by part.
pub struct ConvertForm {
    /// The file.
    #[schema(value_type = String, format = Binary)]
    files: Vec<u8>,
    /// What the answer contains: `md` (the default), `html`, `text`. May be repeated.
    #[schema(required = false)]
    to_formats: Vec<String>,
    /// The first and the last page to read, from 1: the field twice.
    #[schema(required = false)]
    page_range: Vec<u32>,
    /// Whether the text that a PDF contains is ignored.
    #[schema(required = false)]
    force_ocr: Option<bool>,
    /// The password of an encrypted PDF, an extension of this server.
    #[schema(required = false)]
    password: Option<String>,
    /// Where the answer goes: `inbody`.
    #[schema(required = false)]
    target_type: Option<String>,
}

/// A converted document.
#[derive(Serialize, ToSchema)]
pub struct Converted {
    /// It, in the forms that were asked for.
    document: ConvertedDocument,
    /// `success`, or `partial_success` if some pages could not be read.
    #[schema(value_type = String)]
    status: &'static str,
    /// The pages that could not be read.
    errors: Vec<ConvertError>,
    /// Seconds.
    processing_time: f64,
    /// None.
    timings: Timings,
}

/// Why a page is missing.
#[derive(Serialize, ToSchema)]
pub struct ConvertError {
    /// `document_backend`
    #[schema(value_type = String)]
    component_type: &'static str,
    /// `maoocr`
    #[schema(value_type = String)]
    module_name: &'static str,
    /// Which page, and why.
    error_message: String,
}

/// None are taken.
#[derive(Serialize, ToSchema)]
pub struct Timings {}

/// A document in the forms that were asked for.
#[derive(Default, Serialize, ToSchema)]
pub struct ConvertedDocument {
    /// Its name.
    filename: String,
    /// Markdown.
    md_content: Option<String>,
    /// Never there.
    json_content: Option<String>,
    /// HTML.
    html_content: Option<String>,
    /// Text.
    text_content: Option<String>,
    /// Never there.
    doctags_content: Option<String>,
}

/// What a form says.
#[derive(Debug, Default)]
struct Asked {
    file: Option<(String, Bytes)>,
    formats: Vec<String>,
    pages: Vec<String>,
    force_ocr: bool,
    password: String,
}

/// Convert a document (docling-serve API)
///
/// The answer has the document's Markdown, HTML or text.
#[utoipa::path(
    post,
    path = "/v1/convert/file",
    tag = "recognition",
    request_body(content = ConvertForm, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "The document", body = Converted),
        (status = "4XX", description = "The file or the request is invalid", body = Problem, content_type = "application/problem+json"),
        (status = "5XX", description = "Overload (503, with Retry-After), deadline exceeded (504) or an internal error (500)", body = Problem, content_type = "application/problem+json")
    ),
    security((), ("key" = []), ("header" = []))
)]
pub async fn convert(
    State(app): State<Arc<App>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Json<Converted>, Problem> {
    caller.needs(Scope::Recognize)?;
    let started = Instant::now();
    let wanted = wanted(request.headers())?;
    let refused = app
        .pool
        .admits(&Stop::at(Some(reading::deadline(&app, wanted))));
    refused?;
    let mut memory = app.memory();
    let asked = read(&app, request, &mut memory).await?;
    let (name, picture) = asked.file.ok_or_else(|| {
        Problem::unprocessable("file_missing", "the form has no part `files`").field("files")
    })?;
    memory.hold(picture.len())?;
    let order = Order {
        picture,
        name: input::short(&name),
        requirements: Requirements::default(),
        options: PageOptions {
            pages: pages(&asked.pages)?,
            password: asked.password,
            text_layer: match asked.force_ocr {
                true => TextLayer::Never,
                false => TextLayer::Auto,
            },
            structure: true,
            partial: true,
            ..PageOptions::default()
        },
        owner: caller.owner.clone(),
    };
    let forms: Vec<_> = asked.formats.iter().map(|name| form(name)).collect();
    let forms: Vec<&str> = forms.into_iter().collect::<Result<_, _>>()?;
    let deadline = reading::deadline(&app, wanted);
    let answer = reading::read(&app, order, deadline, None).await;
    let answer = answer.map_err(in_its_words)?.into_json();
    let written = |wanted: &str| {
        let is_asked = forms.contains(&wanted) || (forms.is_empty() && wanted == "md");
        let text = is_asked.then(|| export::text(export::named(wanted)?, &answer, &name));
        text.transpose()
    };
    let document = ConvertedDocument {
        md_content: written("md")?,
        html_content: written("html")?,
        text_content: written("txt")?,
        filename: name.clone(),
        ..ConvertedDocument::default()
    };
    let errors = lost(&answer);
    Ok(Json(Converted {
        document,
        status: if errors.is_empty() {
            "success"
        } else {
            "partial_success"
        },
        errors,
        processing_time: started.elapsed().as_secs_f64(),
        timings: Timings {},
    }))
}

/// The pages of an answer that could not be read.
fn lost(answer: &Value) -> Vec<ConvertError> {
    let pages = answer["pages"].as_array().into_iter().flatten();
    let lost = pages.filter_map(|page| page["error"]["detail"].as_str());
    lost.map(|why| ConvertError {
        component_type: "document_backend",
        module_name: "maoocr",
        error_message: why.into(),
    })
    .collect()
}

/// Pages are chosen by another name here.
fn in_its_words(mut problem: Problem) -> Problem {
    if problem.field.as_deref() == Some("pages") {
        problem.field = Some("page_range".into());
        problem.detail = problem.detail.replace("`pages`", "`page_range`");
    }
    problem
}

async fn read(app: &Arc<App>, request: Request, memory: &mut Memory) -> Result<Asked, Problem> {
    let (head, body) = request.into_parts();
    let most = app.config.file_bytes();
    let incoming = input::incoming(app, &head.headers, body, most + input::REST)?;
    let mut form = Form::new(&head.headers, incoming)?;
    let mut asked = Asked::default();
    let mut fields = 0;
    while let Some(part) = form.next().await.map_err(|e| input::whole_form(app, e))? {
        fields += 1;
        if fields > FIELDS {
            let detail = format!("the form may have at most {FIELDS} parts");
            return Err(Problem::unprocessable("too_many_parts", detail));
        }
        let field = part.name.unwrap_or_default();
        if field == "files" {
            if asked.file.is_some() {
                let detail = "the form has several files: send them one by one, or as a job to /api/ocr/batch";
                return Err(Problem::unprocessable("too_many_files", detail).field("files"));
            }
            let bytes = form.data(most, memory).await;
            let bytes = bytes.map_err(|e| e.problem(|size| input::too_large(app, size)))?;
            asked.file = Some((part.file_name.unwrap_or_default(), bytes));
            continue;
        }
        let value = input::short_text(app, &mut form, &input::short(&field), SHORT).await?;
        asked.take(&field, String::from_utf8_lossy(&value).trim())?;
    }
    Ok(asked)
}

impl Asked {
    fn take(&mut self, field: &str, value: &str) -> Result<(), Problem> {
        // Some clients send a list as one value.
        let list = || {
            let items = value.trim_matches(['[', ']']).split(',');
            items.map(|item| item.trim().trim_matches('"').to_string())
        };
        match field {
            "to_formats" => self.formats.extend(list()),
            "page_range" => self.pages.extend(list()),
            "force_ocr" => {
                self.force_ocr = match value {
                    "true" | "True" | "1" => true,
                    "false" | "False" | "0" => false,
                    _ => {
                        let detail = "`force_ocr` must be true or false";
                        return Err(Problem::unprocessable("invalid_field", detail).field(field));
                    }
                }
            }
            "password" => self.password = value.into(),
            "target_type" if value != "inbody" => {
                let detail = "`target_type` must be inbody: the answer holds the document";
                return Err(Problem::unprocessable("not_supported", detail).field(field));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The name here of a form.
fn form(name: &str) -> Result<&'static str, Problem> {
    match name {
        "md" => Ok("md"),
        "html" => Ok("html"),
        "text" => Ok("txt"),
        _ => {
            let detail = "`to_formats` must be md, html or text";
            let mut problem = Problem::unprocessable("not_supported", detail);
            problem.allowed = ["md", "html", "text"].map(String::from).into();
            Err(problem.field("to_formats"))
        }
    }
}

/// From the first to the last; clients that want all say up to 2⁶³ − 1.
fn pages(range: &[String]) -> Result<Option<maoocr_engine::page::PageRanges>, Problem> {
    let wrong = || {
        let detail = "`page_range` must be two page numbers from 1, the first and the last";
        Problem::unprocessable("invalid_pages", detail).field("page_range")
    };
    let numbers: Vec<u64> = range
        .iter()
        .map(|number| number.parse().map_err(|_| wrong()))
        .collect::<Result<_, _>>()?;
    match numbers[..] {
        [] => Ok(None),
        [first, last] if 0 < first && first <= last => {
            let last = u32::try_from(last).map_or_else(|_| String::new(), |last| last.to_string());
            let range = format!("{first}-{last}");
            range.parse().map(Some).map_err(|_| wrong())
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_however_clients_write_them() {
        let mut asked = Asked::default();
        asked.take("to_formats", "md").unwrap();
        asked.take("to_formats", "[\"html\", \"text\"]").unwrap();
        asked.take("table_mode", "accurate").unwrap();
        asked.take("force_ocr", "true").unwrap();
        assert_eq!(asked.formats, ["md", "html", "text"]);
        assert!(asked.force_ocr);
        assert!(asked.take("target_type", "zip").is_err());
        assert!(asked.take("force_ocr", "banana").is_err());
        assert!(form("json").is_err());
    }

    #[test]
    fn a_range_of_pages_has_two_ends() {
        let of = |range: &[&str]| {
            let range: Vec<String> = range.iter().map(|n| n.to_string()).collect();
            pages(&range).map_err(|p| p.code)
        };
        assert!(of(&[]).unwrap().is_none());
        let some = of(&["2", "3"]).unwrap().unwrap();
        assert_eq!(
            [1, 2, 3, 4].map(|page| some.holds(page)),
            [false, true, true, false]
        );
        let rest = of(&["2", "9223372036854775807"]).unwrap().unwrap();
        assert!(rest.holds(5000));
        for wrong in [
            &["2"][..],
            &["3", "2"],
            &["0", "1"],
            &["1", "x"],
            &["1", "2", "3"],
        ] {
            assert_eq!(of(wrong).unwrap_err(), "invalid_pages", "{wrong:?}");
        }
    }
}
