//! Any bytes: they open or are refused, their pages are drawn or lost with a reason, and what can be added to stays a
//! PDF with as many pages.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use maoocr_engine::imaging::Limits;
use maoocr_pdf::searchable::Extended;
use maoocr_pdf::{Options, Pdf};

fuzz_target!(|bytes: &[u8]| {
    let bytes = Arc::new(bytes.to_vec());
    let options = Options {
        limits: Limits {
            max_pixels: 1 << 20,
            max_memory: 64 << 20,
            max_pages: 16,
            ..Limits::default()
        },
        // The fuzzer has a clock of its own.
        seconds: None,
        ..Options::default()
    };
    let Ok(pdf) = Pdf::open(bytes.clone(), options) else {
        return;
    };
    for index in 0..pdf.count().min(2) {
        if let Ok(page) = pdf.page(index) {
            let pixels = page.image.width as usize * page.image.height as usize;
            assert_eq!(page.image.rgb.len(), 3 * pixels);
            assert!(pixels <= 1 << 20);
        }
    }
    if let Ok(mut out) = Extended::open(&bytes, "")
        && out.turn(0, 90).is_ok()
        && let Ok(made) = out.finish()
    {
        assert!(made.starts_with(&bytes));
    }
});
