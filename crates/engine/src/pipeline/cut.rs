//! Cutting lines out of the page: which of them lie, which stand, and which may do either.

use super::second_chance::Cut;
use super::stages::Stages;
use crate::geometry::Quad;
use crate::imaging::Image;

/// Cuts out the lines in some quads, in the same order, each from the picture that it stands in. What `lies` is no
/// column, however narrow.
pub(super) fn cut_lines<'a>(
    stages: &Stages,
    page_of: impl Fn(usize) -> &'a Image,
    quads: &[Quad],
    lies: impl Fn(usize) -> bool,
) -> Vec<Cut> {
    let cut = |(index, (quad, lone)): (usize, (&Quad, bool))| {
        let image = page_of(index);
        if lies(index) {
            return Cut {
                strip: stages.cut_lying(image, quad),
                standing: None,
            };
        }
        let strip = stages.cut(image, quad);
        if lone && strip.turned {
            Cut {
                strip: stages.cut_lying(image, quad),
                standing: Some(strip),
            }
        } else {
            Cut {
                strip,
                standing: None,
            }
        }
    };
    quads
        .iter()
        .zip(lone_characters(quads))
        .enumerate()
        .map(cut)
        .collect()
}

/// Boxes at least this many times as wide as high surely are lines that lie.
const LYING: f32 = 2.0;
/// The box of a narrow character (1, I, l, !) is at most this many times as high as wide: the detector's boxes have a
/// border all around.
const NARROWEST: f32 = 3.2;
/// Its height is between these shares of the usual thickness of a line.
const HEIGHTS: [f32; 2] = [0.5, 1.5];

/// Which boxes may, if they are tall, hold a lone narrow character, on a page of lines that lie: a quantity in a table, the number of
/// an item.
fn lone_characters(quads: &[Quad]) -> Vec<bool> {
    let lying = || quads.iter().filter(|q| q.width() >= LYING * q.height());
    let standing = quads.iter().filter(|q| q.height() > NARROWEST * q.width());
    let lying_length: f32 = lying().map(Quad::width).sum();
    let standing_length: f32 = standing.map(Quad::height).sum();
    let mut thicknesses: Vec<f32> = lying().map(Quad::height).collect();
    thicknesses.sort_by(f32::total_cmp);
    if thicknesses.len() < 2 || standing_length > lying_length {
        return vec![false; quads.len()];
    }
    let usual = thicknesses[thicknesses.len() / 2];
    let lone = |q: &Quad| {
        q.height() > q.width()
            && q.height() <= NARROWEST * q.width()
            && (HEIGHTS[0] * usual..=HEIGHTS[1] * usual).contains(&q.height())
    };
    quads.iter().map(lone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_box_among_lying_lines_may_be_a_character() {
        let row = |y: f32| Quad::from_rect(0.0, y, 200.0, y + 24.0);
        let one = Quad::from_rect(220.0, 0.0, 231.0, 23.0);
        let label = Quad::from_rect(300.0, 0.0, 320.0, 60.0);
        let wide = Quad::from_rect(240.0, 0.0, 264.0, 23.0);
        let quads = [row(0.0), row(40.0), one, label, wide];
        assert_eq!(lone_characters(&quads), [false, false, true, false, false]);
        // Columns of vertical writing have short ones at their ends.
        let column = |x: f32| Quad::from_rect(x, 0.0, x + 24.0, 400.0);
        let short = Quad::from_rect(100.0, 0.0, 124.0, 48.0);
        let quads = [column(0.0), column(40.0), short, row(500.0), row(540.0)];
        assert_eq!(lone_characters(&quads), [false; 5]);
    }
}
