//! Answers in other forms, made here of an answer's JSON.

use maoocr_engine::export::form::{Form, FormError, POLICY};
use serde_json::Value;

use super::answer::Answer;
use super::js;
use crate::problem::Problem;

/// Longest JSON of which another form is made here, bytes: parsed, it takes many times as much memory.
pub const LARGEST: usize = 1 << 20;
/// The id of an answer that isn't JSON.
const ID: &str = "x-maoocr-id";

/// An answer in a form; `name` is what the caller calls the file.
pub fn answer(form: Form, json: &str, name: &str) -> Result<Answer, Problem> {
    let unreadable = |error: serde_json::Error| Problem::internal("answer_unreadable", error);
    let parsed: Value = serde_json::from_str(json).map_err(unreadable)?;
    let text = form.text(&parsed, name).map_err(|error| match error {
        FormError::SinglePage => {
            Problem::new(422, "single_page", error.to_string()).field("format")
        }
        FormError::Unreadable(error) => unreadable(error),
    })?;
    let made = Answer::text(200, &form.content_type(), text.as_deref().unwrap_or(json))?;
    let headers = made.response.headers();
    for (name, value) in [
        (ID, parsed["id"].as_str().unwrap_or_default()),
        ("content-security-policy", POLICY),
    ] {
        let set = headers.set(name, value);
        set.map_err(|thrown| Problem::internal("answer_failed", js::words(&thrown)))?;
    }
    Ok(made)
}
