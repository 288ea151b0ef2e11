//! JPEG 2000 and JPEG XL: [`sample`] of 37 × 23 pixels, written by OpenJPEG 2.5 and libjxl 0.7.

use super::*;

fn file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/imaging/tests/testdata");
    std::fs::read(std::path::Path::new(folder).join(name)).unwrap()
}

#[test]
fn lossless_files_come_back_as_they_were() {
    for name in ["rgb.jp2", "rgb.j2k", "rgb.jxl"] {
        let page = only(&file(name));
        assert_eq!((page.width, page.height), (37, 23), "{name}");
        assert!(page.rgb == *sample(37, 23).as_raw(), "{name}");
    }
}

#[test]
fn lossy_files_look_like_it() {
    for name in ["lossy.jp2", "lossy.jxl"] {
        let page = only(&file(name));
        let off = distance(&page.rgb, sample(37, 23).as_raw());
        assert!((0.01..8.0).contains(&off), "{name}: {off}");
    }
}

#[test]
fn sixteen_bits_of_grey_become_eight() {
    let red = |at: usize| sample(37, 23).as_raw()[at / 3 * 3];
    for name in ["grey16.jp2", "grey16.jxl"] {
        let page = only(&file(name));
        assert_eq!(page.rgb.len(), 37 * 23 * 3, "{name}");
        for (at, value) in page.rgb.iter().enumerate() {
            assert!(value.abs_diff(red(at)) <= 1, "{name} at {at}");
        }
    }
}

#[test]
fn what_is_transparent_is_laid_over_white() {
    let picture = sample(37, 23);
    for name in ["alpha.jp2", "alpha.jxl"] {
        let page = only(&file(name));
        for (x, y, colour) in picture.enumerate_pixels() {
            let alpha = x * 6;
            let wanted = colour
                .0
                .map(|v| (u32::from(v) * alpha + 255 * (255 - alpha) + 127) / 255);
            let at = (y * 37 + x) as usize * 3;
            let seen = [0, 1, 2].map(|c| u32::from(page.rgb[at + c]));
            assert_eq!(seen, wanted, "{name} at {x}, {y}");
        }
    }
}

#[test]
fn inks_become_colours() {
    let page = only(&file("cmyk.jp2"));
    for (x, y, Rgb([c, m, yellow])) in sample(37, 23).enumerate_pixels() {
        let wanted = pixels::cmyk([*c, *m, *yellow, (x * 2) as u8]);
        let at = (y * 37 + x) as usize * 3;
        assert_eq!(page.rgb[at..at + 3], wanted, "{x}, {y}");
    }
}

#[test]
fn a_turned_picture_stands_upright_and_tells_its_resolution() {
    let file = file("turned.jxl");
    let page = only(&file);
    assert_eq!((page.width, page.height), (23, 37));
    let upright = image::imageops::rotate90(&sample(37, 23));
    assert!(distance(&page.rgb, upright.as_raw()) < 8.0);
    // What EXIF says of the orientation has been seen to; its resolution (300 dpi) counts.
    let exif = b"II*\0\x08\0\0\0\x03\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\
        \x1a\x01\x05\0\x01\0\0\0\x32\0\0\0\x1b\x01\x05\0\x01\0\0\0\x32\0\0\0\0\0\0\0\x2c\x01\0\0\x01\0\0\0";
    let length = (exif.len() as u32 + 12).to_be_bytes();
    let file = [&file[..], &length, b"Exif\0\0\0\0", exif].concat();
    let page = super::super::page(&file, &Limits::default(), 0).unwrap();
    assert_eq!(page.dpi, Some(300.0));
    assert_eq!((page.image.width, page.image.height), (23, 37));
}

#[test]
fn of_an_animation_the_first_frame_is_read() {
    let page = only(&file("anim.jxl"));
    assert!(distance(&page.rgb, sample(37, 23).as_raw()) < 24.0);
}

/// A box of a resolution within the header's box: 11,811 pixels a metre, 300 an inch.
#[test]
fn the_resolution_of_a_jp2_is_told() {
    let mut file = file("rgb.jp2");
    let fields = b"\x2e\x23\0\x01\x2e\x23\0\x01\0\0";
    let inner = [&18_u32.to_be_bytes()[..], b"resc", fields].concat();
    let outer = [&26_u32.to_be_bytes()[..], b"res ", &inner].concat();
    let header = file.windows(4).position(|w| w == b"jp2h").unwrap() - 4;
    let length = u32::from_be_bytes(*file[header..].first_chunk().unwrap());
    file[header..header + 4].copy_from_slice(&(length + 26).to_be_bytes());
    let end = header + length as usize;
    file.splice(end..end, outer);
    let page = super::super::page(&file, &Limits::default(), 0).unwrap();
    assert!((page.dpi.unwrap() - 300.0).abs() < 0.01);
}

#[test]
fn a_file_that_breaks_off_is_an_error_wherever_it_does() {
    for name in [
        "rgb.jp2",
        "rgb.j2k",
        "lossy.jp2",
        "rgb.jxl",
        "lossy.jxl",
        "turned.jxl",
    ] {
        let file = file(name);
        for end in 16..file.len() {
            let code = code(&file[..end]);
            assert!(
                matches!(code, "truncated" | "malformed"),
                "{name} up to {end}: {code}"
            );
        }
        assert_eq!(code(&file[..file.len() - 8]), "truncated", "{name}");
    }
}

#[test]
fn limits_hold_before_anything_is_decoded() {
    for name in ["rgb.jp2", "rgb.j2k", "rgb.jxl", "turned.jxl"] {
        let of = |limits: Limits| {
            let probed = probe(&file(name), &limits).map_err(|e| e.code());
            let decoded = decode(&file(name), &limits).map_err(|e| e.code());
            (probed.err(), decoded.err())
        };
        let few = Limits {
            max_pixels: 37 * 23 - 1,
            ..Limits::default()
        };
        assert_eq!(
            of(few),
            (Some("too_many_pixels"), Some("too_many_pixels")),
            "{name}"
        );
        let tight = Limits {
            max_memory: 37 * 23 * 4,
            ..Limits::default()
        };
        assert_eq!(of(tight).1, Some("out_of_memory"), "{name}");
    }
}
