//! Documents → files or standard output.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::ValueEnum;
use maoocr_engine::document::{Document, PageText, Picture};
use maoocr_engine::export::{self, Format, Meta, Writer};
use maoocr_engine::structure::{self, StructureOptions};

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
    /// PAGE-XML 2019, one file per page.
    Page,
    /// Words with boxes, in tesseract's column layout.
    Tsv,
    /// Table cells.
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
}

enum Open {
    /// Text, page by page.
    Text {
        writer: Box<dyn Writer>,
        /// Opened with the first page: what can't be read must not empty a file.
        out: Option<Box<dyn Write>>,
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

/// Where text goes, after what stands before the first page: the file, or standard output for none.
fn begun(file: Option<&Path>, writer: &mut dyn Writer) -> Result<Box<dyn Write>> {
    let mut out: Box<dyn Write> = match file {
        Some(file) => {
            let created = File::create(file);
            let created = created.with_context(|| format!("writing {}", file.display()))?;
            Box::new(BufWriter::new(created))
        }
        None => Box::new(std::io::stdout()),
    };
    out.write_all(writer.begin().as_bytes())?;
    Ok(out)
}

impl Target {
    /// Opens the file, or standard output for none.
    pub fn open(format: FormatName, file: Option<PathBuf>, source: &str) -> Result<Self> {
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
        })
    }

    /// Takes a page.
    pub fn page(&mut self, page: PageText) -> Result<()> {
        if let (Some(folder), Some(file)) = (&self.meta.pictures, &self.file) {
            pictures(&file.with_file_name(folder), &page)?;
        }
        match &mut self.open {
            Open::Text { writer, out } => {
                let out = match out {
                    Some(out) => out,
                    None => out.insert(begun(self.file.as_deref(), &mut **writer)?),
                };
                let written = out.write_all(writer.page(&page).as_bytes());
                written
                    .and_then(|()| out.flush())
                    .with_context(|| writing(self.file.as_deref()))?;
            }
            Open::Files { writer } => {
                let text = writer.page(&page);
                let file = self.file.clone().unwrap_or_default();
                let file = if page.index == 0 {
                    file
                } else {
                    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
                    file.with_file_name(format!("{stem}-{}.xml", page.index + 1))
                };
                std::fs::write(&file, text)
                    .with_context(|| format!("writing {}", file.display()))?;
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

    /// Writes what comes last.
    pub fn finish(self) -> Result<()> {
        match self.open {
            Open::Text {
                mut writer,
                out: Some(mut out),
            } => {
                let written = out.write_all(writer.end().as_bytes());
                written
                    .and_then(|()| out.flush())
                    .with_context(|| writing(self.file.as_deref()))?;
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
                        export::write(&document, format, &self.meta).into_bytes()
                    }
                };
                place::write(self.file.as_deref(), &bytes)?;
            }
        }
        Ok(())
    }
}

/// Writes the pictures of a page's regions into a folder.
fn pictures(folder: &Path, page: &PageText) -> Result<()> {
    for (index, region) in page.regions.iter().enumerate() {
        let Some(picture) = &region.picture else {
            continue;
        };
        let file = folder.join(export::picture_name(page, index));
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&file, &picture.png))
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
