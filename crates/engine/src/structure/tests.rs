//! Pages that are drawn here: what stands where is known.

mod tables;

use super::*;
use crate::document::Word;
use crate::geometry::{Point, Quad};

/// A page with lines of text, drawn as rows of upright strokes: letters as far as ink is concerned.
struct Drawn {
    image: Image,
    lines: Vec<Line>,
}

impl Drawn {
    fn new(width: u32, height: u32) -> Self {
        Self {
            image: Image {
                width,
                height,
                rgb: vec![255; (width * height * 3) as usize],
            },
            lines: Vec::new(),
        }
    }

    fn fill(&mut self, x0: u32, y0: u32, x1: u32, y1: u32, shade: u8) {
        for y in y0..y1 {
            for x in x0..x1 {
                let at = ((y * self.image.width + x) * 3) as usize;
                self.image.rgb[at..at + 3].fill(shade);
            }
        }
    }

    /// Text with its top left at a place: each character takes half the height, its stroke `weight` px.
    fn heavy(&mut self, text: &str, x: u32, y: u32, height: u32, weight: u32) {
        let advance = height / 2;
        let mut words = Vec::new();
        let mut from = 0;
        for (i, c) in text.chars().enumerate() {
            let left = x + i as u32 * advance;
            if c == ' ' {
                from = i + 1;
                continue;
            }
            self.fill(left + 2, y + 3, left + 2 + weight, y + height - 3, 0);
            self.fill(
                left + 4 + weight,
                y + height / 3,
                left + 4 + 2 * weight,
                y + height - 3,
                0,
            );
            if text.chars().nth(i + 1).is_none_or(|n| n == ' ') {
                let word: String = text.chars().skip(from).take(i + 1 - from).collect();
                words.push(Word {
                    text: word,
                    confidence: 0.95,
                    quad: Quad::from_rect(
                        (x + from as u32 * advance) as f32,
                        y as f32,
                        (left + advance) as f32,
                        (y + height) as f32,
                    ),
                });
            }
        }
        let width = text.chars().count() as u32 * advance;
        self.lines.push(Line {
            text: text.into(),
            confidence: 0.95,
            quad: Quad::from_rect(x as f32, y as f32, (x + width) as f32, (y + height) as f32),
            words,
            vertical: false,
        });
    }

    fn text(&mut self, text: &str, x: u32, y: u32) {
        self.heavy(text, x, y, 20, 2);
    }

    fn prose(&mut self, x: u32, y: u32, rows: u32, characters: usize) {
        for i in 0..rows {
            let row =
                "the boats were tied three deep along the quay and nobody spoke above a whisper";
            let row: String = row.chars().take(characters).collect();
            self.text(row.trim_end(), x, y + 26 * i);
        }
    }

    fn analyse(self) -> PageText {
        analyse(&self.image, self.lines, None, &StructureOptions::default())
    }
}

fn kinds(page: &PageText) -> Vec<RegionKind> {
    page.regions.iter().map(|r| r.kind).collect()
}

/// A grid of 3 × 3 fields of 160 × 40 px whose first row is one cell.
fn ruled() -> Drawn {
    let mut page = Drawn::new(900, 700);
    for i in 0..4 {
        page.fill(100, 200 + 40 * i, 582, 202 + 40 * i, 0);
        let top = if i == 0 || i == 3 { 200 } else { 240 };
        page.fill(100 + 160 * i, top, 102 + 160 * i, 322, 0);
    }
    page.text("Rainfall", 110, 210);
    for (r, row) in [["a1", "b1", "c1"], ["a2", "", "c2"]].iter().enumerate() {
        for (c, cell) in row.iter().enumerate() {
            if !cell.is_empty() {
                page.text(cell, 110 + 160 * c as u32, 250 + 40 * r as u32);
            }
        }
    }
    page.prose(100, 400, 4, 70);
    page
}

#[test]
fn what_stands_far_apart_in_another_size_is_no_part_of_a_heading() {
    let mut page = Drawn::new(1000, 600);
    page.heavy("Harbour Bank", 50, 40, 36, 6);
    page.text("Statement 7 of 2026", 700, 44);
    page.text("31 July 2026", 770, 70);
    page.prose(50, 160, 6, 80);
    let page = page.analyse();
    let texts: Vec<&str> = page.regions.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(texts[0], "Harbour Bank");
    assert!(texts[1].starts_with("Statement 7 of 2026"), "{texts:?}");
}

#[test]
fn rows_that_end_early_on_purpose_are_not_joined() {
    let mut page = Drawn::new(1000, 600);
    for (row, text) in ["Clara Whitfield", "27 Mill Lane", "Eastmere"]
        .iter()
        .enumerate()
    {
        page.text(text, 50, 40 + 26 * row as u32);
    }
    page.prose(50, 160, 6, 80);
    let page = page.analyse();
    let texts: Vec<&str> = page.regions.iter().map(|r| r.text.as_str()).collect();
    assert_eq!(texts[..3], ["Clara Whitfield", "27 Mill Lane", "Eastmere"]);
    assert_eq!(texts.len(), 4);
}

#[test]
fn a_number_at_the_right_is_no_formula() {
    let mut page = Drawn::new(900, 500);
    page.heavy("房屋租赁合同", 300, 30, 36, 6);
    page.text("合同编号：DM-2026-0731", 650, 100);
    page.prose(50, 160, 6, 70);
    let found = kinds(&page.analyse());
    assert_eq!(found[1..], [RegionKind::Paragraph; 2], "{found:?}");
}

#[test]
fn clauses_are_paragraphs() {
    let mut page = Drawn::new(900, 500);
    for (row, text) in [
        "（二）未经甲方书面同意，乙方不得将房屋转租、转借，不得擅自改变房屋结构或者用途。",
        "（三）乙方应当爱护房屋及其设施，因使用不当造成损坏的，应当负责修复或者赔偿损失。",
    ]
    .iter()
    .enumerate()
    {
        page.text(text, 50, 100 + 26 * row as u32);
    }
    let page = page.analyse();
    assert_eq!(kinds(&page), [RegionKind::Paragraph; 2]);
}

#[test]
fn two_columns_of_text_are_no_table() {
    let mut page = Drawn::new(900, 700);
    page.prose(40, 60, 12, 38);
    page.prose(460, 60, 12, 38);
    let page = page.analyse();
    assert!(
        page.regions.iter().all(|r| r.kind == RegionKind::Paragraph),
        "{:?}",
        kinds(&page)
    );
}

#[test]
fn headings_lists_figures_captions_and_page_numbers() {
    let mut page = Drawn::new(900, 1200);
    page.heavy("The harbour report", 100, 100, 36, 5);
    page.prose(100, 170, 4, 70);
    page.heavy("2 Findings", 100, 300, 24, 4);
    page.text("1. Switch the pump off", 120, 340);
    page.text("2. Close the valve", 120, 366);
    page.fill(150, 430, 450, 600, 90);
    page.text("Figure 1. The pump", 150, 612);
    page.prose(100, 660, 5, 70);
    page.text("17", 440, 1150);
    let page = page.analyse();
    use RegionKind::*;
    assert_eq!(
        kinds(&page),
        [
            Title, Paragraph, Heading, List, Figure, Caption, Paragraph, PageNumber
        ]
    );
    let items: Vec<(Option<u32>, &str)> = page.regions[3]
        .items
        .iter()
        .map(|i| (i.number, i.text.as_str()))
        .collect();
    assert_eq!(
        items,
        [
            (Some(1), "Switch the pump off"),
            (Some(2), "Close the valve")
        ]
    );
    assert_eq!(page.regions[4].caption, Some(5));
    let picture = page.regions[4].picture.as_ref().expect("a cut-out");
    assert!(picture.png.starts_with(b"\x89PNG") && picture.width.abs_diff(300) < 16);
}

#[test]
fn a_bullet_that_was_not_read_is_seen() {
    let mut page = Drawn::new(900, 500);
    for (i, item) in [
        "the angular velocity",
        "the velocity of the ball",
        "the impact",
    ]
    .iter()
    .enumerate()
    {
        let y = 60 + 30 * i as u32;
        page.fill(104, y + 8, 110, y + 14, 0);
        page.text(item, 126, y);
    }
    page.prose(100, 200, 4, 70);
    let page = page.analyse();
    assert_eq!(kinds(&page), [RegionKind::List, RegionKind::Paragraph]);
    assert_eq!(page.regions[0].items.len(), 3);
}

#[test]
fn every_line_is_in_one_region() {
    for page in [ruled(), Drawn::new(1, 1), Drawn::new(40, 2000)] {
        let lines = page.lines.len();
        let page = page.analyse();
        let mut seen: Vec<usize> = page.regions.iter().flat_map(|r| r.lines.clone()).collect();
        seen.sort_unstable();
        assert_eq!(seen, (0..lines).collect::<Vec<_>>());
    }
}

mod any {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn no_page_is_too_strange(
            corners in prop::collection::vec(prop::array::uniform8(any::<f32>()), 0..12),
            noise in prop::collection::vec(any::<u8>(), 64 * 48 * 3),
            whole_table in any::<bool>(),
        ) {
            let image = Image { width: 64, height: 48, rgb: noise };
            let lines: Vec<Line> = corners
                .iter()
                .map(|&[a, b, c, d, e, f, g, h]| Line {
                    text: "3. x".into(),
                    confidence: 0.9,
                    quad: Quad([Point::new(a, b), Point::new(c, d), Point::new(e, f), Point::new(g, h)]),
                    words: Vec::new(),
                    vertical: false,
                })
                .collect();
            let count = lines.len();
            let options = StructureOptions { pictures: true, whole_table };
            prop_assert_eq!(analyse(&image, lines, None, &options).lines.len(), count);
        }
    }
}
