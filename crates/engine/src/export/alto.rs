//! ALTO 4.4 (Library of Congress, `www.loc.gov/standards/alto`).

use std::fmt::Write;

use super::xml::{bounds, escaped, points};
use super::{Meta, Writer};
use crate::document::{Line, PageText, Region, RegionKind};
use crate::geometry::Quad;

pub(super) struct Alto {
    meta: Meta,
}

impl Alto {
    pub(super) fn new(meta: &Meta) -> Self {
        Self { meta: meta.clone() }
    }
}

const KINDS: [RegionKind; 14] = [
    RegionKind::Title,
    RegionKind::Heading,
    RegionKind::Paragraph,
    RegionKind::List,
    RegionKind::Table,
    RegionKind::Figure,
    RegionKind::Caption,
    RegionKind::Formula,
    RegionKind::Code,
    RegionKind::Footnote,
    RegionKind::Header,
    RegionKind::Footer,
    RegionKind::PageNumber,
    RegionKind::Unread,
];

fn tag(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Title => "title",
        RegionKind::Heading => "heading",
        RegionKind::Paragraph => "paragraph",
        RegionKind::List => "list",
        RegionKind::Table => "table",
        RegionKind::Figure => "figure",
        RegionKind::Caption => "caption",
        RegionKind::Formula => "formula",
        RegionKind::Code => "code",
        RegionKind::Footnote => "footnote",
        RegionKind::Header => "header",
        RegionKind::Footer => "footer",
        RegionKind::PageNumber => "page_number",
        RegionKind::Unread => "unread",
    }
}

impl Writer for Alto {
    fn begin(&mut self) -> String {
        let mut tags = String::new();
        for kind in KINDS {
            let name = tag(kind);
            let _ = writeln!(
                tags,
                "<LayoutTag ID=\"kind_{name}\" TYPE=\"region\" LABEL=\"{name}\"/>"
            );
        }
        let date = if self.meta.date.is_empty() {
            String::new()
        } else {
            format!(
                "<processingDateTime>{}</processingDateTime>\n",
                escaped(&self.meta.date)
            )
        };
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <alto xmlns=\"http://www.loc.gov/standards/alto/ns-v4#\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:schemaLocation=\"http://www.loc.gov/standards/alto/ns-v4# \
             http://www.loc.gov/standards/alto/v4/alto-4-4.xsd\" SCHEMAVERSION=\"4.4\">\n\
             <Description>\n<MeasurementUnit>pixel</MeasurementUnit>\n\
             <sourceImageInformation>\n<fileName>{}</fileName>\n</sourceImageInformation>\n\
             <Processing ID=\"ocr\">\n<processingCategory>contentGeneration</processingCategory>\n{date}\
             <processingSoftware>\n<softwareName>maoocr</softwareName>\n\
             <softwareVersion>{}</softwareVersion>\n</processingSoftware>\n</Processing>\n</Description>\n\
             <Tags>\n{tags}</Tags>\n<Layout>\n",
            escaped(&self.meta.source),
            env!("CARGO_PKG_VERSION"),
        )
    }

    fn page(&mut self, page: &PageText) -> String {
        let number = page.index + 1;
        let mut out = String::new();
        let _ = writeln!(
            out,
            "<Page ID=\"page_{number}\" PHYSICAL_IMG_NR=\"{number}\" WIDTH=\"{}\" HEIGHT=\"{}\">\n\
             <PrintSpace HPOS=\"0\" VPOS=\"0\" WIDTH=\"{}\" HEIGHT=\"{}\">",
            page.width, page.height, page.width, page.height
        );
        for (index, region) in page.regions.iter().enumerate() {
            block(page, region, &format!("{number}_{}", index + 1), &mut out);
        }
        if page.regions.is_empty() && !page.lines.is_empty() {
            let all = Quad::from_rect(0.0, 0.0, page.width as f32, page.height as f32);
            let id = format!("{number}_0");
            let _ = writeln!(out, "<TextBlock ID=\"block_{id}\" {}>", place(&all, page));
            for (index, line) in page.lines.iter().enumerate() {
                write_line(page, line, &format!("{id}_{}", index + 1), &mut out);
            }
            out.push_str("</TextBlock>\n");
        }
        out.push_str("</PrintSpace>\n</Page>\n");
        out
    }

    fn end(&mut self) -> String {
        "</Layout>\n</alto>\n".into()
    }
}

fn place(quad: &Quad, page: &PageText) -> String {
    let [x, y, w, h] = bounds(quad, (page.width, page.height));
    format!("HPOS=\"{x}\" VPOS=\"{y}\" WIDTH=\"{w}\" HEIGHT=\"{h}\"")
}

fn shape(quad: &Quad, page: &PageText) -> String {
    format!(
        "<Shape><Polygon POINTS=\"{}\"/></Shape>\n",
        points(quad, (page.width, page.height))
    )
}

fn block(page: &PageText, region: &Region, id: &str, out: &mut String) {
    let place = place(&region.quad, page);
    let kind = tag(region.kind);
    let tags = format!("TAGREFS=\"kind_{kind}\"");
    let lines: Vec<&Line> = region
        .lines
        .iter()
        .filter_map(|&i| page.lines.get(i))
        .collect();
    let figure = region.kind == RegionKind::Figure;
    // A picture with text in it is both.
    let composed = region.kind == RegionKind::Table || (figure && !lines.is_empty());
    if composed {
        let _ = writeln!(
            out,
            "<ComposedBlock ID=\"group_{id}\" {place} {tags} TYPE=\"{kind}\">"
        );
    }
    if figure {
        let _ = writeln!(out, "<Illustration ID=\"picture_{id}\" {place} {tags}/>");
    }
    if !lines.is_empty() {
        let _ = writeln!(out, "<TextBlock ID=\"block_{id}\" {place} {tags}>");
        for (index, line) in lines.into_iter().enumerate() {
            write_line(page, line, &format!("{id}_{}", index + 1), out);
        }
        out.push_str("</TextBlock>\n");
    }
    if composed {
        out.push_str("</ComposedBlock>\n");
    }
}

fn write_line(page: &PageText, line: &Line, id: &str, out: &mut String) {
    let _ = writeln!(
        out,
        "<TextLine ID=\"line_{id}\" {}>",
        place(&line.quad, page)
    );
    out.push_str(&shape(&line.quad, page));
    if line.words.is_empty() {
        let _ = writeln!(
            out,
            "<String ID=\"word_{id}_1\" {} CONTENT=\"{}\" WC=\"{:.2}\"/>",
            place(&line.quad, page),
            escaped(&line.text).replace('\n', " "),
            line.confidence.clamp(0.0, 1.0),
        );
    }
    let mut rest = line.text.as_str();
    for (index, word) in line.words.iter().enumerate() {
        if index > 0 && rest.starts_with(char::is_whitespace) {
            out.push_str("<SP/>\n");
        }
        rest = rest
            .find(&word.text)
            .map_or(rest, |at| &rest[at + word.text.len()..]);
        let _ = writeln!(
            out,
            "<String ID=\"word_{id}_{}\" {} CONTENT=\"{}\" WC=\"{:.2}\"/>",
            index + 1,
            place(&word.quad, page),
            escaped(&word.text).replace('\n', " "),
            word.confidence.clamp(0.0, 1.0),
        );
    }
    out.push_str("</TextLine>\n");
}
