//! `maoocr pdf`: scans in, searchable PDFs out.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use maoocr_engine::imaging::Limits;
use maoocr_engine::layer::Verdict;
use maoocr_engine::reading::LayerUse;
use maoocr_engine::structure::StructureOptions;
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer, WriteError, skew, straightened};
use maoocr_pdf::{Options, Pdf};

use crate::load::{EngineArguments, LimitArguments, Ready};
use crate::pages::{Document, Item, PageArguments};
use crate::{Outcome, Usage, interrupt, output, print_error, reader, recognize};

/// Options of `pdf`.
#[derive(Args)]
pub struct Arguments {
    /// PDFs, pictures and folders of pages. Each becomes one PDF.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output PDF; a folder if there are several.
    #[arg(short, long, value_name = "OUT.pdf")]
    output: PathBuf,
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
    let several = arguments.files.len() > 1;
    if several {
        std::fs::create_dir_all(&arguments.output).with_context(|| {
            format!("{}: several PDFs need a folder", arguments.output.display())
        })?;
    }
    arguments
        .engine
        .use_threads((arguments.jobs > 1).then_some(1));
    let ready = arguments.engine.ready(true)?;
    interrupt::listen();
    let limits = arguments.pages.limits(arguments.limits.limits());
    let mut outcome = Outcome::Complete;
    for file in &arguments.files {
        let target = if several || arguments.output.is_dir() {
            let stem = file.file_stem().unwrap_or("stdin".as_ref());
            arguments.output.join(stem).with_extension("pdf")
        } else {
            arguments.output.clone()
        };
        let result = one(
            &ready,
            file,
            &target,
            &arguments.pages,
            &arguments.searchable,
            &limits,
            arguments.jobs.into(),
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

/// Makes one searchable PDF. It is written when it is whole; after Ctrl-C with the pages that were finished.
pub fn one(
    ready: &Ready,
    file: &Path,
    target: &Path,
    pages: &PageArguments,
    options: &SearchableArguments,
    limits: &Limits,
    jobs: usize,
) -> Result<Outcome> {
    let name = file.display().to_string();
    refuse_overwriting(file, target, "-o")?;
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
    // Whole or not at all.
    let mut part = target.as_os_str().to_os_string();
    part.push(".part");
    std::fs::write(&part, &made)
        .and_then(|()| std::fs::rename(&part, target))
        .with_context(|| format!("writing {}", target.display()))?;
    Ok(outcome)
}

/// Refuses to write into the file that is read.
pub fn refuse_overwriting(file: &Path, target: &Path, option: &str) -> Result<()> {
    if same_file(file, target) {
        bail!(Usage(format!(
            "{} would be overwritten: choose another {option}",
            file.display()
        )));
    }
    Ok(())
}

fn same_file(a: &Path, b: &Path) -> bool {
    match (a.canonicalize(), b.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    }
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
    fn extend(&self, bytes: Arc<Vec<u8>>) -> Result<(Vec<u8>, Outcome)> {
        let options: Options = self.pages.pdf(self.limits);
        let pdf = Pdf::open(bytes.clone(), options.clone())?;
        let chosen = self.pages.chosen(pdf.count())?;
        let mut out = Extended::open(&bytes, &options.password)?;
        if out.count() != pdf.count() {
            bail!(WriteError::Structure(format!(
                "its page count is ambiguous: {} or {}",
                pdf.count(),
                out.count()
            )));
        }
        let mut outcome = Outcome::Complete;
        let progress = reader::progress(Some(chosen.len()));
        let (sender, receiver) = std::sync::mpsc::sync_channel(0);
        let produced = chosen.clone();
        std::thread::spawn(move || {
            for (sequence, index) in produced.into_iter().enumerate() {
                let page = pdf.page(index).map_err(anyhow::Error::from);
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
        let result = reader::read(
            self.ready,
            &self.how(false),
            receiver,
            self.jobs,
            &progress,
            |page| {
                let page = match page {
                    Ok(page) => page.reading,
                    Err(error) if recognize::is_cancelled(&error) => return Ok(()),
                    Err(error) => {
                        progress.suspend(|| print_error(&error));
                        outcome = Outcome::SomeFailed;
                        return Ok(());
                    }
                };
                let index = page.text.index;
                out.outline(index, &page.text);
                if self.options.rotate_pages && page.text.turn != 0 {
                    // Before the text: it is placed on the page as it was shown when it was read.
                    let layer = self.layer(page.layer, page.painted);
                    if let Some(layer) = layer {
                        out.add(index, &page.text, layer)?;
                    }
                    out.turn(index, page.text.turn)?;
                } else if let Some(layer) = self.layer(page.layer, page.painted) {
                    out.add(index, &page.text, layer)?;
                }
                Ok(())
            },
        );
        progress.finish_and_clear();
        result?;
        Ok((out.finish()?, outcome))
    }

    /// What becomes of a page's layer; none where the page is left alone.
    fn layer(&self, verdict: Verdict, painted: bool) -> Option<Layer> {
        match verdict {
            // Nobody looked at it: whatever there is makes way.
            _ if self.options.force && painted => Some(Layer::Lying),
            _ if self.options.force => Some(Layer::Unseen { all: true }),
            Verdict::Sound => None,
            Verdict::Absent => Some(Layer::Absent),
            Verdict::Lies => Some(Layer::Lying),
            Verdict::Poor => Some(Layer::Unseen { all: !painted }),
        }
    }

    /// Makes a PDF of pictures.
    fn compose(&self, document: &Document) -> Result<(Vec<u8>, Outcome)> {
        let title = self.options.title.clone().unwrap_or_default();
        let language = self.ready.plan.language.tag();
        let mut out = Composed::new(Info {
            title,
            language: (language != "auto").then(|| language.to_string()),
            date: output::now(),
            archival: self.options.pdfa,
        });
        let mut outcome = Outcome::Complete;
        let progress = reader::progress(None);
        let pages = document.pages(self.pages.clone(), self.limits.clone());
        let how = self.how(true);
        let result = reader::read(self.ready, &how, pages, self.jobs, &progress, |page| {
            match page {
                Ok(page) => self.add(&mut out, page)?,
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
        if out.is_empty() {
            bail!("none of its pages could be read");
        }
        Ok((out.finish(), outcome))
    }

    fn add(&self, out: &mut Composed, page: reader::Read) -> Result<()> {
        let text = page.reading.text;
        let turn = if self.options.rotate_pages {
            text.turn
        } else {
            0
        };
        let skew = if self.options.deskew {
            skew(&text)
        } else {
            0.0
        };
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
}
