//! `maoocr recognize`: pictures in, text out.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use maoocr_engine::answer::Document;
use maoocr_engine::imaging::Limits;

use crate::load::{EngineArguments, Ready};
use crate::{Outcome, overlay, print_error};

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
    engine: EngineArguments,
}

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    if arguments.overlay.is_some() && arguments.files.len() > 1 {
        bail!(
            "--overlay takes one picture, {} were given",
            arguments.files.len()
        );
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
    let limits = Limits::default();
    let bytes = read(file, limits.max_bytes).with_context(|| name.clone())?;
    let documents = pollster::block_on(ready.engine.read(&bytes, &limits, &ready.plan, &mut ()))
        .with_context(|| name.clone())?;
    let mut out = std::io::stdout().lock();
    for (page, document) in documents.iter().enumerate() {
        if arguments.json {
            serde_json::to_writer(&mut out, document)?;
            writeln!(out)?;
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
    let pages = maoocr_engine::imaging::decode(bytes, limits)?;
    let (Some(page), Some(document)) = (pages.into_iter().next(), documents.first()) else {
        bail!("no page to draw on");
    };
    overlay::draw(page, document, path).with_context(|| format!("writing {}", path.display()))
}

/// The bytes of a file or, for `-`, of standard input; refused before reading more than `max_bytes`.
pub fn read(file: &Path, max_bytes: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        let opened = std::fs::File::open(file)?;
        if opened.metadata()?.is_dir() {
            bail!("it is a folder; `maoocr batch` reads folders");
        }
        Box::new(opened)
    };
    // One byte more than allowed, so that the engine can tell a file at the limit from one above it.
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
