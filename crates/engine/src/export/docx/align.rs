//! Which paragraphs are centred or set at the right, as far as their lines tell.

use super::super::is_furniture;
use super::is_leftward;
use crate::document::{PageText, Region, RegionKind};

/// How a paragraph's lines stand.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) enum Alignment {
    /// As its style and its script have it.
    #[default]
    Usual,
    Centred,
    Right,
}

impl Alignment {
    /// Its property of a paragraph (ECMA-376 part 1, 17.3.1.13).
    pub(super) fn property(self) -> &'static str {
        match self {
            Self::Usual => "",
            Self::Centred => "<w:jc w:val=\"center\"/>",
            Self::Right => "<w:jc w:val=\"right\"/>",
        }
    }
}

/// Left and right of a line, px.
type Sides = [f32; 2];

/// How a region of a page stands between the left and the right of all text. Where anything stands beside it, that says
/// nothing: the columns would have to be known.
pub(super) fn alignment(page: &PageText, index: usize) -> Alignment {
    let region = &page.regions[index];
    let flows = matches!(
        region.kind,
        RegionKind::Title | RegionKind::Heading | RegionKind::Paragraph | RegionKind::Caption
    );
    if !flows || page.turn != 0 || region.text.chars().any(is_leftward) {
        return Alignment::Usual;
    }
    let Some((own, height)) = sides(page, region) else {
        return Alignment::Usual;
    };
    let [_, top, _, bottom] = region.quad.bounds();
    let mut others: Vec<Sides> = Vec::new();
    for (at, other) in page.regions.iter().enumerate() {
        if at == index || is_furniture(other.kind) {
            continue;
        }
        let [_, from, _, to] = other.quad.bounds();
        if bottom.min(to) - top.max(from) > 0.3 * height {
            return Alignment::Usual;
        }
        others.extend(
            sides(page, other)
                .map(|(sides, _)| sides)
                .unwrap_or_default(),
        );
    }
    if others.len() < 2 {
        return Alignment::Usual;
    }
    let most = |lines: &[Sides]| {
        let left = lines.iter().fold(f32::MAX, |l, s| l.min(s[0]));
        let right = lines.iter().fold(f32::MIN, |r, s| r.max(s[1]));
        [left, right]
    };
    let (theirs, ours) = (most(&others), most(&own));
    let (left, right) = (theirs[0].min(ours[0]), theirs[1].max(ours[1]));
    let width = right - left;
    let gaps = own.iter().map(|[x0, x1]| (x0 - left, right - x1));
    let rightmost_start = own.iter().fold(f32::MIN, |x, s| x.max(s[0]));
    // Lines that begin below each other are a block, wherever that stands.
    let ragged = own.len() == 1 || rightmost_start - ours[0] > height;
    let even = gaps.clone().all(|(a, b)| (a - b).abs() < 1.2 * height);
    let inset = gaps
        .clone()
        .any(|(a, b)| a.min(b) > (0.05 * width).max(2.0 * height));
    if ragged && even && inset {
        return Alignment::Centred;
    }
    let at_right = gaps
        .clone()
        .all(|(a, b)| b < 0.5 * height && a > 0.35 * width);
    // Something else has to show where the right is.
    if ragged && at_right && (theirs[1] - ours[1]).abs() < height {
        return Alignment::Right;
    }
    Alignment::Usual
}

/// The sides of a region's lines, and how high they are; none where they aren't level or there are none.
fn sides(page: &PageText, region: &Region) -> Option<(Vec<Sides>, f32)> {
    let lines: Vec<_> = region
        .lines
        .iter()
        .filter_map(|&at| page.lines.get(at))
        .collect();
    if lines.is_empty() || lines.iter().any(|line| line.vertical) {
        return None;
    }
    let bounds = lines.iter().map(|line| line.quad.bounds());
    let heights: f32 = lines.iter().map(|line| line.quad.height()).sum();
    let sides = bounds.map(|[x0, _, x1, _]| [x0, x1]).collect();
    Some((sides, heights / lines.len() as f32))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Line, PageText};
    use crate::geometry::Quad;

    /// A page of paragraphs, each of lines from left to right, below each other; what begins below 0 stands beside the one
    /// before it.
    fn page(paragraphs: &[&[Sides]]) -> PageText {
        let mut page = crate::export::sample::document().pages.swap_remove(1);
        let template = page.regions[1].clone();
        page.lines.clear();
        page.regions.clear();
        let mut y = 0.0;
        for sides in paragraphs {
            let mut region = template.clone();
            let top = y;
            for [x0, x1] in *sides {
                region.lines.push(page.lines.len());
                page.lines.push(Line {
                    text: "text".into(),
                    confidence: 1.0,
                    quad: Quad::from_rect(*x0, y, *x1, y + 20.0),
                    words: Vec::new(),
                    vertical: false,
                });
                y += 24.0;
            }
            region.lines.drain(..template.lines.len());
            region.quad = Quad::from_rect(0.0, top, 800.0, y);
            page.regions.push(region);
            y += 20.0;
        }
        page
    }

    const BODY: &[Sides] = &[[120.0, 700.0], [100.0, 700.0], [100.0, 400.0]];

    fn found(paragraph: &[Sides]) -> Alignment {
        alignment(&page(&[BODY, paragraph, BODY]), 1)
    }

    #[test]
    fn clear_positions_are_kept() {
        assert_eq!(found(&[[300.0, 502.0]]), Alignment::Centred);
        assert_eq!(found(&[[150.0, 650.0], [310.0, 490.0]]), Alignment::Centred);
        assert_eq!(found(&[[500.0, 699.0]]), Alignment::Right);
        assert_eq!(found(&[[500.0, 700.0], [600.0, 702.0]]), Alignment::Right);
    }

    #[test]
    fn all_else_is_as_usual() {
        for lines in [
            &[[100.0, 300.0]][..],
            // Indented, filling, a quotation, an address at the right.
            &[[140.0, 500.0]],
            &[[102.0, 698.0]],
            &[[160.0, 640.0], [160.0, 640.0], [160.0, 400.0]],
            &[[160.0, 640.0], [160.0, 640.0]],
            &[[500.0, 700.0], [500.0, 600.0]],
            BODY,
        ] {
            assert_eq!(found(lines), Alignment::Usual, "{lines:?}");
        }
        // Alone, or beside something.
        assert_eq!(alignment(&page(&[&[[300.0, 500.0]]]), 0), Alignment::Usual);
        let mut beside = page(&[BODY, &[[300.0, 502.0]], BODY]);
        beside.regions[2].quad = beside.regions[1].quad;
        assert_eq!(alignment(&beside, 1), Alignment::Usual);
    }
}
