//! Plain text.

use super::Writer;
use crate::document::PageText;

#[derive(Default)]
pub(super) struct Text {
    pages: usize,
}

impl Writer for Text {
    fn page(&mut self, page: &PageText) -> String {
        // A form feed between pages, as pdftotext does.
        let separator = if self.pages > 0 { "\u{c}" } else { "" };
        self.pages += 1;
        format!("{separator}{}\n", page.text)
    }
}
