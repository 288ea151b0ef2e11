//! What ISO 19005-2 asks of PDF/A-2b, as far as it concerns files made of pictures and unseen text. Numbers are its
//! clauses'.

mod common;

use common::page;
use lopdf::{Dictionary, Document, Object};
use maoocr_engine::imaging::Image;
use maoocr_pdf::searchable::{Composed, Info};

/// The head of a JPEG of 8 by 16 pixels in four inks: nobody looks further who takes it as it is.
fn inks() -> Vec<u8> {
    let mut jpeg = vec![0xff, 0xd8, 0xff, 0xc0, 0, 20, 8, 0, 16, 0, 8, 4];
    for component in 1..=4 {
        jpeg.extend([component, 0x11, 0]);
    }
    jpeg.extend([0xff, 0xda, 0, 14, 4, 1, 0, 2, 0, 3, 0, 4, 0, 0, 63, 0]);
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

fn made() -> Vec<u8> {
    let shown = Image {
        width: 8,
        height: 16,
        rgb: (0..8 * 16 * 3).map(|i| (i * 7 % 256) as u8).collect(),
    };
    let mut png = std::io::Cursor::new(Vec::new());
    image::RgbImage::from_raw(8, 16, shown.rgb.clone())
        .unwrap()
        .write_to(&mut png, image::ImageFormat::Png)
        .unwrap();
    let mut out = Composed::new(Info {
        title: "Ships & \"quays\"".into(),
        language: Some("en".into()),
        date: "2026-11-29T21:05:00Z".into(),
        archival: true,
    });
    for (file, words) in [
        (png.into_inner(), "one 中 שלום"),
        (inks(), "two"),
        (Vec::new(), ""),
    ] {
        let words: Vec<(&str, [f32; 4])> = words
            .split_whitespace()
            .map(|word| (word, [1.0, 2.0, 7.0, 4.0]))
            .collect();
        out.add(&file, 0, &page(0, (8, 16), &words), &shown);
    }
    out.finish()
}

fn dictionaries(document: &Document) -> Vec<&Dictionary> {
    let objects = document.objects.values();
    objects
        .filter_map(|object| match object {
            Object::Dictionary(dictionary) => Some(dictionary),
            Object::Stream(stream) => Some(&stream.dict),
            _ => None,
        })
        .collect()
}

fn text(object: &Object) -> String {
    String::from_utf8_lossy(object.as_str().unwrap()).into_owned()
}

#[test]
fn the_file_and_its_trailer() {
    let bytes = made();
    // 6.1.2: a header, then four bytes above 127 in a comment.
    assert!(bytes.starts_with(b"%PDF-1.7\n%"));
    assert!(bytes[10..14].iter().all(|b| *b > 127));
    let document = Document::load_mem(&bytes).unwrap();
    // 6.1.3: an identifier, no encryption, nothing after the end.
    assert_eq!(
        document
            .trailer
            .get(b"ID")
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert!(!document.trailer.has(b"Encrypt"));
    assert!(bytes.trim_ascii_end().ends_with(b"%%EOF"));
    for dictionary in dictionaries(&document) {
        // 6.1.7: no data outside the file, no LZW.
        assert!(!dictionary.has(b"F") && !dictionary.has(b"FFilter"));
        let filter = dictionary.get(b"Filter").ok();
        let filter = filter.and_then(|f| f.as_name().ok());
        assert!(!matches!(filter, Some(b"LZWDecode" | b"Crypt")));
        // 6.2.8, 6.5, 6.6: no interpolation, scripts, actions, forms, transparency.
        for key in [
            "Interpolate",
            "Alternates",
            "OPI",
            "SMask",
            "AA",
            "OpenAction",
            "JS",
            "AcroForm",
            "XFA",
            "Group",
        ] {
            assert!(!dictionary.has(key.as_bytes()), "{key}");
        }
    }
}

#[test]
fn colours_are_those_of_the_output_intent() {
    let document = Document::load_mem(&made()).unwrap();
    let intents = document.catalog().unwrap().get(b"OutputIntents").unwrap();
    let intent = intents.as_array().unwrap()[0].as_dict().unwrap();
    assert_eq!(intent.get(b"S").unwrap().as_name().unwrap(), b"GTS_PDFA1");
    assert!(intent.has(b"OutputConditionIdentifier"));
    let profile = intent
        .get(b"DestOutputProfile")
        .unwrap()
        .as_reference()
        .unwrap();
    let profile = document.get_object(profile).unwrap().as_stream().unwrap();
    assert_eq!(profile.dict.get(b"N").unwrap().as_i64().unwrap(), 3);
    let icc = profile.decompressed_content().unwrap();
    // 6.2.3: a profile of version 2 or 4 for screens, of RGB.
    assert_eq!(
        icc.len(),
        u32::from_be_bytes(icc[..4].try_into().unwrap()) as usize
    );
    assert!(matches!(icc[8], 2 | 4) && &icc[12..24] == b"mntrRGB XYZ " && &icc[36..40] == b"acsp");
    // 6.2.4.3: no inks, even from a file that has them.
    let images = dictionaries(&document)
        .into_iter()
        .filter(|d| d.has(b"ColorSpace"));
    let mut count = 0;
    for image in images {
        count += 1;
        let space = format!("{:?}", image.get(b"ColorSpace").unwrap());
        assert!(!space.contains("CMYK"), "{space}");
    }
    assert_eq!(count, 3);
}

#[test]
fn the_font_is_in_the_file_and_its_widths_are_its_own() {
    let document = Document::load_mem(&made()).unwrap();
    let fonts = dictionaries(&document);
    let of = |kind: &[u8]| {
        let mut found = fonts
            .iter()
            .filter(|d| d.get(b"Subtype").and_then(Object::as_name).ok() == Some(kind));
        *found.next().unwrap()
    };
    let (font, cid) = (of(b"Type0"), of(b"CIDFontType2"));
    // 6.2.11.3: predefined Identity-H, a map from codes to glyphs; 6.2.11.7 is of level u, and kept.
    assert_eq!(
        font.get(b"Encoding").unwrap().as_name().unwrap(),
        b"Identity-H"
    );
    assert!(font.has(b"ToUnicode") && cid.has(b"CIDToGIDMap"));
    let descriptor = cid.get(b"FontDescriptor").unwrap().as_reference().unwrap();
    let file = document
        .get_dictionary(descriptor)
        .unwrap()
        .get(b"FontFile2")
        .unwrap();
    let file = document.get_object(file.as_reference().unwrap()).unwrap();
    let ttf = file.as_stream().unwrap().decompressed_content();
    let ttf = ttf.unwrap_or_else(|_| file.as_stream().unwrap().content.clone());
    // 6.2.11.5: the width stated is the one in the font's table.
    let table = |tag: &[u8]| {
        let at = (12..ttf.len())
            .step_by(16)
            .find(|&at| &ttf[at..at + 4] == tag)
            .unwrap();
        u32::from_be_bytes(ttf[at + 8..at + 12].try_into().unwrap()) as usize
    };
    let widths = table(b"hmtx");
    let width = i16::from_be_bytes(ttf[widths + 4..widths + 6].try_into().unwrap());
    assert_eq!(
        cid.get(b"DW").unwrap().as_float().unwrap(),
        f32::from(width)
    );
}

#[test]
fn the_metadata_say_what_the_information_says() {
    let document = Document::load_mem(&made()).unwrap();
    let metadata = document.catalog().unwrap().get(b"Metadata").unwrap();
    let stream = document
        .get_object(metadata.as_reference().unwrap())
        .unwrap();
    let xmp = String::from_utf8(stream.as_stream().unwrap().content.clone()).unwrap();
    // 6.6.2.1, 6.6.4: a packet in UTF-8 with the part and level; 6.6.3: the same as the document information.
    assert!(xmp.starts_with("<?xpacket begin=") && xmp.trim_end().ends_with("?>"));
    assert!(xmp.contains("<pdfaid:part>2</pdfaid:part>"));
    assert!(xmp.contains("<pdfaid:conformance>B</pdfaid:conformance>"));
    let info = document
        .trailer
        .get(b"Info")
        .unwrap()
        .as_reference()
        .unwrap();
    let info = document.get_dictionary(info).unwrap();
    assert_eq!(text(info.get(b"Title").unwrap()), "Ships & \"quays\"");
    assert!(xmp.contains("Ships &amp; "), "{xmp}");
    let producer = text(info.get(b"Producer").unwrap());
    assert!(
        xmp.contains(&format!("<pdf:Producer>{producer}</pdf:Producer>")),
        "{xmp}"
    );
    assert_eq!(
        text(info.get(b"CreationDate").unwrap()),
        "D:20261129210500Z"
    );
    assert!(
        xmp.contains("<xmp:CreateDate>2026-11-29T21:05:00Z</xmp:CreateDate>"),
        "{xmp}"
    );
}
