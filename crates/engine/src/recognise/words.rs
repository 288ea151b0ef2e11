//! The words of a line.

use std::ops::Range;

use super::Reading;

/// A word of a reading.
#[derive(Clone, Debug, PartialEq)]
pub struct WordRange {
    /// Its glyphs.
    pub glyphs: Range<usize>,
    /// Where it begins, as a share of the strip's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
}

/// Words of a reading: split at spaces, and between scripts where no spaces are written.
pub fn words(reading: &Reading) -> Vec<WordRange> {
    let mut words: Vec<WordRange> = Vec::new();
    let mut open = false;
    let mut before = false;
    for (index, glyph) in reading.glyphs.iter().enumerate() {
        if glyph.text.trim().is_empty() {
            open = false;
            continue;
        }
        let wide = is_unspaced(&glyph.text);
        match words.last_mut() {
            Some(word) if open && wide == before => {
                word.glyphs.end = index + 1;
                // Of writing from right to left the later glyph is further left.
                word.start = word.start.min(glyph.start);
                word.end = word.end.max(glyph.end);
            }
            _ => words.push(WordRange {
                glyphs: index..index + 1,
                start: glyph.start,
                end: glyph.end,
            }),
        }
        open = true;
        before = wide;
    }
    words
}

/// Whether a character belongs to writing without spaces between words: Han, kana, full-width forms.
pub fn is_unspaced(text: &str) -> bool {
    text.chars().next().is_some_and(|c| {
        matches!(u32::from(c),
            0x2E80..=0x2FDF | 0x3000..=0x30FF | 0x3105..=0x312F | 0x31A0..=0x31FF | 0x3220..=0x4DBF
            | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFFEF | 0x20000..=0x323AF)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Glyph;
    use super::*;

    #[test]
    fn words_end_at_spaces_and_between_scripts() {
        let glyphs = "ab c中文d".chars().enumerate().map(|(i, c)| Glyph {
            text: c.to_string(),
            start: i as f32 / 10.0,
            end: (i + 1) as f32 / 10.0,
            confidence: 1.0,
        });
        let reading = Reading {
            glyphs: glyphs.collect(),
        };
        let ranges: Vec<_> = words(&reading).into_iter().map(|w| w.glyphs).collect();
        assert_eq!(ranges, [0..2, 3..4, 4..6, 6..7]);
    }
}
