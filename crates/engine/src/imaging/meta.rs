//! What a file says of its picture beside the pixels: how it is turned, and its resolution.

use image::metadata::Orientation;

/// Orientation and resolution, as far as they are stated and can be believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Meta {
    /// How to turn the pixels to see the picture as a person does.
    pub orientation: Orientation,
    /// Pixels an inch.
    pub dpi: Option<f32>,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            orientation: Orientation::NoTransforms,
            dpi: None,
        }
    }
}

impl Meta {
    /// What an EXIF block says. WebP files and some PNG files lead it in as JPEG does.
    ///
    /// An orientation in XMP is not looked for: viewers ignore it, and editors that turn the pixels leave it behind.
    pub fn of_exif(exif: Option<&[u8]>) -> Self {
        exif.and_then(read_exif).unwrap_or_default()
    }

    /// The resolution that the container states goes before that of EXIF: it is what programs change.
    pub fn with_dpi(self, dpi: Option<f32>) -> Self {
        Self {
            dpi: dpi.or(self.dpi),
            ..self
        }
    }
}

/// Unit of a stated resolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Inch,
    Centimetre,
    Metre,
}

/// Pixels an inch, of the resolution in both directions; `None` where nobody measured it.
///
/// Programs write 72 where they know nothing, as the EXIF standard says to (CIPA DC-008, tag XResolution), and faxes
/// are finer across than down: one number can't say that.
pub(super) fn dpi(x: f64, y: f64, unit: Unit) -> Option<f32> {
    const FINEST: f64 = 4800.0;
    const COARSEST: f64 = 50.0;
    let inch = match unit {
        Unit::Inch => 1.0,
        Unit::Centimetre => 2.54,
        Unit::Metre => 0.0254,
    };
    let (x, y) = (x * inch, y * inch);
    let plausible = |v: f64| (COARSEST..=FINEST).contains(&v) && (v - 72.0).abs() >= 0.5;
    (plausible(x) && plausible(y) && (x - y).abs() <= 0.01 * x).then_some(x as f32)
}

/// The first directory of an EXIF block, which is a TIFF without pictures.
fn read_exif(exif: &[u8]) -> Option<Meta> {
    const ORIENTATION: u16 = 0x112;
    const X_RESOLUTION: u16 = 0x11a;
    const Y_RESOLUTION: u16 = 0x11b;
    const RESOLUTION_UNIT: u16 = 0x128;
    const SHORT: u16 = 3;
    const RATIONAL: u16 = 5;

    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let little = match exif.get(..4)? {
        b"II*\0" => true,
        b"MM\0*" => false,
        _ => return None,
    };
    let u16_at = |at: usize| {
        let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little {
            u16::from_le_bytes(bytes)
        } else {
            u16::from_be_bytes(bytes)
        })
    };
    let u32_at = |at: usize| {
        let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if little {
            u32::from_le_bytes(bytes)
        } else {
            u32::from_be_bytes(bytes)
        })
    };
    let rational = |at: usize| {
        let at = u32_at(at)? as usize;
        let (over, under) = (u32_at(at)?, u32_at(at.checked_add(4)?)?);
        (under != 0).then(|| f64::from(over) / f64::from(under))
    };

    let directory = u32_at(4)? as usize;
    let entries = u16_at(directory)?;
    let mut orientation = None;
    let (mut x, mut y, mut unit) = (None, None, Some(Unit::Inch));
    for entry in 0..usize::from(entries) {
        let at = directory + 2 + entry * 12;
        // What is there before the block breaks off counts.
        let (Some(tag), Some(kind), Some(1)) = (u16_at(at), u16_at(at + 2), u32_at(at + 4)) else {
            continue;
        };
        match (tag, kind) {
            (ORIENTATION, SHORT) => {
                let value = u16_at(at + 8).and_then(|v| u8::try_from(v).ok());
                orientation = orientation.or(value.and_then(Orientation::from_exif));
            }
            (X_RESOLUTION, RATIONAL) => x = rational(at + 8),
            (Y_RESOLUTION, RATIONAL) => y = rational(at + 8),
            (RESOLUTION_UNIT, SHORT) => {
                unit = match u16_at(at + 8) {
                    Some(2) => Some(Unit::Inch),
                    Some(3) => Some(Unit::Centimetre),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    Some(Meta {
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        dpi: x
            .zip(y)
            .zip(unit)
            .and_then(|((x, y), unit)| dpi(x, y, unit)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An EXIF block with an orientation and a resolution.
    fn exif(little: bool, orientation: u16, dots: (u32, u32), unit: u16) -> Vec<u8> {
        let short = |v: u16| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let long = |v: u32| {
            if little {
                v.to_le_bytes()
            } else {
                v.to_be_bytes()
            }
        };
        let mut out = if little {
            b"II*\0".to_vec()
        } else {
            b"MM\0*".to_vec()
        };
        out.extend(long(8));
        out.extend(short(4));
        let values = 8 + 2 + 4 * 12 + 4;
        for (tag, kind, value) in [
            (0x112, 3, None),
            (0x11a, 5, Some(values)),
            (0x11b, 5, Some(values + 8)),
            (0x128, 3, None),
        ] {
            out.extend(short(tag));
            out.extend(short(kind));
            out.extend(long(1));
            match value {
                Some(at) => out.extend(long(at)),
                None => {
                    out.extend(short(if tag == 0x112 { orientation } else { unit }));
                    out.extend([0; 2]);
                }
            }
        }
        out.extend(long(0));
        for dots in [dots.0, dots.1] {
            out.extend(long(dots));
            out.extend(long(1));
        }
        out
    }

    #[test]
    fn exif_states_turn_and_resolution() {
        for little in [true, false] {
            let block = exif(little, 6, (300, 300), 2);
            let wanted = Meta {
                orientation: Orientation::Rotate90,
                dpi: Some(300.0),
            };
            assert_eq!(Meta::of_exif(Some(&block)), wanted);
            let led_in = [b"Exif\0\0", &block[..]].concat();
            assert_eq!(Meta::of_exif(Some(&led_in)), wanted);
            // Cut anywhere, it says less or nothing, and never something else.
            for len in 0..block.len() {
                let meta = Meta::of_exif(Some(&block[..len]));
                assert!(matches!(
                    meta.orientation,
                    Orientation::NoTransforms | Orientation::Rotate90
                ));
                assert_eq!(meta.dpi, None);
            }
        }
        assert_eq!(Meta::of_exif(None), Meta::default());
    }

    #[test]
    fn only_measured_resolutions_are_believed() {
        assert_eq!(dpi(300.0, 300.0, Unit::Inch), Some(300.0));
        assert_eq!(
            dpi(118.11, 118.11, Unit::Centimetre).map(f32::round),
            Some(300.0)
        );
        assert_eq!(
            dpi(5669.0, 5669.0, Unit::Metre).map(f32::round),
            Some(144.0)
        );
        for (x, y) in [
            (72.0, 72.0),
            (1.0, 1.0),
            (204.0, 98.0),
            (9600.0, 9600.0),
            (f64::NAN, f64::NAN),
        ] {
            assert_eq!(dpi(x, y, Unit::Inch), None, "{x} × {y}");
        }
        assert_eq!(
            Meta::of_exif(Some(&exif(true, 1, (300, 300), 1))).dpi,
            None,
            "no unit"
        );
    }
}
