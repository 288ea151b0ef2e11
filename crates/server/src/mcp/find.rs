//! Finds words on the pages of an answer.

use serde::Serialize;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use crate::problem::Problem;

/// Longest text to look for, characters.
const LONGEST: usize = 1000;

/// What is looked for.
pub struct Needle(String);

impl Needle {
    /// # Errors
    /// It is empty or too long.
    pub fn new(query: &str) -> Result<Self, Problem> {
        let wrong =
            |detail: String| Problem::unprocessable("invalid_arguments", detail).field("query");
        if query.chars().count() > LONGEST {
            return Err(wrong(format!(
                "`query` may have at most {LONGEST} characters"
            )));
        }
        let needle = plain(query);
        match needle.is_empty() {
            true => Err(wrong("`query` has no character to look for".into())),
            false => Ok(Self(needle)),
        }
    }
}

/// Without what makes no difference: compatibility forms, case, and white space, which lines break at and which some
/// scripts don't have.
fn plain(text: &str) -> String {
    let folded = text.nfkc().flat_map(char::to_lowercase);
    folded.filter(|c| !c.is_whitespace()).collect()
}

/// What was found.
#[derive(Serialize)]
pub struct Found {
    /// How often.
    pub count: usize,
    /// Where, in the order of the document.
    pub places: Vec<Place>,
}

/// A place.
#[derive(Serialize)]
pub struct Place {
    /// Number of the page, from 1.
    pub page: u64,
    /// The line, or the lines, that it is in.
    pub text: String,
    /// Around them: left, top, right, bottom, px.
    #[serde(rename = "box")]
    pub bounds: [f64; 4],
}

/// Finds a text in an answer; names at most `limit` places.
pub fn find(answer: &Value, needle: &Needle, limit: usize) -> Found {
    let pages = match answer.get("pages") {
        Some(Value::Array(pages)) => pages.as_slice(),
        _ => std::slice::from_ref(answer),
    };
    let mut found = Found {
        count: 0,
        places: Vec::new(),
    };
    for page in pages {
        let number = page["index"].as_u64().unwrap_or(0) + 1;
        let lines = page["lines"].as_array().map_or(&[][..], Vec::as_slice);
        let text = |line: &Value| line["text"].as_str().unwrap_or("").to_string();
        // All lines after each other, and where each begins.
        let mut whole = String::new();
        let mut begins = Vec::with_capacity(lines.len());
        for line in lines {
            begins.push(whole.len());
            whole.push_str(&plain(&text(line)));
        }
        let line_at = |at: usize| {
            begins
                .partition_point(|&begin| begin <= at)
                .saturating_sub(1)
        };
        for (at, _) in whole.match_indices(&needle.0) {
            found.count += 1;
            if found.places.len() == limit {
                continue;
            }
            let within = &lines[line_at(at)..=line_at(at + needle.0.len() - 1)];
            let texts: Vec<String> = within.iter().map(text).collect();
            found.places.push(Place {
                page: number,
                text: texts.join("\n"),
                bounds: bounds(within),
            });
        }
    }
    found
}

fn bounds(lines: &[Value]) -> [f64; 4] {
    let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
    let corners = lines
        .iter()
        .filter_map(|line| line["box"].as_array())
        .flatten();
    for corner in corners {
        for axis in 0..2 {
            let Some(at) = corner[axis].as_f64() else {
                continue;
            };
            bounds[axis] = bounds[axis].min(at);
            bounds[axis + 2] = bounds[axis + 2].max(at);
        }
    }
    match bounds[0] <= bounds[2] {
        true => bounds,
        false => [0.0; 4],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn words_are_found_across_lines_whatever_their_case() {
        let line = |text: &str, y: f64| json!({"text": text, "box": [[0, y], [90, y], [90, y + 10.0], [0, y + 10.0]]});
        let page = json!({"index": 4, "lines": [line("The Total", 0.0), line("AMOUNT is", 20.0), line("5 ＥＵＲ, total 6 eur", 40.0)]});
        let answer = json!({"pages": [page]});
        let search = |query: &str, limit| find(&answer, &Needle::new(query).unwrap(), limit);
        let found = search("total amount", 9);
        assert_eq!((found.count, found.places[0].page), (1, 5));
        assert_eq!(found.places[0].text, "The Total\nAMOUNT is");
        assert_eq!(found.places[0].bounds, [0.0, 0.0, 90.0, 30.0]);
        let found = search("EUR", 1);
        assert_eq!((found.count, found.places.len()), (2, 1));
        assert_eq!(search("nothing", 9).count, 0);
        assert!(Needle::new(" \n").is_err());
        assert!(Needle::new(&"a".repeat(1001)).is_err());
        assert_eq!(
            find(&json!({"lines": []}), &Needle::new("a").unwrap(), 9).count,
            0
        );
    }
}
