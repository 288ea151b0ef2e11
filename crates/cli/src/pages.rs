//! Files → pages: pictures, TIFFs, PDFs and folders of them, one page at a time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Error, Result, anyhow, bail};
use clap::{Args, ValueEnum};
use maoocr_engine::imaging::{self, ImagingError, Limits};
use maoocr_engine::page::{Page, PageRanges};
use maoocr_engine::reading::LayerUse;
use maoocr_pdf::{Options, Pdf};

use crate::place::Place;
use crate::{Usage, recognize};

/// Options for files with pages.
#[derive(Args, Clone)]
pub struct PageArguments {
    /// Pages to read, such as 1-3,7,10- [default: all].
    #[arg(long, value_name = "PAGES")]
    pub pages: Option<PageRanges>,
    /// Password of an encrypted PDF; `-` reads it from standard input.
    #[arg(long, value_name = "PASSWORD")]
    pub password: Option<String>,
    /// When to use the text that a PDF contains instead of reading its pages.
    #[arg(long, value_enum, default_value = "auto", value_name = "WHEN")]
    pub text_layer: LayerName,
    /// Time limit for opening a PDF and for rendering each of its pages, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u16).range(1..))]
    page_seconds: u16,
    /// Maximum number of pages to read per file.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    max_pages: u32,
}

/// A use of text layers as an option's value.
#[derive(Clone, Copy, ValueEnum)]
pub enum LayerName {
    /// If it agrees with what the page shows.
    Auto,
    /// Whenever there is one.
    Always,
    /// Never.
    Never,
}

impl From<LayerName> for LayerUse {
    fn from(name: LayerName) -> Self {
        match name {
            LayerName::Auto => Self::Auto,
            LayerName::Always => Self::Always,
            LayerName::Never => Self::Never,
        }
    }
}

impl PageArguments {
    /// Reads the password from standard input where the options say so.
    pub fn resolved(mut self) -> Result<Self> {
        if self.password.as_deref() == Some("-") {
            let mut line = String::new();
            std::io::stdin()
                .read_line(&mut line)
                .context("reading the password")?;
            self.password = Some(line.trim_end_matches(['\r', '\n']).into());
        }
        Ok(self)
    }

    /// Limits with the pages these options allow.
    pub fn limits(&self, limits: Limits) -> Limits {
        Limits {
            max_pages: self.max_pages as usize,
            ..limits
        }
    }

    /// How a PDF is opened. A few pages may be chosen of however many: [`Self::chosen`] counts them.
    pub fn pdf(&self, limits: &Limits) -> Options {
        let max_pages = match self.pages {
            Some(_) => usize::MAX,
            None => limits.max_pages,
        };
        Options {
            password: self.password.clone().unwrap_or_default(),
            limits: Limits {
                max_pages,
                ..limits.clone()
            },
            seconds: Some(self.page_seconds.into()),
            ..Options::default()
        }
    }

    /// Positions from 0 of the pages chosen of `count`.
    pub fn chosen(&self, count: usize) -> Result<Vec<usize>> {
        let Some(ranges) = &self.pages else {
            return Ok((0..count).collect());
        };
        let chosen = ranges.chosen(count);
        if chosen.is_empty() {
            bail!(Usage(none_of(count)));
        }
        self.check_count(chosen.len())?;
        Ok(chosen)
    }

    fn check_count(&self, chosen: usize) -> Result<(), ImagingError> {
        let limit = self.max_pages as usize;
        match chosen > limit {
            true => Err(ImagingError::TooManyPages { limit }),
            false => Ok(()),
        }
    }

    /// Limits on a file whose pages follow one another, such as a TIFF: up to the last page chosen.
    pub fn limits_of_pictures(&self, limits: &Limits) -> Limits {
        let last = self.last_page().filter(|&last| last < usize::MAX);
        Limits {
            max_pages: limits.max_pages.max(last.unwrap_or(0)),
            ..limits.clone()
        }
    }

    /// The last page chosen, where some are.
    pub fn last_page(&self) -> Option<usize> {
        self.pages.as_ref().map(PageRanges::last)
    }

    /// Says which pages were chosen of a file that has only `count`; a range that merely ends later is fine.
    pub fn absent(&self, count: usize) -> Option<String> {
        let absent = self.pages.as_ref()?.absent(count)?;
        let pages = if count == 1 { "page" } else { "pages" };
        Some(format!(
            "the file has {count} {pages}, but --pages names {absent}"
        ))
    }
}

/// What is wrong with a file, in the command's terms.
pub fn explained(file: &Path, error: ImagingError) -> Error {
    let named = file
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("pdf"));
    match error {
        // It isn't known as anything else, either: it has lost its beginning.
        ImagingError::UnknownFormat(_) if named => {
            anyhow!("the file doesn't begin as a PDF does: save or download it again")
        }
        ImagingError::UnknownFormat(what) => {
            anyhow!("{what}: give a PDF, or a picture such as a JPEG, PNG or TIFF")
        }
        ImagingError::Empty if file == Path::new("-") => {
            anyhow!("nothing came in: pipe a picture or a PDF into standard input")
        }
        ImagingError::Empty => anyhow!("the file is empty: copy or download it again"),
        other => other.into(),
    }
}

/// Says that `--pages` selects none of a file's pages.
pub fn none_of(count: usize) -> String {
    let pages = if count == 1 { "page" } else { "pages" };
    format!("the file has {count} {pages}, and --pages selects none of them")
}

/// A file's pages, or those of all files of a folder.
pub struct Document {
    /// As people name it.
    pub name: String,
    /// In reading order.
    files: Vec<PathBuf>,
}

/// A page, or why it is missing.
pub struct Item {
    /// Position among the pages that are read, from 0.
    pub sequence: usize,
    /// What was to be read.
    pub page: Result<Page>,
    /// The picture's file and its page there, from 0; none of a PDF.
    pub source: Option<(Arc<Vec<u8>>, usize)>,
}

impl Document {
    /// A file, a folder of pages, or `-` for standard input.
    pub fn of(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let files = if path.is_dir() {
            let files = crate::batch::documents(path)?;
            if files.is_empty() {
                bail!("{name}: the folder contains no pictures or PDFs");
            }
            files
        } else {
            vec![path.to_path_buf()]
        };
        Ok(Self { name, files })
    }

    /// Refuses to write the results of some sources into a file of any of them: what is read later would be gone.
    pub fn refuse_overwriting_any(sources: &[PathBuf], place: &Place) -> Result<()> {
        let targets: Vec<PathBuf> = sources.iter().filter_map(|s| place.file(s)).collect();
        for source in sources {
            // What can't be listed says so when its turn comes.
            let Ok(document) = Self::of(source) else {
                continue;
            };
            for target in &targets {
                document.refuse_overwriting(target, "-o")?;
            }
        }
        Ok(())
    }

    /// Refuses to write into a file that is read.
    pub fn refuse_overwriting(&self, target: &Path, option: &str) -> Result<()> {
        let Ok(place) = target.canonicalize() else {
            return Ok(());
        };
        if self
            .files
            .iter()
            .any(|f| f.canonicalize().is_ok_and(|f| f == place))
        {
            bail!(Usage(format!(
                "{} would be overwritten: choose another {option}",
                target.display()
            )));
        }
        Ok(())
    }

    /// The only file of the document.
    pub fn file(&self) -> Option<&Path> {
        match self.files.as_slice() {
            [file] => Some(file),
            _ => None,
        }
    }

    /// Its pages, made on a thread of their own, one ahead of who takes them.
    pub fn pages(&self, arguments: PageArguments, limits: Limits) -> Receiver<Item> {
        let (sender, receiver) = sync_channel(0);
        let files = self.files.clone();
        let many = files.len() > 1;
        std::thread::spawn(move || {
            let mut out = Out {
                sender,
                sequence: 0,
                offset: 0,
            };
            for file in files {
                let name = file.display().to_string();
                let result = send(&file, &arguments, &limits, many, &mut out);
                match result {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => {
                        if !out.send(Err(error.context(name)), None) {
                            return;
                        }
                    }
                }
            }
        });
        receiver
    }
}

struct Out {
    sender: SyncSender<Item>,
    sequence: usize,
    /// Pages of the files before.
    offset: usize,
}

impl Out {
    /// Whether somebody still takes pages.
    fn send(&mut self, page: Result<Page>, source: Option<(Arc<Vec<u8>>, usize)>) -> bool {
        let item = Item {
            sequence: self.sequence,
            page,
            source,
        };
        self.sequence += 1;
        self.sender.send(item).is_ok()
    }
}

/// Sends a file's pages; false where nobody takes them any more.
fn send(
    file: &Path,
    arguments: &PageArguments,
    limits: &Limits,
    many: bool,
    out: &mut Out,
) -> Result<bool> {
    let bytes = Arc::new(recognize::read(file, limits.max_bytes)?);
    let named = |error: Error| error.context(file.display().to_string());
    if maoocr_pdf::is_pdf(&bytes) {
        let pdf = Pdf::open(bytes, arguments.pdf(limits))?;
        let count = pdf.count();
        let chosen = arguments.chosen(count)?;
        let offset = out.offset;
        out.offset += count;
        for index in chosen {
            let page = pdf.page(index).map(|mut page| {
                page.index += offset;
                page
            });
            if !out.send(page.map_err(|e| named(e.into())), None) {
                return Ok(false);
            }
        }
        return Ok(match arguments.absent(count) {
            Some(absent) => out.send(Err(named(anyhow!(absent))), None),
            None => true,
        });
    }
    let limits = if many {
        limits
    } else {
        &arguments.limits_of_pictures(limits)
    };
    let mut found = 0;
    let mut source = imaging::open(&bytes, limits).map_err(|error| explained(file, error))?;
    let mut index = 0;
    while let Some(page) = source.next_page() {
        let here = index;
        index += 1;
        if !many && arguments.pages.as_ref().is_some_and(|p| !p.holds(here + 1)) {
            page?;
            continue;
        }
        found += 1;
        arguments.check_count(found)?;
        let page = page.map(|mut page| {
            page.index = out.offset;
            page
        });
        out.offset += 1;
        let source = Some((bytes.clone(), here));
        if !out.send(page.map_err(|e| named(e.into())), source) {
            return Ok(false);
        }
        if !many && arguments.last_page().is_some_and(|last| index >= last) {
            return Ok(true);
        }
    }
    if found == 0 {
        bail!(Usage(none_of(index)));
    }
    Ok(match arguments.absent(index).filter(|_| !many) {
        Some(absent) => out.send(Err(named(anyhow!(absent))), None),
        None => true,
    })
}
