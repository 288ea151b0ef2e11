//! PNG and the default image of an APNG.

use std::io::Cursor;

use image::metadata::Orientation;
use png::{ColorType, Decoder, DecodingError, Reader, Transformations};

use super::pixels::{self, Samples};
use super::{Format, ImagingError, Limits, Page};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Page, ImagingError> {
    let (mut reader, size, orientation) = open(bytes, limits)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let samples = Samples { channels, bytes: 1 };
    limits.check(size, samples.per_pixel().max(3), 0)?;
    let mut buf = pixels::buffer(size, samples)?;
    reader
        .next_frame(samples.tail(&mut buf, size))
        .map_err(error)?;
    pixels::page(buf, size, samples, orientation)
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    let (_, size, orientation) = open(bytes, limits)?;
    Ok(pixels::turned(size, orientation))
}

type Open<'a> = (Reader<Cursor<&'a [u8]>>, (u32, u32), Orientation);

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Open<'a>, ImagingError> {
    let room = png::Limits {
        bytes: usize::try_from(limits.max_memory).unwrap_or(usize::MAX),
    };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), room);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    decoder.set_transformations(Transformations::EXPAND | Transformations::STRIP_16);
    let size = decoder.read_header_info().map_err(error)?.size();
    limits.check(size, 3, 0)?;
    let reader = decoder.read_info().map_err(error)?;
    let orientation = pixels::orientation(reader.info().exif_metadata.as_deref());
    Ok((reader, size, orientation))
}

fn error(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(e) => ImagingError::io(Format::Png, &e),
        DecodingError::LimitsExceeded => ImagingError::OutOfMemory { needed: None },
        other => ImagingError::malformed(Format::Png, other.to_string()),
    }
}
