//! A page's lines as a content stream of unseen text.

use std::fmt::Write;

use hayro::kurbo::{Affine, Point, Vec2};
use maoocr_engine::document::{Line, PageText, Word};
use maoocr_engine::geometry::Quad;

use super::font::{ADVANCE, DESCENT, Encoder};

/// The stream for a page; `to_user` maps its pixels to the PDF's user space, and the font's resource is `/name`. Empty
/// where there is no text.
pub fn stream(page: &PageText, to_user: Affine, name: &str, encoder: &mut Encoder) -> String {
    let mut out = String::new();
    for line in in_order(page) {
        write_line(line, to_user, name, encoder, &mut out);
    }
    if out.is_empty() {
        return out;
    }
    // 3 Tr: neither filled nor stroked.
    format!("q\nBT\n3 Tr\n{out}ET\nQ\n")
}

/// The lines as the regions have them; a page without regions has them in order.
fn in_order(page: &PageText) -> Vec<&Line> {
    let mut seen = vec![false; page.lines.len()];
    let mut lines = Vec::with_capacity(page.lines.len());
    let listed = page.regions.iter().flat_map(|r| r.lines.iter().copied());
    for index in listed.chain(0..page.lines.len()) {
        if let Some(seen) = seen.get_mut(index)
            && !std::mem::replace(seen, true)
        {
            lines.push(&page.lines[index]);
        }
    }
    lines
}

fn write_line(line: &Line, to_user: Affine, name: &str, encoder: &mut Encoder, out: &mut String) {
    let whole = [Word {
        text: line.text.clone(),
        confidence: line.confidence,
        quad: line.quad,
    }];
    let words = if line.words.is_empty() {
        &whole[..]
    } else {
        &line.words
    };
    // Whether a space follows each word.
    let mut rest = line.text.as_str();
    let mut parts: Vec<(&Word, bool)> = Vec::with_capacity(words.len());
    for word in words {
        if let Some(at) = rest.find(&word.text) {
            rest = &rest[at + word.text.len()..];
        }
        parts.push((word, rest.starts_with(char::is_whitespace)));
    }
    // Readers expect text as it lies on the page and turn it themselves.
    let leftward = line.text.chars().any(is_leftward);
    if leftward {
        let [a, b, ..] = line.quad.0;
        let along = |w: &Word| {
            let c = w.quad.center();
            (c.x - a.x) * (b.x - a.x) + (c.y - a.y) * (b.y - a.y)
        };
        parts.sort_by(|(v, _), (w, _)| along(v).total_cmp(&along(w)));
        let last = parts.len().saturating_sub(1);
        for (index, (_, space)) in parts.iter_mut().enumerate() {
            *space = index < last;
        }
    }
    let gaps = gaps(&parts, line.vertical);
    for ((word, space), [before, after]) in parts.into_iter().zip(gaps) {
        let text: String = if word.text.chars().any(is_leftward) {
            word.text.chars().rev().collect()
        } else {
            word.text.clone()
        };
        let quad = trimmed(&word.quad, line.vertical, before, after);
        write_word(
            &text,
            space,
            &quad,
            line.vertical,
            to_user,
            name,
            encoder,
            out,
        );
    }
}

/// Words with a space between them stand at least so far apart, heights: what is nearer some readers join.
const MIN_GAP: f32 = 0.2;

/// How much each word has to give up at its start and at its end, shares of its length.
fn gaps(parts: &[(&Word, bool)], vertical: bool) -> Vec<[f32; 2]> {
    let sides = |quad: &Quad| {
        let [a, b, c, d] = quad.0;
        if vertical {
            [a.lerp(b, 0.5), d.lerp(c, 0.5)]
        } else {
            [a.lerp(d, 0.5), b.lerp(c, 0.5)]
        }
    };
    let thickness = |quad: &Quad| {
        if vertical {
            quad.width()
        } else {
            quad.height()
        }
    };
    let mut gaps = vec![[0.0; 2]; parts.len()];
    for index in 1..parts.len() {
        let ((first, space), (second, _)) = (parts[index - 1], parts[index]);
        let ([from, end], [start, to]) = (sides(&first.quad), sides(&second.quad));
        let (one, two) = (from.distance(end), start.distance(to));
        if !space || one <= 0.0 || two <= 0.0 {
            continue;
        }
        let along = ((end.x - from.x) / one, (end.y - from.y) / one);
        let gap = (start.x - end.x) * along.0 + (start.y - end.y) * along.1;
        let wanted = MIN_GAP * thickness(&first.quad).max(thickness(&second.quad));
        // A word never gives up more than a quarter.
        let missing = ((wanted - gap) / 2.0).clamp(0.0, wanted);
        gaps[index - 1][1] = (missing / one).min(0.25);
        gaps[index][0] = (missing / two).min(0.25);
    }
    gaps
}

/// A word's quad without shares of its length at its start and its end.
fn trimmed(quad: &Quad, vertical: bool, before: f32, after: f32) -> Quad {
    if vertical {
        let [a, b, c, d] = quad.0;
        let (from, to) = (before, 1.0 - after);
        Quad([
            a.lerp(d, from),
            b.lerp(c, from),
            b.lerp(c, to),
            a.lerp(d, to),
        ])
    } else {
        quad.slice(before, 1.0 - after)
    }
}

/// Letters of Hebrew, Arabic and the like.
fn is_leftward(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x65f | 0x66a..=0x6ef | 0x6fa..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff)
}

/// Words that lean by less are written level, or upright: 3°. Scans are seldom straight, and pdf.js ends the line after
/// each word of one that is neither, since it compares places with the words' widths in them.
const LEAN: f64 = 0.052;

/// How much of its height a word may stand too high or too low at its ends before it is written in pieces.
const STEP: f64 = 0.25;

/// The direction of a word, of length 1: an axis where it is near one.
fn settled(u: Vec2) -> Vec2 {
    if u.y.abs() < LEAN {
        Vec2::new(u.x.signum(), 0.0)
    } else if u.x.abs() < LEAN {
        Vec2::new(0.0, u.y.signum())
    } else {
        u
    }
}

#[expect(clippy::too_many_arguments)]
fn write_word(
    text: &str,
    space: bool,
    quad: &Quad,
    vertical: bool,
    to_user: Affine,
    name: &str,
    encoder: &mut Encoder,
    out: &mut String,
) {
    let codes: Vec<u16> = text.chars().filter_map(|c| encoder.code(c)).collect();
    if codes.is_empty() {
        return;
    }
    let at = |i: usize| {
        let p = quad.0[i];
        to_user * Point::new(f64::from(p.x), f64::from(p.y))
    };
    // Corners as the text sees them: top left, top right, bottom right, bottom left. A vertical line is written as one
    // that runs down the page, its characters lying: so it stays one line for whoever copies it.
    let [a, b, c, d] = if vertical {
        [at(1), at(2), at(3), at(0)]
    } else {
        [at(0), at(1), at(2), at(3)]
    };
    let (along, up) = (((b - a) + (c - d)) / 2.0, ((a - d) + (b - c)) / 2.0);
    let (width, height) = (along.hypot(), up.hypot());
    if !(width.is_finite() && height.is_finite()) || width < 1e-3 || height < 1e-3 {
        return;
    }
    let u = settled(along / width);
    let width = along.dot(u);
    let lean = (u.x * along.y - u.y * along.x).abs();
    let pieces = ((lean / (STEP * height)).ceil() as usize).min(codes.len());
    if pieces > 1 {
        let chars: Vec<char> = text.chars().collect();
        let piece = chars.len().div_ceil(pieces);
        for (index, part) in chars.chunks(piece).enumerate() {
            let (from, count) = (index * piece, chars.len() as f32);
            let end = from + part.len();
            let quad = trimmed(
                quad,
                vertical,
                from as f32 / count,
                1.0 - end as f32 / count,
            );
            let text: String = part.iter().collect();
            let space = space && end == chars.len();
            write_word(&text, space, &quad, vertical, to_user, name, encoder, out);
        }
        return;
    }
    let v = Vec2::new(-u.y, u.x);
    let middle = a.midpoint(c).midpoint(b.midpoint(d));
    // The box's lower edge is the descent below the baseline.
    let origin = middle - u * (width / 2.0) - v * (height * (0.5 + f64::from(DESCENT) / 1000.0));
    let natural = codes.len() as f64 * f64::from(ADVANCE) / 1000.0 * height;
    let stretch = 100.0 * width / natural;
    let mut show = String::with_capacity(4 * codes.len() + 4);
    for code in &codes {
        let _ = write!(show, "{code:04X}");
    }
    if space && let Some(code) = encoder.code(' ') {
        let _ = write!(show, "{code:04X}");
    }
    // Upright in the frame of the text even where the quad is a little askew: no viewer likes sheared text.
    let (cos, sin) = (u.x, u.y);
    let _ = writeln!(
        out,
        "/{name} {height:.3} Tf {stretch:.3} Tz {cos:.5} {sin:.5} {:.5} {cos:.5} {:.3} {:.3} Tm <{show}> Tj",
        -sin, origin.x, origin.y
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, x: f32) -> Word {
        Word {
            text: text.into(),
            confidence: 1.0,
            quad: Quad::from_rect(x, 10.0, x + 20.0, 20.0),
        }
    }

    fn page(text: &str, words: Vec<Word>, vertical: bool) -> PageText {
        let line = Line {
            text: text.into(),
            confidence: 1.0,
            quad: Quad::from_rect(0.0, 10.0, 100.0, 20.0),
            words,
            vertical,
        };
        PageText {
            index: 0,
            width: 100,
            height: 100,
            dpi: None,
            turn: 0,
            text: text.into(),
            confidence: 1.0,
            lines: vec![line],
            regions: Vec::new(),
        }
    }

    /// y upwards, as PDFs have it.
    const FLIP: Affine = Affine::new([1.0, 0.0, 0.0, -1.0, 0.0, 100.0]);

    #[test]
    fn a_word_fills_its_box() {
        let page = page("ab c", vec![word("ab", 0.0), word("c", 30.0)], false);
        let stream = stream(&page, FLIP, "F", &mut Encoder::default());
        // 10 high, 20 wide: two characters of 5 stretched twice; the baseline is 2 above the lower edge.
        assert!(
            stream.contains("/F 10.000 Tf 200.000 Tz 1.00000 0.00000 -0.00000 1.00000 0.000 82.000 Tm <006100620020> Tj"),
            "{stream}"
        );
        // Nothing follows the last word.
        assert!(stream.contains("<0063> Tj"), "{stream}");
        assert!(stream.starts_with("q\nBT\n3 Tr\n") && stream.ends_with("ET\nQ\n"));
    }

    #[test]
    fn words_that_touch_are_parted() {
        let page = page("ab cd", vec![word("ab", 0.0), word("cd", 20.0)], false);
        let stream = stream(&page, FLIP, "F", &mut Encoder::default());
        // A fifth of the height between them: each gives up 1 of its 20.
        assert!(
            stream.contains("190.000 Tz 1.00000 0.00000 -0.00000 1.00000 0.000"),
            "{stream}"
        );
        assert!(
            stream.contains("190.000 Tz 1.00000 0.00000 -0.00000 1.00000 21.000"),
            "{stream}"
        );
    }

    #[test]
    fn arabic_is_written_as_it_lies() {
        // Read from the right: the first word stands right.
        let page = page("אב גד", vec![word("אב", 60.0), word("גד", 0.0)], false);
        let stream = stream(&page, FLIP, "F", &mut Encoder::default());
        let shown: Vec<&str> = stream
            .split('<')
            .skip(1)
            .filter_map(|s| s.split('>').next())
            .collect();
        assert_eq!(shown, ["05D305D20020", "05D105D0"]);
    }

    #[test]
    fn vertical_text_runs_down() {
        let mut tall = word("縦書", 50.0);
        tall.quad = Quad::from_rect(50.0, 10.0, 60.0, 30.0);
        let page = page("縦書", vec![tall], true);
        let stream = stream(&page, FLIP, "F", &mut Encoder::default());
        assert!(
            stream.contains(
                "/F 10.000 Tf 200.000 Tz 0.00000 -1.00000 1.00000 0.00000 52.000 90.000 Tm"
            ),
            "{stream}"
        );
    }

    #[test]
    fn words_of_a_crooked_scan_are_level_steps() {
        let mut leaning = word("abcdefgh", 0.0);
        // 80 px to the right, 3 px down: 2°.
        let corners = [(0.0, 10.0), (80.0, 13.0), (80.0, 23.0), (0.0, 20.0)];
        leaning.quad = Quad(corners.map(|(x, y)| maoocr_engine::geometry::Point::new(x, y)));
        let stream = stream(
            &page("abcdefgh", vec![leaning], false),
            FLIP,
            "F",
            &mut Encoder::default(),
        );
        let shown: Vec<&str> = stream.lines().filter(|line| line.contains("Tm")).collect();
        assert_eq!(shown.len(), 2, "{stream}");
        assert!(
            shown
                .iter()
                .all(|line| line.contains("1.00000 0.00000 -0.00000 1.00000"))
        );
        // The middle of the second half is 2.25 px lower than where the word begins.
        assert!(shown[1].contains(" 40.000 79.7"), "{stream}");
    }

    #[test]
    fn nothing_makes_nothing() {
        let mut empty = page("", Vec::new(), false);
        empty.lines.clear();
        assert!(stream(&empty, FLIP, "F", &mut Encoder::default()).is_empty());
    }
}
