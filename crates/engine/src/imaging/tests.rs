use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::PathBuf;

use image::{DynamicImage, ImageDecoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};
use serde_json::Value;

use super::*;
use crate::page::{Page, PageError};

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// Coloured, and different everywhere, so that a channel or a row out of place shows.
fn sample(width: u32, height: u32) -> RgbImage {
    RgbImage::from_fn(width, height, |x, y| {
        Rgb([(x * 5) as u8, (y * 7) as u8, ((x + y) * 3) as u8])
    })
}

fn only(bytes: &[u8]) -> Image {
    let mut pages = decode(bytes, &Limits::default()).unwrap();
    assert_eq!(pages.len(), 1);
    let info = probe(bytes, &Limits::default()).unwrap();
    assert_eq!(
        (info.width, info.height, info.pages),
        (pages[0].width, pages[0].height, 1)
    );
    pages.remove(0)
}

fn code(bytes: &[u8]) -> &'static str {
    decode(bytes, &Limits::default()).map_or_else(|e| e.code(), |_| "read")
}

fn distance(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    let sum: u64 = a
        .iter()
        .zip(b)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

const LOSSLESS: [ImageFormat; 5] = [
    ImageFormat::Png,
    ImageFormat::WebP,
    ImageFormat::Bmp,
    ImageFormat::Tiff,
    ImageFormat::Pnm,
];

#[test]
fn lossless_formats_come_back_as_they_were() {
    let picture = sample(37, 23);
    for format in LOSSLESS {
        let page = only(&encoded(&picture.clone().into(), format));
        assert_eq!((page.width, page.height), (37, 23), "{format:?}");
        assert!(page.rgb == *picture.as_raw(), "{format:?}");
    }
}

#[test]
fn every_depth_becomes_8_bit_rgb() {
    let picture = DynamicImage::from(sample(19, 11));
    let wide = |v: u8| u16::from(v) << 8 | 0x5a;
    for format in [ImageFormat::Png, ImageFormat::Tiff] {
        let grey = picture.to_luma8();
        let expected: Vec<u8> = grey.as_raw().iter().flat_map(|v| [*v; 3]).collect();
        assert_eq!(
            only(&encoded(&grey.clone().into(), format)).rgb,
            expected,
            "{format:?} L8"
        );
        let grey = image::ImageBuffer::from_fn(19, 11, |x, y| {
            image::Luma([wide(grey.get_pixel(x, y).0[0])])
        });
        assert_eq!(
            only(&encoded(&DynamicImage::ImageLuma16(grey), format)).rgb,
            expected,
            "{format:?} L16"
        );
        let rgb = picture.to_rgb8();
        let deep = image::ImageBuffer::from_fn(19, 11, |x, y| Rgb(rgb.get_pixel(x, y).0.map(wide)));
        assert_eq!(
            only(&encoded(&DynamicImage::ImageRgb16(deep), format)).rgb,
            *rgb.as_raw(),
            "{format:?} RGB16"
        );
    }
}

#[test]
fn jpeg_is_read_in_colour_and_grey() {
    let picture = DynamicImage::from(sample(64, 48));
    let page = only(&encoded(&picture, ImageFormat::Jpeg));
    assert!(distance(&page.rgb, picture.to_rgb8().as_raw()) < 8.0);
    let page = only(&encoded(&picture.to_luma8().into(), ImageFormat::Jpeg));
    assert!(
        page.rgb
            .chunks_exact(3)
            .all(|p| p[0] == p[1] && p[1] == p[2])
    );
    assert!(
        distance(
            &page.rgb,
            picture
                .to_luma8()
                .as_raw()
                .iter()
                .flat_map(|v| [*v; 3])
                .collect::<Vec<_>>()
                .as_slice()
        ) < 8.0
    );
}

#[test]
fn first_frame_of_a_gif() {
    let mut picture = RgbImage::new(8, 4);
    picture.put_pixel(5, 2, Rgb([255, 255, 255]));
    let page = only(&encoded(
        &DynamicImage::from(picture.clone()).to_rgba8().into(),
        ImageFormat::Gif,
    ));
    assert_eq!(page.rgb, *picture.as_raw());
}

/// A JPEG with an EXIF block of nothing but an orientation.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut out = jpeg[..2].to_vec();
    out.extend_from_slice(b"\xff\xe1\0\x22Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0");
    out.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0, 0]);
    out.extend_from_slice(&jpeg[2..]);
    out
}

#[test]
fn exif_orientation_is_applied() {
    // Dark in the stored top left corner.
    let stored = RgbImage::from_fn(32, 16, |x, y| {
        if x < 8 && y < 8 {
            Rgb([0; 3])
        } else {
            Rgb([255; 3])
        }
    });
    let jpeg = encoded(&stored.into(), ImageFormat::Jpeg);
    let dark = |page: &Image, x: u32, y: u32| page.rgb[((y * page.width + x) * 3) as usize] < 100;
    for (orientation, size, corner) in [
        (1, (32, 16), (2, 2)),
        (2, (32, 16), (29, 2)),
        (3, (32, 16), (29, 13)),
        (4, (32, 16), (2, 13)),
        (5, (16, 32), (2, 2)),
        (6, (16, 32), (13, 2)),
        (7, (16, 32), (13, 29)),
        (8, (16, 32), (2, 29)),
    ] {
        let page = only(&with_orientation(&jpeg, orientation));
        assert_eq!((page.width, page.height), size, "{orientation}");
        assert!(dark(&page, corner.0, corner.1), "{orientation}");
        let dark = page.rgb.chunks_exact(3).filter(|p| p[0] < 100).count();
        assert!((56..=72).contains(&dark), "{orientation}: {dark}");
    }
}

#[test]
fn transparency_goes_over_white_and_white_ink_over_black() {
    let ink = |ink: [u8; 4]| {
        let picture = RgbaImage::from_fn(20, 10, |x, _| {
            if x % 4 == 0 {
                Rgba(ink)
            } else {
                Rgba([0, 0, 0, 0])
            }
        });
        only(&encoded(&picture.into(), ImageFormat::Png)).rgb
    };
    assert_eq!(ink([0, 0, 0, 255])[..6], [0, 0, 0, 255, 255, 255]);
    assert_eq!(ink([200, 0, 0, 255])[..6], [200, 0, 0, 255, 255, 255]);
    assert_eq!(ink([255, 255, 255, 255])[..6], [255, 255, 255, 0, 0, 0]);
    assert_eq!(ink([0, 0, 0, 127])[..3], [128; 3]);
    // White paper with black print and clear margins stays on white.
    let paper = RgbaImage::from_fn(40, 40, |x, y| match (x, y) {
        (0..5, _) => Rgba([0, 0, 0, 0]),
        (_, 0..4) => Rgba([0, 0, 0, 255]),
        _ => Rgba([255, 255, 255, 255]),
    });
    assert_eq!(
        only(&encoded(&paper.into(), ImageFormat::Png)).rgb[..3],
        [255; 3]
    );
    // A light picture without transparency is left alone.
    let light = RgbaImage::from_pixel(4, 4, Rgba([250, 250, 250, 255]));
    assert_eq!(only(&encoded(&light.into(), ImageFormat::Png)).rgb[0], 250);
}

/// A little-endian TIFF of one uncompressed strip a page. `tags` are entries of type SHORT (or of LONG where two
/// values are given) beside size and strip; `tables` are arrays of SHORT.
struct TiffPage {
    size: (u16, u16),
    bits: u16,
    photometric: u16,
    samples: u16,
    colours: Vec<u16>,
    data: Vec<u8>,
}

fn tiff_of(pages: &[TiffPage]) -> Vec<u8> {
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

fn bilevel(data: u8) -> TiffPage {
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
fn with_tag(mut tiff: Vec<u8>, tag: u16, kind: u16, value: u32) -> Vec<u8> {
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
fn limits_hold_before_anything_is_allocated() {
    let limits = Limits {
        max_bytes: 10_000,
        max_pixels: 1000,
        max_pages: 2,
        max_memory: 2500,
    };
    let code = |bytes: &[u8]| {
        let code = decode(bytes, &limits).unwrap_err().code();
        assert_eq!(
            probe(bytes, &limits).map_or_else(|e| e.code(), |_| code),
            code
        );
        code
    };
    assert_eq!(code(&[0xff; 10_001]), "too_large");
    for format in LOSSLESS.into_iter().chain([ImageFormat::Jpeg]) {
        assert_eq!(
            code(&encoded(&sample(40, 26).into(), format)),
            "too_many_pixels",
            "{format:?}"
        );
        assert_eq!(
            code(&encoded(&sample(40, 24).into(), format)),
            "out_of_memory",
            "{format:?}"
        );
    }
    assert_eq!(
        code(&tiff_of(&[bilevel(0), bilevel(0), bilevel(0)])),
        "too_many_pages"
    );
    // A header alone that promises 2³¹ × 2³¹ px.
    let mut png = encoded(&sample(2, 2).into(), ImageFormat::Png);
    png[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    assert!(matches!(code(&png), "too_many_pixels" | "malformed"));
}

#[test]
fn pages_of_one_file_share_its_memory() {
    let pages: Vec<_> = (0..10).map(|_| bilevel(0)).collect();
    let limits = Limits {
        max_memory: 100,
        ..Limits::default()
    };
    assert_eq!(
        decode(&tiff_of(&pages), &limits).unwrap_err().code(),
        "out_of_memory"
    );
}

#[test]
fn a_file_cut_short_is_an_error() {
    let picture = DynamicImage::from(sample(96, 96));
    for format in LOSSLESS
        .into_iter()
        .chain([ImageFormat::Jpeg, ImageFormat::Gif])
    {
        let bytes = encoded(
            &if format == ImageFormat::Gif {
                picture.to_rgba8().into()
            } else {
                picture.clone()
            },
            format,
        );
        for share in [0.05, 0.3, 0.6, 0.9] {
            let cut = &bytes[..((bytes.len() as f64 * share) as usize).max(24)];
            assert!(
                matches!(code(cut), "truncated" | "malformed"),
                "{format:?} {share}: {}",
                code(cut)
            );
        }
    }
}

#[test]
fn a_jpeg_may_lack_its_end_marker_but_no_data() {
    let jpeg = encoded(&sample(96, 96).into(), ImageFormat::Jpeg);
    let whole = only(&jpeg).rgb;
    for missing in [1, 2] {
        assert_eq!(only(&jpeg[..jpeg.len() - missing]).rgb, whole);
    }
    assert_eq!(code(&jpeg[..jpeg.len() - 12]), "truncated");
    // As a program leaves it that saved what it had of a download.
    for size in [(96, 96), (1200, 1000)] {
        let jpeg = encoded(&sample(size.0, size.1).into(), ImageFormat::Jpeg);
        let closed = [&jpeg[..jpeg.len() / 2], b"\xff\xd9"].concat();
        assert_eq!(code(&closed), "truncated", "{size:?}");
    }
}

#[test]
fn other_files_are_named() {
    for (bytes, name) in [
        (&b"%PDF-1.7\n"[..], "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "AVIF"),
        (b"<?xml version=\"1.0\"?><svg xmlns=\"\">", "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"PK\x03\x04\x14\0", "zip"),
        (b"Dear Sir or Madam", "text"),
        (b"BMW sold more cars than ever", "text"),
        (b"\x93\x01\x02\x03", "no picture format"),
    ] {
        let error = decode(bytes, &Limits::default()).unwrap_err();
        assert_eq!(error.code(), "unknown_format");
        assert!(error.to_string().contains(name), "{error}");
    }
    assert_eq!(code(&[]), "empty");
}

#[test]
fn damage_is_never_a_panic() {
    let picture = DynamicImage::from(sample(40, 30));
    // xorshift32
    let mut state = 0x9e37_79b9_u32;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as usize
    };
    let limits = Limits {
        max_memory: 64 << 20,
        ..Limits::default()
    };
    let mut panicked = Vec::new();
    for format in LOSSLESS
        .into_iter()
        .chain([ImageFormat::Jpeg, ImageFormat::Gif])
    {
        let bytes = encoded(
            &if format == ImageFormat::Gif {
                picture.to_rgba8().into()
            } else {
                picture.clone()
            },
            format,
        );
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            for _ in 0..1 + random() % 8 {
                // Half of the hits go to the headers.
                let span = if random() % 2 == 0 {
                    128.min(damaged.len())
                } else {
                    damaged.len()
                };
                damaged[random() % span] = random() as u8;
            }
            let result = decode(&damaged, &limits);
            // Caught, but where panics abort nothing catches it.
            if matches!(&result, Err(e) if e.to_string().contains("gave up")) {
                panicked.push(format);
            }
            if let Ok(pages) = result {
                assert!(
                    pages
                        .iter()
                        .all(|p| p.rgb.len() == p.width as usize * p.height as usize * 3)
                );
            }
            let _ = probe(&damaged, &limits);
        }
    }
    assert!(panicked.is_empty(), "{panicked:?}");
}

/// The collection in `MAOOCR_EVAL`, if there is one: its folder and the rows of one of its lists.
fn collection(list: &str) -> Option<(PathBuf, Vec<Value>)> {
    let folder = PathBuf::from(std::env::var_os("MAOOCR_EVAL")?);
    let rows = std::fs::read_to_string(folder.join(list)).unwrap();
    Some((
        folder,
        rows.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    ))
}

#[test]
fn files_of_the_collection_are_read_or_refused_as_expected() {
    let Some((folder, rows)) = collection("robust.jsonl") else {
        return;
    };
    let limits = Limits::default();
    let mut table: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let (file, expect) = (
            row["file"].as_str().unwrap(),
            row["expect"].as_str().unwrap(),
        );
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let result = decode(&bytes, &limits);
        let code = result.as_ref().map_or_else(ImagingError::code, |_| "read");
        let shown = match &result {
            Ok(pages) => pages
                .iter()
                .map(|p| format!("{}×{} ", p.width, p.height))
                .collect(),
            Err(e) => e.to_string(),
        };
        if !file.ends_with(".pdf") {
            println!("{code:15} {expect:22} {file} {shown}");
        }
        *table
            .entry((format!("{} {expect}", row["kind"].as_str().unwrap()), code))
            .or_default() += 1;
        let fine = match expect {
            "decode_ok" => result.is_ok(),
            "clean_error" => result.is_err(),
            // PDF.
            "opens" => code == "unknown_format",
            _ => true,
        };
        // What the headers promise is what comes out.
        let agrees = match (&result, probe(&bytes, &limits)) {
            (Ok(pages), Ok(info)) => {
                (info.width, info.height, info.pages)
                    == (pages[0].width, pages[0].height, pages.len())
            }
            (Ok(_), Err(_)) => false,
            (Err(_), _) => true,
        };
        if !fine || !agrees || shown.contains("gave up") {
            wrong.push(format!("{file}: expected {expect}, {code}: {shown}"));
        }
    }
    for ((expect, code), count) in table {
        println!("{count:4} {expect}: {code}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pictures_of_the_collection_have_their_size() {
    let Some((folder, rows)) = collection("gt.jsonl") else {
        return;
    };
    let mut wrong = Vec::new();
    for row in &rows {
        let file = row["file"].as_str().unwrap();
        let size = [
            row["size"][0].as_u64().unwrap() as u32,
            row["size"][1].as_u64().unwrap() as u32,
        ];
        // The list has the size as stored; the page comes upright.
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let reader = image::ImageReader::new(Cursor::new(&bytes))
            .with_guessed_format()
            .unwrap();
        let turn = reader.into_decoder().unwrap().orientation().unwrap();
        let size = <[u32; 2]>::from(pixels::turned(size.into(), turn));
        match decode(&bytes, &Limits::default()) {
            Ok(pages) if [pages[0].width, pages[0].height] == size => {}
            Ok(pages) => wrong.push(format!(
                "{file}: {size:?}, got {}×{}",
                pages[0].width, pages[0].height
            )),
            Err(e) => wrong.push(format!("{file}: {e}")),
        }
    }
    println!("{} pictures, {} wrong", rows.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn frames_are_pages() {
    let limits = Limits::default();
    let page = Image::from_rgba(2, 1, vec![1, 2, 3, 255, 9, 9, 9, 0], &limits).unwrap();
    assert_eq!((page.width, page.height), (2, 1));
    assert_eq!(page.rgb, [1, 2, 3, 255, 255, 255]);
    for (width, height, bytes) in [(2, 1, 7), (0, 0, 0), (0, 5, 0), (u32::MAX, u32::MAX, 4)] {
        let error = Image::from_rgba(width, height, vec![0; bytes], &limits).unwrap_err();
        assert_eq!(error.code(), "invalid_frame");
    }
    let tight = Limits {
        max_pixels: 1,
        ..limits
    };
    let error = Image::from_rgba(2, 1, vec![0; 8], &tight).unwrap_err();
    assert_eq!(error.code(), "too_many_pixels");
}

fn pages(bytes: &[u8]) -> Vec<Result<Page, PageError>> {
    let mut source = open(bytes, &Limits::default()).unwrap();
    std::iter::from_fn(|| source.next_page()).collect()
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
fn retagged(mut tiff: Vec<u8>, from: u16, to: u16, value: u16) -> Vec<u8> {
    let found = tiff.windows(2).rposition(|w| w == from.to_le_bytes());
    let at = found.expect("the tag is there");
    tiff[at..at + 2].copy_from_slice(&to.to_le_bytes());
    tiff[at + 2..at + 8].copy_from_slice(&[3, 0, 1, 0, 0, 0]);
    tiff[at + 8..at + 12].copy_from_slice(&[value as u8, 0, 0, 0]);
    tiff
}

#[test]
fn a_quarter_turn_counts_as_memory() {
    use image::ImageEncoder;
    use image::codecs::{jpeg::JpegEncoder, png::PngEncoder, webp::WebPEncoder};

    const SIZE: u32 = 100;
    let turned = [
        &b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"[..],
        &[0; 4],
    ]
    .concat();
    let picture = sample(SIZE, SIZE);
    macro_rules! with {
        ($new:expr) => {
            [None, Some(turned.clone())].map(|exif| {
                let mut out = Vec::new();
                let mut encoder = $new(&mut out);
                if let Some(exif) = exif {
                    encoder.set_exif_metadata(exif).unwrap();
                }
                let kind = image::ExtendedColorType::Rgb8;
                encoder
                    .write_image(picture.as_raw(), SIZE, SIZE, kind)
                    .unwrap();
                out
            })
        };
    }
    let tiff = tiff_of(&[TiffPage {
        size: (SIZE as u16, SIZE as u16),
        data: vec![0x55; 1300],
        ..bilevel(0)
    }]);
    // What a picture takes that isn't turned; WebP's decoder keeps a frame of its own, JPEG's tail may be a copy.
    for (name, [plain, turned], per_pixel) in [
        ("JPEG", with!(JpegEncoder::new), 5),
        ("PNG", with!(PngEncoder::new), 4),
        ("TIFF", [tiff.clone(), retagged(tiff, 277, 274, 6)], 4),
    ] {
        let limits = Limits {
            max_memory: u64::from(SIZE * SIZE) * per_pixel,
            ..Limits::default()
        };
        assert!(decode(&plain, &limits).is_ok(), "{name}");
        let error = decode(&turned, &limits).expect_err(name);
        assert_eq!(error.code(), "out_of_memory", "{name}");
        let read = decode(&turned, &Limits::default()).unwrap();
        assert_eq!(read[0].width, SIZE, "{name}");
    }
    let [_, turned] = with!(WebPEncoder::new_lossless);
    assert_eq!(probe(&turned, &Limits::default()).unwrap().width, SIZE);
}

#[test]
fn resolution_is_what_the_file_states() {
    use image::codecs::jpeg::{JpegEncoder, PixelDensity};

    let dpi = |bytes: &[u8]| pages(bytes)[0].as_ref().unwrap().dpi.map(f32::round);
    let picture = sample(20, 10);
    for (stated, wanted) in [(300, Some(300.0)), (72, None)] {
        let mut jpeg = Vec::new();
        let mut encoder = JpegEncoder::new(&mut jpeg);
        encoder.set_pixel_density(PixelDensity::dpi(stated));
        encoder.encode_image(&picture).unwrap();
        assert_eq!(dpi(&jpeg), wanted);

        let mut png = Vec::new();
        let mut encoder = ::png::Encoder::new(&mut png, 20, 10);
        encoder.set_color(::png::ColorType::Rgb);
        let ppu = (f64::from(stated) / 0.0254).round() as u32;
        encoder.set_pixel_dims(Some(::png::PixelDimensions {
            xppu: ppu,
            yppu: ppu,
            unit: ::png::Unit::Meter,
        }));
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(picture.as_raw()).unwrap();
        writer.finish().unwrap();
        assert_eq!(dpi(&png), wanted);

        let mut bmp = encoded(&picture.clone().into(), ImageFormat::Bmp);
        for at in [38, 42] {
            bmp[at..at + 4].copy_from_slice(&ppu.to_le_bytes());
        }
        assert_eq!(dpi(&bmp), wanted);
    }
    assert_eq!(dpi(include_bytes!("testdata/g3.tif")), Some(200.0));
    assert_eq!(dpi(&encoded(&picture.into(), ImageFormat::WebP)), None);
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
fn limits_grow_with_the_pages_and_never_overflow() {
    let usual = Limits::default();
    let small = Limits::for_pages(usual.max_bytes, 1_000_000);
    assert_eq!(
        (small.max_pixels, small.max_memory),
        (1_000_000, usual.max_memory)
    );
    let double = Limits::for_pages(usual.max_bytes, usual.max_pixels * 2);
    assert_eq!(double.max_memory, usual.max_memory * 2);
    // 17,180 megapixels were the first that overflowed.
    let large = Limits::for_pages(usual.max_bytes, 17_180_000_000);
    assert!(large.max_memory > double.max_memory);
    assert_eq!(Limits::for_pages(1, u64::MAX).max_memory, u64::MAX);
}
