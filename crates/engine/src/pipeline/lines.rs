//! Readings → lines: which of them are text, and where their words stand on the page.

use std::collections::BTreeMap;

use maoocr_models::manifest::Sureness;

use super::second_chance::Read;
use crate::answer::{DropReason, Dropped};
use crate::detect::Detected;
use crate::document::{Line, Word};
use crate::geometry::Quad;
use crate::recognise::{self, Reading};
use crate::vertical;

/// Why a reading is not taken for text, if so. A picture that is itself `one_line` hardly holds anything else.
pub(super) fn unsure(reading: &Reading, one_line: bool, sureness: &Sureness) -> bool {
    let least = if reading.len() == 1 && !one_line {
        sureness.lone
    } else {
        sureness.line
    };
    reading.is_empty() || reading.confidence() < least
}

/// What the detector is this sure of is text …
const SURELY_TEXT: f32 = 0.7;
/// … if it has at least so many characters: a picture of one looks like many things.
const SHORTEST_TEXT: usize = 3;

/// What was read, each with its index among what was told.
pub(super) struct Sifted {
    pub(super) lines: Vec<(usize, Line)>,
    pub(super) dropped: Vec<(usize, Dropped)>,
}

/// Parts what was read into lines of text and what is dropped. `found` is what the detector says of them.
pub(super) fn sift(
    reads: &[Read],
    found: &[Detected],
    one_line: bool,
    sureness: &Sureness,
) -> Sifted {
    let mut lines = Vec::new();
    let mut dropped = Vec::new();
    let noise = noisy_columns(reads, found, sureness);
    for read in reads {
        let line = line(read);
        let detected = found.get(read.index);
        let doubtful = detected.is_some_and(|d| {
            (d.doubtful && read.reading.confidence() < sureness.doubted)
                || d.column.is_some_and(|column| noise.contains(&column))
        });
        if !doubtful && !unsure(&read.reading, one_line, sureness) {
            lines.push((read.index, line));
            continue;
        }
        let score = detected.map_or(0.0, |d| d.score);
        let reason = if score >= SURELY_TEXT && read.reading.len() >= SHORTEST_TEXT {
            DropReason::Unread
        } else {
            DropReason::Unsure
        };
        dropped.push((read.index, drop_line(line, reason)));
    }
    let columns: Vec<Line> = lines
        .iter()
        .filter(|(_, l)| l.vertical)
        .map(|(_, l)| l.clone())
        .collect();
    let (ruby, lines): (Vec<_>, Vec<_>) = lines
        .into_iter()
        .partition(|(_, l)| tall(&l.quad) && vertical::is_ruby(l, &columns));
    let ruby = ruby.into_iter();
    dropped.extend(ruby.map(|(index, line)| (index, drop_line(line, DropReason::Ruby))));
    Sifted { lines, dropped }
}

/// Columns found by their ink of which at least this share is read surely hold characters; others hold specks.
const SURE_SHARE: f32 = 0.6;

/// The columns of lone characters that hold none.
fn noisy_columns(reads: &[Read], found: &[Detected], sureness: &Sureness) -> Vec<usize> {
    let mut columns: BTreeMap<usize, (f32, f32)> = BTreeMap::new();
    for read in reads {
        let Some(column) = found.get(read.index).and_then(|d| d.column) else {
            continue;
        };
        let (sure, all) = columns.entry(column).or_default();
        *all += 1.0;
        if read.reading.len() == 1 && read.reading.confidence() >= sureness.doubted {
            *sure += 1.0;
        }
    }
    let noisy = columns
        .into_iter()
        .filter(|(_, (sure, all))| *sure < SURE_SHARE * all);
    noisy.map(|(column, _)| column).collect()
}

fn drop_line(line: Line, reason: DropReason) -> Dropped {
    Dropped {
        text: line.text,
        confidence: line.confidence,
        quad: line.quad,
        reason,
    }
}

/// Whether a line stands in the picture, whichever way its text runs: ruby is too short to tell.
fn tall(quad: &Quad) -> bool {
    let [x0, y0, x1, y1] = quad.bounds();
    y1 - y0 > x1 - x0
}

/// What was read, with its words where they stand on the page.
pub(super) fn line(read: &Read) -> Line {
    let (reading, placement) = (&read.reading, &read.placement);
    let words = recognise::words(reading)
        .into_iter()
        .map(|word| {
            let glyphs = &reading.glyphs[word.glyphs];
            Word {
                text: glyphs.iter().map(|g| g.text.as_str()).collect(),
                confidence: glyphs.iter().map(|g| g.confidence).sum::<f32>()
                    / glyphs.len().max(1) as f32,
                quad: placement.part(word.start, word.end),
            }
        })
        .collect();
    Line {
        text: reading.text(),
        confidence: reading.confidence(),
        quad: placement.line(),
        words,
        vertical: placement.is_vertical(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::second_chance::tests::reading;
    use super::*;

    #[test]
    fn a_lone_character_must_be_sure() {
        assert!(unsure(&reading("O", 0.6), false, &Sureness::default()));
        assert!(!unsure(&reading("O", 0.6), true, &Sureness::default()));
        assert!(!unsure(&reading("O", 0.8), false, &Sureness::default()));
        assert!(!unsure(&reading("OK", 0.6), false, &Sureness::default()));
        assert!(unsure(&reading("OK", 0.4), true, &Sureness::default()));
        assert!(unsure(&Reading::default(), true, &Sureness::default()));
    }

    #[test]
    fn a_column_found_by_its_ink_holds_characters_or_specks() {
        let quad = Quad::from_rect(0.0, 0.0, 10.0, 20.0);
        let detected = |column: Option<usize>| Detected {
            quad,
            score: 0.0,
            doubtful: false,
            veiled: false,
            column,
        };
        let texts = [
            ("1", 0.9),
            ("1", 0.9),
            ("l", 0.6),
            ("1", 0.75),
            ("2", 0.9),
            ("1", 0.9),
            ("-", 0.3),
            ("word", 0.9),
        ];
        let columns = [
            Some(0),
            Some(0),
            Some(0),
            Some(0),
            Some(0),
            Some(1),
            Some(1),
            None,
        ];
        let reads: Vec<Read> = texts
            .into_iter()
            .enumerate()
            .map(|(index, (text, confidence))| Read {
                index,
                reading: reading(text, confidence),
                placement: crate::crop::Placement::new(quad, &quad),
            })
            .collect();
        let sifted = sift(&reads, &columns.map(detected), false, &Sureness::default());
        let kept: Vec<usize> = sifted.lines.iter().map(|(index, _)| *index).collect();
        assert_eq!(kept, [0, 1, 3, 4, 7]);
    }
}
