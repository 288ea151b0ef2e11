//! GitHub's Markdown (GFM 0.29).

use std::ops::Range;

use super::clean::cleaned;
use super::{Meta, Writer, body, goes_on, html, is_furniture, joint, picture_name};
use crate::document::{ListItem, PageText, Region, RegionKind, Table};

/// Characters that may begin or be part of inline markup (CommonMark 0.31, ASCII punctuation in use there, and `|` and
/// `~` of GitHub's tables and strikethrough).
const INLINE: &str = "\\`*_[]<>|~&";

/// Text as Markdown that shows it as it is: nothing in it becomes markup by chance. Rows become line breaks, empty
/// lines paragraphs.
pub fn escaped(text: &str) -> String {
    let mut markdown = String::with_capacity(text.len() + text.len() / 16);
    let mut rows = text.lines().peekable();
    while let Some(row) = rows.next() {
        let row = row.trim();
        push_row(&mut markdown, row);
        if let Some(next) = rows.peek() {
            // Two spaces keep the break where a paragraph goes on.
            if !row.is_empty() && !next.trim().is_empty() {
                markdown.push_str("  ");
            }
            markdown.push('\n');
        }
    }
    markdown
}

fn push_row(markdown: &mut String, row: &str) {
    let digits = row.len() - row.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    for (at, character) in row.char_indices() {
        // A heading, a list, a rule, a table's or a heading's underline; after digits a numbered list.
        let block = (at == 0 && "#+-=".contains(character))
            || (digits > 0 && at == digits && ".)".contains(character));
        if block || INLINE.contains(character) {
            markdown.push('\\');
        }
        markdown.push(character);
    }
}

pub(super) struct Markdown {
    pictures: Option<String>,
    /// The last characters written, to join what goes on.
    last: Option<String>,
    /// Columns of the table that was written last, if nothing came after it.
    table: Option<usize>,
    /// Where each region of the page stands in its text, bytes; empty for what is left out.
    places: Vec<Range<usize>>,
}

/// A page as Markdown.
#[derive(Clone, Debug, PartialEq)]
pub struct MarkdownPage {
    /// Its text, without an end of line.
    pub text: String,
    /// Where each of its regions stands in it, bytes; empty for those that Markdown leaves out.
    pub regions: Vec<Range<usize>>,
}

/// A page on its own, and where its regions are.
pub fn markdown_page(page: &PageText) -> MarkdownPage {
    let mut writer = Markdown::new(&Meta::default());
    let text = writer.page(&cleaned(page));
    MarkdownPage {
        text,
        regions: writer.places,
    }
}

impl Markdown {
    pub(super) fn new(meta: &Meta) -> Self {
        Self {
            pictures: meta.pictures.clone(),
            last: None,
            table: None,
            places: Vec::new(),
        }
    }

    fn block(&mut self, out: &mut String, block: &str, goes_on: bool) {
        if block.is_empty() {
            return;
        }
        match &self.last {
            Some(last) if goes_on => out.push_str(joint(last, block)),
            Some(_) => out.push_str("\n\n"),
            None => {}
        }
        out.push_str(block);
        self.last = Some(
            block
                .chars()
                .next_back()
                .map(String::from)
                .unwrap_or_default(),
        );
    }

    fn region(&self, page: &PageText, index: usize, region: &Region) -> String {
        let text = || escaped(region.text.trim());
        match region.kind {
            RegionKind::Title => heading(1, &region.text),
            RegionKind::Heading => heading(region.level.unwrap_or(2), &region.text),
            RegionKind::List if !region.items.is_empty() => list(&region.items),
            RegionKind::Table => match &region.table {
                Some(table) => table_markdown(table),
                None => text(),
            },
            // LaTeX, as vision models write it, in GitHub's own form.
            RegionKind::Formula if is_latex(&region.text) => {
                let rows = region.text.lines().filter(|row| !row.trim().is_empty());
                rows.collect::<Vec<_>>().join("\n")
            }
            RegionKind::Figure | RegionKind::Formula => match &self.pictures {
                Some(folder) if region.picture.is_some() => {
                    let name = picture_name(page, index);
                    let alternative = one_line(&escaped(&region.text));
                    format!("![{alternative}]({folder}/{name})")
                }
                _ => text(),
            },
            RegionKind::Code => fenced(&region.text),
            RegionKind::Unread => "<!-- text in a script that is not read -->".into(),
            RegionKind::Header | RegionKind::Footer | RegionKind::PageNumber => String::new(),
            _ => text(),
        }
    }
}

impl Writer for Markdown {
    fn page(&mut self, page: &PageText) -> String {
        let mut out = String::new();
        if page.regions.is_empty() {
            let text = escaped(&page.text);
            self.block(&mut out, &text, false);
            self.table = None;
        }
        self.places.clear();
        for (index, region) in page.regions.iter().enumerate() {
            self.places.push(out.len()..out.len());
            if is_furniture(region.kind) {
                continue;
            }
            let table = region.table.as_ref();
            let more = table.filter(|t| region.continued && self.table == Some(t.columns));
            if let Some(rest) = more.map(body).filter(|rest| !spans(rest)) {
                for row in 0..rest.rows {
                    out.push('\n');
                    out.push_str(&table_row(&rest, row));
                }
                self.places[index].end = out.len();
                continue;
            }
            let block = self.region(page, index, region);
            if block.is_empty() {
                continue;
            }
            self.block(&mut out, &block, goes_on(region));
            self.places[index] = out.len() - block.len()..out.len();
            self.table = table.filter(|t| piped(t)).map(|t| t.columns);
        }
        out
    }

    fn end(&mut self) -> String {
        if self.last.is_some() { "\n" } else { "" }.into()
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn heading(level: u8, text: &str) -> String {
    let marks = "#".repeat(usize::from(level.clamp(1, 6)));
    format!("{marks} {}", one_line(&escaped(&one_line(text))))
}

fn list(items: &[ListItem]) -> String {
    let mut out = String::new();
    // Widths of the marks above each level: what is nested stands below its parent's text.
    let mut widths: Vec<usize> = Vec::new();
    for item in items {
        let level = usize::from(item.level).min(widths.len());
        widths.truncate(level);
        let indent: usize = widths.iter().sum();
        let digits = item.marker.chars().any(|c| c.is_ascii_digit());
        let mark = match item.number {
            Some(number) if digits => format!("{number}. "),
            _ => "- ".into(),
        };
        // Markdown has no letters for numbers: they stay as text.
        let lettered = item.number.is_some() && !digits;
        let text = if lettered {
            format!("{} {}", escaped(&item.marker), escaped(&item.text))
        } else {
            escaped(&item.text)
        };
        if !out.is_empty() {
            out.push('\n');
        }
        let below = format!("\n{}", " ".repeat(indent + mark.len()));
        out.push_str(&" ".repeat(indent));
        out.push_str(&mark);
        out.push_str(&text.replace('\n', &below));
        widths.push(mark.len());
    }
    out
}

fn is_latex(text: &str) -> bool {
    let inner = text.strip_prefix("$$").and_then(|t| t.strip_suffix("$$"));
    inner.is_some_and(|inner| !inner.trim().is_empty() && !inner.contains('$'))
}

fn fenced(code: &str) -> String {
    let longest = code
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{}\n{fence}", code.trim_end())
}

fn spans(table: &Table) -> bool {
    let mut cells = table.cells.iter();
    cells.any(|c| c.row_span > 1 || c.column_span > 1)
}

/// Whether GFM can express a table.
fn piped(table: &Table) -> bool {
    !spans(table) && table.header_rows <= 1 && table.columns > 0 && table.rows > 0
}

fn table_markdown(table: &Table) -> String {
    if !piped(table) {
        return html::table(table);
    }
    let mut out = String::new();
    for row in 0..table.rows {
        if row > 0 {
            out.push('\n');
        }
        out.push_str(&table_row(table, row));
        if row == 0 {
            // GFM has no table without a head: the first row is it.
            out.push_str(&format!("\n|{}", " --- |".repeat(table.columns)));
        }
    }
    out
}

fn table_row(table: &Table, row: usize) -> String {
    let mut cells = vec![String::new(); table.columns];
    for cell in table.cells.iter().filter(|c| c.row == row) {
        if let Some(place) = cells.get_mut(cell.column) {
            *place = inline(&cell.text);
        }
    }
    format!("| {} |", cells.join(" | "))
}

/// A cell's text: inline markup and bars are escaped, lines become `<br>`.
fn inline(text: &str) -> String {
    let rows = text.lines().map(|row| {
        let mut out = String::new();
        for c in row.trim().chars() {
            if INLINE.contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    });
    rows.collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {

    use super::*;

    #[test]
    fn rows_and_paragraphs_stay() {
        assert_eq!(escaped("a\nb\n\nc"), "a  \nb\n\nc");
        assert_eq!(escaped(""), "");
    }

    #[test]
    fn nothing_becomes_markup() {
        for (text, wanted) in [
            ("# 12", "\\# 12"),
            ("- 5 kg", "\\- 5 kg"),
            ("1. Milk", "1\\. Milk"),
            ("12) x", "12\\) x"),
            ("1.5 l", "1\\.5 l"),
            ("2*3*4", "2\\*3\\*4"),
            ("<b>|a_b|", "\\<b\\>\\|a\\_b\\|"),
            ("---", "\\---"),
            ("===", "\\==="),
            ("[x](y)", "\\[x\\](y)"),
            ("R&amp;D", "R\\&amp;D"),
            ("中文。", "中文。"),
        ] {
            assert_eq!(escaped(text), wanted);
        }
    }
}
