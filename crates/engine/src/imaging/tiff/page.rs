//! One page, chunk by chunk.

use image::metadata::Orientation;
use tiff::ColorType;
use tiff::decoder::ifd::Value;
use tiff::decoder::{ChunkType, DecodingSampleType};
use tiff::tags::Tag;

use super::super::meta::{Meta, Unit, dpi};
use super::super::pixels::{self, Samples};
use super::super::{Format, Image, ImagingError, Limits, checked_size, jpeg};
use super::directory::{Colours, Stored};
use super::fax::Fax;
use super::ink::{Chunk, Ink, palette};
use super::{Reader, error};

/// Most samples a pixel: five inks and some more. Of 65,535, which a file may declare, the decoder would unpack and
/// drop nearly all.
const MAX_SAMPLES: usize = 8;

/// Orientation and resolution of the current page.
pub(super) fn meta(decoder: &mut Reader<'_>) -> Meta {
    let mut number = |tag| decoder.find_tag_unsigned::<u16>(tag).ok().flatten();
    let orientation = number(Tag::Orientation)
        .and_then(|v| u8::try_from(v).ok())
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms);
    let unit = match number(Tag::ResolutionUnit) {
        None | Some(2) => Some(Unit::Inch),
        Some(3) => Some(Unit::Centimetre),
        _ => None,
    };
    let mut rational = |tag| match decoder.find_tag(tag) {
        Ok(Some(Value::Rational(over, under))) if under != 0 => {
            Some(f64::from(over) / f64::from(under))
        }
        _ => None,
    };
    let (x, y) = (rational(Tag::XResolution), rational(Tag::YResolution));
    Meta {
        orientation,
        dpi: x
            .zip(y)
            .zip(unit)
            .and_then(|((x, y), unit)| dpi(x, y, unit)),
    }
}

/// The current page and its resolution, beside `held` bytes of others; `colours` where they aren't what its
/// directory says.
pub(super) fn decode(
    decoder: &mut Reader<'_>,
    colours: Option<Colours>,
    limits: &Limits,
    held: u64,
) -> Result<(Image, Option<f32>), ImagingError> {
    let size = checked_size(decoder.dimensions().map_err(error)?, Format::Tiff)?;
    limits.check(size, 3, held)?;
    let color = decoder.colortype().map_err(error)?;
    let unsupported = || ImagingError::unsupported(Format::Tiff, format!("the colours {color:?}"));
    // The first channel beyond the colours: 1 alpha that the colours were multiplied with, 2 alpha apart.
    let extra = decoder
        .find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)
        .ok()
        .flatten();
    let extra = extra.and_then(|extra| extra.first().copied()).unwrap_or(0);
    // Samples a pixel has in the file, and its bits a sample.
    let (ink, samples, bits) = match color {
        ColorType::RGB(bits @ (8 | 16)) if let Some(Colours::Lab { signed }) = colours => {
            (Ink::Lab { signed }, 3, bits)
        }
        ColorType::Gray(bits @ (1..=8)) if colours == Some(Colours::Palette) => {
            (Ink::Palette(palette(decoder, bits)?), 1, bits)
        }
        ColorType::Gray(bits) => (Ink::Grey, 1, bits),
        ColorType::GrayA(bits) => (Ink::GreyAlpha, 2, bits),
        ColorType::Multiband {
            bit_depth,
            num_samples,
        } => {
            let alpha = num_samples == 2 && matches!(extra, 1 | 2);
            (
                if alpha { Ink::GreyAlpha } else { Ink::Grey },
                usize::from(num_samples),
                bit_depth,
            )
        }
        ColorType::RGB(bits) => (Ink::Rgb, 3, bits),
        ColorType::RGBA(bits) => (
            Ink::Rgba {
                multiplied: extra == 1,
            },
            4,
            bits,
        ),
        ColorType::CMYK(bits) => (Ink::Cmyk, 4, bits),
        ColorType::CMYKA(bits) => (Ink::Cmyk, 5, bits),
        ColorType::YCbCr(bits) => (Ink::YCbCr, 3, bits),
        _ => return Err(unsupported()),
    };
    if !matches!(bits, 1 | 2 | 4 | 8 | 16) || samples > MAX_SAMPLES {
        return Err(unsupported());
    }
    let out = if matches!(ink, Ink::GreyAlpha | Ink::Rgba { .. }) {
        Samples::RGBA
    } else {
        Samples::RGB
    };
    let channels = usize::from(out.channels);
    let meta = meta(decoder);
    limits.check(size, pixels::peak(out.per_pixel(), meta), held)?;

    let (width, height) = (size.0 as usize, size.1 as usize);
    let (chunk_width, chunk_height) = match decoder.get_chunk_type() {
        ChunkType::Strip => (size.0, decoder.chunk_dimensions().1),
        ChunkType::Tile => decoder.chunk_dimensions(),
    };
    if chunk_width == 0 || chunk_height == 0 {
        return Err(ImagingError::malformed(
            Format::Tiff,
            "its strips or tiles have no size",
        ));
    }
    let jpeg = JpegChunks::of(decoder)?;
    let mut fax = Fax::of(decoder)?;
    if fax.is_some() && (samples, bits) != (1, 1) {
        return Err(unsupported());
    }
    let declared = (chunk_width, chunk_height);
    // Files of one strip often declare 2³² − 1 rows a strip, which is the tag's default.
    let chunk_height = chunk_height.min(size.1);
    // The decoder keeps a row as it is in the file.
    let row = (u64::from(chunk_width) * samples as u64 * u64::from(bits)).div_ceil(8);
    limits.check(size, out.per_pixel(), held.saturating_add(row))?;
    let across = size.0.div_ceil(chunk_width);
    let chunks = u64::from(across) * u64::from(size.1.div_ceil(chunk_height));
    let stored = match decoder.get_chunk_type() {
        ChunkType::Strip => decoder.strip_count(),
        ChunkType::Tile => decoder.tile_count(),
    };
    // With each channel in a plane of its own, the chunks of one plane follow those of another.
    let planar = decoder
        .find_tag_unsigned::<u16>(Tag::PlanarConfiguration)
        .ok()
        .flatten()
        == Some(2);
    let planes = if planar { samples } else { 1 };
    if u64::from(stored.map_err(error)?) < chunks * planes as u64 {
        return Err(ImagingError::malformed(
            Format::Tiff,
            "strips or tiles are missing",
        ));
    }

    let mut buf = pixels::buffer(size, out)?;
    let mut chunk = Vec::new();
    for index in 0..chunks as u32 {
        // Chunk by chunk, not all planes at once: the decoder takes the last rows of the second plane's tiles for
        // pixels and runs over its buffer.
        let mut source = Chunk {
            bytes: &[],
            stride: 0,
            plane: 0,
            planar,
            samples,
            bits,
            wide: false,
        };
        let (mut columns, mut rows) = (usize::MAX, usize::MAX);
        if let Some(fax) = &mut fax {
            let (w, h) = decoder.chunk_data_dimensions(index);
            // A tile is coded to its edge, even where that is beyond the page's.
            let coded = match decoder.get_chunk_type() {
                ChunkType::Strip => (w, h),
                ChunkType::Tile => declared,
            };
            source.stride = (coded.0 as usize).div_ceil(8);
            let len = source.stride as u64 * u64::from(coded.1);
            limits.check(size, out.per_pixel(), held.saturating_add(len))?;
            if chunk.len() as u64 != len {
                chunk = pixels::zeroed(len)?;
            }
            fax.read(decoder.inner().get_ref(), index, coded, &mut chunk);
            (columns, rows) = (w as usize, h as usize);
        }
        for plane in 0..if fax.is_some() { 0 } else { planes } {
            let part = index + plane as u32 * chunks as u32;
            if let Some(jpeg) = &jpeg {
                let inner = jpeg.size(decoder.inner().get_ref(), part)?;
                // As libtiff does: the last strip may be padded to its declared height, and no more.
                if inner.0 > declared.0 || inner.1 > declared.1 {
                    return Err(ImagingError::malformed(
                        Format::Tiff,
                        "the JPEG in it is larger than the strip or tile that it fills",
                    ));
                }
                limits.check(inner, out.per_pixel() + samples as u64, held)?;
            }
            let layout = decoder.image_chunk_buffer_layout(part).map_err(error)?;
            source.wide = match layout.sample_type {
                Some(DecodingSampleType::U8) => false,
                Some(DecodingSampleType::U16) => true,
                _ => return Err(unsupported()),
            };
            if plane == 0 {
                source.stride = layout.row_stride.map_or(0, |n| n.get());
                source.plane = source.stride * chunk_height as usize;
                let len = (source.plane * planes).max(layout.len);
                limits.check(size, out.per_pixel(), held.saturating_add(len as u64))?;
                if chunk.len() < len {
                    chunk = pixels::zeroed(len as u64)?;
                }
            }
            let room = chunk.get_mut(plane * source.plane..).unwrap_or_default();
            if room.len() < layout.len {
                return Err(ImagingError::malformed(
                    Format::Tiff,
                    "its planes differ in size",
                ));
            }
            decoder
                .read_chunk_bytes(part, &mut room[..layout.len])
                .map_err(error)?;
            let (w, h) = decoder.chunk_data_dimensions(part);
            (columns, rows) = (columns.min(w as usize), rows.min(h as usize));
        }
        source.bytes = &chunk;
        let left = (index % across * chunk_width) as usize;
        let top = (index / across * chunk_height) as usize;
        let columns = columns.min(width - left);
        for y in 0..rows.min(height.saturating_sub(top)) {
            let start = ((top + y) * width + left) * channels;
            ink.row(&source, y, &mut buf[start..start + columns * channels]);
        }
    }
    drop(chunk);
    // A fax that lost its last rows is worth reading; one that lost text is not.
    if fax.is_some_and(|fax| fax.missing * 32 > u64::from(size.1) * u64::from(across)) {
        return Err(ImagingError::truncated(
            Format::Tiff,
            "its lower part is missing",
        ));
    }
    Ok((pixels::page(buf, size, out, meta.orientation)?, meta.dpi))
}

/// Strips or tiles that are JPEGs: the decoder unpacks each at the size that its own header says.
struct JpegChunks {
    /// What their headers have in common.
    tables: Vec<u8>,
    stored: Stored,
}

impl JpegChunks {
    fn of(decoder: &mut Reader<'_>) -> Result<Option<Self>, ImagingError> {
        const JPEG: u16 = 7;
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression);
        if compression.map_err(error)? != Some(JPEG) {
            return Ok(None);
        }
        let stored = Stored::of(decoder)?;
        let tables = match decoder.find_tag(Tag::JPEGTables).map_err(error)? {
            Some(tables) => tables.into_u8_vec().map_err(error)?,
            None => Vec::new(),
        };
        Ok(Some(Self { tables, stored }))
    }

    /// Width and height, px.
    fn size(&self, file: &[u8], chunk: u32) -> Result<(u32, u32), ImagingError> {
        let chunk = self.stored.bytes(file, chunk);
        // The tables' end and the chunk's start are left out where they meet.
        let size = match self.tables.len().checked_sub(2) {
            None => jpeg::declared(chunk),
            Some(end) => {
                let mut whole = self.tables[..end].to_vec();
                whole.extend_from_slice(chunk.get(2..).unwrap_or_default());
                jpeg::declared(&whole)
            }
        };
        size.ok_or_else(|| ImagingError::malformed(Format::Tiff, "the JPEG in it has no header"))
    }
}
