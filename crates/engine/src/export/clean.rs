//! Characters that are no text.
//!
//! PDFs' own maps to Unicode name anything, and files that hold it are refused by XML readers or garble a terminal. Every
//! form takes its pages from here.

use std::borrow::Cow;

use super::Writer;
use crate::document::PageText;

/// A writer of pages without them.
pub(super) struct Clean(pub Box<dyn Writer>);

impl Writer for Clean {
    fn begin(&mut self) -> String {
        self.0.begin()
    }

    fn page(&mut self, page: &PageText) -> String {
        self.0.page(&cleaned(page))
    }

    fn end(&mut self) -> String {
        self.0.end()
    }
}

/// What becomes of a character: itself, a space, or nothing. Control characters (Unicode's Cc) other than line feed and
/// tab, and noncharacters (Unicode 16, 23.7), mean nothing to anybody.
fn kept(c: char) -> Option<char> {
    match c {
        '\n' | '\t' => Some(c),
        // They part lines or words.
        '\r' | '\u{b}' | '\u{c}' | '\u{85}' => Some(' '),
        c if c.is_control() => None,
        '\u{fdd0}'..='\u{fdef}' => None,
        c if u32::from(c) & 0xfffe == 0xfffe => None,
        c => Some(c),
    }
}

/// A page without characters that are no text. Words that were nothing else are gone.
pub(super) fn cleaned(page: &PageText) -> Cow<'_, PageText> {
    let dirty = |text: &str| text.chars().any(|c| kept(c) != Some(c));
    let lines = page.lines.iter();
    let words = lines.clone().flat_map(|l| l.words.iter().map(|w| &w.text));
    let regions = page.regions.iter();
    let items = regions
        .clone()
        .flat_map(|r| r.items.iter().map(|i| &i.text));
    let tables = regions.clone().filter_map(|r| r.table.as_ref());
    let cells = tables.flat_map(|t| t.cells.iter().map(|c| &c.text));
    let mut texts = std::iter::once(&page.text)
        .chain(lines.map(|l| &l.text))
        .chain(words)
        .chain(regions.map(|r| &r.text))
        .chain(items)
        .chain(cells);
    if !texts.any(|text| dirty(text)) {
        return Cow::Borrowed(page);
    }
    let clean = |text: &mut String| {
        if dirty(text) {
            *text = text.chars().filter_map(kept).collect();
        }
    };
    let mut page = page.clone();
    clean(&mut page.text);
    for line in &mut page.lines {
        clean(&mut line.text);
        line.words.iter_mut().for_each(|w| clean(&mut w.text));
        line.words.retain(|w| !w.text.is_empty());
    }
    for region in &mut page.regions {
        clean(&mut region.text);
        region.items.iter_mut().for_each(|i| clean(&mut i.text));
        if let Some(table) = &mut region.table {
            table.cells.iter_mut().for_each(|c| clean(&mut c.text));
        }
    }
    Cow::Owned(page)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::{Format, Meta, sample, write};

    #[test]
    fn no_form_has_characters_that_are_none() {
        let dirt = "\u{ffff}\u{1}\u{fdd0}\u{1fffe}\u{9b}";
        let mut document = sample::document();
        let page = &mut document.pages[0];
        assert!(matches!(cleaned(page), Cow::Borrowed(_)));
        page.text.insert_str(1, dirt);
        let line = &mut page.lines[0];
        line.text.insert_str(1, dirt);
        line.words[0].text.insert_str(1, dirt);
        for region in &mut page.regions {
            region.text += dirt;
            region.items.iter_mut().for_each(|i| i.text += dirt);
            if let Some(table) = &mut region.table {
                table.cells.iter_mut().for_each(|c| c.text += dirt);
            }
        }
        for name in [
            "txt", "md", "html", "json", "hocr", "alto", "page", "tsv", "csv",
        ] {
            let format = Format::named(name).unwrap();
            let wanted = write(&sample::document(), format, &Meta::default());
            assert_eq!(write(&document, format, &Meta::default()), wanted, "{name}");
        }
    }
}
