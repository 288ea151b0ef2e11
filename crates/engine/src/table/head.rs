//! The head of a table that is read by alignment: how deep it is and what its cells span.

use super::Fragment;
use super::aligned::{Column, GridRow};
use crate::structure::rules::Stroke;

/// How many rows are the head: those above the first rule below the top, else up to the first row of numbers.
pub(super) fn header(grid: &[GridRow], rules: &[f32], top: f32) -> usize {
    let most = (grid.len() - 1).min(4);
    let above = |y: f32| grid.iter().filter(|r| r.area.middle() < y).count();
    let mut counts: Vec<usize> = rules
        .iter()
        .filter(|y| **y > top)
        .map(|y| above(*y))
        .filter(|n| *n > 0)
        .collect();
    counts.sort_unstable();
    counts.dedup();
    // A rule below every row parts nothing.
    if let Some(&first) = counts.first()
        && first <= most
        && !(counts.len() >= 3 && first == 1 && counts.windows(2).all(|p| p[1] == p[0] + 1))
    {
        return first;
    }
    let numbers = |row: &GridRow| {
        row.cells
            .iter()
            .filter(|c| c.0 > 0 && c.2[0].is_number())
            .count()
    };
    let body = grid
        .iter()
        .position(|row| numbers(row) * 2 > row.cells.len().max(2) - 1);
    match body {
        Some(0) | None => 1,
        Some(n) => n.min(most).min(3),
    }
    .min(most)
}

/// How many columns a cell of the head spans: those below the rule under it, those that it reaches over, or the empty
/// ones beside it that centre it.
#[allow(clippy::too_many_arguments)]
fn head_span(
    below: &GridRow,
    rules: &[&Stroke],
    columns: &[Column],
    members: &[Fragment],
    (first, last): (usize, usize),
    (from, to): (usize, usize),
    bottom: f32,
    text_height: f32,
) -> (usize, usize) {
    let x0 = members.iter().map(|f| f.area.x0).fold(f32::MAX, f32::min);
    let x1 = members.iter().map(|f| f.area.x1).fold(f32::MIN, f32::max);
    let all = columns[columns.len() - 1].x1 - columns[0].x0;
    let under = rules.iter().find(|s| {
        s.middle() > bottom - 0.5 * text_height
            && s.middle() < bottom + 1.2 * text_height
            && s.from < (x0 + x1) / 2.0
            && s.to > (x0 + x1) / 2.0
            && s.length() < 0.85 * all
    });
    if let Some(rule) = under {
        let held = |c: &Column| {
            let middle = (c.x0 + c.x1) / 2.0;
            middle > rule.from && middle < rule.to
        };
        if let (Some(a), Some(b)) = (
            columns.iter().position(held),
            columns.iter().rposition(held),
        ) {
            return (a.max(from).min(first), b.min(to - 1).max(last));
        }
    }
    // The columns that it stands in the middle of.
    let open = |c: usize| below.filled(c);
    let centre = (x0 + x1) / 2.0;
    let off = |a: usize, b: usize| ((columns[a].x0 + columns[b].x1) / 2.0 - centre).abs();
    let mut best = (first, last);
    for a in (from..=first).rev() {
        if a < first && !open(a) {
            break;
        }
        for b in last..to {
            if b > last && !open(b) {
                break;
            }
            if off(a, b) + 0.3 * text_height < off(best.0, best.1) {
                best = (a, b);
            }
        }
    }
    best
}

/// Widens the cells of a head to the columns that they stand over, from the lowest row up.
pub(super) fn span_heads(
    head: &mut [GridRow],
    rules: &[&Stroke],
    columns: &[Column],
    text_height: f32,
) {
    for r in (0..head.len().saturating_sub(1)).rev() {
        let (upper, lower) = head.split_at_mut(r + 1);
        let (row, below) = (&mut upper[r], &lower[0]);
        let count = row.cells.len();
        let span = |row: &GridRow, i: usize, from: usize| {
            let to = row.cells.get(i + 1).map_or(columns.len(), |c| c.0);
            let cell = &row.cells[i];
            head_span(
                below,
                rules,
                columns,
                &cell.2,
                (cell.0, cell.1),
                (from, to),
                row.area.y1,
                text_height,
            )
        };
        let mut from = 0;
        for i in 0..count {
            let (first, mut last) = span(row, i, from);
            // What is left empty up to the next head belongs to a head at the left edge of its columns.
            let next = row.cells.get(i + 1).map_or(columns.len(), |c| c.0);
            let rest = below.filled(first) && (last + 1..next).all(|c| below.filled(c));
            let claimed = i + 1 < count && span(row, i + 1, last + 1).0 < row.cells[i + 1].0;
            if rest && !claimed && next > last + 1 {
                last = next - 1;
            }
            row.cells[i].0 = first;
            row.cells[i].1 = last;
            from = last + 1;
        }
    }
}
