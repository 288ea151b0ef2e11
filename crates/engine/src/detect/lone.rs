//! Columns of lone characters that the detector overlooks: the quantities of a receipt, the colons of a form. It learnt
//! from words and sees next to nothing in a single narrow character, so they are looked for as ink: marks about as high
//! as the line in whose row they stand, free all around, at least three of them under each other.

mod band;

use super::Detected;
use crate::geometry::{Point, Quad};
use crate::imaging::Image;
use band::{AROUND, Band, GAP, SAMPLES, Tone};

/// Marks under each other that are no accident.
const LEAST: usize = 3;
/// Marks that are compared with each other: a page of patterns has any number.
const MOST: usize = 2000;
/// Lines at least this many times as long as high have a row to look along.
const LONG: f32 = 2.0;
/// How far along a row is looked at most, thicknesses.
const REACH: f32 = 40.0;
/// Border of a mark's box, and the least height of that, thicknesses.
const BORDER: f32 = 0.12;
const LOWEST: f32 = 0.7;
/// Between two marks so many places are looked at, each as often across …
const TIE_SAMPLES: usize = 16;
/// … for ink that may be as faint as this: a hairline in a photo breaks up …
const FAINT: f32 = 0.15;
/// … and more than this share of them makes both pieces of a rule.
const TIED: f32 = 0.3;
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
    /// Of its row's line; none of what the detector saw.
    tone: Option<Tone>,
}

/// Adds the columns of lone characters beside the lines that were found, each character in a box of its own.
pub(super) fn add_columns(page: &Image, found: &mut Vec<Detected>) {
    let columns = columns(page, found);
    found.extend(columns.into_iter().map(|(mark, column)| Detected {
        quad: mark.quad(),
        score: 0.0,
        doubtful: false,
        veiled: false,
        column: Some(column),
    }));
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
            if marks.len() < MOST && !marks.iter().any(known) {
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
        across: [-0.5, 0.5].map(|share| share * quad.height()),
        thickness: quad.height(),
        along,
        tone: None,
    }));
    let aligned = aligned(page, &marks).into_iter();
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

    /// Whether there is ink all the way to a mark below: then both are pieces of a rule.
    fn is_tied(&self, below: &Self, page: &Image) -> bool {
        let Some(tone) = self.tone.or(below.tone) else {
            return false;
        };
        let end = |mark: &Self, across: f32| {
            let (c, s) = mark.along;
            Point::new(mark.center.x - s * across, mark.center.y + c * across)
        };
        let (from, to) = (end(self, self.across[1]), end(below, below.across[0]));
        let (c, s) = self.along;
        let half = self.width.min(below.width) / 2.0 + BORDER * self.thickness;
        let inked = |share: f32| {
            let middle = from.lerp(to, share);
            (0..TIE_SAMPLES).any(|i| {
                let off = half * (2.0 * i as f32 / (TIE_SAMPLES - 1) as f32 - 1.0);
                let shade = band::shade(page, Point::new(middle.x + c * off, middle.y + s * off));
                shade.is_some_and(|shade| tone.inkiness(shade) > FAINT)
            })
        };
        let steps = (0..TIE_SAMPLES).map(|i| (i as f32 + 0.5) / TIE_SAMPLES as f32);
        let dark = steps.filter(|share| inked(*share)).count();
        dark as f32 > TIED * TIE_SAMPLES as f32
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
fn aligned(page: &Image, marks: &[Mark]) -> Vec<(usize, usize)> {
    let below = |a: &Mark, b: &Mark| {
        let (along, across) = a.towards(b);
        along.abs() < ALIGNED
            && (0.5..PITCH).contains(&across)
            && (0.7..1.4).contains(&(b.thickness / a.thickness))
            && !a.is_tied(b, page)
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
                tone: Some(tone),
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

#[cfg(test)]
mod tests;
