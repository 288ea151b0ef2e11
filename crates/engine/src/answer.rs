//! The answer to a caller: an [`Answer`] for each page, which serialises to the JSON of the HTTP interface.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::document::{Block, Document, Line, PageText, Region, RegionKind};
use crate::geometry::Quad;
use crate::plan::Plan;

/// A page that was read.
#[derive(Clone, Debug, Serialize)]
pub struct Answer {
    /// The page's text as a person would read it.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1; 0 where there is no text.
    pub confidence: f32,
    /// Time from the bytes to this answer, s.
    pub processing_time: f64,
    /// Names of the models that ran.
    pub selected_models: Vec<String>,
    /// Given by the caller; empty otherwise.
    pub id: String,
    /// Width of the picture as a person sees it, px.
    pub width: u32,
    /// Height of it, px.
    pub height: u32,
    /// Clockwise turn that makes the text upright, degrees: 0, 90, 180 or 270. Boxes are in the picture's own frame.
    pub turn: u16,
    /// What executed the models.
    pub device: String,
    /// BCP 47 tag that was asked for, or `auto`.
    pub language: String,
    /// Lines in reading order.
    pub lines: Vec<Line>,
    /// Paragraphs in reading order.
    pub blocks: Vec<Block>,
    /// What looked like a line and is not in the text, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Dropped>,
    /// What was decided before the first stage, and why.
    pub plan: Plan,
    /// Time of each stage, s.
    pub timings: BTreeMap<&'static str, f64>,
}

/// Something that looked like a line and is not in the text.
#[derive(Clone, Debug, Serialize)]
pub struct Dropped {
    /// What it was read as.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Why it was dropped.
    pub reason: DropReason,
}

/// Why something isn't in the text.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DropReason {
    /// It was not read surely enough to be taken for text.
    Unsure,
    /// It is text, but in no script that the recogniser knows, or too blurred to be read.
    Unread,
    /// It is ruby: it says how the characters beside it are pronounced.
    Ruby,
}

/// The JSON of a page: the answer's fields, of which the regions, where there are any, are the blocks. `text_layer` says
/// what a PDF's page was found to have of its own.
pub fn page_json(
    answer: Answer,
    text: Option<PageText>,
    index: usize,
    text_layer: Option<Value>,
) -> Value {
    // Plain data always serialises.
    let json = |value: Result<Value, serde_json::Error>| value.unwrap_or(Value::Null);
    let mut page = json(serde_json::to_value(answer));
    let text = text.map(|text| json(serde_json::to_value(text)));
    if let (Value::Object(page), Some(Value::Object(text))) = (&mut page, text) {
        page.extend(text);
    }
    if index > 0 {
        page["index"] = index.into();
    }
    if let Some(text_layer) = text_layer {
        page["text_layer"] = text_layer;
    }
    page
}

/// Merges pages into one answer: the first page that was read, with `text`, `confidence` and `processing_time` of all of
/// them and the pages themselves in `pages` if there are several.
pub fn merged(mut pages: Vec<Value>) -> Value {
    if pages.len() == 1 {
        return pages.remove(0);
    }
    let read = pages.iter().find(|page| page.get("error").is_none());
    let Some(mut whole) = read.cloned() else {
        return Value::Null;
    };
    let mut totals = Totals::default();
    for page in &pages {
        totals.add(page);
    }
    totals.set(&mut whole);
    whole["pages"] = Value::Array(pages);
    whole
}

/// What an answer has of all its pages.
#[derive(Debug, Default)]
pub struct Totals {
    /// Of the pages, an empty line between them; none before the first.
    pub text: Option<String>,
    /// Of confidence by character.
    sum: f64,
    characters: f64,
    seconds: f64,
}

impl Totals {
    /// Adds a page.
    pub fn add(&mut self, page: &Value) {
        let number = |field: &str| page[field].as_f64().unwrap_or(0.0);
        let text = page["text"].as_str().unwrap_or_default();
        match &mut self.text {
            None => self.text = Some(text.into()),
            Some(whole) => {
                whole.push_str("\n\n");
                whole.push_str(text);
            }
        }
        let characters = text.chars().count() as f64;
        self.sum += number("confidence") * characters;
        self.characters += characters;
        self.seconds += number("processing_time");
    }

    /// Mean confidence of the characters, 0 to 1; 0 where there are none.
    pub fn confidence(&self) -> f64 {
        match self.characters > 0.0 {
            true => self.sum / self.characters,
            false => 0.0,
        }
    }

    /// Writes them into an answer.
    pub fn set(&self, whole: &mut Value) {
        whole["text"] = json!(self.text.as_deref().unwrap_or_default());
        whole["confidence"] = json!(self.confidence());
        whole["processing_time"] = json!(self.seconds);
    }
}

/// The document in an answer's JSON. Pages that were read without looking for regions have paragraphs.
///
/// # Errors
/// It is no answer of this version.
pub fn document(answer: &Value) -> Result<Document, serde_json::Error> {
    let pages = match answer.get("pages") {
        Some(Value::Array(pages)) => pages.as_slice(),
        _ => std::slice::from_ref(answer),
    };
    let pages = pages
        .iter()
        .map(|page| {
            let mut page: PageText = PageText::deserialize(page)?;
            for region in &mut page.regions {
                if region.text.is_empty() && region.kind == RegionKind::Paragraph {
                    region.text = paragraph(region, &page.lines);
                }
            }
            Ok(page)
        })
        .collect::<Result<_, serde_json::Error>>()?;
    Ok(Document { pages })
}

fn paragraph(region: &Region, lines: &[Line]) -> String {
    let texts = region.lines.iter().filter_map(|&line| lines.get(line));
    texts
        .map(|line| line.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_pages_make_one_answer() {
        let page = |text: &str, confidence: f64| json!({"text": text, "confidence": confidence, "processing_time": 0.5, "width": 3});
        let whole = merged(vec![page("abc", 1.0), page("d", 0.6)]);
        assert_eq!(whole["text"], "abc\n\nd");
        assert_eq!(whole["confidence"], 0.9);
        assert_eq!(whole["processing_time"], 1.0);
        assert_eq!(whole["pages"].as_array().unwrap().len(), 2);
        assert_eq!(merged(vec![page("abc", 1.0)]), page("abc", 1.0));
    }
}
