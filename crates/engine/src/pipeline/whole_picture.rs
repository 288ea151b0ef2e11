//! A picture of one line, read as a whole beside what was detected in it.

use super::second_chance::Read;
use crate::detect::Detected;
use crate::geometry::Quad;
use crate::imaging::Image;
use crate::recognise::Reading;

/// Heights up to this may be a single line cut out by hand, px.
const MAX_LINE_PICTURE_HEIGHT: u32 = 160;
/// A line that is longer than so many times its height has more characters than any: the picture is a rule, or made to
/// cost much.
const MAX_LINE_PICTURE_RATIO: u32 = 150;
/// A line picture falls apart into at most this many detections: characters set wide apart are each one.
const MAX_PARTS_OF_LINE: usize = 8;

/// The picture itself as one more candidate line, where it may be a line cut out tightly: the detector was trained
/// on text with surroundings and finds little or nothing in such pictures.
pub(super) fn candidate(page: &Image, found: &[Detected]) -> Option<Quad> {
    let (short, long) = (page.width.min(page.height), page.width.max(page.height));
    let small =
        short <= MAX_LINE_PICTURE_HEIGHT && long <= short.saturating_mul(MAX_LINE_PICTURE_RATIO);
    (small && found.len() <= MAX_PARTS_OF_LINE && one_row(found))
        .then(|| Quad::from_rect(0.0, 0.0, page.width as f32, page.height as f32))
}

fn one_row(found: &[Detected]) -> bool {
    let tops = found
        .iter()
        .map(|d| d.quad.bounds()[1])
        .fold(f32::MIN, f32::max);
    let bottoms = found
        .iter()
        .map(|d| d.quad.bounds()[3])
        .fold(f32::MAX, f32::min);
    found.is_empty() || tops < bottoms
}

/// Where the whole picture was read as well (it stands last), keeps it or the detected parts, whichever reads better.
/// What isn't kept comes second.
pub(super) fn keep_better(mut reads: Vec<Read>) -> (Vec<Read>, Vec<Read>) {
    let Some(whole) = reads.pop() else {
        return (reads, Vec::new());
    };
    let mut parts: Vec<&Read> = reads.iter().collect();
    parts.sort_by(|a, b| {
        let left = |read: &Read| read.placement.line().bounds()[0];
        left(a).total_cmp(&left(b))
    });
    let readings = || parts.iter().map(|r| &r.reading);
    let length: usize = readings().map(Reading::len).sum();
    let score: f32 = readings().map(|r| r.confidence() * r.len() as f32).sum();
    let whole_score = whole.reading.confidence() * whole.reading.len() as f32;
    // The whole must be at least as sure, not just longer: it likes to end in a stain read as a full stop. Or it
    // says what the parts say and has letters that the detector missed.
    let sure = whole.reading.confidence() >= score / length.max(1) as f32;
    let text: String = readings().map(Reading::text).collect();
    if length == 0 || (whole_score > score && (sure || completes(&whole.reading.text(), &text))) {
        (vec![whole], reads)
    } else {
        (reads, vec![whole])
    }
}

/// Whether `whole` is `part` with letters or digits added. Spaces don't count.
fn completes(whole: &str, part: &str) -> bool {
    let mut part = part.chars().filter(|c| !c.is_whitespace()).peekable();
    let only_letters_more = whole
        .chars()
        .filter(|c| !c.is_whitespace())
        .all(|c| part.next_if_eq(&c).is_some() || c.is_alphanumeric());
    only_letters_more && part.peek().is_none()
}

#[cfg(test)]
mod tests {
    use super::super::second_chance::tests::reading;
    use super::*;
    use crate::crop::Placement;

    /// The texts kept of parts, each at an x, and of the whole picture.
    fn kept(parts: &[(&str, f32, f32)], whole: (&str, f32)) -> Vec<String> {
        let all = parts.iter().copied().chain([(whole.0, whole.1, 0.0)]);
        let reads = all
            .enumerate()
            .map(|(index, (text, confidence, x))| {
                let quad = Quad::from_rect(x, 0.0, x + 10.0, 10.0);
                Read {
                    index,
                    reading: reading(text, confidence),
                    placement: Placement::new(quad, &quad),
                }
            })
            .collect();
        let (kept, _) = keep_better(reads);
        kept.iter().map(|r| r.reading.text()).collect()
    }

    #[test]
    fn a_picture_as_thin_as_a_rule_is_no_line() {
        let page = |width, height| Image {
            width,
            height,
            rgb: Vec::new(),
        };
        assert!(candidate(&page(900, 12), &[]).is_some());
        assert!(candidate(&page(12, 900), &[]).is_some());
        assert!(candidate(&page(2000, 2), &[]).is_none());
        assert!(candidate(&page(2, 2000), &[]).is_none());
        assert!(candidate(&page(900, 200), &[]).is_none());
    }

    #[test]
    fn the_whole_picture_is_kept_where_it_reads_better() {
        assert_eq!(kept(&[], ("abc", 0.6)), ["abc"]);
        assert_eq!(kept(&[("bc", 0.8, 0.0)], ("abc", 0.9)), ["abc"]);
        assert_eq!(kept(&[("abc", 0.9, 0.0)], ("xbc", 0.8)), ["abc"]);
        // A stain at the end.
        assert_eq!(kept(&[("abc", 0.9, 0.0)], ("abc.", 0.8)), ["abc"]);
        // Letters that the detector missed; the parts come in no order.
        assert_eq!(
            kept(&[("d", 0.99, 30.0), ("b", 0.99, 10.0)], ("a b c d", 0.9)),
            ["a b c d"]
        );
        assert_eq!(
            kept(&[("d", 0.99, 10.0), ("b", 0.99, 30.0)], ("a b c d", 0.9)),
            ["d", "b"]
        );
    }
}
