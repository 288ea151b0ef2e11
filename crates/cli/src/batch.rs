//! `maoocr batch`: reads many pictures into one JSON Lines file.

mod shard;
mod written;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use maoocr_engine::answer::Answer;
use maoocr_engine::imaging::{self, ImagingError, Limits};
use maoocr_engine::page::{Page, PageError};
use maoocr_engine::pipeline::EngineError;
use maoocr_pdf::Pdf;
use maoocr_pdf::searchable::WriteError;
use maoocr_runtime::RuntimeError;
use serde_json::{Value, json};

use crate::load::{EngineArguments, LimitArguments, NotReady, Ready, cores};
use crate::output::FormatName;
use crate::pages::{PageArguments, none_of};
use crate::place::names_of;
use crate::searchable::SearchableArguments;
use crate::{Outcome, recognize};
use shard::Shard;
use written::Written;

/// Options of `batch`.
#[derive(Args)]
pub struct Arguments {
    /// Folder of pictures and PDFs, including its subfolders.
    #[arg(
        value_name = "DIR",
        required_unless_present = "list",
        conflicts_with = "list"
    )]
    folder: Option<PathBuf>,
    /// File with one picture or PDF per line, relative to the file's own folder.
    #[arg(long, value_name = "FILE")]
    list: Option<PathBuf>,
    /// Output file, one JSON object per line. Pictures it already contains are skipped.
    #[arg(long, value_name = "OUT")]
    jsonl: PathBuf,
    /// Also write each document in this format, into the folder given by -o.
    #[arg(long, value_enum, value_name = "FORMAT", requires = "output")]
    format: Option<FormatName>,
    /// Folder for --format; the input's subfolders are kept.
    #[arg(short, long, value_name = "FOLDER", requires = "format")]
    output: Option<PathBuf>,
    /// Process only part I of N, counting from 0: 0/8, 1/8 … 7/8 on eight machines, each with its own --jsonl.
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Exit with 0 even if some files can't be read; the output contains their errors.
    #[arg(long)]
    allow_failures: bool,
    /// Pictures read at the same time [default: one per core, at most 8]. Each takes about 300 MB with the small models.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: Option<u16>,
    #[command(flatten)]
    pages: PageArguments,
    #[command(flatten)]
    limits: LimitArguments,
    #[command(flatten)]
    engine: EngineArguments,
}

/// A picture to read.
struct Entry {
    /// Its name in the answers.
    name: String,
    /// Relative to the common folder. It may contain bytes that are not text.
    path: PathBuf,
    /// Where its document goes in the folder of `--format`.
    out: PathBuf,
}

impl Entry {
    fn new(path: PathBuf) -> Self {
        Self {
            name: path.to_string_lossy().into_owned(),
            path,
            out: PathBuf::new(),
        }
    }
}

/// The extensions searched for in a folder; a file's format is told by its content.
pub const EXTENSIONS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "pdf",
];

/// Runs the command.
pub fn run(arguments: Arguments) -> Result<Outcome> {
    let (root, (mut entries, hidden)) = match (&arguments.folder, &arguments.list) {
        (Some(folder), _) => (folder.clone(), find(folder)?),
        (None, Some(list)) => (
            list.parent().unwrap_or(Path::new("")).to_path_buf(),
            (read_list(list)?, 0),
        ),
        (None, None) => bail!("name a folder or use --list"),
    };
    if let Some(format) = arguments.format {
        let paths: Vec<PathBuf> = entries.iter().map(|e| e.path.clone()).collect();
        let names = names_of(&paths, format.extension());
        for (entry, name) in entries.iter_mut().zip(names) {
            entry.out = name;
        }
    }
    if let Some(shard) = arguments.shard {
        entries.retain(|e| shard.holds(&e.name));
    }
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
            "{} already done ({refused} of them failed), {} to go",
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
            limits: arguments.pages.limits(arguments.limits.limits()),
            pages: arguments.pages.clone().resolved()?,
            place: arguments.format.zip(arguments.output.as_deref()),
            root: &root,
            entries: &rest,
            searchable: SearchableArguments::default(),
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
                .map(|t| {
                    t.join()
                        .unwrap_or_else(|_| bail!("a worker thread panicked"))
                })
                .fold(Ok(()), Result::and)
        })?;
        work.progress.finish_and_clear();
        let now = work.failed.load(Ordering::Relaxed);
        eprintln!("{} read, {now} failed", rest.len() - now);
        failed += now;
    }
    Ok(if failed == 0 || arguments.allow_failures {
        Outcome::Complete
    } else {
        Outcome::SomeFailed
    })
}

struct Work<'a> {
    ready: &'a Ready,
    limits: Limits,
    pages: PageArguments,
    place: Option<(FormatName, &'a Path)>,
    root: &'a Path,
    entries: &'a [Entry],
    searchable: SearchableArguments,
    next: AtomicUsize,
    failed: AtomicUsize,
    stopped: AtomicBool,
    out: Mutex<File>,
    progress: ProgressBar,
}

impl Work<'_> {
    /// Reads pictures until none is left. It ends early if the answers can't be written or the device fails, since neither
    /// is the fault of a picture.
    fn run(&self) -> Result<()> {
        while let Some(entry) = self.entries.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let line = self.one(entry);
            let mut out = self.out.lock().unwrap_or_else(|e| e.into_inner());
            // Another worker may have failed in the meantime, halfway through a line.
            if self.stopped.load(Ordering::Relaxed) {
                break;
            }
            let written = line.and_then(|line| {
                // One write per line, so that a line is never partial unless the machine stops.
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

    fn one(&self, Entry { name, path, out }: &Entry) -> Result<Value> {
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
        let bytes = Arc::new(bytes);
        match self.read(&bytes, name, out) {
            Ok(pages) => Ok(line(name, &pages, began.elapsed().as_secs_f64())),
            Err(Failure::Device(error)) => Err(NotReady(format!(
                "{error}; finished pictures are saved, and the same command resumes from there"
            ))
            .into()),
            Err(Failure::File(code, detail)) => Ok(failed(&code, detail)),
            Err(Failure::Output(error)) => Err(error),
        }
    }

    /// Reads a file's pages. A PDF may lose pages, as long as one can be read.
    fn read(&self, bytes: &Arc<Vec<u8>>, name: &str, out: &Path) -> Result<Vec<PageRead>, Failure> {
        let mut read = Vec::new();
        let imaging = |error: ImagingError| Failure::File(error.code().into(), error.to_string());
        if maoocr_pdf::is_pdf(bytes) {
            let pdf = Pdf::open(bytes.clone(), self.pages.pdf(&self.limits)).map_err(imaging)?;
            let chosen = self.pages.chosen(pdf.count());
            let chosen = chosen.map_err(|e| Failure::File("no_such_page".into(), e.to_string()))?;
            let mut written = self.written(out, name, Some((bytes, pdf.count())))?;
            let mut lost: Vec<PageError> = Vec::new();
            let count = chosen.len();
            for index in chosen {
                match pdf.page(index) {
                    Ok(page) => read.push(Ok(self.page(page, None, &mut written)?)),
                    Err(error) => lost.push(error),
                }
            }
            if let Some(first) = lost.first()
                && lost.len() == count
            {
                return Err(Failure::File(first.error.code().into(), first.to_string()));
            }
            read.extend(lost.into_iter().map(Err));
            finish(written)?;
        } else {
            let mut source = imaging::open(bytes, &self.limits).map_err(imaging)?;
            let mut written = self.written(out, name, None)?;
            let mut count = 0;
            while let Some(page) = source.next_page() {
                let page = page.map_err(|e| imaging(e.error))?;
                count += 1;
                if self.pages.pages.as_ref().is_none_or(|p| p.holds(count)) {
                    let source = Some((bytes.clone(), count - 1));
                    read.push(Ok(self.page(page, source, &mut written)?));
                }
            }
            if read.is_empty() {
                return Err(Failure::File("no_such_page".into(), none_of(count)));
            }
            finish(written)?;
        }
        Ok(read)
    }

    /// Where the document goes, if anywhere.
    fn written(
        &self,
        out: &Path,
        name: &str,
        pdf: Option<(&Arc<Vec<u8>>, usize)>,
    ) -> Result<Option<Written<'_>>, Failure> {
        let Some((format, folder)) = self.place else {
            return Ok(None);
        };
        let file = folder.join(out);
        if let Some(parent) = file.parent() {
            let made = std::fs::create_dir_all(parent);
            made.with_context(|| parent.display().to_string())
                .map_err(Failure::Output)?;
        }
        let written = Written::open(
            format,
            file,
            name,
            self.ready,
            &self.pages,
            &self.searchable,
            pdf,
        );
        Ok(Some(written.map_err(Failure::output)?))
    }

    fn page(
        &self,
        page: Page,
        source: Option<(Arc<Vec<u8>>, usize)>,
        written: &mut Option<Written<'_>>,
    ) -> Result<Answer, Failure> {
        let (engine, plan) = (&self.ready.engine, &self.ready.plan);
        let layer = self.pages.text_layer.into();
        let mut observer = ();
        let structure = self.place.and_then(|(format, _)| format.structure());
        let image = written.as_ref().is_some_and(Written::wants_image);
        let image = image.then(|| page.image.clone());
        let reading =
            engine.read_document_page(page, layer, structure.as_ref(), plan, &mut observer);
        let reading = pollster::block_on(reading).map_err(|error| match error {
            EngineError::Runtime(
                error @ (RuntimeError::Device { .. }
                | RuntimeError::Lost { .. }
                | RuntimeError::Memory { .. }),
            ) => Failure::Device(error),
            error => Failure::File(error.code().into(), error.to_string()),
        })?;
        let Some(written) = written else {
            return Ok(reading.answer);
        };
        let answer = reading.answer.clone();
        written
            .page(reading, image, source)
            .map_err(Failure::output)?;
        Ok(answer)
    }
}

fn finish(written: Option<Written<'_>>) -> Result<(), Failure> {
    match written {
        Some(written) => written.finish().map_err(Failure::output),
        None => Ok(()),
    }
}

/// A page, or why there is none.
type PageRead = Result<Answer, PageError>;

/// Why a file has no answer.
enum Failure {
    /// It can't be read: a code and a reason.
    File(String, String),
    /// No file could be.
    Device(RuntimeError),
    /// What was read can't be written.
    Output(anyhow::Error),
}

impl Failure {
    /// A PDF that can't be added to is the fault of that file, a full disk of none.
    fn output(error: anyhow::Error) -> Self {
        match error.downcast::<WriteError>() {
            Ok(error) => Self::File("not_writable".into(), error.to_string()),
            Err(error) => Self::Output(error),
        }
    }
}

/// The code of a file that couldn't be opened. It may be readable the next time.
const UNREADABLE: &str = "unreadable";

fn line(name: &str, read: &[PageRead], seconds: f64) -> Value {
    let pages: Vec<&Answer> = read.iter().flatten().collect();
    let text: Vec<&str> = pages.iter().map(|p| p.text.as_str()).collect();
    let mut lines = Vec::new();
    for (index, page) in pages.iter().enumerate() {
        for l in &page.lines {
            let mut line = json!({"text": l.text, "box": l.quad, "confidence": l.confidence});
            // Boxes are in the pixels of their own page.
            if pages.len() > 1 {
                line["page"] = json!(index + 1);
            }
            lines.push(line);
        }
    }
    let mut line =
        json!({"file": name, "text": text.join("\n\n"), "lines": lines, "seconds": seconds});
    let lost: Vec<Value> = read
        .iter()
        .filter_map(|page| page.as_ref().err())
        .map(|e| json!({"page": e.index.map(|i| i + 1), "code": e.error.code(), "detail": e.to_string()}))
        .collect();
    if !lost.is_empty() {
        line["lost_pages"] = lost.into();
    }
    line
}

fn progress(total: usize) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left");
    ProgressBar::new(total as u64)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Finds the pictures beneath a folder, sorted and relative to it, and counts the subfolders that can't be read. Does not
/// follow links to folders.
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

/// Pictures and PDFs of a folder, not below it, in the order in which people count: 2 before 10.
pub fn documents(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_file()
            && extension.is_some_and(|e| EXTENSIONS.contains(&e.to_lowercase().as_str()))
        {
            found.push(path);
        }
    }
    found.sort_by_cached_key(|path| counted(&path.to_string_lossy()));
    Ok(found)
}

/// A name in parts that sort as people count: text, and numbers by their length first.
fn counted(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut number = false;
    for c in name.chars() {
        let digit = c.is_ascii_digit();
        match parts.last_mut() {
            Some((_, part)) if digit == number => part.push(c),
            _ => parts.push((0, c.into())),
        }
        number = digit;
    }
    for (length, part) in &mut parts {
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            let bare = part.trim_start_matches('0').to_string();
            (*length, *part) = (bare.len() + 1, bare);
        }
    }
    parts
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

/// What an earlier run says about a picture.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Past {
    Read,
    /// It is unreadable.
    Refused,
    /// It couldn't be opened, so it is worth another try. The last line about a picture counts.
    Passing,
}

/// Collects what earlier runs have answered and locks the file for this run. Drops a last line cut short by a crash.
fn resume(file: &File, jsonl: &Path) -> Result<HashMap<String, Past>> {
    let mut before = HashMap::new();
    // A pipe or a screen holds nothing from before.
    if !file.metadata()?.is_file() {
        return Ok(before);
    }
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!(
            "another batch is writing to {}: wait for it, or choose another --jsonl",
            jsonl.display()
        ),
        // Some network file systems have no locks.
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
                "{} contains a line that is not an answer: choose another --jsonl",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_as_people_count() {
        let mut names = ["p10.png", "p2.png", "p02b.png", "a.png", "p2-3.png"];
        names.sort_by_cached_key(|n| counted(n));
        assert_eq!(
            names,
            ["a.png", "p2-3.png", "p2.png", "p02b.png", "p10.png"]
        );
    }
}
