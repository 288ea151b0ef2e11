//! JPEG 2000: JP2 files and bare codestreams.

use hayro_jpeg2000::error::{DecodeError, DecodingError, FormatError, MarkerError};
use hayro_jpeg2000::{ColorSpace, DecodeSettings, DecoderContext, Image as Decoder};
use image::metadata::Orientation;

use super::boxes::boxes;
use super::meta::{Unit, dpi};
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits, checked_size};

/// What the decoder holds of a sample at the worst moment, bytes: coefficients, the transform's halves, the plane.
const PER_SAMPLE: u64 = 12;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Image, Option<f32>), ImagingError> {
    let (decoder, size) = open(bytes, limits)?;
    if !is_complete(bytes) {
        return Err(ImagingError::truncated(
            Format::Jpeg2000,
            "bytes are missing at the end",
        ));
    }
    let colours = decoder.color_space().num_channels();
    let channels = colours + u8::from(decoder.has_alpha());
    let is_cmyk = colours == 4;
    if !matches!((colours, channels), (1, 1 | 2) | (3, 3 | 4) | (4, 4))
        || matches!(decoder.color_space(), ColorSpace::Unknown { .. })
    {
        let what = format!("{channels} channels");
        return Err(ImagingError::unsupported(Format::Jpeg2000, what));
    }
    let samples = Samples { channels, bytes: 1 };
    let peak = u64::from(channels) * PER_SAMPLE + samples.per_pixel().max(3);
    limits.check(size, peak, 0)?;
    let mut buf = pixels::buffer(size, samples)?;
    let mut context = DecoderContext::default();
    let decoded = decoder.decode(&mut context).map_err(error)?;
    let planes = decoded.components();
    let wanted = size.0 as usize * size.1 as usize;
    if planes.len() != usize::from(channels)
        || planes.iter().any(|plane| plane.samples().len() != wanted)
    {
        return Err(ImagingError::malformed(
            Format::Jpeg2000,
            "its components differ in size",
        ));
    }
    decoded.store_u8_into(samples.tail(&mut buf, size));
    drop(context);
    let samples = if is_cmyk {
        for at in 0..wanted {
            let inks = *buf[at * 4..]
                .first_chunk()
                .expect("the buffer has four bytes a pixel");
            buf[at * 3..at * 3 + 3].copy_from_slice(&pixels::cmyk(inks));
        }
        Samples::RGB
    } else {
        samples
    };
    let image = pixels::page(buf, size, samples, Orientation::NoTransforms)?;
    Ok((image, resolution(bytes)))
}

pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    Ok(open(bytes, limits)?.1)
}

fn open<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Decoder<'a>, (u32, u32)), ImagingError> {
    let decoder = Decoder::new(bytes, &DecodeSettings::default()).map_err(error)?;
    let size = checked_size((decoder.width(), decoder.height()), Format::Jpeg2000)?;
    limits.check(size, 3, 0)?;
    Ok((decoder, size))
}

/// Does the codestream end with its end marker? The decoder takes what there is and leaves the rest grey.
fn is_complete(bytes: &[u8]) -> bool {
    let codestream = match bytes.starts_with(b"\xff\x4f") {
        true => Some(bytes),
        false => boxes(bytes)
            .find(|found| found.kind == b"jp2c")
            .filter(|found| found.whole)
            .map(|found| found.data),
    };
    // Some programs fill up with zeros.
    let end = |data: &[u8]| {
        data.iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |at| at + 1)
    };
    codestream.is_some_and(|data| data[..end(data)].ends_with(b"\xff\xd9"))
}

/// The capture resolution, else the one meant for showing it (ISO/IEC 15444-1, I.5.3.7).
fn resolution(bytes: &[u8]) -> Option<f32> {
    let inside = |bytes, kind: &[u8; 4]| {
        boxes(bytes)
            .find(|found| found.kind == kind)
            .map(|found| found.data)
    };
    let stated = inside(inside(bytes, b"jp2h")?, b"res ")?;
    let fields = inside(stated, b"resc").or_else(|| inside(stated, b"resd"))?;
    let number = |at: usize| {
        let bytes = fields.get(at..at + 2)?.try_into().ok()?;
        Some(f64::from(u16::from_be_bytes(bytes)))
    };
    let power = |at: usize| Some(10_f64.powi(fields.get(at)?.cast_signed().into()));
    let down = number(0)? / number(2)? * power(8)?;
    let across = number(4)? / number(6)? * power(9)?;
    dpi(across, down, Unit::Metre)
}

fn error(error: DecodeError) -> ImagingError {
    match error {
        DecodeError::Format(FormatError::Unsupported)
        | DecodeError::Marker(MarkerError::Unsupported) => {
            ImagingError::unsupported(Format::Jpeg2000, error.to_string())
        }
        DecodeError::Decoding(DecodingError::UnexpectedEof) => {
            ImagingError::truncated(Format::Jpeg2000, "bytes are missing at the end")
        }
        other => ImagingError::malformed(Format::Jpeg2000, other.to_string()),
    }
}
