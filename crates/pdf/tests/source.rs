//! Pages come out of PDFs as people see them, within limits.

mod common;

use std::sync::Arc;

use common::{Sheet, open, pdf};
use maoocr_engine::imaging::{ImagingError, Limits};
use maoocr_engine::layer;
use maoocr_engine::page::Source;
use maoocr_pdf::{Budget, Options, Pdf};

fn refused(bytes: Vec<u8>, options: Options) -> ImagingError {
    Pdf::open(Arc::new(bytes), options)
        .err()
        .expect("it is refused")
}

fn texts(pdf: &Pdf, index: usize) -> Vec<String> {
    let layer = pdf.page(index).unwrap().text_layer.unwrap();
    layer::lines(&layer, true)
        .into_iter()
        .map(|l| l.text)
        .collect()
}

#[test]
fn the_layer_says_what_and_where() {
    let pdf = open(pdf(&[Sheet::default()
        .text("Hello world", 20.0, 50.0, 0)
        .text("unseen", 20.0, 20.0, 3)]));
    let page = pdf.page(0).unwrap();
    let layer = page.text_layer.unwrap();
    let lines = layer::lines(&layer, true);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].text, "Hello world");
    let scale = page.image.width as f32 / 200.0;
    let [x0, y0, x1, y1] = lines[0].quad.bounds().map(|v| v / scale);
    assert!(
        (x0 - 20.0).abs() < 0.1 && (y0 - 42.0).abs() < 0.2 && (y1 - 52.1).abs() < 0.2,
        "{y0} {y1}"
    );
    // Helvetica's widths: 722 556 222 222 556 278 722 556 333 222 556.
    assert!((x1 - 20.0 - 49.45).abs() < 0.2, "{x1}");
    assert_eq!(layer.glyphs.iter().filter(|g| !g.visible).count(), 6);
    // Ten points at the page's resolution.
    assert!((layer.glyphs[0].size - 10.0 * scale).abs() < 0.1);
    assert_eq!(page.dpi.map(|d| d.round()), Some((72.0 * scale).round()));
}

#[test]
fn boxes_and_turns_are_those_of_the_screen() {
    let text = |sheet: Sheet| sheet.text("Mark", 30.0, 40.0, 0);
    let crop = Some([20.0, 30.0, 120.0, 80.0]);
    let at = |sheet: Sheet| {
        let page = open(pdf(&[sheet])).page(0).unwrap();
        let line = &layer::lines(&page.text_layer.unwrap(), true)[0];
        assert_eq!(line.text, "Mark");
        let ratio = page.image.width as f32 / page.image.height as f32;
        let [a, b, ..] = line.quad.0;
        let start = [
            a.x / page.image.width as f32,
            a.y / page.image.height as f32,
        ];
        (ratio, start, (b.x - a.x).abs() > (b.y - a.y).abs())
    };
    // The character's upper left corner is 8 above its baseline at 30, 40.
    let near = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).abs() < 0.01 && (a[1] - b[1]).abs() < 0.01;
    let (ratio, start, level) = at(text(Sheet {
        crop,
        ..Sheet::default()
    }));
    assert!(
        (ratio - 2.0).abs() < 0.01 && level && near(start, [0.1, 0.64]),
        "{start:?}"
    );
    let (ratio, start, level) = at(text(Sheet {
        crop,
        rotate: 90,
        ..Sheet::default()
    }));
    assert!(
        (ratio - 0.5).abs() < 0.01 && !level && near(start, [0.36, 0.1]),
        "{start:?}"
    );
    let (_, start, level) = at(text(Sheet {
        crop,
        rotate: 180,
        ..Sheet::default()
    }));
    assert!(level && near(start, [0.9, 0.36]), "{start:?}");
    let (_, start, level) = at(text(Sheet {
        crop,
        rotate: 270,
        ..Sheet::default()
    }));
    assert!(!level && near(start, [0.64, 0.9]), "{start:?}");
    // An origin anywhere.
    let far = Sheet {
        media: [-500.0, 300.0, -300.0, 400.0],
        ..Sheet::default()
    };
    let (_, start, _) = at(far.text("Mark", -480.0, 350.0, 0));
    assert!(near(start, [0.1, 0.42]), "{start:?}");
}

#[test]
fn a_scan_is_taken_as_it_is() {
    // 16 by 8 pixels on 8 by 4 points.
    let sheet = |matrix, rotate| Sheet {
        media: [0.0, 0.0, 8.0, 4.0],
        picture: Some(matrix),
        rotate,
        ..Sheet::default()
    };
    let flat = [8.0, 0.0, 0.0, 4.0, 0.0, 0.0];
    for (rotate, size, black) in [
        (0, (16, 8), 0),
        (90, (8, 16), 7),
        (180, (16, 8), 127),
        (270, (8, 16), 120),
    ] {
        let image = open(pdf(&[sheet(flat, rotate)])).page(0).unwrap().image;
        assert_eq!((image.width, image.height), size);
        let found: Vec<usize> = image
            .rgb
            .chunks_exact(3)
            .enumerate()
            .filter(|(_, p)| *p != [255; 3])
            .map(|(i, _)| i)
            .collect();
        assert_eq!(found, [black], "{rotate}");
        assert_eq!(image.rgb[3 * black..3 * black + 3], [0; 3]);
    }
}

#[test]
fn rules_and_pictures_are_found() {
    let more = b"2 w 20 10 m 180 10 l S 30 20 100 1 re f 40 30 60 40 re S 0 0 m 50 50 l S".to_vec();
    let pdf = open(pdf(&[Sheet {
        more,
        picture: Some([40.0, 0.0, 0.0, 20.0, 100.0, 60.0]),
        ..Sheet::default()
    }]));
    let page = pdf.page(0).unwrap();
    let scale = page.image.width as f32 / 200.0;
    let layer = page.text_layer.unwrap();
    let rules: Vec<[i32; 5]> = layer
        .rules
        .iter()
        .map(|r| {
            [r.from[0], r.from[1], r.to[0], r.to[1], r.thickness]
                .map(|v| (v / scale).round() as i32)
        })
        .collect();
    assert!(rules.contains(&[20, 90, 180, 90, 2]), "{rules:?}");
    assert!(
        rules.contains(&[30, 80, 130, 80, 1]) || rules.contains(&[30, 79, 130, 79, 1]),
        "{rules:?}"
    );
    // A frame is four, and a slanting line none.
    assert_eq!(rules.len(), 6, "{rules:?}");
    let [x0, y0, x1, y1] = layer.pictures[0]
        .bounds()
        .map(|v| (v / scale).round() as i32);
    assert_eq!([x0, y0, x1, y1], [100, 20, 140, 40]);
}

#[test]
fn text_below_a_picture_is_not_seen() {
    let hidden = Sheet {
        more: b"q 200 0 0 100 0 0 cm /Im Do Q".to_vec(),
        ..Sheet::default()
    };
    let pdf = open(pdf(&[hidden.text("hidden", 20.0, 50.0, 0)]));
    let layer = pdf.page(0).unwrap().text_layer.unwrap();
    assert!(layer.glyphs.iter().all(|g| !g.visible) && layer.glyphs.len() == 6);
}

#[test]
fn small_text_and_fine_pictures_are_drawn_larger() {
    let dpi = |sheet: Sheet| open(pdf(&[sheet])).page(0).unwrap().dpi.unwrap();
    let large = dpi(Sheet {
        more: b"BT /F1 40 Tf 10 30 Td (Large) Tj ET".to_vec(),
        ..Sheet::default()
    });
    let small = dpi(Sheet {
        more: b"BT /F1 6 Tf 10 30 Td (small) Tj ET".to_vec(),
        ..Sheet::default()
    });
    assert_eq!((large.round(), small.round()), (150.0, 300.0));
}

#[test]
fn the_source_yields_the_pages_that_were_chosen() {
    let sheets: Vec<Sheet> = (1..=4)
        .map(|n| Sheet::default().text(&format!("Page {n}"), 10.0, 10.0, 0))
        .collect();
    let pdf = open(pdf(&sheets));
    assert_eq!(pdf.count(), 4);
    let mut pages = pdf.pages(vec![2, 0]);
    assert_eq!(pages.count(), Some(2));
    let indices: Vec<usize> = std::iter::from_fn(|| pages.next_page())
        .map(|p| p.unwrap().index)
        .collect();
    assert_eq!(indices, [2, 0]);
    assert_eq!(texts(&pdf, 2), ["Page 3"]);
    let missing = pdf.page(9).unwrap_err();
    assert_eq!(missing.index, Some(9));
}

#[test]
fn a_password_opens_what_is_encrypted() {
    use lopdf::encryption::crypt_filters::{Aes256CryptFilter, CryptFilter};
    use lopdf::{EncryptionState, EncryptionVersion, Permissions};
    let mut document =
        lopdf::Document::load_mem(&pdf(&[Sheet::default().text("Secret", 10.0, 10.0, 0)])).unwrap();
    let filter: Arc<dyn CryptFilter> = Arc::new(Aes256CryptFilter);
    let version = EncryptionVersion::V5 {
        encrypt_metadata: true,
        crypt_filters: [(b"StdCF".to_vec(), filter)].into(),
        file_encryption_key: &[7; 32],
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
    let with = |password: &str| Options {
        password: password.into(),
        ..Options::default()
    };
    let none = refused(bytes.clone(), with(""));
    assert_eq!(
        (&none, none.code()),
        (
            &ImagingError::Password { given: false },
            "password_required"
        )
    );
    assert_eq!(
        refused(bytes.clone(), with("wrong")),
        ImagingError::Password { given: true }
    );
    for password in ["user", "owner"] {
        let pdf = Pdf::open(Arc::new(bytes.clone()), with(password)).unwrap();
        assert_eq!(texts(&pdf, 0), ["Secret"]);
    }
}

#[test]
fn what_a_page_costs_is_known_before_it_is_drawn() {
    let budget = Budget {
        operators: 100,
        pixels: 200,
    };
    let text = || Sheet::default().text("Hello world", 20.0, 50.0, 0);
    let costly = |sheet: Sheet| open(pdf(&[sheet])).costly(0, &budget);
    assert_eq!(costly(text()), None);
    let with = |more: &[u8]| Sheet {
        more: more.into(),
        ..text()
    };
    // The picture has 16 by 8 pixels.
    assert_eq!(costly(with(b"/Im Do")), None);
    assert_eq!(
        costly(with(b"/Im Do /Im Do")),
        Some("a PDF with large pictures")
    );
    assert_eq!(
        costly(with(&b"0 0 1 1 re f\n".repeat(100))),
        Some("a PDF with much to draw")
    );
    assert_eq!(
        costly(with(b"BI /W 1 /H 1 ID x EI")),
        Some("a PDF with pictures in its text")
    );
    let drawn = open(pdf(&[with(&b"0 0 200 100 re f\n".repeat(5))]));
    let (outline, page) = (drawn.outline(0).unwrap(), drawn.page(0).unwrap());
    assert_eq!(outline.size, (page.image.width, page.image.height));
    assert!(!outline.scan && (4.9..5.5).contains(&outline.painted));
    assert_eq!(outline.layer.glyphs.len(), 11);
    let scan = Sheet {
        picture: Some([200.0, 0.0, 0.0, 100.0, 0.0, 0.0]),
        ..Sheet::default()
    };
    assert!(!open(pdf(&[text()])).outline(0).unwrap().scan);
    // Sixteen pixels across are no scan that anybody could read.
    assert!(!open(pdf(&[scan])).outline(0).unwrap().scan);
}

#[test]
fn streams_are_bounded_alone_and_together() {
    let sheet = Sheet {
        more: b"0 0 1 1 re f\n".repeat(10_000),
        ..Sheet::default()
    };
    let plain = pdf(&[sheet.clone(), sheet]);
    let mut document = lopdf::Document::load_mem(&plain).unwrap();
    document.compress();
    let mut packed = Vec::new();
    document.save_to(&mut packed).unwrap();
    let opened = |max_stream, max_streams| {
        let options = Options {
            max_stream,
            max_streams,
            ..Options::default()
        };
        Pdf::open(Arc::new(packed.clone()), options).map(drop)
    };
    assert_eq!(opened(200_000, 300_000), Ok(()));
    for (one, all) in [(100_000, 300_000), (200_000, 200_000)] {
        let error = opened(one, all).unwrap_err();
        assert!(matches!(error, ImagingError::OutOfMemory { .. }));
    }
}

#[test]
fn limits_hold() {
    let two = pdf(&[Sheet::default(), Sheet::default()]);
    let with = |limits: Limits| Options {
        limits,
        ..Options::default()
    };
    let usual = Limits::default;
    assert!(matches!(
        refused(
            two.clone(),
            with(Limits {
                max_pages: 1,
                ..usual()
            })
        ),
        ImagingError::TooManyPages { limit: 1 }
    ));
    assert!(matches!(
        refused(
            two.clone(),
            with(Limits {
                max_bytes: 100,
                ..usual()
            })
        ),
        ImagingError::TooLarge { limit: 100, .. }
    ));
    // A page is drawn with fewer pixels, down to where nothing can be read.
    let few = |max_pixels| {
        Pdf::open(
            Arc::new(two.clone()),
            with(Limits {
                max_pixels,
                ..usual()
            }),
        )
        .unwrap()
    };
    let image = few(20_000).page(0).unwrap().image;
    assert!(image.width * image.height <= 20_000);
    assert!(matches!(
        few(1000).page(0).unwrap_err().error,
        ImagingError::TooManyPixels { .. }
    ));
}

/// A page that shows a form so many times, which shows the next one as often, so many deep; the last holds `last`.
fn nested(times: usize, depth: i32, last: &[u8]) -> Vec<u8> {
    use pdf_writer::{Finish, Name, Rect, Ref};
    let mut writer = pdf_writer::Pdf::new();
    writer.catalog(Ref::new(1)).pages(Ref::new(2));
    writer.pages(Ref::new(2)).count(1).kids([Ref::new(3)]);
    let show = b"/X Do ".repeat(times);
    for i in 0..depth {
        let content = if i + 1 == depth { last } else { &show };
        let mut form = writer.form_xobject(Ref::new(10 + i), content);
        form.bbox(Rect::new(0.0, 0.0, 200.0, 200.0));
        form.resources()
            .x_objects()
            .pair(Name(b"X"), Ref::new(11 + i));
        form.finish();
    }
    writer.stream(Ref::new(4), &show);
    let mut page = writer.page(Ref::new(3));
    page.parent(Ref::new(2));
    page.media_box(Rect::new(0.0, 0.0, 200.0, 200.0));
    page.contents(Ref::new(4));
    page.resources().x_objects().pair(Name(b"X"), Ref::new(10));
    page.finish();
    writer.finish()
}

#[test]
fn a_page_that_never_ends_is_given_up() {
    for (times, depth, last) in [(30, 8, &b"0 0 10 10 re f"[..]), (2, 40, b"")] {
        // Without a limit in seconds nobody but the count of steps ends it.
        let pdf = open(nested(times, depth, last));
        let error = pdf.page(0).unwrap_err().error;
        assert_eq!(error.code(), "too_complex", "{error}");
        assert!(
            pdf.outline(0)
                .is_err_and(|e| e.error.code() == "too_complex")
        );
    }
    // What is shown often, but drawn, is fine.
    open(nested(3, 5, b"0 0 10 10 re f")).page(0).unwrap();
}

#[test]
fn damaged_files_end_in_a_reason() {
    let whole = pdf(&[Sheet::default().text("Hello", 10.0, 10.0, 0)]);
    for length in (0..whole.len()).step_by(37) {
        match Pdf::open(Arc::new(whole[..length].to_vec()), Options::default()) {
            Ok(pdf) => {
                for index in 0..pdf.count() {
                    let _ = pdf.page(index);
                }
            }
            Err(error) => assert!(!error.to_string().contains('\n')),
        }
    }
    let code = |bytes: &[u8]| refused(bytes.to_vec(), Options::default()).code();
    assert_eq!(code(b""), "empty");
    assert_eq!(code(b"%PDF-1.7\n"), "malformed");
}

#[test]
fn pages_that_a_cut_file_has_lost_are_missed() {
    let sheet = |text: &str| Sheet::default().text(text, 10.0, 10.0, 0);
    let whole = pdf(&[sheet("one"), sheet("two"), sheet("three")]);
    let mut ends = 0;
    for length in (whole.len() / 3..whole.len() - 40).step_by(9) {
        let Ok(opened) = Pdf::open(Arc::new(whole[..length].to_vec()), Options::default()) else {
            continue;
        };
        let read = (0..opened.count()).filter(|&index| opened.page(index).is_ok());
        if read.count() < 3 {
            let lost = (0..opened.count()).filter_map(|index| opened.page(index).err());
            assert!(
                lost.into_iter().any(|e| e.error.code() == "truncated"),
                "{length}"
            );
            ends += 1;
        }
    }
    assert!(ends > 5, "{ends}");
}
