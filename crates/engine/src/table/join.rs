//! Text rows that are lines of the same cells become one row.

use super::aligned::GridRow;

/// Joins text rows that are lines of the same cells.
pub(super) fn join_rows(grid: &mut Vec<GridRow>, rules: &[f32], columns: usize) {
    // Cells that are centred beside cells of two lines stand between their rows.
    let mut at = 1;
    while at < grid.len() {
        let (above, row) = (&grid[at - 1], &grid[at]);
        let shared = above.area.overlap_y(&row.area);
        let height = above.area.height().min(row.area.height());
        let apart = row
            .cells
            .iter()
            .all(|c| (c.0..=c.1).all(|column| !above.filled(column)));
        let below = grid
            .get(at + 1)
            .map_or(0.0, |b| b.area.overlap_y(&row.area));
        if apart && shared > 0.15 * height && shared >= below {
            let row = grid.remove(at);
            let above = &mut grid[at - 1];
            above.cells.extend(row.cells);
            above.cells.sort_by_key(|c| c.0);
        } else if apart && below > 0.15 * height && below > shared && {
            let next = &grid[at + 1];
            row.cells
                .iter()
                .all(|c| (c.0..=c.1).all(|column| !next.filled(column)))
        } {
            let row = grid.remove(at);
            let next = &mut grid[at];
            next.cells.extend(row.cells);
            next.cells.sort_by_key(|c| c.0);
        } else {
            at += 1;
        }
    }
    let pitch = |a: &GridRow, b: &GridRow| b.area.middle() - a.area.middle();
    let count = |row: &GridRow| row.cells.len();
    // Between rows that have most of their cells.
    let mut pitches: Vec<f32> = grid
        .windows(2)
        .filter(|p| count(&p[0]) * 2 > columns && count(&p[1]) * 2 > columns)
        .map(|p| pitch(&p[0], &p[1]))
        .collect();
    pitches.sort_by(f32::total_cmp);
    let usual = pitches.get(pitches.len() / 2).copied();
    let mut at = 1;
    while at < grid.len() {
        let (above, row) = (&grid[at - 1], &grid[at]);
        let ruled = rules
            .iter()
            .any(|y| *y > above.area.middle() && *y < row.area.middle());
        let inside = row
            .cells
            .iter()
            .all(|c| above.cells.iter().any(|a| a.0 <= c.0 && c.1 <= a.1));
        let fewer = count(row) < count(above);
        let small = row.cells.iter().any(|c| {
            c.2[0]
                .text
                .chars()
                .next()
                .is_some_and(|c| c.is_lowercase() || matches!(c, '%' | '/' | ')'))
        });
        let tight = usual.is_some_and(|usual| pitch(above, row) < 0.8 * usual);
        let bracket = row.cells.iter().any(|c| c.2[0].text.starts_with('(')) && count(row) > 1;
        let small = small || bracket;
        let words = row
            .cells
            .iter()
            .all(|c| !c.2[0].is_number() || c.2[0].text.starts_with('('));
        let indented = row.cells.iter().all(|c| {
            above
                .cells
                .iter()
                .any(|a| a.0 == c.0 && a.2[0].area.x0 < c.2[0].area.x0 - 2.0)
        });
        let near = row.area.y0 - above.area.y1 < 0.5 * row.area.height();
        // A row with a name of its own is a row of its own.
        let words = words && (!row.filled(0) || small);
        let goes_on = (fewer && words && (tight || (small && near)))
            || (tight && small && words)
            || (fewer && near && small && indented);
        if !ruled && inside && goes_on {
            let row = grid.remove(at);
            let above = &mut grid[at - 1];
            above.area = above.area.with(&row.area);
            for (first, last, members) in row.cells {
                if let Some(cell) = above.cells.iter_mut().find(|a| a.0 <= first && last <= a.1) {
                    cell.2.extend(members);
                }
            }
        } else {
            at += 1;
        }
    }
}
