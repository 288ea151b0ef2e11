//! Figures: what is drawn on the page and is no text, rule or table.

use super::features::LineMeasure;
use super::frame::{Box, Grey};

/// Side of the squares in which the page is looked at, px.
const CELL: usize = 4;
/// Difference from the paper from which a pixel is drawn on, shades.
const DRAWN: i32 = 28;
/// Share of a figure's box that text may cover; a frame around a note holds more.
const MAX_TEXT: f32 = 0.3;

/// Finds figures, as boxes in the frame. `lines` are boxes of text, `taken` those of tables.
pub fn find(
    grey: &Grey,
    lines: &[Box],
    measured: &[LineMeasure],
    taken: &[Box],
    text_height: f32,
) -> Vec<Box> {
    let (w, h) = (grey.width / CELL, grey.height / CELL);
    if w < 8 || h < 8 {
        return Vec::new();
    }
    let paper = paper(grey, w, h);
    // Whether something is drawn in a square.
    let mut drawn = vec![false; w * h];
    for y in 0..h {
        for x in 0..w {
            let paper = i32::from(paper[y * w + x]);
            let mut count = 0;
            for row in 0..CELL {
                let at = (y * CELL + row) * grey.width + x * CELL;
                count += grey.pixels[at..at + CELL]
                    .iter()
                    .filter(|&&p| (i32::from(p) - paper).abs() > DRAWN)
                    .count();
            }
            drawn[y * w + x] = count >= 3;
        }
    }
    // Text and tables are accounted for.
    let clear = |drawn: &mut [bool], area: &Box, by: f32| {
        let to = |v: f32, most: usize| ((v / CELL as f32).max(0.0) as usize).min(most);
        let (x0, x1) = (to(area.x0 - by, w), to(area.x1 + by + CELL as f32, w));
        let (y0, y1) = (to(area.y0 - by, h), to(area.y1 + by + CELL as f32, h));
        for y in y0..y1 {
            drawn[y * w + x0.min(x1)..y * w + x1].fill(false);
        }
    };
    let whole = drawn.clone();
    for (area, line) in lines.iter().zip(measured) {
        if line.confident {
            clear(&mut drawn, area, 0.15 * text_height);
        }
    }
    for area in taken {
        clear(&mut drawn, area, 0.5 * text_height);
    }
    // Specks of noise would join what stands near them.
    for part in components(&drawn, w, h, 1) {
        if part.cells < 10 && part.x1 - part.x0 < 8 && part.y1 - part.y0 < 8 {
            for y in part.y0..=part.y1 {
                drawn[y * w + part.x0..=y * w + part.x1].fill(false);
            }
        }
    }
    let reach = ((0.6 * text_height) as usize / CELL).max(1);
    let mut boxes = components(&drawn, w, h, reach);
    // Specks of noise that happen to be neighbours fill little of their box.
    boxes.retain(|b| {
        let size = (b.x1 - b.x0 + 1) * (b.y1 - b.y0 + 1);
        b.cells >= 12 && b.cells * 25 > size
    });
    let mut found: Vec<Box> = boxes
        .iter()
        .filter_map(|part| {
            let area = Box {
                x0: (part.x0 * CELL) as f32,
                y0: (part.y0 * CELL) as f32,
                x1: ((part.x1 + 1) * CELL) as f32,
                y1: ((part.y1 + 1) * CELL) as f32,
            };
            let size = area.width().min(area.height());
            let edges = [
                part.x0 == 0,
                part.y0 == 0,
                part.x1 + 1 >= w,
                part.y1 + 1 >= h,
            ];
            // What surrounds the page is no part of it.
            let around = edges.iter().filter(|e| **e).count() >= 3
                || (edges.iter().filter(|e| **e).count() == 2
                    && area.width().max(area.height()) > 0.9 * (w.max(h) * CELL) as f32);
            (size >= 2.5 * text_height && !around).then_some(area)
        })
        .collect();
    join(&mut found, text_height);
    found.retain(|area| {
        let covered: f32 = lines
            .iter()
            .zip(measured)
            .filter(|(_, m)| m.confident)
            .map(|(l, _)| l.overlap_x(area).max(0.0) * l.overlap_y(area).max(0.0))
            .sum();
        let all = area.width() * area.height();
        let solid = share(&whole, w, h, area);
        area.width() >= 3.0 * text_height
            && area.height() >= 2.5 * text_height
            && all < 0.85 * (w * h * CELL * CELL) as f32
            && (covered < MAX_TEXT * all || (solid > 0.6 && covered < 0.5 * all))
    });
    found
}

/// Share of an area in which something is drawn.
fn share(drawn: &[bool], w: usize, h: usize, area: &Box) -> f32 {
    let to = |v: f32, most: usize| ((v / CELL as f32).max(0.0) as usize).min(most);
    let (x0, x1, y0, y1) = (
        to(area.x0, w),
        to(area.x1, w),
        to(area.y0, h),
        to(area.y1, h),
    );
    let mut count = 0;
    for y in y0..y1 {
        count += drawn[y * w + x0..y * w + x1].iter().filter(|d| **d).count();
    }
    count as f32 / ((x1 - x0) * (y1 - y0)).max(1) as f32
}

/// The paper's shade around each square: the light end of a neighbourhood far larger than a figure's strokes; where a
/// figure is dark throughout, that of the page around it.
fn paper(grey: &Grey, w: usize, h: usize) -> Vec<u8> {
    const TILE: usize = 16;
    let (tw, th) = (w.div_ceil(TILE), h.div_ceil(TILE));
    let mut tiles = vec![0u8; tw * th];
    for ty in 0..th {
        for tx in 0..tw {
            let mut counts = [0u32; 256];
            let mut all = 0;
            for y in (ty * TILE * CELL..((ty + 1) * TILE * CELL).min(grey.height)).step_by(3) {
                for x in (tx * TILE * CELL..((tx + 1) * TILE * CELL).min(grey.width)).step_by(3) {
                    counts[usize::from(grey.pixels[y * grey.width + x])] += 1;
                    all += 1;
                }
            }
            let mut sum = 0;
            tiles[ty * tw + tx] = counts
                .iter()
                .position(|c| {
                    sum += c;
                    sum * 4 >= all * 3
                })
                .unwrap_or(255) as u8;
        }
    }
    let mut sorted = tiles.clone();
    sorted.sort_unstable();
    let usual = sorted[sorted.len() * 3 / 5];
    (0..w * h)
        .map(|i| {
            let tile = tiles[(i / w / TILE) * tw + (i % w) / TILE];
            // Shadows change slowly; what is much darker is drawn.
            if tile.abs_diff(usual) > 45 {
                usual
            } else {
                tile
            }
        })
        .collect()
}

struct Part {
    x0: usize,
    y0: usize,
    x1: usize,
    y1: usize,
    cells: usize,
}

/// Connected squares; those within `reach` of each other are connected.
fn components(drawn: &[bool], w: usize, h: usize, reach: usize) -> Vec<Part> {
    let mut seen = vec![false; w * h];
    let mut out = Vec::new();
    let mut queue = Vec::new();
    for start in 0..w * h {
        if !drawn[start] || seen[start] {
            continue;
        }
        seen[start] = true;
        queue.push(start);
        let mut part = Part {
            x0: w,
            y0: h,
            x1: 0,
            y1: 0,
            cells: 0,
        };
        while let Some(at) = queue.pop() {
            let (x, y) = (at % w, at / w);
            part.x0 = part.x0.min(x);
            part.x1 = part.x1.max(x);
            part.y0 = part.y0.min(y);
            part.y1 = part.y1.max(y);
            part.cells += 1;
            for ny in y.saturating_sub(reach)..=(y + reach).min(h - 1) {
                for nx in x.saturating_sub(reach)..=(x + reach).min(w - 1) {
                    let next = ny * w + nx;
                    if drawn[next] && !seen[next] {
                        seen[next] = true;
                        queue.push(next);
                    }
                }
            }
        }
        out.push(part);
    }
    out
}

/// Joins boxes that overlap or nearly touch.
fn join(boxes: &mut Vec<Box>, text_height: f32) {
    loop {
        let mut joined = false;
        'search: for i in 0..boxes.len() {
            for j in i + 1..boxes.len() {
                let near = -0.8 * text_height;
                if boxes[i].overlap_x(&boxes[j]) > near && boxes[i].overlap_y(&boxes[j]) > near {
                    boxes[i] = boxes[i].with(&boxes[j]);
                    boxes.swap_remove(j);
                    joined = true;
                    break 'search;
                }
            }
        }
        if !joined {
            return;
        }
    }
}
