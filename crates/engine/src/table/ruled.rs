//! Tables by their rules.

use super::Fragment;
use super::cells::{self, Slot};
use crate::document::Table;
use crate::structure::frame::{Box, Frame};
use crate::structure::rules::{Rules, Stroke};

/// Rules that touch or cross.
pub(super) struct Component {
    pub level: Vec<Stroke>,
    pub upright: Vec<Stroke>,
}

impl Component {
    pub fn area(&self) -> Box {
        let mut area = Box {
            x0: f32::MAX,
            y0: f32::MAX,
            x1: f32::MIN,
            y1: f32::MIN,
        };
        for s in &self.level {
            area = area.with(&Box {
                x0: s.from,
                y0: s.start.min(s.end),
                x1: s.to,
                y1: s.start.max(s.end),
            });
        }
        for s in &self.upright {
            area = area.with(&Box {
                x0: s.start.min(s.end),
                y0: s.from,
                x1: s.start.max(s.end),
                y1: s.to,
            });
        }
        area
    }
}

/// How near rules must come to count as touching, text heights.
const TOUCH: f32 = 0.6;

/// Groups rules that touch; those that may be tables have at least two upright ones, or one that crosses level ones.
pub(super) fn components(rules: &Rules, text_height: f32) -> Vec<Component> {
    let (n, m) = (rules.level.len(), rules.upright.len());
    let mut parent: Vec<usize> = (0..n + m).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    let near = TOUCH * text_height;
    for (i, h) in rules.level.iter().enumerate() {
        for (j, v) in rules.upright.iter().enumerate() {
            let y = h.at(v.middle());
            let x = v.at(y);
            if x > h.from - near && x < h.to + near && y > v.from - near && y < v.to + near {
                let (a, b) = (root(&mut parent, i), root(&mut parent, n + j));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut groups: std::collections::BTreeMap<usize, Component> = Default::default();
    for i in 0..n + m {
        let group = groups
            .entry(root(&mut parent, i))
            .or_insert_with(|| Component {
                level: Vec::new(),
                upright: Vec::new(),
            });
        if i < n {
            group.level.push(rules.level[i]);
        } else {
            group.upright.push(rules.upright[i - n]);
        }
    }
    groups
        .into_values()
        .filter(|g| g.level.len() >= 2 && !g.upright.is_empty())
        .collect()
}

/// Straightens a table that is seen at an angle: shares of the way between its outer rules.
struct Straight {
    top: Stroke,
    bottom: Stroke,
    left: Stroke,
    right: Stroke,
    width: f32,
    height: f32,
}

impl Straight {
    fn new(component: &Component) -> Self {
        let area = component.area();
        let edge = |strokes: &[Stroke], least: f32, last: bool, place: f32, ends: (f32, f32)| {
            let long = strokes.iter().filter(|s| s.length() >= least);
            let best = if last {
                long.max_by(|a, b| a.middle().total_cmp(&b.middle()))
            } else {
                long.min_by(|a, b| a.middle().total_cmp(&b.middle()))
            };
            best.copied().unwrap_or(Stroke {
                from: ends.0,
                to: ends.1,
                start: place,
                end: place,
                thickness: 1.0,
            })
        };
        let (w, h) = (area.width().max(1.0), area.height().max(1.0));
        let across = (area.x0, area.x1);
        let down = (area.y0, area.y1);
        Self {
            top: edge(&component.level, 0.6 * w, false, area.y0, across),
            bottom: edge(&component.level, 0.6 * w, true, area.y1, across),
            left: edge(&component.upright, 0.6 * h, false, area.x0, down),
            right: edge(&component.upright, 0.6 * h, true, area.x1, down),
            width: w,
            height: h,
        }
    }

    fn enter(&self, x: f32, y: f32) -> (f32, f32) {
        let (left, right) = (self.left.at(y), self.right.at(y));
        let (top, bottom) = (self.top.at(x), self.bottom.at(x));
        let share = |v: f32, a: f32, b: f32| {
            if (b - a).abs() < 1.0 {
                v - a
            } else {
                (v - a) / (b - a)
            }
        };
        let u = if right - left < 0.5 * self.width {
            x - left.min(x)
        } else {
            share(x, left, right) * self.width
        };
        let v = if bottom - top < 0.5 * self.height {
            y - top.min(y)
        } else {
            share(y, top, bottom) * self.height
        };
        (u, v)
    }

    /// Back from straightened places, by two rounds of fixed-point iteration: the outer rules lean by little.
    fn leave(&self, u: f32, v: f32) -> (f32, f32) {
        let (mut x, mut y) = (self.left.start + u, self.top.start + v);
        for _ in 0..3 {
            let (a, b) = self.enter(x, y);
            x += u - a;
            y += v - b;
        }
        (x, y)
    }
}

/// A line of the grid: rules at one place, and the stretches that they cover.
struct GridLine {
    place: f32,
    covered: Vec<(f32, f32)>,
}

impl GridLine {
    /// Share of a stretch that is covered.
    fn cover(&self, from: f32, to: f32) -> f32 {
        let sum: f32 = self
            .covered
            .iter()
            .map(|(a, b)| (b.min(to) - a.max(from)).max(0.0))
            .sum();
        sum / (to - from).max(1.0)
    }
}

fn grid_lines(mut strokes: Vec<(f32, f32, f32)>, near: f32) -> Vec<GridLine> {
    strokes.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut lines: Vec<GridLine> = Vec::new();
    for (place, from, to) in strokes {
        match lines.last_mut() {
            Some(line) if place - line.place < near => {
                let n = line.covered.len() as f32;
                line.place = (line.place * n + place) / (n + 1.0);
                line.covered.push((from, to));
            }
            _ => lines.push(GridLine {
                place,
                covered: vec![(from, to)],
            }),
        }
    }
    lines
}

/// Reads a table by its rules: the table, its box in the frame and how many fragments it holds.
pub(super) fn read(
    component: &Component,
    fragments: &[Fragment],
    frame: &Frame,
    text_height: f32,
) -> Option<(Table, Box, usize)> {
    let straight = Straight::new(component);
    let near = 0.4 * text_height;
    let level = component.level.iter().map(|s| {
        let (a, b) = (straight.enter(s.from, s.start), straight.enter(s.to, s.end));
        ((a.1 + b.1) / 2.0, a.0, b.0)
    });
    let upright = component.upright.iter().map(|s| {
        let (a, b) = (straight.enter(s.start, s.from), straight.enter(s.end, s.to));
        ((a.0 + b.0) / 2.0, a.1, b.1)
    });
    let mut rows = grid_lines(level.collect(), near);
    let mut columns = grid_lines(upright.collect(), near);
    open_ends(&mut rows, &mut columns, text_height);
    open_ends(&mut columns, &mut rows, text_height);
    let (n, m) = (rows.len() - 1, columns.len() - 1);
    if n * m < 3 || n > 500 || m > 200 {
        return None;
    }
    let mut slots = slots(&rows, &columns);
    let (n, m) = compress(&mut slots, &mut rows, &mut columns);
    if n * m < 3 {
        return None;
    }
    let row_of = |v: f32| (0..n).find(|&r| v >= rows[r].place && v < rows[r + 1].place);
    let column_of = |u: f32| (0..m).find(|&c| u >= columns[c].place && u < columns[c + 1].place);
    let mut owner = vec![0usize; n * m];
    for (i, slot) in slots.iter().enumerate() {
        for r in slot.row..slot.row + slot.row_span {
            for c in slot.column..slot.column + slot.column_span {
                owner[r * m + c] = i;
            }
        }
    }
    let mut used = 0;
    for fragment in fragments {
        // A line that runs through rules is cut between its words.
        let place = |area: &Box| {
            let (u, v) = straight.enter((area.x0 + area.x1) / 2.0, area.middle());
            Some(owner[row_of(v)? * m + column_of(u)?])
        };
        let parts = fragment.clone().split(|a, b| place(a) != place(b));
        let mut inside = false;
        for part in parts {
            if let Some(slot) = place(&part.area) {
                slots[slot].fragments.push(part);
                inside = true;
            }
        }
        used += usize::from(inside);
    }
    let filled = slots.iter().filter(|s| !s.fragments.is_empty()).count();
    // The grid of a chart, the bars of a diagram.
    if filled < 3 || filled * 10 < slots.len() * 3 {
        return None;
    }
    let (mut slots, n) = split_rows(slots, n, text_height);
    for slot in &mut slots {
        let a = straight.leave(slot.area.x0, slot.area.y0);
        let b = straight.leave(slot.area.x1, slot.area.y1);
        slot.area = Box {
            x0: a.0,
            y0: a.1,
            x1: b.0,
            y1: b.1,
        };
    }
    let header_rows = cells::header_rows(n, &slots);
    let table = cells::table(n, m, header_rows, slots, frame);
    Some((table, component.area(), used))
}

/// Adds the outer edges that a table leaves open: where the rules across stick out beyond the outermost one.
fn open_ends(lines: &mut Vec<GridLine>, across: &mut [GridLine], text_height: f32) {
    let ends = || across.iter().flat_map(|l| &l.covered);
    let from = ends().map(|c| c.0).fold(f32::MAX, f32::min);
    let to = ends().map(|c| c.1).fold(f32::MIN, f32::max);
    let whole = vec![(f32::MIN / 4.0, f32::MAX / 4.0)];
    if lines.first().is_none_or(|l| l.place > from + text_height) {
        lines.insert(
            0,
            GridLine {
                place: from,
                covered: whole.clone(),
            },
        );
    }
    if lines.last().is_none_or(|l| l.place < to - text_height) {
        lines.push(GridLine {
            place: to,
            covered: whole,
        });
    }
}

/// The cells of a grid: its fields, joined where no rule parts them.
fn slots(rows: &[GridLine], columns: &[GridLine]) -> Vec<Slot> {
    let (n, m) = (rows.len() - 1, columns.len() - 1);
    let mut parent: Vec<usize> = (0..n * m).collect();
    fn root(parent: &mut [usize], mut i: usize) -> usize {
        while parent[i] != i {
            parent[i] = parent[parent[i]];
            i = parent[i];
        }
        i
    }
    // A stroke that letters touch is found in part only.
    let wall = 0.4;
    for r in 0..n {
        for c in 0..m {
            let here = r * m + c;
            if c + 1 < m && columns[c + 1].cover(rows[r].place, rows[r + 1].place) < wall {
                let (a, b) = (root(&mut parent, here), root(&mut parent, here + 1));
                parent[a.max(b)] = a.min(b);
            }
            if r + 1 < n && rows[r + 1].cover(columns[c].place, columns[c + 1].place) < wall {
                let (a, b) = (root(&mut parent, here), root(&mut parent, here + m));
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    // Rectangles around what was joined; those that overlap are one.
    let mut rectangles: std::collections::BTreeMap<usize, [usize; 4]> = Default::default();
    for r in 0..n {
        for c in 0..m {
            let rect = rectangles
                .entry(root(&mut parent, r * m + c))
                .or_insert([r, c, r, c]);
            *rect = [
                rect[0].min(r),
                rect[1].min(c),
                rect[2].max(r),
                rect[3].max(c),
            ];
        }
    }
    let mut done: Vec<[usize; 4]> = Vec::new();
    for mut rect in rectangles.into_values() {
        while let Some(at) = done
            .iter()
            .position(|d| d[0] <= rect[2] && rect[0] <= d[2] && d[1] <= rect[3] && rect[1] <= d[3])
        {
            let d = done.swap_remove(at);
            rect = [
                rect[0].min(d[0]),
                rect[1].min(d[1]),
                rect[2].max(d[2]),
                rect[3].max(d[3]),
            ];
        }
        done.push(rect);
    }
    done.into_iter()
        .map(|[r0, c0, r1, c1]| Slot {
            row: r0,
            column: c0,
            row_span: r1 - r0 + 1,
            column_span: c1 - c0 + 1,
            area: Box {
                x0: columns[c0].place,
                y0: rows[r0].place,
                x1: columns[c1 + 1].place,
                y1: rows[r1 + 1].place,
            },
            fragments: Vec::new(),
        })
        .collect()
}

/// Takes out rows and columns in which no cell begins: what parted them was no rule of the table. Returns how many are
/// left.
fn compress(
    slots: &mut [Slot],
    rows: &mut Vec<GridLine>,
    columns: &mut Vec<GridLine>,
) -> (usize, usize) {
    for r in (1..rows.len() - 1).rev() {
        if slots.iter().all(|s| s.row != r) {
            rows.remove(r);
            for slot in slots.iter_mut() {
                if slot.row > r {
                    slot.row -= 1;
                } else if slot.row + slot.row_span > r {
                    slot.row_span -= 1;
                }
            }
        }
    }
    for c in (1..columns.len() - 1).rev() {
        if slots.iter().all(|s| s.column != c) {
            columns.remove(c);
            for slot in slots.iter_mut() {
                if slot.column > c {
                    slot.column -= 1;
                } else if slot.column + slot.column_span > c {
                    slot.column_span -= 1;
                }
            }
        }
    }
    (rows.len() - 1, columns.len() - 1)
}

/// Splits ruled rows that hold several rows of text: tables whose body has upright rules alone.
fn split_rows(slots: Vec<Slot>, n: usize, text_height: f32) -> (Vec<Slot>, usize) {
    let mut cuts: Vec<Vec<f32>> = vec![Vec::new(); n];
    for (row, cuts) in cuts.iter_mut().enumerate() {
        let band: Vec<&Slot> = slots.iter().filter(|s| s.row == row).collect();
        if band.len() < 2 || band.iter().any(|s| s.row_span > 1) {
            continue;
        }
        if slots
            .iter()
            .any(|s| s.row < row && s.row + s.row_span > row)
        {
            continue;
        }
        // Rows of text, and how many cells have some in each.
        let mut middles: Vec<(f32, usize)> = band
            .iter()
            .enumerate()
            .flat_map(|(i, s)| s.fragments.iter().map(move |f| (f.area.middle(), i)))
            .collect();
        middles.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut texts: Vec<(f32, Vec<usize>)> = Vec::new();
        for (middle, cell) in middles {
            match texts.last_mut() {
                Some((last, cells)) if middle - *last < 0.5 * text_height => {
                    if !cells.contains(&cell) {
                        cells.push(cell);
                    }
                }
                _ => texts.push((middle, vec![cell])),
            }
        }
        let full = texts
            .iter()
            .filter(|(_, cells)| cells.len() >= 2 && cells.len() * 10 >= band.len() * 6)
            .count();
        if texts.len() >= 3 && full * 10 >= texts.len() * 8 {
            cuts.extend(texts.windows(2).map(|p| (p[0].0 + p[1].0) / 2.0));
        }
    }
    if cuts.iter().all(Vec::is_empty) {
        return (slots, n);
    }
    let mut begin = vec![0; n + 1];
    for row in 0..n {
        begin[row + 1] = begin[row] + cuts[row].len() + 1;
    }
    let mut out = Vec::new();
    for slot in slots {
        let cuts = &cuts[slot.row];
        if cuts.is_empty() || slot.row_span > 1 {
            out.push(Slot {
                row: begin[slot.row],
                row_span: begin[slot.row + slot.row_span] - begin[slot.row],
                ..slot
            });
            continue;
        }
        let step = slot.area.height() / (cuts.len() + 1) as f32;
        let mut parts: Vec<Slot> = (0..=cuts.len())
            .map(|i| Slot {
                row: begin[slot.row] + i,
                area: Box {
                    y0: slot.area.y0 + step * i as f32,
                    y1: slot.area.y0 + step * (i + 1) as f32,
                    ..slot.area
                },
                fragments: Vec::new(),
                ..slot.clone()
            })
            .collect();
        for fragment in slot.fragments {
            let part = cuts.iter().filter(|c| fragment.area.middle() > **c).count();
            parts[part].fragments.push(fragment);
        }
        out.extend(parts);
    }
    (out, begin[n])
}
