//! What a caller hands over → pages.

use std::ops::ControlFlow;
use std::sync::Arc;

use maoocr_engine::imaging::{self, Image, ImagingError, Limits};
use maoocr_engine::page::{Page, PageError};
use maoocr_pdf::{Options, Pdf};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::fault::Fault;
use crate::request::Request;

/// A file's bytes, or pixels.
#[derive(Clone)]
pub enum Input {
    /// A picture or a PDF.
    File(Arc<Vec<u8>>),
    /// A page of pixels.
    Pixels(Image),
}

/// Width and height in px, and 1, 3 or 4 samples a pixel: grey, RGB, RGBA.
pub type Shape = (u32, u32, usize);

impl Input {
    /// Copies what Python owns. With a `shape` the bytes are 8-bit samples, row after row.
    pub fn of(
        data: &Bound<'_, PyBytes>,
        shape: Option<Shape>,
        request: &Request,
    ) -> Result<Self, Fault> {
        let bytes = data.as_bytes();
        let limits = request.limits();
        let Some((width, height, samples)) = shape else {
            if bytes.len() > limits.max_bytes {
                let (bytes, limit) = (bytes.len(), limits.max_bytes);
                return Err(ImagingError::TooLarge { bytes, limit }.into());
            }
            return Ok(Self::File(Arc::new(bytes.to_vec())));
        };
        let wanted = u64::from(width) * u64::from(height);
        if wanted.checked_mul(samples as u64) != Some(bytes.len() as u64) {
            return Err(Fault::argument(format!(
                "{width} × {height} pixels of {samples} samples are not {} bytes",
                bytes.len()
            )));
        }
        let rgba = usize::try_from(wanted * 4).unwrap_or(usize::MAX);
        Image::admit_rgba(width, height, rgba, &limits)?;
        let rgb = match samples {
            1 => bytes.iter().flat_map(|&grey| [grey; 3]).collect(),
            3 => bytes.to_vec(),
            4 => {
                let image = Image::from_rgba(width, height, bytes.to_vec(), &limits)?;
                return Ok(Self::Pixels(image));
            }
            other => {
                return Err(Fault::argument(format!(
                    "{other} samples a pixel: 1, 3 or 4 are known"
                )));
            }
        };
        Ok(Self::Pixels(Image { width, height, rgb }))
    }

    /// Whether it is a PDF.
    pub fn is_pdf(&self) -> bool {
        matches!(self, Self::File(bytes) if maoocr_pdf::is_pdf(bytes))
    }

    /// Hands over the pages that the request wants, one after the other, until `take` says stop.
    ///
    /// # Errors
    /// What `take` says, or that nothing of the file can be had. A page that is lost alone goes to `take`.
    pub fn each_page(
        &self,
        request: &Request,
        mut take: impl FnMut(Result<Page, PageError>) -> Result<ControlFlow<()>, Fault>,
    ) -> Result<(), Fault> {
        let limits = request.limits();
        let wanted = |index| request.pages.as_ref().is_none_or(|p| p.contains(&index));
        let mut chosen = 0;
        match self {
            Self::Pixels(image) => {
                if wanted(0) {
                    chosen += 1;
                    let _ = take(Ok(Page::from(image.clone())))?;
                }
            }
            Self::File(bytes) if maoocr_pdf::is_pdf(bytes) => {
                let pdf = Pdf::open(bytes.clone(), pdf_options(request, limits))?;
                for index in (0..pdf.count()).filter(|&index| wanted(index)) {
                    chosen += 1;
                    if take(pdf.page(index))?.is_break() {
                        break;
                    }
                }
            }
            Self::File(bytes) => {
                let mut source = imaging::open(bytes, &limits)?;
                let mut index = 0;
                while let Some(page) = source.next_page() {
                    let page = page.map(|page| Page { index, ..page });
                    index += 1;
                    if wanted(index - 1) {
                        chosen += 1;
                        if take(page)?.is_break() {
                            break;
                        }
                    } else if let Err(error) = page
                        && error.index.is_none()
                    {
                        return Err(error.error.into());
                    }
                }
            }
        }
        if chosen == 0 {
            return Err(Fault::argument("pages: the file has none of these"));
        }
        Ok(())
    }
}

/// How a PDF is opened.
pub fn pdf_options(request: &Request, limits: Limits) -> Options {
    Options {
        password: request.password.clone(),
        limits,
        seconds: Some(request.page_seconds),
        ..Options::default()
    }
}
