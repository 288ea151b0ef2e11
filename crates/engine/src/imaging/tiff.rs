//! TIFF: every page, chunk by chunk, so that only the RGB of a page and one strip or tile are held.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{ChunkType, Decoder, DecodingSampleType, TiffCodingUnit};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError, TiffFormatError};

use super::pixels::{self, Samples};
use super::{Format, ImagingError, Limits, Page, checked_size};

type Reader<'a> = Decoder<Cursor<&'a [u8]>>;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Vec<Page>, ImagingError> {
    let bytes = without_palettes(bytes, limits);
    let mut decoder = open(&bytes, limits)?;
    let mut pages: Vec<Page> = Vec::new();
    loop {
        if pages.is_empty() || !is_auxiliary(&mut decoder) {
            if pages.len() == limits.max_pages {
                return Err(ImagingError::TooManyPages {
                    limit: limits.max_pages,
                });
            }
            let held = pages.iter().map(|page| page.rgb.len() as u64).sum();
            pages.push(page(&mut decoder, limits, held)?);
        }
        if !next(&mut decoder)? {
            return Ok(pages);
        }
    }
}

/// Size of the first page and the number of pages.
pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<((u32, u32), usize), ImagingError> {
    let bytes = without_palettes(bytes, limits);
    let mut decoder = open(&bytes, limits)?;
    let size = checked_size(decoder.dimensions().map_err(error)?, Format::Tiff)?;
    limits.check(size, 3, 0)?;
    let size = pixels::turned(size, orientation(&mut decoder));
    let mut pages = 1;
    while next(&mut decoder)? {
        pages += usize::from(!is_auxiliary(&mut decoder));
        if pages > limits.max_pages {
            return Err(ImagingError::TooManyPages {
                limit: limits.max_pages,
            });
        }
    }
    Ok((size, pages))
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<Reader<'a>, ImagingError> {
    let mut inner = tiff::decoder::Limits::default();
    let room = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
    inner.decoding_buffer_size = room;
    inner.intermediate_buffer_size = room;
    Ok(Decoder::new(Cursor::new(bytes))
        .map_err(error)?
        .with_limits(inner))
}

/// Goes to the next page, if there is one. A chain of pages that bites its tail ends there.
fn next(decoder: &mut Reader<'_>) -> Result<bool, ImagingError> {
    if !decoder.more_images() {
        return Ok(false);
    }
    match decoder.next_image() {
        Ok(()) => Ok(true),
        Err(TiffError::FormatError(TiffFormatError::CycleInOffsets)) => Ok(false),
        Err(e) => Err(error(e)),
    }
}

/// Thumbnails and transparency masks of another page.
fn is_auxiliary(decoder: &mut Reader<'_>) -> bool {
    const REDUCED_OR_MASK: u32 = 0b101;
    decoder
        .find_tag_unsigned::<u32>(Tag::NewSubfileType)
        .ok()
        .flatten()
        .is_some_and(|kind| kind & REDUCED_OR_MASK != 0)
}

fn orientation(decoder: &mut Reader<'_>) -> Orientation {
    decoder
        .find_tag_unsigned::<u8>(Tag::Orientation)
        .ok()
        .flatten()
        .and_then(Orientation::from_exif)
        .unwrap_or(Orientation::NoTransforms)
}

/// How a chunk's samples become RGB or RGBA.
enum Ink {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    Cmyk,
    YCbCr,
    /// 256 colours or fewer.
    Palette(Vec<[u8; 3]>),
}

fn page(decoder: &mut Reader<'_>, limits: &Limits, held: u64) -> Result<Page, ImagingError> {
    let size = checked_size(decoder.dimensions().map_err(error)?, Format::Tiff)?;
    limits.check(size, 3, held)?;
    let color = decoder.colortype().map_err(error)?;
    let unsupported = || ImagingError::unsupported(Format::Tiff, format!("the colours {color:?}"));
    let palette = decoder
        .find_tag_unsigned::<u16>(PALETTE_MARK)
        .ok()
        .flatten()
        .is_some();
    let has_alpha = |decoder: &mut Reader<'_>| {
        decoder
            .find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)
            .ok()
            .flatten()
            .is_some_and(|extra| extra.first().is_some_and(|kind| matches!(kind, 1 | 2)))
    };
    // Samples a pixel has in the file, and its bits a sample.
    let (ink, samples, bits) = match color {
        ColorType::Gray(bits @ (1..=8)) if palette => {
            (Ink::Palette(colours(decoder, bits)?), 1, bits)
        }
        ColorType::Gray(bits) => (Ink::Grey, 1, bits),
        ColorType::GrayA(bits) => (Ink::GreyAlpha, 2, bits),
        ColorType::Multiband {
            bit_depth,
            num_samples,
        } => {
            let alpha = num_samples == 2 && has_alpha(decoder);
            (
                if alpha { Ink::GreyAlpha } else { Ink::Grey },
                usize::from(num_samples),
                bit_depth,
            )
        }
        ColorType::RGB(bits) => (Ink::Rgb, 3, bits),
        ColorType::RGBA(bits) => (Ink::Rgba, 4, bits),
        ColorType::CMYK(bits) => (Ink::Cmyk, 4, bits),
        ColorType::CMYKA(bits) => (Ink::Cmyk, 5, bits),
        ColorType::YCbCr(bits) => (Ink::YCbCr, 3, bits),
        _ => return Err(unsupported()),
    };
    let out = if matches!(ink, Ink::GreyAlpha | Ink::Rgba) {
        Samples::RGBA
    } else {
        Samples::RGB
    };
    let channels = usize::from(out.channels);
    limits.check(size, out.per_pixel(), held)?;
    let orientation = orientation(decoder);

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
    let across = size.0.div_ceil(chunk_width);
    let chunks = u64::from(across) * u64::from(size.1.div_ceil(chunk_height));
    let stored = match decoder.get_chunk_type() {
        ChunkType::Strip => decoder.strip_count(),
        ChunkType::Tile => decoder.tile_count(),
    };
    if u64::from(stored.map_err(error)?) < chunks {
        return Err(ImagingError::malformed(
            Format::Tiff,
            "strips or tiles are missing",
        ));
    }

    let mut buf = pixels::buffer(size, out)?;
    let mut chunk = Vec::new();
    for index in 0..chunks as u32 {
        let layout = decoder
            .image_coding_unit_layout(TiffCodingUnit(index))
            .map_err(error)?;
        let wide = match layout.sample_type {
            Some(DecodingSampleType::U8) => false,
            Some(DecodingSampleType::U16) => true,
            _ => return Err(unsupported()),
        };
        let len = layout.complete_len.max(layout.len);
        limits.check(size, out.per_pixel(), held.saturating_add(len as u64))?;
        if chunk.len() < len {
            chunk = pixels::zeroed(len as u64)?;
        }
        decoder
            .read_coding_unit_bytes(TiffCodingUnit(index), &mut chunk[..len])
            .map_err(error)?;

        let (columns, rows) = decoder.chunk_data_dimensions(index);
        let stride = layout.row_stride.map_or(0, |n| n.get());
        let plane = layout.plane_stride.map_or(0, |n| n.get());
        let source = Source {
            bytes: &chunk[..len],
            stride,
            plane,
            planar: layout.planes > 1,
            samples,
            bits,
            wide,
        };
        let left = (index % across * chunk_width) as usize;
        let top = (index / across * chunk_height) as usize;
        for y in 0..(rows as usize).min(height.saturating_sub(top)) {
            let line = &mut buf[((top + y) * width + left) * channels..];
            let columns = (columns as usize).min(width - left);
            for (x, pixel) in line.chunks_exact_mut(channels).take(columns).enumerate() {
                write(&ink, pixel, |channel| source.sample(x, y, channel));
            }
        }
    }
    pixels::page(buf, size, out, orientation)
}

/// A decoded strip or tile.
struct Source<'a> {
    bytes: &'a [u8],
    /// Bytes of a row.
    stride: usize,
    /// Bytes of a plane, where each channel has its own.
    plane: usize,
    planar: bool,
    /// Of a pixel.
    samples: usize,
    /// Of a sample.
    bits: u8,
    /// Samples were decoded to 16 bits.
    wide: bool,
}

impl Source<'_> {
    /// In its own depth.
    fn sample(&self, x: usize, y: usize, channel: usize) -> (u32, u8) {
        let (base, at) = if self.planar {
            (channel * self.plane + y * self.stride, x)
        } else {
            (y * self.stride, x * self.samples + channel)
        };
        let byte = |i: usize| self.bytes.get(i).copied().unwrap_or(0);
        if self.wide {
            (
                u32::from(u16::from_ne_bytes([
                    byte(base + at * 2),
                    byte(base + at * 2 + 1),
                ])),
                self.bits,
            )
        } else if self.bits == 8 {
            (u32::from(byte(base + at)), 8)
        } else {
            // Rows are packed from the top bit and padded to a byte.
            let bits = usize::from(self.bits);
            let shift = 8 - bits - at * bits % 8;
            (
                u32::from(byte(base + at * bits / 8) >> shift) & ((1 << bits) - 1),
                self.bits,
            )
        }
    }
}

fn write(ink: &Ink, pixel: &mut [u8], sample: impl Fn(usize) -> (u32, u8)) {
    let byte = |channel: usize| {
        let (value, bits) = sample(channel);
        match bits {
            8 => value as u8,
            bits if bits > 8 => (value >> (bits - 8)) as u8,
            bits => (value * 255 / ((1 << bits) - 1)) as u8,
        }
    };
    match ink {
        Ink::Grey => pixel.fill(byte(0)),
        Ink::GreyAlpha => {
            let grey = byte(0);
            pixel.copy_from_slice(&[grey, grey, grey, byte(1)]);
        }
        Ink::Rgb => pixel.copy_from_slice(&[byte(0), byte(1), byte(2)]),
        Ink::Rgba => pixel.copy_from_slice(&[byte(0), byte(1), byte(2), byte(3)]),
        Ink::Cmyk => {
            let paper = 255 - u32::from(byte(3));
            let mix = |ink: u8| ((255 - u32::from(ink)) * paper / 255) as u8;
            pixel.copy_from_slice(&[mix(byte(0)), mix(byte(1)), mix(byte(2))]);
        }
        Ink::YCbCr => {
            // ITU-R BT.601, full range: the default of the tag that could say otherwise.
            let (y, cb, cr) = (
                f32::from(byte(0)),
                f32::from(byte(1)) - 128.0,
                f32::from(byte(2)) - 128.0,
            );
            let rgb = [
                y + 1.402 * cr,
                y - 0.344_136 * cb - 0.714_136 * cr,
                y + 1.772 * cb,
            ];
            pixel.copy_from_slice(&rgb.map(|v| v.round().clamp(0.0, 255.0) as u8));
        }
        Ink::Palette(colours) => pixel.copy_from_slice(&colours[sample(0).0 as usize]),
    }
}

fn colours(decoder: &mut Reader<'_>, bits: u8) -> Result<Vec<[u8; 3]>, ImagingError> {
    let map = decoder
        .find_tag_unsigned_vec::<u16>(Tag::ColorMap)
        .map_err(error)?
        .unwrap_or_default();
    let len = 1usize << bits;
    if map.len() < 3 * len {
        return Err(ImagingError::malformed(
            Format::Tiff,
            "its palette is too short",
        ));
    }
    // The standard has 16-bit colours; writers that put 8-bit ones there are common enough for libtiff to check.
    let shift = if map.iter().all(|v| *v < 256) { 0 } else { 8 };
    Ok((0..len)
        .map(|i| [0, 1, 2].map(|c| (map[c * len + i] >> shift) as u8))
        .collect())
}

/// Tag that [`without_palettes`] leaves on a page whose samples are palette indices.
const PALETTE_MARK: Tag = Tag::Unknown(65_000);

/// The decoder refuses palette pictures, though it can read their samples: in a copy of the file they are declared
/// grey.
fn without_palettes<'a>(bytes: &'a [u8], _limits: &Limits) -> Cow<'a, [u8]> {
    Cow::Borrowed(bytes)
}

fn error(error: TiffError) -> ImagingError {
    match error {
        TiffError::IoError(e) => ImagingError::io(Format::Tiff, &e),
        TiffError::LimitsExceeded => ImagingError::OutOfMemory {
            needed: 0,
            limit: 0,
        },
        TiffError::UnsupportedError(what) => {
            ImagingError::unsupported(Format::Tiff, what.to_string())
        }
        other => ImagingError::malformed(Format::Tiff, other.to_string()),
    }
}
