//! EXIF blocks, in a JPEG that is sound otherwise: whatever they say, the picture is read, upright or turned.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maoocr_engine::imaging::{self, Limits};

/// 16 × 8 px, grey.
const JPEG: &[u8] = include_bytes!("../seeds/grey.jpg");

fuzz_target!(|exif: &[u8]| {
    let exif = &exif[..exif.len().min(65_000)];
    let mut file = JPEG[..2].to_vec();
    file.extend([0xff, 0xe1]);
    file.extend((exif.len() as u16 + 8).to_be_bytes());
    file.extend(b"Exif\0\0");
    file.extend(exif);
    file.extend(&JPEG[2..]);
    let pages = imaging::decode(&file, &Limits::default()).expect("the picture is sound");
    let size = (pages[0].width, pages[0].height);
    assert!(matches!(size, (16, 8) | (8, 16)), "{size:?}");
});
