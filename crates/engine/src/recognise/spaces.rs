//! Settles the spaces of a line and where its characters begin and end.
//!
//! The recognisers swallow many spaces between Latin words (`FAXNUMBER:(336)`): the blank wins where a space
//! stands. Two traces are left, the space's own probability and the distance between the characters' steps.

use maoocr_models::manifest::Spaces;

use super::ctc::Step;
use super::{Glyph, Reading, is_unspaced};

/// Makes glyphs of a line's characters, with single spaces between words and none at the ends.
pub(super) fn finish(steps: &[Step], width: f32, spaces: &Spaces) -> Reading {
    let characters: Vec<&Step> = steps.iter().filter(|s| !s.text.trim().is_empty()).collect();
    let advance = usual_advance(&characters);
    let mut glyphs: Vec<Glyph> = Vec::with_capacity(steps.len());
    let mut before: Option<&Step> = None;
    let mut space: Option<f32> = None;
    let mut probability = 0.0f32;
    // Of the character that comes next, among `characters`.
    let mut index = 0usize;
    for step in steps {
        probability = probability.max(step.space_before);
        if step.text.trim().is_empty() {
            space = Some(step.confidence);
            continue;
        }
        let half = |other: Option<&&Step>| {
            // Half way to the neighbour, but no further than a wide character reaches.
            other.map_or(advance * 0.6, |o| {
                ((o.center - step.center).abs() / 2.0).min(advance * 0.75)
            })
        };
        let start = step.center - half(index.checked_sub(1).and_then(|i| characters.get(i)));
        let end = step.center + half(characters.get(index + 1));
        if let Some(before) = before {
            let put_in =
                space.is_none() && swallowed(&characters, index, advance, probability, spaces);
            if space.is_some() || put_in {
                glyphs.push(Glyph {
                    text: " ".into(),
                    start: glyphs.last().map_or(start / width, |g| g.end),
                    end: start / width,
                    confidence: space.unwrap_or(before.confidence.min(step.confidence)),
                });
            }
        }
        glyphs.push(Glyph {
            text: step.text.clone(),
            start: (start / width).clamp(0.0, 1.0),
            end: (end / width).clamp(0.0, 1.0),
            confidence: step.confidence,
        });
        (before, space, probability) = (Some(step), None, 0.0);
        index += 1;
    }
    Reading { glyphs }
}

/// Median distance between neighbouring characters, px.
fn usual_advance(characters: &[&Step]) -> f32 {
    let mut distances: Vec<f32> = characters
        .windows(2)
        .map(|p| p[1].center - p[0].center)
        .collect();
    if distances.is_empty() {
        return 24.0;
    }
    distances.sort_by(f32::total_cmp);
    distances[distances.len() / 2].max(4.0)
}

/// Whether there is a space before the character at `index`, of which `probability` was the highest seen.
fn swallowed(
    characters: &[&Step],
    index: usize,
    advance: f32,
    probability: f32,
    spaces: &Spaces,
) -> bool {
    let Some(before) = index.checked_sub(1).map(|i| characters[i]) else {
        return false;
    };
    let after = characters[index];
    if is_unspaced(&before.text) || is_unspaced(&after.text) {
        return false;
    }
    if in_number(characters, index) {
        return probability >= spaces.in_number;
    }
    let gap = (after.center - before.center) / advance;
    if gap < spaces.narrow && is_letters(&before.text) && is_letters(&after.text) {
        return probability >= spaces.in_word;
    }
    probability >= spaces.probability || (gap >= spaces.gap && probability >= spaces.trace)
}

fn is_letters(text: &str) -> bool {
    text.chars().all(char::is_alphabetic)
}

/// Whether the place before the character at `index` touches a sign between two digits. A sign with a digit on one
/// side only, as in `Tel:03`, is no number: taking it for one costs up to 1.2 of word F1.
fn in_number(characters: &[&Step], index: usize) -> bool {
    let is = |i: Option<usize>, test: fn(char) -> bool| {
        i.and_then(|i| characters.get(i))
            .is_some_and(|s| s.text.chars().all(test))
    };
    let digit = |i| is(i, |c| c.is_ascii_digit());
    let sign = |i| is(i, |c| matches!(c, '.' | ',' | ':' | '/' | '-' | '\''));
    let around = |at: Option<usize>| {
        sign(at) && digit(at.and_then(|i| i.checked_sub(1))) && digit(at.map(|i| i + 1))
    };
    around(Some(index)) || around(index.checked_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(characters: &[(&str, f32, f32)]) -> Vec<Step> {
        characters
            .iter()
            .map(|&(text, center, space_before)| Step {
                text: text.into(),
                center,
                confidence: 0.9,
                space_before,
            })
            .collect()
    }

    fn text(characters: &[(&str, f32, f32)]) -> String {
        finish(&line(characters), 400.0, &Spaces::default()).text()
    }

    #[test]
    fn swallowed_spaces_come_back() {
        assert_eq!(
            text(&[
                ("a", 10.0, 0.0),
                ("b", 30.0, 0.0),
                ("c", 56.0, 0.3),
                ("d", 76.0, 0.0)
            ]),
            "ab cd"
        );
        assert_eq!(
            text(&[
                ("a", 10.0, 0.0),
                ("b", 30.0, 0.0),
                ("c", 90.0, 0.05),
                ("d", 110.0, 0.0)
            ]),
            "ab cd"
        );
    }

    #[test]
    fn a_wide_gap_without_any_trace_of_a_space_stays() {
        assert_eq!(
            text(&[
                ("a", 10.0, 0.0),
                ("b", 30.0, 0.0),
                ("c", 90.0, 0.0),
                ("d", 110.0, 0.0)
            ]),
            "abcd"
        );
    }

    #[test]
    fn inside_a_word_only_a_clear_space_counts() {
        let line = |second: &'static str, space| {
            text(&[
                ("a", 10.0, 0.0),
                ("b", 30.0, 0.0),
                (second, 50.0, space),
                ("d", 70.0, 0.0),
            ])
        };
        assert_eq!(line("c", 0.3), "abcd");
        assert_eq!(line("c", 0.5), "ab cd");
        assert_eq!(line("(", 0.3), "ab (d");
    }

    #[test]
    fn numbers_and_chinese_stay_whole() {
        assert_eq!(
            text(&[("1", 10.0, 0.0), (",", 20.0, 0.2), ("2", 50.0, 0.2)]),
            "1,2"
        );
        assert_eq!(text(&[("中", 10.0, 0.0), ("文", 90.0, 0.3)]), "中文");
    }

    #[test]
    fn a_sign_before_a_digit_is_not_yet_a_number() {
        assert_eq!(
            text(&[
                ("l", 10.0, 0.0),
                (":", 20.0, 0.0),
                ("0", 40.0, 0.2),
                ("3", 60.0, 0.0)
            ]),
            "l: 03"
        );
        assert_eq!(
            text(&[
                ("1", 10.0, 0.0),
                (":", 20.0, 0.0),
                ("0", 40.0, 0.2),
                ("3", 60.0, 0.0)
            ]),
            "1:03"
        );
    }

    #[test]
    fn spaces_are_single_and_inside() {
        let read = text(&[
            (" ", 2.0, 0.0),
            ("a", 10.0, 0.0),
            (" ", 20.0, 0.0),
            (" ", 30.0, 0.0),
            ("b", 40.0, 0.0),
            (" ", 60.0, 0.0),
        ]);
        assert_eq!(read, "a b");
    }

    #[test]
    fn glyphs_are_in_order_and_inside() {
        let reading = finish(
            &line(&[("a", 10.0, 0.0), ("b", 30.0, 0.5), ("c", 390.0, 0.0)]),
            400.0,
            &Spaces::default(),
        );
        for pair in reading.glyphs.windows(2) {
            assert!(
                pair[0].start <= pair[0].end && pair[0].end <= pair[1].start + 1e-4,
                "{pair:?}"
            );
        }
        assert!(
            reading
                .glyphs
                .iter()
                .all(|g| (0.0..=1.0).contains(&g.start) && g.end <= 1.0)
        );
    }
}
