//! Lines → a document: reading order, paragraphs, text.

use std::iter;

use serde::{Deserialize, Serialize};

use crate::geometry::{Point, Quad};

mod code;
mod gutter;
pub(crate) mod order;
mod region;

pub use region::{Cell, ListItem, Picture, Region, RegionKind, Table};

/// All that was read in a file: a pure result, without times, plans or devices.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Document {
    /// In the order of the file.
    pub pages: Vec<PageText>,
}

/// What one page says.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct PageText {
    /// Position in the file, from 0.
    #[serde(default)]
    pub index: usize,
    /// Width of the page as a person sees it, px. All boxes are in these pixels.
    pub width: u32,
    /// Height of it, px.
    pub height: u32,
    /// Pixels an inch, where the file states a resolution that can be believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dpi: Option<f32>,
    /// Clockwise turn that makes the text upright, degrees: 0, 90, 180 or 270.
    pub turn: u16,
    /// The page's text as a person would read it: the regions in reading order, an empty line between them.
    pub text: String,
    /// Mean confidence of the characters, 0 to 1; 0 where there are none.
    pub confidence: f32,
    /// In reading order.
    pub lines: Vec<Line>,
    /// In reading order. Every line is in one of them.
    #[serde(rename = "blocks")]
    pub regions: Vec<Region>,
}

/// A word and where it stands.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Word {
    /// Its text.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
}

/// A line of text.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Line {
    /// Its text.
    pub text: String,
    /// Mean confidence of its characters, 0 to 1.
    pub confidence: f32,
    /// Where it is, in the page's pixels. The text runs from the first corner to the second, or, where it is
    /// vertical, from the first to the fourth.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Its words, in reading order.
    pub words: Vec<Word>,
    /// Whether it runs from top to bottom with upright characters (Chinese and Japanese).
    pub vertical: bool,
}

/// A group of lines that belong together.
#[derive(Clone, Debug, Serialize)]
pub struct Block {
    /// `paragraph` so far.
    pub kind: &'static str,
    /// Around its lines, in the page's pixels.
    #[serde(rename = "box")]
    pub quad: Quad,
    /// Indices into the document's lines.
    pub lines: Vec<usize>,
}

/// The lines of a page in reading order, and what follows from it.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// In reading order.
    pub lines: Vec<Line>,
    /// Paragraphs, in reading order.
    pub blocks: Vec<Block>,
    /// Rows end with a line feed, paragraphs with an empty line; rows of program text are indented.
    pub text: String,
    /// Mean confidence of the characters, 0 to 1; 0 where there are none.
    pub confidence: f32,
}

/// Puts lines, which may come in any order, into the order a person would read them in. The page's width and height,
/// px, bound what is believed of their boxes: a corner far outside the page is drawn near.
pub fn assemble(lines: Vec<Line>, page_width: u32, page_height: u32) -> Content {
    let lines = gutter::part_across(lines);
    let mut placed = order::place(&lines, page_width, page_height);
    order::flatten(&mut placed);
    let rows = order::rows(&lines, &placed);
    let indents = code::indents(&rows, &lines);
    let mut content = Content::default();
    let mut weight = 0.0;
    let mut lines: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
    let mut paragraph: Vec<(order::Row, usize)> = Vec::new();
    let mut flush = |paragraph: &mut Vec<(order::Row, usize)>, content: &mut Content| {
        if paragraph.is_empty() {
            return;
        }
        if !content.text.is_empty() {
            content.text.push_str("\n\n");
        }
        let mut block = Block {
            kind: "paragraph",
            quad: Quad::from_rect(0.0, 0.0, 0.0, 0.0),
            lines: Vec::new(),
        };
        for (index, (row, indent)) in paragraph.drain(..).enumerate() {
            if index > 0 {
                content.text.push('\n');
            }
            content.text.extend(iter::repeat_n(' ', indent));
            for (place, item) in row.items.into_iter().enumerate() {
                let Some(line) = lines[item].take() else {
                    continue;
                };
                if place > 0 {
                    content.text.push(' ');
                }
                content.text.push_str(&line.text);
                let characters = line.text.chars().count() as f32;
                content.confidence += line.confidence * characters;
                weight += characters;
                block.lines.push(content.lines.len());
                content.lines.push(line);
            }
        }
        block.quad = around(block.lines.iter().map(|&i| &content.lines[i].quad));
        content.blocks.push(block);
    };
    for (row, indent) in rows.into_iter().zip(indents) {
        if paragraph
            .last()
            .is_some_and(|(last, _)| !order::continues(last, &row))
        {
            flush(&mut paragraph, &mut content);
        }
        paragraph.push((row, indent));
    }
    flush(&mut paragraph, &mut content);
    if weight > 0.0 {
        content.confidence /= weight;
    }
    content
}

/// The upright rectangle around some quads.
pub(crate) fn around<'a>(quads: impl Iterator<Item = &'a Quad>) -> Quad {
    let [x0, y0, x1, y1] = quads.fold([f32::MAX, f32::MAX, f32::MIN, f32::MIN], |r, quad| {
        let b = quad.bounds();
        [
            r[0].min(b[0]),
            r[1].min(b[1]),
            r[2].max(b[2]),
            r[3].max(b[3]),
        ]
    });
    Quad([
        Point::new(x0, y0),
        Point::new(x1, y0),
        Point::new(x1, y1),
        Point::new(x0, y1),
    ])
}

#[cfg(test)]
mod tests;
