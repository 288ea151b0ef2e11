//! PNG and the default image of an APNG.

use std::io::Cursor;

use png::{ColorType, Decoder, DecodingError, Reader, Transformations};

use super::meta::{Meta, Unit, dpi};
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Image, Option<f32>), ImagingError> {
    let (mut reader, size, meta) = open(bytes, limits)?;
    let channels = match reader.output_color_type().0 {
        ColorType::Grayscale | ColorType::Indexed => 1,
        ColorType::GrayscaleAlpha => 2,
        ColorType::Rgb => 3,
        ColorType::Rgba => 4,
    };
    let samples = Samples { channels, bytes: 1 };
    limits.check(size, pixels::peak(samples.per_pixel().max(3), meta), 0)?;
    let mut buf = pixels::buffer(size, samples)?;
    reader
        .next_frame(samples.tail(&mut buf, size))
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

type Open<'a> = (Reader<Cursor<&'a [u8]>>, (u32, u32), Meta);

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
    let info = reader.info();
    let stated = info
        .pixel_dims
        .filter(|dims| dims.unit == png::Unit::Meter)
        .and_then(|dims| dpi(dims.xppu.into(), dims.yppu.into(), Unit::Metre));
    let meta = Meta::of_exif(info.exif_metadata.as_deref()).with_dpi(stated);
    Ok((reader, size, meta))
}

fn error(error: DecodingError) -> ImagingError {
    match error {
        DecodingError::IoError(e) => ImagingError::io(Format::Png, &e),
        DecodingError::LimitsExceeded => ImagingError::OutOfMemory { needed: None },
        other => ImagingError::malformed(Format::Png, other.to_string()),
    }
}
