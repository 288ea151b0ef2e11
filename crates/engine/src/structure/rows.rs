//! Rows of text, the columns they stand in and their usual distance: what paragraphs are made from.

use std::collections::HashMap;

use super::features::LineMeasure;
use super::flow::side_by_side;
use super::frame::Box;
use super::wording::length;
use crate::document::Line;
use crate::document::order::Row;

/// A row with what decides where a paragraph ends.
pub struct TextRow {
    pub lines: Vec<usize>,
    pub area: Box,
    pub column: usize,
    pub height: f32,
    pub bold: f32,
    pub pitch: f32,
    pub text: String,
    pub bullet: bool,
    pub vertical: bool,
    /// Whether it stands beside the row before it.
    pub beside: bool,
}

/// A row's texts: more than one where what stands far apart is of different size, as a bank's name and a date are.
pub fn text_rows(
    row: Row,
    lines: &[Line],
    areas: &[Box],
    measured: &[LineMeasure],
) -> Vec<TextRow> {
    let apart = |a: usize, b: usize| {
        let (Some(first), Some(second)) = (lines.get(a), lines.get(b)) else {
            return false;
        };
        let (low, high) = {
            let (a, b) = (areas[a].height(), areas[b].height());
            (a.min(b), a.max(b))
        };
        // Boxes of a few characters tell little of their size.
        let long = |line: &Line| length(&line.text) >= 4;
        let level = !first.vertical && !second.vertical && long(first) && long(second);
        level && high > 1.3 * low && -areas[a].overlap_x(&areas[b]) > 3.0 * high
    };
    let mut parts: Vec<Vec<usize>> = Vec::new();
    for item in row.items {
        match parts.last_mut() {
            Some(part) if part.last().is_none_or(|&last| !apart(last, item)) => part.push(item),
            _ => parts.push(vec![item]),
        }
    }
    let rows = parts.into_iter().enumerate().map(|(at, items)| TextRow {
        beside: at > 0,
        ..text_row(items, row.area, row.column, lines, areas, measured)
    });
    rows.collect()
}

/// A text of a row's `items`; `around` is the box of those that aren't lines.
fn text_row(
    items: Vec<usize>,
    around: Box,
    column: usize,
    lines: &[Line],
    areas: &[Box],
    measured: &[LineMeasure],
) -> TextRow {
    let own: Vec<usize> = items.iter().copied().filter(|&i| i < lines.len()).collect();
    let area = own
        .iter()
        .map(|&i| areas[i])
        .reduce(|a, b| a.with(&b))
        .unwrap_or(around);
    let parts: Vec<&str> = own.iter().map(|&i| lines[i].text.trim()).collect();
    let weight: usize = own.iter().map(|&i| lines[i].text.chars().count()).sum();
    let mean = |f: &dyn Fn(&LineMeasure) -> f32| {
        own.iter()
            .map(|&i| f(&measured[i]) * lines[i].text.chars().count() as f32)
            .sum::<f32>()
            / weight.max(1) as f32
    };
    let mut heights: Vec<f32> = own.iter().map(|&i| areas[i].height()).collect();
    heights.sort_by(f32::total_cmp);
    TextRow {
        text: side_by_side(&parts),
        height: heights
            .get(heights.len() / 2)
            .copied()
            .unwrap_or(area.height()),
        bold: mean(&|m| m.bold),
        pitch: mean(&|m| m.pitch),
        bullet: own.first().is_some_and(|&i| measured[i].bullet),
        vertical: own.first().is_some_and(|&i| lines[i].vertical),
        lines: items,
        area,
        column,
        beside: false,
    }
}

/// Left and right edges of the columns.
pub fn sides(rows: &[TextRow], lines: usize) -> HashMap<usize, (f32, f32)> {
    let mut sides = HashMap::new();
    for row in rows {
        let text = row.lines[0] < lines;
        let side = sides.entry(row.column).or_insert((f32::MAX, f32::MIN));
        if text {
            side.0 = side.0.min(row.area.x0);
            side.1 = side.1.max(row.area.x1);
        }
    }
    for row in rows {
        let side = sides
            .get_mut(&row.column)
            .expect("every row's column is there");
        if side.0 > side.1 {
            *side = (row.area.x0, row.area.x1);
        }
    }
    sides
}

/// The usual gap between the rows of a paragraph: a low quantile, since there are others between paragraphs.
pub fn leading(rows: &[TextRow], text_height: f32) -> f32 {
    let mut gaps: Vec<f32> = rows
        .windows(2)
        .filter(|p| p[0].column == p[1].column)
        .filter(|p| {
            let like = |r: &TextRow| r.height > 0.75 * text_height && r.height < 1.3 * text_height;
            like(&p[0]) && like(&p[1])
        })
        .map(|p| p[1].area.y0 - p[0].area.y1)
        .filter(|g| *g < 1.2 * text_height && *g > -0.6 * text_height)
        .collect();
    gaps.sort_by(f32::total_cmp);
    gaps.get(gaps.len() * 2 / 5)
        .copied()
        .unwrap_or(0.2 * text_height)
}
