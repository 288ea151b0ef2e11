//! `maoocr recognize`: pictures in, text out.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use maoocr_engine::answer::Document;
use maoocr_engine::imaging::{ImagingError, Limits};

use crate::load::{EngineArguments, LimitArguments, Ready};
use crate::{Outcome, Usage, overlay, print_error};

/// Options of `recognize`.
#[derive(Args)]
pub struct Arguments {
    /// Pictures; `-` reads one from standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print the whole answer as JSON, one object a page.
    #[arg(long)]
    json: bool,
    /// Write the picture with boxes and text drawn on it (PNG; one input picture).
    #[arg(long, value_name = "OUT.png")]
    overlay: Option<PathBuf>,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    if arguments.overlay.is_some() && arguments.files.len() > 1 {
        let given = arguments.files.len();
        bail!(Usage(format!(
            "--overlay takes one picture, {given} were given"
        )));
    }
    arguments.engine.use_threads(None);
    let ready = arguments.engine.ready(arguments.files.len() > 1)?;
    let mut outcome = Outcome::Complete;
    for file in &arguments.files {
        if let Err(error) = one(&arguments, &ready, file) {
            if is_broken_pipe(&error) {
                return Ok(outcome);
            }
            print_error(&error);
            outcome = Outcome::SomeFailed;
        }
    }
    Ok(outcome)
}

fn one(arguments: &Arguments, ready: &Ready, file: &Path) -> Result<()> {
    let name = file.display().to_string();
    let limits = arguments.limits.limits();
    let bytes = read(file, limits.max_bytes).with_context(|| name.clone())?;
    let documents = pollster::block_on(ready.engine.read(&bytes, &limits, &ready.plan, &mut ()))
        .with_context(|| name.clone())?;
    let mut out = std::io::stdout().lock();
    for (page, document) in documents.iter().enumerate() {
        if arguments.json {
            // Not straight into `out`: a closed pipe would look like a fault of the JSON.
            writeln!(out, "{}", serde_json::to_string(document)?)?;
        } else {
            // A form feed between pages, as pdftotext does.
            let separator = if page > 0 { "\u{c}" } else { "" };
            writeln!(out, "{separator}{}", document.text)?;
        }
    }
    if let Some(path) = &arguments.overlay {
        overlay_first_page(&bytes, &limits, &documents, path)?;
    }
    Ok(())
}

fn overlay_first_page(
    bytes: &[u8],
    limits: &Limits,
    documents: &[Document],
    path: &Path,
) -> Result<()> {
    let page = maoocr_engine::imaging::pages(bytes, limits)?
        .next()
        .transpose()?;
    let (Some(page), Some(document)) = (page, documents.first()) else {
        bail!("no page to draw on");
    };
    overlay::draw(page, document, path).with_context(|| format!("writing {}", path.display()))
}

/// The bytes of a file or, for `-`, of standard input; refused before reading more than `max_bytes`.
pub fn read(file: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    if file == Path::new("-") {
        return up_to(std::io::stdin().lock(), max_bytes);
    }
    let opened = std::fs::File::open(file)?;
    let metadata = opened.metadata()?;
    if metadata.is_dir() {
        bail!("it is a folder; `maoocr batch` reads folders");
    }
    if metadata.len() > max_bytes as u64 {
        bail!(ImagingError::TooLarge {
            bytes: usize::try_from(metadata.len()).unwrap_or(usize::MAX),
            limit: max_bytes,
        });
    }
    up_to(opened, max_bytes)
}

/// The same for what must be a file: opening a pipe would wait for somebody to write into it.
pub fn read_regular(file: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    let metadata = std::fs::metadata(file)?;
    if !metadata.is_file() && !metadata.is_dir() {
        bail!("it is no file but a pipe or a device");
    }
    read(file, max_bytes)
}

/// One byte more than allowed, so that the engine can tell a source at the limit from one above it.
fn up_to(source: impl Read, max_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source
        .take(max_bytes.saturating_add(1) as u64)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}
