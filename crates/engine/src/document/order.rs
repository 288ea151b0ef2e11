//! Reading order: the direction of a page's text, its columns, its rows.

use super::Line;
use crate::geometry::Point;
use crate::recognise::bidi;

/// An upright rectangle in a frame in which the page's text runs to the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Box {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

impl Box {
    fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    fn middle(&self) -> f32 {
        (self.y0 + self.y1) / 2.0
    }

    fn with(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }
}

/// Lines that stand side by side and are read as one.
#[derive(Clone, Debug)]
pub struct Row {
    /// Indices of the lines, in reading order.
    pub items: Vec<usize>,
    /// Around them.
    area: Box,
    vertical: bool,
    /// Counts the columns; a paragraph doesn't go from one to the next.
    column: usize,
}

/// The lines' boxes after turning the page so that its text runs to the right; a page of Arabic is seen in a mirror.
pub fn upright_boxes(lines: &[Line], page_width: u32, page_height: u32) -> Vec<Box> {
    let direction = direction(lines);
    // Lines may stick out of the page by a little, never by more than its size.
    let reach = 2.0 * (page_width as f32 + page_height as f32).clamp(1.0, 1e6);
    let (sin, cos) = direction.sin_cos();
    let leftward = lines.iter().filter(|l| bidi::runs_left(&l.text)).count() * 2 > lines.len();
    lines
        .iter()
        .map(|line| {
            let finite = |v: f32| {
                if v.is_finite() {
                    v.clamp(-reach, reach)
                } else {
                    0.0
                }
            };
            let corners = line.quad.0.map(|p| {
                let (x, y) = (finite(p.x), finite(p.y));
                Point::new(x * cos + y * sin, y * cos - x * sin)
            });
            // Edges, not corners: a box around a slightly slanting line would be higher than the line.
            let mean = |a: f32, b: f32| (a + b) / 2.0;
            let [a, b, c, d] = corners;
            let (mut left, mut right) = (mean(a.x, d.x), mean(b.x, c.x));
            if leftward {
                (left, right) = (-right, -left);
            }
            let (top, bottom) = (mean(a.y, b.y), mean(d.y, c.y));
            Box {
                x0: left.min(right),
                y0: top.min(bottom),
                x1: left.max(right),
                y1: top.max(bottom),
            }
        })
        .collect()
}

/// Angle of the page's text, radians clockwise from rightward: the circular median of its lines, long ones counting
/// more.
fn direction(lines: &[Line]) -> f32 {
    let mut angles: Vec<(f32, f32)> = lines
        .iter()
        .filter(|l| !l.vertical)
        .filter_map(|l| {
            let [a, b, c, d] = l.quad.0;
            let (dx, dy) = (b.x - a.x + c.x - d.x, b.y - a.y + c.y - d.y);
            let (length, height) = (l.quad.width(), l.quad.height());
            // Short boxes lean by chance.
            (length.is_finite()
                && height.is_finite()
                && length > 2.0 * height
                && (dx, dy) != (0.0, 0.0))
                .then(|| (dy.atan2(dx), length))
        })
        .collect();
    if angles.is_empty() {
        return 0.0;
    }
    // Around the mean direction, so that ±180° are neighbours.
    let (sin, cos) = angles.iter().fold((0.0, 0.0), |(s, c), &(a, w)| {
        (s + a.sin() * w, c + a.cos() * w)
    });
    let mean = f32::atan2(sin, cos);
    let turn = std::f32::consts::TAU;
    for (angle, _) in &mut angles {
        *angle -= mean;
        *angle -= (*angle / turn).round() * turn;
    }
    angles.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let half = angles.iter().map(|a| a.1).sum::<f32>() / 2.0;
    let mut sum = 0.0;
    let median = angles.iter().find(|a| {
        sum += a.1;
        sum >= half
    });
    mean + median.map_or(0.0, |a| a.0)
}

/// A line, or several vertical lines that are read together.
struct Item {
    lines: Vec<usize>,
    area: Box,
    characters: usize,
    vertical: bool,
}

/// The rows of a page in reading order. Every line is in one of them.
pub fn rows(lines: &[Line], boxes: &[Box]) -> Vec<Row> {
    let mut items: Vec<Item> = vertical_groups(lines, boxes);
    for (i, line) in lines.iter().enumerate().filter(|(_, l)| !l.vertical) {
        items.push(Item {
            lines: vec![i],
            area: boxes[i],
            characters: line.text.chars().count(),
            vertical: false,
        });
    }
    // Ties are broken by text, so that the order lines came in means nothing.
    items.sort_by(|a, b| {
        let key = |i: &Item| (i.area.y0, i.area.x0, i.area.y1, i.area.x1);
        let (p, q) = (key(a), key(b));
        (p.0.total_cmp(&q.0))
            .then(p.1.total_cmp(&q.1))
            .then(p.2.total_cmp(&q.2))
            .then(p.3.total_cmp(&q.3))
            .then_with(|| lines[a.lines[0]].text.cmp(&lines[b.lines[0]].text))
    });
    let mut out = Vec::new();
    let mut column = 0;
    let leftward = items.iter().filter(|i| i.vertical).count() * 2 > items.len();
    order(items, leftward, 0, &mut column, &mut out);
    out
}

/// Vertical lines that stand beside each other: a paragraph, a bubble. From right to left.
fn vertical_groups(lines: &[Line], boxes: &[Box]) -> Vec<Item> {
    let mut indices: Vec<usize> = (0..lines.len()).filter(|&i| lines[i].vertical).collect();
    indices.sort_by(|&a, &b| {
        (boxes[b].x1.total_cmp(&boxes[a].x1))
            .then(boxes[a].y0.total_cmp(&boxes[b].y0))
            .then(boxes[a].x0.total_cmp(&boxes[b].x0))
            .then(boxes[a].y1.total_cmp(&boxes[b].y1))
            .then_with(|| lines[a].text.cmp(&lines[b].text))
    });
    let mut groups: Vec<Item> = Vec::new();
    for i in indices {
        let area = boxes[i];
        let characters = lines[i].text.chars().count();
        let near = groups.iter_mut().find(|g| {
            let last = boxes[*g.lines.last().unwrap_or(&i)];
            let shared = last.y1.min(area.y1) - last.y0.max(area.y0);
            let gap = last.x0 - area.x1;
            let thickness = last.width().max(area.width());
            shared > 0.4 * last.height().min(area.height())
                && gap < 1.2 * thickness
                && gap > -0.6 * thickness
        });
        match near {
            Some(group) => {
                group.lines.push(i);
                group.area = group.area.with(&area);
                group.characters += characters;
            }
            None => groups.push(Item {
                lines: vec![i],
                area,
                characters,
                vertical: true,
            }),
        }
    }
    groups
}

/// Deepest nesting of columns: a bound for hostile input.
const MAX_DEPTH: usize = 16;

fn order(items: Vec<Item>, leftward: bool, depth: usize, column: &mut usize, out: &mut Vec<Row>) {
    if depth < MAX_DEPTH
        && let Some(gutter) = gutter(&items)
    {
        // Top to bottom: what crosses the gutter's line, and between such lines the two sides.
        let mut crossing = Vec::new();
        let mut queue: Vec<(usize, Vec<Item>)> = Vec::new();
        for item in items {
            let span = gutter.spans.iter().position(|s| s.holds(&item.area));
            match span {
                Some(span) => match queue.iter_mut().find(|(s, _)| *s == span) {
                    Some((_, group)) => group.push(item),
                    None => {
                        flush(&mut crossing, leftward, depth, column, out);
                        emit(&mut queue, gutter.x, leftward, depth, column, out);
                        queue.push((span, vec![item]));
                    }
                },
                None => {
                    // Everything in a span stands above what follows it, but for a heading of what follows.
                    crossing.extend(headings(&mut queue, &item.area));
                    emit(&mut queue, gutter.x, leftward, depth, column, out);
                    crossing.push(item);
                }
            }
        }
        flush(&mut crossing, leftward, depth, column, out);
        emit(&mut queue, gutter.x, leftward, depth, column, out);
        return;
    }
    *column += 1;
    by_rows(items, leftward, *column, out);
}

fn flush(
    items: &mut Vec<Item>,
    leftward: bool,
    depth: usize,
    column: &mut usize,
    out: &mut Vec<Row>,
) {
    if !items.is_empty() {
        order(std::mem::take(items), leftward, depth + 1, column, out);
    }
}

/// Takes out of columns what stands below all of them and nearer to the line that follows, `next`: its heading.
fn headings(queue: &mut [(usize, Vec<Item>)], next: &Box) -> Vec<Item> {
    let mut headings = Vec::new();
    for (_, group) in queue {
        while group.len() > 1 {
            let lowest = (0..group.len())
                .max_by(|&a, &b| group[a].area.y0.total_cmp(&group[b].area.y0))
                .unwrap_or(0);
            let area = group[lowest].area;
            let above = group
                .iter()
                .enumerate()
                .filter(|&(i, _)| i != lowest)
                .map(|(_, item)| area.y0 - item.area.y1)
                .fold(f32::MAX, f32::min);
            if above <= 0.15 * area.height() || above <= next.y0 - area.y1 {
                break;
            }
            headings.push(group.remove(lowest));
        }
    }
    headings.reverse();
    headings
}

fn emit(
    queue: &mut Vec<(usize, Vec<Item>)>,
    x: f32,
    leftward: bool,
    depth: usize,
    column: &mut usize,
    out: &mut Vec<Row>,
) {
    for (_, group) in queue.drain(..) {
        let (left, right): (Vec<_>, Vec<_>) = group.into_iter().partition(|i| i.area.x1 <= x);
        let (first, second) = if leftward {
            (right, left)
        } else {
            (left, right)
        };
        order(first, leftward, depth + 1, column, out);
        order(second, leftward, depth + 1, column, out);
    }
}

/// An upright strip without text between two columns.
struct Gutter {
    x: f32,
    /// The stretches of the page that it divides.
    spans: Vec<Span>,
}

#[derive(Clone, Copy)]
struct Span {
    y0: f32,
    y1: f32,
    x: f32,
}

impl Span {
    fn holds(&self, area: &Box) -> bool {
        let middle = area.middle();
        middle >= self.y0 && middle <= self.y1 && (area.x1 <= self.x || area.x0 >= self.x)
    }
}

/// Rows that a column has at least.
const MIN_ROWS: usize = 3;
/// Narrowest gutter, line heights. Detected boxes are grown on every side, which eats most of a narrow one.
const MIN_GUTTER: f32 = 0.2;
/// Characters of a line of running text at least, in the median; cells of tables and forms have fewer.
const PROSE: usize = 12;

/// The gutter that divides most lines into columns of running text.
fn gutter(items: &[Item]) -> Option<Gutter> {
    if items.len() < 2 * MIN_ROWS {
        return None;
    }
    let mut heights: Vec<f32> = items
        .iter()
        .filter(|i| !i.vertical)
        .map(|i| i.area.height())
        .collect();
    heights.sort_by(f32::total_cmp);
    let height = *heights.get(heights.len() / 2)?;
    // Candidates: just left of where several lines begin.
    let mut begins: Vec<f32> = items.iter().map(|i| i.area.x0).collect();
    begins.sort_by(f32::total_cmp);
    begins.dedup_by(|a, b| (*a - *b).abs() < height * 0.5);
    let mut best: Option<(usize, Gutter)> = None;
    for begin in begins {
        let x = begin - height * 0.25;
        let spans = spans(items, x, height);
        let divided = items
            .iter()
            .filter(|i| spans.iter().any(|s| s.holds(&i.area)))
            .count();
        if divided > 0 && best.as_ref().is_none_or(|(most, _)| divided > *most) {
            best = Some((divided, Gutter { x, spans }));
        }
    }
    best.map(|(_, gutter)| gutter)
}

/// The stretches between lines that cross `x`, in which both sides are columns.
fn spans(items: &[Item], x: f32, height: f32) -> Vec<Span> {
    let clear = height * MIN_GUTTER / 2.0;
    let mut crossing: Vec<&Box> = items
        .iter()
        .map(|i| &i.area)
        .filter(|a| a.x0 < x - clear.min(height * 0.2) && a.x1 > x)
        .collect();
    crossing.sort_by(|a, b| a.middle().total_cmp(&b.middle()));
    let mut edges = vec![f32::MIN];
    edges.extend(crossing.iter().map(|a| a.middle()));
    edges.push(f32::MAX);
    edges
        .windows(2)
        .map(|pair| Span {
            y0: pair[0],
            y1: pair[1],
            x,
        })
        .filter(|span| {
            let inside = || items.iter().filter(|i| span.holds(&i.area));
            let left: Vec<&Item> = inside().filter(|i| i.area.x1 <= x).collect();
            let right: Vec<&Item> = inside().filter(|i| i.area.x1 > x).collect();
            let edge = left.iter().map(|i| i.area.x1).fold(f32::MIN, f32::max);
            let begin = right.iter().map(|i| i.area.x0).fold(f32::MAX, f32::min);
            is_column(&left) && is_column(&right) && begin - edge >= height * MIN_GUTTER
        })
        .collect()
}

/// Whether some lines are a column of running text: several rows, most of them filled.
fn is_column(items: &[&Item]) -> bool {
    if items.len() < MIN_ROWS {
        return false;
    }
    let Some(area) = items.iter().map(|i| i.area).reduce(|a, b| a.with(&b)) else {
        return false;
    };
    let mut tops: Vec<f32> = items.iter().map(|i| i.area.middle()).collect();
    tops.sort_by(f32::total_cmp);
    let height = items.iter().map(|i| i.area.height()).sum::<f32>() / items.len() as f32;
    tops.dedup_by(|a, b| (*a - *b).abs() < height * 0.5);
    let mut characters: Vec<usize> = items.iter().map(|i| i.characters).collect();
    characters.sort_unstable();
    // By rows, since there may be several columns yet to divide.
    let filled = items.iter().map(|i| i.area.width()).sum::<f32>() / tops.len() as f32;
    tops.len() >= MIN_ROWS
        && characters[characters.len() / 2] >= PROSE
        && filled >= 0.45 * area.width()
}

/// Orders items by rows from top to bottom, and in a row along the text.
fn by_rows(items: Vec<Item>, leftward: bool, column: usize, out: &mut Vec<Row>) {
    let mut items = items;
    items.sort_by(|a, b| {
        (a.area.middle().total_cmp(&b.area.middle())).then(a.area.x0.total_cmp(&b.area.x0))
    });
    let mut rows: Vec<(Box, Vec<Item>)> = Vec::new();
    for item in items {
        // The last few rows: a high line can reach into several.
        let row = rows.iter_mut().rev().take(3).find(|(area, members)| {
            let shared = area.y1.min(item.area.y1) - area.y0.max(item.area.y0);
            let lowest = members
                .iter()
                .map(|m| m.area.height())
                .fold(item.area.height(), f32::min);
            let apart = members.iter().all(|m| {
                let over = m.area.x1.min(item.area.x1) - m.area.x0.max(item.area.x0);
                over < 0.5 * m.area.width().min(item.area.width())
            });
            shared > 0.5 * lowest && apart && members[0].vertical == item.vertical
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
        if leftward {
            members.reverse();
        }
        if members[0].vertical {
            for line in members.into_iter().flat_map(|m| m.lines) {
                out.push(Row {
                    items: vec![line],
                    area,
                    vertical: true,
                    column,
                });
            }
        } else {
            out.push(Row {
                items: members.into_iter().flat_map(|m| m.lines).collect(),
                area,
                vertical: false,
                column,
            });
        }
    }
}

/// Whether a row goes on with the paragraph that `last` is in: the next row of the same column, near and of the same
/// size.
pub fn continues(last: &Row, row: &Row) -> bool {
    if last.column != row.column || last.vertical != row.vertical {
        return false;
    }
    if row.vertical {
        return last.area == row.area;
    }
    let (a, b) = (last.area.height(), row.area.height());
    let gap = row.area.y0 - last.area.y1;
    let shared = last.area.x1.min(row.area.x1) - last.area.x0.max(row.area.x0);
    gap < 0.9 * a.min(b) && a.max(b) < 1.6 * a.min(b) && shared > 0.0
}
