//! An answer in the shape of Azure's Document Intelligence.

use maoocr_engine::document::{Document, PageText, RegionKind};
use maoocr_engine::export::{self, Format, Meta};
use maoocr_engine::geometry::Quad;
use maoocr_engine::structure::join_pages;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use unicode_segmentation::UnicodeSegmentation;
use utoipa::ToSchema;

use crate::document;

/// The version of the interface whose shapes these are.
pub const VERSION: &str = "2024-11-30";
/// How far ahead of the last text the next one is looked for, bytes.
const NEAR: usize = 2000;

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

impl IndexType {
    fn length(self, text: &str) -> usize {
        match self {
            Self::TextElements => text.graphemes(true).count(),
            Self::UnicodeCodePoint => text.chars().count(),
            Self::Utf16CodeUnit => text.encode_utf16().count(),
        }
    }
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
    /// Always empty.
    spans: Vec<Span>,
}

/// Finds parts of a text one after the other, and counts as the caller does.
struct Cursor<'a> {
    text: &'a str,
    /// Bytes before which all is counted, and how much it is.
    at: (usize, usize),
    index_type: IndexType,
}

impl Cursor<'_> {
    /// The span of a part; an empty one where the part isn't ahead.
    fn span(&mut self, part: &str) -> Span {
        let (at, offset) = self.at;
        let next = self.text[at..]
            .find(part)
            .filter(|&next| next < NEAR && !part.is_empty());
        let Some(next) = next else {
            return Span { offset, length: 0 };
        };
        let offset = offset + self.index_type.length(&self.text[at..at + next]);
        let length = self.index_type.length(part);
        self.at = (at + next + part.len(), offset + length);
        Span { offset, length }
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
    let texts: Vec<String> = document
        .pages
        .iter()
        .map(|page| text(page, markdown))
        .collect();
    let separator = if markdown {
        "\n\n<!-- PageBreak -->\n\n"
    } else {
        "\n"
    };
    let content = texts.join(separator);
    let (mut pages, mut paragraphs, mut tables) = (Vec::new(), Vec::new(), Vec::new());
    let (mut before, mut begins) = (0, 0);
    for (page, text) in document.pages.iter().zip(&texts) {
        let cursor = |begins| Cursor {
            text: &content[..begins + text.len()],
            at: (begins, before),
            index_type,
        };
        let place = Place::of(page);
        pages.push(of_page(
            page,
            &place,
            &mut cursor(begins),
            &mut cursor(begins),
            text,
            markdown,
        ));
        let mut at = cursor(begins);
        for region in &page.regions {
            let bounding_regions = || vec![place.region(region.quad)];
            if let (RegionKind::Table, Some(table)) = (region.kind, &region.table) {
                let cells = table.cells.iter().map(|cell| AnalyzedCell {
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
                    spans: Vec::new(),
                });
                tables.push(AnalyzedTable {
                    row_count: table.rows,
                    column_count: table.columns,
                    cells: cells.collect(),
                    bounding_regions: bounding_regions(),
                    spans: spans(region, page, &mut at, markdown),
                });
                continue;
            }
            paragraphs.push(AnalyzedParagraph {
                role: role(region.kind),
                content: region.text.clone(),
                bounding_regions: bounding_regions(),
                spans: spans(region, page, &mut at, markdown),
            });
        }
        before += index_type.length(text) + index_type.length(separator);
        begins += text.len() + separator.len();
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

fn text(page: &PageText, markdown: bool) -> String {
    if !markdown {
        let lines: Vec<&str> = page.lines.iter().map(|line| &*line.text).collect();
        return lines.join("\n");
    }
    let document = Document {
        pages: vec![page.clone()],
    };
    let text = export::write(&document, Format::Markdown, &Meta::default());
    text.trim_end().into()
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

fn of_page(
    page: &PageText,
    place: &Place,
    lines_at: &mut Cursor,
    words_at: &mut Cursor,
    text: &str,
    markdown: bool,
) -> AnalyzedPage {
    let as_written = |text: &str| {
        if markdown {
            export::markdown(text)
        } else {
            text.to_string()
        }
    };
    let whole = Span {
        offset: lines_at.at.1,
        length: lines_at.index_type.length(text),
    };
    let lines = page.lines.iter().map(|line| AnalyzedLine {
        content: line.text.clone(),
        polygon: place.polygon(line.quad),
        spans: vec![lines_at.span(&as_written(&line.text))],
    });
    let lines = lines.collect();
    let words = page.lines.iter().flat_map(|line| &line.words);
    let words = words.map(|word| AnalyzedWord {
        content: word.text.clone(),
        polygon: place.polygon(word.quad),
        confidence: word.confidence,
        span: words_at.span(&as_written(&word.text)),
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
        lines,
        spans: vec![whole],
    }
}

/// Where a region's lines are in the text.
fn spans(
    region: &maoocr_engine::document::Region,
    page: &PageText,
    at: &mut Cursor,
    markdown: bool,
) -> Vec<Span> {
    let lines = region.lines.iter().filter_map(|&line| page.lines.get(line));
    let found = lines.filter_map(|line| {
        let span = match markdown {
            true => at.span(&export::markdown(&line.text)),
            false => at.span(&line.text),
        };
        (span.length > 0).then_some(span)
    });
    found.collect()
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
                "blocks": [{"kind": "paragraph", "box": at(0.0), "lines": [0, 1]}],
            })
        };
        let answer = json!({"pages": [page(0), page(3)]});
        for (index_type, lengths) in [
            (IndexType::TextElements, [2, 1, 1, 1]),
            (IndexType::UnicodeCodePoint, [2, 2, 1, 1]),
            (IndexType::Utf16CodeUnit, [3, 2, 1, 1]),
        ] {
            let result = made(&answer, Kind::Layout, false, index_type).unwrap();
            let whole = index_type.length(&result.content);
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
            assert_eq!(result.paragraphs[1].spans.len(), 2);
            assert_eq!(result.tables.unwrap().len(), 0);
        }
        let markdown = made(&answer, Kind::Read, true, IndexType::default()).unwrap();
        assert!(markdown.content.contains("PageBreak") && markdown.tables.is_none());
    }
}
