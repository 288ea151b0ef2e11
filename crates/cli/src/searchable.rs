//! `maoocr pdf`: scans in, searchable PDFs out.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use indicatif::ProgressBar;
use maoocr_engine::imaging::Limits;
use maoocr_engine::layer::Verdict;
use maoocr_engine::reading::LayerUse;
use maoocr_engine::structure::StructureOptions;
use maoocr_pdf::Pdf;
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer, WriteError, skew, straightened};

use crate::load::{EngineArguments, LimitArguments, Ready};
use crate::output::FormatName;
use crate::pages::{Document, Item, PageArguments};
use crate::place::{self, Place};
use crate::{Outcome, Usage, interrupt, output, print_error, reader, recognize};

/// Options of `pdf`.
#[derive(Args)]
pub struct Arguments {
    /// PDFs, pictures and folders of pages. Each becomes one PDF.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output PDF; a folder if there are several. A symlink is followed: the file that it points to is written.
    #[arg(short, long, value_name = "OUT.pdf")]
    output: PathBuf,
    /// Don't say what was written.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    searchable: SearchableArguments,
    /// Pages read at the same time. Each takes about 300 MB with the small models and one thread.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

/// What is done with the pages.
#[derive(Args, Clone, Default)]
pub struct SearchableArguments {
    /// Replace invisible text from earlier OCR even if it is good.
    #[arg(long)]
    redo: bool,
    /// Read every page, including those with a good text layer.
    #[arg(long)]
    force: bool,
    /// Rotate pages upright.
    #[arg(long)]
    rotate_pages: bool,
    /// Build a new PDF from images of the pages instead of adding to the original.
    #[arg(long)]
    rebuild: bool,
    /// Straighten crooked scans. Implies --rebuild.
    #[arg(long)]
    deskew: bool,
    /// Write PDF/A-2b. Implies --rebuild.
    #[arg(long)]
    pdfa: bool,
    /// Title of a new PDF (pictures, --rebuild).
    #[arg(long, value_name = "TITLE")]
    title: Option<String>,
}

impl SearchableArguments {
    fn rebuilds(&self) -> bool {
        self.rebuild || self.deskew || self.pdfa
    }
}

/// Runs the command.
pub fn run(mut arguments: Arguments) -> Result<Outcome> {
    arguments.pages = arguments.pages.resolved()?;
    let place = Place::of(Some(&arguments.output), &arguments.files, FormatName::Pdf)?;
    Document::refuse_overwriting_any(&arguments.files, &place)?;
    arguments
        .engine
        .use_threads((arguments.jobs > 1).then_some(1));
    let ready = arguments.engine.ready(true)?;
    interrupt::listen();
    let limits = arguments.pages.limits(arguments.limits.limits());
    let mut outcome = Outcome::Complete;
    for file in &arguments.files {
        let target = place.file(file);
        let say = |pages: usize, more: &str| {
            if let Some(target) = target.as_deref().filter(|_| !arguments.quiet) {
                output::say_written(target, pages, more);
            }
        };
        let result = one(
            &ready,
            file,
            target.as_deref(),
            &arguments.pages,
            &arguments.searchable,
            &limits,
            arguments.jobs.into(),
            &say,
        );
        match result {
            Ok(Outcome::Complete) => {}
            Ok(other) => outcome = other,
            Err(error) if error.is::<Usage>() => return Err(error),
            Err(error) => {
                print_error(&error);
                outcome = Outcome::SomeFailed;
            }
        }
        if interrupt::stopped() {
            return Ok(Outcome::Stopped);
        }
    }
    Ok(outcome)
}

/// Makes one searchable PDF, written to standard output for none. It is written when it is whole; after Ctrl-C with the
/// pages that were finished, if any. `say` gets the number of its pages and what else there is to say of them.
#[expect(clippy::too_many_arguments)]
pub fn one(
    ready: &Ready,
    file: &Path,
    target: Option<&Path>,
    pages: &PageArguments,
    options: &SearchableArguments,
    limits: &Limits,
    jobs: usize,
    say: &dyn Fn(usize, &str),
) -> Result<Outcome> {
    let name = file.display().to_string();
    let document = Document::of(file)?;
    let bytes = match document.file() {
        Some(file) => Some(Arc::new(
            recognize::read(file, limits.max_bytes).with_context(|| name.clone())?,
        )),
        None => None,
    };
    let job = Job {
        ready,
        pages,
        options,
        limits,
        jobs,
    };
    let (made, outcome) = match bytes {
        Some(bytes) if maoocr_pdf::is_pdf(&bytes) && !options.rebuilds() => {
            job.extend(bytes).with_context(|| name.clone())?
        }
        _ => job.compose(&document).with_context(|| name.clone())?,
    };
    if let Some(made) = made {
        place::write(target, &made.file)?;
        say(made.pages, &made.remark());
    }
    Ok(outcome)
}

struct Job<'a> {
    ready: &'a Ready,
    pages: &'a PageArguments,
    options: &'a SearchableArguments,
    limits: &'a Limits,
    jobs: usize,
}

impl Job<'_> {
    fn layer_use(&self) -> LayerUse {
        if self.options.force {
            LayerUse::Never
        } else if self.options.redo {
            LayerUse::Painted
        } else {
            self.pages.text_layer.into()
        }
    }

    fn how(&self, keep_image: bool) -> reader::How {
        reader::How {
            layer: self.layer_use(),
            // For the reading order and the outline.
            structure: Some(StructureOptions {
                pictures: false,
                ..StructureOptions::default()
            }),
            keep_image,
        }
    }

    /// Adds text to a PDF.
    fn extend(&self, bytes: Arc<Vec<u8>>) -> Result<(Option<Made>, Outcome)> {
        let pdf = Pdf::open(bytes.clone(), self.pages.pdf(self.limits))?;
        let chosen = self.pages.chosen(pdf.count())?;
        let absent = self.pages.absent(pdf.count());
        let making = Making::of_pdf(self.options, &bytes, self.pages, pdf.count())?;
        let progress = reader::progress(Some(chosen.len()));
        let (sender, receiver) = std::sync::mpsc::sync_channel(0);
        std::thread::spawn(move || {
            let pages = chosen
                .into_iter()
                .map(|index| pdf.page(index).map_err(anyhow::Error::from));
            let absent = absent.map(|absent| Err(anyhow!(absent)));
            for (sequence, page) in pages.chain(absent).enumerate() {
                let item = Item {
                    sequence,
                    page,
                    source: None,
                };
                if sender.send(item).is_err() {
                    return;
                }
            }
        });
        self.make(making, receiver, progress, false)
    }

    /// Makes a PDF of pictures.
    fn compose(&self, document: &Document) -> Result<(Option<Made>, Outcome)> {
        let making = Making::of_pictures(self.options, self.ready);
        let pages = document.pages(self.pages.clone(), self.limits.clone());
        self.make(making, pages, reader::progress(None), true)
    }

    fn make(
        &self,
        mut making: Making<'_>,
        pages: Receiver<Item>,
        progress: ProgressBar,
        keep_image: bool,
    ) -> Result<(Option<Made>, Outcome)> {
        let mut outcome = Outcome::Complete;
        let how = self.how(keep_image);
        let result = reader::read(self.ready, &how, pages, self.jobs, &progress, |page| {
            match page {
                Ok(page) => making.page(page)?,
                Err(error) if recognize::is_cancelled(&error) => {}
                Err(error) if error.is::<Usage>() => return Err(error),
                Err(error) => {
                    progress.suspend(|| print_error(&error));
                    outcome = Outcome::SomeFailed;
                }
            }
            Ok(())
        });
        progress.finish_and_clear();
        result?;
        match making.finish()? {
            Some(made) => Ok((Some(made), outcome)),
            None if interrupt::stopped() => Ok((None, Outcome::Stopped)),
            None => bail!("none of its pages could be read"),
        }
    }
}

/// A searchable PDF on its way.
pub struct Making<'a> {
    options: &'a SearchableArguments,
    out: Out,
    /// Pages of the PDF that is added to; none of a new one.
    whole: Option<usize>,
    /// Pages that were read, and those of them whose own text is good.
    read: usize,
    sound: usize,
}

/// A searchable PDF.
pub struct Made {
    /// The file.
    pub file: Vec<u8>,
    /// How many pages it has.
    pages: usize,
    /// Pages that were left alone for their own text is good, and those that weren't chosen or couldn't be read.
    sound: usize,
    rest: usize,
}

impl Made {
    /// What to say of pages that didn't get any text.
    fn remark(&self) -> String {
        let mut remark = String::new();
        for (count, why) in [
            (self.sound, "had good text already"),
            (self.rest, "kept as they were, unread"),
        ] {
            if count > 0 {
                remark += &format!(", {count} {why}");
            }
        }
        remark
    }
}

enum Out {
    Extended(Box<Extended>),
    Composed(Box<Composed>),
}

impl<'a> Making<'a> {
    /// From a PDF whose bytes stay.
    pub fn of_pdf(
        options: &'a SearchableArguments,
        bytes: &Arc<Vec<u8>>,
        pages: &PageArguments,
        count: usize,
    ) -> Result<Self> {
        let out = Extended::open(bytes, pages.password.as_deref().unwrap_or_default())?;
        if out.count() != count {
            bail!(WriteError::Structure(format!(
                "its page count is ambiguous: {count} or {}",
                out.count()
            )));
        }
        Ok(Self {
            options,
            out: Out::Extended(Box::new(out)),
            whole: Some(count),
            read: 0,
            sound: 0,
        })
    }

    /// From pictures, which its pages have to bring along.
    pub fn of_pictures(options: &'a SearchableArguments, ready: &Ready) -> Self {
        let language = ready.plan.language.tag();
        let out = Composed::new(Info {
            title: options.title.clone().unwrap_or_default(),
            language: (language != "auto").then(|| language.to_string()),
            date: output::now(),
            archival: options.pdfa,
        });
        Self {
            options,
            out: Out::Composed(Box::new(out)),
            whole: None,
            read: 0,
            sound: 0,
        }
    }

    /// Whether pages have to bring their pixels along.
    pub fn wants_image(&self) -> bool {
        matches!(self.out, Out::Composed(_))
    }

    /// Takes a page that was read with structure.
    pub fn page(&mut self, page: reader::Read) -> Result<()> {
        self.read += 1;
        let options = self.options;
        let text = page.reading.text;
        let turn = if options.rotate_pages { text.turn } else { 0 };
        let out = match &mut self.out {
            Out::Extended(out) => {
                let index = text.index;
                out.outline(index, &text);
                // Before it is turned: text is placed on the page as it was shown when it was read.
                if let Some(layer) = layer(options, page.reading.layer, page.reading.painted) {
                    out.add(index, &text, layer)?;
                } else {
                    self.sound += 1;
                }
                if turn != 0 {
                    out.turn(index, turn)?;
                }
                return Ok(());
            }
            Out::Composed(out) => out,
        };
        let skew = if options.deskew { skew(&text) } else { 0.0 };
        let image = page.image.context("the page's pixels are gone")?;
        if turn != 0 || skew != 0.0 {
            let (image, text) = straightened(&image, &text, turn, skew);
            out.add_pixels(&image, &text);
        } else if let Some((bytes, index)) = page.source {
            out.add(&bytes, index, &text, &image);
        } else {
            out.add_pixels(&image, &text);
        }
        Ok(())
    }

    /// The file; none where no page was read.
    pub fn finish(self) -> Result<Option<Made>> {
        if self.read == 0 {
            return Ok(None);
        }
        let file = match self.out {
            Out::Extended(out) => out.finish()?,
            Out::Composed(out) => out.finish(),
        };
        let pages = self.whole.unwrap_or(self.read);
        Ok(Some(Made {
            file,
            pages,
            sound: self.sound,
            rest: pages.saturating_sub(self.read),
        }))
    }
}

/// What becomes of a page's layer; none where the page is left alone.
fn layer(options: &SearchableArguments, verdict: Verdict, painted: bool) -> Option<Layer> {
    match verdict {
        // Nobody looked at it: whatever there is makes way.
        _ if options.force && painted => Some(Layer::Lying),
        _ if options.force => Some(Layer::Unseen { all: true }),
        Verdict::Sound => None,
        Verdict::Absent => Some(Layer::Absent),
        Verdict::Lies => Some(Layer::Lying),
        Verdict::Poor => Some(Layer::Unseen { all: !painted }),
    }
}
