//! JPEG XL: bare codestreams and those in boxes; of an animation the first frame.

use std::borrow::Cow;

use image::metadata::Orientation;
use jxl_oxide::{
    AllocTracker, EnumColourEncoding, InitializeResult, JxlImage, JxlThreadPool, PixelFormat,
    RenderingIntent,
};

use super::boxes::boxes;
use super::meta::Meta;
use super::pixels::{self, Samples};
use super::{Format, Image, ImagingError, Limits, checked_size};

/// What the decoder holds of a pixel at least, bytes: three planes of 32 bits.
const PLANES: u64 = 12;

pub(super) fn decode(bytes: &[u8], limits: &Limits) -> Result<(Image, Option<f32>), ImagingError> {
    let file = File::of(bytes);
    let (mut decoder, size, fed) = open(&file, limits)?;
    for piece in file.codestream[fed..].chunks(64 << 10) {
        if decoder.num_loaded_keyframes() > 0 {
            break;
        }
        decoder.feed_bytes(piece).map_err(error)?;
    }
    if decoder.num_loaded_keyframes() == 0 {
        return Err(missing());
    }
    // A profile needs a library of its own to be followed; text is legible without.
    if decoder.original_icc().is_none() {
        let srgb = match decoder.pixel_format().is_grayscale() {
            true => EnumColourEncoding::gray_srgb(RenderingIntent::Relative),
            false => EnumColourEncoding::srgb(RenderingIntent::Relative),
        };
        decoder.request_color_encoding(srgb);
    }
    let samples = match decoder.pixel_format() {
        PixelFormat::Cmyk | PixelFormat::Cmyka => {
            return Err(ImagingError::unsupported(Format::JpegXl, "CMYK"));
        }
        format => Samples {
            channels: format.channels() as u8,
            bytes: 1,
        },
    };
    limits.check(size, PLANES + samples.per_pixel().max(3), 0)?;
    let multiplied = decoder
        .image_header()
        .metadata
        .ec_info
        .iter()
        .any(|channel| channel.alpha_associated() == Some(true));
    let render = decoder.render_frame(0).map_err(error)?;
    let mut buf = pixels::buffer(size, samples)?;
    let mut stream = render.stream();
    if (stream.width(), stream.height()) != size || stream.channels() != u32::from(samples.channels)
    {
        return Err(ImagingError::malformed(
            Format::JpegXl,
            "its frame differs from its header",
        ));
    }
    stream.write_to_buffer(samples.tail(&mut buf, size));
    if multiplied {
        let channels = usize::from(samples.channels);
        for pixel in samples.tail(&mut buf, size).chunks_exact_mut(channels) {
            if let Some((alpha, colours)) = pixel.split_last_mut() {
                colours
                    .iter_mut()
                    .for_each(|c| *c = pixels::unmultiplied(*c, *alpha));
            }
        }
    }
    let dpi = Meta::of_exif(file.exif).dpi;
    // The decoder has turned it.
    let image = pixels::page(buf, size, samples, Orientation::NoTransforms)?;
    Ok((image, dpi))
}

/// Size as it will be decoded (orientation applied), px.
pub(super) fn size(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImagingError> {
    Ok(open(&File::of(bytes), limits)?.1)
}

/// The parts of a file that count. The decoder knows the boxes too, but unpacks those that are compressed, whatever
/// they unpack to.
struct File<'a> {
    codestream: Cow<'a, [u8]>,
    exif: Option<&'a [u8]>,
}

impl<'a> File<'a> {
    fn of(bytes: &'a [u8]) -> Self {
        if bytes.starts_with(b"\xff\x0a") {
            return Self {
                codestream: Cow::Borrowed(bytes),
                exif: None,
            };
        }
        let mut file = Self {
            codestream: Cow::Borrowed(&[]),
            exif: None,
        };
        for found in boxes(bytes) {
            match found.kind {
                b"jxlc" => file.codestream = Cow::Borrowed(found.data),
                // A part, after its number.
                b"jxlp" => {
                    let part = found.data.get(4..).unwrap_or_default();
                    file.codestream.to_mut().extend_from_slice(part);
                }
                // After the offset at which it begins, which is 0.
                b"Exif" => file.exif = found.data.get(4..),
                _ => {}
            }
        }
        file
    }
}

/// A decoder that knows the picture's size, which is within the limits, and how many bytes it took for that.
fn open(file: &File<'_>, limits: &Limits) -> Result<(JxlImage, (u32, u32), usize), ImagingError> {
    let room = usize::try_from(limits.max_memory).unwrap_or(usize::MAX);
    let mut waiting = JxlImage::builder()
        .pool(JxlThreadPool::none())
        .alloc_tracker(AllocTracker::with_limit(room))
        .build_uninit();
    // The header is parsed anew each time: pieces grow, so that all of it takes no more than twice its length.
    let (mut fed, mut piece) = (0, 64);
    loop {
        if fed == file.codestream.len() {
            return Err(missing());
        }
        let end = (fed + piece).min(file.codestream.len());
        waiting
            .feed_bytes(&file.codestream[fed..end])
            .map_err(error)?;
        (fed, piece) = (end, piece * 2);
        match waiting.try_init().map_err(error)? {
            InitializeResult::NeedMoreData(more) => waiting = more,
            InitializeResult::Initialized(decoder) => {
                let size = checked_size((decoder.width(), decoder.height()), Format::JpegXl)?;
                limits.check(size, 3, 0)?;
                return Ok((decoder, size, fed));
            }
        }
    }
}

fn missing() -> ImagingError {
    ImagingError::truncated(Format::JpegXl, "bytes are missing at the end")
}

/// The decoder's errors are opaque; what they say of memory is its own limit.
fn error(error: impl std::fmt::Display) -> ImagingError {
    let detail = error.to_string();
    if detail.contains("memory") || detail.contains("allocate") {
        return ImagingError::OutOfMemory { needed: None };
    }
    ImagingError::malformed(Format::JpegXl, detail)
}
