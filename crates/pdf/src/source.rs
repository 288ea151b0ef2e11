//! A PDF as a source of pages.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hayro::hayro_interpret::interpret_page;
use hayro::hayro_interpret::{Context, InterpreterCache, InterpreterSettings, TransformExt};
use hayro::hayro_syntax::{self as syntax, DecryptionError, LoadPdfError};
use hayro::kurbo::Rect;
use maoocr_engine::imaging::{ImagingError, Limits};
use maoocr_engine::page::{Page, PageError, Rule, Source, TextLayer};

use crate::bounds;
use crate::fonts::Fonts;
use crate::geometry;
use crate::plain::{self, Budget};
use crate::raster::{self, POINTS, Scale};
use crate::survey::{Findings, Stop, Survey, too_many_steps, too_slow};
use crate::tree::{self, LOST, Leaf};

/// How a PDF is opened and drawn.
#[derive(Clone, Debug)]
pub struct Options {
    /// The user's or the owner's; empty for none.
    pub password: String,
    /// What the file and its pages may cost.
    pub limits: Limits,
    /// Time to open the file, and to draw a page, s; none for as long as it takes. WebAssembly can't stop what draws,
    /// there it bounds the first walk over a page only.
    pub seconds: Option<f64>,
    /// Steps in which a page may be drawn. The busiest maps and charts of real files stay below a tenth of the default.
    pub steps: u64,
    /// What a stream other than a picture may unpack to, bytes.
    pub max_stream: u64,
    /// What all these together may, where it is found out beforehand, bytes.
    pub max_streams: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            password: String::new(),
            limits: Limits::default(),
            seconds: Some(60.0),
            steps: 5_000_000,
            max_stream: 256 << 20,
            max_streams: u64::MAX,
        }
    }
}

/// An open file. It can be shared between threads.
pub struct Pdf {
    inner: Arc<syntax::Pdf>,
    /// For each page its position among hayro's.
    order: Vec<usize>,
    options: Options,
    /// Pages that are still being drawn though nobody waits for them any more.
    runaways: AtomicUsize,
}

/// What all streams of a file may unpack to while it is decrypted, bytes.
const MAX_UNPACKED: usize = 512 << 20;
/// Operators that a step may take: those of a long path.
const OPERATORS: u64 = 20;
/// Runaway pages of a file after which its other pages are refused.
const MAX_RUNAWAYS: usize = 2;

impl Pdf {
    /// Opens a file.
    ///
    /// # Errors
    /// Where it is damaged beyond repair, encrypted with another password, too large, or has too many pages.
    pub fn open(bytes: Arc<Vec<u8>>, options: Options) -> Result<Self, ImagingError> {
        let limits = &options.limits;
        if bytes.is_empty() {
            return Err(ImagingError::Empty);
        }
        if bytes.len() > limits.max_bytes {
            return Err(ImagingError::TooLarge {
                bytes: bytes.len(),
                limit: limits.max_bytes,
            });
        }
        let password = options.password.clone();
        let max_pages = limits.max_pages;
        let (max_stream, max_streams) = (options.max_stream, options.max_streams);
        let work = move || {
            let pdf = parsed(bytes, &password)?;
            let order: Vec<usize> = tree::leaves(&pdf).iter().map(|leaf| leaf.page).collect();
            if order.iter().all(|page| *page == LOST) {
                return Err(damaged("it has no page that can be read"));
            }
            if order.len() > max_pages {
                return Err(ImagingError::TooManyPages { limit: max_pages });
            }
            bounds::streams(&pdf, max_stream, max_streams)?;
            Ok((Arc::new(pdf), order))
        };
        let slow = || ImagingError::TooComplex {
            what: format!(
                "opening the file takes longer than {} s",
                options.seconds.unwrap_or_default()
            ),
        };
        let (inner, order) = within(options.seconds, work).ok_or_else(slow)??;
        Ok(Self {
            inner,
            order,
            options,
            runaways: AtomicUsize::new(0),
        })
    }

    /// How many pages it has.
    pub fn count(&self) -> usize {
        self.order.len()
    }

    /// Its position among hayro's pages.
    fn place(&self, index: usize) -> Result<usize, ImagingError> {
        match self.order.get(index) {
            Some(&LOST) => Err(ImagingError::Truncated {
                format: "PDF",
                detail: "the page is missing at its end".into(),
            }),
            Some(&place) => Ok(place),
            None => Err(no_page()),
        }
    }

    /// Why a page, by its position from 0, is more than text that costs next to nothing to draw; none where it isn't.
    pub fn costly(&self, index: usize, budget: &Budget) -> Option<&'static str> {
        let place = self.place(index).ok();
        match place.and_then(|place| self.inner.pages().get(place)) {
            Some(page) => plain::costly(page, budget),
            None => Some("a page that isn't there"),
        }
    }

    /// What a page, by its position from 0, would be as a picture. Nothing is drawn.
    ///
    /// # Errors
    /// As for [`Self::page`].
    pub fn outline(&self, index: usize) -> Result<Outline, PageError> {
        let (pdf, options, place) = (self.inner.clone(), self.options.clone(), self.place(index));
        let result = fenced(move || {
            let page = pdf.pages().get(place?).ok_or_else(no_page)?;
            let findings = survey(page, &options)?;
            let (way, scale) = raster::way(page, &findings, &options.limits)?;
            Ok(Outline {
                size: way.size(),
                scan: way.is_scan(),
                painted: findings.painted,
                layer: in_pixels(findings.layer, scale),
            })
        });
        result.map_err(|error| PageError {
            index: Some(index),
            error,
        })
    }

    /// Draws a page, by its position from 0.
    ///
    /// # Errors
    /// Each loses this page only.
    pub fn page(&self, index: usize) -> Result<Page, PageError> {
        let failed = |error| PageError {
            index: Some(index),
            error,
        };
        if self.runaways.load(Ordering::Relaxed) >= MAX_RUNAWAYS {
            let what = "two pages before it never ended".into();
            return Err(failed(ImagingError::TooComplex { what }));
        }
        let (pdf, options, place) = (self.inner.clone(), self.options.clone(), self.place(index));
        let work = move || {
            let page = pdf.pages().get(place?).ok_or_else(no_page)?;
            drawn(page, index, &options)
        };
        match within(self.options.seconds, work) {
            Some(result) => result.map_err(failed),
            None => {
                self.runaways.fetch_add(1, Ordering::Relaxed);
                Err(failed(too_slow(self.options.seconds.unwrap_or_default())))
            }
        }
    }

    /// The pages at `indices`, one after the other.
    pub fn pages(self: &Arc<Self>, indices: Vec<usize>) -> Pages {
        Pages {
            pdf: self.clone(),
            indices: indices.into_iter(),
        }
    }
}

/// Some pages of a [`Pdf`].
pub struct Pages {
    pdf: Arc<Pdf>,
    indices: std::vec::IntoIter<usize>,
}

impl Source for Pages {
    fn count(&self) -> Option<usize> {
        Some(self.indices.len())
    }

    fn next_page(&mut self) -> Option<Result<Page, PageError>> {
        self.indices.next().map(|index| self.pdf.page(index))
    }
}

/// A page before it is drawn.
pub struct Outline {
    /// Width and height as a picture, px.
    pub size: (u32, u32),
    /// Whether it is nothing but a scan.
    pub scan: bool,
    /// What is painted on it, in areas of the whole page.
    pub painted: f64,
    /// What it says in text, in px of that picture.
    pub layer: TextLayer,
}

fn no_page() -> ImagingError {
    damaged("the page isn't there")
}

fn drawn(
    page: &syntax::page::Page<'_>,
    index: usize,
    options: &Options,
) -> Result<Page, ImagingError> {
    let findings = survey(page, options)?;
    let (image, scale) = raster::raster(page, &findings, &options.limits)?;
    let dpi = ((scale.x + scale.y) / 2.0 * POINTS) as f32;
    Ok(Page {
        image,
        index,
        dpi: Some(dpi),
        text_layer: Some(in_pixels(findings.layer, scale)),
    })
}

fn survey(page: &syntax::page::Page<'_>, options: &Options) -> Result<Findings, ImagingError> {
    bounds::content(page, options.max_stream)?;
    if plain::has_more_operators(page, options.steps.saturating_mul(OPERATORS)) {
        return Err(too_many_steps(options.steps));
    }
    let (width, height) = page.render_dimensions();
    let size = (f64::from(width), f64::from(height));
    let fonts = Fonts::of_page(page.resources());
    let mut device = Survey::new(options, size, fonts);
    let cache = InterpreterCache::new();
    let mut context = Context::new(
        page.initial_transform(true).to_kurbo(),
        Rect::new(0.0, 0.0, size.0, size.1),
        &cache,
        page.xref(),
        InterpreterSettings::default(),
    );
    let walk = AssertUnwindSafe(|| interpret_page(page, &mut context, &mut device));
    match catch_unwind(walk) {
        Ok(()) => Ok(device.finish()),
        Err(cause) => Err(match cause.downcast::<Stop>() {
            Ok(stop) => stop.0,
            Err(_) => damaged("the reader of PDFs gave up on the page"),
        }),
    }
}

fn in_pixels(layer: TextLayer, scale: Scale) -> TextLayer {
    let (x, y) = (scale.x as f32, scale.y as f32);
    let mean = (x + y) / 2.0;
    let mut layer = layer;
    for glyph in &mut layer.glyphs {
        glyph.quad = geometry::scaled(&glyph.quad, x, y);
        glyph.size *= mean;
    }
    for quad in &mut layer.pictures {
        *quad = geometry::scaled(quad, x, y);
    }
    for rule in &mut layer.rules {
        *rule = Rule {
            from: [rule.from[0] * x, rule.from[1] * y],
            to: [rule.to[0] * x, rule.to[1] * y],
            thickness: rule.thickness * mean,
        };
    }
    layer
}

/// A file's structure.
fn parsed(bytes: Arc<Vec<u8>>, password: &str) -> Result<syntax::Pdf, ImagingError> {
    match syntax::Pdf::new_with_password(bytes.clone(), password) {
        Err(LoadPdfError::Decryption(DecryptionError::PasswordProtected))
            if !password.is_empty() =>
        {
            let plain = decrypted(&bytes, password);
            let plain = plain.ok_or(ImagingError::Password { given: true })?;
            syntax::Pdf::new(plain).map_err(|error| refusal(error, true))
        }
        opened => opened.map_err(|error| refusal(error, !password.is_empty())),
    }
}

/// The same of a file that was opened before, with its pages: for who adds to it.
pub(crate) fn reopened(
    bytes: &Arc<Vec<u8>>,
    password: &str,
) -> Result<(syntax::Pdf, Vec<Leaf>), ImagingError> {
    let (bytes, password) = (bytes.clone(), password.to_string());
    let work = move || {
        let pdf = parsed(bytes, &password)?;
        let leaves = tree::leaves(&pdf);
        Ok((pdf, leaves))
    };
    let seconds = Options::default().seconds;
    within(seconds, work).unwrap_or_else(|| Err(too_slow(seconds.unwrap_or_default())))
}

/// The file without its encryption. Up to revision 4, passwords are in PDFDocEncoding (ISO 32000-1, 7.6.3.3), and the
/// owner's opens the file too: hayro knows the user's in ASCII, lopdf all of them.
fn decrypted(bytes: &[u8], password: &str) -> Option<Arc<Vec<u8>>> {
    // Nobody has looked at its streams yet, and any of them may hold objects.
    let streams = bytes.windows(6).filter(|word| *word == b"stream").count();
    let options = lopdf::LoadOptions {
        max_decompressed_size: Some(MAX_UNPACKED / streams.max(1)),
        ..lopdf::LoadOptions::with_password(password)
    };
    let mut document = lopdf::Document::load_mem_with_options(bytes, options).ok()?;
    let mut plain = Vec::with_capacity(bytes.len());
    document.save_to(&mut plain).ok()?;
    Some(Arc::new(plain))
}

fn refusal(error: LoadPdfError, given: bool) -> ImagingError {
    match error {
        LoadPdfError::Decryption(DecryptionError::PasswordProtected) => {
            ImagingError::Password { given }
        }
        LoadPdfError::Decryption(DecryptionError::UnsupportedAlgorithm) => {
            ImagingError::Unsupported {
                format: "PDF",
                what: "its kind of encryption".into(),
            }
        }
        LoadPdfError::Decryption(_) => damaged("its encryption makes no sense"),
        LoadPdfError::Invalid => damaged("it has no readable list of pages"),
    }
}

fn damaged(detail: &str) -> ImagingError {
    ImagingError::Malformed {
        format: "PDF",
        detail: detail.into(),
    }
}

/// Does something that may never end, on a thread of its own: none if it takes longer. A panic is an error.
#[cfg(not(target_family = "wasm"))]
fn within<T: Send + 'static>(
    seconds: Option<f64>,
    work: impl FnOnce() -> Result<T, ImagingError> + Send + 'static,
) -> Option<Result<T, ImagingError>> {
    /// Files nest objects deeply.
    const STACK: usize = 16 << 20;
    let Some(seconds) = seconds else {
        return Some(fenced(work));
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("pdf".into())
        .stack_size(STACK)
        .spawn(move || {
            // Nobody may be waiting any more.
            let _ = sender.send(fenced(work));
        });
    if thread.is_err() {
        return Some(Err(ImagingError::OutOfMemory { needed: None }));
    }
    receiver
        .recv_timeout(std::time::Duration::from_secs_f64(seconds))
        .ok()
}

#[cfg(target_family = "wasm")]
fn within<T>(
    _: Option<f64>,
    work: impl FnOnce() -> Result<T, ImagingError>,
) -> Option<Result<T, ImagingError>> {
    Some(fenced(work))
}

fn fenced<T>(work: impl FnOnce() -> Result<T, ImagingError>) -> Result<T, ImagingError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged("the reader of PDFs gave up on it")))
}
