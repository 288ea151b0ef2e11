//! Pages → the answer of a file.

use maoocr_engine::answer::Totals;
use serde_json::{Value, json};

/// Merges pages that come one at a time, as JSON, as [`merged`](maoocr_engine::answer::merged) does. Of each it keeps what the answer will hold, as text:
/// the parsed pages of a long file would take several times the memory.
#[derive(Default)]
pub struct Merger {
    /// The first page that was read.
    like: Option<Value>,
    totals: Totals,
    /// The pages' JSON, with commas between.
    pages: String,
    /// Pages that were lost before the first that was read.
    early: Vec<(usize, Value)>,
}

/// An answer of several pages.
pub struct Merged {
    /// Its JSON.
    pub json: String,
    /// Its text.
    pub text: String,
}

impl Merger {
    /// Adds a page that was read.
    ///
    /// # Errors
    /// It is no JSON.
    pub fn read(&mut self, page: &str) -> Result<(), serde_json::Error> {
        let value: Value = serde_json::from_str(page)?;
        for (index, error) in std::mem::take(&mut self.early) {
            self.add(&blank(index, &error, &value), None);
        }
        self.add(&value, Some(page));
        self.like.get_or_insert(value);
        Ok(())
    }

    /// Adds a page that can't be read, for this reason.
    pub fn lost(&mut self, index: usize, error: Value) {
        match &self.like {
            None => self.early.push((index, error)),
            Some(like) => {
                let blank = blank(index, &error, like);
                self.add(&blank, None);
            }
        }
    }

    fn add(&mut self, page: &Value, json: Option<&str>) {
        self.totals.add(page);
        if !self.pages.is_empty() {
            self.pages.push(',');
        }
        match json {
            Some(json) => self.pages.push_str(json),
            None => self.pages.push_str(&page.to_string()),
        }
    }

    /// The answer, once all pages have been added; or, if none was read, why not the first.
    ///
    /// # Errors
    /// The first page's problem.
    pub fn finish(self) -> Result<Merged, Value> {
        let Some(mut whole) = self.like else {
            return Err(self
                .early
                .into_iter()
                .next()
                .map_or(Value::Null, |(_, e)| e));
        };
        self.totals.set(&mut whole);
        let mut json = whole.to_string();
        // An object with fields: one more is appended.
        json.pop();
        json.reserve(self.pages.len() + 16);
        json.push_str(",\"pages\":[");
        json.push_str(&self.pages);
        json.push_str("]}");
        Ok(Merged {
            json,
            text: self.totals.text.unwrap_or_default(),
        })
    }
}

/// A page that could not be read, among others that could: empty, with the problem as `error`. What belongs to the answer
/// rather than to a page, it has from a page of the same answer.
pub fn blank(index: usize, error: &Value, like: &Value) -> Value {
    json!({
        "text": "",
        "confidence": 0.0,
        "processing_time": 0.0,
        "selected_models": [],
        "id": like["id"],
        "width": 0,
        "height": 0,
        "turn": 0,
        "device": like["device"],
        "language": like["language"],
        "lines": [],
        "blocks": [],
        "index": index,
        "error": error,
        "plan": like["plan"],
        "timings": {},
    })
}

#[cfg(test)]
mod tests {
    use maoocr_engine::answer::merged;

    use super::*;

    #[test]
    fn pages_that_come_one_at_a_time_make_the_same_answer() {
        let page = |index: u32, text: &str| {
            json!({
                "index": index, "text": text, "confidence": 0.5, "processing_time": 0.25, "id": "7", "plan": {},
                "device": "cpu", "language": "auto",
            })
        };
        let (first, second) = (page(1, "abc"), page(2, "d"));
        let mut merger = Merger::default();
        let error = json!({"code": "truncated"});
        merger.lost(0, error.clone());
        merger.read(&first.to_string()).unwrap();
        merger.read(&second.to_string()).unwrap();
        merger.lost(3, error.clone());
        let whole = merger.finish().unwrap();
        let blank = |index| blank(index, &error, &first);
        let wanted = merged(vec![blank(0), first.clone(), second, blank(3)]);
        assert_eq!(serde_json::from_str::<Value>(&whole.json).unwrap(), wanted);
        assert_eq!(wanted["text"], whole.text);
        assert_eq!(wanted["pages"][3]["error"]["code"], "truncated");
        assert!(wanted.get("error").is_none());

        let mut nothing = Merger::default();
        nothing.lost(0, error.clone());
        nothing.lost(1, json!({"code": "other"}));
        assert_eq!(nothing.finish().err(), Some(error));
    }
}
