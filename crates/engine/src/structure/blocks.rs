//! Blocks: paragraphs made of rows, and what is no text among them, in reading order.

use super::features::LineMeasure;
use super::frame::{Box, Frame};
use super::lists;
use super::margins::margins;
use super::rows::{TextRow, leading, sides, text_rows};
use super::rules::Rules;
use super::wording::sentence_ends;
use crate::document::order::{self, Item, Row};
use crate::document::{Line, RegionKind, Table};
use crate::table::Found;

/// Where on the page a block stands by its place alone.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Margin {
    /// Above the text.
    Top,
    /// In the text.
    #[default]
    Body,
    /// Below the text.
    Bottom,
}

/// A part of the page that is one thing: a paragraph, a table, a figure.
#[derive(Debug, Default)]
pub struct Block {
    /// Lines by rows.
    pub rows: Vec<Vec<usize>>,
    /// Left edges of the rows.
    pub edges: Vec<f32>,
    /// Rows at which items of a list begin.
    pub starts: Vec<usize>,
    /// Around it, in the frame.
    pub area: Box,
    /// Counts the columns.
    pub column: usize,
    /// Left and right edge of its column.
    pub sides: (f32, f32),
    /// Median height of its rows, px.
    pub height: f32,
    /// Width of a character where all are equally wide, px; 0 elsewhere.
    pub pitch: f32,
    /// Whether its line breaks are the author's.
    pub broken: bool,
    /// Above or below the text.
    pub margin: Margin,
    pub table: Option<Table>,
    pub figure: bool,
}

impl Block {
    pub fn table(found: Found) -> Self {
        Self {
            rows: found.lines.iter().map(|&l| vec![l]).collect(),
            area: found.area,
            table: Some(found.table),
            ..Self::default()
        }
    }

    pub fn figure(area: Box, lines: Vec<usize>) -> Self {
        Self {
            rows: lines.into_iter().map(|l| vec![l]).collect(),
            area,
            figure: true,
            ..Self::default()
        }
    }

    pub fn is_text(&self) -> bool {
        self.table.is_none() && !self.figure
    }
}

/// Makes blocks of the lines `some` and puts them and the solid ones in reading order.
#[allow(clippy::too_many_arguments)]
pub fn make(
    lines: &[Line],
    areas: &[Box],
    measured: &[LineMeasure],
    some: &[usize],
    solids: Vec<Block>,
    text_height: f32,
    frame: &Frame,
    rules: &Rules,
) -> Vec<Block> {
    let mut placed = order::place(lines, frame.width as u32, frame.height as u32);
    let leftward = mirrored(lines);
    let seen = |area: &Box| {
        if leftward {
            Box {
                x0: -area.x1,
                x1: -area.x0,
                ..*area
            }
        } else {
            *area
        }
    };
    for (place, area) in placed.iter_mut().zip(areas) {
        place.area = seen(area);
    }
    let (top, body, bottom) = margins(
        areas,
        &placed,
        measured,
        some,
        &solids,
        text_height,
        frame,
        rules,
        lines,
    );
    let mut solids: Vec<Option<Block>> = solids.into_iter().map(Some).collect();
    let items: Vec<Item> = solids
        .iter()
        .enumerate()
        .map(|(i, s)| Item {
            lines: vec![lines.len() + i],
            area: seen(&s.as_ref().map_or_else(Box::default, |s| s.area)),
            characters: 1000,
            solid: true,
            ..Item::default()
        })
        .collect();
    let mut blocks = Vec::new();
    for (part, margin) in [
        (top, Margin::Top),
        (body, Margin::Body),
        (bottom, Margin::Bottom),
    ] {
        let items = if margin == Margin::Body {
            items.iter().map(copy).collect()
        } else {
            Vec::new()
        };
        let rows = order::arrange(lines, &placed, &part, items);
        let rows: Vec<Row> = rows;
        paragraphs(
            rows,
            lines,
            areas,
            measured,
            &mut solids,
            text_height,
            margin,
            &mut blocks,
        );
    }
    blocks
}

fn copy(item: &Item) -> Item {
    Item {
        lines: item.lines.clone(),
        ..*item
    }
}

/// Whether the page is read from right to left.
fn mirrored(lines: &[Line]) -> bool {
    let count = lines
        .iter()
        .filter(|l| crate::recognise::bidi::runs_left(&l.text))
        .count();
    count * 2 > lines.len()
}

/// Joins rows into paragraphs.
#[allow(clippy::too_many_arguments)]
fn paragraphs(
    rows: Vec<Row>,
    lines: &[Line],
    areas: &[Box],
    measured: &[LineMeasure],
    solids: &mut [Option<Block>],
    text_height: f32,
    margin: Margin,
    out: &mut Vec<Block>,
) {
    let texts: Vec<TextRow> = rows
        .into_iter()
        .flat_map(|row| text_rows(row, lines, areas, measured))
        .collect();
    let sides = sides(&texts, lines.len());
    let leading = leading(&texts, text_height);
    let mut last: Option<usize> = None;
    for (at, row) in texts.iter().enumerate() {
        if let Some(solid) = row.lines[0].checked_sub(lines.len()) {
            if let Some(mut block) = solids.get_mut(solid).and_then(Option::take) {
                block.column = row.column;
                block.sides = sides[&row.column];
                out.push(block);
            }
            last = None;
            continue;
        }
        let side = sides[&row.column];
        let starts = row.bullet || lists::marker(&row.text).is_some();
        let goes_on = last.is_some_and(|l| {
            !ends(
                &texts[l],
                row,
                side,
                leading,
                text_height,
                starts,
                out.last().expect("a block was begun"),
            )
        });
        if !goes_on {
            out.push(Block {
                area: row.area,
                column: row.column,
                sides: side,
                margin,
                ..Block::default()
            });
        }
        let block = out.last_mut().expect("a block was begun");
        if starts && !goes_on {
            block.starts.push(0);
        }
        block.rows.push(row.lines.clone());
        block.edges.push(row.area.x0);
        block.area = block.area.with(&row.area);
        last = Some(at);
        let mut heights: Vec<f32> = block
            .rows
            .iter()
            .flatten()
            .map(|&i| {
                areas[i]
                    .height()
                    .min(areas[i].width().max(areas[i].height()))
            })
            .collect();
        heights.sort_by(f32::total_cmp);
        block.height = heights[heights.len() / 2];
    }
}

/// Whether a paragraph ends between two rows.
fn ends(
    last: &TextRow,
    row: &TextRow,
    (left, right): (f32, f32),
    leading: f32,
    text_height: f32,
    starts: bool,
    block: &Block,
) -> bool {
    if row.beside || last.column != row.column || last.vertical != row.vertical {
        return true;
    }
    if row.vertical {
        return row.area.overlap_y(&last.area) <= 0.0;
    }
    let (a, b) = (last.height, row.height);
    let h = a.min(b);
    let gap = row.area.y0 - last.area.y1;
    let usual = leading * (h / last.height.max(row.height)).max(0.5);
    // Headings of several rows are set wider, and each number begins one.
    let both = last.bold > 1.12 && row.bold > 1.12 && a.max(b) < 1.2 * h;
    if both && super::wording::numbering(&row.text) > 0 {
        return true;
    }
    let most = if both {
        (usual + 0.42 * h).max(0.75 * h)
    } else {
        usual + 0.42 * h
    };
    if gap > most || gap < -0.9 * h {
        return true;
    }
    let short = last.area.x1 < right - (0.12 * (right - left)).max(2.0 * h);
    // What is set at the right doesn't begin what stands at the left.
    let across = right - left;
    let shifted = last.area.x0 > left + 0.5 * across && row.area.x0 < left + 0.3 * across;
    if block.rows.len() == 1 && shifted {
        return true;
    }
    // Ideographs fill their rows: they break anywhere.
    let starts_left = |r: &TextRow| r.area.x0 < left + 4.5 * h;
    // A row that had room for all of the next was ended on purpose: addresses, verses.
    let flush = |r: &TextRow| (r.area.x0 - left).abs() < 0.6 * h && r.area.width() < 0.4 * across;
    let room = right - last.area.x1 > row.area.width() + 1.5 * h;
    let plain = !both && block.starts.is_empty() && a.max(b) < 1.2 * text_height;
    if plain && across > 12.0 * h && room && flush(last) && flush(row) {
        return true;
    }
    if super::wording::breaks_anywhere(&last.text, &row.text)
        && last.area.x1 < right - 0.3 * across
        && across > 12.0 * h
        && !both
        && starts_left(last)
        && starts_left(row)
    {
        return true;
    }
    // Boxes of one or two characters are higher than the line.
    let characters = |r: &TextRow| super::wording::length(&r.text);
    let larger = a.max(b) / h;
    if (larger > 1.35 && characters(row) >= 8) || (larger > 1.22 && short && characters(row) >= 8) {
        return true;
    }
    let (heavy, light) = (last.bold.max(row.bold), last.bold.min(row.bold));
    let enough = characters(last) >= 6 && characters(row) >= 6;
    let apart = gap > usual + 0.12 * h || short;
    if enough && heavy > 1.1 && heavy > 1.17 * light && (apart || heavy > 1.25 * light) {
        return true;
    }
    // The first row of a paragraph is full; one that isn't heads what follows.
    let wide = (right - left).max(1.0);
    let heads = block.rows.len() == 1
        && block.starts.is_empty()
        && right - left > 9.0 * h
        && row.area.width() > 0.75 * wide
        && !sentence_ends(&last.text)
        && !last.text.ends_with([',', '，', '、', '-']);
    if heads && last.area.x1 < right - 0.28 * wide && last.area.x0 < left + 1.2 * h {
        return true;
    }
    if heads && short && enough && last.bold > 1.06 * row.bold && last.bold > 1.06 {
        return true;
    }
    if starts && (row.area.x0 < last.area.x0 + 0.6 * h || !block.starts.is_empty()) {
        let full = last.area.x1 > right - 2.0 * h;
        if row.bullet || !block.starts.is_empty() || !full || sentence_ends(&last.text) {
            return true;
        }
    }
    // A row at the left edge below an item that hangs.
    if !block.starts.is_empty() && block.rows.len() > 1 {
        return row.area.x0 < block.edges[1].min(block.edges[0] + 4.0 * h) - 0.8 * h
            && block.edges[1] > block.edges[0] + 0.8 * h;
    }
    let reference =
        |t: &str| t.starts_with('[') && t.chars().nth(1).is_some_and(|c| c.is_ascii_digit());
    if reference(&row.text) || super::wording::clause(&row.text) {
        return true;
    }
    // Indented first rows.
    let inner = row.area.x0 - left;
    let centred = ((row.area.x0 + row.area.x1) - (left + right)).abs() < 1.5 * h
        && row.area.x1 < right - 1.2 * h;
    if block.starts.is_empty()
        && !both
        && inner > 0.8 * h
        && inner < 4.5 * h
        && last.area.x0 < row.area.x0 - 0.7 * h
        && !centred
        && !reference(&block_text(block, last))
        && last.pitch < 0.5
    {
        return true;
    }
    short && sentence_ends(&last.text) && right - left > 12.0 * h
}

/// The text that a block begins with, where it is still its only row.
fn block_text(block: &Block, last: &TextRow) -> String {
    if block.rows.len() == 1 {
        last.text.clone()
    } else {
        String::new()
    }
}

/// Joins blocks that are one list or one piece of code.
pub fn merge(
    blocks: Vec<Block>,
    decisions: Vec<super::decide::Decision>,
    text_height: f32,
) -> (Vec<Block>, Vec<super::decide::Decision>) {
    let mut out: Vec<Block> = Vec::new();
    let mut kinds: Vec<super::decide::Decision> = Vec::new();
    for (block, decision) in blocks.into_iter().zip(decisions) {
        let joins = matches!(decision.kind, RegionKind::List | RegionKind::Code);
        if joins
            && let (Some(last), Some(kind)) = (out.last_mut(), kinds.last())
            && kind.kind == decision.kind
            && last.column == block.column
            && block.area.y0 - last.area.y1 < 2.2 * text_height
        {
            let begin = last.rows.len();
            last.starts.extend(block.starts.iter().map(|s| s + begin));
            last.rows.extend(block.rows);
            last.edges.extend(block.edges);
            last.area = last.area.with(&block.area);
            continue;
        }
        out.push(block);
        kinds.push(decision);
    }
    (out, kinds)
}
