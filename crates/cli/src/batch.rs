//! `maoocr batch`: reads many pictures into one JSON Lines file.

mod files;
mod past;
mod shard;
mod written;

use std::collections::HashSet;
use std::fs::File;
use std::io::{IsTerminal, Write};
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
use crate::pages::{self, PageArguments, none_of};
use crate::place::names_of;
use crate::searchable::SearchableArguments;
use crate::{Outcome, Usage, recognize};
pub use files::{EXTENSIONS, documents};
use files::{Entry, find, read_list};
use past::{Past, resume};
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
    /// Output file, one JSON object per line. Files it already contains are skipped, whether they could be read or not;
    /// only those that couldn't be opened are tried again. The last line about a file counts.
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
    /// Also try again the files that failed before; their new answers are appended.
    #[arg(long)]
    retry_failed: bool,
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
        let names = names_of(&paths, format);
        for (entry, name) in entries.iter_mut().zip(names) {
            entry.out = name;
        }
        if let Some(output) = &arguments.output {
            refuse_overwriting(&entries, &root, output)?;
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
    let (done, rest): (Vec<Entry>, Vec<Entry>) =
        entries
            .into_iter()
            .partition(|e| match before.get(&e.name) {
                Some(Past::Read) => true,
                Some(Past::Refused) => !arguments.retry_failed,
                Some(Past::Passing) | None => false,
            });
    let refused = done
        .iter()
        .filter(|e| before.get(&e.name) == Some(&Past::Refused))
        .count();
    if !done.is_empty() {
        let failed = match refused {
            0 => String::new(),
            _ => format!(" ({refused} of them failed; --retry-failed tries them again)"),
        };
        eprintln!("{} already done{failed}, {} to go", done.len(), rest.len());
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

/// Refuses to write a document into a file that is read.
fn refuse_overwriting(entries: &[Entry], root: &Path, output: &Path) -> Result<()> {
    let read: HashSet<PathBuf> = entries
        .iter()
        .filter_map(|e| root.join(&e.path).canonicalize().ok())
        .collect();
    for entry in entries {
        let file = output.join(&entry.out);
        if file.canonicalize().is_ok_and(|file| read.contains(&file)) {
            bail!(Usage(format!(
                "{} would be overwritten: choose another -o",
                file.display()
            )));
        }
    }
    Ok(())
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
        let imaging = |error: ImagingError| {
            let code = error.code().into();
            Failure::File(code, pages::explained(Path::new(name), error).to_string())
        };
        let absent = |count: usize| {
            if let Some(absent) = self.pages.absent(count) {
                self.progress
                    .suspend(|| eprintln!("maoocr: {name}: {absent}"));
            }
        };
        if maoocr_pdf::is_pdf(bytes) {
            let pdf = Pdf::open(bytes.clone(), self.pages.pdf(&self.limits)).map_err(imaging)?;
            let chosen = self.pages.chosen(pdf.count());
            let chosen = chosen.map_err(|e| {
                let code = e.downcast_ref().map_or("no_such_page", ImagingError::code);
                Failure::File(code.into(), e.to_string())
            })?;
            absent(pdf.count());
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
            let limits = self.pages.limits_of_pictures(&self.limits);
            let mut source = imaging::open(bytes, &limits).map_err(imaging)?;
            let mut written = self.written(out, name, None)?;
            let mut count = 0;
            let last = self.pages.last_page().unwrap_or(usize::MAX);
            while count < last
                && let Some(page) = source.next_page()
            {
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
            if count < last {
                absent(count);
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
