//! Tab-separated words in tesseract's columns.

use std::fmt::Write;

use super::Writer;
use super::xml::bounds;
use crate::document::{Line, PageText};
use crate::geometry::Quad;

pub(super) struct Tsv;

impl Writer for Tsv {
    fn begin(&mut self) -> String {
        "level\tpage_num\tblock_num\tpar_num\tline_num\tword_num\tleft\ttop\twidth\theight\tconf\ttext\n"
            .into()
    }

    fn page(&mut self, page: &PageText) -> String {
        let number = page.index + 1;
        let mut out = String::new();
        let whole = Quad::from_rect(0.0, 0.0, page.width as f32, page.height as f32);
        row(&mut out, page, [1, number, 0, 0, 0, 0], &whole, None);
        for (block, region) in page.regions.iter().enumerate() {
            let block = block + 1;
            row(
                &mut out,
                page,
                [2, number, block, 0, 0, 0],
                &region.quad,
                None,
            );
            let lines: Vec<&Line> = region
                .lines
                .iter()
                .filter_map(|&i| page.lines.get(i))
                .collect();
            if !lines.is_empty() {
                row(
                    &mut out,
                    page,
                    [3, number, block, 1, 0, 0],
                    &region.quad,
                    None,
                );
            }
            for (index, line) in lines.into_iter().enumerate() {
                write_line(&mut out, page, [number, block, index + 1], line);
            }
        }
        if page.regions.is_empty() {
            for (index, line) in page.lines.iter().enumerate() {
                write_line(&mut out, page, [number, 1, index + 1], line);
            }
        }
        out
    }
}

fn write_line(out: &mut String, page: &PageText, [number, block, line]: [usize; 3], of: &Line) {
    row(out, page, [4, number, block, 1, line, 0], &of.quad, None);
    for (word, of) in of.words.iter().enumerate() {
        let levels = [5, number, block, 1, line, word + 1];
        row(out, page, levels, &of.quad, Some((of.confidence, &of.text)));
    }
}

fn row(
    out: &mut String,
    page: &PageText,
    levels: [usize; 6],
    quad: &Quad,
    word: Option<(f32, &str)>,
) {
    for level in levels {
        let _ = write!(out, "{level}\t");
    }
    for side in bounds(quad, (page.width, page.height)) {
        let _ = write!(out, "{side}\t");
    }
    match word {
        Some((confidence, text)) => {
            let text = text.replace(['\t', '\n', '\r'], " ");
            let _ = writeln!(out, "{:.6}\t{text}", 100.0 * confidence);
        }
        None => out.push_str("-1\t\n"),
    }
}
