//! The document that a batch writes beside a file's answer.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use maoocr_engine::imaging::Image;
use maoocr_engine::reading::Reading;

use crate::load::Ready;
use crate::output::{FormatName, Target};
use crate::pages::PageArguments;
use crate::place;
use crate::reader::Read;
use crate::searchable::{Making, SearchableArguments};

/// A document on its way into a file.
pub enum Written<'a> {
    Target(Target),
    Pdf(PathBuf, Making<'a>),
}

impl<'a> Written<'a> {
    /// Of a PDF with `pages` pages, or of pictures.
    pub fn open(
        format: FormatName,
        file: PathBuf,
        name: &str,
        ready: &Ready,
        arguments: &PageArguments,
        options: &'a SearchableArguments,
        pdf: Option<(&Arc<Vec<u8>>, usize)>,
    ) -> Result<Self> {
        if format != FormatName::Pdf {
            return Ok(Self::Target(Target::open(format, Some(file), name)?));
        }
        let making = match pdf {
            Some((bytes, pages)) => Making::of_pdf(options, bytes, arguments, pages)?,
            None => Making::of_pictures(options, ready),
        };
        Ok(Self::Pdf(file, making))
    }

    /// Whether a page's pixels are wanted with what it says.
    pub fn wants_image(&self) -> bool {
        matches!(self, Self::Pdf(_, making) if making.wants_image())
    }

    /// Takes a page. `source` is the picture's file and its page there, from 0.
    pub fn page(
        &mut self,
        reading: Reading,
        image: Option<Image>,
        source: Option<(Arc<Vec<u8>>, usize)>,
    ) -> Result<()> {
        match self {
            Self::Target(target) => target.page(reading.text),
            Self::Pdf(_, making) => making.page(Read {
                reading,
                image,
                source,
            }),
        }
    }

    /// Writes what is left.
    pub fn finish(self) -> Result<()> {
        match self {
            Self::Target(target) => target.finish().map(drop),
            Self::Pdf(file, making) => match making.finish()? {
                Some(made) => place::write(Some(&file), &made.file),
                None => Ok(()),
            },
        }
    }
}
