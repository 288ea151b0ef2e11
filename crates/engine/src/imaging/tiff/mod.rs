//! TIFF: every page, chunk by chunk, so that only the RGB of a page and one strip or tile are held.
//!
//! Read: 1, 2, 4, 8 and 16 bits of grey, palette, RGB, CMYK and L*a*b*, with or without alpha, in strips, tiles or
//! planes; uncompressed, PackBits, LZW, Deflate, JPEG, CCITT RLE, group 3 and group 4; BigTIFF. Refused as
//! unsupported: ZSTD, old-style JPEG, 12-bit, signed and floating-point samples, LogLuv, subsampled YCbCr that is not
//! JPEG.

mod directory;
mod fax;
mod ink;
mod page;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::Cursor;

use tiff::TiffError;
use tiff::decoder::Decoder;
use tiff::tags::Tag;

use super::pixels;
use super::{Format, ImagingError, Limits, checked_size, fenced};
use crate::page::{Page, PageError, Source};
use directory::{Colours, Directories};

type Reader<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

/// The pages of a file, decoded one by one.
pub(super) struct Pages<'a> {
    decoder: Reader<'a>,
    colours: BTreeMap<u64, Colours>,
    count: Option<usize>,
    limits: Limits,
    /// Pages so far.
    pages: usize,
    /// Directories so far, those of thumbnails and masks among them.
    visited: usize,
    done: bool,
}

impl<'a> Pages<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ImagingError> {
        let directories = Directories::scan(bytes, limits)?;
        Ok(Self {
            decoder: open(directories.bytes, limits)?,
            colours: directories.colours,
            count: directories.pages,
            limits: limits.clone(),
            pages: 0,
            visited: 0,
            done: false,
        })
    }

    /// The page at a position from 0; none is decoded before it.
    pub(super) fn page(&mut self, index: usize) -> Option<Result<Page, PageError>> {
        for _ in 0..index {
            match fenced(Format::Tiff, || self.seek()) {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(PageError { index: None, error })),
            }
        }
        self.next_beside(0)
    }

    /// The next page, beside `held` bytes of others.
    pub(super) fn next_beside(&mut self, held: u64) -> Option<Result<Page, PageError>> {
        // A decoder that panics is not asked again.
        if std::mem::replace(&mut self.done, true) {
            return None;
        }
        match fenced(Format::Tiff, || Ok(self.advance(held))) {
            Ok(page) => page,
            Err(error) => Some(Err(PageError { index: None, error })),
        }
    }

    fn advance(&mut self, held: u64) -> Option<Result<Page, PageError>> {
        let index = match self.seek() {
            Ok(true) => self.pages - 1,
            Ok(false) => return None,
            Err(error) => return Some(Err(PageError { index: None, error })),
        };
        let colours = self
            .decoder
            .ifd_pointer()
            .and_then(|at| self.colours.get(&at.0).copied());
        let page = page::decode(&mut self.decoder, colours, &self.limits, held);
        self.done = false;
        Some(match page {
            Ok((image, dpi)) => Ok(Page {
                index,
                dpi,
                ..Page::from(image)
            }),
            Err(error) => Err(PageError {
                index: Some(index),
                error,
            }),
        })
    }

    /// Goes to the directory of the next page, if there is one.
    fn seek(&mut self) -> Result<bool, ImagingError> {
        loop {
            if self.visited > 0 && !next(&mut self.decoder)? {
                return Ok(false);
            }
            self.visited += 1;
            let is_page = self.pages == 0 || !is_auxiliary(&mut self.decoder);
            let most = self.limits.max_pages;
            if self.visited > directory::most(&self.limits) || is_page && self.pages == most {
                return Err(ImagingError::TooManyPages { limit: most });
            }
            if is_page {
                self.pages += 1;
                return Ok(true);
            }
        }
    }
}

impl Source for Pages<'_> {
    fn count(&self) -> Option<usize> {
        self.count
    }

    fn next_page(&mut self) -> Option<Result<Page, PageError>> {
        self.next_beside(0)
    }
}

/// Size of the first page and the number of pages.
pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<((u32, u32), usize), ImagingError> {
    let mut decoder = open(Directories::scan(bytes, limits)?.bytes, limits)?;
    let size = checked_size(decoder.dimensions().map_err(error)?, Format::Tiff)?;
    let meta = page::meta(&mut decoder);
    limits.check(size, pixels::peak(3, meta), 0)?;
    let mut pages = 1;
    let mut visited = 1;
    while next(&mut decoder)? {
        visited += 1;
        pages += usize::from(!is_auxiliary(&mut decoder));
        if pages > limits.max_pages || visited > directory::most(limits) {
            return Err(ImagingError::TooManyPages {
                limit: limits.max_pages,
            });
        }
    }
    Ok((pixels::turned(size, meta.orientation), pages))
}

fn open<'a>(bytes: Cow<'a, [u8]>, limits: &Limits) -> Result<Reader<'a>, ImagingError> {
    let mut inner = tiff::decoder::Limits::default();
    let room = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
    inner.decoding_buffer_size = room;
    // Of compressed data there cannot be more than there are bytes.
    inner.intermediate_buffer_size = bytes.len();
    Ok(Decoder::new(Cursor::new(bytes))
        .map_err(error)?
        .with_limits(inner))
}

/// Goes to the next directory, if there is one.
fn next(decoder: &mut Reader<'_>) -> Result<bool, ImagingError> {
    if !decoder.more_images() {
        return Ok(false);
    }
    decoder.next_image().map_err(error)?;
    Ok(true)
}

fn is_auxiliary(decoder: &mut Reader<'_>) -> bool {
    decoder
        .find_tag_unsigned::<u32>(Tag::NewSubfileType)
        .ok()
        .flatten()
        .is_some_and(directory::is_auxiliary)
}

fn error(error: TiffError) -> ImagingError {
    match error {
        TiffError::IoError(e) => ImagingError::io(Format::Tiff, &e),
        // Pages were measured against the limits before: a table or a strip claims more than the file holds.
        TiffError::LimitsExceeded => {
            ImagingError::malformed(Format::Tiff, "it declares more data than it holds")
        }
        TiffError::UnsupportedError(what) => {
            ImagingError::unsupported(Format::Tiff, what.to_string())
        }
        other => ImagingError::malformed(Format::Tiff, other.to_string()),
    }
}
