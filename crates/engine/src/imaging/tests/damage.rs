//! Files that are cut short or damaged.

use super::*;

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
