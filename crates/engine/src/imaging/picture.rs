//! Files of one picture: a [`Source`] of one page.

use std::io::Cursor;

use image::ImageDecoder;
use image::codecs::{bmp, gif, pnm};

use super::meta::{Meta, Unit, dpi};
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits, checked_size, fenced, jpeg, png, webp};
#[cfg(feature = "more-formats")]
use super::{jpeg_xl, jpeg2000};
use crate::page::{Page, PageError, Source};

/// A picture that is decoded when its page is asked for.
pub(super) struct Picture<'a> {
    format: Format,
    bytes: &'a [u8],
    limits: Limits,
    done: bool,
}

impl<'a> Picture<'a> {
    pub(super) fn new(format: Format, bytes: &'a [u8], limits: &Limits) -> Self {
        Self {
            format,
            bytes,
            limits: limits.clone(),
            done: false,
        }
    }
}

impl Source for Picture<'_> {
    fn count(&self) -> Option<usize> {
        Some(1)
    }

    fn next_page(&mut self) -> Option<Result<Page, PageError>> {
        if std::mem::replace(&mut self.done, true) {
            return None;
        }
        let (format, bytes, limits) = (self.format, self.bytes, &self.limits);
        let decoded = fenced(format, || match format {
            Format::Jpeg => jpeg::decode(bytes, limits),
            Format::Png => png::decode(bytes, limits),
            Format::WebP => webp::decode(bytes, limits),
            #[cfg(feature = "more-formats")]
            Format::Jpeg2000 => jpeg2000::decode(bytes, limits),
            #[cfg(feature = "more-formats")]
            Format::JpegXl => jpeg_xl::decode(bytes, limits),
            _ => decode(format, bytes, limits),
        });
        Some(match decoded {
            Ok((image, dpi)) => Ok(Page {
                dpi,
                ..Page::from(image)
            }),
            Err(error) => Err(PageError {
                index: Some(0),
                error,
            }),
        })
    }
}

/// Size as it will be decoded (orientation applied), px.
pub(super) fn size(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(u32, u32), ImagingError> {
    match format {
        Format::Jpeg => jpeg::size(bytes, limits),
        Format::Png => png::size(bytes, limits),
        Format::WebP => webp::size(bytes, limits),
        #[cfg(feature = "more-formats")]
        Format::Jpeg2000 => jpeg2000::size(bytes, limits),
        #[cfg(feature = "more-formats")]
        Format::JpegXl => jpeg_xl::size(bytes, limits),
        _ => {
            let mut decoder = open(format, bytes)?;
            let size = checked_size(decoder.dimensions(), format)?;
            limits.check(size, 3, 0)?;
            Ok(pixels::turned(size, exif(&mut *decoder).orientation))
        }
    }
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

fn exif(decoder: &mut (impl ImageDecoder + ?Sized)) -> Meta {
    Meta::of_exif(decoder.exif_metadata().ok().flatten().as_deref())
}

fn decode(
    format: Format,
    bytes: &[u8],
    limits: &Limits,
) -> Result<(Image, Option<f32>), ImagingError> {
    let mut decoder = open(format, bytes)?;
    let size = checked_size(decoder.dimensions(), format)?;
    let samples = Samples::of(decoder.color_type())
        .ok_or_else(|| ImagingError::unsupported(format, "floating-point samples"))?;
    let stated = (format == Format::Bmp).then(|| bitmap_dpi(bytes)).flatten();
    let meta = exif(&mut *decoder).with_dpi(stated);
    // The decoder of animations keeps a frame of its own: 4 bytes a pixel more.
    let peak = pixels::peak(samples.per_pixel().max(3) + 4, meta);
    limits.check(size, peak, 0)?;
    let mut inner = image::Limits::no_limits();
    inner.max_alloc = Some(limits.max_memory);
    decoder
        .set_limits(inner)
        .map_err(|e| ImagingError::image(format, e))?;
    let mut buf = pixels::buffer(size, samples)?;
    decoder
        .read_image(samples.tail(&mut buf, size))
        .map_err(|e| ImagingError::image(format, e))?;
    let image = pixels::page(buf, size, samples, meta.orientation)?;
    Ok((image, meta.dpi))
}

/// Pixels a metre across and down stand in a bitmap's header, from `BITMAPINFOHEADER` on, which is 40 bytes long.
fn bitmap_dpi(bytes: &[u8]) -> Option<f32> {
    let number = |at: usize| {
        let field = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(f64::from(i32::from_le_bytes(field)))
    };
    if number(14)? < 40.0 {
        return None;
    }
    dpi(number(38)?, number(42)?, Unit::Metre)
}
