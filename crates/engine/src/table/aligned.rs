//! Tables by the alignment of their text: columns are what gaps through most rows divide.

use super::Fragment;
use super::cells::{self, Slot};
use super::head::{header, span_heads};
use super::join::join_rows;
use crate::document::Table;
use crate::structure::frame::{Box, Frame};
use crate::structure::rules::{Rules, Stroke};

/// A row of text.
#[derive(Clone, Debug)]
pub(super) struct TextRow {
    pub fragments: Vec<Fragment>,
    pub area: Box,
}

/// Rows of text from top to bottom, each from left to right.
pub(super) fn text_rows(fragments: &[Fragment]) -> Vec<TextRow> {
    let mut order: Vec<&Fragment> = fragments.iter().collect();
    order.sort_by(|a, b| {
        (a.area.middle().total_cmp(&b.area.middle())).then(a.area.x0.total_cmp(&b.area.x0))
    });
    let mut rows: Vec<TextRow> = Vec::new();
    for fragment in order {
        // The nearest neighbour in the row tells, since rows of a warped page bend.
        let row = rows.iter_mut().rev().take(3).find(|row| {
            row.fragments
                .iter()
                .min_by(|a, b| {
                    let gap = |f: &Fragment| -f.area.overlap_x(&fragment.area);
                    gap(a).total_cmp(&gap(b))
                })
                .is_some_and(|near| {
                    let height = near.area.height().min(fragment.area.height());
                    near.area.overlap_y(&fragment.area) > 0.5 * height
                        && near.area.overlap_x(&fragment.area) < 0.5 * height
                })
        });
        match row {
            Some(row) => {
                row.area = row.area.with(&fragment.area);
                row.fragments.push(fragment.clone());
            }
            None => rows.push(TextRow {
                fragments: vec![fragment.clone()],
                area: fragment.area,
            }),
        }
    }
    for row in &mut rows {
        row.fragments
            .sort_by(|a, b| a.area.x0.total_cmp(&b.area.x0));
    }
    rows.sort_by(|a, b| a.area.middle().total_cmp(&b.area.middle()));
    rows
}

/// A column: where its text begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub x0: f32,
    pub x1: f32,
}

/// Share of rows that may run through a gap between columns: heads and totals span.
const SPANNING: f32 = 0.28;

/// The columns of some rows.
pub(super) fn columns(rows: &[TextRow], text_height: f32) -> Vec<Column> {
    let all: Vec<Column> = rows
        .iter()
        .flat_map(|r| &r.fragments)
        .map(|f| Column {
            x0: f.area.x0,
            x1: f.area.x1,
        })
        .collect();
    let count = rows.iter().filter(|r| r.fragments.len() > 1).count();
    let most = if count < 4 {
        0
    } else {
        ((count as f32 * SPANNING) as usize).max(1)
    };
    let mut columns = peaks(&all, most);
    // What stands alone in a gap is a column with few entries.
    loop {
        let lone: Vec<Column> = all
            .iter()
            .filter(|f| {
                columns
                    .iter()
                    .all(|c| f.x1.min(c.x1) - f.x0.max(c.x0) < -0.2 * text_height)
            })
            .copied()
            .collect();
        if lone.is_empty() {
            break;
        }
        let held = |c: &Column| lone.iter().filter(|f| f.x0 < c.x1 && f.x1 > c.x0).count();
        let least = if rows.len() > 4 { 2 } else { 1 };
        let more = peaks(&lone, 0);
        let Some(best) = more
            .into_iter()
            .filter(|c| held(c) >= least)
            .max_by_key(|c| held(c))
        else {
            break;
        };
        columns.push(best);
    }
    columns.sort_by(|a, b| a.x0.total_cmp(&b.x0));
    columns
}

/// Stretches that more than `most` of the intervals cover.
fn peaks(intervals: &[Column], most: usize) -> Vec<Column> {
    let mut events: Vec<(f32, i32)> = intervals
        .iter()
        .flat_map(|f| [(f.x0, 1), (f.x1.max(f.x0), -1)])
        .collect();
    // Ends before begins, so that touching columns stay two.
    events.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut out: Vec<Column> = Vec::new();
    let mut depth = 0;
    let mut begin = None;
    for (x, step) in events {
        depth += step;
        match begin {
            None if depth as usize > most => begin = Some(x),
            Some(from) if (depth.max(0) as usize) <= most => {
                out.push(Column { x0: from, x1: x });
                begin = None;
            }
            _ => {}
        }
    }
    out
}

/// Which columns a fragment stands in, first and last.
pub(super) fn place(area: &Box, columns: &[Column], text_height: f32) -> (usize, usize) {
    let slack = 0.25 * text_height;
    let held = |c: &Column| area.x1.min(c.x1) - area.x0.max(c.x0) > slack.min(0.5 * (c.x1 - c.x0));
    let first = columns.iter().position(held);
    let last = columns.iter().rposition(held);
    match (first, last) {
        (Some(first), Some(last)) => (first, last),
        _ => {
            let middle = (area.x0 + area.x1) / 2.0;
            let nearest = (0..columns.len())
                .min_by(|&a, &b| {
                    let away = |c: &Column| (c.x0 - middle).max(middle - c.x1).max(0.0);
                    away(&columns[a]).total_cmp(&away(&columns[b]))
                })
                .unwrap_or(0);
            (nearest, nearest)
        }
    }
}

/// Fragments split at narrower gaps: columns may stand closer than words that are set wide. Other rows tell the two
/// apart. The space of a monospaced font is wide, but it parts words as any does.
pub(super) fn narrow(fragments: &[Fragment]) -> Vec<Fragment> {
    let space = pitch(fragments).map_or(0.0, |pitch| SPACE * pitch);
    fragments
        .iter()
        .flat_map(|f| {
            let gap = (NARROW * f.area.height()).max(space);
            f.clone().split(|a, b| b.x0 - a.x1 > gap)
        })
        .collect()
}

/// Widest gap between words that are one space apart in a monospaced font, characters: the space, and what is blank in
/// the cells beside it.
const SPACE: f32 = 1.7;

/// Width of a character where all are of one width.
fn pitch(fragments: &[Fragment]) -> Option<f32> {
    let mut widths: Vec<f32> = Vec::new();
    for fragment in fragments {
        for word in &fragment.words {
            let text = fragment.text.get(word.from..word.to).unwrap_or_default();
            let count = text.chars().count();
            // Figures are of one width in most fonts, and short words tell little.
            if count >= 4 && text.chars().all(|c| c.is_ascii_alphabetic()) {
                widths.push(word.area.width() / (count as f32 - 0.15));
            }
        }
    }
    widths.sort_by(f32::total_cmp);
    let usual = *widths.get(widths.len() / 2)?;
    let same = widths.iter().filter(|w| (*w / usual - 1.0).abs() < 0.07);
    (widths.len() >= 6 && same.count() * 10 >= widths.len() * 8).then_some(usual)
}

/// A row of the table on its way.
pub(super) struct GridRow {
    /// By columns that they stand in.
    pub cells: Vec<(usize, usize, Vec<Fragment>)>,
    pub area: Box,
}

impl GridRow {
    pub fn filled(&self, column: usize) -> bool {
        self.cells.iter().any(|c| c.0 <= column && column <= c.1)
    }

    fn only_first(&self) -> bool {
        self.cells.len() == 1 && self.cells[0].0 == 0
    }
}

/// A gap between words that may part columns, line heights.
const NARROW: f32 = 0.55;

/// Reads a table by the alignment of its text.
pub(super) fn read(
    fragments: &[Fragment],
    rules: &Rules,
    frame: &Frame,
    text_height: f32,
) -> Option<(Table, Box)> {
    let fragments = narrow(fragments);
    let rows = text_rows(&fragments);
    let columns = columns(&rows, text_height);
    if rows.len() < 2 || columns.len() < 2 || columns.len() > 200 {
        return None;
    }
    let area = rows.iter().map(|r| r.area).reduce(|a, b| a.with(&b))?;
    let inner: Vec<&Stroke> = rules
        .level
        .iter()
        .filter(|s| {
            s.middle() > area.y0 - text_height
                && s.middle() < area.y1 + text_height
                && s.to > area.x0
                && s.from < area.x1
        })
        .collect();
    let wide: Vec<f32> = inner
        .iter()
        .filter(|s| s.length() >= 0.6 * area.width())
        .map(|s| s.middle())
        .collect();
    let numeric = numeric(&rows, &columns, text_height);
    let mut grid: Vec<GridRow> = rows
        .into_iter()
        .map(|row| {
            let mut cells: Vec<(usize, usize, Vec<Fragment>)> = Vec::new();
            let parts = row
                .fragments
                .into_iter()
                .flat_map(|f| part(f, &columns, &numeric, text_height));
            for fragment in parts {
                let (first, last) = place(&fragment.area, &columns, text_height);
                match cells.last_mut() {
                    Some((_, b, members)) if first <= *b => {
                        *b = (*b).max(last);
                        members.push(fragment);
                    }
                    _ => cells.push((first, last, vec![fragment])),
                }
            }
            GridRow {
                cells,
                area: row.area,
            }
        })
        .collect();
    join_rows(&mut grid, &wide, columns.len());
    let header = header(&grid, &wide, area.y0);
    span_heads(&mut grid[..header], &inner, &columns, text_height);
    let sparse = is_sparse(&grid[header..], columns.len());
    let mut slots: Vec<Slot> = Vec::new();
    let n = grid.len();
    let m = columns.len();
    let mut taken = vec![false; n * m];
    for r in 0..n {
        let row = &grid[r];
        for (i, (first, last, members)) in row.cells.iter().enumerate() {
            let next = row.cells.get(i + 1).map_or(m, |c| c.0);
            let (mut first, mut last) = (*first, *last);
            if r >= header && row.only_first() && m > 2 && n > 2 && !sparse {
                last = m - 1;
            } else if first == 0 && last > 0 && r >= header {
                last = last.max(next - 1);
            } else if first == 0 && r > header && next > 1 {
                // Totals below each other span alike.
                let above = slots.iter().find(|s| s.row + 1 == r && s.column == 0);
                if let Some(above) = above
                    && above.column_span > 1
                    && above.column_span <= next
                {
                    last = above.column_span - 1;
                }
            }
            // What heads a column alone takes all rows of the head.
            let mut begin = r;
            let mut deep = 1;
            if r < header && first == last && (0..header).all(|h| h == r || !grid[h].filled(first))
            {
                while begin > 0 && !taken[(begin - 1) * m + first] {
                    begin -= 1;
                }
                deep = header - begin;
            }
            let r = begin;
            if first == 0 && last == 0 && r >= header && m > 2 && !row.only_first() {
                while r + deep < n
                    && !grid[r + deep].filled(0)
                    && (1..m).all(|c| grid[r + deep].filled(c))
                    && (1..m).all(|c| row.filled(c))
                {
                    deep += 1;
                }
            }
            if (r..r + deep).any(|r| (first..=last).any(|c| taken[r * m + c])) {
                // Spans that meet: the later cell keeps to what is free.
                let free = (first..m).find(|&c| !taken[r * m + c]);
                let Some(free) = free else {
                    if let Some(slot) = slots.last_mut() {
                        slot.fragments.extend(members.iter().cloned());
                    }
                    continue;
                };
                (first, last, deep) = (free, free, 1);
            }
            for r in r..r + deep {
                for c in first..=last {
                    taken[r * m + c] = true;
                }
            }
            slots.push(Slot {
                row: r,
                column: first,
                row_span: deep,
                column_span: last - first + 1,
                area: Box {
                    x0: columns[first].x0,
                    x1: columns[last].x1,
                    y0: row.area.y0,
                    y1: grid[r + deep - 1].area.y1,
                },
                fragments: members.clone(),
            });
        }
    }
    for r in 0..n {
        for c in 0..m {
            if !taken[r * m + c] {
                slots.push(Slot {
                    row: r,
                    column: c,
                    row_span: 1,
                    column_span: 1,
                    area: Box {
                        x0: columns[c].x0,
                        x1: columns[c].x1,
                        y0: grid[r].area.y0,
                        y1: grid[r].area.y1,
                    },
                    fragments: Vec::new(),
                });
            }
        }
    }
    let edges = wide.iter().fold(area, |a, &y| Box {
        y0: a.y0.min(y),
        y1: a.y1.max(y),
        ..a
    });
    Some((cells::table(n, m, header, slots, frame), edges))
}

/// Which columns hold numbers.
fn numeric(rows: &[TextRow], columns: &[Column], text_height: f32) -> Vec<bool> {
    let mut counts = vec![(0, 0); columns.len()];
    for fragment in rows.iter().flat_map(|r| &r.fragments) {
        let (first, last) = place(&fragment.area, columns, text_height);
        if first == last {
            counts[first].0 += usize::from(fragment.is_number());
            counts[first].1 += 1;
        }
    }
    counts.into_iter().map(|(n, all)| n * 5 > all * 3).collect()
}

/// Cuts a fragment that runs over several columns between words where both sides are what their columns hold: a number
/// and a text, or words at the columns' edges.
fn part(
    fragment: Fragment,
    columns: &[Column],
    numeric: &[bool],
    text_height: f32,
) -> Vec<Fragment> {
    let (first, last) = place(&fragment.area, columns, text_height);
    if first == last {
        return vec![fragment];
    }
    let column = |area: &Box| {
        let (a, b) = place(area, columns, text_height);
        (a == b).then_some(a)
    };
    let parts = fragment.clone().split(|a, b| column(a) != column(b));
    let near = 0.4 * text_height;
    let fits = parts.iter().all(|p| {
        column(&p.area).is_some_and(|c| {
            let edge = (p.area.x0 - columns[c].x0).abs() < near
                || (p.area.x1 - columns[c].x1).abs() < near;
            let heading = p.text.chars().all(|c| !c.is_ascii_digit() && c != '%');
            edge && (p.is_number() == numeric[c] || heading)
        })
    });
    if fits { parts } else { vec![fragment] }
}

/// Whether many cells are empty: a row with a name alone is then no heading of others.
fn is_sparse(rows: &[GridRow], columns: usize) -> bool {
    let full = rows.iter().filter(|r| r.cells.len() > 1);
    let (mut empty, mut all) = (0, 0);
    for row in full {
        empty += (0..columns).filter(|&c| !row.filled(c)).count();
        all += columns;
    }
    empty * 20 > all * 3
}
