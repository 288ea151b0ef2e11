//! Columns of lone characters that the detector overlooks: the quantities of a receipt, the colons of a form. It learnt
//! from words and sees next to nothing in a single narrow character, so they are looked for as ink: marks about as high
//! as the line in whose row they stand, free all around, at least three of them under each other.

use super::Detected;
use crate::geometry::{Point, Quad};
use crate::imaging::Image;

/// Marks under each other that are no accident.
const LEAST: usize = 3;
/// Lines at least this many times as long as high have a row to look along.
const LONG: f32 = 2.0;
/// Samples over the thickness of a line. A stroke of a printed digit is a tenth of it wide.
const SAMPLES: usize = 24;
/// What is looked at above and below a line, samples: a mark that goes on there is a rule or a picture.
const AROUND: usize = 8;
/// How far an end of a line is kept away from, thicknesses: what stands closer belongs to the line.
const GAP: f32 = 0.4;
/// How far along a row is looked at most, thicknesses.
const REACH: f32 = 40.0;
/// Height and most width of a mark, thicknesses. Boxes of lines are higher than their letters by half.
const HEIGHTS: [f32; 2] = [0.3, 0.95];
const WIDEST: f32 = 0.6;
/// Border of a mark's box, and the least height of that, thicknesses.
const BORDER: f32 = 0.12;
const LOWEST: f32 = 0.7;
/// What is no further than this from the next box is only a space away from it, thicknesses.
const SPACE: f32 = 0.7;
/// Ink is at least this share of the way from the ground to the line's own ink …
const INK: f32 = 0.4;
/// … which differs from the ground by so many shades.
const CONTRAST: f32 = 50.0;
/// Marks are under each other if they differ by less than this across the page, thicknesses …
const ALIGNED: f32 = 0.35;
/// … and follow one another within so many.
const PITCH: f32 = 4.0;

/// A mark in the row of a line.
#[derive(Clone, Copy, Debug)]
struct Mark {
    center: Point,
    /// Along the line, px.
    width: f32,
    /// Where it begins and ends above and below the row's axis, px.
    across: [f32; 2],
    /// Thickness of the line, px.
    thickness: f32,
    /// The line's direction, a unit vector.
    along: (f32, f32),
}

/// Adds the columns of lone characters beside the lines that were found. A character that is only a space away from a
/// line belongs to it: the line's box grows. The others get boxes of their own.
pub(super) fn add_columns(page: &Image, found: &mut Vec<Detected>) {
    for (mark, column) in columns(page, found) {
        if !mark.joins(found) {
            found.push(Detected {
                quad: mark.quad(),
                score: 0.0,
                doubtful: false,
                veiled: false,
                column: Some(column),
            });
        }
    }
}

/// The marks that stand in columns, each with its column's number.
fn columns(page: &Image, found: &[Detected]) -> Vec<(Mark, usize)> {
    let rows: Vec<&Quad> = found
        .iter()
        .map(|d| &d.quad)
        .filter(|q| q.width() >= LONG * q.height() && q.height() >= 4.0)
        .collect();
    if rows.len() < LEAST {
        return Vec::new();
    }
    let mut marks: Vec<Mark> = Vec::new();
    for row in rows {
        for mark in marks_beside(page, row, found) {
            let known = |m: &Mark| m.center.distance(mark.center) < 0.5 * m.thickness;
            if !marks.iter().any(known) {
                marks.push(mark);
            }
        }
    }
    if marks.is_empty() {
        return Vec::new();
    }
    // What the detector did see of a column, and a short heading over it, belong to it.
    let overlooked = marks.len();
    let along = marks[0].along;
    let short = found
        .iter()
        .map(|d| &d.quad)
        .filter(|q| q.width() < LONG * q.height());
    marks.extend(short.map(|quad| Mark {
        center: quad.center(),
        width: quad.width(),
        across: [0.0; 2],
        thickness: quad.height(),
        along,
    }));
    let aligned = aligned(&marks).into_iter();
    aligned
        .filter(|(mark, _)| *mark < overlooked)
        .map(|(mark, column)| (marks[mark], column))
        .collect()
}

impl Mark {
    /// The mark with a border, at least as high as most letters of its row: else a colon would be read as large dots.
    fn quad(&self) -> Quad {
        let (c, s) = self.along;
        let border = BORDER * self.thickness;
        let w = self.width / 2.0 + border;
        let top = (self.across[0] - border).min(-LOWEST / 2.0 * self.thickness);
        let bottom = (self.across[1] + border).max(LOWEST / 2.0 * self.thickness);
        let corner = |x: f32, y: f32| {
            Point::new(self.center.x + c * x - s * y, self.center.y + s * x + c * y)
        };
        Quad([
            corner(-w, top),
            corner(w, top),
            corner(w, bottom),
            corner(-w, bottom),
        ])
    }

    /// Makes the nearest line within [`SPACE`] hold the mark, if there is one.
    fn joins(&self, found: &mut [Detected]) -> bool {
        let reach = self.width / 2.0 + BORDER * self.thickness;
        let mut nearest: Option<(f32, usize, f32)> = None;
        for (index, line) in found.iter().enumerate() {
            let (quad, thickness) = (&line.quad, line.quad.height());
            let same_height = (0.7..1.4).contains(&(thickness / self.thickness));
            if line.column.is_some() || quad.width() < thickness || !same_height {
                continue;
            }
            let center = quad.center();
            let (dx, dy) = (self.center.x - center.x, self.center.y - center.y);
            let (c, s) = self.along;
            let (along, across) = (dx * c + dy * s, dy * c - dx * s);
            let gap = along.abs() - quad.width() / 2.0 - reach;
            let beside = across.abs() < 0.3 * thickness && gap < SPACE * thickness;
            if beside && nearest.is_none_or(|(least, ..)| gap < least) {
                nearest = Some((gap, index, along));
            }
        }
        let Some((gap, index, along)) = nearest else {
            return false;
        };
        let by = (gap + 2.0 * reach).max(0.0).copysign(along);
        let moved = if along > 0.0 { [1, 2] } else { [0, 3] };
        for corner in moved {
            let corner = &mut found[index].quad.0[corner];
            corner.x += self.along.0 * by;
            corner.y += self.along.1 * by;
        }
        true
    }

    /// Where another mark is from here: along the line and across it, thicknesses.
    fn towards(&self, other: &Self) -> (f32, f32) {
        let (dx, dy) = (
            other.center.x - self.center.x,
            other.center.y - self.center.y,
        );
        let (c, s) = self.along;
        (
            (dx * c + dy * s) / self.thickness,
            (dy * c - dx * s) / self.thickness,
        )
    }
}

/// The marks that stand under each other, each with its column's number.
fn aligned(marks: &[Mark]) -> Vec<(usize, usize)> {
    let below = |a: &Mark, b: &Mark| {
        let (along, across) = a.towards(b);
        along.abs() < ALIGNED
            && (0.5..PITCH).contains(&across)
            && (0.7..1.4).contains(&(b.thickness / a.thickness))
    };
    let mut order: Vec<usize> = (0..marks.len()).collect();
    order.sort_by(|&a, &b| marks[a].center.y.total_cmp(&marks[b].center.y));
    // Of each mark, the one above it that ends the longest column, and how many are above it in all.
    let mut above: Vec<usize> = (0..marks.len()).collect();
    let mut columns = Vec::new();
    let mut length = vec![0; marks.len()];
    for (i, &b) in order.iter().enumerate() {
        for &a in &order[..i] {
            if below(&marks[a], &marks[b]) && length[a] >= length[b] {
                length[b] = length[a] + 1;
                above[b] = a;
            }
        }
    }
    let mut taken = vec![false; marks.len()];
    for &last in order.iter().rev() {
        if taken[last] || length[last] + 1 < LEAST {
            continue;
        }
        let number = columns.len();
        let mut mark = last;
        while !taken[mark] {
            taken[mark] = true;
            columns.push((mark, number));
            mark = above[mark];
        }
    }
    columns
}

/// The free marks in the row of a line, as far as nothing else was found there.
fn marks_beside(page: &Image, row: &Quad, found: &[Detected]) -> Vec<Mark> {
    let thickness = row.height();
    let (dx, dy) = row.along();
    let length = dx.hypot(dy).max(1e-6);
    let along = (dx / length, dy / length);
    let center = row.center();
    let half = row.width() / 2.0;
    let Some(tone) = Tone::of(page, row) else {
        return Vec::new();
    };
    let mut marks = Vec::new();
    for sign in [-1.0f32, 1.0] {
        let free = free_length(row, along, sign, found);
        let from = half + GAP * thickness;
        let step = thickness / SAMPLES as f32;
        let count = ((free - GAP * thickness) / step) as isize;
        if count < SAMPLES as isize / 2 {
            continue;
        }
        let count = count as usize;
        let place = |i: usize, j: usize| {
            let x = sign * (from + i as f32 * step);
            let y = (j as f32 + 0.5) * step - thickness / 2.0 - AROUND as f32 * step;
            Point::new(
                center.x + along.0 * x - along.1 * y,
                center.y + along.1 * x + along.0 * y,
            )
        };
        let band = Band::look(page, count, place, &tone);
        for mark in band.marks() {
            let at = sign * (from + (mark.first + mark.last + 1) as f32 / 2.0 * step);
            let across = [mark.top, mark.bottom]
                .map(|j| (j as f32 - AROUND as f32) * step - thickness / 2.0);
            if (across[0] + across[1]).abs() / 2.0 > 0.3 * thickness {
                continue;
            }
            marks.push(Mark {
                center: Point::new(center.x + along.0 * at, center.y + along.1 * at),
                width: (mark.last - mark.first + 1) as f32 * step,
                across,
                thickness,
                along,
            });
        }
    }
    marks
}

/// How far a row is free from the end of its line, px: up to the next box or [`REACH`]; the page's edge is told from
/// what lies beyond it when it is looked at.
fn free_length(row: &Quad, along: (f32, f32), sign: f32, found: &[Detected]) -> f32 {
    let (center, thickness) = (row.center(), row.height());
    let end = row.width() / 2.0;
    let mut free = REACH * thickness;
    for other in found {
        let corners = other.quad.0.map(|p| {
            let (dx, dy) = (p.x - center.x, p.y - center.y);
            (
                sign * (dx * along.0 + dy * along.1),
                dy * along.0 - dx * along.1,
            )
        });
        let low = corners.iter().map(|c| c.1).fold(f32::MAX, f32::min);
        let high = corners.iter().map(|c| c.1).fold(f32::MIN, f32::max);
        if low > 0.3 * thickness || high < -0.3 * thickness {
            continue;
        }
        let near = corners.iter().map(|c| c.0).fold(f32::MAX, f32::min);
        let far = corners.iter().map(|c| c.0).fold(f32::MIN, f32::max);
        if far > end + 1.0 {
            free = free.min((near - end).max(0.0));
        }
    }
    free
}

/// Shades of a line's ground and of its ink.
struct Tone {
    ground: f32,
    ink: f32,
}

impl Tone {
    /// None where they hardly differ.
    fn of(page: &Image, line: &Quad) -> Option<Self> {
        let mut shades: Vec<f32> = Vec::new();
        for v in 0..12 {
            for u in 0..96 {
                let point = bilinear(line, (u as f32 + 0.5) / 96.0, (v as f32 + 0.5) / 12.0);
                shades.extend(shade(page, point));
            }
        }
        if shades.is_empty() {
            return None;
        }
        shades.sort_by(f32::total_cmp);
        let share = |part: f32| shades[(part * (shades.len() - 1) as f32) as usize];
        let (low, middle, high) = (share(0.03), share(0.5), share(0.97));
        let (ground, ink) = if middle - low > high - middle {
            (high, low)
        } else {
            (low, high)
        };
        ((ground - ink).abs() >= CONTRAST).then_some(Self { ground, ink })
    }

    fn is_ink(&self, shade: f32) -> bool {
        (shade - self.ground) / (self.ink - self.ground) > INK
    }
}

fn bilinear(quad: &Quad, u: f32, v: f32) -> Point {
    let top = quad.0[0].lerp(quad.0[1], u);
    let bottom = quad.0[3].lerp(quad.0[2], u);
    top.lerp(bottom, v)
}

/// The shade at a place of the page: the mean of its channels.
fn shade(page: &Image, p: Point) -> Option<f32> {
    if p.x < 0.0 || p.y < 0.0 {
        return None;
    }
    let (x, y) = (p.x as usize, p.y as usize);
    if x >= page.width as usize || y >= page.height as usize {
        return None;
    }
    let at = (y * page.width as usize + x) * 3;
    let sum: u32 = page.rgb[at..at + 3].iter().map(|&v| u32::from(v)).sum();
    Some(sum as f32 / 3.0)
}

/// A row beside a line: of each place along it, which samples across it hold ink, a bit each.
struct Band(Vec<u64>);

/// Where a mark is in a band: its first and last place along it, the first sample across it and the one after the last.
struct Span {
    first: usize,
    last: usize,
    top: u32,
    bottom: u32,
}

impl Band {
    fn look(
        page: &Image,
        count: usize,
        place: impl Fn(usize, usize) -> Point,
        tone: &Tone,
    ) -> Self {
        let across = SAMPLES + 2 * AROUND;
        let mut columns = Vec::with_capacity(count);
        for i in 0..count {
            let mut bits = 0u64;
            for j in 0..across {
                match shade(page, place(i, j)) {
                    Some(shade) if tone.is_ink(shade) => bits |= 1 << j,
                    Some(_) => {}
                    // The row's middle has left the page.
                    None if j == across / 2 => return Self(columns),
                    None => {}
                }
            }
            columns.push(bits);
        }
        Self(columns)
    }

    /// The free marks of the right size.
    fn marks(&self) -> Vec<Span> {
        // Ink in the row itself separates; ink only above or below it is another row's.
        let row = ((1u64 << SAMPLES) - 1) << AROUND;
        let clear = (GAP * SAMPLES as f32) as usize;
        let widest = (WIDEST * SAMPLES as f32) as usize;
        let heights = HEIGHTS.map(|h| h * SAMPLES as f32);
        let mut marks = Vec::new();
        let mut next = 0;
        let mut last_ink: Option<usize> = None;
        while let Some(first) = (next..self.0.len()).find(|&i| self.0[i] & row != 0) {
            // Strokes of one character, a dot above another, may be two samples apart.
            let mut last = first;
            let mut i = first + 1;
            while i < self.0.len() && i <= last + 3 {
                if self.0[i] & row != 0 {
                    last = i;
                }
                i += 1;
            }
            next = last + 1;
            let before = last_ink.is_none_or(|ink| first - ink > clear);
            last_ink = Some(last);
            let free_after =
                (last + 1..(last + 1 + clear).min(self.0.len())).all(|i| self.0[i] & row == 0);
            if !before || !free_after || last + 1 - first > widest {
                continue;
            }
            let bits = self.0[first..=last].iter().fold(0, |all, bits| all | bits);
            let (top, bottom) = (
                (bits & row).trailing_zeros(),
                u64::BITS - (bits & row).leading_zeros(),
            );
            // A mark that goes on above and below the row is a rule; the ink of other rows has a gap to it.
            let edges = (1u64 << AROUND) | (1 << (AROUND + SAMPLES - 1));
            let goes_on = bits & edges == edges;
            if !goes_on && (heights[0]..=heights[1]).contains(&((bottom - top) as f32)) {
                marks.push(Span {
                    first,
                    last,
                    top,
                    bottom,
                });
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: f32 = 30.0;

    fn detected(quad: Quad) -> Detected {
        Detected {
            quad,
            score: 0.9,
            doubtful: false,
            veiled: false,
            column: None,
        }
    }

    /// A white page, turned by an angle around its corner.
    struct Page {
        image: Image,
        found: Vec<Detected>,
        angle: f32,
    }

    impl Page {
        /// Five lines from x = 100 to 300, in boxes 20 px high.
        fn new(angle: f32) -> Self {
            let mut page = Self {
                image: Image {
                    width: 400,
                    height: 300,
                    rgb: vec![255; 400 * 300 * 3],
                },
                found: Vec::new(),
                angle,
            };
            for row in 0..5 {
                let y = Self::middle(row);
                let letters = (0..33).map(|i| 102.0 + 6.0 * i as f32);
                for x in letters {
                    page.draw(x, y - 6.0, x + 3.0, y + 6.0);
                }
                page.find(100.0, y - 10.0, 300.0, y + 10.0);
            }
            page
        }

        fn middle(row: usize) -> f32 {
            50.0 + ROW * row as f32
        }

        fn turned(&self, x: f32, y: f32) -> Point {
            let (sin, cos) = self.angle.sin_cos();
            Point::new(x * cos - y * sin, x * sin + y * cos)
        }

        fn draw(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
            let (mut y, step) = (y0, 0.5);
            while y < y1 {
                let mut x = x0;
                while x < x1 {
                    let p = self.turned(x, y);
                    let at = (p.y as usize * 400 + p.x as usize) * 3;
                    self.image.rgb[at..at + 3].fill(0);
                    x += step;
                }
                y += step;
            }
        }

        fn find(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
            let corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)];
            let quad = Quad(corners.map(|(x, y)| self.turned(x, y)));
            self.found.push(detected(quad));
        }

        /// A narrow mark in the middle of each of some rows.
        fn marks(&mut self, x: f32, height: f32, rows: std::ops::Range<usize>) {
            for row in rows {
                let y = Self::middle(row);
                self.draw(x, y - height / 2.0, x + 3.0, y + height / 2.0);
            }
        }

        /// The boxes that are added.
        fn columns(&self) -> Vec<Detected> {
            let mut all = self.found.clone();
            add_columns(&self.image, &mut all);
            all.split_off(self.found.len())
        }
    }

    #[test]
    fn a_column_of_narrow_characters_is_found() {
        for angle in [0.0, 0.08] {
            let mut page = Page::new(angle);
            page.marks(60.0, 12.0, 0..5);
            page.marks(330.0, 12.0, 1..4);
            let found = page.columns();
            assert_eq!(found.len(), 8, "at {angle}");
            for one in &found {
                let bounds = one.quad.bounds();
                let column = if bounds[0] < 200.0 { 60.0 } else { 330.0 };
                let row = (0..5).find(|&row| {
                    let middle = page.turned(column + 1.5, Page::middle(row));
                    one.quad.center().distance(middle) < 2.0
                });
                assert!(row.is_some(), "{bounds:?}");
                assert!((15.0..19.0).contains(&one.quad.height()), "{bounds:?}");
                assert!((6.0..14.0).contains(&one.quad.width()), "{bounds:?}");
            }
            let of = |left: bool| {
                let mut numbers: Vec<_> = found
                    .iter()
                    .filter(|d| (d.quad.center().x < 200.0) == left)
                    .map(|d| d.column)
                    .collect();
                numbers.dedup();
                numbers
            };
            assert_eq!((of(true).len(), of(false).len()), (1, 1));
            assert_ne!(of(true), of(false));
        }
    }

    #[test]
    fn what_the_detector_saw_of_a_column_counts() {
        let mut page = Page::new(0.0);
        page.marks(60.0, 12.0, 1..3);
        assert_eq!(page.columns().len(), 0);
        let y = Page::middle(0);
        page.draw(50.0, y - 6.0, 72.0, y + 6.0);
        page.find(48.0, y - 10.0, 74.0, y + 10.0);
        let found = page.columns();
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|d| d.quad.center().y > y + 20.0));
    }

    #[test]
    fn rules_specks_and_parts_of_words_are_no_characters() {
        let mut page = Page::new(0.0);
        // A rule over all rows, bullets, a scattered column, a picture, and ends of the lines themselves.
        page.draw(40.0, 10.0, 42.0, 290.0);
        page.marks(70.0, 4.0, 0..5);
        for row in 0..5 {
            page.marks(320.0 + 11.0 * row as f32, 12.0, row..row + 1);
        }
        page.draw(10.0, 40.0, 34.0, 250.0);
        page.marks(94.0, 12.0, 0..5);
        assert_eq!(page.columns().len(), 0);
    }

    #[test]
    fn what_is_a_space_away_belongs_to_its_line() {
        for x in [87.0, 311.0] {
            let mut page = Page::new(0.0);
            page.marks(x, 12.0, 0..5);
            assert_eq!(page.columns().len(), 0);
            let mut all = page.found.clone();
            add_columns(&page.image, &mut all);
            for (line, old) in all.iter().zip(&page.found) {
                let (new, old) = (line.quad.bounds(), old.quad.bounds());
                let (left, right) = (new[0] < x && x < old[0], new[2] > x + 3.0 && x > old[2]);
                assert!(left != right, "{new:?}");
                assert_eq!([new[1], new[3]], [old[1], old[3]]);
            }
        }
    }
}
