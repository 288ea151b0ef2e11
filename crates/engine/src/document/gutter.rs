//! Lines that the detector ran together across the gutter between two columns → the lines of each column.

use super::{Line, Word};
use crate::geometry::Quad;

/// A gutter is at least this wide where a line crosses it, in heights of the line.
const WIDTH: f32 = 0.4;
/// Lines this near above or below a line tell its columns, in heights.
const NEAR: f32 = 9.0;
/// At least so many of them end before the gutter and begin after it.
const WITNESSES: usize = 3;
/// How far from the gutter the lines before it end at most, in heights: columns may be set ragged.
const RAGGED: f32 = 4.0;
/// How exactly the lines after it begin there, in heights.
const ALIGNED: f32 = 0.7;
/// They are set in about the same size: a title in larger letters stands across columns. Ratio of heights.
const SAME: f32 = 1.4;
/// Each part of a line is at least this long, in heights: cells of tables mostly aren't.
const PART: f32 = 4.0;

/// Parts lines where they cross a gutter that no other line near them crosses.
pub(super) fn part_across(lines: Vec<Line>) -> Vec<Line> {
    let bounds: Vec<[f32; 4]> = lines.iter().map(|line| line.quad.bounds()).collect();
    let places: Vec<Option<usize>> = (0..lines.len())
        .map(|at| crossing(at, &lines, &bounds))
        .collect();
    lines
        .into_iter()
        .zip(places)
        .flat_map(|(line, place)| match place {
            Some(word) => parted(line, word),
            None => vec![line],
        })
        .collect()
}

/// The word of a line before which it crosses a gutter.
fn crossing(own: usize, lines: &[Line], bounds: &[[f32; 4]]) -> Option<usize> {
    let line = &lines[own];
    let height = line.quad.height();
    let [x0, y0, x1, y1] = bounds[own];
    // The boxes of words are compared as they stand.
    let level = (y1 - y0) < 1.6 * height && !line.vertical;
    if !level || x1 - x0 < 2.0 * PART * height {
        return None;
    }
    let middle = (y0 + y1) / 2.0;
    let near = || {
        bounds.iter().zip(lines).filter(|(b, other)| {
            let apart = ((b[1] + b[3]) / 2.0 - middle).abs();
            !other.vertical && apart > 0.5 * height && apart < NEAR * height
        })
    };
    (1..line.words.len()).find(|&word| {
        let end = line.words[word - 1].quad.bounds()[2];
        let begin = line.words[word].quad.bounds()[0];
        if begin - end < WIDTH * height || end - x0 < PART * height || x1 - begin < PART * height {
            return false;
        }
        let is_before = |b: &[f32; 4]| {
            b[2] < begin && b[2] > end - RAGGED * height && b[2] - b[0] > PART * height
        };
        let is_after =
            |b: &[f32; 4]| (b[0] - begin).abs() < ALIGNED * height && b[2] - b[0] > PART * height;
        let crosses = |b: &[f32; 4]| b[0] < end - height && b[2] > begin + height;
        let same = |other: &Line| {
            let size = other.quad.height() / height.max(1.0);
            (1.0 / SAME..SAME).contains(&size)
        };
        let witnesses = |is: &dyn Fn(&[f32; 4]) -> bool| {
            let agree = near().filter(|(b, other)| is(b) && same(other));
            agree.count() >= WITNESSES
        };
        witnesses(&is_before) && witnesses(&is_after) && !near().any(|(b, _)| crosses(b))
    })
}

/// A line as two, of which the second begins with a word.
fn parted(line: Line, word: usize) -> Vec<Line> {
    let mut at = 0;
    for before in &line.words[..word] {
        let Some(found) = line.text[at..].find(before.text.as_str()) else {
            return vec![line];
        };
        at += found + before.text.len();
    }
    let (left, right) = line.text.split_at(at);
    let (left, right) = (left.trim().to_string(), right.trim().to_string());
    let [begin, _, end, _] = line.quad.bounds();
    let along = |x: f32| ((x - begin) / (end - begin).max(1.0)).clamp(0.0, 1.0);
    let edge = [
        along(line.words[word - 1].quad.bounds()[2]),
        along(line.words[word].quad.bounds()[0]),
    ];
    let mut words = line.words;
    let others = words.split_off(word);
    let part = |text: String, quad: Quad, words: Vec<Word>| {
        let length = |w: &Word| w.text.chars().count() as f32;
        let sum: f32 = words.iter().map(|w| w.confidence * length(w)).sum();
        let all: f32 = words.iter().map(length).sum();
        Line {
            text,
            confidence: sum / all.max(1.0),
            quad,
            words,
            vertical: false,
        }
    };
    vec![
        part(left, line.quad.slice(0.0, edge[0]), words),
        part(right, line.quad.slice(edge[1], 1.0), others),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, x: f32, y: f32) -> Vec<Word> {
        let mut x = x;
        text.split(' ')
            .map(|word| {
                let width = 9.0 * word.len() as f32;
                let quad = Quad::from_rect(x, y, x + width, y + 18.0);
                x += width + 7.0;
                Word {
                    text: word.into(),
                    confidence: 0.9,
                    quad,
                }
            })
            .collect()
    }

    fn line(words: Vec<Word>) -> Line {
        let text: Vec<&str> = words.iter().map(|w| w.text.as_str()).collect();
        let [x0, y0, ..] = words[0].quad.bounds();
        let [.., x1, y1] = words[words.len() - 1].quad.bounds();
        Line {
            text: text.join(" "),
            confidence: 0.9,
            quad: Quad::from_rect(x0, y0, x1, y1),
            words,
            vertical: false,
        }
    }

    /// Two columns of five lines, of which the third is one line if `joined`.
    fn page(joined: bool) -> Vec<Line> {
        let mut lines = Vec::new();
        for row in 0..5 {
            let y = 24.0 * row as f32;
            let left = words(&format!("a{row} the left column of a page"), 0.0, y);
            let right = words(&format!("b{row} the right one beside it"), 290.0, y);
            if joined && row == 2 {
                lines.push(line([left, right].concat()));
            } else {
                lines.push(line(left));
                lines.push(line(right));
            }
        }
        lines
    }

    #[test]
    fn a_line_across_a_gutter_is_parted() {
        let texts = |lines: Vec<Line>| -> Vec<String> {
            part_across(lines).into_iter().map(|l| l.text).collect()
        };
        assert_eq!(texts(page(true)), texts(page(false)));
        let parted = part_across(page(true));
        let [_, _, end, _] = parted[4].quad.bounds();
        let [begin, ..] = parted[5].quad.bounds();
        assert!(end < 280.0 && begin > 285.0, "{end} {begin}");
    }

    #[test]
    fn lines_over_both_columns_stay_whole() {
        // A heading and its subtitle run over both; so do all lines of plain prose with wide spaces.
        let mut lines = page(true);
        lines.push(line(words(
            "a heading that runs over both of the columns",
            0.0,
            -24.0,
        )));
        assert_eq!(part_across(lines.clone()).len(), lines.len());
        // Larger letters, and a wide space where the gutter is.
        let mut lines = page(false);
        let mut title = line(
            [
                words("the left column", 90.0, -40.0),
                words("of a page with two of them", 290.0, -40.0),
            ]
            .concat(),
        );
        title.quad = Quad::from_rect(90.0, -44.0, 540.0, -12.0);
        lines.push(title);
        assert_eq!(part_across(lines.clone()).len(), lines.len());
        let prose: Vec<Line> = (0..6)
            .map(|row| {
                let y = 24.0 * row as f32;
                line(
                    [
                        words("some words of a line", 0.0, y),
                        words("after a wide space", 260.0, y),
                    ]
                    .concat(),
                )
            })
            .collect();
        assert_eq!(part_across(prose).len(), 6);
    }
}
