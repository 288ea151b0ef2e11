//! hOCR 1.2 (Breuel and others, `kba.github.io/hocr-spec/1.2`).

use std::fmt::Write;

use super::xml::{bounds, escaped};
use super::{Meta, Writer};
use crate::document::{Line, PageText, Region, RegionKind};
use crate::geometry::Quad;

pub(super) struct Hocr {
    meta: Meta,
}

impl Hocr {
    pub(super) fn new(meta: &Meta) -> Self {
        Self { meta: meta.clone() }
    }
}

impl Writer for Hocr {
    fn begin(&mut self) -> String {
        let language = self.meta.language.as_deref().unwrap_or("und");
        let language = escaped(language);
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <!DOCTYPE html PUBLIC \"-//W3C//DTD XHTML 1.0 Transitional//EN\" \
             \"http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd\">\n\
             <html xmlns=\"http://www.w3.org/1999/xhtml\" xml:lang=\"{language}\" lang=\"{language}\">\n<head>\n\
             <title>{}</title>\n\
             <meta http-equiv=\"Content-Type\" content=\"text/html;charset=utf-8\"/>\n\
             <meta name=\"ocr-system\" content=\"maoocr {}\"/>\n\
             <meta name=\"ocr-capabilities\" content=\"ocr_page ocr_carea ocr_par ocr_line ocrx_word ocr_header \
             ocr_footer ocr_caption ocr_pageno ocr_table ocr_image ocrp_wconf\"/>\n</head>\n<body>\n",
            escaped(&self.meta.title),
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn page(&mut self, page: &PageText) -> String {
        let number = page.index + 1;
        let mut out = String::new();
        let scan = page
            .dpi
            .map_or(String::new(), |d| format!("; scan_res {d:.0} {d:.0}"));
        let _ = writeln!(
            out,
            "<div class=\"ocr_page\" id=\"page_{number}\" title=\"image &quot;{}&quot;; bbox 0 0 {} {}; ppageno {}{scan}\">",
            escaped(&self.meta.source.replace(['"', '\\'], "_")),
            page.width,
            page.height,
            page.index,
        );
        for (index, region) in page.regions.iter().enumerate() {
            area(page, region, &format!("{number}_{}", index + 1), &mut out);
        }
        if page.regions.is_empty() {
            for (index, line) in page.lines.iter().enumerate() {
                write_line(page, line, &format!("{number}_0_{}", index + 1), &mut out);
            }
        }
        out.push_str("</div>\n");
        out
    }

    fn end(&mut self) -> String {
        "</body>\n</html>\n".into()
    }
}

fn bbox(quad: &Quad, page: &PageText) -> String {
    let [x, y, w, h] = bounds(quad, (page.width, page.height));
    format!("bbox {x} {y} {} {}", x + w, y + h)
}

fn area(page: &PageText, region: &Region, id: &str, out: &mut String) {
    let class = match region.kind {
        RegionKind::Header => "ocr_header",
        RegionKind::Footer => "ocr_footer",
        RegionKind::PageNumber => "ocr_pageno",
        RegionKind::Caption => "ocr_caption",
        RegionKind::Table => "ocr_table",
        RegionKind::Figure => "ocr_image",
        _ => "ocr_carea",
    };
    let place = bbox(&region.quad, page);
    let _ = writeln!(
        out,
        "<div class=\"{class}\" id=\"block_{id}\" title=\"{place}\">"
    );
    let lines: Vec<&Line> = region
        .lines
        .iter()
        .filter_map(|&i| page.lines.get(i))
        .collect();
    if !lines.is_empty() {
        let _ = writeln!(
            out,
            "<p class=\"ocr_par\" id=\"par_{id}\" title=\"{place}\">"
        );
        for (index, line) in lines.into_iter().enumerate() {
            write_line(page, line, &format!("{id}_{}", index + 1), out);
        }
        out.push_str("</p>\n");
    }
    out.push_str("</div>\n");
}

fn write_line(page: &PageText, line: &Line, id: &str, out: &mut String) {
    let [a, b, ..] = line.quad.0;
    let angle = -(b.y - a.y).atan2(b.x - a.x).to_degrees();
    let angle = if angle.abs() >= 45.0 {
        // Counter-clockwise, as hOCR has it.
        format!("; textangle {:.0}", angle.rem_euclid(360.0))
    } else {
        String::new()
    };
    let place = bbox(&line.quad, page);
    let _ = write!(
        out,
        "<span class=\"ocr_line\" id=\"line_{id}\" title=\"{place}{angle}\">"
    );
    let mut rest = line.text.as_str();
    for (index, word) in line.words.iter().enumerate() {
        // Between words of scripts without spaces there are none.
        if index > 0 && rest.starts_with(char::is_whitespace) {
            out.push(' ');
        }
        rest = after(rest, &word.text);
        let _ = write!(
            out,
            "<span class=\"ocrx_word\" id=\"word_{id}_{}\" title=\"{}; x_wconf {:.0}\">{}</span>",
            index + 1,
            bbox(&word.quad, page),
            100.0 * word.confidence,
            escaped(&word.text)
        );
    }
    if line.words.is_empty() {
        out.push_str(&escaped(&line.text));
    }
    out.push_str("</span>\n");
}

/// What follows a word in its line.
fn after<'a>(text: &'a str, word: &str) -> &'a str {
    text.find(word).map_or(text, |at| &text[at + word.len()..])
}
