//! Samples of a strip or tile → RGB or RGBA.

use tiff::tags::Tag;

use super::super::{Format, ImagingError, pixels};
use super::{Reader, error};

/// How a chunk's samples become RGB or RGBA.
pub(super) enum Ink {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba {
        /// The colours were multiplied with alpha.
        multiplied: bool,
    },
    Cmyk,
    YCbCr,
    /// CIE 1976 L*a*b* under D50.
    Lab {
        /// a* and b* are two's complement; otherwise 128 (or 32,768) stands for 0.
        signed: bool,
    },
    /// 256 colours or fewer.
    Palette(Vec<[u8; 3]>),
}

/// A decoded strip or tile.
pub(super) struct Chunk<'a> {
    pub bytes: &'a [u8],
    /// Bytes of a row.
    pub stride: usize,
    /// Bytes of a plane, where each channel has its own.
    pub plane: usize,
    pub planar: bool,
    /// Of a pixel.
    pub samples: usize,
    /// Of a sample.
    pub bits: u8,
    /// Samples were decoded to 16 bits.
    pub wide: bool,
}

impl Chunk<'_> {
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
    pub fn row(&self, chunk: &Chunk<'_>, y: usize, line: &mut [u8]) {
        // What scanners write, without the generality of the rest.
        let packed = chunk.bytes.get(y * chunk.stride..).unwrap_or_default();
        match self {
            Self::Grey if chunk.bits == 1 && chunk.samples == 1 => {
                for (pixels, byte) in line.chunks_mut(24).zip(packed) {
                    for (i, pixel) in pixels.chunks_exact_mut(3).enumerate() {
                        pixel.fill(if byte >> (7 - i) & 1 == 1 { 255 } else { 0 });
                    }
                }
            }
            Self::Grey if chunk.bits == 8 && chunk.samples == 1 => {
                for (pixel, grey) in line.chunks_exact_mut(3).zip(packed) {
                    pixel.fill(*grey);
                }
            }
            Self::Rgb if chunk.bits == 8 && !chunk.planar => {
                for (pixel, rgb) in line.chunks_exact_mut(3).zip(packed.chunks_exact(3)) {
                    pixel.copy_from_slice(rgb);
                }
            }
            Self::GreyAlpha | Self::Rgba { .. } => {
                for (x, pixel) in line.chunks_exact_mut(4).enumerate() {
                    write(self, pixel, |channel| chunk.sample(x, y, channel));
                }
            }
            _ => {
                for (x, pixel) in line.chunks_exact_mut(3).enumerate() {
                    write(self, pixel, |channel| chunk.sample(x, y, channel));
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
                alpha if *multiplied => pixels::unmultiplied(colour, alpha),
                _ => colour,
            };
            pixel.copy_from_slice(&[own(byte(0)), own(byte(1)), own(byte(2)), alpha]);
        }
        Ink::Cmyk => {
            pixel.copy_from_slice(&pixels::cmyk([0, 1, 2, 3].map(byte)));
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
        Ink::Lab { signed } => {
            let value = |channel: usize| {
                let (value, bits) = sample(channel);
                let scale = f32::from(1u16 << (bits - 8));
                let offset = match (channel, signed) {
                    (0, _) => return value as f32 * 100.0 / ((1 << bits) - 1) as f32,
                    // Two's complement: the upper half of the range is below zero.
                    (_, true) if value >> (bits - 1) == 1 => 256.0,
                    (_, true) => 0.0,
                    (_, false) => 128.0,
                };
                value as f32 / scale - offset
            };
            pixel.copy_from_slice(&lab([value(0), value(1), value(2)]));
        }
        Ink::Palette(colours) => pixel.copy_from_slice(&colours[sample(0).0 as usize]),
    }
}

/// CIE 1976 L*a*b* under D50 → sRGB, with the matrix of IEC 61966-2-1 adapted to D50 by Bradford (as in ICC profiles).
fn lab([l, a, b]: [f32; 3]) -> [u8; 3] {
    const WHITE: [f32; 3] = [0.9642, 1.0, 0.8249];
    const TO_RGB: [[f32; 3]; 3] = [
        [3.1339, -1.6169, -0.4906],
        [-0.9788, 1.9161, 0.0335],
        [0.0719, -0.2290, 1.4052],
    ];
    let y = (l + 16.0) / 116.0;
    let inverse = |t: f32| {
        if t > 6.0 / 29.0 {
            t * t * t
        } else {
            (t - 4.0 / 29.0) * 3.0 * (6.0_f32 / 29.0).powi(2)
        }
    };
    let xyz = [y + a / 500.0, y, y - b / 200.0].map(inverse);
    TO_RGB.map(|row| {
        let linear: f32 = (0..3).map(|i| row[i] * xyz[i] * WHITE[i]).sum();
        let encoded = if linear <= 0.003_130_8 {
            12.92 * linear
        } else {
            1.055 * linear.powf(1.0 / 2.4) - 0.055
        };
        (encoded * 255.0).round().clamp(0.0, 255.0) as u8
    })
}

/// The palette of a page.
pub(super) fn palette(decoder: &mut Reader<'_>, bits: u8) -> Result<Vec<[u8; 3]>, ImagingError> {
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
