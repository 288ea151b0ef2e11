//! What crosses pages: running heads, paragraphs and tables that go on.

use super::wording::{page_number, sentence_ends};
use crate::document::{Document, PageText, RegionKind};

/// How many regions from the top and the bottom of a page are looked at for running heads.
const EDGE: usize = 2;

/// Finds what crosses the pages of a document: headers and footers that repeat, paragraphs that go on, tables that go on.
pub fn join_pages(document: &mut Document) {
    running_heads(document);
    levels(document);
    for page in 1..document.pages.len() {
        paragraph(document, page);
        table(document, page);
    }
}

/// A text with its numbers taken out, to compare running heads by.
fn pattern(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_numeric() { '#' } else { c })
        .filter(|c| !c.is_whitespace())
        .collect::<String>()
        .to_lowercase()
        .replace("##", "#")
}

/// Regions at the edge of two neighbouring pages, or every other one, with the same text but for numbers are headers or
/// footers.
fn running_heads(document: &mut Document) {
    let patterns: Vec<Vec<String>> = document
        .pages
        .iter()
        .map(|p| p.regions.iter().map(|r| pattern(&r.text)).collect())
        .collect();
    let mut changes = Vec::new();
    for (at, page) in document.pages.iter().enumerate() {
        let count = page.regions.len();
        for (index, region) in page.regions.iter().enumerate() {
            let (top, bottom) = (index < EDGE, index + EDGE >= count);
            let text = matches!(
                region.kind,
                RegionKind::Paragraph
                    | RegionKind::Heading
                    | RegionKind::Header
                    | RegionKind::Footer
            );
            if !(top || bottom)
                || !text
                || region.text.chars().count() > 120
                || region.text.is_empty()
            {
                continue;
            }
            let center = region.quad.center().y / page.height.max(1) as f32;
            if center > 0.15 && center < 0.85 {
                continue;
            }
            let repeated = [1, 2].into_iter().any(|step| {
                [at.checked_sub(step), Some(at + step)]
                    .into_iter()
                    .flatten()
                    .any(|other| {
                        document.pages.get(other).is_some_and(|o| {
                            o.regions.iter().zip(&patterns[other]).any(|(r, p)| {
                                let there = r.quad.center().y / o.height.max(1) as f32;
                                *p == patterns[at][index] && (there - center).abs() < 0.03
                            })
                        })
                    })
            });
            if repeated {
                let kind = if page_number(&region.text) {
                    RegionKind::PageNumber
                } else if center < 0.5 {
                    RegionKind::Header
                } else {
                    RegionKind::Footer
                };
                changes.push((at, index, kind));
            }
        }
    }
    // A page that has nothing else keeps what it has: a divider, a slide of one line.
    let stays = |page: usize| {
        let regions = document.pages[page].regions.iter().enumerate();
        let changed = |index| changes.iter().any(|(at, i, _)| (*at, *i) == (page, index));
        regions.into_iter().any(|(index, region)| {
            let says = !region.text.trim().is_empty() || region.kind == RegionKind::Figure;
            says && !changed(index)
                && (!furniture(region.kind) || region.kind == RegionKind::Footnote)
        })
    };
    let kept: Vec<bool> = (0..document.pages.len()).map(stays).collect();
    for (page, region, kind) in changes.into_iter().filter(|(page, ..)| kept[*page]) {
        let region = &mut document.pages[page].regions[region];
        region.kind = kind;
        region.level = None;
    }
}

/// Lowers the headings of pages without a title where the document has one: each page's levels were counted alone.
fn levels(document: &mut Document) {
    let titled = |page: &PageText| page.regions.iter().any(|r| r.kind == RegionKind::Title);
    let headed = |page: &PageText| {
        let mut kinds = page.regions.iter().map(|r| r.kind);
        kinds.any(|kind| matches!(kind, RegionKind::Title | RegionKind::Heading))
    };
    let mut headed = document.pages.iter_mut().filter(|page| headed(page));
    let first = headed.next().is_some_and(|page| titled(page));
    let rest: Vec<&mut PageText> = headed.collect();
    // Slides have a title each.
    if !first || rest.iter().any(|page| titled(page)) {
        return;
    }
    for region in rest.into_iter().flat_map(|page| &mut page.regions) {
        region.level = region.level.map(|level| (level + 1).min(6));
    }
}

fn furniture(kind: RegionKind) -> bool {
    matches!(
        kind,
        RegionKind::Header | RegionKind::Footer | RegionKind::PageNumber | RegionKind::Footnote
    )
}

/// Marks the first paragraph of a page as continued where the last of the page before stops in mid-sentence.
fn paragraph(document: &mut Document, page: usize) {
    let (before, after) = document.pages.split_at_mut(page);
    let (Some(before), Some(after)) = (before.last(), after.first_mut()) else {
        return;
    };
    let last = before.regions.iter().rev().find(|r| !furniture(r.kind));
    let first = after.regions.iter_mut().find(|r| !furniture(r.kind));
    if let (Some(last), Some(first)) = (last, first)
        && last.kind == RegionKind::Paragraph
        && first.kind == RegionKind::Paragraph
        && !sentence_ends(&last.text)
        && first.text.chars().next().is_some_and(|c| !c.is_uppercase())
    {
        first.continued = true;
    }
}

/// Marks the first table of a page as continued where it has the columns of the one that ends the page before and
/// nothing stands between them. A head that is repeated is counted as such.
fn table(document: &mut Document, page: usize) {
    let (before, after) = document.pages.split_at_mut(page);
    let (Some(before), Some(after)) = (before.last(), after.first_mut()) else {
        return;
    };
    let last = before.regions.iter().rev().find(|r| !furniture(r.kind));
    let first = after.regions.iter_mut().find(|r| !furniture(r.kind));
    let (Some(last), Some(first)) = (last, first) else {
        return;
    };
    let (Some(upper), Some(lower)) = (&last.table, &mut first.table) else {
        return;
    };
    let place = |page: u32, quad: &crate::geometry::Quad| {
        let [x0, _, x1, _] = quad.bounds();
        [x0, x1].map(|x| x / page.max(1) as f32)
    };
    let (a, b) = (
        place(before.width, &last.quad),
        place(after.width, &first.quad),
    );
    let level = (0..2).all(|i| (a[i] - b[i]).abs() < 0.03);
    if upper.columns != lower.columns || !level {
        return;
    }
    first.continued = true;
    let head = |t: &crate::document::Table| -> Vec<String> {
        t.cells
            .iter()
            .filter(|c| c.row < upper.header_rows)
            .map(|c| c.text.clone())
            .collect()
    };
    if head(upper) != head(lower) {
        lower.header_rows = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Cell, Region, Table};
    use crate::geometry::Quad;

    fn region(kind: RegionKind, text: &str, y: f32) -> Region {
        Region {
            kind,
            level: None,
            quad: Quad::from_rect(100.0, y, 900.0, y + 20.0),
            confidence: 0.8,
            lines: Vec::new(),
            text: text.into(),
            table: None,
            items: Vec::new(),
            caption: None,
            continued: false,
            picture: None,
        }
    }

    fn page(regions: Vec<Region>) -> PageText {
        PageText {
            index: 0,
            width: 1000,
            height: 1400,
            dpi: None,
            turn: 0,
            text: String::new(),
            confidence: 1.0,
            lines: Vec::new(),
            regions,
        }
    }

    fn two(cells: &[&str]) -> Table {
        Table {
            rows: cells.len() / 2,
            columns: 2,
            header_rows: 1,
            cells: cells
                .iter()
                .enumerate()
                .map(|(i, text)| Cell {
                    row: i / 2,
                    column: i % 2,
                    row_span: 1,
                    column_span: 1,
                    quad: Quad::from_rect(0.0, 0.0, 1.0, 1.0),
                    text: text.to_string(),
                })
                .collect(),
        }
    }

    #[test]
    fn a_page_of_one_line_keeps_it() {
        let dividers = (1..4).map(|n| {
            page(vec![region(
                RegionKind::Paragraph,
                &format!("Part {n}"),
                60.0,
            )])
        });
        let mut document = Document {
            pages: dividers.collect(),
        };
        join_pages(&mut document);
        let kinds = document.pages.iter().map(|page| page.regions[0].kind);
        assert!(kinds.into_iter().all(|kind| kind == RegionKind::Paragraph));
        for page in &mut document.pages {
            page.regions.push(region(
                RegionKind::Paragraph,
                "What the part is about.",
                500.0,
            ));
        }
        join_pages(&mut document);
        assert_eq!(document.pages[1].regions[0].kind, RegionKind::Header);
    }

    #[test]
    fn levels_go_on_below_the_title() {
        let heading = |level| Region {
            level: Some(level),
            ..region(RegionKind::Heading, "Results", 300.0)
        };
        let text = || region(RegionKind::Paragraph, "Text.", 500.0);
        let title = || region(RegionKind::Title, "On ink", 250.0);
        let levels = |second: Vec<Region>| {
            let mut document = Document {
                pages: vec![page(vec![title(), heading(2), text()]), page(second)],
            };
            join_pages(&mut document);
            let regions = document.pages.iter().flat_map(|page| &page.regions);
            regions.filter_map(|r| r.level).collect::<Vec<u8>>()
        };
        assert_eq!(levels(vec![heading(1), text(), heading(2)]), [2, 2, 3]);
        assert_eq!(levels(vec![title(), heading(2), text()]), [2, 2]);
        assert_eq!(levels(vec![text(), heading(1)]), [2, 2]);
    }

    #[test]
    fn heads_repeat_and_paragraphs_go_on() {
        let make = |n: usize, text: &str| {
            page(vec![
                region(RegionKind::Heading, &format!("Annual report {n}"), 40.0),
                region(RegionKind::Paragraph, text, 300.0),
                region(RegionKind::Paragraph, &format!("Page {n}"), 1350.0),
            ])
        };
        let mut document = Document {
            pages: vec![
                make(1, "It was a long"),
                make(2, "road home. The end."),
                make(3, "Other."),
            ],
        };
        join_pages(&mut document);
        let kinds: Vec<RegionKind> = document.pages[1].regions.iter().map(|r| r.kind).collect();
        assert_eq!(
            kinds,
            [
                RegionKind::Header,
                RegionKind::Paragraph,
                RegionKind::PageNumber
            ]
        );
        assert!(document.pages[1].regions[1].continued);
        assert!(!document.pages[2].regions[1].continued);
    }

    #[test]
    fn a_table_goes_on_with_or_without_its_head() {
        for (cells, head) in [(["Name", "Sum", "c", "3"], 1), (["c", "3", "d", "4"], 0)] {
            let with = |table, y| Region {
                table: Some(table),
                ..region(RegionKind::Table, "", y)
            };
            let mut document = Document {
                pages: vec![
                    page(vec![with(two(&["Name", "Sum", "a", "1"]), 1000.0)]),
                    page(vec![with(two(&cells), 60.0)]),
                ],
            };
            join_pages(&mut document);
            let region = &document.pages[1].regions[0];
            assert!(region.continued);
            assert_eq!(region.table.as_ref().unwrap().header_rows, head);
        }
    }
}
