//! WebP; of an animation the first frame.
//!
//! Not through `image`, whose decoder doesn't bound what a chunk of EXIF may claim to hold.

use std::io::Cursor;

use image::metadata::Orientation;
use image_webp::{DecodingError, WebPDecoder};

use super::pixels::{self, Samples};
use super::{Format, ImagingError, Limits, Page, checked_size};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Page, ImagingError> {
    let (mut decoder, size, orientation) = open(bytes, limits)?;
    let samples = if decoder.has_alpha() {
        Samples::RGBA
    } else {
        Samples::RGB
    };
    // The decoder keeps a frame of its own: 4 bytes a pixel more.
    limits.check(size, samples.per_pixel() + 4, 0)?;
    let mut buf = pixels::buffer(size, samples)?;
    decoder
        .read_image(samples.tail(&mut buf, size))
        .map_err(error)?;
    pixels::page(buf, size, samples, orientation)
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    let (_, size, orientation) = open(bytes, limits)?;
    Ok(pixels::turned(size, orientation))
}

type Open<'a> = (WebPDecoder<Cursor<&'a [u8]>>, (u32, u32), Orientation);

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Open<'a>, ImagingError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(error)?;
    // No chunk is longer than the file.
    decoder.set_memory_limit(bytes.len());
    let size = checked_size(decoder.dimensions(), Format::WebP)?;
    limits.check(size, 3, 0)?;
    // Without EXIF a picture can be read all the same.
    let exif = decoder.exif_metadata().ok().flatten();
    Ok((decoder, size, pixels::orientation(exif.as_deref())))
}

fn error(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(e) => ImagingError::io(Format::WebP, &e),
        DecodingError::MemoryLimitExceeded => ImagingError::OutOfMemory { needed: None },
        other => ImagingError::malformed(Format::WebP, other.to_string()),
    }
}
