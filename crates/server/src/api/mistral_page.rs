//! Pages in the shape of Mistral's OCR API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maoocr_engine::document::{Document, Line, PageText, Region, RegionKind};
use maoocr_engine::export::{self, MarkdownPage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::placed;
use crate::pictures::Part;

/// How tables are given apart from the Markdown.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TableFormat {
    /// GitHub's Markdown; tables whose cells span are HTML.
    Markdown,
    /// HTML.
    Html,
}

/// Of what confidence is given.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Granularity {
    /// Of pages.
    Page,
    /// Of pages and words.
    Word,
    /// Of pages and blocks.
    Block,
}

/// What is wanted of each page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wanted {
    /// Tables apart from the Markdown.
    pub tables: Option<TableFormat>,
    /// Blocks with their boxes.
    pub blocks: bool,
    /// The running head.
    pub header: bool,
    /// The running foot.
    pub footer: bool,
    /// Confidence.
    pub confidence: Option<Granularity>,
    /// Most figures of the document.
    pub figures: Option<u16>,
    /// Least width and height of a figure, px.
    pub figure_side: u16,
}

/// A page.
#[derive(Serialize, ToSchema)]
pub struct OcrPage {
    /// Index in the document, from 0.
    index: u32,
    /// Its text as Markdown, without running heads and feet. `![ID](ID)` stands for a figure, `[ID](ID)` for a table that
    /// is given apart.
    markdown: String,
    /// Its figures.
    images: Vec<OcrImage>,
    /// Its tables, if `table_format` asks for them.
    tables: Vec<OcrTable>,
    /// Always empty.
    hyperlinks: Vec<String>,
    /// The running head, if `extract_header` asks for it.
    header: Option<String>,
    /// The running foot with the page's number, if `extract_footer` asks for it.
    footer: Option<String>,
    /// Its size.
    dimensions: OcrDimensions,
    /// How sure its text is, if `confidence_scores_granularity` asks for it.
    confidence_scores: Option<PageConfidence>,
    /// Its blocks in reading order, if `include_blocks` asks for them.
    blocks: Option<Vec<OcrBlock>>,
}

/// A figure.
#[derive(Serialize, ToSchema)]
pub struct OcrImage {
    /// As the Markdown names it.
    id: String,
    /// px
    top_left_x: i32,
    /// px
    top_left_y: i32,
    /// px
    bottom_right_x: i32,
    /// px
    bottom_right_y: i32,
    /// The cut-out as a data URL, if `include_image_base64` asks for it.
    image_base64: Option<String>,
    /// Always null.
    image_annotation: Option<String>,
}

/// A table apart from the Markdown.
#[derive(Serialize, ToSchema)]
pub struct OcrTable {
    /// As the Markdown names it.
    id: String,
    /// The table.
    content: String,
    /// How it is written.
    format: TableFormat,
}

/// The size of a page.
#[derive(Serialize, ToSchema)]
pub struct OcrDimensions {
    /// Pixels an inch; 0 if the file does not say.
    dpi: u32,
    /// px
    height: u32,
    /// px
    width: u32,
}

/// How sure a page's text is, 0 to 1.
#[derive(Serialize, ToSchema)]
pub struct PageConfidence {
    /// Mean of its words.
    average_page_confidence_score: f32,
    /// Least of its words.
    minimum_page_confidence_score: f32,
    /// Of each word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    word_confidence_scores: Option<Vec<WordConfidence>>,
}

/// How sure a word is.
#[derive(Serialize, ToSchema)]
pub struct WordConfidence {
    /// The word.
    text: String,
    /// 0 to 1.
    confidence: f32,
    /// Where it begins in the Markdown, characters.
    start_index: usize,
}

/// A block.
#[derive(Serialize, ToSchema)]
pub struct OcrBlock {
    /// What it is.
    r#type: BlockType,
    /// px
    top_left_x: i32,
    /// px
    top_left_y: i32,
    /// px
    bottom_right_x: i32,
    /// px
    bottom_right_y: i32,
    /// Its text as Markdown.
    content: String,
    /// Its entry in `images`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    image_id: Option<String>,
    /// Its entry in `tables`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    table_id: Option<String>,
    /// How sure it is, if `confidence_scores_granularity` asks for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    confidence_scores: Option<BlockConfidence>,
}

/// Kinds of blocks.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BlockType {
    /// A title or heading.
    Title,
    /// Running text.
    Text,
    /// A list.
    List,
    /// A table.
    Table,
    /// A figure.
    Image,
    /// The caption of a table or figure.
    Caption,
    /// A formula.
    Equation,
    /// Program text.
    Code,
    /// A running head.
    Header,
    /// A running foot, or a page's number.
    Footer,
}

/// How sure a block is, 0 to 1.
#[derive(Serialize, ToSchema)]
pub struct BlockConfidence {
    /// Mean of its words.
    average_content_confidence_score: Option<f32>,
    /// Least of its words.
    minimum_content_confidence_score: Option<f32>,
    /// Of its kind.
    block_type_confidence_score: Option<f32>,
}

impl BlockType {
    fn of(kind: RegionKind) -> Self {
        match kind {
            RegionKind::Title | RegionKind::Heading => Self::Title,
            RegionKind::List => Self::List,
            RegionKind::Table => Self::Table,
            RegionKind::Figure => Self::Image,
            RegionKind::Caption => Self::Caption,
            RegionKind::Formula => Self::Equation,
            RegionKind::Code => Self::Code,
            RegionKind::Header => Self::Header,
            RegionKind::Footer | RegionKind::PageNumber => Self::Footer,
            _ => Self::Text,
        }
    }
}

/// Where figures are, in the order in which [`pages`] takes their cut-outs.
pub fn figures(document: &Document, wanted: Wanted) -> Vec<Part> {
    let pages = document.pages.iter();
    let all = pages.flat_map(|page| {
        let figures = page.regions.iter().filter(move |r| is_figure(r, wanted));
        figures.map(|region| Part {
            page: page.index,
            quad: region.quad,
        })
    });
    all.take(wanted.figures.map_or(usize::MAX, usize::from))
        .collect()
}

fn is_figure(region: &Region, wanted: Wanted) -> bool {
    let [x0, y0, x1, y1] = region.quad.bounds();
    let least = f32::from(wanted.figure_side);
    region.kind == RegionKind::Figure && x1 - x0 >= least && y1 - y0 >= least
}

/// The pages of a document; `cuts` are the cut-outs of its figures, if they are wanted.
pub fn pages(document: Document, wanted: Wanted, cuts: Vec<Option<Vec<u8>>>) -> Vec<OcrPage> {
    let mut left = wanted.figures.map_or(usize::MAX, usize::from);
    let mut cuts = cuts.into_iter();
    let pages = document.pages.into_iter();
    pages
        .map(|page| of_page(page, wanted, &mut left, &mut cuts))
        .collect()
}

fn of_page(
    page: PageText,
    wanted: Wanted,
    left: &mut usize,
    cuts: &mut impl Iterator<Item = Option<Vec<u8>>>,
) -> OcrPage {
    let (mut images, mut tables, mut blocks) = (Vec::new(), Vec::new(), Vec::new());
    // What stands for figures and tables, by the positions of their regions, and where in it their own text begins.
    let mut stands: Vec<Option<(String, usize)>> = vec![None; page.regions.len()];
    let mut regions = page.regions.clone();
    let shell = PageText {
        text: String::new(),
        lines: Vec::new(),
        regions: Vec::new(),
        ..page
    };
    for (region, stand) in regions.iter_mut().zip(&mut stands) {
        let [x0, y0, x1, y1] = region.quad.bounds().map(|v| v.round() as i32);
        let own = alone(&shell, region);
        let (mut image_id, mut table_id, mut content) = (None, None, own);
        if is_figure(region, wanted) && *left > 0 {
            *left -= 1;
            let id = format!("img-{}.png", images.len());
            let picture = cuts.next().flatten();
            images.push(OcrImage {
                id: id.clone(),
                top_left_x: x0,
                top_left_y: y0,
                bottom_right_x: x1,
                bottom_right_y: y1,
                image_base64: picture
                    .map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png))),
                image_annotation: None,
            });
            let link = format!("![{id}]({id})");
            // What is written in the figure stays findable.
            let shown = if content.is_empty() {
                link.clone()
            } else {
                format!("{link}\n\n{content}")
            };
            let own = shown.len() - content.len();
            content = link;
            as_paragraph(region);
            *stand = Some((shown, own));
            image_id = Some(id);
        }
        if let (Some(format), RegionKind::Table, Some(table)) =
            (wanted.tables, region.kind, &region.table)
        {
            let extension = if format == TableFormat::Html {
                "html"
            } else {
                "md"
            };
            let id = format!("tbl-{}.{extension}", tables.len());
            let written = match format {
                TableFormat::Html => export::table_html(table),
                TableFormat::Markdown => content.clone(),
            };
            tables.push(OcrTable {
                id: id.clone(),
                content: written.clone(),
                format,
            });
            content = written;
            as_paragraph(region);
            let link = format!("[{id}]({id})");
            let own = link.len();
            *stand = Some((link, own));
            table_id = Some(id);
        }
        let kind = match (BlockType::of(region.kind), &image_id, &table_id) {
            (_, Some(_), _) => BlockType::Image,
            (_, _, Some(_)) => BlockType::Table,
            // Too small, or too many: what is written in it is all that is given.
            (BlockType::Image, None, _) => BlockType::Text,
            (kind, ..) => kind,
        };
        let confidence_scores = (wanted.confidence == Some(Granularity::Block)).then(|| {
            let scores = scores(region.lines.iter().filter_map(|&line| page.lines.get(line)));
            BlockConfidence {
                average_content_confidence_score: scores.map(|s| s.0),
                minimum_content_confidence_score: scores.map(|s| s.1),
                block_type_confidence_score: Some(region.confidence),
            }
        });
        blocks.push(OcrBlock {
            r#type: kind,
            top_left_x: x0,
            top_left_y: y0,
            bottom_right_x: x1,
            bottom_right_y: y1,
            content,
            image_id,
            table_id,
            confidence_scores,
        });
    }
    let furniture = |kinds: &[RegionKind]| {
        let texts = page
            .regions
            .iter()
            .filter(|r| kinds.contains(&r.kind))
            .map(|r| r.text.trim());
        let texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
        (!texts.is_empty()).then(|| texts.join("\n"))
    };
    let header = wanted
        .header
        .then(|| furniture(&[RegionKind::Header]))
        .flatten();
    let footer = wanted
        .footer
        .then(|| furniture(&[RegionKind::Footer, RegionKind::PageNumber]))
        .flatten();
    let markdown = export::markdown_page(&PageText {
        text: page.text.clone(),
        regions,
        ..shell
    });
    let markdown = filled(&markdown, &stands);
    let confidence_scores = wanted.confidence.map(|granularity| {
        let (average, minimum) = scores(page.lines.iter()).unwrap_or((1.0, 1.0));
        PageConfidence {
            average_page_confidence_score: average,
            minimum_page_confidence_score: minimum,
            word_confidence_scores: (granularity == Granularity::Word)
                .then(|| words(&page, &markdown)),
        }
    });
    OcrPage {
        index: page.index as u32,
        markdown: markdown.text,
        images,
        tables,
        hyperlinks: Vec::new(),
        header,
        footer,
        dimensions: OcrDimensions {
            dpi: page.dpi.unwrap_or(0.0).round() as u32,
            height: page.height,
            width: page.width,
        },
        confidence_scores,
        blocks: wanted.blocks.then_some(blocks),
    }
}

/// Makes of a region what is written as a part of its own, whatever it holds.
fn as_paragraph(region: &mut Region) {
    region.kind = RegionKind::Paragraph;
    region.text = "-".into();
    region.table = None;
    region.continued = false;
}

/// A region's Markdown, or its text where it is not part of the page's.
fn alone(shell: &PageText, region: &Region) -> String {
    let mut region = region.clone();
    region.continued = false;
    if matches!(
        region.kind,
        RegionKind::Header | RegionKind::Footer | RegionKind::PageNumber
    ) {
        region.kind = RegionKind::Paragraph;
    }
    let page = PageText {
        regions: vec![region],
        ..shell.clone()
    };
    export::markdown_page(&page).text
}

/// A page's Markdown with what stands for some of its regions, which are where their own text is.
fn filled(page: &MarkdownPage, stands: &[Option<(String, usize)>]) -> MarkdownPage {
    let mut filled = MarkdownPage {
        text: String::with_capacity(page.text.len()),
        regions: Vec::with_capacity(page.regions.len()),
    };
    let mut at = 0;
    for (range, stand) in page.regions.iter().zip(stands) {
        filled.text.push_str(&page.text[at..range.start]);
        let start = filled.text.len();
        let (text, own) = match stand {
            Some((text, own)) => (&**text, *own),
            None => (&page.text[range.clone()], 0),
        };
        filled.text.push_str(text);
        filled.regions.push(start + own..filled.text.len());
        at = range.end;
    }
    filled.text.push_str(&page.text[at..]);
    filled
}

/// Mean and least confidence of the words of lines.
fn scores<'a>(lines: impl Iterator<Item = &'a Line>) -> Option<(f32, f32)> {
    let (mut sum, mut count, mut least) = (0.0, 0.0f32, f32::MAX);
    for line in lines {
        let own = [line.confidence];
        let words = line.words.iter().map(|word| word.confidence);
        let whole = own.into_iter().filter(|_| line.words.is_empty());
        for confidence in words.chain(whole) {
            sum += confidence;
            count += 1.0;
            least = least.min(confidence);
        }
    }
    (count > 0.0).then(|| (sum / count, least))
}

/// The words that are in the Markdown as they were read, in its order.
fn words(page: &PageText, markdown: &MarkdownPage) -> Vec<WordConfidence> {
    let places = placed::words(page, markdown);
    let words = page.lines.iter().zip(&places);
    let words = words.flat_map(|(line, places)| line.words.iter().zip(places));
    let mut found: Vec<_> = words
        .filter_map(|(word, place)| Some((place.as_ref()?.start, word)))
        .collect();
    found.sort_by_key(|(start, _)| *start);
    let (mut at, mut characters) = (0, 0);
    let words = found.into_iter().map(|(start, word)| {
        characters += markdown.text[at..start].chars().count();
        at = start;
        WordConfidence {
            text: word.text.clone(),
            confidence: word.confidence,
            start_index: characters,
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use maoocr_engine::document::PageText;
    use serde_json::{Value, json};

    use super::*;

    fn page() -> PageText {
        let at = |y: u32| json!([[10, y], [90, y], [90, y + 40], [10, y + 40]]);
        let line = |text: &str, y: u32| {
            let word = |text: &str| json!({"text": text, "confidence": 0.8, "box": at(y)});
            let words: Vec<Value> = text.split(' ').map(word).collect();
            json!({"text": text, "confidence": 0.8, "box": at(y), "words": words, "vertical": false})
        };
        let cell = |row: u32, column: u32, text: &str| json!({"row": row, "column": column, "row_span": 1, "column_span": 1, "box": at(0), "text": text});
        let table = json!({"rows": 2, "columns": 1, "header_rows": 1, "cells": [cell(0, 0, "a|b"), cell(1, 0, "<i>")]});
        let region = |kind: &str, y: u32, text: &str, lines: &[usize]| json!({"kind": kind, "box": at(y), "text": text, "lines": lines, "confidence": 0.9});
        let mut regions = vec![
            region("header", 0, "Annual report", &[0]),
            region("heading", 50, "qzx0z and *more*", &[1]),
            region("figure", 100, "2020", &[2]),
            region("table", 150, "a|b <i>", &[3]),
            region("page_number", 200, "7", &[]),
        ];
        regions[3]["table"] = table;
        let page = json!({
            "index": 2, "width": 100, "height": 300, "dpi": 72.0, "turn": 0, "text": "", "confidence": 0.8,
            "lines": [line("Annual report", 0), line("qzx0z and *more*", 50), line("2020", 100), line("a|b <i>", 150)],
            "blocks": regions,
        });
        serde_json::from_value(page).unwrap()
    }

    fn made(wanted: Wanted, cuts: Vec<Option<Vec<u8>>>) -> Value {
        let document = Document {
            pages: vec![page()],
        };
        json!(pages(document, wanted, cuts).remove(0))
    }

    #[test]
    fn figures_and_tables_stand_apart_and_running_heads_where_they_are_wanted() {
        let usual = made(Wanted::default(), Vec::new());
        let markdown = usual["markdown"].as_str().unwrap();
        assert!(
            markdown.contains("qzx0z and \\*more\\*\n\n![img-0.png](img-0.png)\n\n2020"),
            "{markdown}"
        );
        assert!(
            markdown.contains("| a\\|b |") && !markdown.contains("Annual"),
            "{markdown}"
        );
        assert_eq!(usual["images"][0]["image_base64"], Value::Null);
        assert_eq!(
            (&usual["header"], &usual["blocks"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(
            usual["dimensions"],
            json!({"dpi": 72, "height": 300, "width": 100})
        );

        let all = Wanted {
            tables: Some(TableFormat::Html),
            blocks: true,
            header: true,
            footer: true,
            confidence: Some(Granularity::Word),
            ..Wanted::default()
        };
        let document = Document {
            pages: vec![page()],
        };
        let figures = figures(&document, all);
        assert_eq!((figures.len(), figures[0].page), (1, 2));
        let page = made(all, vec![Some(b"png".to_vec())]);
        let markdown = page["markdown"].as_str().unwrap();
        assert!(markdown.ends_with("[tbl-0.html](tbl-0.html)"), "{markdown}");
        let table = page["tables"][0]["content"].as_str().unwrap();
        assert!(table.contains("&lt;i&gt;"), "{table}");
        assert_eq!(
            page["images"][0]["image_base64"],
            "data:image/png;base64,cG5n"
        );
        assert_eq!(
            (&page["header"], &page["footer"]),
            (&json!("Annual report"), &json!("7"))
        );
        let kinds: Vec<&str> = page["blocks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|b| b["type"].as_str().unwrap())
            .collect();
        assert_eq!(kinds, ["header", "title", "image", "table", "footer"]);
        assert_eq!(page["blocks"][3]["table_id"], "tbl-0.html");
        let words = page["confidence_scores"]["word_confidence_scores"]
            .as_array()
            .unwrap();
        let text: String = markdown
            .chars()
            .skip(words[1]["start_index"].as_u64().unwrap() as usize)
            .collect();
        assert!(
            words[1]["text"] == "and" && text.starts_with("and"),
            "{words:?}"
        );
    }

    #[test]
    fn of_figures_as_many_are_named_as_are_wanted() {
        let none = Wanted {
            figures: Some(0),
            blocks: true,
            ..Wanted::default()
        };
        let small = Wanted {
            figure_side: 60,
            blocks: true,
            ..Wanted::default()
        };
        for wanted in [none, small] {
            let page = made(wanted, Vec::new());
            assert_eq!(page["images"], json!([]));
            assert!(
                page["markdown"].as_str().unwrap().contains("\n\n2020\n\n"),
                "{page}"
            );
            assert_eq!(page["blocks"][2]["type"], "text");
            assert!(
                figures(
                    &Document {
                        pages: vec![super::tests::page()]
                    },
                    wanted
                )
                .is_empty()
            );
        }
    }
}
