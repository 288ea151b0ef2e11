//! Bytes → [`Image`].
//!
//! [`open`] yields every page of a TIFF and the first frame of anything else, one after the other; [`decode`] all at
//! once; [`probe`] reads headers only. What the bytes are is told by their content, never by a name
//! ([`sniff`](Format::sniff)). Sizes are checked against [`Limits`] before a pixel is allocated, and a picture that
//! is cut short is an error: text that silently stops half way down a page is worse than none.
//!
//! JPEG, PNG, TIFF and WebP go to their decoders directly instead of through `image`, which reads a damaged JPEG as a
//! grey page, keeps 16-bit PNG samples the engine has no use for, knows neither the pages of a TIFF nor its
//! palettes, and lets a WebP claim any length for its EXIF.

#[cfg(feature = "more-formats")]
mod boxes;
mod error;
mod jpeg;
#[cfg(feature = "more-formats")]
mod jpeg2000;
#[cfg(feature = "more-formats")]
mod jpeg_xl;
mod meta;
mod picture;
mod pixels;
mod png;
mod sniff;
#[cfg(test)]
mod tests;
mod tiff;
mod webp;

use std::panic::{AssertUnwindSafe, catch_unwind};

use fast_image_resize::FilterType;
use image::metadata::Orientation;
use serde::Serialize;

pub use error::ImagingError;
pub use sniff::is_pdf;

use crate::page::{Page, PageError, Source};
use pixels::Samples;

/// A picture as a person sees it: 8-bit RGB, EXIF orientation applied, transparency over white.
///
/// Where the visible pixels are light and the rest is transparent (white lettering cut out for a dark slide),
/// white would swallow them: such a picture is laid over black.
#[derive(Clone, Debug)]
pub struct Image {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// `width × height × 3` bytes, row after row.
    pub rgb: Vec<u8>,
}

impl Image {
    /// A copy whose longer side has at most `side` px.
    ///
    /// # Errors
    /// The picture's size and bytes disagree.
    pub fn within(&self, side: u32) -> Result<Self, maoocr_runtime::RuntimeError> {
        let longest = self.width.max(self.height);
        if longest <= side {
            return Ok(self.clone());
        }
        let scaled = |length: u32| {
            let length = u64::from(length) * u64::from(side) / u64::from(longest);
            u32::try_from(length).unwrap_or(side).max(1)
        };
        let (width, height) = (scaled(self.width), scaled(self.height));
        let (from, filter) = ((self.width, self.height), FilterType::Bilinear);
        Ok(Self {
            width,
            height,
            rgb: crate::scale::scale(&self.rgb, from, None, (width, height), filter)?,
        })
    }

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
    /// Working memory of a [`decode`], its pages included, the file itself not, bytes. With [`open`] each page may
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
    /// For files of up to `max_bytes` and pages of up to `max_pixels`; the memory for decoding grows with the pages.
    pub fn for_pages(max_bytes: usize, max_pixels: u64) -> Self {
        let usual = Self::default();
        let grown =
            u128::from(max_pixels) * u128::from(usual.max_memory) / u128::from(usual.max_pixels);
        Self {
            max_bytes,
            max_pixels,
            max_memory: usual
                .max_memory
                .max(u64::try_from(grown).unwrap_or(u64::MAX)),
            ..usual
        }
    }

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
    /// JP2 files and bare codestreams, with the feature `more-formats`.
    Jpeg2000,
    /// Of an animation the first frame; with the feature `more-formats`.
    JpegXl,
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
            Self::Jpeg2000 => "JPEG 2000",
            Self::JpegXl => "JPEG XL",
        }
    }

    /// The formats that are read with the features this was built with.
    pub fn read() -> impl Iterator<Item = Self> {
        const ALL: [Format; 9] = [
            Format::Jpeg,
            Format::Png,
            Format::WebP,
            Format::Gif,
            Format::Bmp,
            Format::Tiff,
            Format::Pnm,
            Format::Jpeg2000,
            Format::JpegXl,
        ];
        ALL.into_iter().filter(|format| format.is_read())
    }

    const fn is_read(self) -> bool {
        cfg!(feature = "more-formats") || !matches!(self, Self::Jpeg2000 | Self::JpegXl)
    }

    /// As in HTTP's `Content-Type`.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
            Self::WebP => "image/webp",
            Self::Gif => "image/gif",
            Self::Bmp => "image/bmp",
            Self::Tiff => "image/tiff",
            Self::Pnm => "image/x-portable-anymap",
            Self::Jpeg2000 => "image/jp2",
            Self::JpegXl => "image/jxl",
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

/// The file as a [`Source`]: every page of a TIFF, the first frame of anything else, each decoded when it is asked for.
///
/// A decoder that panics on hostile bytes is caught and reported as [`ImagingError::Malformed`]. Where panics
/// abort (wasm), the caller's worker goes down with it.
///
/// # Errors
/// The bytes are none of the formats, or beyond `limits`, or no page can be found in them.
pub fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Box<dyn Source + 'a>, ImagingError> {
    let format = admit(bytes, limits)?;
    Ok(match format {
        Format::Tiff => Box::new(fenced(format, || tiff::Pages::open(bytes, limits))?),
        _ => Box::new(picture::Picture::new(format, bytes, limits)),
    })
}

/// The page at a position from 0, without decoding those before it.
///
/// # Errors
/// As [`open`], or there is no such page, or it can't be read.
pub fn page(bytes: &[u8], limits: &Limits, index: usize) -> Result<Page, PageError> {
    let of = |error| PageError {
        index: Some(index),
        error,
    };
    let format = admit(bytes, limits).map_err(of)?;
    let page = match format {
        Format::Tiff => fenced(format, || tiff::Pages::open(bytes, limits))
            .map_err(of)?
            .page(index),
        _ if index == 0 => picture::Picture::new(format, bytes, limits).next_page(),
        _ => None,
    };
    page.unwrap_or_else(|| Err(of(ImagingError::malformed(format, "the page isn't there"))))
        .map_err(|error| of(error.error))
}

/// All pages of a file, in order; never an empty list. They share [`Limits::max_memory`].
///
/// # Errors
/// As [`open`], or a page can't be read.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Vec<Image>, ImagingError> {
    let format = admit(bytes, limits)?;
    let mut decoded: Vec<Image> = Vec::new();
    if format == Format::Tiff {
        let mut pages = fenced(format, || tiff::Pages::open(bytes, limits))?;
        let mut held = 0;
        while let Some(page) = pages.next_beside(held) {
            let image = page.map_err(|e| e.error)?.image;
            held += image.rgb.len() as u64;
            decoded.push(image);
        }
    } else {
        let mut picture = picture::Picture::new(format, bytes, limits);
        while let Some(page) = picture.next_page() {
            decoded.push(page.map_err(|e| e.error)?.image);
        }
    }
    Ok(decoded)
}

/// Format, size and page count, from the headers; [`Limits`] hold here too.
pub fn probe(bytes: &[u8], limits: &Limits) -> Result<Info, ImagingError> {
    let format = admit(bytes, limits)?;
    fenced(format, || {
        let ((width, height), pages) = match format {
            Format::Tiff => tiff::size(bytes, limits)?,
            _ => (picture::size(format, bytes, limits)?, 1),
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
    let format = Format::sniff(bytes)?;
    if !format.is_read() {
        return Err(ImagingError::unsupported(format, "it has no decoder here"));
    }
    Ok(format)
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

fn checked_size(size: (u32, u32), format: Format) -> Result<(u32, u32), ImagingError> {
    if size.0 == 0 || size.1 == 0 {
        return Err(ImagingError::Malformed {
            format: format.name(),
            detail: "it has no pixels".into(),
        });
    }
    Ok(size)
}
