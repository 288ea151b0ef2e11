//! Pages → the answer of a file.

use serde_json::{Value, json};

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
#[derive(Default)]
struct Totals {
    text: Option<String>,
    /// Of confidence by character.
    sum: f64,
    characters: f64,
    seconds: f64,
}

impl Totals {
    fn add(&mut self, page: &Value) {
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

    fn confidence(&self) -> f64 {
        match self.characters > 0.0 {
            true => self.sum / self.characters,
            false => 0.0,
        }
    }

    fn set(&self, whole: &mut Value) {
        whole["text"] = json!(self.text.as_deref().unwrap_or_default());
        whole["confidence"] = json!(self.confidence());
        whole["processing_time"] = json!(self.seconds);
    }
}

/// Merges pages that come one at a time, as JSON, as [`merged`] does. Of each it keeps what the answer will hold, as text:
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
