//! TIFF: every page, chunk by chunk, so that only the RGB of a page and one strip or tile are held.
//!
//! Read: 1, 2, 4, 8 and 16 bits of grey, palette, RGB and CMYK, with or without alpha, in strips, tiles or planes;
//! uncompressed, PackBits, LZW, Deflate, JPEG, CCITT group 4; BigTIFF. Refused as unsupported: CCITT group 3 and
//! RLE, ZSTD, old-style JPEG, 12-bit, signed and floating-point samples, Lab and LogLuv, subsampled YCbCr that is
//! not JPEG.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::Cursor;

use image::metadata::Orientation;
use tiff::decoder::{ChunkType, Decoder, DecodingSampleType};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError};

use super::pixels::{self, Samples};
use super::{Format, ImagingError, Limits, Page, checked_size};

type Reader<'a> = Decoder<Cursor<Cow<'a, [u8]>>>;

/// The pages of a file, decoded one by one.
pub(super) struct Pages<'a> {
    decoder: Reader<'a>,
    palettes: BTreeSet<u64>,
    /// Pages so far.
    pages: usize,
    /// Directories so far, those of thumbnails and masks among them.
    visited: usize,
}

impl<'a> Pages<'a> {
    pub(super) fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ImagingError> {
        let Mended { bytes, palettes } = mend(bytes, limits);
        Ok(Self {
            decoder: open(bytes, limits)?,
            palettes,
            pages: 0,
            visited: 0,
        })
    }

    /// The next page, beside `held` bytes of others; `None` after the last.
    pub(super) fn next(
        &mut self,
        limits: &Limits,
        held: u64,
    ) -> Result<Option<Page>, ImagingError> {
        loop {
            if self.visited > 0 && !next(&mut self.decoder)? {
                return Ok(None);
            }
            self.visited += 1;
            let is_page = self.pages == 0 || !is_auxiliary(&mut self.decoder);
            if self.visited > directories(limits) || is_page && self.pages == limits.max_pages {
                return Err(ImagingError::TooManyPages {
                    limit: limits.max_pages,
                });
            }
            if !is_page {
                continue;
            }
            self.pages += 1;
            let palette = self
                .decoder
                .ifd_pointer()
                .is_some_and(|at| self.palettes.contains(&at.0));
            return page(&mut self.decoder, palette, limits, held).map(Some);
        }
    }
}

/// Size of the first page and the number of pages.
pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<((u32, u32), usize), ImagingError> {
    let mut decoder = open(mend(bytes, limits).bytes, limits)?;
    let size = checked_size(decoder.dimensions().map_err(error)?, Format::Tiff)?;
    limits.check(size, 3, 0)?;
    let size = pixels::turned(size, orientation(&mut decoder));
    let mut pages = 1;
    let mut visited = 1;
    while next(&mut decoder)? {
        visited += 1;
        pages += usize::from(!is_auxiliary(&mut decoder));
        if pages > limits.max_pages || visited > directories(limits) {
            return Err(ImagingError::TooManyPages {
                limit: limits.max_pages,
            });
        }
    }
    Ok((size, pages))
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

/// How many directories of a file are visited: thumbnails and masks do not count as pages, but take time.
fn directories(limits: &Limits) -> usize {
    limits.max_pages.saturating_mul(4)
}

/// Goes to the next page, if there is one.
fn next(decoder: &mut Reader<'_>) -> Result<bool, ImagingError> {
    if !decoder.more_images() {
        return Ok(false);
    }
    decoder.next_image().map_err(error)?;
    Ok(true)
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

/// Most samples a pixel: five inks and some more. Of 65,535, which a file may declare, the decoder would unpack and
/// drop nearly all.
const MAX_SAMPLES: usize = 8;

/// How a chunk's samples become RGB or RGBA.
enum Ink {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba {
        /// The colours were multiplied with alpha.
        multiplied: bool,
    },
    Cmyk,
    YCbCr,
    /// 256 colours or fewer.
    Palette(Vec<[u8; 3]>),
}

fn page(
    decoder: &mut Reader<'_>,
    palette: bool,
    limits: &Limits,
    held: u64,
) -> Result<Page, ImagingError> {
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
        ColorType::Gray(bits @ (1..=8)) if palette => {
            (Ink::Palette(colours(decoder, bits)?), 1, bits)
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
    let jpeg = JpegChunks::of(decoder)?;
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
        let mut source = Source {
            bytes: &[],
            stride: 0,
            plane: 0,
            planar,
            samples,
            bits,
            wide: false,
        };
        let (mut columns, mut rows) = (usize::MAX, usize::MAX);
        for plane in 0..planes {
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
    pixels::page(buf, size, out, orientation)
}

/// Strips or tiles that are JPEGs: the decoder unpacks each at the size that its own header says.
struct JpegChunks {
    /// What their headers have in common.
    tables: Vec<u8>,
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

impl JpegChunks {
    fn of(decoder: &mut Reader<'_>) -> Result<Option<Self>, ImagingError> {
        const JPEG: u16 = 7;
        let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression);
        if compression.map_err(error)? != Some(JPEG) {
            return Ok(None);
        }
        let (offsets, lengths) = match decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
        };
        let mut numbers = |tag| {
            let found = decoder.find_tag_unsigned_vec::<u64>(tag).map_err(error)?;
            Ok::<_, ImagingError>(found.unwrap_or_default())
        };
        let (offsets, lengths) = (numbers(offsets)?, numbers(lengths)?);
        let tables = match decoder.find_tag(Tag::JPEGTables).map_err(error)? {
            Some(tables) => tables.into_u8_vec().map_err(error)?,
            None => Vec::new(),
        };
        Ok(Some(Self {
            tables,
            offsets,
            lengths,
        }))
    }

    /// Width and height, px.
    fn size(&self, file: &[u8], chunk: u32) -> Result<(u32, u32), ImagingError> {
        let field = |list: &[u64]| {
            let value = list.get(chunk as usize).copied();
            value.and_then(|v| usize::try_from(v).ok()).unwrap_or(0)
        };
        let (start, length) = (field(&self.offsets), field(&self.lengths));
        let chunk = file
            .get(start..start.saturating_add(length).min(file.len()))
            .unwrap_or_default();
        // The tables' end and the chunk's start are left out where they meet.
        let size = match self.tables.len().checked_sub(2) {
            None => super::jpeg::declared(chunk),
            Some(end) => {
                let mut whole = self.tables[..end].to_vec();
                whole.extend_from_slice(chunk.get(2..).unwrap_or_default());
                super::jpeg::declared(&whole)
            }
        };
        size.ok_or_else(|| ImagingError::malformed(Format::Tiff, "the JPEG in it has no header"))
    }
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

impl Ink {
    /// Converts the row `y` of a chunk.
    fn row(&self, source: &Source<'_>, y: usize, line: &mut [u8]) {
        // What scanners write, without the generality of the rest.
        let packed = source.bytes.get(y * source.stride..).unwrap_or_default();
        match self {
            Self::Grey if source.bits == 1 && source.samples == 1 => {
                for (pixels, byte) in line.chunks_mut(24).zip(packed) {
                    for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                        pixel.fill(if byte >> (7 - i) & 1 == 1 { 255 } else { 0 });
                    }
                }
            }
            Self::Grey if source.bits == 8 && source.samples == 1 => {
                for (pixel, grey) in line.chunks_exact_mut(3).zip(packed) {
                    pixel.fill(*grey);
                }
            }
            Self::Rgb if source.bits == 8 && !source.planar => {
                for (pixel, rgb) in line.chunks_exact_mut(3).zip(packed.chunks_exact(3)) {
                    pixel.copy_from_slice(rgb);
                }
            }
            Self::GreyAlpha | Self::Rgba { .. } => {
                for (x, pixel) in line.chunks_exact_mut(4).enumerate() {
                    write(self, pixel, |channel| source.sample(x, y, channel));
                }
            }
            _ => {
                for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
                    write(self, pixel, |channel| source.sample(x, y, channel));
                }
            }
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
        Ink::Rgba { multiplied } => {
            let alpha = byte(3);
            let own = |colour: u8| match alpha {
                0 => 0,
                alpha if *multiplied => (u32::from(colour) * 255 / u32::from(alpha)).min(255) as u8,
                _ => colour,
            };
            pixel.copy_from_slice(&[own(byte(0)), own(byte(1)), own(byte(2)), alpha]);
        }
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

/// A file mended where the decoder would refuse what it could read.
struct Mended<'a> {
    bytes: Cow<'a, [u8]>,
    /// Directories of pages whose samples are palette indices.
    palettes: BTreeSet<u64>,
}

/// In a copy of the file, palette pages are declared grey, since the decoder reads the samples of those; and a
/// chain of pages that bites its tail ends there. Anything amiss is left for the decoder to report.
fn mend<'a>(bytes: &'a [u8], limits: &Limits) -> Mended<'a> {
    const PHOTOMETRIC: u64 = 262;
    const PALETTE: u64 = 3;
    const BLACK_IS_ZERO: u8 = 1;

    let mut mended = Mended {
        bytes: Cow::Borrowed(bytes),
        palettes: BTreeSet::new(),
    };
    let little = bytes.starts_with(b"II");
    let big = bytes.get(if little { 2 } else { 3 }) == Some(&43);
    let number = |at: usize, len: usize| -> Option<u64> {
        let field = bytes.get(at..at.checked_add(len)?)?;
        let fold = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
        Some(if little {
            field.iter().rev().fold(0, fold)
        } else {
            field.iter().fold(0, fold)
        })
    };
    // Lengths of an offset, of a count of entries, of an entry, and where its value stands.
    let (offset, count, entry, value) = if big { (8, 8, 20, 12) } else { (4, 2, 12, 8) };
    let mut seen = BTreeSet::new();
    let mut link = offset;
    while let Some(directory) = number(link, offset).filter(|at| *at != 0) {
        // More than `next` will visit.
        if seen.len() > directories(limits) {
            break;
        }
        if !seen.insert(directory) {
            mended.bytes.to_mut()[link..link + offset].fill(0);
            break;
        }
        let Ok(start) = usize::try_from(directory) else {
            break;
        };
        let Some(entries) = number(start, count).and_then(|n| usize::try_from(n).ok()) else {
            break;
        };
        let Some(first) = start.checked_add(count) else {
            break;
        };
        let end = entries
            .checked_mul(entry)
            .and_then(|len| first.checked_add(len));
        let Some(end) = end.filter(|end| *end <= bytes.len()) else {
            break;
        };
        for at in (first..end).step_by(entry) {
            if number(at, 2) == Some(PHOTOMETRIC) && number(at + value, 2) == Some(PALETTE) {
                mended.palettes.insert(directory);
                mended.bytes.to_mut()[at + value + usize::from(!little)] = BLACK_IS_ZERO;
            }
        }
        link = end;
    }
    mended
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
