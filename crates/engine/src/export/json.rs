//! JSON: the answer's pages, lines, words and blocks.

use serde_json::{Value, json};

use super::{Writer, html};
use crate::document::PageText;

#[derive(Default)]
pub(super) struct Json {
    pages: usize,
    text: String,
    confidence: f64,
    characters: f64,
}

impl Writer for Json {
    fn begin(&mut self) -> String {
        "{\"pages\":[".into()
    }

    fn page(&mut self, page: &PageText) -> String {
        let separator = if self.pages > 0 { ",\n" } else { "\n" };
        if self.pages > 0 {
            self.text.push_str("\n\n");
        }
        self.pages += 1;
        self.text.push_str(&page.text);
        let characters = page.text.chars().count() as f64;
        self.confidence += f64::from(page.confidence) * characters;
        self.characters += characters;
        let mut value = json!(page);
        if let Some(blocks) = value["blocks"].as_array_mut() {
            for (block, region) in blocks.iter_mut().zip(&page.regions) {
                if let Some(table) = &region.table {
                    block["html"] = html::table(table).into();
                }
            }
        }
        format!("{separator}{value}")
    }

    fn end(&mut self) -> String {
        let confidence = if self.characters > 0.0 {
            self.confidence / self.characters
        } else {
            0.0
        };
        let text = Value::from(std::mem::take(&mut self.text));
        format!("\n],\"confidence\":{confidence:.4},\"text\":{text}}}\n")
    }
}
