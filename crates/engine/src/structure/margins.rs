//! What stands in the margins: running heads, page numbers.

use super::blocks::Block;
use super::features::LineMeasure;
use super::frame::{Box, Frame};
use super::rules::Rules;
use super::wording::page_number;
use crate::document::{Line, order};

/// Parts of the page, as indices of lines: above the text, the text, below it.
pub type Parts = (Vec<usize>, Vec<usize>, Vec<usize>);

/// What stands above and below the text: a row or two at the page's edge, apart from the rest, no larger than it.
#[allow(clippy::too_many_arguments)]
pub fn margins(
    areas: &[Box],
    placed: &[order::Placed],
    measured: &[LineMeasure],
    some: &[usize],
    solids: &[Block],
    text_height: f32,
    frame: &Frame,
    rules: &Rules,
    lines: &[Line],
) -> Parts {
    let mut level: Vec<usize> = some
        .iter()
        .copied()
        .filter(|&i| placed[i].lie == order::Lie::Level && !lines[i].vertical)
        .collect();
    level.sort_by(|&a, &b| areas[a].middle().total_cmp(&areas[b].middle()));
    // Rows across the whole page.
    let mut rows: Vec<(Box, Vec<usize>)> = Vec::new();
    for &i in &level {
        match rows.last_mut() {
            Some((area, members))
                if area.overlap_y(&areas[i]) > 0.5 * areas[i].height().min(area.height()) =>
            {
                *area = area.with(&areas[i]);
                members.push(i);
            }
            _ => rows.push((areas[i], vec![i])),
        }
    }
    let height = frame.height as f32;
    let (mut top, mut bottom) = (Vec::new(), Vec::new());
    if rows.len() >= 3 || !solids.is_empty() {
        let next = |edge: f32, down: bool| {
            let text = rows.iter().map(|r| r.0);
            let solid = solids.iter().map(|s| s.area);
            let all = text.chain(solid);
            if down {
                all.filter(|a| a.y0 > edge - 1.0)
                    .map(|a| a.y0 - edge)
                    .fold(f32::MAX, f32::min)
            } else {
                all.filter(|a| a.y1 < edge + 1.0)
                    .map(|a| edge - a.y1)
                    .fold(f32::MAX, f32::min)
            }
        };
        let first = solids.iter().map(|s| s.area.y0).fold(f32::MAX, f32::min);
        let last = solids.iter().map(|s| s.area.y1).fold(f32::MIN, f32::max);
        let plain = |members: &[usize], sure: bool| {
            let most = if sure { 1.5 } else { 1.2 };
            members.iter().all(|&i| {
                areas[i].height() < most * text_height && lines[i].text.chars().count() < 120
            })
        };
        let digits = |members: &[usize]| {
            let text: String = members.iter().map(|&i| lines[i].text.as_str()).collect();
            page_number(&text)
        };
        // The uppermost rule of a table is no rule below a running head.
        let own = |y: f32| {
            let near = 0.3 * text_height;
            let mut areas = solids.iter().map(|s| s.area);
            areas.any(|a| y > a.y0 - near && y < a.y1 + near)
        };
        let ruled = |from: f32, to: f32| {
            rules.level.iter().any(|s| {
                let y = s.middle();
                y > from && y < to && !own(y) && s.length() > 0.5 * frame.width as f32 * 0.7
            })
        };
        for (area, members) in rows.iter().take(2) {
            let gap = next(area.y1, true);
            let h = area.height().min(1.3 * text_height);
            let edge = area.y1 < 0.14 * height && area.y0 < first;
            let apart = gap > 1.1 * h && gap < f32::MAX;
            let spread = members.len() > 1
                && members
                    .iter()
                    .any(|&i| areas[i].x0 > 0.5 * frame.width as f32);
            let sure = ruled(area.y1 - 0.3 * h, area.y1 + 1.2 * h)
                || digits(members)
                || (spread && apart && area.y1 < 0.1 * height)
                || (area.y1 < 0.065 * height && gap > 1.5 * h);
            let strong = members.iter().any(|&i| measured[i].bold > 1.25)
                && members.len() == 1
                && !ruled(area.y1 - 0.3 * h, area.y1 + 1.2 * h);
            let known = spread || digits(members) || ruled(area.y1 - 0.3 * h, area.y1 + 1.2 * h);
            if edge && apart && sure && plain(members, known) && !strong {
                top.extend(members);
            } else {
                break;
            }
        }
        for (area, members) in rows.iter().rev().take(3) {
            if members.iter().any(|i| top.contains(i)) {
                break;
            }
            let gap = next(area.y0, false);
            let h = area.height().min(1.3 * text_height);
            let edge = area.y0 > 0.84 * height && area.y1 > last;
            let apart = gap > 1.1 * h && gap < f32::MAX;
            let sure = digits(members)
                || ruled(area.y0 - 1.2 * h, area.y0 + 0.3 * h)
                || (area.y0 > 0.9 * height && gap > 1.5 * h);
            let note = members.iter().any(|&i| {
                let text = &lines[i].text;
                areas[i].height() < 0.97 * text_height
                    && (super::wording::length(text) > 70 || super::wording::note_mark(text))
            });
            let spread = members.len() > 1
                && members
                    .iter()
                    .any(|&i| areas[i].x0 > 0.5 * frame.width as f32);
            let known = spread || digits(members) || ruled(area.y0 - 1.2 * h, area.y0 + 0.3 * h);
            if edge && apart && sure && plain(members, known) && (!note || digits(members)) {
                bottom.extend(members);
            } else {
                break;
            }
        }
    }
    let body = some
        .iter()
        .copied()
        .filter(|i| !top.contains(i) && !bottom.contains(i))
        .collect();
    (top, body, bottom)
}
