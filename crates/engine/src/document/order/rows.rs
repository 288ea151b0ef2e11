//! Rows: lines side by side that are read as one, and which rows make a paragraph.

use super::frame::Box;
use super::{Item, Row};

/// Orders items by rows from top to bottom, and in a row along the text.
pub fn by_rows(mut items: Vec<Item>, column: usize, out: &mut Vec<Row>) {
    items.sort_by(|a, b| {
        (a.area.middle().total_cmp(&b.area.middle())).then(a.area.x0.total_cmp(&b.area.x0))
    });
    let mut rows: Vec<(Box, Vec<Item>)> = Vec::new();
    for item in items {
        // The last few rows: a high line can reach into several.
        let row = rows.iter_mut().rev().take(3).find(|(area, members)| {
            let lowest = members
                .iter()
                .map(|m| m.area.height())
                .fold(item.area.height(), f32::min);
            let apart = members.iter().all(|m| {
                m.area.overlap_x(&item.area) < 0.5 * m.area.width().min(item.area.width())
            });
            area.overlap_y(&item.area) > 0.5 * lowest
                && apart
                && members[0].vertical == item.vertical
                && !item.solid
                && !members[0].solid
        });
        match row {
            Some((area, members)) => {
                // A row's height stays that of its members on average, else slanting rows would grow together.
                let count = members.len() as f32;
                area.y0 = (area.y0 * count + item.area.y0) / (count + 1.0);
                area.y1 = (area.y1 * count + item.area.y1) / (count + 1.0);
                area.x0 = area.x0.min(item.area.x0);
                area.x1 = area.x1.max(item.area.x1);
                members.push(item);
            }
            None => rows.push((item.area, vec![item])),
        }
    }
    for (area, mut members) in rows {
        members.sort_by(|a, b| {
            a.area
                .x0
                .total_cmp(&b.area.x0)
                .then(a.area.y0.total_cmp(&b.area.y0))
        });
        let begins: Vec<f32> = members.iter().map(|m| m.area.x0).collect();
        let ends: Vec<f32> = members.iter().map(|m| m.area.x1).collect();
        if members[0].vertical {
            // Vertical writing goes from right to left.
            members.reverse();
            for line in members.into_iter().flat_map(|m| m.lines) {
                out.push(Row {
                    items: vec![line],
                    area,
                    whole: true,
                    column,
                    begins: Vec::new(),
                    ends: Vec::new(),
                });
            }
        } else {
            out.push(Row {
                items: members.into_iter().flat_map(|m| m.lines).collect(),
                area,
                whole: false,
                column,
                begins,
                ends,
            });
        }
    }
}

/// Widest gap between two rows of a paragraph, heights of the lower one.
const GAP: f32 = 0.9;
/// Widest gap between two rows of a table: cells have room.
const TABLE_GAP: f32 = 2.0;

/// Whether a row goes on with the paragraph that `last` is in: the next row of the same column, near and of the same
/// size.
pub fn continues(last: &Row, row: &Row) -> bool {
    if last.column != row.column || last.whole != row.whole {
        return false;
    }
    if row.whole {
        return last.area == row.area;
    }
    let (a, b) = (last.area.height(), row.area.height());
    let gap = row.area.y0 - last.area.y1;
    let most = if same_columns(last, row) {
        TABLE_GAP
    } else {
        GAP
    };
    gap < most * a.min(b) && a.max(b) < 1.6 * a.min(b) && last.area.overlap_x(&row.area) > 0.0
}

/// Whether two rows of several cells have them at the same places.
fn same_columns(a: &Row, b: &Row) -> bool {
    if a.begins.len() < 3 || b.begins.len() < 3 {
        return false;
    }
    let near = 0.6 * a.area.height().min(b.area.height());
    let shared = (0..a.begins.len())
        .filter(|&i| {
            let at = |edges: &[f32], x: f32| edges.iter().any(|e| (e - x).abs() < near);
            at(&b.begins, a.begins[i]) || at(&b.ends, a.ends[i])
        })
        .count();
    shared * 3 >= 2 * a.begins.len().max(b.begins.len())
}
