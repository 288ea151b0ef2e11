//! `maoocr recognize`: pictures, PDFs and folders of pages in, text out.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use maoocr_engine::imaging::{ImagingError, Limits};
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::{answer, reading};

use crate::load::{EngineArguments, LimitArguments, Ready};
use crate::output::{FormatName, Target};
use crate::pages::{Document, PageArguments};
use crate::place::Place;
use crate::searchable::SearchableArguments;
use crate::{Outcome, Usage, interrupt, output, overlay, print_error, reader, searchable};

/// Options of `recognize`.
#[derive(Args)]
pub struct Arguments {
    /// Pictures, PDFs and folders of pages to read; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Output format [default: the extension of -o, else txt].
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Output file, or a folder for several documents. A symlink is followed: the file that it points to is written.
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Don't say what was written.
    #[arg(short, long)]
    quiet: bool,
    /// Print complete answers as JSON, one object per page.
    #[arg(long, conflicts_with_all = ["format", "output"])]
    json: bool,
    /// Write the picture as PNG with the lines and text drawn on it. Accepts one picture only.
    #[arg(long, value_name = "OUT.png")]
    overlay: Option<PathBuf>,
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

/// Runs the command.
pub fn run(mut arguments: Arguments) -> Result<Outcome> {
    if arguments.overlay.is_some() && arguments.files.len() > 1 {
        let given = arguments.files.len();
        bail!(Usage(format!(
            "--overlay takes one picture, but {given} were given"
        )));
    }
    arguments.pages = arguments.pages.resolved()?;
    let format = format(&arguments)?;
    let place = Place::of(arguments.output.as_deref(), &arguments.files, format)?;
    Document::refuse_overwriting_any(&arguments.files, &place)?;
    if arguments.jobs > 1 {
        arguments.engine.use_threads(Some(1));
    } else {
        arguments.engine.use_threads(None);
    }
    let ready = arguments.engine.ready(arguments.files.len() > 1)?;
    interrupt::listen();
    let mut outcome = Outcome::Complete;
    for file in &arguments.files {
        match one(&arguments, &ready, file, format, &place) {
            Ok(Outcome::Complete) => {}
            Ok(other) => outcome = other,
            Err(error) if is_broken_pipe(&error) => return Ok(outcome),
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

fn format(arguments: &Arguments) -> Result<FormatName> {
    let output = arguments.output.as_deref();
    if let Some(format) = arguments.format.or(output.and_then(FormatName::of_file)) {
        return Ok(format);
    }
    let extension = output
        .filter(|path| !path.is_dir() && arguments.files.len() == 1)
        .and_then(|path| path.extension()?.to_str());
    match extension {
        None => Ok(FormatName::Txt),
        Some(office @ ("docx" | "xlsx")) => bail!(Usage(format!(
            "this build can't write {office}; build with `cargo build --release`"
        ))),
        Some(other) => bail!(Usage(format!(
            "no output format has the extension `{other}`: choose one with --format"
        ))),
    }
}

fn one(
    arguments: &Arguments,
    ready: &Ready,
    file: &Path,
    format: FormatName,
    place: &Place,
) -> Result<Outcome> {
    let limits = arguments.pages.limits(arguments.limits.limits());
    let jobs = usize::from(arguments.jobs);
    let target = place.file(file);
    let say = |pages: usize, more: &str| {
        if let Some(target) = target.as_deref().filter(|_| !arguments.quiet) {
            output::say_written(target, pages, more);
        }
    };
    if format == FormatName::Pdf {
        let options = SearchableArguments::default();
        return searchable::one(
            ready,
            file,
            target.as_deref(),
            &arguments.pages,
            &options,
            &limits,
            jobs,
            &say,
        );
    }
    let document = Document::of(file)?;
    if let Some(overlay) = &arguments.overlay {
        document.refuse_overwriting(overlay, "output")?;
    }
    let mut out = match arguments.json || arguments.overlay.is_some() {
        true => None,
        false => Some(Target::open(format, target.clone(), &document.name)?),
    };
    let mut outcome = Outcome::Complete;
    let mut drawn = None;
    let progress = reader::progress(None);
    let pages = document.pages(arguments.pages.clone(), limits.clone());
    let layer = match arguments.overlay {
        // Boxes are of what was read.
        Some(_) => reading::LayerUse::Never,
        None => arguments.pages.text_layer.into(),
    };
    let how = reader::How {
        layer,
        structure: (!arguments.json).then(|| format.structure()).flatten(),
        keep_image: false,
    };
    let result = reader::read(ready, &how, pages, jobs, &progress, |page| {
        let page = match page {
            Ok(page) => page.reading,
            Err(error) if is_cancelled(&error) => return Ok(()),
            Err(error) if error.is::<Usage>() => return Err(error),
            Err(error) => {
                progress.suspend(|| print_error(&error));
                outcome = Outcome::SomeFailed;
                return Ok(());
            }
        };
        if arguments.json {
            // Not straight into standard output: a closed pipe would look like a fault of the JSON.
            let json = serde_json::to_string(&page.answer)?;
            writeln!(std::io::stdout().lock(), "{json}")?;
        }
        if arguments.overlay.is_some() {
            if !arguments.json {
                writeln!(std::io::stdout().lock(), "{}", page.answer.text)?;
            }
            drawn.get_or_insert(page.answer);
        } else if let Some(target) = &mut out
            && let Err(error) = target.page(page.text)
        {
            // It would lack pages: what was there before stays.
            out = None;
            return Err(error);
        }
        Ok(())
    });
    progress.finish_and_clear();
    if let Some(out) = out {
        let pages = out.finish()?;
        if pages > 0 {
            let more = match format {
                FormatName::Page if pages > 1 => ", a file each",
                _ => "",
            };
            say(pages, more);
        }
    }
    result?;
    if let (Some(path), Some(answer)) = (&arguments.overlay, &drawn) {
        let bytes = read(file, limits.max_bytes).with_context(|| document.name.clone())?;
        overlay_first_page(&bytes, &limits, answer, path)?;
    }
    Ok(outcome)
}

fn overlay_first_page(
    bytes: &[u8],
    limits: &Limits,
    document: &answer::Answer,
    path: &Path,
) -> Result<()> {
    let page = maoocr_engine::imaging::open(bytes, limits)?
        .next_page()
        .transpose()?;
    let Some(page) = page else {
        bail!("there is no page to draw on");
    };
    overlay::draw(page.image, document, path).with_context(|| format!("writing {}", path.display()))
}

/// Reads a file or, for `-`, standard input; refuses it before reading more than `max_bytes`.
pub fn read(file: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        return up_to(std::io::stdin().lock(), max_bytes);
    }
    let opened = std::fs::File::open(file)?;
    let metadata = opened.metadata()?;
    if metadata.is_dir() {
        bail!("this is a folder");
    }
    if metadata.len() > max_bytes as u64 {
        bail!(ImagingError::TooLarge {
            bytes: usize::try_from(metadata.len()).unwrap_or(usize::MAX),
            limit: max_bytes,
        });
    }
    up_to(opened, max_bytes)
}

/// The same for a regular file only: opening a pipe would wait for someone to write into it.
pub fn read_regular(file: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() && !metadata.is_dir() {
        bail!("this is not a regular file but a pipe or a device");
    }
    read(file, max_bytes)
}

/// Reads one byte more than allowed, so that the engine can tell a source at the limit from one above it.
fn up_to(source: impl Read, max_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(max_bytes.saturating_add(1) as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether Ctrl-C ended the reading of a page.
pub fn is_cancelled(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(EngineError::Cancelled))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
