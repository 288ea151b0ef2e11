//! PDFs made here, to be read back.
#![allow(dead_code)]

use std::sync::Arc;

use maoocr_engine::document::{Line, PageText, Word};
use maoocr_engine::geometry::Quad;
use maoocr_pdf::{Options, Pdf};
use pdf_writer::{Content, Finish, Name, Rect, Ref, Str};

/// How a page of [`pdf`] is made.
#[derive(Clone)]
pub struct Sheet {
    pub media: [f32; 4],
    pub crop: Option<[f32; 4]>,
    pub rotate: i32,
    /// Strings with their place and text rendering mode.
    pub texts: Vec<(String, f32, f32, i32)>,
    /// A 16 by 8 picture whose first pixel is black, placed by a matrix.
    pub picture: Option<[f32; 6]>,
    /// Anything else.
    pub more: Vec<u8>,
}

impl Default for Sheet {
    fn default() -> Self {
        Self {
            media: [0.0, 0.0, 200.0, 100.0],
            crop: None,
            rotate: 0,
            texts: Vec::new(),
            picture: None,
            more: Vec::new(),
        }
    }
}

impl Sheet {
    /// With a string in the 10-point font.
    pub fn text(mut self, text: &str, x: f32, y: f32, mode: i32) -> Self {
        self.texts.push((text.into(), x, y, mode));
        self
    }
}

/// A PDF of such pages.
pub fn pdf(sheets: &[Sheet]) -> Vec<u8> {
    let mut pdf = pdf_writer::Pdf::new();
    let (catalog, tree, font, image) = (Ref::new(1), Ref::new(2), Ref::new(3), Ref::new(4));
    pdf.catalog(catalog).pages(tree);
    let page = |i: usize| Ref::new(10 + 2 * i as i32);
    pdf.pages(tree)
        .count(sheets.len() as i32)
        .kids((0..sheets.len()).map(page));
    pdf.type1_font(font).base_font(Name(b"Helvetica"));
    let mut pixels = vec![255u8; 16 * 8 * 3];
    pixels[..3].fill(0);
    let mut stream = pdf.image_xobject(image, &pixels);
    stream.width(16);
    stream.height(8);
    stream.color_space().device_rgb();
    stream.bits_per_component(8);
    stream.finish();
    for (i, sheet) in sheets.iter().enumerate() {
        let contents = Ref::new(11 + 2 * i as i32);
        let mut content = Content::new();
        if let Some(matrix) = sheet.picture {
            content.save_state();
            content.transform(matrix);
            content.x_object(Name(b"Im"));
            content.restore_state();
        }
        for (text, x, y, mode) in &sheet.texts {
            content.begin_text();
            content.set_font(Name(b"F1"), 10.0);
            content.set_text_rendering_mode(match mode {
                3 => pdf_writer::types::TextRenderingMode::Invisible,
                _ => pdf_writer::types::TextRenderingMode::Fill,
            });
            content.next_line(*x, *y);
            content.show(Str(text.as_bytes()));
            content.end_text();
        }
        let mut content = content.finish().to_vec();
        content.push(b'\n');
        content.extend(&sheet.more);
        pdf.stream(contents, &content);
        let rect = |r: [f32; 4]| Rect::new(r[0], r[1], r[2], r[3]);
        let mut out = pdf.page(page(i));
        out.parent(tree);
        out.media_box(rect(sheet.media));
        if let Some(crop) = sheet.crop {
            out.crop_box(rect(crop));
        }
        out.rotate(sheet.rotate);
        out.contents(contents);
        let mut resources = out.resources();
        resources.fonts().pair(Name(b"F1"), font);
        resources.x_objects().pair(Name(b"Im"), image);
    }
    pdf.finish()
}

/// Opens bytes as they are.
pub fn open(bytes: Vec<u8>) -> Arc<Pdf> {
    Arc::new(Pdf::open(Arc::new(bytes), Options::default()).unwrap())
}

/// A page of one line with words at their boxes.
pub fn page(index: usize, size: (u32, u32), words: &[(&str, [f32; 4])]) -> PageText {
    let words: Vec<Word> = words
        .iter()
        .map(|(text, b)| Word {
            text: (*text).into(),
            confidence: 1.0,
            quad: Quad::from_rect(b[0], b[1], b[2], b[3]),
        })
        .collect();
    let text = words
        .iter()
        .map(|w| w.text.as_str())
        .collect::<Vec<_>>()
        .join(" ");
    let around = words
        .iter()
        .fold([f32::MAX, f32::MAX, 0.0, 0.0], |r: [f32; 4], w| {
            let b = w.quad.bounds();
            [
                r[0].min(b[0]),
                r[1].min(b[1]),
                r[2].max(b[2]),
                r[3].max(b[3]),
            ]
        });
    PageText {
        index,
        width: size.0,
        height: size.1,
        dpi: None,
        turn: 0,
        text: text.clone(),
        confidence: 1.0,
        lines: vec![Line {
            text,
            confidence: 1.0,
            quad: Quad::from_rect(around[0], around[1], around[2], around[3]),
            words,
            vertical: false,
        }],
        regions: Vec::new(),
    }
}

/// Words of a page's layer that is not painted, or is, with their bounds as shares of the page.
pub fn words(pdf: &Pdf, index: usize, painted: bool) -> Vec<(String, [f32; 4])> {
    let page = pdf.page(index).unwrap();
    let mut layer = page.text_layer.unwrap();
    layer.glyphs.retain(|g| g.visible == painted);
    let (w, h) = (page.image.width as f32, page.image.height as f32);
    maoocr_engine::layer::lines(&layer, false)
        .into_iter()
        .flat_map(|line| line.words)
        .map(|word| {
            let b = word.quad.bounds();
            (word.text, [b[0] / w, b[1] / h, b[2] / w, b[3] / h])
        })
        .collect()
}

/// A PDF of objects as they are written, the first of them the catalogue.
pub fn raw(objects: &[&str]) -> Vec<u8> {
    let mut out = b"%PDF-1.7\n".to_vec();
    let mut places = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        places.push(out.len());
        out.extend(format!("{} 0 obj\n{object}\nendobj\n", index + 1).bytes());
    }
    let table = out.len();
    let size = objects.len() + 1;
    out.extend(format!("xref\n0 {size}\n0000000000 65535 f \n").bytes());
    for place in places {
        out.extend(format!("{place:010} 00000 n \n").bytes());
    }
    let end = format!("trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{table}\n%%EOF\n");
    out.extend(end.bytes());
    out
}

/// A stream as an object of [`raw`].
pub fn stream(content: &str) -> String {
    let length = content.len();
    format!("<</Length {length}>>\nstream\n{content}\nendstream")
}
