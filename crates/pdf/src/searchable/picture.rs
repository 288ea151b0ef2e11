//! Pictures as PDFs hold them: a file's own data where a PDF knows its coding, else packed anew without loss.

use std::borrow::Cow;

use maoocr_engine::imaging::Image;

use super::deflated;

/// Picture data and how it is coded.
pub struct Picture<'a> {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    pub data: Cow<'a, [u8]>,
    pub coding: Coding,
    pub colours: Colours,
    pub bits: u8,
    /// EXIF's orientation, 1 to 8: how the pixels have to be turned to be seen.
    pub orientation: u8,
}

/// What the data is packed with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Coding {
    Jpeg,
    /// Deflate; with PNG's filters of so many samples a pixel.
    Deflate {
        filtered: Option<u8>,
    },
    /// CCITT group 4.
    Group4 {
        black_is_1: bool,
    },
}

/// What its samples mean.
#[derive(Clone, Debug, PartialEq)]
pub enum Colours {
    Grey,
    Rgb,
    /// Four inks; Adobe's files have them the other way round.
    Cmyk {
        inverted: bool,
    },
    /// RGB of each index.
    Palette(Vec<u8>),
}

/// A file's picture as it is; none where a PDF doesn't know its coding.
pub fn as_it_is(file: &[u8]) -> Option<Picture<'_>> {
    match file {
        [0xff, 0xd8, 0xff, ..] => jpeg(file),
        [0x89, b'P', b'N', b'G', ..] => png(file),
        _ => None,
    }
}

fn be16(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?))
}

fn be32(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at + 4)?.try_into().ok()?))
}

fn jpeg(file: &[u8]) -> Option<Picture<'_>> {
    let mut at = 2;
    let (mut orientation, mut adobe) = (1, None);
    loop {
        if *file.get(at)? != 0xff {
            return None;
        }
        let marker = *file.get(at + 1)?;
        if marker == 0xff {
            at += 1;
            continue;
        }
        let length = usize::from(be16(file, at + 2)?);
        let segment = file.get(at + 4..at + 2 + length)?;
        match marker {
            0xe1 => orientation = exif_orientation(segment).unwrap_or(orientation),
            // Adobe's transform: 0 none, 1 YCbCr, 2 YCCK.
            0xee if segment.starts_with(b"Adobe") => adobe = segment.get(11).copied(),
            // Baseline, extended, progressive; others PDFs need not know.
            0xc0..=0xc2 => {
                let bits = *segment.first()?;
                let colours = match (segment.get(5)?, adobe) {
                    (1, _) => Colours::Grey,
                    // RGB in a JPEG without an Adobe marker is told by nothing.
                    (3, Some(0)) => return None,
                    (3, _) => Colours::Rgb,
                    (4, adobe) => Colours::Cmyk {
                        inverted: adobe.is_some(),
                    },
                    _ => return None,
                };
                return (bits == 8).then_some(Picture {
                    width: be16(segment, 3)?.into(),
                    height: be16(segment, 1)?.into(),
                    data: Cow::Borrowed(file),
                    coding: Coding::Jpeg,
                    colours,
                    bits,
                    orientation,
                });
            }
            0xc3..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => return None,
            0xda | 0xd9 => return None,
            _ => {}
        }
        at += 2 + length;
    }
}

/// Tag 274 of the first directory of an EXIF segment.
fn exif_orientation(segment: &[u8]) -> Option<u8> {
    let tiff = segment.strip_prefix(b"Exif\0\0")?;
    let little = tiff.starts_with(b"II");
    let n16 = |at: usize| {
        let value = be16(tiff, at)?;
        Some(if little { value.swap_bytes() } else { value })
    };
    let n32 = |at: usize| {
        let value = be32(tiff, at)?;
        Some(if little { value.swap_bytes() } else { value })
    };
    let directory = n32(4)? as usize;
    for entry in 0..usize::from(n16(directory)?) {
        let at = directory + 2 + 12 * entry;
        if n16(at)? == 274 {
            return u8::try_from(n16(at + 8)?)
                .ok()
                .filter(|o| (1..=8).contains(o));
        }
    }
    None
}

fn png(file: &[u8]) -> Option<Picture<'_>> {
    let mut at = 8;
    let (mut header, mut palette, mut data) = (None, Vec::new(), Vec::new());
    loop {
        let length = be32(file, at)? as usize;
        let kind = file.get(at + 4..at + 8)?;
        let chunk = file.get(at + 8..at.checked_add(8)?.checked_add(length)?)?;
        match kind {
            b"IHDR" => header = Some(chunk),
            b"PLTE" => palette = chunk.to_vec(),
            // Transparency, an animation, an orientation: drawn, not embedded.
            b"tRNS" | b"acTL" | b"eXIf" => return None,
            b"IDAT" => data.extend_from_slice(chunk),
            b"IEND" => break,
            _ => {}
        }
        at += 12 + length;
    }
    let header = header?;
    let (bits, colour, interlaced) = (*header.get(8)?, *header.get(9)?, *header.get(12)?);
    let colours = match colour {
        0 => Colours::Grey,
        2 => Colours::Rgb,
        3 => Colours::Palette(palette),
        _ => return None,
    };
    if interlaced != 0 || bits > 8 {
        return None;
    }
    let samples = if colour == 2 { 3 } else { 1 };
    Some(Picture {
        width: be32(header, 0)?,
        height: be32(header, 4)?,
        data: Cow::Owned(data),
        coding: Coding::Deflate {
            filtered: Some(samples),
        },
        colours,
        bits,
        orientation: 1,
    })
}

/// Pixels packed without loss, in as few bits as they need; with `lossy`, colour and grey as a JPEG.
pub fn packed(image: &Image, lossy: bool) -> Picture<'static> {
    let pixels = || image.rgb.chunks_exact(3);
    let grey = pixels().all(|p| p[0] == p[1] && p[1] == p[2]);
    let bilevel = grey && pixels().all(|p| p[0] == 0 || p[0] == 255);
    let picture = |data, coding, colours, bits| Picture {
        width: image.width,
        height: image.height,
        data: Cow::Owned(data),
        coding,
        colours,
        bits,
        orientation: 1,
    };
    let deflate = Coding::Deflate { filtered: None };
    if bilevel {
        let width = image.width as usize;
        let mut bits = Vec::with_capacity(image.rgb.len() / 24 + image.height as usize);
        for row in image.rgb.chunks_exact(3 * width.max(1)) {
            for eight in row.chunks(24) {
                let byte = eight.chunks_exact(3).enumerate();
                bits.push(byte.fold(0u8, |b, (i, p)| b | (p[0] & 0x80) >> i));
            }
        }
        return picture(deflated(&bits), deflate, Colours::Grey, 1);
    }
    if lossy && let Some(jpeg) = as_jpeg(image, grey) {
        let colours = if grey { Colours::Grey } else { Colours::Rgb };
        return picture(jpeg, Coding::Jpeg, colours, 8);
    }
    if grey {
        let samples: Vec<u8> = pixels().map(|p| p[0]).collect();
        return picture(deflated(&samples), deflate, Colours::Grey, 8);
    }
    picture(deflated(&image.rgb), deflate, Colours::Rgb, 8)
}

fn as_jpeg(image: &Image, grey: bool) -> Option<Vec<u8>> {
    /// Nothing to be seen at reading size.
    const QUALITY: u8 = 88;
    let mut out = Vec::new();
    let mut encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut out, QUALITY);
    let done = if grey {
        let samples: Vec<u8> = image.rgb.chunks_exact(3).map(|p| p[0]).collect();
        encoder.encode(
            &samples,
            image.width,
            image.height,
            image::ExtendedColorType::L8,
        )
    } else {
        encoder.encode(
            &image.rgb,
            image.width,
            image.height,
            image::ExtendedColorType::Rgb8,
        )
    };
    done.ok().map(|()| out)
}

/// The pages of a TIFF that are one strip of CCITT group 4, as they are; none for others (TIFF 6.0).
pub fn group4(file: &[u8]) -> Vec<Option<Picture<'_>>> {
    /// Pages that are looked at.
    const MAX_PAGES: usize = 10_000;
    let little = match file {
        [b'I', b'I', 42, 0, ..] => true,
        [b'M', b'M', 0, 42, ..] => false,
        _ => return Vec::new(),
    };
    let n16 = |at: usize| {
        let value = be16(file, at)?;
        Some(if little { value.swap_bytes() } else { value })
    };
    let n32 = |at: usize| {
        let value = be32(file, at)?;
        Some(if little { value.swap_bytes() } else { value })
    };
    let mut pages = Vec::new();
    let mut directory = n32(4).unwrap_or(0) as usize;
    while directory != 0 && pages.len() < MAX_PAGES {
        let Some(count) = n16(directory).map(usize::from) else {
            break;
        };
        // A tag's value where there is one of it.
        let tag = |wanted: u16| {
            for entry in 0..count {
                let at = directory + 2 + 12 * entry;
                if n16(at)? == wanted {
                    if n32(at + 4)? != 1 {
                        return None;
                    }
                    return match n16(at + 2)? {
                        3 => n16(at + 8).map(u32::from),
                        4 => n32(at + 8),
                        _ => None,
                    };
                }
            }
            None
        };
        let page = || {
            let plain = tag(259)? == 4 && tag(266).unwrap_or(1) == 1 && tag(258).unwrap_or(1) == 1;
            // 0: white is zero.
            let photometric = tag(262)?;
            let (from, length) = (tag(273)? as usize, tag(279)? as usize);
            let data = file.get(from..from.checked_add(length)?)?;
            (plain && photometric <= 1).then_some(Picture {
                width: tag(256)?,
                height: tag(257)?,
                data: Cow::Borrowed(data),
                coding: Coding::Group4 {
                    black_is_1: photometric == 1,
                },
                colours: Colours::Grey,
                bits: 1,
                orientation: tag(274).and_then(|o| u8::try_from(o).ok()).unwrap_or(1),
            })
        };
        // Reduced images and masks are no pages.
        if tag(254).unwrap_or(0) & 0b101 == 0 {
            pages.push(page());
        }
        directory = n32(directory + 2 + 12 * count).unwrap_or(0) as usize;
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(width: u32, pixels: &[[u8; 3]]) -> Image {
        Image {
            width,
            height: pixels.len() as u32 / width,
            rgb: pixels.concat(),
        }
    }

    #[test]
    fn pixels_take_as_few_bits_as_they_need() {
        let (black, white, red) = ([0; 3], [255; 3], [255, 0, 0]);
        assert_eq!(packed(&image(2, &[black, white]), false).bits, 1);
        let grey = packed(&image(2, &[black, [7; 3]]), false);
        assert_eq!((grey.bits, grey.colours), (8, Colours::Grey));
        assert_eq!(
            packed(&image(2, &[black, red]), false).colours,
            Colours::Rgb
        );
        assert_eq!(packed(&image(2, &[black, red]), true).coding, Coding::Jpeg);
    }

    #[test]
    fn broken_files_are_not_embedded() {
        for file in [
            &b""[..],
            b"\xff\xd8\xff",
            b"\xff\xd8\xff\xe0\0\x02",
            b"\xff\xd8\xff\xc0\0\x03\x08",
            b"\x89PNG\r\n\x1a\n",
            b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR",
        ] {
            assert!(as_it_is(file).is_none());
        }
        assert!(
            group4(b"II*\0\x08\0\0\0\xff\xff")
                .iter()
                .all(Option::is_none)
        );
        // A directory that comes after itself.
        assert!(group4(b"II*\0\x08\0\0\0\0\0\x08\0\0\0").len() <= 10_000);
    }
}
