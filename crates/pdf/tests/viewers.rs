//! What people copy and find in viewers: poppler here; PDFium in `crates/python/tests/test_viewer.py` and pdf.js in
//! `www/tests/src/viewer.test.mjs` open the same file.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Sheet, pdf};
use maoocr_engine::document::{Line, PageText, Word};
use maoocr_engine::geometry::{Point, Quad};
use maoocr_pdf::searchable::{Extended, Layer};

/// Lines of words that stand side by side, in the pixels of a page.
struct Lines(Vec<Line>);

impl Lines {
    /// Words one after the other from `x`, each as wide as its length says; `step` turns that way for other directions.
    fn add(&mut self, text: &str, from: (f32, f32), step: (f32, f32), vertical: bool) {
        let height = 20.0;
        let mut at = from;
        let mut words = Vec::new();
        // Recognisers have ideographs and figures as words without a space between them.
        let (separator, gap) = if text.contains('·') {
            ("·", 0.0)
        } else {
            (" ", 6.0)
        };
        for part in text.split(separator) {
            let wide = |c: char| if c > '\u{2fff}' { 20.0 } else { 10.0 };
            let length: f32 = part.chars().map(wide).sum();
            let end = (at.0 + step.0 * length, at.1 + step.1 * length);
            let quad = quad(at, end, height, vertical, step.0 < 0.0);
            words.push(Word {
                text: part.into(),
                confidence: 1.0,
                quad,
            });
            at = (end.0 + step.0 * gap, end.1 + step.1 * gap);
        }
        self.0.push(Line {
            text: text.replace('·', ""),
            confidence: 1.0,
            quad: quad(from, at, height, vertical, step.0 < 0.0),
            words,
            vertical,
        });
    }
}

/// The box of a word between two points of its upper edge; of a vertical one, of its right edge.
fn quad(from: (f32, f32), to: (f32, f32), height: f32, vertical: bool, leftward: bool) -> Quad {
    let (from, to) = if leftward { (to, from) } else { (from, to) };
    if vertical {
        return Quad::from_rect(from.0 - height, from.1, from.0, to.1);
    }
    let length = (to.0 - from.0).hypot(to.1 - from.1).max(1.0);
    let (x, y) = ((to.0 - from.0) / length, (to.1 - from.1) / length);
    let down = |p: (f32, f32)| Point::new(p.0 - y * height, p.1 + x * height);
    let point = |p: (f32, f32)| Point::new(p.0, p.1);
    Quad([point(from), point(to), down(to), down(from)])
}

fn page(index: usize, size: (u32, u32), add: impl FnOnce(&mut Lines)) -> PageText {
    let mut lines = Lines(Vec::new());
    add(&mut lines);
    let texts: Vec<&str> = lines.0.iter().map(|l| l.text.as_str()).collect();
    PageText {
        index,
        width: size.0,
        height: size.1,
        dpi: None,
        turn: 0,
        text: texts.join("\n"),
        confidence: 1.0,
        lines: lines.0,
        regions: Vec::new(),
    }
}

const RIGHT: (f32, f32) = (1.0, 0.0);

fn pages() -> Vec<PageText> {
    vec![
        page(0, (800, 400), |p| {
            p.add("Harbour survey of the year", (40.0, 20.0), RIGHT, false);
            p.add("The boats lay three deep", (40.0, 80.0), RIGHT, false);
            p.add("along the quay all night", (40.0, 106.0), RIGHT, false);
            p.add("Nobody spoke above a whisper", (440.0, 80.0), RIGHT, false);
            p.add("until the tide had turned", (440.0, 106.0), RIGHT, false);
        }),
        page(1, (400, 800), |p| {
            p.add("A turned page says so", (40.0, 100.0), RIGHT, false);
            p.add("in two lines", (40.0, 126.0), RIGHT, false);
        }),
        page(2, (800, 400), |p| {
            let slope = (0.940, -0.342);
            p.add("Words on a slope stay words", (60.0, 300.0), slope, false);
        }),
        page(3, (800, 400), |p| {
            p.add("港口的船舶数量每年都在增加", (40.0, 60.0), RIGHT, false);
            p.add("北码头需要更多的人手", (40.0, 90.0), RIGHT, false);
        }),
        page(4, (800, 400), |p| {
            p.add("שלום לכל הספנים בנמל", (700.0, 60.0), (-1.0, 0.0), false);
        }),
        page(5, (800, 400), |p| {
            p.add("吾輩は猫である", (700.0, 40.0), (0.0, 1.0), true);
            p.add("名前はまだ無い", (660.0, 40.0), (0.0, 1.0), true);
        }),
        page(6, (800, 400), |p| {
            let crooked = (0.99966, 0.02618);
            p.add(
                "租期自·2026·年·8·月·1·日起至·2028·年止",
                (40.0, 60.0),
                crooked,
                false,
            );
            p.add(
                "Illicit mills will mow mammoth lawns",
                (40.0, 120.0),
                crooked,
                false,
            );
        }),
    ]
}

fn made() -> Vec<u8> {
    let sheets: Vec<Sheet> = (0..7)
        .map(|index| Sheet {
            media: [0.0, 0.0, 400.0, 200.0],
            rotate: if index == 1 { 90 } else { 0 },
            ..Sheet::default()
        })
        .collect();
    let original = std::sync::Arc::new(pdf(&sheets));
    let mut out = Extended::open(&original, "").unwrap();
    for page in pages() {
        out.add(page.index, &page, Layer::Absent).unwrap();
    }
    out.finish().unwrap()
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/viewers/layer.pdf")
}

/// Text as its words, one space between two.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_file_that_viewers_open_is_what_is_made() {
    let made = made();
    if std::env::var_os("MAOOCR_BLESS").is_some() {
        std::fs::write(file(), &made).unwrap();
    }
    assert!(
        std::fs::read(file()).is_ok_and(|kept| kept == made),
        "the layer is written differently now: run this test with MAOOCR_BLESS=1, then those of the other viewers"
    );
}

#[test]
fn poppler_copies_words_in_reading_order() {
    let expected = std::fs::read_to_string(file().with_file_name("expected.txt")).unwrap();
    let ran = Command::new("pdftotext")
        .args(["-q", "-enc", "UTF-8"])
        .arg(file())
        .arg("-")
        .output()
        .expect("pdftotext of poppler-utils");
    let text = String::from_utf8(ran.stdout).unwrap();
    let pages: Vec<String> = text.split('\u{c}').map(words).collect();
    for (index, (page, expected)) in pages.iter().zip(expected.lines()).enumerate() {
        // It takes steep text apart, whoever wrote it.
        if index == 2 {
            continue;
        }
        // Poppler marks the direction of what is read from right to left.
        let bare: String = page
            .chars()
            .filter(|c| !matches!(c, '\u{202a}'..='\u{202e}'))
            .collect();
        assert_eq!(bare, expected.replace(" | ", " "));
    }
    assert!(pages.len() >= expected.lines().count());
}

#[test]
fn qpdf_finds_nothing_wrong() {
    let ran = Command::new("qpdf").arg("--check").arg(file()).output();
    let ran = ran.expect("qpdf");
    assert!(ran.status.success(), "{ran:?}");
}
