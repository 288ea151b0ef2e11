//! WebP; of an animation the first frame.
//!
//! Not through `image`, whose decoder doesn't bound what a chunk of EXIF may claim to hold.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::meta::Meta;
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits, checked_size};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Image, Option<f32>), ImagingError> {
    let (mut decoder, size, meta) = open(bytes, limits)?;
    let samples = if decoder.has_alpha() {
        Samples::RGBA
    } else {
        Samples::RGB
    };
    // The decoder keeps a frame of its own: 4 bytes a pixel more.
    limits.check(size, pixels::peak(samples.per_pixel() + 4, meta), 0)?;
    let mut buf = pixels::buffer(size, samples)?;
    decoder
        .read_image(samples.tail(&mut buf, size))
        .map_err(error)?;
    Ok((
        pixels::page(buf, size, samples, meta.orientation)?,
        meta.dpi,
    ))
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    let (_, size, meta) = open(bytes, limits)?;
    Ok(pixels::turned(size, meta.orientation))
}

type Open<'a> = (WebPDecoder<Cursor<&'a [u8]>>, (u32, u32), Meta);

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Open<'a>, ImagingError> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(error)?;
    // No chunk is longer than the file.
    decoder.set_memory_limit(bytes.len());
    let size = checked_size(decoder.dimensions(), Format::WebP)?;
    limits.check(size, 3, 0)?;
    // Without EXIF a picture can be read all the same.
    let exif = decoder.exif_metadata().ok().flatten();
    Ok((decoder, size, Meta::of_exif(exif.as_deref())))
}

fn error(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(e) => ImagingError::io(Format::WebP, &e),
        DecodingError::MemoryLimitExceeded => ImagingError::OutOfMemory { needed: None },
        other => ImagingError::malformed(Format::WebP, other.to_string()),
    }
}
