//! Scripts that run from right to left: a recogniser reads what it sees from left to right, text is stored as it is
//! spoken.

use unicode_bidi::{BidiClass, bidi_class};

use super::Glyph;

/// Puts glyphs that lie from left to right into the order in which they are read, where letters of a right-to-left
/// script are among them.
///
/// The Unicode bidirectional algorithm (UAX #9) backwards: levels are found as its rules W and N do, but along what is
/// seen; reordering by them (L2) is its own inverse. Brackets of right-to-left runs are turned (L4).
pub fn logical(glyphs: &mut [Glyph]) {
    let kinds: Vec<Kind> = glyphs.iter().map(|g| kind(&g.text)).collect();
    if !kinds.contains(&Kind::Left) {
        return;
    }
    let leftward = runs_leftward(&kinds);
    let levels = levels(&kinds, leftward);
    for (glyph, level) in glyphs.iter_mut().zip(&levels) {
        if level % 2 == 1
            && let Some(other) = mirrored(&glyph.text)
        {
            glyph.text = other.into();
        }
    }
    let mut runs: Vec<(u8, Glyph)> = levels.into_iter().zip(glyphs.iter().cloned()).collect();
    for level in [2, 1] {
        for run in runs.chunk_by_mut(|a, b| (a.0 >= level) == (b.0 >= level)) {
            if run[0].0 >= level {
                run.reverse();
            }
        }
    }
    for (glyph, (_, run)) in glyphs.iter_mut().zip(runs) {
        *glyph = run;
    }
}

/// Whether a text's first letter is one of a right-to-left script (rule P2).
pub fn runs_left(text: &str) -> bool {
    text.chars()
        .map(|c| kind_of(bidi_class(c)))
        .find(|k| matches!(k, Kind::Left | Kind::Right))
        == Some(Kind::Left)
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    /// A letter that is followed to the right.
    Right,
    /// A letter that is followed to the left.
    Left,
    /// A digit, which runs to the right within either.
    Number,
    /// Part of a number if it stands in one: signs, separators.
    Joint,
    /// Takes the direction of what surrounds it.
    Neutral,
}

fn kind(text: &str) -> Kind {
    text.chars()
        .next()
        .map_or(Kind::Neutral, |c| kind_of(bidi_class(c)))
}

fn kind_of(class: BidiClass) -> Kind {
    match class {
        BidiClass::L => Kind::Right,
        BidiClass::R | BidiClass::AL => Kind::Left,
        BidiClass::EN | BidiClass::AN => Kind::Number,
        BidiClass::CS | BidiClass::ES | BidiClass::ET => Kind::Joint,
        _ => Kind::Neutral,
    }
}

/// The line's own direction. What is read first stands at one of the ends: where both are of one direction it is
/// theirs, else that of most letters.
fn runs_leftward(kinds: &[Kind]) -> bool {
    let letters = || {
        kinds
            .iter()
            .filter(|k| matches!(k, Kind::Left | Kind::Right))
    };
    let (first, last) = (letters().next(), letters().next_back());
    if first == last {
        return first == Some(&Kind::Left);
    }
    2 * letters().filter(|k| **k == Kind::Left).count() >= letters().count()
}

/// Embedding levels along what is seen: 0 and 2 run to the right, 1 to the left.
fn levels(kinds: &[Kind], leftward: bool) -> Vec<u8> {
    let mut kinds = kinds.to_vec();
    // W4 to W6: a separator between digits or a sign beside them belongs to the number.
    for i in 0..kinds.len() {
        if kinds[i] == Kind::Joint {
            let before = i > 0 && kinds[i - 1] == Kind::Number;
            let after = kinds.get(i + 1) == Some(&Kind::Number);
            kinds[i] = if before && after {
                Kind::Number
            } else {
                Kind::Neutral
            };
        }
    }
    let strong = |k: &Kind| matches!(k, Kind::Left | Kind::Right);
    let base = if leftward { Kind::Left } else { Kind::Right };
    let resolved: Vec<Kind> = (0..kinds.len())
        .map(|i| {
            let before = kinds[..i].iter().rev().find(|k| strong(k)).copied();
            let after = kinds[i + 1..].iter().find(|k| strong(k)).copied();
            match kinds[i] {
                // W7: a number after a word of another script is part of its run.
                Kind::Number if before == Some(Kind::Right) => Kind::Right,
                Kind::Number if !leftward && after != Some(Kind::Left) => Kind::Right,
                // N1, N2.
                Kind::Neutral => {
                    let side = |k: Option<&Kind>, beyond: Option<Kind>| match k {
                        // A number counts as the text that it stands in.
                        Some(Kind::Number) => beyond.unwrap_or(base),
                        Some(k) => *k,
                        None => base,
                    };
                    let solid = |k: &&Kind| **k != Kind::Neutral;
                    let left = side(kinds[..i].iter().rev().find(solid), before);
                    let right = side(kinds[i + 1..].iter().find(solid), before);
                    if left == right { left } else { base }
                }
                other => other,
            }
        })
        .collect();
    resolved
        .into_iter()
        .map(|kind| match kind {
            Kind::Left => 1,
            Kind::Number => 2,
            _ if leftward => 2,
            _ => 0,
        })
        .collect()
}

fn mirrored(text: &str) -> Option<&'static str> {
    const PAIRS: [[&str; 2]; 10] = [
        ["(", ")"],
        ["[", "]"],
        ["{", "}"],
        ["<", ">"],
        ["«", "»"],
        ["‹", "›"],
        ["≤", "≥"],
        ["（", "）"],
        ["［", "］"],
        ["⟨", "⟩"],
    ];
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
    fn one_arabic_word_leaves_an_english_line_as_it_is() {
        assert_eq!(
            read(&format!("The word {} means hello", seen("مرحبا"))),
            "The word مرحبا means hello"
        );
        assert_eq!(
            read(&format!("See page 12: {}", seen("شكرا"))),
            "See page 12: شكرا"
        );
        assert_eq!(
            read(&format!("{} is a greeting", seen("سلام عليكم"))),
            "سلام عليكم is a greeting"
        );
    }

    #[test]
    fn hebrew_beside_numbers_and_english() {
        assert_eq!(read(&format!("3 {}", seen("עמוד"))), "עמוד 3");
        assert_eq!(
            read(&format!("{} OCR {}", seen("של גוגל"), seen("מנוע"))),
            "מנוע OCR של גוגל"
        );
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
