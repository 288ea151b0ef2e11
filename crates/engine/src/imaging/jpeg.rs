//! JPEG.
//!
//! The decoder's lenient mode paints what is missing grey, and either mode reads zeros once the data are used up;
//! both would pass for a page without text. So: strict first. Where that fails, lenient, unless more than the last
//! 3 % of the picture is then grey. And the file is read with another tail where its end marker is missing, its last
//! blocks look like read zeros, or it is progressive (zeros show nowhere in particular then) or small: a picture
//! that depends on the tail was cut short.

use std::borrow::Cow;

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::meta::{Meta, Unit, dpi};
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits, checked_size};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Image, Option<f32>), ImagingError> {
    let stated = density(bytes);
    let bytes = &*plain(bytes);
    let frame = Frame::scan(bytes)?;
    let (size, meta) = header(bytes, limits)?;
    // Some files are read from a copy with another tail.
    let peak = pixels::peak(frame.bytes_per_pixel(), meta);
    limits.check(size, peak, bytes.len() as u64)?;
    let rgb = match frame.end {
        Some(end) => whole(bytes, end, size, frame.progressive)?,
        None => padded(bytes, size, &[0x00, 0x6b])?,
    };
    let page = pixels::page(rgb, size, Samples::RGB, meta.orientation)?;
    Ok((page, meta.with_dpi(stated).dpi))
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    let (size, meta) = header(&plain(bytes), limits)?;
    Ok(pixels::turned(size, meta.orientation))
}

/// Width and height that the header declares, px; read as the TIFF decoder will read it.
pub(super) fn declared(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut decoder = JpegDecoder::new(ZCursor::new(bytes));
    decoder.decode_headers().ok()?;
    let (width, height) = decoder.dimensions()?;
    Some((u32::try_from(width).ok()?, u32::try_from(height).ok()?))
}

/// The resolution in the JFIF header, which is the first segment.
fn density(bytes: &[u8]) -> Option<f32> {
    let header = bytes.strip_prefix(b"\xff\xd8\xff\xe0")?.get(2..14)?;
    let [b'J', b'F', b'I', b'F', 0, _, _, unit, x0, x1, y0, y1] = *header else {
        return None;
    };
    let unit = match unit {
        1 => Unit::Inch,
        2 => Unit::Centimetre,
        _ => return None,
    };
    let [x, y] = [[x0, x1], [y0, y1]].map(|v| f64::from(u16::from_be_bytes(v)));
    dpi(x, y, unit)
}

fn options(strict: bool) -> DecoderOptions {
    DecoderOptions::default()
        .jpeg_set_out_colorspace(ColorSpace::RGB)
        .set_strict_mode(strict)
        .set_max_width(usize::MAX)
        .set_max_height(usize::MAX)
}

/// The file, or where the decoder stumbles over its headers, the file without what programs add to them.
fn plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(false));
    if decoder.decode_headers().is_ok() {
        return Cow::Borrowed(bytes);
    }
    let mut plain = vec![0xff, 0xd8];
    let mut at = 2;
    while let Some([0xff, marker @ (0xc0..=0xcf | 0xdb..=0xfe), high, low]) = bytes.get(at..at + 4)
    {
        if *marker == 0xda {
            break;
        }
        let end = (at + 2 + usize::from(u16::from_be_bytes([*high, *low])).max(2)).min(bytes.len());
        if !matches!(marker, 0xe0..=0xef | 0xfe) {
            plain.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
    plain.extend_from_slice(&bytes[at..]);
    Cow::Owned(plain)
}

fn header(bytes: &[u8], limits: &Limits) -> Result<((u32, u32), Meta), ImagingError> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(false));
    decoder.decode_headers().map_err(error)?;
    let (width, height) = decoder.dimensions().unwrap_or_default();
    let size = checked_size((width as u32, height as u32), Format::Jpeg)?;
    limits.check(size, 3, 0)?;
    match decoder.input_colorspace() {
        Some(ColorSpace::MultiBand(n)) => {
            return Err(ImagingError::unsupported(
                Format::Jpeg,
                format!("{n} colour channels"),
            ));
        }
        Some(_) => {}
        None => {
            return Err(ImagingError::malformed(
                Format::Jpeg,
                "no colours are declared",
            ));
        }
    }
    Ok((size, Meta::of_exif(decoder.exif().map(Vec::as_slice))))
}

fn read(bytes: &[u8], size: (u32, u32), strict: bool) -> Result<Vec<u8>, DecodeErrors> {
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options(strict));
    decoder.decode_headers()?;
    let mut rgb =
        pixels::buffer(size, Samples::RGB).map_err(|e| DecodeErrors::Format(e.to_string()))?;
    if decoder.output_buffer_size() != Some(rgb.len()) {
        return Err(DecodeErrors::FormatStatic(
            "the colours are not what the header declares",
        ));
    }
    decoder.decode_into(&mut rgb)?;
    Ok(rgb)
}

/// Reads a file that has an end marker at `end`.
fn whole(
    bytes: &[u8],
    end: usize,
    size: (u32, u32),
    progressive: bool,
) -> Result<Vec<u8>, ImagingError> {
    // A second reading doubles the time, so a large picture must give cause for it.
    const SMALL: u64 = 1_000_000;
    let doubt = |rgb: &[u8]| {
        progressive || u64::from(size.0) * u64::from(size.1) < SMALL || ends_in_repeats(rgb, size)
    };
    let strict = match read(bytes, size, true) {
        Ok(rgb) if !doubt(&rgb) => return Ok(rgb),
        Ok(rgb) => {
            // A blank margin, or the zeros the decoder reads once the data are used up?
            let first = checksum(&rgb);
            drop(rgb);
            let rgb = padded(&bytes[..end], size, &[0x6b])?;
            return if checksum(&rgb) == first {
                Ok(rgb)
            } else {
                Err(cut())
            };
        }
        Err(e) => e,
    };
    let rgb = read(bytes, size, false).map_err(error)?;
    let row = size.0 as usize * 3;
    let grey = rgb
        .chunks_exact(row)
        .rev()
        .take_while(|row| row.iter().all(|v| *v == 128))
        .count();
    // A scan that lost its last rows is worth reading (the black edge below a receipt); one that lost text is not.
    if grey * 32 > size.1 as usize {
        return Err(error(strict));
    }
    Ok(rgb)
}

fn cut() -> ImagingError {
    ImagingError::truncated(Format::Jpeg, "its lower part is missing")
}

/// Reads data without their end marker, once with each filler behind them; complete data read the same.
fn padded(data: &[u8], size: (u32, u32), fillers: &[u8]) -> Result<Vec<u8>, ImagingError> {
    // A marker cut in half would swallow the filler.
    let data = data.strip_suffix(&[0xff]).unwrap_or(data);
    let mut first = None;
    let mut rgb = Vec::new();
    for filler in fillers {
        drop(std::mem::take(&mut rgb));
        let mut file = Vec::with_capacity(data.len() + 66);
        file.extend_from_slice(data);
        file.extend([*filler; 64]);
        file.extend([0xff, 0xd9]);
        rgb = read(&file, size, true)
            .map_err(|e| ImagingError::truncated(Format::Jpeg, e.to_string()))?;
        let sum = checksum(&rgb);
        if *first.get_or_insert(sum) != sum {
            return Err(cut());
        }
    }
    Ok(rgb)
}

/// FNV-1a over words.
fn checksum(rgb: &[u8]) -> u64 {
    let (words, rest) = rgb.as_chunks::<8>();
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(0x100_0000_01b3).rotate_left(23);
    let hash = words.iter().fold(0xcbf2_9ce4_8422_2325, |hash, word| {
        mix(hash, u64::from_le_bytes(*word))
    });
    rest.iter()
        .fold(hash, |hash, byte| mix(hash, u64::from(*byte)))
}

/// Are the last blocks of the last rows alike? Read from zeros they are, but for a drift.
fn ends_in_repeats(rgb: &[u8], size: (u32, u32)) -> bool {
    const BLOCK: usize = 16 * 3;
    const DRIFT: u8 = 6;
    let row = size.0 as usize * 3;
    rgb.chunks_exact(row).rev().take(4).all(|line| {
        let line = &line[row / 2..];
        let ahead = line.get(BLOCK..).unwrap_or_default();
        line.iter().zip(ahead).all(|(a, b)| a.abs_diff(*b) <= DRIFT)
    })
}

/// What the markers say.
struct Frame {
    progressive: bool,
    /// Samples of all components over samples of the picture's grid, in quarters.
    quarters: u64,
    /// Where the end marker stands that follows the last scan.
    end: Option<usize>,
}

impl Frame {
    fn scan(bytes: &[u8]) -> Result<Self, ImagingError> {
        let mut frame = Self {
            progressive: false,
            quarters: 12,
            end: None,
        };
        let mut scans = 0;
        let mut at = 2;
        while at + 1 < bytes.len() {
            if bytes[at] != 0xff {
                at += 1;
                continue;
            }
            let marker = bytes[at + 1];
            match marker {
                0xff => at += 1,
                0x00 | 0x01 | 0xd0..=0xd8 => at += 2,
                0xd9 => {
                    if scans > 0 {
                        frame.end = Some(at);
                        break;
                    }
                    at += 2;
                }
                // Entropy-coded data holds no markers but restarts; a reserved one there is noise.
                0x02..=0xbf if scans > 0 => at += 2,
                _ => {
                    let Some(len) = bytes.get(at + 2..at + 4) else {
                        break;
                    };
                    let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
                    if marker == 0xda {
                        scans += 1;
                    } else if matches!(marker, 0xc0..=0xc2) {
                        frame.progressive = marker == 0xc2;
                        frame.read_sampling(bytes.get(at + 4..).unwrap_or_default());
                    } else if matches!(marker, 0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf) {
                        let what = match marker {
                            0xc3 => "lossless coding",
                            0xc9..=0xcb => "arithmetic coding",
                            _ => "hierarchical coding",
                        };
                        return Err(ImagingError::unsupported(Format::Jpeg, what));
                    }
                    at += 2 + len.max(2);
                }
            }
        }
        if scans == 0 {
            return Err(ImagingError::truncated(Format::Jpeg, "no picture data"));
        }
        Ok(frame)
    }

    fn read_sampling(&mut self, segment: &[u8]) {
        let components = segment.get(6..).unwrap_or_default().chunks_exact(3);
        let areas: Vec<u64> = components
            .take(usize::from(segment.get(5).copied().unwrap_or(0)).min(4))
            .map(|c| u64::from(c[1] >> 4) * u64::from(c[1] & 15))
            .collect();
        let largest = areas.iter().copied().max().unwrap_or(1).max(1);
        self.quarters = (areas.iter().sum::<u64>() * 4).div_ceil(largest).max(4);
    }

    /// At the worst moment: RGB, and the 16-bit coefficients of all components in a progressive picture.
    fn bytes_per_pixel(&self) -> u64 {
        3 + if self.progressive {
            (self.quarters * 2).div_ceil(4)
        } else {
            0
        }
    }
}

fn error(error: DecodeErrors) -> ImagingError {
    match error {
        DecodeErrors::Unsupported(what) => {
            ImagingError::unsupported(Format::Jpeg, format!("{what:?}"))
        }
        DecodeErrors::ExhaustedData => {
            ImagingError::truncated(Format::Jpeg, "bytes are missing at the end")
        }
        DecodeErrors::FormatStatic("Premature end of buffer") => {
            ImagingError::truncated(Format::Jpeg, "bytes are missing at the end")
        }
        DecodeErrors::IoErrors(e) => ImagingError::truncated(Format::Jpeg, format!("{e:?}")),
        other => ImagingError::malformed(Format::Jpeg, other.to_string()),
    }
}
