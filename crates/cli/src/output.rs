//! Documents → files or standard output.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use maoocr_engine::document::{Document, PageText, Picture};
use maoocr_engine::export::{self, Format, Meta, Writer};
use maoocr_engine::structure::{self, StructureOptions};

use crate::draft::{self, Draft};
use crate::place;

/// A form as an option's value.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum FormatName {
    /// Plain text, with a form feed between pages.
    Txt,
    /// GitHub Flavored Markdown.
    Md,
    /// A single HTML file.
    Html,
    /// Pages with lines, words and blocks, with boxes.
    Json,
    /// hOCR 1.2.
    Hocr,
    /// ALTO 4.4.
    Alto,
    /// PAGE-XML 2019, one file per page: OUT.xml for the first, OUT-2.xml for page 2 and so on.
    Page,
    /// Words with boxes, in tesseract's column layout.
    Tsv,
    /// Table cells. A file with more than ASCII begins with a byte order mark, as Excel needs it.
    Csv,
    /// Workbook with one sheet per table.
    #[cfg(feature = "office")]
    Xlsx,
    /// Word document.
    #[cfg(feature = "office")]
    Docx,
    /// A searchable PDF, as `maoocr pdf` makes it.
    Pdf,
}

impl FormatName {
    /// Extension of its files.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Txt => "txt",
            Self::Md => "md",
            Self::Html => "html",
            Self::Json => "json",
            Self::Hocr => "hocr",
            Self::Alto | Self::Page => "xml",
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            #[cfg(feature = "office")]
            Self::Xlsx => "xlsx",
            #[cfg(feature = "office")]
            Self::Docx => "docx",
            Self::Pdf => "pdf",
        }
    }

    /// The form that a file's name asks for.
    pub fn of_file(file: &Path) -> Option<Self> {
        let extension = file.extension()?.to_str()?.to_lowercase();
        let same = |name: &&Self| name.extension() == extension && extension != "xml";
        Self::value_variants().iter().find(same).copied()
    }

    /// What it wants of a page's structure; plain text wants none.
    pub fn structure(self) -> Option<StructureOptions> {
        let pictures = match self {
            Self::Txt => return None,
            Self::Md | Self::Html => true,
            #[cfg(feature = "office")]
            Self::Docx => true,
            _ => false,
        };
        Some(StructureOptions {
            pictures,
            ..StructureOptions::default()
        })
    }

    /// Whether it shows a document as a whole, in which paragraphs and tables go on over pages and running heads are
    /// told from text.
    fn flows(self) -> bool {
        match self {
            #[cfg(feature = "office")]
            Self::Xlsx | Self::Docx => true,
            other => other.text().is_some_and(Format::flows),
        }
    }

    /// Whether a screen can show it.
    pub fn is_text(self) -> bool {
        self.text().is_some()
    }

    fn text(self) -> Option<Format> {
        Some(match self {
            Self::Txt => Format::Text,
            Self::Md => Format::Markdown,
            Self::Html => Format::Html,
            Self::Json => Format::Json,
            Self::Hocr => Format::Hocr,
            Self::Alto => Format::Alto,
            Self::Page => Format::PageXml,
            Self::Tsv => Format::Tsv,
            Self::Csv => Format::Csv,
            _ => return None,
        })
    }
}

/// Where one document goes.
pub struct Target {
    format: FormatName,
    file: Option<PathBuf>,
    meta: Meta,
    open: Open,
    pages: usize,
}

enum Open {
    /// Text, page by page.
    Text {
        writer: Box<dyn Writer>,
        /// Opened with the first page: what can't be read must not empty a file.
        out: Option<Out>,
    },
    /// A file a page.
    Files { writer: Box<dyn Writer> },
    /// What can be written at the end only.
    Whole(Document),
}

/// Says what failed to be written.
fn writing(file: Option<&Path>) -> String {
    let place = file.map_or("standard output".into(), |f| f.display().to_string());
    format!("writing {place}")
}

/// Where text goes.
enum Out {
    File(Draft),
    Screen,
}

impl Out {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        match self {
            Self::File(draft) => draft.write_all(text.as_bytes()),
            Self::Screen => {
                let mut out = std::io::stdout().lock();
                out.write_all(text.as_bytes()).and_then(|()| out.flush())
            }
        }
    }
}

impl Target {
    /// Opens the file, or standard output for none. What belongs to a document stands beside it: where the file is a
    /// symlink, beside what that points to.
    pub fn open(format: FormatName, file: Option<PathBuf>, source: &str) -> Result<Self> {
        let file = file.as_deref().map(draft::behind);
        let folder = file
            .as_deref()
            .and_then(|f| Some(format!("{}_files", f.file_stem()?.to_str()?)));
        let name = Path::new(source).file_name();
        let meta = Meta {
            title: String::new(),
            source: name.map_or_else(|| source.into(), |n| n.to_string_lossy().into_owned()),
            language: None,
            date: now(),
            pictures: folder.filter(|_| format == FormatName::Md),
        };
        let open = match (format.text(), &file) {
            (Some(_), _) if format.flows() => Open::Whole(Document::default()),
            (Some(Format::PageXml), Some(_)) => Open::Files {
                writer: Format::PageXml.writer(&meta),
            },
            (Some(text), _) => {
                let writer = text.writer(&meta);
                Open::Text { writer, out: None }
            }
            (None, _) => Open::Whole(Document::default()),
        };
        Ok(Self {
            format,
            file,
            meta,
            open,
            pages: 0,
        })
    }

    /// Takes a page.
    pub fn page(&mut self, page: PageText) -> Result<()> {
        if let (Some(folder), Some(file)) = (&self.meta.pictures, &self.file) {
            pictures(&file.with_file_name(folder), &page)?;
        }
        self.pages += 1;
        match &mut self.open {
            Open::Text { writer, out } => {
                let failed = || writing(self.file.as_deref());
                let out = match out {
                    Some(out) => out,
                    None => {
                        let mut begun = match &self.file {
                            Some(file) => Out::File(Draft::of(file).with_context(failed)?),
                            None => Out::Screen,
                        };
                        begun.write(&writer.begin()).with_context(failed)?;
                        out.insert(begun)
                    }
                };
                out.write(&writer.page(&page)).with_context(failed)?;
            }
            Open::Files { writer } => {
                let file = self.file.clone().unwrap_or_default();
                // The first one has the name that was asked for, whatever its number.
                let file = match self.pages {
                    1 => file,
                    _ => place::page_file(&file, page.index + 1),
                };
                place::write(Some(&file), writer.page(&page).as_bytes())?;
            }
            Open::Whole(document) => {
                let mut page = page;
                if self.format == FormatName::Md {
                    // Written already; what is left says that there is one.
                    for picture in page.regions.iter_mut().filter_map(|r| r.picture.as_mut()) {
                        *picture = Arc::new(Picture {
                            png: Vec::new(),
                            ..**picture
                        });
                    }
                }
                document.pages.push(page);
            }
        }
        Ok(())
    }

    /// Writes what comes last, and says how many pages there are.
    pub fn finish(self) -> Result<usize> {
        match self.open {
            Open::Text {
                mut writer,
                out: Some(mut out),
            } => {
                let written = out.write(&writer.end()).and_then(|()| match out {
                    Out::File(draft) => draft.finish(),
                    Out::Screen => Ok(()),
                });
                written.with_context(|| writing(self.file.as_deref()))?;
            }
            Open::Text { .. } | Open::Files { .. } => {}
            Open::Whole(document) if document.pages.is_empty() => {}
            Open::Whole(mut document) => {
                structure::join_pages(&mut document);
                let bytes = match self.format {
                    #[cfg(feature = "office")]
                    FormatName::Xlsx => export::xlsx(&document, &self.meta)?,
                    #[cfg(feature = "office")]
                    FormatName::Docx => export::docx(&document, &self.meta)?,
                    _ => {
                        let format = self.format.text().unwrap_or(Format::Text);
                        let mut text = export::write(&document, format, &self.meta);
                        // Excel takes a file for the system's old code page unless it begins so.
                        if format == Format::Csv && self.file.is_some() && !text.is_ascii() {
                            text.insert(0, '\u{feff}');
                        }
                        text.into_bytes()
                    }
                };
                place::write(self.file.as_deref(), &bytes)?;
            }
        }
        Ok(self.pages)
    }
}

/// Says on standard error what was written.
pub fn say_written(file: &Path, pages: usize, more: &str) {
    let noun = if pages == 1 { "page" } else { "pages" };
    eprintln!("wrote {}: {pages} {noun}{more}", file.display());
}

/// Writes the pictures of a page's regions into a folder.
fn pictures(folder: &Path, page: &PageText) -> Result<()> {
    for (index, region) in page.regions.iter().enumerate() {
        let Some(picture) = &region.picture else {
            continue;
        };
        let file = folder.join(export::picture_name(page, index));
        std::fs::create_dir_all(folder)
            .and_then(|()| draft::write(&file, &picture.png))
            .with_context(|| format!("writing {}", file.display()))?;
    }
    Ok(())
}

/// The time as RFC 3339 has it, UTC.
pub fn now() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    maoocr_engine::export::rfc3339(since.map_or(0, |d| d.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_tells_its_form() {
        let of = |name: &str| FormatName::of_file(Path::new(name));
        assert_eq!(of("a.MD"), Some(FormatName::Md));
        assert_eq!(of("a.pdf"), Some(FormatName::Pdf));
        // ALTO or PAGE: one has to say which.
        assert_eq!(of("a.xml"), None);
        assert_eq!(of("a"), None);
    }
}
