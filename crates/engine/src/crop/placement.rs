//! Where what is seen on a strip stands on the page.

use crate::geometry::{Point, Quad};

/// The way from a strip back to the page, made when the strip is cut and changed with its pixels: words, turned lines
/// and the cells of vertical writing all find their place by it.
///
/// A strip shows a little more than its line: the margin that the recogniser wants, and the rest of the pixels that the
/// line's edges go through. What stands there is drawn to the line's end, so every part lies within its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Placement {
    /// The line. Its first corner is the one at the strip's top left.
    line: Quad,
    /// Where the line begins and ends, as shares of the strip's width.
    span: [f32; 2],
    /// Where the cells of a column laid out as a row begin, and where the last one ends, as shares of the width of the
    /// strip they were cut from; empty where the strip is no such row.
    cells: Vec<f32>,
    /// Whether the characters stand upright though the line runs downwards.
    vertical: bool,
}

impl Default for Placement {
    /// A line that is its strip, on the unit square.
    fn default() -> Self {
        Self::new(
            Quad::from_rect(0.0, 0.0, 1.0, 1.0),
            &Quad::from_rect(0.0, 0.0, 1.0, 1.0),
        )
    }
}

impl Placement {
    /// Of a `line` seen on a strip that shows `strip`: quads on the page, both with the corner that is seen at the top
    /// left of the strip first.
    pub fn new(line: Quad, strip: &Quad) -> Self {
        let [a, b, c, d] = strip.0;
        let (from, to) = (a.lerp(d, 0.5), b.lerp(c, 0.5));
        let (dx, dy) = (to.x - from.x, to.y - from.y);
        let length = (dx * dx + dy * dy).max(f32::MIN_POSITIVE);
        let along = |p: Point| ((p.x - from.x) * dx + (p.y - from.y) * dy) / length;
        let [a, b, c, d] = line.0;
        let (start, end) = (along(a.lerp(d, 0.5)), along(b.lerp(c, 0.5)));
        let span = if end - start > 1e-3 {
            [start, end]
        } else {
            [0.0, 1.0]
        };
        Self {
            line,
            span,
            cells: Vec::new(),
            vertical: false,
        }
    }

    /// After the strip was turned by 180°.
    pub fn flip(&mut self) {
        self.line.0.rotate_left(2);
        self.span = [1.0 - self.span[1], 1.0 - self.span[0]];
    }

    /// Of a row of equally wide cells cut out of the strip at these shares of its width, ends included, their
    /// characters turned back upright.
    #[must_use]
    pub fn into_row(self, cells: Vec<f32>) -> Self {
        Self {
            cells,
            ..self.into_column()
        }
    }

    /// Of the same strip, on which upright characters lie on their side: a column.
    #[must_use]
    pub fn into_column(self) -> Self {
        Self {
            vertical: true,
            ..self
        }
    }

    /// Whether the text runs downwards with upright characters.
    pub fn is_vertical(&self) -> bool {
        self.vertical
    }

    /// How many cells a row has; 0 where the strip is no such row.
    pub fn cells(&self) -> usize {
        self.cells.len().saturating_sub(1)
    }

    /// The line, on the page: clockwise from the top left of its text.
    pub fn line(&self) -> Quad {
        self.upright(self.line)
    }

    /// The part of the line between two shares of the strip's width.
    pub fn part(&self, start: f32, end: f32) -> Quad {
        self.upright(self.line.slice(self.along(start), self.along(end)))
    }

    /// The share of the line at a share of the strip's width.
    fn along(&self, share: f32) -> f32 {
        let share = match self.cells() {
            0 => share,
            cells => {
                let cell = (share * cells as f32).clamp(0.0, cells as f32);
                let index = (cell as usize).min(cells - 1);
                let (from, to) = (self.cells[index], self.cells[index + 1]);
                from + (to - from) * (cell - index as f32)
            }
        };
        ((share - self.span[0]) / (self.span[1] - self.span[0])).clamp(0.0, 1.0)
    }

    /// The strip of a column is turned: what is at the top left on it is the column's lower left … its text begins a
    /// corner earlier.
    fn upright(&self, part: Quad) -> Quad {
        let mut part = part;
        if self.vertical {
            part.0.rotate_right(1);
        }
        part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A rectangle `w × h` around the middle of a page, turned by `degrees`.
    fn turned(w: f32, h: f32, degrees: f32) -> Quad {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Quad(
            Quad::from_rect(-w / 2.0, -h / 2.0, w / 2.0, h / 2.0)
                .0
                .map(|p| Point::new(500.0 + p.x * cos - p.y * sin, 500.0 + p.x * sin + p.y * cos)),
        )
    }

    /// How far `inner` reaches out of the rectangle `outer`, px.
    fn outside(inner: &Quad, outer: &Quad) -> f32 {
        let mut most = f32::MIN;
        for p in inner.0 {
            for i in 0..4 {
                let (a, b) = (outer.0[i], outer.0[(i + 1) % 4]);
                let side = (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
                most = most.max(-side / a.distance(b).max(1e-3));
            }
        }
        most
    }

    proptest! {
        #[test]
        fn parts_lie_within_their_line(
            w in 20.0f32..400.0, h in 8.0f32..60.0, degrees in -180.0f32..180.0,
            margin in prop::array::uniform2(0.0f32..0.3), shares in prop::array::uniform2(0.0f32..=1.0),
            flip: bool, column: bool, cuts in prop::collection::vec(0.01f32..1.0, 0..6),
        ) {
            let line = turned(w, h, degrees);
            let mut placement = Placement::new(line, &line.grown(margin[0], margin[1]));
            if flip { placement.flip(); }
            if column { placement = placement.into_column(); }
            if !cuts.is_empty() {
                let total: f32 = cuts.iter().sum();
                let mut at = 0.0;
                let ends = cuts.iter().map(|c| { at += c / total; at });
                let cells = [0.0].into_iter().chain(ends).collect();
                placement = placement.into_row(cells);
            }
            let [start, end] = if shares[0] <= shares[1] { shares } else { [shares[1], shares[0]] };
            let part = placement.part(start, end);
            prop_assert!(outside(&part, &placement.line()) < 0.05, "{part:?} in {:?}", placement.line());
            // All of the strip is all of the line.
            let all = placement.part(0.0, 1.0);
            for (a, b) in all.0.iter().zip(placement.line().0) {
                prop_assert!(a.distance(b) < 0.05);
            }
        }

        #[test]
        fn a_share_of_the_strip_is_where_the_strip_shows_it(
            degrees in -180.0f32..180.0, margin in 0.0f32..0.3, share in 0.2f32..0.8, flip: bool,
        ) {
            let line = turned(200.0, 20.0, degrees);
            let mut strip = line.grown(margin, 0.0);
            let mut placement = Placement::new(line, &strip);
            if flip {
                placement.flip();
                strip.0.rotate_left(2);
            }
            let [a, b, c, d] = strip.0;
            let wanted = [a.lerp(b, share), d.lerp(c, share)];
            let part = placement.part(share, 0.9);
            prop_assert!(part.0[0].distance(wanted[0]) < 0.05 && part.0[3].distance(wanted[1]) < 0.05);
        }
    }

    #[test]
    fn cells_of_a_row_are_where_they_were_cut() {
        // A column 20 wide and 100 high; its strip was turned a quarter counter-clockwise.
        let mut strip = Quad::from_rect(0.0, 0.0, 20.0, 100.0);
        strip.0.rotate_left(1);
        let placement = Placement::new(strip, &strip).into_row(vec![0.0, 0.2, 0.6, 1.0]);
        assert_eq!(placement.cells(), 3);
        assert_eq!(placement.line(), Quad::from_rect(0.0, 0.0, 20.0, 100.0));
        let second = placement.part(1.0 / 3.0, 2.0 / 3.0);
        let wanted = Quad::from_rect(0.0, 20.0, 20.0, 60.0);
        for (a, b) in second.0.iter().zip(wanted.0) {
            assert!(a.distance(b) < 0.01, "{second:?}");
        }
    }
}
