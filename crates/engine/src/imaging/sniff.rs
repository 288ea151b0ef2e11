//! The format, by the first bytes.

use super::{Format, ImagingError};

/// Files people send by mistake: where their mark stands, the mark, and what to say.
const OTHERS: &[(usize, &[u8], &str)] = &[
    (0, b"8BPS", "Photoshop files are not supported"),
    (0, b"\0\0\x01\0", "Windows icons are not supported"),
    (0, b"\x76\x2f\x31\x01", "OpenEXR pictures are not supported"),
    (0, b"DDS ", "DDS textures are not supported"),
    (0, b"AT&TFORM", "DjVu files are not supported"),
    (0, b"\xd0\xcf\x11\xe0", "Office documents are not supported"),
    (0, b"%!PS", "PostScript files are not supported"),
    (
        0,
        b"PK\x03\x04",
        "zip archives and Office documents are not supported",
    ),
    (0, b"\x1f\x8b", "gzip archives are not supported"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z archives are not supported"),
    (0, b"Rar!", "rar archives are not supported"),
    (8, b"WAVE", "sound files are not supported"),
    (8, b"AVI ", "videos are not supported"),
    (0, b"\x1a\x45\xdf\xa3", "videos are not supported"),
];

pub(super) fn sniff(bytes: &[u8]) -> Result<Format, ImagingError> {
    let at = |offset: usize, mark: &[u8]| {
        bytes
            .get(offset..)
            .is_some_and(|rest| rest.starts_with(mark))
    };
    if at(0, b"\xff\xd8") {
        return Ok(Format::Jpeg);
    }
    if at(0, b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if at(0, b"RIFF") && at(8, b"WEBP") {
        return Ok(Format::WebP);
    }
    if at(0, b"GIF87a") || at(0, b"GIF89a") {
        return Ok(Format::Gif);
    }
    if [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"]
        .iter()
        .any(|mark| at(0, *mark))
    {
        return Ok(Format::Tiff);
    }
    // Two letters are not enough to tell a bitmap from a text: its header's length must make sense too.
    if at(0, b"BM") && bytes.get(15..18) == Some(&[0, 0, 0]) {
        return Ok(Format::Bmp);
    }
    if at(0, b"\0\0\0\x0cjP  ") || at(0, b"\xff\x4f\xff\x51") {
        return Ok(Format::Jpeg2000);
    }
    if at(0, b"\0\0\0\x0cJXL ") || at(0, b"\xff\x0a") {
        return Ok(Format::JpegXl);
    }
    if let [b'P', b'1'..=b'7', space, ..] = bytes
        && (space.is_ascii_whitespace() || *space == b'#')
    {
        return Ok(Format::Pnm);
    }
    Err(ImagingError::UnknownFormat(describe(bytes, at)))
}

fn describe(bytes: &[u8], at: impl Fn(usize, &[u8]) -> bool) -> String {
    let head = &bytes[..bytes.len().min(1024)];
    let within = |mark: &[u8]| {
        head.windows(mark.len())
            .any(|w| w.eq_ignore_ascii_case(mark))
    };
    // Readers of PDF accept its mark anywhere in the first kilobyte.
    if within(b"%PDF-") {
        return "PDF files are not supported yet, turn their pages into pictures first".into();
    }
    if at(4, b"ftyp") {
        let brand = bytes.get(8..12).unwrap_or_default();
        // Pictures of either kind may have the brand of their container first.
        let brand = match brand {
            b"mif1" | b"msf1" if within(b"avif") => b"avif",
            brand => brand,
        };
        return match brand {
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => {
                "HEIC pictures are not supported, since HEVC has no free decoder in safe Rust (an iPhone takes JPEGs with \
                 Settings > Camera > Formats > Most Compatible)".into()
            }
            b"avif" | b"avis" => {
                "AVIF pictures are not supported, since AV1 has no free decoder in safe Rust (export this one as PNG or JPEG)".into()
            }
            _ => "videos are not supported".into(),
        };
    }
    if let Some((.., what)) = OTHERS.iter().find(|(offset, mark, _)| at(*offset, mark)) {
        return (*what).into();
    }
    if within(b"<svg") {
        return "SVG drawings are not supported, export this one as PNG".into();
    }
    if within(b"<!doctype html") || within(b"<html") {
        return "this is a web page, not a picture".into();
    }
    // A character may be cut at the end of `head`; only an error before that says the bytes are not text.
    let text = match std::str::from_utf8(head) {
        Ok(_) => true,
        Err(e) => e.error_len().is_none(),
    };
    if text && !head.contains(&0) {
        return "this is text, not a picture".into();
    }
    "these bytes are no picture format known here".into()
}
/// Whether bytes are those of a PDF: its mark stands in the first 1024 (ISO 32000-1, annex H, note 13).
pub fn is_pdf(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(1024)];
    head.windows(5).any(|w| w == b"%PDF-")
}
