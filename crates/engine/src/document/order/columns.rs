//! Columns: gutters between them, what crosses these, and what stands beside running text without being part of it.

use super::frame::Box;
use super::{Item, Row, rows};

/// Deepest nesting of columns: a bound for hostile input.
const MAX_DEPTH: usize = 16;
/// Rows that a column has at least.
const MIN_ROWS: usize = 3;
/// Narrowest gutter, line heights. Detected boxes are grown on every side, which eats most of a narrow one.
const MIN_GUTTER: f32 = 0.2;
/// Width of a line of running text at least, in the median, half ideographs; cells of tables and forms have fewer.
const PROSE: usize = 12;
/// Share of lines that begin with a small letter from which a column is taken for running text. Cells and labels
/// rarely do, lines of a paragraph mostly.
const FLOWING: f32 = 0.25;

/// Orders items, sorted from top to bottom, into rows.
pub fn order(items: Vec<Item>, depth: usize, column: &mut usize, out: &mut Vec<Row>) {
    if depth < MAX_DEPTH {
        if let Some(gutter) = gutter(&items) {
            return divide(items, &gutter, depth, column, out);
        }
        if let Some((first, second)) = aside(&items) {
            let (first, second): (Vec<_>, Vec<_>) = {
                let mut places = vec![0u8; items.len()];
                first.iter().for_each(|&i| places[i] = 1);
                second.iter().for_each(|&i| places[i] = 2);
                let mut parts = (Vec::new(), Vec::new());
                for (item, place) in items.into_iter().zip(places) {
                    if place == 2 {
                        parts.1.push(item);
                    } else {
                        parts.0.push(item);
                    }
                }
                parts
            };
            order(first, depth + 1, column, out);
            order(second, depth + 1, column, out);
            return;
        }
    }
    *column += 1;
    rows::by_rows(items, *column, out);
}

/// Reads from top to bottom: what crosses the gutter's line, and between such lines the two sides.
fn divide(items: Vec<Item>, gutter: &Gutter, depth: usize, column: &mut usize, out: &mut Vec<Row>) {
    let leftward = leftward(&items);
    let mut crossing = Vec::new();
    let mut queue: Vec<(usize, Vec<Item>)> = Vec::new();
    let mut insets = Vec::new();
    for item in items {
        if gutter.insets.contains(&item.area) {
            insets.push(item);
            continue;
        }
        let span = gutter.spans.iter().position(|s| s.holds(&item.area));
        match span {
            Some(span) => match queue.iter_mut().find(|(s, _)| *s == span) {
                Some((_, group)) => group.push(item),
                None => {
                    flush(&mut crossing, depth, column, out);
                    emit(
                        &mut queue,
                        &mut insets,
                        gutter.x,
                        leftward,
                        depth,
                        column,
                        out,
                    );
                    queue.push((span, vec![item]));
                }
            },
            None => {
                // Everything in a span stands above what follows it, but for a heading of what follows.
                crossing.extend(headings(&mut queue, &item.area));
                emit(
                    &mut queue,
                    &mut insets,
                    gutter.x,
                    leftward,
                    depth,
                    column,
                    out,
                );
                crossing.push(item);
            }
        }
    }
    flush(&mut crossing, depth, column, out);
    emit(
        &mut queue,
        &mut insets,
        gutter.x,
        leftward,
        depth,
        column,
        out,
    );
    flush(&mut insets, depth, column, out);
}

/// Whether columns go from right to left: most of the text is vertical.
fn leftward(items: &[Item]) -> bool {
    items.iter().filter(|i| i.vertical).count() * 2 > items.len()
}

fn flush(items: &mut Vec<Item>, depth: usize, column: &mut usize, out: &mut Vec<Row>) {
    if !items.is_empty() {
        order(std::mem::take(items), depth + 1, column, out);
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

/// Reads the two sides of a gutter; what is set into the text between them follows.
fn emit(
    queue: &mut Vec<(usize, Vec<Item>)>,
    insets: &mut Vec<Item>,
    x: f32,
    leftward: bool,
    depth: usize,
    column: &mut usize,
    out: &mut Vec<Row>,
) {
    if queue.is_empty() {
        return;
    }
    for (_, mut group) in queue.drain(..) {
        let mut mast = masthead(&mut group, x);
        flush(&mut mast, depth, column, out);
        let (left, right): (Vec<_>, Vec<_>) = group.into_iter().partition(|i| i.area.x1 <= x);
        let (first, second) = if leftward {
            (right, left)
        } else {
            (left, right)
        };
        order(first, depth + 1, column, out);
        order(second, depth + 1, column, out);
    }
    flush(insets, depth, column, out);
}

/// How much higher than the text around it a masthead is.
const MASTHEAD: f32 = 1.5;

/// Takes out large lettering that stands above all of the other side: it heads both.
fn masthead(group: &mut Vec<Item>, x: f32) -> Vec<Item> {
    let Some(height) = usual_height(group) else {
        return Vec::new();
    };
    let top = |left: bool| {
        let mut tops: Vec<f32> = group
            .iter()
            .filter(|i| (i.area.x1 <= x) == left && i.area.height() < MASTHEAD * height)
            .map(|i| i.area.y0)
            .collect();
        tops.sort_by(f32::total_cmp);
        tops
    };
    let (left_tops, right_tops) = (top(true), top(false));
    let highest = |tops: &[f32], beyond: f32| {
        tops.iter()
            .copied()
            .find(|y| *y > beyond)
            .unwrap_or(f32::MAX)
    };
    let mut mast = Vec::new();
    let mut first: Vec<Box> = group.iter().map(|i| i.area).collect();
    first.sort_by(|a, b| a.y0.total_cmp(&b.y0));
    // A line set in from both edges of the text below it: a date below a name.
    let inset = |item: &Item| {
        let below: Vec<&Box> = first
            .iter()
            .filter(|b| b.y0 >= item.area.y1 - 0.3 * height && b.overlap_x(&item.area) > 0.0)
            .filter(|b| b.y0 < item.area.y1 + 4.0 * height)
            .collect();
        below.len() >= 3
            && item.area.x0 > below.iter().map(|b| b.x0).fold(f32::MAX, f32::min) + 0.8 * height
            && item.area.x1 < below.iter().map(|b| b.x1).fold(f32::MIN, f32::max) - 0.8 * height
    };
    group.retain_mut(|item| {
        let left = item.area.x1 <= x;
        let high = !item.vertical
            && !item.solid
            && (item.area.height() >= MASTHEAD * height || inset(item))
            && item.area.y1 <= highest(&left_tops, item.area.y0) + 0.3 * height
            && item.area.y1 <= highest(&right_tops, item.area.y0) + 0.3 * height
            // Nothing of the other side begins higher.
            && highest(if left { &right_tops } else { &left_tops }, f32::MIN) >= item.area.y1 - 0.3 * height;
        if high {
            mast.push(std::mem::take(item));
        }
        !high
    });
    mast
}

fn usual_height(items: &[Item]) -> Option<f32> {
    let mut heights: Vec<f32> = items
        .iter()
        .filter(|i| !i.vertical && !i.solid)
        .map(|i| i.area.height())
        .collect();
    heights.sort_by(f32::total_cmp);
    heights.get(heights.len() / 2).copied()
}

/// An upright strip without text between two columns.
struct Gutter {
    x: f32,
    /// The stretches of the page that it divides.
    spans: Vec<Span>,
    /// Lines across it that the columns flow around: a pull quote.
    insets: Vec<Box>,
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

/// The gutter that divides most lines into columns of running text.
fn gutter(items: &[Item]) -> Option<Gutter> {
    if items.len() < 2 * MIN_ROWS && !items.iter().any(|i| i.solid) {
        return None;
    }
    let height = usual_height(items)?;
    // Candidates: just left of where several lines begin.
    let mut begins: Vec<f32> = items.iter().map(|i| i.area.x0).collect();
    begins.sort_by(f32::total_cmp);
    begins.dedup_by(|a, b| (*a - *b).abs() < height * 0.5);
    let mut best: Option<(usize, Gutter)> = None;
    for begin in begins {
        let x = begin - height * 0.25;
        let gutter = at(items, x, height);
        let divided = items
            .iter()
            .filter(|i| gutter.spans.iter().any(|s| s.holds(&i.area)))
            .count();
        if divided > 0 && best.as_ref().is_none_or(|(most, _)| divided > *most) {
            best = Some((divided, gutter));
        }
    }
    best.map(|(_, gutter)| gutter)
}

/// What a gutter at `x` divides: the stretches between lines that cross it, in which both sides are columns.
fn at(items: &[Item], x: f32, height: f32) -> Gutter {
    let clear = height * MIN_GUTTER / 2.0;
    let mut crossing: Vec<&Item> = items
        .iter()
        .filter(|i| i.area.x0 < x - clear.min(height * 0.2) && i.area.x1 > x)
        .collect();
    let mut insets: Vec<Box> = Vec::new();
    crossing.retain(|c| {
        let beside = |left: bool| {
            items.iter().any(|i| {
                let side = if left {
                    i.area.x1 <= c.area.x0 && i.area.x1 > c.area.x0 - 4.0 * height
                } else {
                    i.area.x0 >= c.area.x1 && i.area.x0 < c.area.x1 + 4.0 * height
                };
                side && i.area.overlap_y(&c.area) > 0.3 * i.area.height().min(c.area.height())
                    && i.characters >= PROSE / 2
            })
        };
        let inset = !c.vertical && beside(true) && beside(false);
        if inset {
            insets.push(c.area);
        }
        !inset
    });
    crossing.sort_by(|a, b| a.area.middle().total_cmp(&b.area.middle()));
    let mut edges = vec![f32::MIN];
    edges.extend(crossing.iter().map(|a| a.area.middle()));
    edges.push(f32::MAX);
    let spans: Vec<Span> = edges
        .windows(2)
        .map(|pair| Span {
            y0: pair[0],
            y1: pair[1],
            x,
        })
        .collect();
    let sides = |span: &Span| {
        let inside = || {
            items
                .iter()
                .filter(|i| span.holds(&i.area) && !insets.contains(&i.area))
        };
        let left: Vec<&Item> = inside().filter(|i| i.area.x1 <= x).collect();
        let right: Vec<&Item> = inside().filter(|i| i.area.x1 > x).collect();
        let edge = left.iter().map(|i| i.area.x1).fold(f32::MIN, f32::max);
        let begin = right.iter().map(|i| i.area.x0).fold(f32::MAX, f32::min);
        (left, right, begin - edge)
    };
    let strict = |span: &Span| {
        let (left, right, gap) = sides(span);
        gap >= height * MIN_GUTTER
            && is_column(&left)
            && is_column(&right)
            && beside(&left, &right)
            && !is_tabular(&left, &right, height)
    };
    // Below a caption or a quote a column may have a row or two. What is known to be a gutter elsewhere is one there.
    let loose = |span: &Span| {
        let (left, right, gap) = sides(span);
        let prose = |side: &[&Item]| {
            !side.is_empty() && side.iter().any(|i| i.solid || i.characters >= PROSE)
        };
        gap >= height * MIN_GUTTER
            && prose(&left)
            && prose(&right)
            && !is_tabular(&left, &right, height)
    };
    let strict: Vec<bool> = spans.iter().map(strict).collect();
    let known = strict.iter().any(|s| *s);
    let spans = spans
        .into_iter()
        .zip(strict)
        .filter(|(span, strict)| *strict || (known && loose(span)))
        .map(|(span, _)| span)
        .collect();
    Gutter { x, spans, insets }
}

/// Whether two sides stand beside each other at all: a letterhead on the right ends where the address on the left begins.
fn beside(left: &[&Item], right: &[&Item]) -> bool {
    let around = |side: &[&Item]| side.iter().map(|i| i.area).reduce(|a, b| a.with(&b));
    let (Some(left), Some(right)) = (around(left), around(right)) else {
        return false;
    };
    left.overlap_y(&right) > 0.3 * left.height().min(right.height())
}

/// Whether some lines are a column of running text: several rows, most of them filled.
fn is_column(items: &[&Item]) -> bool {
    if items.iter().any(|i| i.solid) {
        return true;
    }
    if items.len() < MIN_ROWS {
        return false;
    }
    // Labels of a picture beside a column don't widen it.
    let Some(area) = items
        .iter()
        .filter(|i| i.characters >= PROSE)
        .map(|i| i.area)
        .reduce(|a, b| a.with(&b))
    else {
        return false;
    };
    let rows = count_rows(items);
    let mut characters: Vec<usize> = items.iter().map(|i| i.characters).collect();
    characters.sort_unstable();
    // By rows, since there may be several columns yet to divide.
    let filled = items.iter().map(|i| i.area.width()).sum::<f32>() / rows as f32;
    rows >= MIN_ROWS && characters[characters.len() / 2] >= PROSE && filled >= 0.45 * area.width()
}

fn count_rows(items: &[&Item]) -> usize {
    let mut tops: Vec<f32> = items.iter().map(|i| i.area.middle()).collect();
    tops.sort_by(f32::total_cmp);
    let height = items.iter().map(|i| i.area.height()).sum::<f32>() / items.len().max(1) as f32;
    tops.dedup_by(|a, b| (*a - *b).abs() < height * 0.5);
    tops.len()
}

/// Share of lines that begin with a small letter.
fn flowing(items: &[&Item]) -> f32 {
    let lines = items.iter().filter(|i| !i.solid).count();
    items.iter().filter(|i| i.small_letter).count() as f32 / lines.max(1) as f32
}

/// Share of the items of `some` that have one of `others` at their height.
fn aligned(some: &[&Item], others: &[&Item], height: f32) -> f32 {
    let level = some
        .iter()
        .filter(|a| {
            others
                .iter()
                .any(|b| (a.area.middle() - b.area.middle()).abs() < 0.3 * height)
        })
        .count();
    level as f32 / some.len().max(1) as f32
}

/// Whether two sides are cells of a table or fields of a form, read row by row, although their text is long: every row
/// has both, or most rows where the text is short, and the lines end where their text ends, not at a margin.
fn is_tabular(left: &[&Item], right: &[&Item], height: f32) -> bool {
    if left.iter().chain(right).any(|i| i.solid || i.vertical) {
        return false;
    }
    let both: Vec<&Item> = left.iter().chain(right).copied().collect();
    // A field may be missing on one side, where the text is as short as labels and values are.
    let mut characters: Vec<usize> = both.iter().map(|i| i.characters).collect();
    characters.sort_unstable();
    let short = characters[characters.len() / 2] < 2 * PROSE;
    let levels = (aligned(left, right, height), aligned(right, left, height));
    let least = if short { 0.6 } else { 0.8 };
    if levels.0.max(levels.1) < 0.8 || levels.0.min(levels.1) < least {
        return false;
    }
    if flowing(&both) >= FLOWING {
        return false;
    }
    let ragged = |side: &[&Item]| {
        let widest = side.iter().map(|i| i.area.width()).fold(1.0, f32::max);
        let mut fills: Vec<f32> = side.iter().map(|i| i.area.width() / widest).collect();
        fills.sort_by(f32::total_cmp);
        fills[fills.len() / 2] < 0.85
    };
    ragged(left) || ragged(right)
}

/// A column of running text and what stands beside it without being part of its rows: labels of a picture, notes in
/// the margin, a tab at the page's edge. Returns the indices of what is read first and of what follows.
fn aside(items: &[Item]) -> Option<(Vec<usize>, Vec<usize>)> {
    if items.len() < MIN_ROWS + 1 {
        return None;
    }
    let height = usual_height(items)?;
    let prose: Vec<usize> = (0..items.len())
        .filter(|&i| !items[i].vertical && (items[i].solid || items[i].characters >= PROSE))
        .collect();
    if prose.len() < MIN_ROWS || prose.len() * 2 < items.len() {
        return None;
    }
    let column: Vec<&Item> = prose.iter().map(|&i| &items[i]).collect();
    let area = column.iter().map(|i| i.area).reduce(|a, b| a.with(&b))?;
    if flowing(&column) < FLOWING || !is_column(&column) {
        return None;
    }
    // Beside all of it, with a clear gap.
    let gap = MIN_GUTTER.max(0.5) * height;
    let beside: Vec<usize> = (0..items.len())
        .filter(|i| !prose.contains(i))
        .filter(|&i| {
            let a = &items[i].area;
            (a.x1 <= area.x0 - gap || a.x0 >= area.x1 + gap) && a.overlap_y(&area) > 0.0
        })
        .collect();
    if beside.is_empty() {
        return None;
    }
    let notes: Vec<&Item> = beside.iter().map(|&i| &items[i]).collect();
    // Prices beside their articles are a row's part.
    if aligned(&column, &notes, height) >= 0.5 {
        return None;
    }
    let rest = (0..items.len()).filter(|i| !beside.contains(i)).collect();
    Some((rest, beside))
}
