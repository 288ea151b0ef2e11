//! TIFFs: their pages, their codings, and what is wrong with them.

use super::*;

/// A little-endian TIFF of one uncompressed strip a page. `tags` are entries of type SHORT (or of LONG where two
/// values are given) beside size and strip; `tables` are arrays of SHORT.
pub(super) struct TiffPage {
    pub(super) size: (u16, u16),
    pub(super) bits: u16,
    pub(super) photometric: u16,
    pub(super) samples: u16,
    pub(super) colours: Vec<u16>,
    pub(super) data: Vec<u8>,
}

pub(super) fn tiff_of(pages: &[TiffPage]) -> Vec<u8> {
    let mut out = b"II*\0\0\0\0\0".to_vec();
    let mut link = 4;
    for page in pages {
        let data = out.len() as u32;
        out.extend_from_slice(&page.data);
        let bits = out.len() as u32;
        out.extend((0..page.samples.max(3)).flat_map(|_| page.bits.to_le_bytes()));
        let colours = out.len() as u32;
        out.extend(page.colours.iter().flat_map(|v| v.to_le_bytes()));
        if out.len() % 2 == 1 {
            out.push(0);
        }
        let directory = (out.len() as u32).to_le_bytes();
        out[link..link + 4].copy_from_slice(&directory);
        let bits = if page.samples == 1 {
            (1, u32::from(page.bits))
        } else {
            (u32::from(page.samples), bits)
        };
        let mut entries = vec![
            (256, 3, 1, u32::from(page.size.0)),
            (257, 3, 1, u32::from(page.size.1)),
            (258, 3, bits.0, bits.1),
            (259, 3, 1, 1),
            (262, 3, 1, u32::from(page.photometric)),
            (273, 4, 1, data),
            (277, 3, 1, u32::from(page.samples)),
            (278, 3, 1, u32::from(page.size.1)),
            (279, 4, 1, page.data.len() as u32),
        ];
        if !page.colours.is_empty() {
            entries.push((320, 3, page.colours.len() as u32, colours));
        }
        out.extend((entries.len() as u16).to_le_bytes());
        for (tag, kind, count, value) in entries {
            out.extend(u16::to_le_bytes(tag));
            out.extend(u16::to_le_bytes(kind));
            out.extend(u32::to_le_bytes(count));
            out.extend(u32::to_le_bytes(value));
        }
        link = out.len();
        out.extend([0; 4]);
    }
    out
}

pub(super) fn bilevel(data: u8) -> TiffPage {
    TiffPage {
        size: (5, 1),
        bits: 1,
        photometric: 1,
        samples: 1,
        colours: vec![],
        data: vec![data],
    }
}

#[test]
fn pages_of_a_tiff_in_their_kinds() {
    let palette: Vec<u16> = (0..48).map(|i| i << 8).collect();
    let bytes = tiff_of(&[
        bilevel(0b1010_0000),
        TiffPage {
            photometric: 0,
            ..bilevel(0b1010_0000)
        },
        TiffPage {
            size: (2, 1),
            bits: 8,
            photometric: 5,
            samples: 4,
            colours: vec![],
            data: vec![0, 0, 0, 0, 255, 0, 0, 51],
        },
        TiffPage {
            size: (3, 1),
            bits: 4,
            photometric: 3,
            samples: 1,
            colours: palette,
            data: vec![0x0f, 0x20],
        },
    ]);
    let pages = decode(&bytes, &Limits::default()).unwrap();
    let (on, off) = ([255; 3], [0; 3]);
    assert_eq!(pages[0].rgb, [on, off, on, off, off].concat());
    assert_eq!(pages[1].rgb, [off, on, off, on, on].concat());
    assert_eq!(pages[2].rgb, [255, 255, 255, 0, 204, 204]);
    assert_eq!(pages[3].rgb, [0, 16, 32, 15, 31, 47, 2, 18, 34]);
    assert_eq!(probe(&bytes, &Limits::default()).unwrap().pages, 4);
}

/// Gives an entry of a TIFF another type and value.
pub(super) fn with_tag(mut tiff: Vec<u8>, tag: u16, kind: u16, value: u32) -> Vec<u8> {
    let found = tiff.windows(2).rposition(|w| w == tag.to_le_bytes());
    let at = found.expect("the tag is there");
    tiff[at + 2..at + 4].copy_from_slice(&kind.to_le_bytes());
    tiff[at + 8..at + 12].copy_from_slice(&value.to_le_bytes());
    tiff
}

#[test]
fn one_strip_may_declare_more_rows_than_there_are() {
    let page = tiff_of(&[bilevel(0b1010_0000)]);
    let expected = only(&page).rgb;
    assert_eq!(only(&with_tag(page, 278, 4, u32::MAX)).rgb, expected);
}

#[test]
fn samples_beyond_any_ink_are_refused() {
    let page = tiff_of(&[TiffPage {
        size: (1, 1),
        bits: 8,
        photometric: 1,
        samples: 9,
        colours: vec![],
        data: vec![0; 9],
    }]);
    assert_eq!(code(&page), "unsupported");
}

/// A JPEG of this size as the one strip of a TIFF of `declared` px.
fn jpeg_in_tiff(size: u32, declared: u16) -> Vec<u8> {
    let tiff = tiff_of(&[TiffPage {
        size: (declared, declared),
        bits: 8,
        photometric: 1,
        samples: 1,
        colours: vec![],
        data: encoded(
            &DynamicImage::from(sample(size, size)).to_luma8().into(),
            ImageFormat::Jpeg,
        ),
    }]);
    with_tag(tiff, 259, 3, 7)
}

#[test]
fn a_jpeg_is_no_larger_than_its_strip() {
    assert_eq!(code(&jpeg_in_tiff(16, 16)), "read");
    assert_eq!(code(&jpeg_in_tiff(64, 16)), "malformed");
}

#[test]
fn a_chain_of_pages_that_bites_its_tail_ends() {
    let mut bytes = tiff_of(&[bilevel(0x80), bilevel(0x40)]);
    let first: [u8; 4] = bytes[4..8].try_into().unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&first);
    assert_eq!(decode(&bytes, &Limits::default()).unwrap().len(), 2);
}

#[test]
fn a_page_that_is_lost_takes_no_other_with_it() {
    let odd = TiffPage {
        bits: 3,
        ..bilevel(0)
    };
    let bytes = tiff_of(&[bilevel(0b1000_0000), odd, bilevel(0b0100_0000)]);
    assert_eq!(open(&bytes, &Limits::default()).unwrap().count(), Some(3));
    let read = pages(&bytes);
    assert_eq!(read.len(), 3);
    assert_eq!(read[0].as_ref().unwrap().index, 0);
    let lost = read[1].as_ref().unwrap_err();
    assert_eq!((lost.index, lost.error.code()), (Some(1), "unsupported"));
    let last = read[2].as_ref().unwrap();
    assert_eq!(
        (last.index, &last.image.rgb[..6]),
        (2, &[0, 0, 0, 255, 255, 255][..])
    );
    // All at once there is no telling which.
    assert_eq!(code(&bytes), "unsupported");
}

/// Turns one entry of a TIFF into another of type SHORT.
pub(super) fn retagged(mut tiff: Vec<u8>, from: u16, to: u16, value: u16) -> Vec<u8> {
    let found = tiff.windows(2).rposition(|w| w == from.to_le_bytes());
    let at = found.expect("the tag is there");
    tiff[at..at + 2].copy_from_slice(&to.to_le_bytes());
    tiff[at + 2..at + 8].copy_from_slice(&[3, 0, 1, 0, 0, 0]);
    tiff[at + 8..at + 12].copy_from_slice(&[value as u8, 0, 0, 0]);
    tiff
}

/// Where the strips of a TIFF with several of them stand, and their lengths.
fn strips(tiff: &[u8]) -> Vec<(usize, usize)> {
    let mut decoder = ::tiff::decoder::Decoder::new(Cursor::new(tiff)).unwrap();
    let mut list = |tag| decoder.get_tag_u64_vec(tag).unwrap();
    let starts = list(::tiff::tags::Tag::StripOffsets);
    let lengths = list(::tiff::tags::Tag::StripByteCounts);
    starts
        .into_iter()
        .zip(lengths)
        .map(|(a, b)| (a as usize, b as usize))
        .collect()
}

#[test]
fn faxes_are_read_in_every_coding() {
    let plain = only(include_bytes!("testdata/plain.tif"));
    for (name, bytes) in [
        ("group 3", &include_bytes!("testdata/g3.tif")[..]),
        ("group 3, 2-D", include_bytes!("testdata/g3_2d.tif")),
        ("RLE", include_bytes!("testdata/rle.tif")),
        ("group 4", include_bytes!("testdata/g4.tif")),
    ] {
        let page = only(bytes);
        assert_eq!((page.width, page.height), (203, 60), "{name}");
        assert!(page.rgb == plain.rgb, "{name}");
        // With 0 for white, as faxes are.
        let white = only(&with_tag(bytes.to_vec(), 262, 3, 0)).rgb;
        assert!(
            white.iter().zip(&plain.rgb).all(|(a, b)| *a == 255 - *b),
            "{name}"
        );
        // With the bits of each byte the other way round.
        let mut lowest = bytes.to_vec();
        for (start, length) in strips(bytes) {
            for byte in &mut lowest[start..start + length] {
                *byte = byte.reverse_bits();
            }
        }
        assert!(
            only(&retagged(lowest, 296, 266, 2)).rgb == plain.rgb,
            "{name}"
        );
    }
}

#[test]
fn a_fax_cut_short_is_an_error() {
    let mut bytes = include_bytes!("testdata/g3.tif").to_vec();
    for (start, length) in strips(&bytes.clone()) {
        bytes[start + length / 2..start + length].fill(0);
    }
    assert_eq!(code(&bytes), "truncated");
}

#[test]
fn directories_that_overlap_are_refused() {
    // A BigTIFF of 200 directories, each of which claims 1,000 entries and begins 8 bytes after the one before.
    const DIRECTORIES: u64 = 200;
    const ENTRIES: u64 = 1000;
    let mut bytes = b"II+\0\x08\0\0\0".to_vec();
    bytes.extend(16u64.to_le_bytes());
    for _ in 0..DIRECTORIES {
        bytes.extend(ENTRIES.to_le_bytes());
    }
    bytes.resize(24 + ENTRIES as usize * 20, 0);
    for i in 1..=DIRECTORIES {
        bytes.extend((16 + 8 * i).to_le_bytes());
    }
    let error = decode(&bytes, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
    let error = probe(&bytes, &Limits::default()).unwrap_err();
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn lab_is_seen_as_rgb() {
    // White, black, mid grey, a red: L*, a*, b*.
    let lab = |signed: bool| {
        let shift = if signed { 0 } else { 128 };
        let colour = |l: u8, a: i16, b: i16| [l, (a + shift) as u8, (b + shift) as u8];
        let data = [
            colour(255, 0, 0),
            colour(0, 0, 0),
            colour(137, 0, 0),
            colour(136, 79, 69),
        ];
        tiff_of(&[TiffPage {
            size: (4, 1),
            bits: 8,
            photometric: if signed { 8 } else { 9 },
            samples: 3,
            colours: vec![],
            data: data.concat(),
        }])
    };
    for signed in [true, false] {
        let rgb = only(&lab(signed)).rgb;
        // Values of the CIE formulas by hand; sRGB red is (54.3, 80.8, 69.9) under D50.
        for (got, wanted) in rgb.chunks(3).zip([[255; 3], [0; 3], [128; 3], [251, 8, 4]]) {
            let near = got.iter().zip(wanted).all(|(a, b)| a.abs_diff(b) <= 6);
            assert!(near, "{got:?}, not {wanted:?}");
        }
    }
}

#[test]
fn any_page_can_be_had_alone() {
    let tiff = tiff_of(&[bilevel(0), bilevel(0x0f), bilevel(0xff)]);
    let limits = Limits::default();
    let all = decode(&tiff, &limits).unwrap();
    assert_ne!(all[1].rgb, all[2].rgb);
    for index in [2, 0, 1] {
        let page = page(&tiff, &limits, index).unwrap();
        assert_eq!((page.index, &page.image.rgb), (index, &all[index].rgb));
    }
    let error = page(&tiff, &limits, 3).unwrap_err();
    assert_eq!(error.index, Some(3));
    let png = encoded(&sample(8, 8).into(), ImageFormat::Png);
    assert_eq!(page(&png, &limits, 0).unwrap().index, 0);
    assert!(page(&png, &limits, 1).is_err());
}
