//! A document with one of everything, for tests.

use std::sync::Arc;

use crate::document::{
    Cell, Document, Line, ListItem, PageText, Picture, Region, RegionKind, Table, Word,
};
use crate::geometry::Quad;

/// Two pages: a title, a paragraph that goes on, a list, tables with and without spans, a figure, code, furniture.
pub fn document() -> Document {
    let mut first = Builder::new(0);
    first.text(RegionKind::Header, "Running head");
    first.text(RegionKind::Title, "Fish & <Chips>");
    first.add(Region {
        level: Some(2),
        ..region(RegionKind::Heading, "1. The *sea*")
    });
    first.list();
    first.table(table(
        &[&["Kind", "Price"], &["Cod | fillet", "1,50"], &["", "-2"]],
        1,
    ));
    let mut spanning = table(&[&["Both", ""], &["a", "b"]], 1);
    spanning.cells.remove(1);
    spanning.cells[0].column_span = 2;
    first.table(spanning);
    first.add(Region {
        picture: Some(Arc::new(Picture {
            width: 1,
            height: 1,
            png: b"\x89PNG".to_vec(),
        })),
        ..region(RegionKind::Figure, "")
    });
    first.text(RegionKind::Caption, "Figure 1: A cod");
    first.text(RegionKind::Code, "let x = 1;\n    # indented");
    first.text(RegionKind::Paragraph, "A paragraph that goes");
    first.text(RegionKind::Footer, "Foot");
    first.text(RegionKind::PageNumber, "1");
    let mut second = Builder::new(1);
    second.add(Region {
        continued: true,
        ..region(RegionKind::Paragraph, "on over the page.")
    });
    second.text(RegionKind::Paragraph, "中文段落。");
    Document {
        pages: vec![first.page, second.page],
    }
}

/// Three pages with one table, whose second part repeats its head.
pub fn statement() -> Document {
    let parts: [(&[&[&str]], usize); 3] = [
        (&[&["Date", "Sum"], &["1 May", "20"]], 1),
        (&[&["Date", "Sum"], &["2 May", "30"]], 1),
        (&[&["3 May", "40"]], 0),
    ];
    let pages = parts.iter().enumerate().map(|(at, (rows, head))| {
        let mut page = Builder::new(at);
        page.table(table(rows, *head));
        page.page.regions[0].continued = at > 0;
        page.text(RegionKind::PageNumber, "1");
        page.page
    });
    Document {
        pages: pages.collect(),
    }
}

fn region(kind: RegionKind, text: &str) -> Region {
    Region {
        kind,
        level: None,
        quad: Quad::from_rect(0.0, 0.0, 0.0, 0.0),
        confidence: 0.9,
        lines: Vec::new(),
        text: text.into(),
        table: None,
        items: Vec::new(),
        caption: None,
        continued: false,
        picture: None,
    }
}

fn table(rows: &[&[&str]], header_rows: usize) -> Table {
    let mut cells = Vec::new();
    for (row, texts) in rows.iter().enumerate() {
        for (column, text) in texts.iter().enumerate() {
            let (x, y) = (100.0 * column as f32, 20.0 * row as f32);
            cells.push(Cell {
                row,
                column,
                row_span: 1,
                column_span: 1,
                quad: Quad::from_rect(x, y, x + 100.0, y + 20.0),
                text: (*text).into(),
            });
        }
    }
    Table {
        rows: rows.len(),
        columns: rows[0].len(),
        header_rows,
        cells,
    }
}

struct Builder {
    page: PageText,
    y: f32,
}

impl Builder {
    fn new(index: usize) -> Self {
        Self {
            page: PageText {
                index,
                width: 800,
                height: 1000,
                dpi: Some(150.0),
                turn: 0,
                text: String::new(),
                confidence: 0.95,
                lines: Vec::new(),
                regions: Vec::new(),
            },
            y: 10.0,
        }
    }

    /// Adds a region, with a line of words for every line of its text.
    fn add(&mut self, mut region: Region) {
        let top = self.y;
        for text in region.text.lines() {
            let mut x = 50.0;
            let mut words = Vec::new();
            for word in text.split_whitespace() {
                let width = 10.0 * word.chars().count() as f32;
                words.push(Word {
                    text: word.into(),
                    confidence: 0.95,
                    quad: Quad::from_rect(x, self.y, x + width, self.y + 20.0),
                });
                x += width + 10.0;
            }
            region.lines.push(self.page.lines.len());
            self.page.lines.push(Line {
                text: text.trim().into(),
                confidence: 0.95,
                quad: Quad::from_rect(50.0, self.y, x - 10.0, self.y + 20.0),
                words,
                vertical: false,
            });
            self.y += 24.0;
        }
        region.quad = Quad::from_rect(50.0, top, 750.0, self.y.max(top + 20.0));
        self.y += 10.0;
        if !self.page.text.is_empty() {
            self.page.text.push_str("\n\n");
        }
        self.page.text.push_str(&region.text);
        self.page.regions.push(region);
    }

    fn text(&mut self, kind: RegionKind, text: &str) {
        self.add(region(kind, text));
    }

    fn list(&mut self) {
        let mut list = region(RegionKind::List, "• Cod\n1. Whole\n2. Cut\n(b) Plaice");
        let item = |level, marker: &str, number, text: &str| ListItem {
            level,
            marker: marker.into(),
            number,
            text: text.into(),
            lines: Vec::new(),
        };
        list.items = vec![
            item(0, "•", None, "Cod"),
            item(1, "1.", Some(1), "Whole"),
            item(1, "2.", Some(2), "Cut"),
            item(0, "(b)", Some(2), "Plaice"),
        ];
        self.add(list);
    }

    fn table(&mut self, table: Table) {
        let text: Vec<&str> = table.cells.iter().map(|c| c.text.as_str()).collect();
        let mut of = region(RegionKind::Table, &text.join(" "));
        of.table = Some(table);
        self.add(of);
    }
}
