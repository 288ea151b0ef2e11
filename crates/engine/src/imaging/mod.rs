//! Bytes → [`Page`].
//!
//! [`decode`] reads every page of a TIFF and the first frame of anything else, [`pages`] one after the other;
//! [`probe`] reads headers only. What the bytes are is told by their content, never by a name ([`sniff`](Format::sniff)). Sizes are checked against
//! [`Limits`] before a pixel is allocated, and a picture that is cut short is an error: text that silently stops
//! half way down a page is worse than none.
//!
//! JPEG, PNG, TIFF and WebP go to their decoders directly instead of through `image`, which reads a damaged JPEG as a
//! grey page, keeps 16-bit PNG samples the engine has no use for, knows neither the pages of a TIFF nor its
//! palettes, and lets a WebP claim any length for its EXIF.

mod error;
mod jpeg;
mod pixels;
mod png;
mod sniff;
#[cfg(test)]
mod tests;
mod tiff;
mod webp;

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};

use image::ImageDecoder;
use image::codecs::{bmp, gif, pnm};
use image::metadata::Orientation;
use serde::Serialize;

pub use error::ImagingError;

use pixels::{Samples, buffer};

/// A picture as a person sees it: 8-bit RGB, EXIF orientation applied, transparency over white.
///
/// Where the visible pixels are light and the rest is transparent (white lettering cut out for a dark slide),
/// white would swallow them: such a picture is laid over black.
#[derive(Clone, Debug)]
pub struct Page {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// `width × height × 3` bytes, row after row.
    pub rgb: Vec<u8>,
}

impl Page {
    /// A page of 8-bit RGBA samples, row after row, as a canvas or a camera gives them; alpha is not premultiplied.
    pub fn from_rgba(
        width: u32,
        height: u32,
        rgba: Vec<u8>,
        limits: &Limits,
    ) -> Result<Self, ImagingError> {
        Self::admit_rgba(width, height, rgba.len(), limits)?;
        pixels::page(
            rgba,
            (width, height),
            Samples::RGBA,
            Orientation::NoTransforms,
        )
    }

    /// Whether [`from_rgba`](Self::from_rgba) would take so many bytes: for a caller that has yet to copy them.
    pub fn admit_rgba(
        width: u32,
        height: u32,
        bytes: usize,
        limits: &Limits,
    ) -> Result<(), ImagingError> {
        let wanted = u64::from(width)
            .checked_mul(u64::from(height))
            .and_then(|pixels| pixels.checked_mul(4));
        if bytes == 0 || wanted != Some(bytes as u64) {
            return Err(ImagingError::FrameSize {
                width,
                height,
                bytes,
            });
        }
        limits.check((width, height), 4, 0)
    }
}

/// What a picture may cost. Every field is checked before the memory it would take is allocated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Size of the file, bytes.
    pub max_bytes: usize,
    /// Pixels of one page.
    pub max_pixels: u64,
    /// Pages of one file.
    pub max_pages: usize,
    /// Working memory of a [`decode`], its pages included, the file itself not, bytes. With [`pages`] each page may
    /// take as much.
    pub max_memory: u64,
}

impl Default for Limits {
    /// 64 MiB, 120 megapixels (A3 at 600 dpi is 70), 200 pages, 1 GiB.
    fn default() -> Self {
        Self {
            max_bytes: 64 << 20,
            max_pixels: 120_000_000,
            max_pages: 200,
            max_memory: 1 << 30,
        }
    }
}

impl Limits {
    /// Can a page of this size be held beside `held` bytes, with `per_pixel` bytes at the worst moment?
    fn check(&self, size: (u32, u32), per_pixel: u64, held: u64) -> Result<(), ImagingError> {
        let pixels = u64::from(size.0) * u64::from(size.1);
        if pixels > self.max_pixels {
            return Err(ImagingError::TooManyPixels {
                width: size.0,
                height: size.1,
                limit: self.max_pixels,
            });
        }
        let needed = pixels.saturating_mul(per_pixel).saturating_add(held);
        if needed > self.max_memory {
            return Err(ImagingError::OutOfMemory {
                needed: Some(needed),
            });
        }
        Ok(())
    }
}

/// A file format the engine reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Baseline and progressive, grey, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// Every colour type and depth; of an APNG the default image.
    Png,
    /// Lossy, lossless; of an animation the first frame.
    WebP,
    /// Of an animation the first frame.
    Gif,
    /// Windows bitmaps.
    Bmp,
    /// Every page.
    Tiff,
    /// PBM, PGM, PPM and PAM.
    Pnm,
}

impl Format {
    /// The name people know it by.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
            Self::Pnm => "PNM",
        }
    }

    /// Tells the format by the first bytes; an [`ImagingError::UnknownFormat`] names what they are instead, where
    /// that is known.
    pub fn sniff(bytes: &[u8]) -> Result<Self, ImagingError> {
        sniff::sniff(bytes)
    }
}

/// What the headers say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Info {
    /// Told by content.
    pub format: Format,
    /// Of the first page as it will be decoded (orientation applied), px.
    pub width: u32,
    /// Of the first page as it will be decoded (orientation applied), px.
    pub height: u32,
    /// 1 but for a TIFF.
    pub pages: usize,
}

/// All pages of a TIFF, the first frame of anything else, in order; never an empty list.
///
/// A decoder that panics on hostile bytes is caught and reported as [`ImagingError::Malformed`]. Where panics
/// abort (wasm), the caller's worker goes down with it.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Vec<Page>, ImagingError> {
    let mut pages = pages(bytes, limits)?;
    let mut decoded: Vec<Page> = Vec::new();
    loop {
        let held = decoded.iter().map(|page| page.rgb.len() as u64).sum();
        match pages.next_beside(held)? {
            Some(page) => decoded.push(page),
            None => return Ok(decoded),
        }
    }
}

/// The same page by page, each when it is asked for: one of them is in memory, not all.
pub fn pages<'a>(bytes: &'a [u8], limits: &'a Limits) -> Result<Pages<'a>, ImagingError> {
    let format = admit(bytes, limits)?;
    let source = if format == Format::Tiff {
        Source::Tiff(Box::new(fenced(format, || {
            tiff::Pages::open(bytes, limits)
        })?))
    } else {
        Source::One(bytes)
    };
    Ok(Pages {
        format,
        limits,
        source,
    })
}

/// Pages of a file; see [`pages`]. Nothing comes after an error.
pub struct Pages<'a> {
    format: Format,
    limits: &'a Limits,
    source: Source<'a>,
}

enum Source<'a> {
    /// Of a format with one page a file.
    One(&'a [u8]),
    Tiff(Box<tiff::Pages<'a>>),
    Done,
}

impl Pages<'_> {
    fn next_beside(&mut self, held: u64) -> Result<Option<Page>, ImagingError> {
        let (format, limits) = (self.format, self.limits);
        match std::mem::replace(&mut self.source, Source::Done) {
            Source::Done => Ok(None),
            Source::One(bytes) => fenced(format, || match format {
                Format::Jpeg => jpeg::decode(bytes, limits),
                Format::Png => png::decode(bytes, limits),
                Format::WebP => webp::decode(bytes, limits),
                _ => one(open(format, bytes)?, format, limits),
            })
            .map(Some),
            Source::Tiff(mut pages) => {
                let page = fenced(format, || pages.next(limits, held))?;
                if page.is_some() {
                    self.source = Source::Tiff(pages);
                }
                Ok(page)
            }
        }
    }
}

impl Iterator for Pages<'_> {
    type Item = Result<Page, ImagingError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_beside(0).transpose()
    }
}

/// Format, size and page count, from the headers; [`Limits`] hold here too.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Info, ImagingError> {
    let format = admit(bytes, limits)?;
    fenced(format, || {
        let ((width, height), pages) = match format {
            Format::Jpeg => (jpeg::size(bytes, limits)?, 1),
            Format::Png => (png::size(bytes, limits)?, 1),
            Format::Tiff => tiff::size(bytes, limits)?,
            Format::WebP => (webp::size(bytes, limits)?, 1),
            _ => {
                let mut decoder = open(format, bytes)?;
                let size = checked_size(decoder.dimensions(), format)?;
                limits.check(size, 3, 0)?;
                (pixels::turned(size, orientation(&mut *decoder)), 1)
            }
        };
        Ok(Info {
            format,
            width,
            height,
            pages,
        })
    })
}

fn admit(bytes: &[u8], limits: &Limits) -> Result<Format, ImagingError> {
    if bytes.is_empty() {
        return Err(ImagingError::Empty);
    }
    if bytes.len() > limits.max_bytes {
        return Err(ImagingError::TooLarge {
            bytes: bytes.len(),
            limit: limits.max_bytes,
        });
    }
    Format::sniff(bytes)
}

/// Decoders are meant to return errors, and mostly do; arithmetic on a hostile header is where they slip.
fn fenced<T>(
    format: Format,
    work: impl FnOnce() -> Result<T, ImagingError>,
) -> Result<T, ImagingError> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        Err(ImagingError::Malformed {
            format: format.name(),
            detail: "its decoder gave up on it".into(),
        })
    })
}

/// The formats left to `image`.
fn open<'a>(format: Format, bytes: &'a [u8]) -> Result<Box<dyn ImageDecoder + 'a>, ImagingError> {
    let reader = Cursor::new(bytes);
    Ok(match format {
        Format::Gif => {
            Box::new(gif::GifDecoder::new(reader).map_err(|e| ImagingError::image(format, e))?)
        }
        Format::Bmp => {
            Box::new(bmp::BmpDecoder::new(reader).map_err(|e| ImagingError::image(format, e))?)
        }
        _ => Box::new(pnm::PnmDecoder::new(reader).map_err(|e| ImagingError::image(format, e))?),
    })
}

fn orientation(decoder: &mut (impl ImageDecoder + ?Sized)) -> Orientation {
    pixels::orientation(decoder.exif_metadata().ok().flatten().as_deref())
}

fn one(
    mut decoder: Box<dyn ImageDecoder + '_>,
    format: Format,
    limits: &Limits,
) -> Result<Page, ImagingError> {
    let size = checked_size(decoder.dimensions(), format)?;
    let samples = Samples::of(decoder.color_type())
        .ok_or_else(|| ImagingError::unsupported(format, "floating-point samples"))?;
    let orientation = orientation(&mut *decoder);
    // The decoder of animations keeps a frame of its own: 4 bytes a pixel more.
    limits.check(size, samples.per_pixel().max(3) + 4, 0)?;
    let mut inner = image::Limits::no_limits();
    inner.max_alloc = Some(limits.max_memory);
    decoder
        .set_limits(inner)
        .map_err(|e| ImagingError::image(format, e))?;
    let mut buf = buffer(size, samples)?;
    decoder
        .read_image(samples.tail(&mut buf, size))
        .map_err(|e| ImagingError::image(format, e))?;
    pixels::page(buf, size, samples, orientation)
}

fn checked_size(size: (u32, u32), format: Format) -> Result<(u32, u32), ImagingError> {
    if size.0 == 0 || size.1 == 0 {
        return Err(ImagingError::Malformed {
            format: format.name(),
            detail: "it has no pixels".into(),
        });
    }
    Ok(size)
}
