//! An answer in the shape of Azure's Document Intelligence.

use std::ops::Range;

use maoocr_engine::document::{PageText, Region, RegionKind, Table};
use maoocr_engine::geometry::Quad;
use maoocr_engine::structure::join_pages;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;
use utoipa::ToSchema;

use crate::api::placed::{self, Placed};
use crate::document;

/// The version of the interface whose shapes these are.
pub const VERSION: &str = "2024-11-30";

/// How offsets are counted.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum IndexType {
    /// In what a reader calls characters: grapheme clusters.
    #[default]
    TextElements,
    /// In code points.
    UnicodeCodePoint,
    /// In code units of UTF-16.
    Utf16CodeUnit,
}

/// What a result has.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Text.
    Read,
    /// Tables, too.
    Layout,
}

/// What was found in a document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzeResult {
    /// `2024-11-30`
    #[schema(value_type = String)]
    api_version: &'static str,
    /// `prebuilt-read` or `prebuilt-layout`.
    #[schema(value_type = String)]
    model_id: &'static str,
    /// How offsets are counted.
    string_index_type: IndexType,
    /// `text` or `markdown`.
    #[schema(value_type = String)]
    content_format: &'static str,
    /// The text that offsets point into.
    content: String,
    /// Pages.
    pages: Vec<AnalyzedPage>,
    /// Paragraphs in reading order.
    paragraphs: Vec<AnalyzedParagraph>,
    /// Tables.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    tables: Option<Vec<AnalyzedTable>>,
    /// Always empty.
    styles: Vec<String>,
}

/// A part of the text.
#[derive(Clone, Copy, Serialize, ToSchema)]
pub struct Span {
    /// Where it begins.
    offset: usize,
    /// How long it is.
    length: usize,
}

/// A page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzedPage {
    /// From 1.
    page_number: usize,
    /// Clockwise turn of the text, degrees, more than -180 and at most 180.
    angle: f32,
    /// In its unit.
    width: f32,
    /// In its unit.
    height: f32,
    /// `inch` in PDFs, else `pixel`.
    #[schema(value_type = String)]
    unit: &'static str,
    /// Words.
    words: Vec<AnalyzedWord>,
    /// Lines.
    lines: Vec<AnalyzedLine>,
    /// All of its text.
    spans: Vec<Span>,
}

/// A word.
#[derive(Serialize, ToSchema)]
pub struct AnalyzedWord {
    /// Its text.
    content: String,
    /// Its corners: x, y, clockwise from the text's top left.
    polygon: Vec<f32>,
    /// 0 to 1.
    confidence: f32,
    /// Where it is in the text.
    span: Span,
}

/// A line.
#[derive(Serialize, ToSchema)]
pub struct AnalyzedLine {
    /// Its text.
    content: String,
    /// As of a word.
    polygon: Vec<f32>,
    /// Where it is in the text.
    spans: Vec<Span>,
}

/// A part of a page.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct BoundingRegion {
    /// From 1.
    page_number: usize,
    /// As of a word.
    polygon: Vec<f32>,
}

/// A paragraph.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzedParagraph {
    /// `title`, `sectionHeading`, `pageHeader`, `pageFooter`, `pageNumber`, `footnote` or `formulaBlock`; none for running
    /// text.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, required = false)]
    role: Option<&'static str>,
    /// Its text.
    content: String,
    /// Where it is on its page.
    bounding_regions: Vec<BoundingRegion>,
    /// Where it is in the text.
    spans: Vec<Span>,
}

/// A table.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzedTable {
    /// Number of rows.
    row_count: usize,
    /// Number of columns.
    column_count: usize,
    /// Cells by row, then by column.
    cells: Vec<AnalyzedCell>,
    /// Where it is on its page.
    bounding_regions: Vec<BoundingRegion>,
    /// Where it is in the text.
    spans: Vec<Span>,
}

/// A cell.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct AnalyzedCell {
    /// `content` or `columnHeader`.
    #[schema(value_type = String)]
    kind: &'static str,
    /// From 0.
    row_index: usize,
    /// From 0.
    column_index: usize,
    /// Rows it spans.
    row_span: usize,
    /// Columns it spans.
    column_span: usize,
    /// Its text.
    content: String,
    /// Where it is on its page.
    bounding_regions: Vec<BoundingRegion>,
    /// Where it is in the text, if that is Markdown.
    spans: Vec<Span>,
}

/// Counts as the caller does.
struct Count {
    /// How much stands before each byte of a text, and before its end.
    before: Vec<usize>,
}

impl Count {
    fn of(text: &str, index_type: IndexType) -> Self {
        let mut before = Vec::with_capacity(text.len() + 1);
        let mut count = 0;
        let mut step = |part: &str, units: usize| {
            before.extend(std::iter::repeat_n(count, part.len()));
            count += units;
        };
        match index_type {
            IndexType::TextElements => text.graphemes(true).for_each(|part| step(part, 1)),
            IndexType::UnicodeCodePoint | IndexType::Utf16CodeUnit => {
                for (at, c) in text.char_indices() {
                    let units = match index_type {
                        IndexType::Utf16CodeUnit => c.len_utf16(),
                        _ => 1,
                    };
                    step(&text[at..at + c.len_utf8()], units);
                }
            }
        }
        before.push(count);
        Self { before }
    }

    fn span(&self, range: Range<usize>) -> Span {
        let offset = self.before[range.start];
        Span {
            offset,
            length: self.before[range.end] - offset,
        }
    }
}

/// A page's place in the whole text.
struct Within<'a> {
    placed: &'a Placed,
    count: &'a Count,
    /// Where the page begins, bytes.
    begins: usize,
}

impl Within<'_> {
    fn span(&self, range: &Range<usize>) -> Span {
        let begins = self.begins;
        self.count.span(begins + range.start..begins + range.end)
    }

    fn spans(&self, ranges: &[Range<usize>]) -> Vec<Span> {
        ranges.iter().map(|range| self.span(range)).collect()
    }

    /// The span of a word; an empty one at the page's end where it isn't in the text as it was read.
    fn word(&self, place: Option<&Range<usize>>) -> Span {
        let end = self.placed.text.len();
        self.span(place.unwrap_or(&(end..end)))
    }
}

/// The result of an answer.
///
/// # Errors
/// The answer is from another version.
pub fn made(
    answer: &Value,
    kind: Kind,
    markdown: bool,
    index_type: IndexType,
) -> Result<AnalyzeResult, serde_json::Error> {
    let mut document = document::of_json(answer)?;
    join_pages(&mut document);
    let placed: Vec<Placed> = document
        .pages
        .iter()
        .map(|page| match markdown {
            true => Placed::as_markdown(page, placed::with_furniture(page)),
            false => Placed::as_text(page),
        })
        .collect();
    let separator = if markdown {
        "\n\n<!-- PageBreak -->\n\n"
    } else {
        "\n"
    };
    let texts: Vec<&str> = placed.iter().map(|placed| &*placed.text).collect();
    let content = texts.join(separator);
    let count = Count::of(&content, index_type);
    let (mut pages, mut paragraphs, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    let mut begins = 0;
    for (page, placed) in document.pages.iter().zip(&placed) {
        let within = Within {
            placed,
            count: &count,
            begins,
        };
        let place = Place::of(page);
        pages.push(of_page(page, &place, &within));
        for (region, ranges) in page.regions.iter().zip(&placed.regions) {
            let bounding_regions = vec![place.region(region.quad)];
            let spans = within.spans(ranges);
            match (region.kind, &region.table) {
                (RegionKind::Table, Some(table)) => tables.push(AnalyzedTable {
                    row_count: table.rows,
                    column_count: table.columns,
                    cells: cells(
                        region,
                        table,
                        &place,
                        &within,
                        ranges.first().filter(|_| markdown),
                    ),
                    bounding_regions,
                    spans,
                }),
                // A figure without a word in it.
                _ if region.text.trim().is_empty() => {}
                (kind, _) => paragraphs.push(AnalyzedParagraph {
                    role: role(kind),
                    content: region.text.clone(),
                    bounding_regions,
                    spans,
                }),
            }
        }
        begins += placed.text.len() + separator.len();
    }
    Ok(AnalyzeResult {
        api_version: VERSION,
        model_id: match kind {
            Kind::Read => "prebuilt-read",
            Kind::Layout => "prebuilt-layout",
        },
        string_index_type: index_type,
        content_format: if markdown { "markdown" } else { "text" },
        content,
        pages,
        paragraphs,
        tables: (kind == Kind::Layout).then_some(tables),
        styles: Vec::new(),
    })
}

/// The cells of a table, which is at `range` of a page's Markdown; lines of text have them in no order.
fn cells(
    region: &Region,
    table: &Table,
    place: &Place,
    within: &Within,
    range: Option<&Range<usize>>,
) -> Vec<AnalyzedCell> {
    let found = range.map(|range| placed::cells(region, &within.placed.text, range));
    let found = found.unwrap_or_else(|| vec![None; table.cells.len()]);
    let cells = table.cells.iter().zip(found);
    cells
        .map(|(cell, found)| AnalyzedCell {
            kind: if cell.row < table.header_rows {
                "columnHeader"
            } else {
                "content"
            },
            row_index: cell.row,
            column_index: cell.column,
            row_span: cell.row_span,
            column_span: cell.column_span,
            content: cell.text.clone(),
            bounding_regions: vec![place.region(cell.quad)],
            spans: found.iter().map(|range| within.span(range)).collect(),
        })
        .collect()
}

fn role(kind: RegionKind) -> Option<&'static str> {
    Some(match kind {
        RegionKind::Title => "title",
        RegionKind::Heading => "sectionHeading",
        RegionKind::Header => "pageHeader",
        RegionKind::Footer => "pageFooter",
        RegionKind::PageNumber => "pageNumber",
        RegionKind::Footnote => "footnote",
        RegionKind::Formula => "formulaBlock",
        _ => return None,
    })
}

/// Where a page's things are, in its unit.
struct Place {
    number: usize,
    /// Units a pixel.
    scale: f32,
    unit: &'static str,
}

impl Place {
    fn of(page: &PageText) -> Self {
        // A PDF states its size in inches, a picture in pixels.
        let dpi = page.dpi.filter(|dpi| *dpi > 0.0);
        Self {
            number: page.index + 1,
            scale: dpi.map_or(1.0, |dpi| 1.0 / dpi),
            unit: if dpi.is_some() { "inch" } else { "pixel" },
        }
    }

    fn polygon(&self, quad: Quad) -> Vec<f32> {
        let rounded = |v: f32| (v * self.scale * 1e4).round() / 1e4;
        quad.0
            .iter()
            .flat_map(|p| [rounded(p.x), rounded(p.y)])
            .collect()
    }

    fn region(&self, quad: Quad) -> BoundingRegion {
        BoundingRegion {
            page_number: self.number,
            polygon: self.polygon(quad),
        }
    }
}

fn of_page(page: &PageText, place: &Place, within: &Within) -> AnalyzedPage {
    let lines = page.lines.iter().zip(&within.placed.lines);
    let lines = lines.map(|(line, ranges)| AnalyzedLine {
        content: line.text.clone(),
        polygon: place.polygon(line.quad),
        spans: within.spans(ranges),
    });
    let words = page.lines.iter().zip(&within.placed.words);
    let words = words.flat_map(|(line, places)| line.words.iter().zip(places));
    let words = words.map(|(word, range)| AnalyzedWord {
        content: word.text.clone(),
        polygon: place.polygon(word.quad),
        confidence: word.confidence,
        span: within.word(range.as_ref()),
    });
    let turn = i32::from(page.turn);
    AnalyzedPage {
        page_number: place.number,
        // The turn that makes the text upright, the other way round.
        angle: if turn > 180 { 360 - turn } else { -turn } as f32,
        width: page.width as f32 * place.scale,
        height: page.height as f32 * place.scale,
        unit: place.unit,
        words: words.collect(),
        lines: lines.collect(),
        spans: vec![within.span(&(0..within.placed.text.len()))],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn offsets_point_to_words_and_lines_in_every_way_of_counting() {
        let at = |x: f32| json!([[x, 0.0], [x + 50.0, 0.0], [x + 50.0, 10.0], [x, 10.0]]);
        let word = |text: &str, x: f32| json!({"text": text, "confidence": 0.5, "box": at(x)});
        let line = |words: &[&str]| {
            let words: Vec<Value> = words.iter().map(|text| word(text, 0.0)).collect();
            let text = words
                .iter()
                .map(|w| w["text"].as_str().unwrap())
                .collect::<Vec<_>>()
                .join(" ");
            json!({"text": text, "confidence": 0.5, "box": at(0.0), "words": words, "vertical": false})
        };
        let page = |index: u32| {
            json!({
                "index": index, "width": 200, "height": 100, "dpi": 100.0, "turn": 90, "text": "", "confidence": 0.5,
                "lines": [line(&["𝒜b", "e\u{301}"]), line(&["c", "c"])],
                "blocks": [
                    {"kind": "paragraph", "box": at(0.0), "lines": [0, 1], "text": "𝒜b e\u{301} c c"},
                    {"kind": "figure", "box": at(0.0), "lines": []},
                ],
            })
        };
        let answer = json!({"pages": [page(0), page(3)]});
        for (index_type, lengths) in [
            (IndexType::TextElements, [2, 1, 1, 1]),
            (IndexType::UnicodeCodePoint, [2, 2, 1, 1]),
            (IndexType::Utf16CodeUnit, [3, 2, 1, 1]),
        ] {
            let result = made(&answer, Kind::Layout, false, index_type).unwrap();
            let whole = Count::of(&result.content, index_type).before[result.content.len()];
            for page in &result.pages {
                let words: Vec<usize> = page.words.iter().map(|w| w.span.length).collect();
                assert_eq!(words, lengths);
                assert!(
                    page.words
                        .windows(2)
                        .all(|w| w[0].span.offset < w[1].span.offset)
                );
                assert!(page.spans[0].offset + page.spans[0].length <= whole);
            }
            let last = &result.pages[1];
            assert_eq!(
                (last.page_number, last.unit, last.width, last.angle),
                (4, "inch", 2.0, -90.0)
            );
            assert_eq!(last.words[3].span.offset + 1, whole);
            assert_eq!(last.lines[0].polygon[2], 0.5);
            assert_eq!(
                (result.paragraphs.len(), result.paragraphs[1].spans.len()),
                (2, 2)
            );
            assert_eq!(result.tables.unwrap().len(), 0);
        }
        let markdown = made(&answer, Kind::Read, true, IndexType::default()).unwrap();
        assert!(markdown.content.contains("PageBreak") && markdown.tables.is_none());
    }
}
