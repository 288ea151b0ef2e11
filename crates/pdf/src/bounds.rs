//! How large streams get when they are unpacked, found out before somebody does.

use flate2::{Decompress, FlushDecompress, Status};
use hayro::hayro_syntax::object::dict::keys::{CONTENTS, SUBTYPE};
use hayro::hayro_syntax::object::{Array, Name, Object, Stream};
use hayro::hayro_syntax::page::Page;
use hayro::hayro_syntax::{Filter, Pdf};
use maoocr_engine::imaging::{self, ImagingError, Limits};

/// What Deflate makes of a byte at most (RFC 1951: 258 bytes of two bits).
const DEFLATE_RATIO: u64 = 1032;

/// Refuses a file with a stream, other than a picture, that unpacks to more than `limit`, or with streams that all
/// together unpack to more than `all`, bytes. Those too small for either aren't unpacked.
pub fn streams(pdf: &Pdf, limit: u64, all: u64) -> Result<(), ImagingError> {
    let mut sum = 0;
    for object in pdf.objects() {
        if let Object::Stream(stream) = object
            && stream.dict().get::<Name<'_>>(SUBTYPE).as_deref() != Some(b"Image")
        {
            sum += check(&stream, limit)?;
            if sum > all {
                return Err(ImagingError::OutOfMemory { needed: None });
            }
        }
    }
    Ok(())
}

/// Refuses a page whose streams of content, which are put together, unpack to more than `limit`, bytes. Each may be there
/// many times.
pub fn content(page: &Page<'_>, limit: u64) -> Result<(), ImagingError> {
    let Some(streams) = page.raw().get::<Array<'_>>(CONTENTS) else {
        return Ok(());
    };
    let most = |stream: &Stream<'_>| {
        let ratio = DEFLATE_RATIO.saturating_pow(layers(&stream.filters()));
        (stream.raw_data().len() as u64).saturating_mul(ratio)
    };
    let all = || streams.iter::<Stream<'_>>();
    if all().fold(0, |sum: u64, stream| sum.saturating_add(most(&stream))) <= limit {
        return Ok(());
    }
    let mut sum = 0;
    for stream in all() {
        sum += stream.decoded_data().map_or(0, |data| data.len() as u64);
        if sum > limit {
            return Err(ImagingError::OutOfMemory { needed: None });
        }
    }
    Ok(())
}

/// How often data are packed by filters that may make much of little.
fn layers(filters: &[Filter]) -> u32 {
    let packed = |filter: &&Filter| {
        matches!(
            filter,
            Filter::FlateDecode | Filter::LzwDecode | Filter::RunLengthDecode
        )
    };
    filters.iter().filter(packed).count() as u32
}

/// Refuses a picture by its declared size, the size its own data states, and what its data unpacks to.
pub fn picture(
    stream: &Stream<'_>,
    (width, height): (u32, u32),
    limits: &Limits,
) -> Result<(), ImagingError> {
    let check_size = |width: u32, height: u32| {
        if u64::from(width) * u64::from(height) > limits.max_pixels {
            return Err(ImagingError::TooManyPixels {
                width,
                height,
                limit: limits.max_pixels,
            });
        }
        Ok(())
    };
    check_size(width, height)?;
    let filters = stream.filters();
    if filters.contains(&Filter::JpxDecode) {
        if let Some((width, height)) = jpx_size(&stream.raw_data()) {
            check_size(width, height)?;
        }
    } else if filters.as_slice() == [Filter::DctDecode] {
        // What is damaged the renderer leaves out.
        if let Err(
            error @ (ImagingError::TooManyPixels { .. } | ImagingError::OutOfMemory { .. }),
        ) = imaging::probe(&stream.raw_data(), limits)
        {
            return Err(error);
        }
    } else {
        check(stream, limits.max_memory)?;
    }
    Ok(())
}

/// Width and height in a JPEG 2000 codestream's SIZ segment (ISO 15444-1, A.5.1).
fn jpx_size(data: &[u8]) -> Option<(u32, u32)> {
    let at = data
        .windows(4)
        .position(|w| w == [0xff, 0x4f, 0xff, 0x51])?;
    let number = |offset: usize| {
        let bytes = data.get(at + offset..at + offset + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    };
    let (right, bottom, left, top) = (number(8)?, number(12)?, number(16)?, number(20)?);
    Some((right.saturating_sub(left), bottom.saturating_sub(top)))
}

/// What a stream unpacks to, bytes; what is that small by all means counts as nothing.
fn check(stream: &Stream<'_>, limit: u64) -> Result<u64, ImagingError> {
    let filters = stream.filters();
    let layers = layers(&filters);
    if layers == 0 {
        return Ok(0);
    }
    let raw = stream.raw_data();
    let most = (raw.len() as u64).saturating_mul(DEFLATE_RATIO.saturating_pow(layers));
    if most <= limit {
        return Ok(0);
    }
    let too_much = || ImagingError::OutOfMemory { needed: None };
    let mut data = raw.into_owned();
    for filter in &filters {
        match filter {
            Filter::FlateDecode => data = inflate(&data, limit).ok_or_else(too_much)?,
            Filter::AsciiHexDecode | Filter::Ascii85Decode => data = plain(&data, filter),
            // These make at most some 64 and 2,700 bytes of one; files pack once with them.
            Filter::RunLengthDecode if data.len() as u64 * 64 <= limit => {
                return Ok(data.len() as u64 * 64);
            }
            Filter::LzwDecode if data.len() as u64 * 128 <= limit => {
                return Ok(data.len() as u64 * 128);
            }
            Filter::LzwDecode | Filter::RunLengthDecode => return Err(too_much()),
            _ => return Ok(data.len() as u64),
        }
    }
    Ok(data.len() as u64)
}

/// Unpacks up to `limit` bytes; none where there are more. Damage ends it early.
fn inflate(data: &[u8], limit: u64) -> Option<Vec<u8>> {
    let mut decoder = Decompress::new(true);
    let mut out = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let (read, written) = (decoder.total_in(), decoder.total_out());
        let rest = data.get(read as usize..).unwrap_or_default();
        let status = decoder.decompress(rest, &mut chunk, FlushDecompress::None);
        let new = (decoder.total_out() - written) as usize;
        if decoder.total_out() > limit {
            return None;
        }
        out.extend_from_slice(&chunk[..new.min(chunk.len())]);
        let stuck = new == 0 && decoder.total_in() == read;
        if stuck || !matches!(status, Ok(Status::Ok)) {
            return Some(out);
        }
    }
}

/// Bytes of ASCII armour, for their length.
fn plain(data: &[u8], filter: &Filter) -> Vec<u8> {
    let digits: Vec<u8> = data
        .iter()
        .copied()
        .filter(|b| !b.is_ascii_whitespace())
        .take_while(|b| !matches!(b, b'~' | b'>'))
        .collect();
    if matches!(filter, Filter::AsciiHexDecode) {
        let value = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
        return digits
            .chunks(2)
            .map(|c| value(c[0]) << 4 | c.get(1).map_or(0, |b| value(*b)))
            .collect();
    }
    let mut out = Vec::with_capacity(digits.len() / 5 * 4);
    let mut group = Vec::with_capacity(5);
    for digit in digits {
        if digit == b'z' && group.is_empty() {
            out.extend([0; 4]);
            continue;
        }
        group.push(digit.saturating_sub(b'!'));
        if group.len() == 5 {
            let value = group
                .iter()
                .fold(0u64, |v, d| v.wrapping_mul(85).wrapping_add(u64::from(*d)));
            out.extend((value as u32).to_be_bytes());
            group.clear();
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_bomb_is_seen_before_it_goes_off() {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&vec![0; 4 << 20]).unwrap();
        let packed = encoder.finish().unwrap();
        assert!(packed.len() < 8 << 10);
        assert_eq!(inflate(&packed, 4 << 20).map(|d| d.len()), Some(4 << 20));
        assert!(inflate(&packed, (4 << 20) - 1).is_none());
        // Cut short: what there is.
        assert!(inflate(&packed[..packed.len() / 2], 4 << 20).is_some_and(|d| !d.is_empty()));
    }

    #[test]
    fn armour_comes_off() {
        assert_eq!(plain(b"48 65 6C6c6F>", &Filter::AsciiHexDecode), b"Hello");
        assert_eq!(plain(b"87cUR~>", &Filter::Ascii85Decode), b"Hell");
    }
}
