//! What is laid over pages is found where it belongs, and everything else stays.

mod common;

use std::sync::Arc;

use common::{Sheet, open, page, pdf, words};
use maoocr_engine::document::{Region, RegionKind};
use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::Image;
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer};
use maoocr_pdf::{Options, Pdf};

fn extended(bytes: &[u8], add: impl FnOnce(&mut Extended)) -> Vec<u8> {
    let mut out = Extended::open(&Arc::new(bytes.to_vec()), "").unwrap();
    add(&mut out);
    let made = out.finish().unwrap();
    assert_eq!(made[..bytes.len()], *bytes, "the original's bytes stay");
    made
}

fn near(found: [f32; 4], wanted: [f32; 4]) -> bool {
    found.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 0.012)
}

#[test]
fn words_stand_where_they_were_read_however_the_page_lies() {
    for rotate in [0, 90, 180, 270] {
        let sheet = Sheet {
            media: [100.0, -50.0, 300.0, 50.0],
            crop: Some([120.0, -40.0, 280.0, 40.0]),
            rotate,
            ..Sheet::default()
        };
        let original = pdf(&[sheet]);
        let size = if rotate % 180 == 0 {
            (320, 160)
        } else {
            (160, 320)
        };
        let (w, h) = (size.0 as f32, size.1 as f32);
        let boxes = [[16.0, 16.0, 64.0, 32.0], [80.0, 16.0, 144.0, 32.0]];
        let read = page(0, size, &[("Hello", boxes[0]), ("wörld中", boxes[1])]);
        let made = extended(&original, |out| out.add(0, &read, Layer::Absent).unwrap());
        let found = words(&open(made), 0, false);
        let texts: Vec<&str> = found.iter().map(|(t, _)| t.as_str()).collect();
        assert_eq!(texts, ["Hello", "wörld", "中"], "{rotate}");
        let wanted = boxes[0];
        let wanted = [wanted[0] / w, wanted[1] / h, wanted[2] / w, wanted[3] / h];
        assert!(
            near(found[0].1, wanted),
            "{rotate}: {:?} {wanted:?}",
            found[0]
        );
    }
}

#[test]
fn pages_look_as_before() {
    let sheet = Sheet::default().text("Painted", 20.0, 50.0, 0);
    let original = pdf(&[sheet.clone(), sheet]);
    let read = page(1, (400, 200), &[("unseen", [100.0, 100.0, 200.0, 130.0])]);
    let made = open(extended(&original, |out| {
        out.add(1, &read, Layer::Absent).unwrap()
    }));
    let before = open(original);
    for index in 0..2 {
        let (a, b) = (
            before.page(index).unwrap().image,
            made.page(index).unwrap().image,
        );
        assert!(a.rgb == b.rgb, "page {index}");
    }
    assert_eq!(words(&made, 1, false)[0].0, "unseen");
    assert_eq!(words(&made, 1, true)[0].0, "Painted");
    assert!(words(&made, 0, false).is_empty());
}

#[test]
fn nothing_to_add_changes_nothing() {
    let original = pdf(&[Sheet::default()]);
    assert_eq!(extended(&original, |_| {}), original);
}

#[test]
fn an_older_reading_is_taken_out_and_painted_text_stays() {
    let sheet = Sheet::default()
        .text("0ld", 20.0, 20.0, 3)
        .text("Painted", 20.0, 50.0, 0);
    let original = pdf(&[sheet]);
    let read = page(0, (400, 200), &[("Old", [40.0, 140.0, 80.0, 164.0])]);
    let made = open(extended(&original, |out| {
        out.add(0, &read, Layer::Unseen { all: false }).unwrap()
    }));
    let unseen: Vec<String> = words(&made, 0, false).into_iter().map(|w| w.0).collect();
    assert_eq!(unseen, ["Old"]);
    assert_eq!(words(&made, 0, true)[0].0, "Painted");
}

#[test]
fn text_that_lies_is_seen_and_not_found() {
    let original = pdf(&[Sheet::default().text("Ifmmp", 20.0, 50.0, 0)]);
    let read = page(0, (400, 200), &[("Hello", [40.0, 80.0, 90.0, 104.0])]);
    let made = open(extended(&original, |out| {
        out.add(0, &read, Layer::Lying).unwrap()
    }));
    assert!(words(&made, 0, true).is_empty());
    assert_eq!(words(&made, 0, false)[0].0, "Hello");
    assert!(open(original).page(0).unwrap().image.rgb == made.page(0).unwrap().image.rgb);
}

#[test]
fn headings_become_an_outline() {
    let original = pdf(&[Sheet::default(), Sheet::default()]);
    let heading = |level, text: &str| Region {
        kind: RegionKind::Heading,
        level: Some(level),
        quad: Quad::from_rect(0.0, 50.0, 100.0, 70.0),
        confidence: 1.0,
        lines: Vec::new(),
        text: text.into(),
        table: None,
        items: Vec::new(),
        caption: None,
        continued: false,
        picture: None,
    };
    let made = extended(&original, |out| {
        let mut first = page(0, (400, 200), &[("One", [40.0, 40.0, 90.0, 64.0])]);
        first.regions = vec![heading(1, "One"), heading(2, "Ünder\none")];
        out.outline(0, &first);
        let mut second = page(1, (400, 200), &[]);
        second.regions = vec![heading(1, "Two")];
        out.outline(1, &second);
    });
    let document = lopdf::Document::load_mem(&made).unwrap();
    let outlines = document
        .catalog()
        .unwrap()
        .get(b"Outlines")
        .unwrap()
        .as_reference()
        .unwrap();
    let get = |id: lopdf::ObjectId| document.get_dictionary(id).unwrap();
    let link =
        |from: &lopdf::Dictionary, key: &[u8]| from.get(key).unwrap().as_reference().unwrap();
    let top = get(outlines);
    assert_eq!(top.get(b"Count").unwrap().as_i64().unwrap(), 2);
    let one = get(link(top, b"First"));
    let below = get(link(one, b"First"));
    let title = below.get(b"Title").unwrap().as_str().unwrap();
    let wanted: Vec<u8> = [0xfe, 0xff]
        .into_iter()
        .chain("Ünder one".encode_utf16().flat_map(u16::to_be_bytes))
        .collect();
    assert_eq!(title, wanted);
    let two = get(link(one, b"Next"));
    let pages = document.get_pages();
    let there = two.get(b"Dest").unwrap().as_array().unwrap();
    assert_eq!(there[0].as_reference().unwrap(), pages[&2]);
    // A quarter down the page.
    assert_eq!(there[3].as_float().unwrap(), 75.0);
}

#[test]
fn pages_are_turned_beside_what_they_are() {
    let original = pdf(&[Sheet {
        rotate: 90,
        ..Sheet::default()
    }]);
    let made = open(extended(&original, |out| out.turn(0, 270).unwrap()));
    let image = made.page(0).unwrap().image;
    assert!(image.width > image.height);
}

#[test]
fn an_encrypted_file_stays_encrypted_with_the_same_password() {
    use lopdf::encryption::crypt_filters::{Aes128CryptFilter, CryptFilter};
    use lopdf::{EncryptionState, EncryptionVersion, Permissions};
    let mut document =
        lopdf::Document::load_mem(&pdf(&[Sheet::default().text("Painted", 10.0, 50.0, 0)]))
            .unwrap();
    let id = lopdf::Object::string_literal("0123456789abcdef");
    document.trailer.set("ID", vec![id.clone(), id]);
    let filter: Arc<dyn CryptFilter> = Arc::new(Aes128CryptFilter);
    let version = EncryptionVersion::V4 {
        document: &document,
        encrypt_metadata: true,
        crypt_filters: [(b"StdCF".to_vec(), filter)].into(),
        stream_filter: b"StdCF".to_vec(),
        string_filter: b"StdCF".to_vec(),
        owner_password: "owner",
        user_password: "user",
        permissions: Permissions::all(),
    };
    let state = EncryptionState::try_from(version).unwrap();
    document.encrypt(&state).unwrap();
    let mut bytes = Vec::new();
    document.save_to(&mut bytes).unwrap();
    let mut out = Extended::open(&Arc::new(bytes), "user").unwrap();
    let read = page(0, (400, 200), &[("unseen", [100.0, 100.0, 200.0, 130.0])]);
    out.add(0, &read, Layer::Absent).unwrap();
    let made = Arc::new(out.finish().unwrap());
    assert!(Pdf::open(made.clone(), Options::default()).is_err());
    let options = Options {
        password: "user".into(),
        ..Options::default()
    };
    let pdf = Pdf::open(made, options).unwrap();
    assert_eq!(words(&pdf, 0, false)[0].0, "unseen");
    assert_eq!(words(&pdf, 0, true)[0].0, "Painted");
}

/// A picture of two greys, and the same as files.
fn picture() -> Image {
    let pixel = |i: u32| {
        if (i / 8 + i % 8).is_multiple_of(2) {
            [40; 3]
        } else {
            [200; 3]
        }
    };
    Image {
        width: 8,
        height: 16,
        rgb: (0..128).flat_map(pixel).collect(),
    }
}

fn encoded(format: image::ImageFormat) -> Vec<u8> {
    let picture = picture();
    let buffer = image::RgbImage::from_raw(8, 16, picture.rgb).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    buffer.write_to(&mut out, format).unwrap();
    out.into_inner()
}

#[test]
fn pictures_go_in_as_they_are() {
    for format in [
        image::ImageFormat::Jpeg,
        image::ImageFormat::Png,
        image::ImageFormat::Bmp,
    ] {
        let file = encoded(format);
        let read = page(0, (8, 16), &[("word", [1.0, 2.0, 7.0, 4.0])]);
        let mut out = Composed::new(Info {
            title: "A <title>".into(),
            date: "2026-11-29T21:05:00Z".into(),
            archival: true,
            ..Info::default()
        });
        let shown = maoocr_engine::imaging::decode(&file, &Default::default())
            .unwrap()
            .remove(0);
        out.add(&file, 0, &read, &shown);
        let made = out.finish();
        if format == image::ImageFormat::Jpeg {
            assert!(
                made.windows(file.len()).any(|w| w == file),
                "the JPEG's bytes are in it"
            );
        }
        let pdf = open(made.clone());
        let seen = pdf.page(0).unwrap().image;
        assert_eq!((seen.width, seen.height), (8, 16), "{format:?}");
        let most = seen
            .rgb
            .iter()
            .zip(&shown.rgb)
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        assert!(most <= Some(2), "{format:?} {most:?}");
        let found = words(&pdf, 0, false);
        assert_eq!(found[0].0, "word");
        assert!(
            near(found[0].1, [1.0 / 8.0, 2.0 / 16.0, 7.0 / 8.0, 4.0 / 16.0]),
            "{found:?}"
        );
        let text = String::from_utf8_lossy(&made);
        assert!(text.contains("<pdfaid:part>2</pdfaid:part>") && text.contains("A &lt;title&gt;"));
        assert!(text.contains("/GTS_PDFA1"));
    }
}
