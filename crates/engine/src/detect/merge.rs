//! Boxes that are pieces of one line → one box.

use super::Detected;
use super::rectangle::min_area_rectangle;
use crate::geometry::{Point, Quad};

/// Two boxes of one line overlap along it by more than this share of its thickness: characters there would be read
/// twice. Words of a line, where each was found alone, overlap by less.
const DOUBLED: f32 = 0.4;

/// Puts pieces of one line together.
pub(super) fn merged(found: Vec<Detected>) -> Vec<Detected> {
    let mut found = found;
    let mut first = 0;
    while first < found.len() {
        let other = (first + 1..found.len())
            .find(|&other| same_line(&found[first].quad, &found[other].quad));
        let Some(other) = other else {
            first += 1;
            continue;
        };
        let piece = found.swap_remove(other);
        let line = &mut found[first];
        let (a, b) = (line.quad.width(), piece.quad.width());
        let corners: Vec<Point> = [line.quad.0, piece.quad.0].concat();
        if let Some(quad) = min_area_rectangle(&corners) {
            line.quad = quad;
        }
        line.doubtful &= piece.doubtful;
        line.score = (line.score * a + piece.score * b) / (a + b).max(1.0);
    }
    found
}

/// Whether two boxes are pieces of one line that share characters.
fn same_line(a: &Quad, b: &Quad) -> bool {
    let (p, q) = (a.bounds(), b.bounds());
    if p[0] > q[2] || q[0] > p[2] || p[1] > q[3] || q[1] > p[3] {
        return false;
    }
    let (long, short) = if a.width() >= b.width() {
        (a, b)
    } else {
        (b, a)
    };
    // Characters alone tell no direction.
    if long.width() < long.height() * 1.5 {
        return false;
    }
    let [o, x, _, d] = long.0;
    let (w, h) = (long.width().max(1.0), long.height().max(1.0));
    let (ux, uy) = ((x.x - o.x) / w, (x.y - o.y) / w);
    let (vx, vy) = ((d.x - o.x) / h, (d.y - o.y) / h);
    let along = |p: Point| (p.x - o.x) * ux + (p.y - o.y) * uy;
    let across = |p: Point| (p.x - o.x) * vx + (p.y - o.y) * vy;
    let [mut from, mut to, mut top, mut bottom] = [f32::MAX, f32::MIN, f32::MAX, f32::MIN];
    for p in short.0 {
        (from, to) = (from.min(along(p)), to.max(along(p)));
        (top, bottom) = (top.min(across(p)), bottom.max(across(p)));
    }
    let shared = to.min(w) - from.max(0.0);
    shared > DOUBLED * h && top.abs() < 0.25 * h && (bottom - h).abs() < 0.25 * h
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_one_line_that_share_characters_are_put_together() {
        let line = |x0, y0, x1, y1| Detected {
            quad: Quad::from_rect(x0, y0, x1, y1),
            score: 0.9,
            doubtful: false,
            veiled: false,
            column: None,
        };
        let pieces = vec![
            line(0.0, 0.0, 100.0, 20.0),
            line(300.0, 1.0, 400.0, 20.0),
            line(90.0, 1.0, 200.0, 21.0),
            line(190.0, 0.0, 290.0, 20.0),
        ];
        let bounds = |d: &Detected| d.quad.bounds().map(f32::round);
        let found: Vec<_> = merged(pieces).iter().map(bounds).collect();
        assert_eq!(found, [[0.0, 0.0, 290.0, 21.0], [300.0, 1.0, 400.0, 20.0]]);
        // Neighbours, the next row, a heading over two rows, and what lies across stay apart.
        for other in [
            line(96.0, 0.0, 200.0, 20.0),
            line(0.0, 15.0, 100.0, 35.0),
            line(50.0, 0.0, 120.0, 45.0),
            line(40.0, 0.0, 50.0, 90.0),
        ] {
            let both = vec![line(0.0, 0.0, 100.0, 20.0), other];
            assert_eq!(merged(both).len(), 2);
        }
    }
}
