//! Lines a quarter turn from the page's text: stamps in the margin, labels of axes. They have an order of their own and
//! follow the block that they stand beside, so that the others' order is what it is without them.

use super::frame::{Box, Lie, Placed};
use super::rows::continues;
use super::{Line, Row};

/// Puts sideways lines into rows that are in reading order already.
pub fn insert(lines: &[Line], placed: &[Placed], some: &[usize], rows: &mut Vec<Row>) {
    let last = rows.iter().map(|r| r.column).max().unwrap_or(0);
    let mut places: Vec<(usize, Vec<usize>, Box)> = groups(lines, placed, some)
        .into_iter()
        .map(|group| {
            let area = group
                .iter()
                .map(|&i| placed[i].area)
                .reduce(|a, b| a.with(&b))
                .unwrap_or_default();
            (after(rows, &area), group, area)
        })
        .collect();
    places.sort_by(|a, b| {
        a.0.cmp(&b.0)
            .then(a.2.y0.total_cmp(&b.2.y0))
            .then(a.2.x0.total_cmp(&b.2.x0))
    });
    // From the last on, so that places stay what they are.
    for (column, (place, group, area)) in (last + 1..).zip(places.into_iter().rev()) {
        let group = group.into_iter().map(|line| Row {
            items: vec![line],
            area,
            whole: true,
            column,
            begins: Vec::new(),
            ends: Vec::new(),
        });
        rows.splice(place..place, group);
    }
}

/// Where a sideways group goes: behind the block that it stands beside, or behind the column where it passes several.
fn after(rows: &[Row], area: &Box) -> usize {
    if rows.is_empty() {
        return 0;
    }
    // Paragraphs, as ranges of rows.
    let mut blocks: Vec<std::ops::Range<usize>> = Vec::new();
    for i in 0..rows.len() {
        match blocks.last_mut() {
            Some(block) if continues(&rows[i - 1], &rows[i]) => block.end = i + 1,
            _ => blocks.push(i..i + 1),
        }
    }
    let around = |block: &std::ops::Range<usize>| {
        rows[block.clone()]
            .iter()
            .map(|r| r.area)
            .reduce(|a, b| a.with(&b))
            .unwrap_or_default()
    };
    let beside = |block: &std::ops::Range<usize>| around(block).overlap_y(area) > 0.0;
    let distance = |block: &std::ops::Range<usize>| {
        let other = around(block);
        (-other.overlap_x(area)).max(0.0) + (-other.overlap_y(area)).max(0.0)
    };
    let Some(nearest) = blocks.iter().min_by(|a, b| {
        (!beside(a))
            .cmp(&!beside(b))
            .then(distance(a).total_cmp(&distance(b)))
    }) else {
        return rows.len();
    };
    let column = rows[nearest.start].column;
    let passed = blocks
        .iter()
        .filter(|b| rows[b.start].column == column && beside(b))
        .count();
    if passed <= 1 {
        nearest.end
    } else {
        rows.iter().rposition(|r| r.column == column).unwrap_or(0) + 1
    }
}

/// Sideways lines of one direction that stand close together, each group in its own reading order.
fn groups(lines: &[Line], placed: &[Placed], some: &[usize]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for lie in [Lie::Up, Lie::Down] {
        let mut indices: Vec<usize> = some
            .iter()
            .copied()
            .filter(|&i| placed[i].lie == lie)
            .collect();
        // Rows of text that runs up follow each other to the right, of text that runs down to the left.
        let along = |i: usize| {
            let area = placed[i].area;
            if lie == Lie::Up {
                (area.x0, -area.y1)
            } else {
                (-area.x1, area.y0)
            }
        };
        indices.sort_by(|&a, &b| {
            let (p, q) = (along(a), along(b));
            (p.0.total_cmp(&q.0))
                .then(p.1.total_cmp(&q.1))
                .then_with(|| lines[a].text.cmp(&lines[b].text))
        });
        let first = groups.len();
        for i in indices {
            let area = placed[i].area;
            let near = groups[first..].iter_mut().find(|group| {
                group.iter().any(|&j| {
                    let other = placed[j].area;
                    let thickness = area.width().min(other.width());
                    other.overlap_x(&area) > -1.5 * thickness
                        && other.overlap_y(&area) > -2.0 * thickness
                })
            });
            match near {
                Some(group) => group.push(i),
                None => groups.push(vec![i]),
            }
        }
    }
    groups
}
