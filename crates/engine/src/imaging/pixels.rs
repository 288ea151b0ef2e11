//! Decoded samples → 8-bit RGB, in the buffer they were decoded into.
//!
//! Grey samples lie at the end of a buffer of three bytes a pixel and are widened from its start: the writer never
//! overtakes the reader. A 1-bit A4 page at 600 dpi thus costs 3 bytes a pixel, not 4.

use image::metadata::Orientation;
use image::{ColorType, DynamicImage, RgbImage};

use super::meta::Meta;
use super::{Image, ImagingError};

/// How the samples of one pixel lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Samples {
    /// 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
    pub channels: u8,
    /// Bytes of a sample, 1 or 2 (native order).
    pub bytes: u8,
}

impl Samples {
    pub(super) const RGB: Self = Self {
        channels: 3,
        bytes: 1,
    };
    pub(super) const RGBA: Self = Self {
        channels: 4,
        bytes: 1,
    };

    /// `None` for floating point.
    pub(super) fn of(color: ColorType) -> Option<Self> {
        let bytes = match color {
            ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => 1,
            ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => 2,
            _ => return None,
        };
        Some(Self {
            channels: color.channel_count(),
            bytes,
        })
    }

    /// Bytes.
    pub(super) fn per_pixel(self) -> u64 {
        u64::from(self.channels) * u64::from(self.bytes)
    }

    /// The part of a [`buffer`] that the decoder fills.
    pub(super) fn tail(self, buf: &mut [u8], size: (u32, u32)) -> &mut [u8] {
        let len = size.0 as usize * size.1 as usize * self.per_pixel() as usize;
        let start = buf.len() - len;
        &mut buf[start..]
    }
}

/// Zeroed room for the samples and for the RGB they become.
pub(super) fn buffer(size: (u32, u32), samples: Samples) -> Result<Vec<u8>, ImagingError> {
    let needed = u64::from(size.0) * u64::from(size.1) * samples.per_pixel().max(3);
    zeroed(needed)
}

/// `len` zero bytes, or an error where the machine has no room for them.
pub(super) fn zeroed(len: u64) -> Result<Vec<u8>, ImagingError> {
    let full = || ImagingError::OutOfMemory { needed: Some(len) };
    let len = usize::try_from(len).map_err(|_| full())?;
    let mut buf = Vec::new();
    buf.try_reserve_exact(len).map_err(|_| full())?;
    buf.resize(len, 0);
    Ok(buf)
}

/// The page that a filled [`buffer`] holds.
pub(super) fn page(
    mut buf: Vec<u8>,
    size: (u32, u32),
    samples: Samples,
    orientation: Orientation,
) -> Result<Image, ImagingError> {
    match (samples.channels, samples.bytes) {
        (1, 1) => to_rgb::<1, 1>(&mut buf, size),
        (1, _) => to_rgb::<1, 2>(&mut buf, size),
        (2, 1) => to_rgb::<2, 1>(&mut buf, size),
        (2, _) => to_rgb::<2, 2>(&mut buf, size),
        (3, 1) => {}
        (3, _) => to_rgb::<3, 2>(&mut buf, size),
        (_, 1) => to_rgb::<4, 1>(&mut buf, size),
        (_, _) => to_rgb::<4, 2>(&mut buf, size),
    }
    buf.truncate(size.0 as usize * size.1 as usize * 3);
    buf.shrink_to_fit();
    if orientation == Orientation::NoTransforms {
        return Ok(Image {
            width: size.0,
            height: size.1,
            rgb: buf,
        });
    }
    let picture =
        RgbImage::from_raw(size.0, size.1, buf).expect("the buffer was made for this size");
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    let picture = picture.into_rgb8();
    Ok(Image {
        width: picture.width(),
        height: picture.height(),
        rgb: picture.into_raw(),
    })
}

/// `size` after `orientation`.
pub(super) fn turned(size: (u32, u32), orientation: Orientation) -> (u32, u32) {
    if is_quarter_turn(orientation) {
        (size.1, size.0)
    } else {
        size
    }
}

/// Bytes a pixel at the worst moment, where decoding takes `decoding`: a quarter turn copies the RGB.
pub(super) fn peak(decoding: u64, meta: Meta) -> u64 {
    if is_quarter_turn(meta.orientation) {
        decoding.max(6)
    } else {
        decoding
    }
}

fn is_quarter_turn(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// Samples wider than a byte are cut to their upper one.
fn sample<const BYTES: usize>(pixel: &[u8], channel: usize) -> u8 {
    if BYTES == 1 {
        pixel[channel]
    } else {
        (u16::from_ne_bytes([pixel[channel * 2], pixel[channel * 2 + 1]]) >> 8) as u8
    }
}

fn to_rgb<const CHANNELS: usize, const BYTES: usize>(buf: &mut [u8], size: (u32, u32)) {
    let pixels = size.0 as usize * size.1 as usize;
    let step = CHANNELS * BYTES;
    let start = buf.len() - pixels * step;
    let alpha = matches!(CHANNELS, 2 | 4);
    let back = if alpha {
        background::<CHANNELS, BYTES>(&buf[start..])
    } else {
        255
    };
    for i in 0..pixels {
        let from = start + i * step;
        let pixel = &buf[from..from + step];
        let [r, g, b] = if CHANNELS <= 2 {
            [sample::<BYTES>(pixel, 0); 3]
        } else {
            [0, 1, 2].map(|c| sample::<BYTES>(pixel, c))
        };
        let rgb = if alpha {
            let alpha = u32::from(sample::<BYTES>(pixel, CHANNELS - 1));
            [r, g, b].map(|v| {
                ((u32::from(v) * alpha + u32::from(back) * (255 - alpha) + 127) / 255) as u8
            })
        } else {
            [r, g, b]
        };
        buf[i * 3..i * 3 + 3].copy_from_slice(&rgb);
    }
}

/// Ink over paper, without a profile.
pub(super) fn cmyk([c, m, y, k]: [u8; 4]) -> [u8; 3] {
    let paper = 255 - u32::from(k);
    [c, m, y].map(|ink| ((255 - u32::from(ink)) * paper / 255) as u8)
}

/// A colour that was multiplied with alpha, as it was before.
pub(super) fn unmultiplied(colour: u8, alpha: u8) -> u8 {
    (u32::from(colour) * 255)
        .checked_div(alpha.into())
        .map_or(0, |colour| colour.min(255) as u8)
}

/// What to lay a transparent picture over: 255, or 0 where white would swallow what is visible.
///
/// Black takes all three: a share of the picture is transparent (≥ 1 %), what is visible stands out from white by
/// less than a quarter of the range on average, and hardly any of it (< 5 %) is dark. A sheet of white paper with
/// black print and transparent margins fails the last and stays on white.
fn background<const CHANNELS: usize, const BYTES: usize>(samples: &[u8]) -> u8 {
    let (mut clear, mut weight, mut light, mut dark) = (0u64, 0u64, 0u64, 0u64);
    for pixel in samples.chunks_exact(CHANNELS * BYTES) {
        let alpha = u64::from(sample::<BYTES>(pixel, CHANNELS - 1));
        let luma = if CHANNELS == 2 {
            u64::from(sample::<BYTES>(pixel, 0))
        } else {
            let [r, g, b] = [0, 1, 2].map(|c| u64::from(sample::<BYTES>(pixel, c)));
            (r * 299 + g * 587 + b * 114) / 1000
        };
        clear += u64::from(alpha < 128);
        weight += alpha;
        light += alpha * luma;
        dark += if luma < 128 { alpha } else { 0 };
    }
    let pixels = (samples.len() / (CHANNELS * BYTES)) as u64;
    let vanishes =
        clear * 100 >= pixels && weight > 0 && light > weight * 191 && dark * 20 < weight;
    if vanishes { 0 } else { 255 }
}
