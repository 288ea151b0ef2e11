//! Reading order: the direction of a page's text, its columns, its rows.

use super::Line;
use crate::recognise::is_unspaced;

mod bend;
mod columns;
mod frame;
mod rows;
mod sideways;

pub use bend::flatten;
pub use frame::{Box, Lie, Placed, direction, place};
pub use rows::continues;

/// Lines that stand side by side and are read as one.
#[derive(Clone, Debug)]
pub struct Row {
    /// Indices of the lines, in reading order.
    pub items: Vec<usize>,
    /// Around them.
    pub area: Box,
    /// One of several lines that share `area`: vertical or sideways ones.
    whole: bool,
    /// Counts the columns; a paragraph doesn't go from one to the next.
    pub column: usize,
    /// Left and right edges of what stands in it.
    begins: Vec<f32>,
    ends: Vec<f32>,
}

/// What is put in order: a line, several vertical lines that are read together, or a solid block.
#[derive(Debug, Default)]
pub struct Item {
    /// Indices of its lines, in reading order.
    pub lines: Vec<usize>,
    /// Around them.
    pub area: Box,
    /// Length of its text, ideographs counting twice.
    pub characters: usize,
    /// Whether its text runs from top to bottom.
    pub vertical: bool,
    /// Whether its text begins with a small letter.
    pub small_letter: bool,
    /// A table or picture, which stands in a column of its own accord and never in a row with others.
    pub solid: bool,
}

impl Item {
    /// Of one line.
    pub fn of(index: usize, line: &Line, area: Box) -> Self {
        Self {
            lines: vec![index],
            area,
            characters: length(&line.text),
            vertical: line.vertical,
            small_letter: line.text.chars().next().is_some_and(char::is_lowercase),
            solid: false,
        }
    }
}

impl Default for Box {
    fn default() -> Self {
        Self {
            x0: 0.0,
            y0: 0.0,
            x1: 0.0,
            y1: 0.0,
        }
    }
}

/// Length of a text in half ideographs, about what a Latin letter takes.
fn length(text: &str) -> usize {
    let mut buffer = [0; 4];
    text.chars()
        .map(|c| 1 + usize::from(is_unspaced(c.encode_utf8(&mut buffer))))
        .sum()
}

/// The rows of a page in reading order. Every line is in one of them.
pub fn rows(lines: &[Line], placed: &[Placed]) -> Vec<Row> {
    let all: Vec<usize> = (0..lines.len()).collect();
    arrange(lines, placed, &all, Vec::new())
}

/// The rows that some of the lines and solid blocks make up, in reading order. What the blocks call their lines is up to
/// the caller, as long as it is no line of the page.
pub fn arrange(lines: &[Line], placed: &[Placed], some: &[usize], solid: Vec<Item>) -> Vec<Row> {
    let mut items: Vec<Item> = vertical_groups(lines, placed, some);
    items.extend(
        some.iter()
            .filter(|i| !lines[**i].vertical && placed[**i].lie == Lie::Level)
            .map(|&i| Item::of(i, &lines[i], placed[i].area)),
    );
    items.extend(solid);
    let text = |item: &Item| lines.get(item.lines[0]).map_or("", |l| l.text.as_str());
    let mut out = sequence(items, text);
    sideways::insert(lines, placed, some, &mut out);
    out
}

/// Puts items in reading order; `text` breaks ties between those in the same place, so that the order they came in
/// means nothing.
fn sequence<'a>(mut items: Vec<Item>, text: impl Fn(&Item) -> &'a str) -> Vec<Row> {
    items.sort_by(|a, b| {
        let key = |i: &Item| (i.area.y0, i.area.x0, i.area.y1, i.area.x1);
        let (p, q) = (key(a), key(b));
        (p.0.total_cmp(&q.0))
            .then(p.1.total_cmp(&q.1))
            .then(p.2.total_cmp(&q.2))
            .then(p.3.total_cmp(&q.3))
            .then_with(|| text(a).cmp(text(b)))
    });
    let mut out = Vec::new();
    let mut column = 0;
    columns::order(items, 0, &mut column, &mut out);
    out
}

/// Vertical lines that stand beside each other: a paragraph, a bubble. From right to left.
fn vertical_groups(lines: &[Line], placed: &[Placed], some: &[usize]) -> Vec<Item> {
    let mut indices: Vec<usize> = some
        .iter()
        .copied()
        .filter(|&i| lines[i].vertical)
        .collect();
    let area = |i: usize| placed[i].area;
    indices.sort_by(|&a, &b| {
        (area(b).x1.total_cmp(&area(a).x1))
            .then(area(a).y0.total_cmp(&area(b).y0))
            .then(area(a).x0.total_cmp(&area(b).x0))
            .then(area(a).y1.total_cmp(&area(b).y1))
            .then_with(|| lines[a].text.cmp(&lines[b].text))
    });
    let mut groups: Vec<Item> = Vec::new();
    for i in indices {
        let item = Item::of(i, &lines[i], area(i));
        let near = groups.iter_mut().find(|g| {
            let last = area(*g.lines.last().unwrap_or(&i));
            let gap = last.x0 - item.area.x1;
            let thickness = last.width().max(item.area.width());
            last.overlap_y(&item.area) > 0.4 * last.height().min(item.area.height())
                && gap < 1.2 * thickness
                && gap > -0.6 * thickness
        });
        match near {
            Some(group) => {
                group.lines.push(i);
                group.area = group.area.with(&item.area);
                group.characters += item.characters;
            }
            None => groups.push(item),
        }
    }
    groups
}
