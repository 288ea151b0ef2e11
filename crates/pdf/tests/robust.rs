//! PDFs that other programs' test suites collected, where they are at hand: every one opens or ends in a reason.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use maoocr_pdf::{Options, Pdf};

/// Pages of a file that are drawn.
const PAGES: usize = 3;

/// `MAOOCR_PDFS` is the folder; its subfolders are searched, too.
#[test]
fn a_collection_of_pdfs_is_drawn_or_refused_with_a_reason() {
    let Some(folder) = std::env::var_os("MAOOCR_PDFS") else {
        return;
    };
    let mut files = Vec::new();
    find(Path::new(&folder), &mut files);
    files.sort();
    assert!(!files.is_empty());
    let (mut opened, mut slowest) = (0, (0.0, PathBuf::new()));
    for file in &files {
        let began = Instant::now();
        let bytes = Arc::new(std::fs::read(file).unwrap());
        let options = Options {
            seconds: Some(30.0),
            ..Options::default()
        };
        let mut reasons = Vec::new();
        match Pdf::open(bytes, options) {
            Ok(pdf) => {
                opened += 1;
                for index in 0..pdf.count().min(PAGES) {
                    match pdf.page(index) {
                        Ok(page) => assert!(!page.image.rgb.is_empty()),
                        Err(error) => reasons.push(error.to_string()),
                    }
                }
            }
            Err(error) => reasons.push(error.to_string()),
        }
        let seconds = began.elapsed().as_secs_f64();
        if seconds > slowest.0 {
            slowest = (seconds, file.clone());
        }
        for reason in reasons {
            assert!(!reason.is_empty() && !reason.contains('\n'));
            println!("{}: {reason} ({seconds:.1} s)", file.display());
        }
        // Opening, and each page.
        assert!(seconds < 30.0 * (PAGES + 2) as f64, "{}", file.display());
    }
    println!(
        "{opened} of {} opened; the slowest, {slowest:?}",
        files.len()
    );
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            find(&path, files);
        } else if path
            .extension()
            .is_some_and(|e| e.eq_ignore_ascii_case("pdf"))
        {
            files.push(path);
        }
    }
}
