//! Ruling lines in a picture: frames, the lines of tables, the line above footnotes.
//!
//! Long runs of ink are chained from row to row, so that a line may lean or bend a little: a stroke that leans by 2°
//! still has runs of some 30 pixels a row. What is long, thin and straight is a rule.

use super::frame::Box;
use super::ink::{DARK, Ink, LIGHT};
use crate::page::Rule;

/// A rule in the frame, along x or, transposed, along y.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stroke {
    /// Begin along the stroke, px.
    pub from: f32,
    /// End along the stroke, px.
    pub to: f32,
    /// Place across the stroke at `from`, px.
    pub start: f32,
    /// Place across the stroke at `to`, px.
    pub end: f32,
    /// px
    pub thickness: f32,
}

impl Stroke {
    /// Place across the stroke where it passes `along`, px; beyond its ends it goes on straight.
    pub fn at(&self, along: f32) -> f32 {
        let length = (self.to - self.from).max(1.0);
        self.start + (self.end - self.start) * (along - self.from) / length
    }

    /// px
    pub fn length(&self) -> f32 {
        self.to - self.from
    }

    /// Place across the stroke at its middle, px.
    pub fn middle(&self) -> f32 {
        (self.start + self.end) / 2.0
    }
}

/// The rules of a page.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Along x.
    pub level: Vec<Stroke>,
    /// Along y.
    pub upright: Vec<Stroke>,
}

/// Most strokes that are looked at: a bound for hostile pictures.
const MAX_STROKES: usize = 2000;

impl Rules {
    /// Finds the rules of a page whose text is `text_height` px high.
    pub fn find(ink: &Ink, text_height: f32) -> Self {
        let level = strokes(ink, text_height, false);
        let upright = strokes(ink, text_height, true);
        Self { level, upright }
    }

    /// Rules that a file states, already in the frame.
    pub fn stated(rules: impl Iterator<Item = Rule>, text_height: f32) -> Self {
        let mut found = Self::default();
        for rule in rules.take(MAX_STROKES) {
            let [[x0, y0], [x1, y1]] = [rule.from, rule.to];
            let (dx, dy) = ((x1 - x0).abs(), (y1 - y0).abs());
            if dx.max(dy) < 0.4 * text_height {
                continue;
            }
            let stroke = |a: (f32, f32), b: (f32, f32)| {
                let (a, b) = if a.0 <= b.0 { (a, b) } else { (b, a) };
                Stroke {
                    from: a.0,
                    to: b.0,
                    start: a.1,
                    end: b.1,
                    thickness: rule.thickness.max(1.0),
                }
            };
            if dy <= 0.1 * dx {
                found.level.push(stroke((x0, y0), (x1, y1)));
            } else if dx <= 0.1 * dy {
                found.upright.push(stroke((y0, x0), (y1, x1)));
            }
        }
        // Many programs draw the sides of each cell: they are short until they are joined.
        let joined = |strokes| {
            let mut strokes = merge(strokes, text_height);
            strokes.retain(|s| s.length() >= 1.5 * text_height);
            strokes
        };
        found.level = joined(found.level);
        found.upright = joined(found.upright);
        found
    }
}

impl Rules {
    /// Drops strokes that run through the middle of text: parts of letters in bold or large print.
    pub fn outside(mut self, lines: &[Box]) -> Self {
        let inner = |s: &Stroke, line: &Box| {
            let middle = s.middle();
            let margin = 0.14 * line.height();
            let shared = s.to.min(line.x1) - s.from.max(line.x0);
            middle > line.y0 + margin
                && middle < line.y1 - margin
                && shared > 0.6 * s.length()
                && s.length() < 1.3 * line.width()
        };
        self.level.retain(|s| !lines.iter().any(|l| inner(s, l)));
        self
    }
}

/// A run of ink in one row.
#[derive(Clone, Copy)]
struct Run {
    row: u32,
    from: u32,
    to: u32,
}

fn strokes(ink: &Ink, text_height: f32, transposed: bool) -> Vec<Stroke> {
    let (along, across) = if transposed {
        (ink.height, ink.width)
    } else {
        (ink.width, ink.height)
    };
    let mask = |row: usize, at: usize| {
        if transposed {
            ink.mask[at * ink.width + row]
        } else {
            ink.mask[row * ink.width + at]
        }
    };
    let least = (0.6 * text_height).max(8.0) as usize;
    let mut out = Vec::new();
    // Row by row is slow for a transposed picture: collect the runs of all rows first, in the order of memory.
    let runs = if transposed {
        runs_upright(ink, least)
    } else {
        let mut runs = [Vec::new(), Vec::new()];
        for row in 0..across {
            for (kind, runs) in [DARK, LIGHT].into_iter().zip(&mut runs) {
                let mut at = 0;
                while at < along {
                    if mask(row, at) != kind {
                        at += 1;
                        continue;
                    }
                    let from = at;
                    let mut last = at;
                    // A gap of one pixel is noise.
                    while at < along && (mask(row, at) == kind || at == last + 1) {
                        if mask(row, at) == kind {
                            last = at;
                        }
                        at += 1;
                    }
                    if last + 1 - from >= least {
                        runs.push(Run {
                            row: row as u32,
                            from: from as u32,
                            to: last as u32 + 1,
                        });
                    }
                }
            }
        }
        runs
    };
    for runs in runs {
        out.extend(chains(&runs, text_height));
    }
    let mut out = merge(out, text_height);
    out.retain(|s| s.length() >= 2.5 * text_height);
    out.sort_by(|a, b| b.length().total_cmp(&a.length()));
    out.truncate(MAX_STROKES);
    out
}

/// The runs along y, found column by column while the picture is read row by row.
fn runs_upright(ink: &Ink, least: usize) -> [Vec<Run>; 2] {
    let mut out = [Vec::new(), Vec::new()];
    for (kind, out) in [DARK, LIGHT].into_iter().zip(&mut out) {
        // Of each column: where its run began, and its last ink; `from == u32::MAX` while there is none.
        let mut open: Vec<(u32, u32)> = vec![(u32::MAX, 0); ink.width];
        for y in 0..=ink.height as u32 {
            for (x, (from, last)) in open.iter_mut().enumerate() {
                let inked =
                    (y as usize) < ink.height && ink.mask[y as usize * ink.width + x] == kind;
                if inked {
                    if *from == u32::MAX {
                        *from = y;
                    }
                    *last = y;
                } else if *from != u32::MAX && (y > *last + 1 || y as usize == ink.height) {
                    if (*last + 1 - *from) as usize >= least {
                        out.push(Run {
                            row: x as u32,
                            from: *from,
                            to: *last + 1,
                        });
                    }
                    *from = u32::MAX;
                }
            }
        }
        out.sort_by_key(|r| (r.row, r.from));
    }
    out
}

/// Runs of neighbouring rows that touch, as straight strokes.
fn chains(runs: &[Run], text_height: f32) -> Vec<Stroke> {
    let mut parent: Vec<usize> = (0..runs.len()).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let mut before = 0;
    for i in 0..runs.len() {
        while runs[before].row + 1 < runs[i].row {
            before += 1;
        }
        for j in before..i {
            if runs[j].row == runs[i].row {
                break;
            }
            if runs[j].from <= runs[i].to + 2 && runs[i].from <= runs[j].to + 2 {
                let (a, b) = (root(&mut parent, i), root(&mut parent, j));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
    for i in 0..runs.len() {
        groups.entry(root(&mut parent, i)).or_default().push(i);
    }
    groups
        .into_values()
        .filter_map(|group| stroke(runs, &group, text_height))
        .collect()
}

/// Fits a line through runs that touch; `None` where they are no thin straight stroke.
fn stroke(runs: &[Run], group: &[usize], text_height: f32) -> Option<Stroke> {
    let from = group.iter().map(|&i| runs[i].from).min()? as f64;
    let to = group.iter().map(|&i| runs[i].to).max()? as f64;
    // Least squares over all pixels.
    let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for &i in group {
        let run = runs[i];
        let length = f64::from(run.to - run.from);
        let middle = (f64::from(run.from) + f64::from(run.to)) / 2.0 - from;
        let row = f64::from(run.row) + 0.5;
        n += length;
        sx += length * middle;
        sy += length * row;
        sxx += length * (middle * middle + length * length / 12.0);
        sxy += length * middle * row;
    }
    let spread = n * sxx - sx * sx;
    let slope = if spread > 1.0 {
        (n * sxy - sx * sy) / spread
    } else {
        0.0
    };
    let offset = (sy - slope * sx) / n;
    let thickness = (n / (to - from)) as f32;
    let length = (to - from) as f32;
    let most = (0.3 * text_height).max(3.5);
    if slope.abs() > 0.1 || thickness > most || length < 6.0 * thickness || length < text_height {
        return None;
    }
    // Letters that touch are chains too, but no straight ones.
    let off: f64 = group
        .iter()
        .map(|&i| {
            let run = runs[i];
            let middle = (f64::from(run.from) + f64::from(run.to)) / 2.0 - from;
            let away = (f64::from(run.row) + 0.5 - offset - slope * middle).abs();
            away * f64::from(run.to - run.from)
        })
        .sum::<f64>()
        / n;
    if off as f32 > 0.5 * most {
        return None;
    }
    Some(Stroke {
        from: from as f32,
        to: to as f32,
        start: offset as f32,
        end: (offset + slope * (to - from)) as f32,
        thickness,
    })
}

/// Joins strokes that go on behind a gap, and drops doubles.
fn merge(mut strokes: Vec<Stroke>, text_height: f32) -> Vec<Stroke> {
    strokes.sort_by(|a, b| b.length().total_cmp(&a.length()));
    strokes.truncate(2 * MAX_STROKES);
    strokes.sort_by(|a, b| a.from.total_cmp(&b.from).then(a.start.total_cmp(&b.start)));
    let mut out: Vec<Stroke> = Vec::new();
    for stroke in strokes {
        let joined = out.iter_mut().find(|s| {
            let gap = stroke.from - s.to;
            let near = 2.0 + s.thickness.max(stroke.thickness);
            let level = (s.at(stroke.from) - stroke.start).abs() < near
                && (s.end - stroke.at(s.to)).abs() < near;
            // Dashes of one line, or strokes that a letter or a fold interrupts.
            let most = if s.length().min(stroke.length()) > 1.5 * text_height {
                text_height
            } else {
                0.35 * text_height
            };
            level && gap < most && stroke.to > s.from
        });
        match joined {
            Some(s) => {
                if stroke.to > s.to {
                    s.end = stroke.end;
                    s.to = stroke.to;
                }
                s.thickness = s.thickness.max(stroke.thickness);
            }
            None => out.push(stroke),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_of_cells_are_one_rule() {
        let side = |y: f32| Rule {
            from: [50.0, y],
            to: [50.0, y + 24.0],
            thickness: 1.0,
        };
        let underline = Rule {
            from: [90.0, 20.0],
            to: [110.0, 20.0],
            thickness: 1.0,
        };
        let rules = [side(100.0), side(124.0), side(148.0), underline];
        let found = Rules::stated(rules.into_iter(), 20.0);
        assert!(found.level.is_empty());
        assert_eq!(found.upright.len(), 1);
        assert_eq!((found.upright[0].from, found.upright[0].to), (100.0, 172.0));
    }
}
