mod collection;
mod damage;
#[cfg(feature = "more-formats")]
mod more;
mod tiff;

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::*;

use tiff::{TiffPage, bilevel, retagged, tiff_of};

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
    assert_eq!(dpi(include_bytes!("tests/testdata/g3.tif")), Some(200.0));
    assert_eq!(dpi(&encoded(&picture.into(), ImageFormat::WebP)), None);
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
