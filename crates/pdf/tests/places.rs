//! Text lands on the page and at the place where it was read, however the file writes its pages.

mod common;

use std::sync::Arc;

use common::{Sheet, open, page, pdf, raw, stream, words};
use maoocr_pdf::Pdf;
use maoocr_pdf::searchable::{Extended, Layer};

const CATALOG: &str = "<</Type/Catalog/Pages 2 0 R>>";
const FONTS: &str = "/Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>";

/// Lays a word over each page, upper left, and opens the result.
fn extended(original: &[u8], texts: &[&str]) -> Arc<Pdf> {
    let before = open(original.to_vec());
    let mut out = Extended::open(&Arc::new(original.to_vec()), "").unwrap();
    assert_eq!((out.count(), before.count()), (texts.len(), texts.len()));
    for (index, text) in texts.iter().enumerate() {
        let image = before.page(index).unwrap().image;
        let size = (image.width, image.height);
        let (w, h) = (size.0 as f32, size.1 as f32);
        let place = [0.1 * w, 0.1 * h, 0.3 * w, 0.2 * h];
        out.add(index, &page(index, size, &[(text, place)]), Layer::Absent)
            .unwrap();
    }
    let made = open(out.finish().unwrap());
    for index in 0..texts.len() {
        let [a, b] = [&before, &made].map(|pdf| pdf.page(index).unwrap().image);
        assert!(a.rgb == b.rgb, "page {index} looks different");
    }
    made
}

/// Whether a page's only unseen word is that one, where [`extended`] puts it.
fn has(pdf: &Pdf, index: usize, text: &str) {
    let found = words(pdf, index, false);
    let [(word, at)] = &found[..] else {
        panic!("page {index}: {found:?}");
    };
    let near = at.iter().zip([0.1, 0.1, 0.3, 0.2]);
    let near = near.map(|(a, b)| (a - b).abs()).all(|d| d < 0.02);
    assert!(word == text && near, "page {index}: {found:?}");
}

#[test]
fn boxes_and_turns_are_what_the_reader_takes_them_for() {
    for page in [
        "/MediaBox[0 0 200 100]/Rotate 90.0",
        "/MediaBox[0 0 200 100]/Rotate 450",
        "/MediaBox[0 0 200 100 7]/CropBox[50 20 150 80 0]",
        "/MediaBox[0 4 0 R 200 100]/CropBox[4 0 R 20 150 80]/Rotate 5 0 R",
        "/MediaBox[200 100 0 0]",
        "",
    ] {
        let object = format!("<</Type/Page/Parent 2 0 R{page}{FONTS}>>");
        let tree = "<</Type/Pages/Kids[3 0 R]/Count 1>>";
        let made = extended(&raw(&[CATALOG, tree, &object, "10", "-90"]), &["unseen"]);
        has(&made, 0, "unseen");
    }
}

#[test]
fn content_that_never_ends_hides_nothing() {
    for more in [
        "BT /F1 10 Tf (abc",
        "BT /F1 10 Tf",
        "q 5 0 0 5 40 40 cm",
        "Q Q 0 0 1 1 re W n",
        "BI /W 1 /H 1 /BPC 8 /CS /G ID x",
        "/Span <</ActualText (x",
        "[1 2",
        "% comment",
        "/OC /hidden BDC",
    ] {
        let sheet = Sheet {
            more: more.into(),
            ..Sheet::default().text("Painted", 20.0, 50.0, 0)
        };
        let made = extended(&pdf(&[sheet]), &["unseen"]);
        has(&made, 0, "unseen");
        assert_eq!(words(&made, 0, true)[0].0, "Painted", "{more}");
    }
}

#[test]
fn pages_within_their_list_are_pages() {
    let page = format!("<</Type/Page/MediaBox[0 0 200 100]/Contents 4 0 R{FONTS}>>");
    let content = stream("BT /F1 10 Tf 20 20 Td (Painted) Tj ET");
    for tree in [
        format!("<</Type/Pages/Count 3/Kids[{page} 3 0 R {page}]>>"),
        "<</Type/Pages/Count 3/Kids 5 0 R>>".into(),
    ] {
        let list = format!("[{page} 3 0 R {page}]");
        let own = page.replace("/MediaBox", "/Parent 2 0 R/MediaBox");
        let made = extended(
            &raw(&[CATALOG, &tree, &own, &content, &list]),
            &["one", "two", "three"],
        );
        for (index, text) in ["one", "two", "three"].into_iter().enumerate() {
            has(&made, index, text);
        }
    }
}

#[test]
fn a_page_listed_twice_is_two_pages() {
    let page = format!("<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]{FONTS}>>");
    let tree = "<</Type/Pages/Count 3/Kids[3 0 R 4 0 R 3 0 R]>>";
    let original = raw(&[CATALOG, tree, &page, &page]);
    let made = extended(&original, &["same", "other", "same"]);
    for (index, text) in ["same", "other", "same"].into_iter().enumerate() {
        has(&made, index, text);
    }
    // Turned once, not once for each time it is listed.
    let mut out = Extended::open(&Arc::new(original), "").unwrap();
    for index in [0, 2] {
        out.turn(index, 90).unwrap();
    }
    let image = open(out.finish().unwrap()).page(2).unwrap().image;
    assert!(image.height > image.width);
}

#[test]
fn what_a_page_inherits_stays_whoever_it_names_as_its_parent() {
    let page = "<</Type/Page/Parent 9 0 R/Contents 4 0 R>>";
    let tree = format!("<</Type/Pages/Count 1/Kids[3 0 R]/MediaBox[0 0 200 100]{FONTS}>>");
    let content = stream("BT /F1 10 Tf 20 20 Td (Painted) Tj ET");
    let made = extended(&raw(&[CATALOG, &tree, page, &content]), &["unseen"]);
    has(&made, 0, "unseen");
    assert_eq!(words(&made, 0, true)[0].0, "Painted");
}
