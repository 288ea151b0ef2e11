//! Small PDFs of text: what their pages say, where that is what they show.
//!
//! In an isolate nobody can stop what draws, and the clock stands still meanwhile. So what a page costs is found out from
//! its description before anything of it is drawn, and whatever isn't plain text is a server's.

use std::sync::Arc;

use maoocr_engine::answer;
use maoocr_engine::document::Line;
use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::{Image, ImagingError, Limits};
use maoocr_engine::layer;
use maoocr_engine::page::{Page, PageRanges};
use maoocr_engine::plan::Plan;
use maoocr_engine::reading::{self, LayerUse};
use maoocr_engine::structure::StructureOptions;
use maoocr_pdf::{Budget, Options, Pdf};
use serde_json::{Value, json};

use crate::{DECODING, Order, Reader, Refusal, now};

/// Pages that a file may have of which some are chosen.
const MOST_PAGES: usize = 1000;
/// What a page may be as a picture, px. A page of A4 in eight points has 6.1 million.
const PIXELS: u64 = 6_500_000;
/// What a page may take to draw: operators, steps, areas of the whole page, pixels of its pictures.
const OPERATORS: u64 = 100_000;
const STEPS: u64 = 100_000;
const PAINTED: f64 = 30.0;
const PICTURES: u64 = 4_000_000;
/// What a stream, and what all of them, may unpack to, bytes.
const STREAM: u64 = 8 << 20;
const STREAMS: u64 = 24 << 20;

/// Reads a PDF's pages; the answer of the HTTP interface.
pub fn read(reader: &Reader, file: Vec<u8>, order: &Order) -> Result<Value, Refusal> {
    let plan = reader.plan(order)?;
    let limits = Limits {
        max_bytes: order.bounds.bytes,
        max_pixels: PIXELS,
        max_pages: MOST_PAGES,
        // Pixels with those of what draws them.
        max_memory: 3 * DECODING,
    };
    let options = Options {
        limits,
        seconds: None,
        steps: STEPS,
        max_stream: STREAM,
        max_streams: STREAMS,
        ..Options::default()
    };
    let pdf = Pdf::open(Arc::new(file), options).map_err(elsewhere)?;
    let indices = chosen(&pdf, order)?;
    // The whole file first: reading half of it here is no use.
    for &index in &indices {
        admit(&pdf, index)?;
    }
    let mut pages = Vec::new();
    for index in indices {
        let page = pdf.page(index).map_err(|error| elsewhere(error.error))?;
        pages.push(one(reader, page, &plan, order)?);
    }
    Ok(answer::merged(pages))
}

/// How regions are looked for: their pictures aren't in answers.
pub fn structure() -> StructureOptions {
    StructureOptions {
        pictures: false,
        ..StructureOptions::default()
    }
}

/// Positions of the pages to read, from 0.
fn chosen(pdf: &Pdf, order: &Order) -> Result<Vec<usize>, Refusal> {
    let indices = match &order.pages {
        None => (0..pdf.count()).collect(),
        Some(text) => match text.parse::<PageRanges>() {
            Ok(ranges) if ranges.absent(pdf.count()).is_none() => ranges.chosen(pdf.count()),
            _ => Vec::new(),
        },
    };
    match indices.len() {
        0 => Err(Refusal::Elsewhere("no such page")),
        count if count > order.bounds.pages => Err(Refusal::Elsewhere("a PDF of many pages")),
        _ => Ok(indices),
    }
}

/// Refuses a page that isn't plain text, before it is drawn.
fn admit(pdf: &Pdf, index: usize) -> Result<(), Refusal> {
    let budget = Budget {
        operators: OPERATORS,
        pixels: PICTURES,
    };
    if let Some(reason) = pdf.costly(index, &budget) {
        return Err(Refusal::Elsewhere(reason));
    }
    let outline = pdf.outline(index).map_err(|error| elsewhere(error.error))?;
    let (width, height) = outline.size;
    if outline.scan || !outline.layer.glyphs.iter().any(|glyph| glyph.visible) {
        return Err(Refusal::Elsewhere("a scan"));
    }
    if layer::sample(&outline.layer).is_err() {
        return Err(Refusal::Elsewhere(LIES));
    }
    // Nearly as many: what is larger is drawn at a lower resolution than a server draws it.
    if u64::from(width) * u64::from(height) * 100 > PIXELS * 99 {
        return Err(Refusal::Elsewhere("a PDF with large pages"));
    }
    if outline.painted > PAINTED {
        return Err(Refusal::Elsewhere("a PDF with much to draw"));
    }
    Ok(())
}

const LIES: &str = "a PDF whose text layer is wrong";

fn one(reader: &Reader, page: Page, plan: &Plan, order: &Order) -> Result<Value, Refusal> {
    let index = page.index;
    let mut eyes = Eyes { reader, plan };
    let options = structure();
    let read = reading::read_page(&mut eyes, page, LayerUse::Auto, Some(&options), plan);
    let mut read = now(read)?;
    read.answer.id.clone_from(&order.id);
    let own = json!({"state": "sound", "painted": read.painted});
    let page = answer::page_json(read.answer, Some(read.text), index, Some(own));
    Ok(page)
}

/// Compares the layer with what the page shows, and reads no picture.
struct Eyes<'r> {
    reader: &'r Reader,
    plan: &'r Plan,
}

impl reading::Reader for Eyes<'_> {
    type Answer = answer::Answer;
    type Error = Refusal;

    async fn read_picture(&mut self, _: Page, whole: bool) -> Result<answer::Answer, Refusal> {
        Err(Refusal::Elsewhere(match whole {
            true => LIES,
            false => "a PDF with pictures to read",
        }))
    }

    async fn read_lines(&mut self, image: &Image, quads: &[Quad]) -> Result<Vec<Line>, Refusal> {
        let read = self.reader.engine.read_lines(image, quads, self.plan).await;
        Ok(read?)
    }

    fn lines(answer: &answer::Answer) -> &[Line] {
        &answer.lines
    }
}

/// What is wrong with a file for any reader is said here; a server may have a password's algorithms, and more memory.
fn elsewhere(error: ImagingError) -> Refusal {
    Refusal::Elsewhere(match error {
        ImagingError::Malformed { .. } | ImagingError::Empty => return error.into(),
        ImagingError::Password { .. } => "an encrypted PDF",
        ImagingError::TooManyPages { .. } => "a PDF of many pages",
        ImagingError::TooManyPixels { .. } => "a PDF with large pages",
        ImagingError::TooLarge { .. } => "a large file",
        ImagingError::OutOfMemory { .. } | ImagingError::TooComplex { .. } => {
            "a PDF with much to draw"
        }
        _ => "a PDF of an unusual kind",
    })
}
