//! JPEG.
//!
//! The decoder's lenient mode paints what is missing grey, which would pass for a page without text. So: strict
//! first. Where that fails, lenient, unless more than the last
//! 3 % of the picture is then grey. And a file without its end
//! marker is read with two different tails: a picture that depends on the tail was cut short.

use std::borrow::Cow;

use image::metadata::Orientation;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::pixels::{self, Samples};
use super::{Format, ImagingError, Limits, Page, checked_size};

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<Page, ImagingError> {
    let frame = Frame::scan(bytes)?;
    let bytes = &*plain(bytes);
    let (size, orientation) = header(bytes, limits)?;
    limits.check(
        size,
        frame.bytes_per_pixel(),
        if frame.ended {
            0
        } else {
            2 * bytes.len() as u64
        },
    )?;
    let rgb = if frame.ended {
        whole(bytes, size)?
    } else {
        unended(bytes, size)?
    };
    pixels::page(rgb, size, Samples::RGB, orientation)
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    let (size, orientation) = header(&plain(bytes), limits)?;
    Ok(pixels::turned(size, orientation))
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

fn header(bytes: &[u8], limits: &Limits) -> Result<((u32, u32), Orientation), ImagingError> {
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
    Ok((size, pixels::orientation(decoder.exif().map(Vec::as_slice))))
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

fn whole(bytes: &[u8], size: (u32, u32)) -> Result<Vec<u8>, ImagingError> {
    let strict = match read(bytes, size, true) {
        Ok(rgb) => return Ok(rgb),
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

/// Reads a file that has no end marker: complete but for the marker, or cut short?
fn unended(bytes: &[u8], size: (u32, u32)) -> Result<Vec<u8>, ImagingError> {
    let cut = |detail: String| ImagingError::truncated(Format::Jpeg, detail);
    let with_tail = |filler: u8| {
        let mut padded = Vec::with_capacity(bytes.len() + 66);
        padded.extend_from_slice(bytes);
        // A marker cut in half would swallow the filler.
        if padded.last() == Some(&0xff) {
            padded.pop();
        }
        padded.extend([filler; 64]);
        padded.extend([0xff, 0xd9]);
        read(&padded, size, true).map_err(|e| cut(e.to_string()))
    };
    let sum = |rgb: &[u8]| {
        rgb.iter().fold(0xcbf2_9ce4_8422_2325_u64, |h, v| {
            (h ^ u64::from(*v)).wrapping_mul(0x100_0000_01b3)
        })
    };
    let first = sum(&with_tail(0x00)?);
    let second = with_tail(0x6b)?;
    if sum(&second) != first {
        return Err(cut("its lower part is missing".into()));
    }
    Ok(second)
}

/// What the markers say.
struct Frame {
    progressive: bool,
    /// Samples of all components over samples of the picture's grid, in quarters.
    quarters: u64,
    /// An end marker follows the last scan.
    ended: bool,
}

impl Frame {
    fn scan(bytes: &[u8]) -> Result<Self, ImagingError> {
        let mut frame = Self {
            progressive: false,
            quarters: 12,
            ended: false,
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
                        frame.ended = true;
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
