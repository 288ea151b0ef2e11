//! Where what was read stands in the text that is made of a page.
//!
//! Markdown escapes characters, joins lines and hyphenated words, moves captions, and has tables by their cells: words are
//! looked for only in the part that their region became, and there in the order in which they were read.

use std::ops::Range;

use maoocr_engine::document::{Line, PageText, Region, RegionKind};
use maoocr_engine::export::{self, MarkdownPage};

/// Most characters of markup between two words of a region, bytes.
const MARKUP: usize = 24;

/// A page's text and what stands where in it. All ranges are bytes.
#[derive(Debug, Default)]
pub struct Placed {
    /// The text.
    pub text: String,
    /// Of each region; empty for those that are left out.
    pub regions: Vec<Vec<Range<usize>>>,
    /// Of each line; empty where none of it is there.
    pub lines: Vec<Vec<Range<usize>>>,
    /// Of each line's words; none for what was written differently from how it was read.
    pub words: Vec<Vec<Option<Range<usize>>>>,
}

impl Placed {
    /// The lines below each other.
    pub fn as_text(page: &PageText) -> Self {
        let mut placed = Self::default();
        for line in &page.lines {
            if !placed.lines.is_empty() {
                placed.text.push('\n');
            }
            let start = placed.text.len();
            placed.text.push_str(&line.text);
            let whole = start..placed.text.len();
            let mut search = Search::of(&line.text, start);
            let words = words_of(line).into_iter().map(|word| search.next(word));
            placed.words.push(words.collect());
            placed.lines.push(vec![whole]);
        }
        let lines = |region: &Region| {
            let lines = region
                .lines
                .iter()
                .filter_map(|&line| placed.lines.get(line));
            lines.flatten().cloned().collect()
        };
        placed.regions = page.regions.iter().map(lines).collect();
        placed
    }

    /// What a page became as Markdown.
    pub fn as_markdown(page: &PageText, markdown: MarkdownPage) -> Self {
        let words = words(page, &markdown);
        let regions = markdown.regions.into_iter();
        Self {
            text: markdown.text,
            regions: regions
                .map(|range| match range.is_empty() {
                    true => Vec::new(),
                    false => vec![range],
                })
                .collect(),
            lines: words.iter().map(|words| runs(words)).collect(),
            words,
        }
    }
}

/// Where each word of each line stands in a page's Markdown.
pub fn words(page: &PageText, markdown: &MarkdownPage) -> Vec<Vec<Option<Range<usize>>>> {
    let lines = page.lines.iter();
    let mut places: Vec<Vec<_>> = lines.map(|line| vec![None; words_of(line).len()]).collect();
    let mut place = |lines: &mut dyn Iterator<Item = usize>, mut search: Search, table: bool| {
        for line in lines {
            let Some(read) = page.lines.get(line) else {
                continue;
            };
            for (word, place) in words_of(read).into_iter().zip(&mut places[line]) {
                *place = match table {
                    true => search.anywhere(word),
                    false => search.next(word),
                };
            }
        }
    };
    if page.regions.is_empty() {
        let search = Search::in_markdown(&markdown.text, 0);
        place(&mut (0..page.lines.len()), search, false);
    }
    for (region, range) in page.regions.iter().zip(&markdown.regions) {
        let part = &markdown.text[range.clone()];
        let search = match region.kind {
            RegionKind::Code => Search::of(part, range.start),
            _ => Search::in_markdown(part, range.start),
        };
        let table = region.table.is_some();
        place(&mut region.lines.iter().copied(), search, table);
    }
    places
}

/// Where a table's cells stand in its Markdown, which is the `range` of a text.
pub fn cells(region: &Region, text: &str, range: &Range<usize>) -> Vec<Option<Range<usize>>> {
    let mut search = Search::in_markdown(&text[range.clone()], range.start);
    let cells = region.table.iter().flat_map(|table| &table.cells);
    let rows = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    cells
        .map(|cell| search.anywhere(&rows(cell.text.trim())))
        .collect()
}

/// A page as Markdown with its running heads and feet, which stand in comments as Azure writes them.
pub fn with_furniture(page: &PageText) -> MarkdownPage {
    let body = export::markdown_page(page);
    let mut regions = body.regions;
    let mut comments = |kinds: &[(RegionKind, &str)], before: usize| {
        let mut text = String::new();
        for (region, range) in page.regions.iter().zip(&mut regions) {
            let Some((_, name)) = kinds.iter().find(|(kind, _)| *kind == region.kind) else {
                continue;
            };
            let content = region.text.split_whitespace().collect::<Vec<_>>().join(" ");
            if content.is_empty() {
                continue;
            }
            text.push_str(&format!("<!-- {name}=\""));
            let start = before + text.len();
            text.push_str(&in_comment(&content));
            *range = start..before + text.len();
            text.push_str("\" -->\n");
        }
        text
    };
    let head = comments(&[(RegionKind::Header, "PageHeader")], 0);
    let gap = if head.is_empty() || body.text.is_empty() {
        ""
    } else {
        "\n"
    };
    let shift = head.len() + gap.len();
    let end = shift + body.text.len() + 2;
    let foot = [
        (RegionKind::Footer, "PageFooter"),
        (RegionKind::PageNumber, "PageNumber"),
    ];
    let foot = comments(&foot, end);
    for (region, range) in page.regions.iter().zip(&mut regions) {
        let furniture = matches!(
            region.kind,
            RegionKind::Header | RegionKind::Footer | RegionKind::PageNumber
        );
        *range = match furniture {
            true => range.clone(),
            // It is nowhere.
            false if range.start == range.end => 0..0,
            false => range.start + shift..range.end + shift,
        };
    }
    let text = match foot.is_empty() {
        true => format!("{head}{gap}{}", body.text),
        false => format!("{head}{gap}{}\n\n{foot}", body.text),
    };
    let text = text.trim_end();
    for range in &mut regions {
        *range = range.start.min(text.len())..range.end.min(text.len());
    }
    MarkdownPage {
        text: text.into(),
        regions,
    }
}

/// Text that ends neither the quotation nor the comment that it is in.
fn in_comment(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('"', "&quot;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// The words of a line; the line itself where it has none.
fn words_of(line: &Line) -> Vec<&str> {
    match line.words.is_empty() {
        true => vec![&line.text],
        false => line.words.iter().map(|word| &*word.text).collect(),
    }
}

/// The parts of a text that words make up one after the other.
fn runs(words: &[Option<Range<usize>>]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for word in words.iter().flatten() {
        match runs.last_mut() {
            Some(run) if (run.end..=run.end + MARKUP).contains(&word.start) => run.end = word.end,
            _ => runs.push(word.clone()),
        }
    }
    runs
}

/// Finds words in a part of a text, one after the other.
struct Search {
    /// The part as a person reads it.
    plain: String,
    /// Where each byte of it, and its end, is in the text.
    places: Vec<usize>,
    /// Bytes that belong to a word already.
    taken: Vec<bool>,
    /// Where the last word ended.
    at: usize,
    /// Bytes of the words since then that weren't found.
    missing: usize,
}

impl Search {
    /// In a part that is plain, which begins at `start`.
    fn of(part: &str, start: usize) -> Self {
        Self {
            plain: part.into(),
            places: (start..=start + part.len()).collect(),
            taken: vec![false; part.len()],
            at: 0,
            missing: 0,
        }
    }

    /// In Markdown as [`export`] writes it: what isn't escaped is markup.
    fn in_markdown(part: &str, start: usize) -> Self {
        let (mut plain, mut places) = (String::with_capacity(part.len()), Vec::new());
        let mut at = 0;
        while let Some(c) = part[at..].chars().next() {
            let rest = &part[at..];
            let (shown, length) = match c {
                '\\' => match rest[1..].chars().next() {
                    Some(next) if next.is_ascii_punctuation() => (next, 2),
                    _ => (c, 1),
                },
                '<' => ('\n', rest.find('>').map_or(rest.len(), |end| end + 1)),
                '&' => ENTITIES
                    .into_iter()
                    .find(|(entity, _)| rest.starts_with(entity))
                    .map_or((c, 1), |(entity, shown)| (shown, entity.len())),
                c => (c, c.len_utf8()),
            };
            plain.push(shown);
            places.extend(std::iter::repeat_n(start + at, shown.len_utf8()));
            at += length;
        }
        places.push(start + part.len());
        Self {
            taken: vec![false; plain.len()],
            plain,
            places,
            at: 0,
            missing: 0,
        }
    }

    /// The next word, which comes right after the last but for markup and for words that aren't there.
    fn next(&mut self, word: &str) -> Option<Range<usize>> {
        let found = self.ahead(word).or_else(|| {
            // Its other half is on the next line, and the hyphen between them is gone.
            let half = word.strip_suffix(['-', '\u{ad}', '\u{2010}'])?;
            self.ahead(half)
        });
        if found.is_none() {
            self.missing += word.len();
        }
        found.map(|found| self.take(found))
    }

    fn ahead(&self, word: &str) -> Option<Range<usize>> {
        let end = self.at + MARKUP + 2 * self.missing + word.len();
        let near = &self.plain[self.at..self.plain.floor_char_boundary(end)];
        let start = self.at + near.find(word).filter(|_| !word.is_empty())?;
        Some(start..start + word.len())
    }

    /// A word that stands anywhere: the first one from the last on that no other took.
    fn anywhere(&mut self, word: &str) -> Option<Range<usize>> {
        if word.is_empty() {
            return None;
        }
        let places = |from: usize| {
            let found = self.plain[from..].match_indices(word);
            found.map(move |(start, _)| from + start..from + start + word.len())
        };
        let free = |found: &Range<usize>| !self.taken[found.clone()].contains(&true);
        let mut all = places(self.at).chain(places(0)).filter(free);
        let found = all.clone().find(|found| self.stands_alone(found));
        let found = found.or_else(|| all.find(|found| self.is_whole(found)));
        found.map(|found| self.take(found))
    }

    /// Whether there is space on both sides of it.
    fn stands_alone(&self, found: &Range<usize>) -> bool {
        !self.plain[..found.start].ends_with(|c: char| !c.is_whitespace())
            && !self.plain[found.end..].starts_with(|c: char| !c.is_whitespace())
    }

    /// Whether it isn't a part of a longer word or number.
    fn is_whole(&self, found: &Range<usize>) -> bool {
        let bytes = self.plain.as_bytes();
        let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
        let before = found.start > 0 && letter(found.start - 1) && letter(found.start);
        let after = letter(found.end - 1) && letter(found.end);
        !before && !after
    }

    fn take(&mut self, found: Range<usize>) -> Range<usize> {
        self.taken[found.clone()].fill(true);
        (self.at, self.missing) = (found.end, 0);
        self.places[found.start]..self.places[found.end]
    }
}

/// What HTML writes differently.
const ENTITIES: [(&str, char); 4] = [
    ("&amp;", '&'),
    ("&lt;", '<'),
    ("&gt;", '>'),
    ("&quot;", '"'),
];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn page(lines: &[&str], regions: &Value) -> PageText {
        let at = json!([[0, 0], [9, 0], [9, 9], [0, 9]]);
        let word = |text: &str| json!({"text": text, "confidence": 0.5, "box": at});
        let line = |text: &&str| {
            let words: Vec<Value> = text.split(' ').map(word).collect();
            json!({"text": text, "confidence": 0.5, "box": at, "words": words, "vertical": false})
        };
        let lines: Vec<Value> = lines.iter().map(line).collect();
        let mut regions = regions.clone();
        for region in regions.as_array_mut().unwrap() {
            region["box"] = at.clone();
        }
        serde_json::from_value(json!({
            "width": 9, "height": 9, "turn": 0, "text": "", "confidence": 0.5, "lines": lines, "blocks": regions,
        }))
        .unwrap()
    }

    /// The words as the text has them; `–` for those that it has not.
    fn shown(placed: &Placed) -> Vec<String> {
        let words = placed.words.iter().flatten();
        words
            .map(|place| {
                place
                    .clone()
                    .map_or("–".into(), |at| placed.text[at].into())
            })
            .collect()
    }

    #[test]
    fn words_are_where_their_region_is() {
        let lines = ["The Report 7", "1. A *new* exam-", "ple, The a|b", "7"];
        let regions = json!([
            {"kind": "header", "lines": [0], "text": "The Report 7"},
            {"kind": "paragraph", "lines": [1, 2], "text": "1. A *new* example, The a|b"},
            {"kind": "page_number", "lines": [3], "text": "7"},
        ]);
        let page = page(&lines, &regions);
        let placed = Placed::as_markdown(&page, with_furniture(&page));
        assert_eq!(
            placed.text,
            "<!-- PageHeader=\"The Report 7\" -->\n\n1\\. A \\*new\\* example, The a\\|b\n\n<!-- PageNumber=\"7\" -->"
        );
        let wanted = [
            "The",
            "Report",
            "7",
            "1\\.",
            "A",
            "\\*new\\*",
            "exam",
            "ple,",
            "The",
            "a\\|b",
            "7",
        ];
        assert_eq!(shown(&placed), wanted);
        let starts = placed.words.iter().flatten().flatten().map(|at| at.start);
        assert!(starts.is_sorted());
        let text = |at: &Range<usize>| &placed.text[at.clone()];
        assert_eq!(text(&placed.lines[1][0]), "1\\. A \\*new\\* exam");
        assert_eq!(text(&placed.regions[0][0]), "The Report 7");
        // Running heads left out take nothing from others.
        let placed = Placed::as_markdown(&page, export::markdown_page(&page));
        assert_eq!(shown(&placed)[..4], ["–", "–", "–", "1\\."]);
        assert!(placed.lines[0].is_empty() && placed.regions[0].is_empty());
    }

    #[test]
    fn cells_come_in_another_order() {
        let lines = ["Name Name", "5", "R&D <5>", "15"];
        let at = json!([[0, 0], [9, 0], [9, 9], [0, 9]]);
        let cell = |row: u32, column: u32, span: u32, text: &str| json!({"row": row, "column": column, "row_span": 1, "column_span": span, "box": at, "text": text});
        for spans in [1, 2] {
            let cells_of = json!([
                cell(0, 0, 1, "Name"),
                cell(0, 1, 1, "Name"),
                cell(1, 0, spans, "15\nR&D <5>"),
                cell(2, 1, 1, "5")
            ]);
            let table = json!({"rows": 3, "columns": 2, "header_rows": 1, "cells": cells_of});
            let regions =
                json!([{"kind": "table", "lines": [0, 1, 2, 3], "text": "", "table": table}]);
            let page = page(&lines, &regions);
            let placed = Placed::as_markdown(&page, export::markdown_page(&page));
            let wanted = match spans {
                1 => ["Name", "Name", "5", "R\\&D", "\\<5\\>", "15"],
                _ => ["Name", "Name", "5", "R&amp;D", "&lt;5&gt;", "15"],
            };
            assert_eq!(shown(&placed), wanted, "{}", placed.text);
            // Not the 5 of 15, nor that of <5>.
            let starts: Vec<usize> = placed
                .words
                .iter()
                .flatten()
                .flatten()
                .map(|at| at.start)
                .collect();
            assert!(
                starts[2] > starts[4] && starts[4] > starts[5],
                "{}",
                placed.text
            );
            let range = placed.regions[0][0].clone();
            let cells = cells(&page.regions[0], &placed.text, &range);
            let cell = placed.text[cells[2].clone().unwrap()].to_string();
            assert!(cell.starts_with("15<br>R"), "{cell}");
        }
    }

    /// Texts, kinds and orders that nobody thought of: a PDF's own text can be anything.
    #[test]
    fn whatever_a_page_has_every_place_is_in_its_text() {
        let kinds = [
            "title",
            "heading",
            "paragraph",
            "list",
            "table",
            "figure",
            "caption",
            "formula",
            "code",
            "footnote",
            "header",
            "footer",
            "page_number",
            "unread",
        ];
        let texts = [
            "",
            " ",
            "a",
            "\\",
            "<",
            "&amp",
            "a\u{301} ",
            "-",
            "中\n文",
            "` ",
            "$$x$$",
            "-->\"",
            "\u{ad}",
            "1.\t",
        ];
        let mut seed = 1_u64;
        let mut pick = |below: usize| {
            // Constants of Knuth's MMIX.
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % below
        };
        let at = json!([[0, 0], [9, 0], [9, 9], [0, 9]]);
        for _ in 0..2000 {
            let lines: Vec<&str> = (0..4).map(|_| texts[pick(texts.len())]).collect();
            let regions = (0..pick(5)).map(|_| {
                let text = format!("{}{}", texts[pick(texts.len())], texts[pick(texts.len())]);
                let mut region = json!({
                    "kind": kinds[pick(kinds.len())], "text": text, "lines": [pick(5), pick(5)], "continued": pick(2) > 0,
                });
                if pick(3) == 0 {
                    let cell = json!({"row": 0, "column": 0, "row_span": 1 + pick(2), "column_span": 1, "box": at, "text": text});
                    region["table"] = json!({"rows": 1, "columns": 1, "header_rows": pick(2), "cells": [cell]});
                    region["items"] = json!([{"level": 0, "marker": "-", "text": text, "lines": []}]);
                }
                region
            });
            let page = page(&lines, &Value::Array(regions.collect()));
            for markdown in [with_furniture(&page), export::markdown_page(&page)] {
                let placed = Placed::as_markdown(&page, markdown);
                let words = placed.words.iter().flatten().flatten();
                let lines = placed.lines.iter().flatten();
                for range in words.chain(lines).chain(placed.regions.iter().flatten()) {
                    assert!(
                        placed.text.get(range.clone()).is_some(),
                        "{range:?} {placed:?}"
                    );
                }
                for (region, ranges) in page.regions.iter().zip(&placed.regions) {
                    ranges
                        .iter()
                        .for_each(|range| drop(cells(region, &placed.text, range)));
                }
            }
            let placed = Placed::as_text(&page);
            assert!(
                placed
                    .words
                    .iter()
                    .flatten()
                    .flatten()
                    .all(|at| placed.text.get(at.clone()).is_some())
            );
        }
    }

    #[test]
    fn lines_are_found_as_they_are() {
        let page = page(
            &["a b", "", "b"],
            &json!([{"kind": "paragraph", "lines": [2, 0], "text": ""}]),
        );
        let placed = Placed::as_text(&page);
        assert_eq!(placed.text, "a b\n\nb");
        assert_eq!(shown(&placed), ["a", "b", "–", "b"]);
        assert_eq!(placed.regions[0], [5..6, 0..3]);
    }
}
