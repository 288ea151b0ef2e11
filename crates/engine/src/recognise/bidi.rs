//! Scripts that run from right to left: a recogniser reads what it sees from left to right, text is stored as it is
//! spoken.

use super::Glyph;

/// Puts glyphs that lie from left to right into the order in which they are read, where letters of a right-to-left
/// script are among them. Numbers and words of other scripts keep their direction, and brackets are turned: rules L2 and
/// L4 of the Unicode bidirectional algorithm (UAX #9), backwards, for a paragraph that runs from right to left.
pub fn logical(glyphs: &mut [Glyph]) {
    if !glyphs.iter().any(|g| runs_left(&g.text)) {
        return;
    }
    glyphs.reverse();
    let mut at = 0;
    while at < glyphs.len() {
        if direction(&glyphs[at].text) != Direction::Right {
            if let Some(other) = mirrored(&glyphs[at].text) {
                glyphs[at].text = other.into();
            }
            at += 1;
            continue;
        }
        // Up to the last such glyph before one of the other direction.
        let rest = glyphs[at..]
            .iter()
            .map(|g| direction(&g.text))
            .take_while(|d| *d != Direction::Left);
        let last = rest
            .enumerate()
            .filter(|(_, d)| *d == Direction::Right)
            .last();
        let end = at + last.map_or(0, |(offset, _)| offset) + 1;
        glyphs[at..end].reverse();
        at = end;
    }
}

/// Whether it begins with a letter of a right-to-left script.
pub fn runs_left(text: &str) -> bool {
    direction(text) == Direction::Left
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Direction {
    /// From left to right.
    Right,
    /// From right to left.
    Left,
    /// That of what surrounds it.
    Neutral,
}

fn direction(text: &str) -> Direction {
    let Some(first) = text.chars().next() else {
        return Direction::Neutral;
    };
    match u32::from(first) {
        // Digits of Arabic run as all digits do.
        0x0660..=0x0669 | 0x06F0..=0x06F9 => Direction::Right,
        // Arabic comma, semicolon, question mark, full stop.
        0x060C | 0x061B | 0x061F | 0x06D4 => Direction::Left,
        0x0590..=0x08FF | 0xFB1D..=0xFDFF | 0xFE70..=0xFEFC => Direction::Left,
        _ if first.is_alphanumeric() => Direction::Right,
        _ => Direction::Neutral,
    }
}

fn mirrored(text: &str) -> Option<&'static str> {
    const PAIRS: [[&str; 2]; 5] = [["(", ")"], ["[", "]"], ["{", "}"], ["<", ">"], ["«", "»"]];
    PAIRS.iter().find_map(|[open, close]| match text {
        text if text == *open => Some(*close),
        text if text == *close => Some(*open),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(seen: &str) -> String {
        let mut glyphs: Vec<Glyph> = seen
            .chars()
            .map(|c| Glyph {
                text: c.to_string(),
                start: 0.0,
                end: 1.0,
                confidence: 1.0,
            })
            .collect();
        logical(&mut glyphs);
        glyphs.iter().map(|g| g.text.as_str()).collect()
    }

    /// What is on the page, from left to right.
    fn seen(text: &str) -> String {
        text.chars().rev().collect()
    }

    #[test]
    fn letters_are_read_from_the_right() {
        assert_eq!(read(&seen("مرحبا بالعالم")), "مرحبا بالعالم");
        assert_eq!(read(&seen("شكرا.")), "شكرا.");
    }

    #[test]
    fn numbers_and_foreign_words_keep_their_direction() {
        assert_eq!(read(&format!("2.50 {}", seen("السعر"))), "السعر 2.50");
        assert_eq!(
            read(&format!("{} MaoOCR v2 {}", seen("اليوم"), seen("استخدم"))),
            "استخدم MaoOCR v2 اليوم"
        );
        assert_eq!(read("١٢٣"), "١٢٣");
    }

    #[test]
    fn brackets_are_turned() {
        assert_eq!(read(&format!("({}", seen("نعم"))), "نعم)");
    }

    #[test]
    fn lines_without_such_letters_stay() {
        assert_eq!(read("Hello, world!"), "Hello, world!");
    }
}
