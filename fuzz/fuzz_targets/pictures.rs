//! Bytes that claim to be a picture: told by their content, measured and decoded, they end in pages of the size that
//! was promised or in an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maoocr_engine::imaging::{self, Limits};

fuzz_target!(|file: &[u8]| {
    let limits = Limits {
        max_bytes: 1 << 20,
        max_pixels: 1 << 20,
        max_pages: 8,
        max_memory: 64 << 20,
    };
    let promised = imaging::probe(file, &limits);
    let Ok(mut source) = imaging::open(file, &limits) else {
        return;
    };
    let count = source.count();
    let mut seen = 0;
    while let Some(page) = source.next_page() {
        match page {
            Ok(page) => {
                let image = &page.image;
                assert_eq!(page.index, seen);
                assert_eq!(
                    image.rgb.len(),
                    image.width as usize * image.height as usize * 3
                );
                assert!(page.dpi.is_none_or(|dpi| (50.0..=4800.0).contains(&dpi)));
                if let Ok(info) = &promised
                    && seen == 0
                {
                    assert_eq!((image.width, image.height), (info.width, info.height));
                }
            }
            // A decoder that panics is caught, but not where panics abort.
            Err(error) => assert!(!error.to_string().contains("gave up"), "{error}"),
        }
        seen += 1;
        assert!(seen <= limits.max_pages + 1);
    }
    assert!(count.is_none_or(|count| seen <= count.max(1) + 1));
    assert!(source.next_page().is_none());
});
