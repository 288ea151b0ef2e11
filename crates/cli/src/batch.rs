//! `maoocr batch`: many pictures into one JSON Lines file.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use maoocr_engine::answer::Document;
use maoocr_engine::imaging::Limits;
use serde_json::{Value, json};

use crate::load::{EngineArguments, Ready, cores};
use crate::{Outcome, recognize};

/// Options of `batch`.
#[derive(Args)]
pub struct Arguments {
    /// Folder whose pictures are read, subfolders too.
    #[arg(
        value_name = "DIR",
        required_unless_present = "list",
        conflicts_with = "list"
    )]
    folder: Option<PathBuf>,
    /// File that names one picture a line, relative to its own folder.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Where the answers go, one JSON object a line. Pictures already in it are not read again.
    #[arg(long, value_name = "OUT")]
    jsonl: PathBuf,
    /// Pictures read at the same time (default: the processor's cores, at most 8). Each takes some 300 MB with the
    /// small models.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    #[command(flatten)]
    engine: EngineArguments,
}

/// What a folder is searched for; what a file really is, its content tells.
const EXTENSIONS: [&str; 15] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam",
];

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let (root, files) = match (&arguments.folder, &arguments.list) {
        (Some(folder), _) => (folder.clone(), find(folder)?),
        (None, Some(list)) => (
            list.parent().unwrap_or(Path::new("")).to_path_buf(),
            read_list(list)?,
        ),
        (None, None) => bail!("give a folder or --list"),
    };
    let done = finished(&arguments.jsonl)?;
    let files: Vec<String> = files.into_iter().filter(|f| !done.contains(f)).collect();
    if !done.is_empty() {
        eprintln!("{} already done, {} to go", done.len(), files.len());
    }
    if files.is_empty() {
        return Ok(Outcome::Complete);
    }
    arguments.engine.use_threads(Some(1));
    let jobs = arguments.jobs.map_or(cores().min(8), usize::from);
    let ready = arguments.engine.ready(true)?;
    let out = File::options()
        .create(true)
        .append(true)
        .open(&arguments.jsonl)
        .with_context(|| format!("writing {}", arguments.jsonl.display()))?;
    let work = Work {
        ready: &ready,
        root: &root,
        files: &files,
        next: AtomicUsize::new(0),
        failed: AtomicUsize::new(0),
        stopped: AtomicBool::new(false),
        out: Mutex::new(out),
        progress: progress(files.len()),
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work.run())).collect();
        threads
            .into_iter()
            .try_for_each(|t| t.join().unwrap_or_else(|_| bail!("a worker died")))
    })?;
    work.progress.finish_and_clear();
    let failed = work.failed.load(Ordering::Relaxed);
    eprintln!("{} read, {failed} failed", files.len() - failed);
    Ok(if failed == 0 {
        Outcome::Complete
    } else {
        Outcome::SomeFailed
    })
}

struct Work<'a> {
    ready: &'a Ready,
    root: &'a Path,
    files: &'a [String],
    next: AtomicUsize,
    failed: AtomicUsize,
    stopped: AtomicBool,
    out: Mutex<File>,
    progress: ProgressBar,
}

impl Work<'_> {
    /// Reads pictures until none is left; only a failure to write the answers ends it early.
    fn run(&self) -> Result<()> {
        while let Some(name) = self.files.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let mut line = self.one(name).to_string();
            line.push('\n');
            let mut out = self.out.lock().unwrap_or_else(|e| e.into_inner());
            // One write a line, so that a line is never there in part unless the machine stops.
            if let Err(error) = out.write_all(line.as_bytes()) {
                self.stopped.store(true, Ordering::Relaxed);
                return Err(error).context("writing the answers");
            }
            self.progress.inc(1);
        }
        Ok(())
    }

    fn one(&self, name: &str) -> Value {
        let began = Instant::now();
        let limits = Limits::default();
        let failed = |code: &str, detail: String| {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let detail = detail.replace('\n', " ");
            self.progress
                .suspend(|| eprintln!("maoocr: {name}: {detail}"));
            json!({"file": name, "error": {"code": code, "detail": detail}})
        };
        let bytes = match recognize::read(&self.root.join(name), limits.max_bytes) {
            Ok(bytes) => bytes,
            Err(error) => return failed("unreadable", format!("{error:#}")),
        };
        match pollster::block_on(
            self.ready
                .engine
                .read(&bytes, &limits, &self.ready.plan, &mut ()),
        ) {
            Ok(pages) => line(name, &pages, began.elapsed().as_secs_f64()),
            Err(error) => failed(error.code(), error.to_string()),
        }
    }
}

fn line(name: &str, pages: &[Document], seconds: f64) -> Value {
    let text: Vec<&str> = pages.iter().map(|p| p.text.as_str()).collect();
    let lines: Vec<Value> = pages
        .iter()
        .flat_map(|p| &p.lines)
        .map(|l| json!({"text": l.text, "box": l.quad, "confidence": l.confidence}))
        .collect();
    json!({"file": name, "text": text.join("\n\n"), "lines": lines, "seconds": seconds})
}

fn progress(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    ProgressBar::new(total as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Pictures below a folder, by name, relative to it. Links to folders are not followed.
fn find(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).with_context(|| next.display().to_string())? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                folders.push(path);
            } else if let Some(extension) = path.extension().and_then(|e| e.to_str())
                && EXTENSIONS.contains(&extension.to_lowercase().as_str())
                && let Ok(relative) = path.strip_prefix(folder)
            {
                found.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn read_list(list: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let names = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'));
    Ok(names.map(String::from).collect())
}

/// Names that an earlier run has answered, failures among them. A last line cut short by a crash is dropped from
/// the file.
fn finished(jsonl: &Path) -> Result<HashSet<String>> {
    let mut done = HashSet::new();
    if !jsonl.exists() {
        return Ok(done);
    }
    let file = File::options()
        .read(true)
        .write(true)
        .open(jsonl)
        .with_context(|| jsonl.display().to_string())?;
    let mut reader = BufReader::new(&file);
    let mut whole = 0;
    let mut line = String::new();
    loop {
        line.clear();
        let length = reader
            .read_line(&mut line)
            .with_context(|| jsonl.display().to_string())?;
        if length == 0 {
            break;
        }
        let parsed: Option<Value> = serde_json::from_str(&line)
            .ok()
            .filter(|_| line.ends_with('\n'));
        match parsed.as_ref().and_then(|v| v["file"].as_str()) {
            Some(name) => done.insert(name.to_string()),
            None if line.ends_with('\n') => bail!(
                "{} holds a line that isn't an answer: give another --jsonl",
                jsonl.display()
            ),
            None => break,
        };
        whole += length as u64;
    }
    drop(reader);
    file.set_len(whole)?;
    Ok(done)
}
