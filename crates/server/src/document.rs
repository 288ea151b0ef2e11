//! Files of one or many pages → what each page says: pictures, TIFFs and PDFs.

use std::fmt;
use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use maoocr_engine::answer::{self, Answer};
use maoocr_engine::document::PageText;
use maoocr_engine::imaging::{self, Format, ImagingError, Limits};
use maoocr_engine::layer::Verdict;
use maoocr_engine::page::{Page, PageError, PageRanges, Source};
use maoocr_engine::pipeline::{Engine, EngineError, Observer};
use maoocr_engine::plan::Plan;
use maoocr_engine::reading::LayerUse;
use maoocr_engine::structure::StructureOptions;
use maoocr_pdf::{Options, Pdf, is_pdf};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

pub use maoocr_engine::answer::document as of_json;

use crate::export;
use crate::problem::Problem;
use crate::vision::{Sight, VisionRead};

/// Longest time to open a PDF, and to draw each of its pages, s.
pub(crate) const PAGE_SECONDS: f64 = 30.0;

/// When to use the text that a PDF contains.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextLayer {
    /// If it agrees with what the page shows.
    #[default]
    Auto,
    /// If there is any.
    Always,
    /// Never.
    Never,
}

impl From<TextLayer> for LayerUse {
    fn from(when: TextLayer) -> Self {
        match when {
            TextLayer::Auto => Self::Auto,
            TextLayer::Always => Self::Always,
            TextLayer::Never => Self::Never,
        }
    }
}

/// The media type of a file that can be read, by its content.
///
/// # Errors
/// It is of another format.
pub fn media_type(file: &[u8]) -> Result<&'static str, Problem> {
    if is_pdf(file) {
        return Ok("application/pdf");
    }
    Ok(Format::sniff(file)?.media_type())
}

/// How a file's pages are read.
#[derive(Clone, Default)]
pub struct PageOptions {
    /// Which pages; all if nobody says.
    pub pages: Option<PageRanges>,
    /// The same as the caller wrote it, where it can become a job.
    pub pages_text: Option<String>,
    /// The password of an encrypted PDF; empty if there is none.
    pub password: String,
    /// When to use the text that a PDF contains.
    pub text_layer: TextLayer,
    /// Whether headings, lists, tables and other regions are found in pictures, too. In PDFs they always are.
    pub structure: bool,
    /// Whether the answer's form has a single page.
    pub single: bool,
    /// Whether a page that can't be read is left blank, with its error, instead of failing the others.
    pub partial: bool,
    /// Longer side of the picture that is kept of each page for a vision model, px; none is kept by default.
    pub sight: Option<u32>,
}

impl PageOptions {
    /// For one page alone, by its position from 0.
    #[must_use]
    pub fn of_page(&self, index: u32) -> Self {
        let number = (u64::from(index) + 1).to_string();
        Self {
            pages: number.parse().ok(),
            pages_text: Some(number),
            ..self.clone()
        }
    }
}

impl fmt::Debug for PageOptions {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageOptions")
            .field("pages", &self.pages)
            .field("text_layer", &self.text_layer)
            .field("structure", &self.structure)
            .finish_non_exhaustive()
    }
}

/// What of them a job keeps.
#[derive(Deserialize, Serialize)]
struct KeptOptions {
    pages: Option<String>,
    password: String,
    text_layer: TextLayer,
    structure: bool,
}

impl PageOptions {
    /// As a job keeps them.
    pub fn to_json(&self) -> Value {
        let kept = KeptOptions {
            pages: self.pages_text.clone(),
            password: self.password.clone(),
            text_layer: self.text_layer,
            structure: self.structure,
        };
        // Plain data always serialises.
        serde_json::to_value(kept).unwrap_or(Value::Null)
    }

    /// As a job has kept them.
    ///
    /// # Errors
    /// Another version has kept them.
    pub fn from_json(json: &Value) -> Result<Self, Problem> {
        let unreadable = |why: String| Problem::internal("options_unreadable", why);
        let kept = KeptOptions::deserialize(json).map_err(|e| unreadable(e.to_string()))?;
        let pages = kept.pages.as_deref().map(str::parse).transpose();
        Ok(Self {
            pages: pages.map_err(unreadable)?,
            pages_text: kept.pages,
            password: kept.password,
            text_layer: kept.text_layer,
            structure: kept.structure,
            ..Self::default()
        })
    }

    /// What of them the answer for a file depends on, for the cache's key. In PDFs, regions are always looked for.
    pub fn fingerprint(&self, pdf: bool) -> String {
        let structure = self.structure || pdf;
        let Self {
            pages,
            password,
            text_layer,
            ..
        } = self;
        format!("{pages:?} {password:?} {text_layer:?} {structure}")
    }
}

/// What the text of a PDF's page was found to be.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LayerState {
    /// It is what the page shows: the answer's text is from there.
    Sound,
    /// There is none.
    Absent,
    /// Nobody looked, as the caller wished.
    Ignored,
    /// It is too little or too faulty.
    Poor,
    /// Its characters are not what the page shows.
    Lies,
}

/// The text that a PDF's page has of its own.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ToSchema)]
pub struct OwnText {
    /// What it was found to be.
    pub state: LayerState,
    /// Whether some of it is painted, not only laid unseen over the page.
    pub painted: bool,
}

/// A page that was read.
#[derive(Clone)]
pub struct ReadPage {
    /// Position in the file, from 0.
    pub index: usize,
    /// The text that the page has of its own, in a PDF.
    pub own: Option<OwnText>,
    /// As for a picture.
    pub answer: Answer,
    /// With regions, if they were looked for.
    pub text: Option<PageText>,
    /// The upright page as a JPEG, if a vision model is to read it.
    pub sight: Option<Vec<u8>>,
    /// What became of that.
    pub vision: Option<VisionRead>,
}

impl ReadPage {
    /// The JSON of callers: the answer's fields, of which the regions, where there are any, are the blocks.
    pub fn into_json(self) -> Value {
        // Plain data always serialises.
        let own = self
            .own
            .map(|own| serde_json::to_value(own).unwrap_or(Value::Null));
        let mut page = answer::page_json(self.answer, self.text, self.index, own);
        if let Some(vision) = self.vision {
            page["vision"] = serde_json::to_value(vision).unwrap_or(Value::Null);
        }
        page
    }
}

/// Why a file can't be read.
pub enum ReadError {
    /// A page, or the whole file.
    Page(PageError),
    /// The engine failed, or was told to stop.
    Engine(EngineError),
    /// The choice of pages matches nothing, too much for one answer, or a page that can't be read.
    Choice(Problem),
}

impl From<PageError> for ReadError {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

/// An observer that is told of pages, too. `done` counts those read and lost so far, `of` those there are to read.
pub trait Reader: Observer {
    /// A page was read.
    fn page(&mut self, page: &ReadPage, done: usize, of: usize);

    /// A page alone can't be read, and the others are read without it.
    fn lost(&mut self, error: &PageError, done: usize, of: usize);
}

/// The pages of a file.
pub struct ReadFile {
    /// Those that were read; at least one.
    pub pages: Vec<ReadPage>,
    /// Those that were lost, where the options allow that.
    pub lost: Vec<PageError>,
}

/// Most pages of a PDF of which some are chosen.
const MAX_PAGES: usize = 20_000;

/// Limits for a PDF whose chosen pages are counted, not all of them. To count a TIFF's is more work.
pub fn countless(limits: &Limits) -> Limits {
    Limits {
        max_pages: MAX_PAGES,
        ..limits.clone()
    }
}

/// Reads a file's pages one after the other; at most `most` of them.
///
/// # Errors
/// The first page that can't be read, or more pages than that. If some may be lost, the first of them where there is no
/// other.
pub async fn read(
    engine: &Engine,
    file: &Bytes,
    options: &PageOptions,
    (plan, limits, most): (&Plan, &Limits, usize),
    watch: &mut impl Reader,
) -> Result<ReadFile, ReadError> {
    let ranges = options.pages.as_ref();
    // Before anything is read: a file that says how many pages it has is refused for them at once.
    let (opened, chosen) = open(file, options, limits, most)?;
    let of = chosen.len();
    let (mut source, pdf): (Box<dyn Source + '_>, bool) = match opened {
        Paged::Pdf(document) => (Box::new(document.pages(chosen)), true),
        Paged::Images(_) => (imaging::open(file, limits).map_err(whole)?, false),
    };
    let mut file = ReadFile {
        pages: Vec::new(),
        lost: Vec::new(),
    };
    let mut count = 0;
    while let Some(page) = source.next_page() {
        if watch.cancelled() {
            return Err(ReadError::Engine(EngineError::Cancelled));
        }
        if !pdf {
            count += 1;
            if ranges.is_some_and(|ranges| !ranges.holds(count)) {
                // Nobody wants it, whatever it is; but where the file ends, it ends.
                match page {
                    Err(error) if error.index.is_none() => return Err(error.into()),
                    _ => continue,
                }
            }
        }
        let done = file.pages.len() + file.lost.len() + 1;
        if done > most_of(options, most) {
            return Err(too_many(done, options, (most, limits)));
        }
        let page = match page {
            Ok(page) => page,
            Err(error) if error.index.is_some() && options.partial => {
                watch.lost(&error, done, of);
                file.lost.push(error);
                continue;
            }
            Err(error) => return Err(spoilt(error, of)),
        };
        let page = one(engine, page, (options, pdf), plan, watch).await?;
        watch.page(&page, done, of);
        file.pages.push(page);
    }
    if file.pages.is_empty() {
        return Err(match file.lost.into_iter().next() {
            Some(error) => error.into(),
            None => none(),
        });
    }
    Ok(file)
}

/// A file whose pages can be had one by one, in any order.
#[derive(Clone)]
pub enum Paged {
    /// A PDF.
    Pdf(Arc<Pdf>),
    /// An image, or a TIFF of several.
    Images(Bytes),
}

/// Whether a file may have several pages.
pub fn may_have_pages(file: &[u8]) -> bool {
    is_pdf(file) || Format::sniff(file) == Ok(Format::Tiff)
}

/// Opens a file, and says which of its pages were chosen; at least one.
///
/// # Errors
/// It can't be opened, or the choice is none or more than `most`.
pub fn open(
    file: &Bytes,
    options: &PageOptions,
    limits: &Limits,
    most: usize,
) -> Result<(Paged, Vec<usize>), ReadError> {
    let (paged, count) = if is_pdf(file) {
        let how = Options {
            password: options.password.clone(),
            limits: countless(limits),
            seconds: Some(PAGE_SECONDS),
            ..Options::default()
        };
        let document = Pdf::open(Arc::new(file.to_vec()), how).map_err(whole)?;
        let count = document.count();
        (Paged::Pdf(Arc::new(document)), count)
    } else {
        let count = imaging::probe(file, limits).map_err(whole)?.pages;
        (Paged::Images(file.clone()), count)
    };
    let ranges = options.pages.as_ref();
    let chosen = ranges.map_or_else(|| (0..count).collect(), |r| r.chosen(count));
    admit(chosen.len(), options, (most, limits))?;
    if let Some(absent) = ranges.and_then(|ranges| ranges.absent(count)) {
        return Err(ReadError::Choice(no_such_page(&absent, count)));
    }
    Ok((paged, chosen))
}

/// Reads one page of a file, by its position from 0.
///
/// # Errors
/// It can't be read.
pub async fn read_page(
    engine: &Engine,
    (paged, index): (&Paged, usize),
    options: &PageOptions,
    (plan, limits): (&Plan, &Limits),
    watch: &mut impl Observer,
) -> Result<ReadPage, ReadError> {
    let (page, pdf) = match paged {
        Paged::Pdf(document) => (document.page(index)?, true),
        Paged::Images(file) => (imaging::page(file, limits, index)?, false),
    };
    one(engine, page, (options, pdf), plan, watch).await
}

async fn one(
    engine: &Engine,
    page: Page,
    (options, pdf): (&PageOptions, bool),
    plan: &Plan,
    watch: &mut impl Observer,
) -> Result<ReadPage, ReadError> {
    let structure = (options.structure || pdf).then(|| StructureOptions {
        pictures: false,
        ..StructureOptions::default()
    });
    let index = page.index;
    let sight = options.sight.and_then(|side| Sight::of(&page.image, side));
    let layer = options.text_layer.into();
    let read = engine.read_document_page(page, layer, structure.as_ref(), plan, watch);
    let read = read.await.map_err(ReadError::Engine)?;
    let state = match read.layer {
        _ if options.text_layer == TextLayer::Never => LayerState::Ignored,
        Verdict::Sound => LayerState::Sound,
        Verdict::Absent => LayerState::Absent,
        Verdict::Poor => LayerState::Poor,
        Verdict::Lies => LayerState::Lies,
    };
    // Painted text is exact; unseen text is what another program read.
    let exact = state == LayerState::Sound && read.painted;
    let sight = sight.filter(|_| !exact);
    let turn = read.answer.turn;
    Ok(ReadPage {
        index,
        sight: sight.and_then(|sight| sight.into_jpeg(turn)),
        vision: None,
        own: pdf.then_some(OwnText {
            state,
            painted: read.painted,
        }),
        answer: read.answer,
        text: structure.is_some().then_some(read.text),
    })
}

/// A page that fails the others, which could be read without it.
fn spoilt(error: PageError, of: usize) -> ReadError {
    if error.index.is_none() || of < 2 {
        return error.into();
    }
    let problem = Problem::from(error);
    let detail = format!("{}, or choose the other pages with `pages`", problem.detail);
    ReadError::Choice(Problem { detail, ..problem }.field("pages"))
}

fn whole(error: ImagingError) -> PageError {
    PageError { index: None, error }
}

/// Most pages of an answer.
fn most_of(options: &PageOptions, most: usize) -> usize {
    if options.single { 1 } else { most }
}

/// Checks the number of chosen pages.
fn admit(
    chosen: usize,
    options: &PageOptions,
    (most, limits): (usize, &Limits),
) -> Result<(), ReadError> {
    match chosen {
        0 => Err(none()),
        chosen if chosen > most_of(options, most) => Err(too_many(chosen, options, (most, limits))),
        _ => Ok(()),
    }
}

fn too_many(count: usize, options: &PageOptions, (most, limits): (usize, &Limits)) -> ReadError {
    if options.single {
        return ReadError::Choice(export::single_page());
    }
    let ever = limits.max_pages;
    if count > ever {
        let detail = format!(
            "{count} pages are more than the {ever} that this server reads per file: select some with `pages`, or split \
             the file"
        );
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_pages", detail);
        return ReadError::Choice(problem.field("pages"));
    }
    let detail = format!(
        "{count} pages are more than the {most} that one answer holds: choose some with `pages`, or send the file as a \
         job"
    );
    let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_pages", detail);
    ReadError::Choice(Problem {
        by_job: u32::try_from(count).ok(),
        ..problem.field("pages")
    })
}

fn none() -> ReadError {
    ReadError::Choice(no_pages())
}

/// The problem of a choice of no page.
pub fn no_pages() -> Problem {
    let detail = "`pages` selects none of the document's pages";
    Problem::unprocessable("no_pages", detail).field("pages")
}

/// The problem of chosen pages that aren't there.
pub fn no_such_page(absent: &str, count: usize) -> Problem {
    let pages = if count == 1 { "page" } else { "pages" };
    let detail = format!("`pages` selects {absent}, but the document has {count} {pages}");
    Problem::unprocessable("no_such_page", detail).field("pages")
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Choice(problem) => problem,
            ReadError::Engine(error) => error.into(),
            ReadError::Page(error) => error.into(),
        }
    }
}

impl From<PageError> for Problem {
    fn from(error: PageError) -> Self {
        let detail = error.to_string();
        Self {
            detail,
            ..error.error.into()
        }
    }
}
