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
/// What is no further than this from the next box is only a space away from it, thicknesses.
const SPACE: f32 = 0.7;
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

#[cfg(test)]
mod tests;
