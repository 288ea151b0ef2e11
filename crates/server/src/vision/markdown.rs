//! The Markdown of a vision model → regions. It comes from outside: it is bounded, and means only what regions can say.

use maoocr_engine::document::{ListItem, Region, RegionKind, Table};
use maoocr_engine::geometry::Quad;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::table;

/// Most regions of a page; what follows joins the last.
const MAX_REGIONS: usize = 5000;

/// The regions of a page, each as large as `area` until it is known where it stands.
pub fn regions(markdown: &str, area: Quad) -> Vec<Region> {
    let mut writer = Writer::new(area);
    let mut rest = unwrapped(markdown);
    // Tables are HTML: with empty lines in them, Markdown would take them apart.
    while let Some((before, inside, after)) = cut(rest) {
        writer.read(before);
        for table in table::tables(inside, area) {
            writer.table(table);
        }
        rest = after;
    }
    writer.read(rest);
    writer.regions
}

/// Without what some models put around their answer: their thoughts, and a fence around all of it.
fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    if text.starts_with("<think>")
        && let Some((_, answer)) = text.split_once("</think>")
    {
        text = answer.trim();
    }
    let inner = text.strip_prefix("```").and_then(|t| t.strip_suffix("```"));
    match inner.and_then(|inner| inner.split_once('\n')) {
        Some((language, inner))
            if matches!(language.trim(), "" | "markdown" | "md") && !inner.contains("\n```") =>
        {
            inner.trim()
        }
        _ => text,
    }
}

/// The text before the first table of HTML, the table, and the rest. One that doesn't end goes on to the end.
fn cut(text: &str) -> Option<(&str, &str, &str)> {
    let (open, close) = ("<table", "</table>");
    let from = find(text, open)?;
    let to = find(&text[from..], close).map_or(text.len(), |at| from + at + close.len());
    Some((&text[..from], &text[from..to], &text[to..]))
}

/// Where an ASCII tag begins, in letters of any case.
fn find(text: &str, tag: &str) -> Option<usize> {
    let (text, tag) = (text.as_bytes(), tag.as_bytes());
    text.windows(tag.len())
        .position(|w| w.eq_ignore_ascii_case(tag))
}

/// TeX's own brackets, which Markdown takes for escaped ones, as dollars.
fn dollars(text: &str) -> String {
    let mut text = text.to_string();
    for (open, close, mark) in [("\\[", "\\]", "$$"), ("\\(", "\\)", "$")] {
        let mut done = String::with_capacity(text.len());
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once(open) {
            let Some((inside, after)) = after.split_once(close) else {
                break;
            };
            done.push_str(before);
            done.push_str(mark);
            done.push_str(inside.trim());
            done.push_str(mark);
            rest = after;
        }
        done.push_str(rest);
        text = done;
    }
    text
}

struct Writer {
    area: Quad,
    regions: Vec<Region>,
    /// What is being written.
    text: String,
    /// Lists that are open: the next number of each.
    lists: Vec<Option<u64>>,
    items: Vec<ListItem>,
    /// Items that are open, by their index.
    open: Vec<usize>,
    rows: Vec<Vec<String>>,
    cell: bool,
    /// Pictures that are open: nothing on the page says what a model says of them.
    pictures: usize,
}

impl Writer {
    fn new(area: Quad) -> Self {
        Self {
            area,
            regions: Vec::new(),
            text: String::new(),
            lists: Vec::new(),
            items: Vec::new(),
            open: Vec::new(),
            rows: Vec::new(),
            cell: false,
            pictures: 0,
        }
    }

    fn read(&mut self, markdown: &str) {
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_MATH
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS;
        let markdown = dollars(markdown);
        for event in Parser::new_ext(&markdown, options) {
            self.event(event);
        }
        self.flush(RegionKind::Paragraph, None);
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            _ if self.pictures > 0 => {}
            Event::Text(text) | Event::Code(text) => self.push(&text),
            Event::InlineMath(tex) => self.push(&format!("${tex}$")),
            Event::DisplayMath(tex) => {
                let tex = format!("$${}$$", tex.trim());
                if self.lists.is_empty() && !self.cell {
                    self.flush(RegionKind::Paragraph, None);
                    self.push(&tex);
                    self.flush(RegionKind::Formula, None);
                } else {
                    self.push(&tex);
                }
            }
            Event::Html(html) | Event::InlineHtml(html) => {
                let text = table::plain(&html);
                self.push(&text);
            }
            Event::SoftBreak | Event::HardBreak => self.push(if self.cell { " " } else { "\n" }),
            Event::TaskListMarker(done) => self.push(if done { "☑ " } else { "☐ " }),
            Event::Rule | Event::FootnoteReference(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::List(first) => {
                if self.lists.is_empty() {
                    self.flush(RegionKind::Paragraph, None);
                }
                self.lists.push(first);
            }
            Tag::Item => {
                let level = u8::try_from(self.lists.len().saturating_sub(1)).unwrap_or(u8::MAX);
                let number = self.lists.last_mut().and_then(|list| {
                    let number = (*list)?;
                    *list = Some(number.saturating_add(1));
                    u32::try_from(number).ok()
                });
                self.open.push(self.items.len());
                self.items.push(ListItem {
                    level,
                    marker: number.map_or_else(|| "•".into(), |n| format!("{n}.")),
                    number,
                    text: String::new(),
                    lines: Vec::new(),
                });
            }
            Tag::Paragraph => {
                // Of an item that has several.
                if let Some(item) = self.open.last().map(|&i| &mut self.items[i])
                    && !item.text.is_empty()
                {
                    item.text.push('\n');
                }
            }
            Tag::Heading { .. } | Tag::CodeBlock(_) if self.lists.is_empty() => {
                self.flush(RegionKind::Paragraph, None);
            }
            Tag::CodeBlock(CodeBlockKind::Fenced(_)) => self.push("\n"),
            Tag::Table(_) => {
                self.flush(RegionKind::Paragraph, None);
                self.rows.clear();
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            Tag::TableCell => {
                self.cell = true;
                if let Some(row) = self.rows.last_mut() {
                    row.push(String::new());
                }
            }
            Tag::Image { .. } => self.pictures += 1,
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        let top = self.lists.is_empty();
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock if top => self.flush(RegionKind::Paragraph, None),
            TagEnd::Heading(level) if top => self.flush(RegionKind::Heading, Some(level as u8)),
            TagEnd::CodeBlock if top => self.flush(RegionKind::Code, None),
            TagEnd::Item => {
                self.open.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
                if self.lists.is_empty() {
                    self.list();
                }
            }
            TagEnd::TableCell => self.cell = false,
            TagEnd::Table => {
                let rows = std::mem::take(&mut self.rows);
                self.table(table::of_rows(rows, self.area));
            }
            TagEnd::Image => self.pictures = self.pictures.saturating_sub(1),
            _ => {}
        }
    }

    /// Adds text to what is open.
    fn push(&mut self, text: &str) {
        let place = if self.cell {
            self.rows.last_mut().and_then(|row| row.last_mut())
        } else {
            self.open.last().map(|&item| &mut self.items[item].text)
        };
        place.unwrap_or(&mut self.text).push_str(text);
    }

    /// Ends a region of the text so far, if there is any.
    fn flush(&mut self, kind: RegionKind, level: Option<u8>) {
        let text = std::mem::take(&mut self.text);
        let text = match kind {
            RegionKind::Code => text.trim_end(),
            _ => text.trim(),
        };
        if !text.trim().is_empty() {
            let text = text.to_string();
            self.add(Region {
                level,
                ..self.region(kind, text)
            });
        }
    }

    fn list(&mut self) {
        let mut items = std::mem::take(&mut self.items);
        self.open.clear();
        for item in &mut items {
            item.text = item.text.trim().to_string();
        }
        let rows = items.iter().map(|i| format!("{} {}", i.marker, i.text));
        let text = rows.collect::<Vec<_>>().join("\n");
        if !items.is_empty() {
            self.add(Region {
                items,
                ..self.region(RegionKind::List, text)
            });
        }
    }

    fn table(&mut self, table: Option<Table>) {
        if let Some(table) = table {
            let text = table::text(&table);
            self.add(Region {
                table: Some(table),
                ..self.region(RegionKind::Table, text)
            });
        }
    }

    fn region(&self, kind: RegionKind, text: String) -> Region {
        Region {
            kind,
            level: None,
            quad: self.area,
            confidence: 1.0,
            lines: Vec::new(),
            text,
            table: None,
            items: Vec::new(),
            caption: None,
            continued: false,
            picture: None,
        }
    }

    fn add(&mut self, region: Region) {
        let full = self.regions.len() >= MAX_REGIONS;
        match self.regions.last_mut() {
            Some(last) if full => {
                last.text.push('\n');
                last.text.push_str(&region.text);
            }
            _ => self.regions.push(region),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(markdown: &str) -> Vec<(RegionKind, String)> {
        let regions = regions(markdown, Quad::from_rect(0.0, 0.0, 10.0, 10.0));
        regions.into_iter().map(|r| (r.kind, r.text)).collect()
    }

    #[test]
    fn every_kind_of_block_is_a_region() {
        use RegionKind::{Code, Formula, Heading, List, Paragraph, Table};
        let markdown = "# Bill *No. 7*\n\nTo **Ann &amp; Bo**\nRoad 5\n\n1. one\n2. two\n   - in `x`\n\n\
                        | a | b |\n|---|---|\n| 1 | 2 |\n\n$$E = mc^2$$\n\nwhere \\(m\\) is mass\n\n```\nfn a\n```\n\n\
                        ![a cat](cat.png)\n";
        let wanted = [
            (Heading, "Bill No. 7"),
            (Paragraph, "To Ann & Bo\nRoad 5"),
            (List, "1. one\n2. two\n• in x"),
            (Table, "a b\n1 2"),
            (Formula, "$$E = mc^2$$"),
            (Paragraph, "where $m$ is mass"),
            (Code, "fn a"),
        ];
        let wanted = wanted.map(|(kind, text)| (kind, text.to_string()));
        assert_eq!(read(markdown), wanted);
        // A fence around all of it, and thoughts before it, are no part of the page.
        assert_eq!(read("```markdown\nTo\n```"), [(Paragraph, "To".into())]);
        assert_eq!(read("<think>hm</think>\nTo"), [(Paragraph, "To".into())]);
        assert_eq!(read("```\na\n```\nb\n```\nc\n```").len(), 3);
    }

    #[test]
    fn tables_of_html_keep_their_spans() {
        let html = "Before\n<TABLE><thead><tr><th colspan=2>Sum &lt;1&gt;</th></tr></thead>\n\n<tr><td rowspan='2'>a\
                    <td>b<br>c</td></tr><tr><td>d</table>After";
        let regions = regions(html, Quad::from_rect(0.0, 0.0, 10.0, 10.0));
        let kinds: Vec<_> = regions.iter().map(|r| r.kind).collect();
        use RegionKind::{Paragraph, Table};
        assert_eq!(kinds, [Paragraph, Table, Paragraph]);
        let table = regions[1].table.as_ref().unwrap();
        assert_eq!((table.rows, table.columns, table.header_rows), (3, 2, 1));
        let cells: Vec<_> = table
            .cells
            .iter()
            .map(|c| (c.row, c.column, c.row_span, c.column_span, c.text.as_str()))
            .collect();
        let wanted = [
            (0, 0, 1, 2, "Sum <1>"),
            (1, 0, 2, 1, "a"),
            (1, 1, 1, 1, "b\nc"),
            (2, 1, 1, 1, "d"),
        ];
        assert_eq!(cells, wanted);
    }

    #[test]
    fn hostile_markdown_is_bounded() {
        let area = Quad::from_rect(0.0, 0.0, 10.0, 10.0);
        let huge = "<table><tr><td rowspan=99999999 colspan=99999999>a</td></tr></table>";
        let tables = regions(huge, area);
        assert!(tables[0].table.as_ref().unwrap().columns <= 200);
        assert!(regions(&"a\n\n".repeat(20_000), area).len() <= MAX_REGIONS);
        regions(&"> ".repeat(50_000), area);
        regions(&"- ".repeat(20_000), area);
        regions(&"<table>".repeat(20_000), area);
        assert!(regions("<table", area).is_empty());
    }
}
