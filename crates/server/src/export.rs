//! Answers in the forms that callers ask for.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use maoocr_engine::answer::merged;
use maoocr_engine::export::form::{self, FormError};
use maoocr_engine::page::PageRanges;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use maoocr_engine::export::form::{FORMS, Form};

use crate::document;
use crate::lines;
use crate::problem::Problem;

/// The id of an answer that isn't JSON.
const ID: HeaderName = HeaderName::from_static("x-maoocr-id");
/// The pages of an answer that could not be read.
const LOST: HeaderName = HeaderName::from_static("x-maoocr-lost-pages");

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

/// The form that a caller names.
///
/// # Errors
/// 422 with the names there are.
pub fn named(name: &str) -> Result<Form, Problem> {
    Form::named(name).ok_or_else(|| {
        let names = FORMS.map(|form| form.name);
        let detail = format!("format must be one of {}", names.join(", "));
        let mut problem = Problem::unprocessable("invalid_format", detail).field("format");
        problem.allowed = names.map(String::from).into();
        problem
    })
}

/// The form that a request asks for: by name, else by its `Accept` headers.
///
/// # Errors
/// As for [`named`].
pub fn asked(name: Option<&str>, headers: &HeaderMap) -> Result<Form, Problem> {
    if let Some(name) = name {
        return named(name);
    }
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    Ok(Form::accepted(
        accepted.filter_map(|value| value.to_str().ok()),
    ))
}

/// The chosen pages of an answer, as an answer.
///
/// # Errors
/// 422 if some of them aren't in it.
pub fn chosen(answer: Value, ranges: &PageRanges) -> Result<Value, Problem> {
    let pages = pages(&answer);
    let index = |page: &Value| page["index"].as_u64().unwrap_or(0) as usize;
    let count = pages.iter().map(index).max().unwrap_or(0) + 1;
    let kept: Vec<Value> = pages
        .iter()
        .filter(|page| ranges.holds(index(page) + 1))
        .cloned()
        .collect();
    if kept.is_empty() {
        return Err(document::no_pages());
    }
    match ranges.absent(count) {
        Some(absent) => Err(document::no_such_page(&absent, count)),
        None => Ok(merged(kept)),
    }
}

/// Numbers of the pages of an answer that could not be read, as a header; none if there are none.
pub fn lost(answer: &Value) -> Option<(HeaderName, HeaderValue)> {
    let lost = pages(answer)
        .iter()
        .filter(|page| page.get("error").is_some());
    let numbers = lost.map(|page| (page["index"].as_u64().unwrap_or(0) + 1).to_string());
    let numbers: Vec<String> = numbers.collect();
    let value = HeaderValue::from_str(&numbers.join(", ")).ok()?;
    (!numbers.is_empty()).then_some((LOST, value))
}

fn pages(answer: &Value) -> &[Value] {
    match answer.get("pages") {
        Some(Value::Array(pages)) => pages,
        _ => std::slice::from_ref(answer),
    }
}

/// An answer in a form as text.
///
/// # Errors
/// 422 if the form has one page and the answer has several; 500 if the answer is from another version.
pub fn text(form: Form, answer: &Value, name: &str) -> Result<String, Problem> {
    match form.text(answer, name) {
        Ok(Some(text)) => Ok(text),
        Ok(None) if form.is_lines() => Ok(lines::all(answer)),
        Ok(None) => Ok(answer.to_string()),
        Err(FormError::SinglePage) => Err(single_page()),
        Err(FormError::Unreadable(error)) => Err(Problem::internal("answer_unreadable", error)),
    }
}

/// An answer in a form; as [`text`], but for PDFs, which [`pdf`] sends.
///
/// # Errors
/// As for [`text`].
pub fn response(form: Form, answer: Value, name: &str) -> Result<Response, Problem> {
    let vary = (header::VARY, HeaderValue::from_static("accept"));
    let id = answer["id"].as_str().and_then(|id| id.parse().ok());
    if form.format.is_none() && !form.is_lines() {
        return Ok(([vary], axum::Json(answer)).into_response());
    }
    let mut response = text(form, &answer, name)?.into_response();
    let headers = response.headers_mut();
    let kind = HeaderValue::from_str(&form.content_type())
        .unwrap_or(HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_TYPE, kind);
    headers.insert(vary.0, vary.1);
    // Under which the history has it.
    if let Some(id) = id {
        headers.insert(ID, id);
    }
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(form::POLICY),
    );
    Ok(response)
}

/// A PDF with the text of an answer.
pub fn pdf(pdf: Vec<u8>, answer_id: Option<&str>) -> Response {
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

/// The problem of several pages in a form that has one.
pub fn single_page() -> Problem {
    Problem::unprocessable("single_page", FormError::SinglePage.to_string()).field("format")
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
            let response = response(form, answer(), "a.png").unwrap();
            let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
            assert!(kind.starts_with(form.media_type), "{kind}");
        }
        let text = |name: &str| text(named(name).unwrap(), &answer(), "").unwrap();
        let html = text("html");
        assert!(html.contains("Total &lt;5&gt;"), "{html}");
        assert_eq!(text("txt").trim(), "Total <5>");
        let pages = json!({"pages": [answer(), answer()], "language": "auto"});
        let page = named("page").unwrap();
        assert_eq!(response(page, pages, "").unwrap_err().code, "single_page");
    }

    #[test]
    fn pages_are_chosen_and_lost_ones_are_told_of() {
        let page =
            |index: u32| json!({"index": index, "text": index.to_string(), "confidence": 0.5});
        let mut bad = page(3);
        bad["error"] = json!({"detail": "page 4: it ends early"});
        let answer = json!({"pages": [page(1), page(2), bad]});
        let choose = |pages: &str| chosen(answer.clone(), &pages.parse().unwrap());
        assert_eq!(choose("2-3").unwrap()["pages"].as_array().unwrap().len(), 2);
        assert_eq!(choose("3").unwrap()["text"], "2");
        assert_eq!(choose("1").unwrap_err().code, "no_pages");
        assert_eq!(choose("2,5").unwrap_err().code, "no_such_page");
        assert_eq!(lost(&answer).unwrap().1, "4");
        assert_eq!(lost(&choose("2-3").unwrap()), None);
    }

    #[test]
    fn forms_are_named_or_accepted() {
        let mut headers = HeaderMap::new();
        assert_eq!(asked(None, &headers).unwrap().name, "json");
        headers.insert(
            header::ACCEPT,
            "text/x, text/markdown;q=0.9, */*".parse().unwrap(),
        );
        assert_eq!(asked(None, &headers).unwrap().name, "md");
        for (accept, name) in [
            ("text/html;q=0", "json"),
            ("text/html;q=0.1, application/json", "json"),
            ("application/json;q=0, text/markdown", "md"),
            ("TEXT/HTML", "html"),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, accept.parse().unwrap())]);
            assert_eq!(asked(None, &headers).unwrap().name, name, "{accept}");
        }
        assert_eq!(asked(Some("alto"), &headers).unwrap().name, "alto");
        let problem = asked(Some("doc"), &headers).unwrap_err();
        assert!(problem.allowed.contains(&"hocr".into()), "{problem:?}");
    }
}
