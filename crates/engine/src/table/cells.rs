//! From fragments in a grid to a table.

use super::Fragment;
use crate::document::{Cell, Table};
use crate::structure::flow;
use crate::structure::frame::{Box, Frame};

/// A cell on its way: a rectangle of the grid with what stands in it.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub row: usize,
    pub column: usize,
    pub row_span: usize,
    pub column_span: usize,
    pub area: Box,
    pub fragments: Vec<Fragment>,
}

/// Makes a table of slots that cover its grid without overlapping.
pub(super) fn table(
    rows: usize,
    columns: usize,
    header_rows: usize,
    mut slots: Vec<Slot>,
    frame: &Frame,
) -> Table {
    slots.sort_by_key(|s| (s.row, s.column));
    let cells = slots
        .into_iter()
        .map(|slot| Cell {
            row: slot.row,
            column: slot.column,
            row_span: slot.row_span,
            column_span: slot.column_span,
            quad: frame.quad(&slot.area),
            text: text(slot.fragments),
        })
        .collect();
    Table {
        rows,
        columns,
        header_rows: header_rows.min(rows),
        cells,
    }
}

/// The text of a cell: fragments by rows, a line feed between rows.
fn text(mut fragments: Vec<Fragment>) -> String {
    fragments.sort_by(|a, b| a.area.middle().total_cmp(&b.area.middle()));
    let mut rows: Vec<(f32, Vec<Fragment>)> = Vec::new();
    for fragment in fragments {
        let (middle, height) = (fragment.area.middle(), fragment.area.height());
        match rows.last_mut() {
            Some((last, row)) if middle - *last < 0.5 * height => row.push(fragment),
            _ => rows.push((middle, vec![fragment])),
        }
    }
    let rows: Vec<String> = rows
        .into_iter()
        .map(|(_, mut row)| {
            row.sort_by(|a, b| a.area.x0.total_cmp(&b.area.x0));
            let parts: Vec<&str> = row.iter().map(|f| f.text.trim()).collect();
            flow::side_by_side(&parts)
        })
        .filter(|row| !row.is_empty())
        .collect();
    rows.join("\n")
}

/// How many rows at the top are the head, by what they hold: those before the first with numbers, where later rows
/// have some.
pub(super) fn header_rows(rows: usize, slots: &[Slot]) -> usize {
    let numbers = |row: usize| {
        slots
            .iter()
            .filter(|s| s.row == row && s.fragments.first().is_some_and(Fragment::is_number))
            .count()
    };
    if rows < 2 {
        return 0;
    }
    // As deep as the cells that begin in the first row, and at least to the first numbers.
    let deep = slots
        .iter()
        .filter(|s| s.row == 0)
        .map(|s| s.row_span)
        .max()
        .unwrap_or(1);
    let first = (0..rows).find(|&r| numbers(r) > 0).unwrap_or(1);
    first.clamp(1, 3).max(deep.min(3)).min(rows - 1)
}
