//! Pages → the answer of a file.

use serde_json::{Value, json};

/// Merges pages into one answer: the first page that was read, with `text`, `confidence` and `processing_time` of all of them and the
/// pages themselves in `pages` if there are several.
pub fn merged(mut pages: Vec<Value>) -> Value {
    if pages.len() == 1 {
        return pages.remove(0);
    }
    let read = pages.iter().find(|page| page.get("error").is_none());
    let Some(mut whole) = read.cloned() else {
        return Value::Null;
    };
    let number = |page: &Value, field: &str| page[field].as_f64().unwrap_or(0.0);
    let texts: Vec<&str> = pages.iter().filter_map(|p| p["text"].as_str()).collect();
    let weights = texts.iter().map(|t| t.chars().count() as f64);
    let (mut sum, mut weight) = (0.0, 0.0);
    for (page, characters) in pages.iter().zip(weights) {
        sum += number(page, "confidence") * characters;
        weight += characters;
    }
    whole["text"] = json!(texts.join("\n\n"));
    whole["confidence"] = json!(if weight > 0.0 { sum / weight } else { 0.0 });
    let seconds: f64 = pages.iter().map(|p| number(p, "processing_time")).sum();
    whole["processing_time"] = json!(seconds);
    whole["pages"] = Value::Array(pages);
    whole
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
}
