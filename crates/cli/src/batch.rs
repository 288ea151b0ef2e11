//! `maoocr batch`: many pictures into one JSON Lines file.

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use maoocr_engine::answer::Document;
use maoocr_engine::imaging::{ImagingError, Limits};
use maoocr_engine::pipeline::EngineError;
use maoocr_runtime::RuntimeError;
use serde_json::{Value, json};

use crate::load::{EngineArguments, LimitArguments, NotReady, Ready, cores};
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
    limits: LimitArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

/// A picture to read.
struct Entry {
    /// As it stands in the answers.
    name: String,
    /// Relative to the folder of all. It may hold what no text can.
    path: PathBuf,
}

impl Entry {
    fn new(path: PathBuf) -> Self {
        Self {
            name: path.to_string_lossy().into_owned(),
            path,
        }
    }
}

/// What a folder is searched for; what a file really is, its content tells.
const EXTENSIONS: [&str; 15] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam",
];

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let (root, (entries, hidden)) = match (&arguments.folder, &arguments.list) {
        (Some(folder), _) => (folder.clone(), find(folder)?),
        (None, Some(list)) => (
            list.parent().unwrap_or(Path::new("")).to_path_buf(),
            (read_list(list)?, 0),
        ),
        (None, None) => bail!("give a folder or --list"),
    };
    let out = File::options()
        .create(true)
        .read(true)
        .append(true)
        .open(&arguments.jsonl)
        .with_context(|| format!("writing {}", arguments.jsonl.display()))?;
    let before = resume(&out, &arguments.jsonl)?;
    let (done, rest): (Vec<Entry>, Vec<Entry>) = entries.into_iter().partition(|e| {
        before
            .get(&e.name)
            .is_some_and(|past| *past != Past::Passing)
    });
    let refused = done
        .iter()
        .filter(|e| before.get(&e.name) == Some(&Past::Refused))
        .count();
    if !done.is_empty() {
        eprintln!(
            "{} already done ({refused} of them refused), {} to go",
            done.len(),
            rest.len()
        );
    }
    let mut failed = refused + hidden;
    if !rest.is_empty() {
        arguments.engine.use_threads(Some(1));
        let ready = arguments.engine.ready(true)?;
        let work = Work {
            ready: &ready,
            limits: arguments.limits.limits(),
            root: &root,
            entries: &rest,
            next: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            out: Mutex::new(out),
            progress: progress(rest.len()),
        };
        let jobs = arguments.jobs.map_or(cores().min(8), usize::from);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..jobs).map(|_| scope.spawn(|| work.run())).collect();
            threads
                .into_iter()
                .map(|t| t.join().unwrap_or_else(|_| bail!("a worker died")))
                .fold(Ok(()), Result::and)
        })?;
        work.progress.finish_and_clear();
        let now = work.failed.load(Ordering::Relaxed);
        eprintln!("{} read, {now} failed", rest.len() - now);
        failed += now;
    }
    Ok(if failed == 0 {
        Outcome::Complete
    } else {
        Outcome::SomeFailed
    })
}

struct Work<'a> {
    ready: &'a Ready,
    limits: Limits,
    root: &'a Path,
    entries: &'a [Entry],
    next: AtomicUsize,
    failed: AtomicUsize,
    stopped: AtomicBool,
    out: Mutex<File>,
    progress: ProgressBar,
}

impl Work<'_> {
    /// Reads pictures until none is left. A failure to write the answers ends it early, and one of the device: the
    /// pictures that are left have nothing to do with it.
    fn run(&self) -> Result<()> {
        while let Some(entry) = self.entries.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let line = self.one(entry);
            let mut out = self.out.lock().unwrap_or_else(|e| e.into_inner());
            // Another worker may have failed meanwhile, half way through a line.
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let written = line.and_then(|line| {
                // One write a line, so that a line is never there in part unless the machine stops.
                let written = out.write_all(format!("{line}\n").as_bytes());
                written.context("writing the answers")
            });
            if let Err(error) = written {
                self.stopped.store(true, Ordering::Relaxed);
                return Err(error);
            }
            self.progress.inc(1);
        }
        Ok(())
    }

    fn one(&self, Entry { name, path }: &Entry) -> Result<Value> {
        let began = Instant::now();
        let failed = |code: &str, detail: String| {
            self.failed.fetch_add(1, Ordering::Relaxed);
            let detail = detail.replace('\n', " ");
            self.progress
                .suspend(|| eprintln!("maoocr: {name}: {detail}"));
            json!({"file": name, "error": {"code": code, "detail": detail}})
        };
        let path = self.root.join(path);
        let bytes = match recognize::read_regular(&path, self.limits.max_bytes) {
            Ok(bytes) => bytes,
            Err(error) => {
                let code = error.downcast_ref().map_or(UNREADABLE, ImagingError::code);
                return Ok(failed(code, format!("{error:#}")));
            }
        };
        let (engine, plan) = (&self.ready.engine, &self.ready.plan);
        match pollster::block_on(engine.read(&bytes, &self.limits, plan, &mut ())) {
            Ok(pages) => Ok(line(name, &pages, began.elapsed().as_secs_f64())),
            Err(EngineError::Runtime(
                error @ (RuntimeError::Device { .. }
                | RuntimeError::Lost { .. }
                | RuntimeError::Memory { .. }),
            )) => Err(NotReady(format!(
                "{error}; what was read before is kept, and the same command goes on from there"
            ))
            .into()),
            Err(error) => Ok(failed(error.code(), error.to_string())),
        }
    }
}

/// The code of a file that couldn't be opened: it may be there the next time.
const UNREADABLE: &str = "unreadable";

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

/// Pictures below a folder, by name, relative to it, and how many folders below it can't be looked into. Links to
/// folders are not followed.
fn find(folder: &Path) -> Result<(Vec<Entry>, usize)> {
    let mut found = Vec::new();
    let mut hidden = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let listed = std::fs::read_dir(&next).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if let Some(extension) = path.extension().and_then(|e| e.to_str())
                    && EXTENSIONS.contains(&extension.to_lowercase().as_str())
                    && let Ok(relative) = path.strip_prefix(folder)
                {
                    found.push(Entry::new(relative.to_path_buf()));
                }
            }
            Ok(())
        });
        match listed.with_context(|| next.display().to_string()) {
            Err(error) if next == folder => return Err(error),
            Err(error) => {
                crate::print_error(&error);
                hidden += 1;
            }
            Ok(()) => {}
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, hidden))
}

fn read_list(list: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(list).with_context(|| list.display().to_string())?;
    let names = bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|l| !l.is_empty() && !l.starts_with(b"#"));
    Ok(names.map(|n| Entry::new(path_of(n))).collect())
}

#[cfg(unix)]
fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

#[cfg(not(unix))]
fn path_of(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}

/// What an earlier run says of a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Past {
    Read,
    /// It can't be read.
    Refused,
    /// It couldn't be opened: worth another try. Of a picture's lines the last one counts.
    Passing,
}

/// What earlier runs have answered. The file is this run's from here on. A last line cut short by a crash is dropped.
fn resume(file: &File, jsonl: &Path) -> Result<HashMap<String, Past>> {
    let mut before = HashMap::new();
    // Into a pipe, or onto a screen: nothing was there before.
    if !file.metadata()?.is_file() {
        return Ok(before);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "another batch is writing to {}: wait for it, or give another --jsonl",
            jsonl.display()
        ),
        // Some network's folders know no locks.
        Err(TryLockError::Error(_)) => {}
    }
    let mut reader = BufReader::new(file);
    let mut whole = 0;
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = reader
            .read_until(b'\n', &mut line)
            .with_context(|| jsonl.display().to_string())?;
        if length == 0 {
            return Ok(before);
        }
        if !line.ends_with(b"\n") {
            break;
        }
        let parsed: Value = serde_json::from_slice(&line).unwrap_or_default();
        let Some(name) = parsed["file"].as_str() else {
            bail!(
                "{} holds a line that isn't an answer: give another --jsonl",
                jsonl.display()
            );
        };
        let past = match parsed["error"]["code"].as_str() {
            None => Past::Read,
            Some(UNREADABLE) => Past::Passing,
            Some(_) => Past::Refused,
        };
        before.insert(name.to_string(), past);
        whole += length as u64;
    }
    file.set_len(whole)?;
    Ok(before)
}
