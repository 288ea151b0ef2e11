//! An answer as lines of JSON (`application/x-ndjson`): one object a page, as the pages are read, and one of the whole
//! file at the end.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::schema::{Answer, Plan};
use crate::problem::Problem;
use crate::reading::{Answer as Read, PageEvent, blank};

/// The media type of such answers.
pub use maoocr_engine::export::form::LINES as MEDIA_TYPE;

/// A line: one of these.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
#[allow(dead_code)] // Described; lines are made of answers.
pub enum AnswerLine {
    /// A page.
    Page(Box<PageLine>),
    /// The last line, once all pages have been read.
    Summary(Summary),
    /// The last line, if the file can't be read to its end.
    Problem(Problem),
}

/// A page, as in the whole answer.
#[derive(Serialize, ToSchema)]
#[allow(dead_code)] // Described; the fields are added to a page's.
pub struct PageLine {
    #[serde(flatten)]
    page: Answer,
    /// How many pages have been read or lost so far.
    read: u32,
    /// How many there are to read.
    of: u32,
}

/// What is known once all pages have been read.
#[derive(Debug, Serialize, ToSchema)]
pub struct Summary {
    /// Identifies the answer, in the history too.
    pub id: String,
    /// How many pages it has.
    pub page_count: usize,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f64,
    /// Time of all pages, without waiting, s.
    pub processing_time: f64,
    /// Names of the models that ran.
    pub selected_models: Vec<String>,
    /// What executed the models.
    pub device: String,
    /// The requested BCP 47 tag, or `auto`.
    pub language: String,
    /// The plan and its reasons.
    #[schema(value_type = Plan)]
    pub plan: Value,
    /// Time per stage over all pages, s.
    pub timings: BTreeMap<String, f64>,
    /// The pages that could not be read.
    pub errors: Vec<LostPage>,
}

/// A page that could not be read.
#[derive(Debug, Serialize, ToSchema)]
pub struct LostPage {
    /// Its position in the file, from 0.
    pub index: usize,
    /// Why.
    #[schema(value_type = Problem)]
    pub error: Value,
}

/// The line of a page; that of a lost one needs another page of the same answer.
pub fn page(event: PageEvent, like: &Value) -> Value {
    let (mut page, done, of) = match event {
        PageEvent::Read { page, done, of } => (page, done, of),
        PageEvent::Lost {
            index,
            problem,
            done,
            of,
        } => (blank(index, &problem.to_json(), like), done, of),
    };
    // A single picture says nothing of its position.
    if page.get("index").is_none() {
        page["index"] = json!(0);
    }
    page["read"] = json!(done);
    page["of"] = json!(of);
    page
}

impl Summary {
    /// The summary of an answer's pages.
    pub fn of(pages: &[Value]) -> Self {
        let whole = pages.iter().find(|page| page.get("error").is_none());
        let text = |field: &str| {
            let text = whole.and_then(|page| page[field].as_str());
            text.unwrap_or_default().to_string()
        };
        let (mut sum, mut characters, mut seconds) = (0.0, 0.0, 0.0);
        let mut models: Vec<String> = Vec::new();
        let mut timings: BTreeMap<String, f64> = BTreeMap::new();
        for page in pages {
            let count = page["text"].as_str().map_or(0, |text| text.chars().count()) as f64;
            sum += page["confidence"].as_f64().unwrap_or(0.0) * count;
            characters += count;
            seconds += page["processing_time"].as_f64().unwrap_or(0.0);
            for name in page["selected_models"].as_array().into_iter().flatten() {
                let name = name.as_str().unwrap_or_default();
                if !models.iter().any(|known| known == name) {
                    models.push(name.to_string());
                }
            }
            for (stage, time) in page["timings"].as_object().into_iter().flatten() {
                *timings.entry(stage.clone()).or_default() += time.as_f64().unwrap_or(0.0);
            }
        }
        let lost = pages.iter().filter_map(|page| {
            Some(LostPage {
                index: page["index"].as_u64()? as usize,
                error: page.get("error")?.clone(),
            })
        });
        Self {
            id: text("id"),
            page_count: pages.len(),
            confidence: if characters > 0.0 {
                sum / characters
            } else {
                0.0
            },
            processing_time: seconds,
            selected_models: models,
            device: text("device"),
            language: text("language"),
            plan: whole.map_or(Value::Null, |page| page["plan"].clone()),
            timings,
            errors: lost.collect(),
        }
    }
}

/// All lines of an answer in the form of the HTTP interface.
pub fn all(answer: &Value) -> String {
    let pages = match answer.get("pages") {
        Some(Value::Array(pages)) => pages.as_slice(),
        _ => std::slice::from_ref(answer),
    };
    let mut lines = String::new();
    for (read, done) in pages.iter().zip(1..) {
        let event = PageEvent::Read {
            page: read.clone(),
            done,
            of: pages.len(),
        };
        lines += &page(event, read).to_string();
        lines.push('\n');
    }
    lines + &last(pages)
}

/// The last line of an answer with these pages.
pub fn last(pages: &[Value]) -> String {
    // Plain data always serialises.
    serde_json::to_string(&Summary::of(pages)).unwrap_or_default() + "\n"
}

impl Read {
    /// Its last line.
    pub fn last_line(&self) -> String {
        last(&self.pages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<Value> {
        let read = |text: &str, model: &str, index: u32| {
            json!({
                "text": text, "confidence": 0.5, "processing_time": 1.0, "selected_models": ["det", model], "id": "7",
                "device": "cpu", "language": "auto", "index": index, "plan": {"detector": "det"},
                "timings": {"detect": 0.25},
            })
        };
        let error = Problem::unprocessable("truncated", "it ends early").to_json();
        let first = read("abc", "rec", 0);
        let lost = blank(1, &error, &first);
        vec![first, lost, read("d", "other", 2)]
    }

    #[test]
    fn the_last_line_sums_up() {
        let summary = serde_json::to_value(Summary::of(&pages())).unwrap();
        assert_eq!(summary["page_count"], 3);
        assert_eq!(summary["confidence"], 0.5);
        assert_eq!(summary["processing_time"], 2.0);
        assert_eq!(summary["selected_models"], json!(["det", "rec", "other"]));
        assert_eq!(summary["timings"]["detect"], 0.5);
        assert_eq!(summary["errors"][0]["index"], 1);
        assert_eq!(summary["errors"][0]["error"]["code"], "truncated");
        assert_eq!(
            (&summary["id"], &summary["plan"]["detector"]),
            (&json!("7"), &json!("det"))
        );
    }

    #[test]
    fn numbers_come_back_as_they_were() {
        for seconds in (0..10_000).map(|n: u32| f64::from(n).sqrt() / 7919.0) {
            let kept: Value = serde_json::from_str(&json!(seconds).to_string()).unwrap();
            assert_eq!(kept, json!(seconds));
        }
    }

    #[test]
    fn a_kept_answer_has_the_same_lines() {
        let whole = crate::reading::merged(pages());
        let lines = all(&whole);
        let lines: Vec<Value> = lines
            .lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect();
        assert_eq!(lines.len(), 4);
        for (line, number) in lines[..3].iter().zip(0..) {
            assert_eq!(line["index"], number);
            assert_eq!(
                (&line["read"], &line["of"]),
                (&json!(number + 1), &json!(3))
            );
        }
        assert_eq!(lines[1]["error"]["code"], "truncated");
        assert_eq!(lines[3]["page_count"], 3);
        let one = all(&json!({"text": "x", "id": "8"}));
        assert_eq!(one.lines().count(), 2);
        assert!(one.starts_with('{') && one.contains("\"index\":0"), "{one}");
    }
}
