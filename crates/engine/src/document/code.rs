//! Program text: which rows of a page are, and how far each is indented.

use super::Line;
use super::order::Row;

/// Fewer rows of at least [`LONG`] characters don't tell whether text is monospaced.
const ROWS: usize = 3;
const LONG: usize = 6;
/// Their lengths differ by at least so many characters: else any type looks monospaced.
const SPREAD: usize = 6;
/// At least this share of the rows …
const MOST: f32 = 0.75;
/// … is as long as the pitch says, up to so many characters.
const TOLERANCE: f32 = 1.2;
/// Characters of a monospaced face are about 0.6 of its size wide, a detected line is 1.1 to 1.5 times its size high.
const WIDTHS: [f32; 2] = [0.3, 0.75];
/// Share of characters that program text has and prose hasn't.
const SIGNS: f32 = 0.06;
/// One column of it may be the detector's margin.
const LEAST: usize = 2;
/// Wider than any editor indents.
const WIDEST: usize = 80;

/// For each row how many spaces it is indented: none on pages that aren't monospaced program text.
pub(super) fn indents(rows: &[Row], lines: &[Line]) -> Vec<usize> {
    let texts: Vec<String> = rows
        .iter()
        .map(|row| {
            let parts: Vec<&str> = row.items.iter().map(|&i| lines[i].text.as_str()).collect();
            parts.join(" ")
        })
        .collect();
    let none = vec![0; rows.len()];
    let upright = !lines.iter().any(|line| line.vertical);
    let Some(pitch) = (upright && signs(&texts) >= SIGNS)
        .then(|| pitch(rows, &texts))
        .flatten()
    else {
        return none;
    };
    let left = rows.iter().map(|row| row.area.x0).fold(f32::MAX, f32::min);
    let columns = |row: &Row| ((row.area.x0 - left) / pitch).round() as usize;
    rows.iter()
        .map(columns)
        .map(|columns| {
            if columns < LEAST {
                0
            } else {
                columns.min(WIDEST)
            }
        })
        .collect()
}

/// The width of a character, if all have the same: the slope of the rows' widths over their lengths (Theil and Sen's
/// median of the slopes between all pairs).
fn pitch(rows: &[Row], texts: &[String]) -> Option<f32> {
    let measured: Vec<(f32, f32)> = rows
        .iter()
        .zip(texts)
        .filter(|(row, _)| row.items.len() == 1)
        .map(|(row, text)| (text.chars().count(), row.area.width()))
        .filter(|(length, _)| *length >= LONG)
        .map(|(length, width)| (length as f32, width))
        .take(200)
        .collect();
    if measured.len() < ROWS || (measured.len() as f32) < MOST * rows.len() as f32 {
        return None;
    }
    let mut slopes: Vec<f32> = Vec::new();
    for (at, a) in measured.iter().enumerate() {
        let far = measured[at + 1..]
            .iter()
            .filter(|b| (a.0 - b.0).abs() >= SPREAD as f32);
        slopes.extend(far.map(|b| (a.1 - b.1) / (a.0 - b.0)));
    }
    let pitch = median(slopes)?;
    let border = median(
        measured
            .iter()
            .map(|(length, width)| width - length * pitch)
            .collect(),
    )?;
    let height = median(rows.iter().map(|row| row.area.height()).collect())?;
    let regular = measured
        .iter()
        .filter(|(length, width)| (width - border - length * pitch).abs() <= TOLERANCE * pitch)
        .count();
    let possible = (WIDTHS[0] * height..=WIDTHS[1] * height).contains(&pitch);
    (possible && regular as f32 >= MOST * measured.len() as f32).then_some(pitch)
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

fn signs(texts: &[String]) -> f32 {
    let (mut signs, mut all) = (0, 0);
    for c in texts.iter().flat_map(|text| text.chars()) {
        all += 1;
        signs += usize::from("=_{}[]<>;|\\~^&\"'`()+".contains(c));
    }
    signs as f32 / all.max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::super::assemble;
    use super::*;
    use crate::geometry::Quad;

    /// Lines of a text as a detector finds them, each character `width` wide.
    fn lines(text: &str, width: impl Fn(char) -> f32) -> Vec<Line> {
        text.lines()
            .enumerate()
            .filter(|(_, row)| !row.trim().is_empty())
            .map(|(at, row)| {
                let indent = row.len() - row.trim_start().len();
                let length: f32 = row.trim_start().chars().map(&width).sum();
                let (x, y) = (20.0 + 12.0 * indent as f32, 10.0 + 34.0 * at as f32);
                Line {
                    text: row.trim_start().into(),
                    confidence: 0.9,
                    quad: Quad::from_rect(x - 3.0, y, x + length + 3.0, y + 26.0),
                    words: Vec::new(),
                    vertical: false,
                }
            })
            .collect()
    }

    const CODE: &str = "def total(items, tax=0.19):\n    s = 0.0\n    for it in items:\n        if it[\"qty\"] <= 0:\n            continue\n        s += it[\"price\"]\n    return s * (1 + tax)";

    #[test]
    fn program_text_keeps_its_indentation() {
        let read = assemble(lines(CODE, |_| 12.0), 800, 400);
        assert_eq!(read.text.replace("\n\n", "\n"), CODE);
    }

    #[test]
    fn proportional_type_and_prose_have_none() {
        let uneven = |c: char| if "il.,:()[]\"".contains(c) { 5.0 } else { 14.0 };
        let read = assemble(lines(CODE, uneven), 800, 400);
        assert!(!read.text.contains("  "), "{}", read.text);
        let receipt = "MILK 2 L      1.20\n    discount -0.20\nBREAD         2.40\n    offer 3 for 2\nTOTAL         3.40";
        let read = assemble(lines(receipt, |_| 12.0), 800, 400);
        assert!(!read.text.contains("\n  "), "{}", read.text);
    }
}
