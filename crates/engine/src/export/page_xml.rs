//! PAGE-XML, content of 2019-07-15 (PRImA, `www.primaresearch.org/schema/PAGE`).

use std::fmt::Write;

use super::xml::{escaped, points};
use super::{Meta, Writer};
use crate::document::{Line, PageText, Region, RegionKind};

pub(super) struct PageXml {
    meta: Meta,
}

impl PageXml {
    pub(super) fn new(meta: &Meta) -> Self {
        Self { meta: meta.clone() }
    }
}

impl Writer for PageXml {
    fn page(&mut self, page: &PageText) -> String {
        // The schema wants both dates.
        let date = if self.meta.date.is_empty() {
            "1970-01-01T00:00:00Z".into()
        } else {
            escaped(&self.meta.date)
        };
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <PcGts xmlns=\"http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15\" \
             xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" \
             xsi:schemaLocation=\"http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15 \
             http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15/pagecontent.xsd\">\n\
             <Metadata>\n<Creator>maoocr {}</Creator>\n<Created>{date}</Created>\n<LastChange>{date}</LastChange>\n\
             </Metadata>\n<Page imageFilename=\"{}\" imageWidth=\"{}\" imageHeight=\"{}\">\n",
            env!("CARGO_PKG_VERSION"),
            escaped(&self.meta.source),
            page.width,
            page.height,
        );
        let whole = page.regions.is_empty() && !page.lines.is_empty();
        let count = if whole { 1 } else { page.regions.len() };
        if count > 0 {
            out.push_str("<ReadingOrder>\n<OrderedGroup id=\"order\">\n");
            for index in 0..count {
                let _ = writeln!(
                    out,
                    "<RegionRefIndexed index=\"{index}\" regionRef=\"r{}\"/>",
                    index + 1
                );
            }
            out.push_str("</OrderedGroup>\n</ReadingOrder>\n");
        }
        for (index, of) in page.regions.iter().enumerate() {
            region(page, of, index + 1, &mut out);
        }
        if whole {
            let (w, h) = (page.width, page.height);
            let _ = writeln!(
                out,
                "<TextRegion id=\"r1\">\n<Coords points=\"0,0 {w},0 {w},{h} 0,{h}\"/>"
            );
            lines(page, page.lines.iter(), "r1", &mut out);
            text(&page.text, None, &mut out);
            out.push_str("</TextRegion>\n");
        }
        out.push_str("</Page>\n</PcGts>\n");
        out
    }
}

/// `type` of a TextRegion, of those the schema lists; others have an element of their own.
fn text_type(kind: RegionKind) -> &'static str {
    match kind {
        RegionKind::Title | RegionKind::Heading => "heading",
        RegionKind::Caption => "caption",
        RegionKind::Header => "header",
        RegionKind::Footer => "footer",
        RegionKind::PageNumber => "page-number",
        RegionKind::Footnote => "footnote",
        RegionKind::Paragraph => "paragraph",
        _ => "other",
    }
}

fn region(page: &PageText, region: &Region, number: usize, out: &mut String) {
    let id = format!("r{number}");
    let coords = format!(
        "<Coords points=\"{}\"/>\n",
        points(&region.quad, (page.width, page.height))
    );
    let of = || region.lines.iter().filter_map(|&i| page.lines.get(i));
    let element = match region.kind {
        RegionKind::Table => "TableRegion",
        RegionKind::Figure => "ImageRegion",
        RegionKind::Formula => "MathsRegion",
        RegionKind::Unread => "UnknownRegion",
        kind => {
            let kind = text_type(kind);
            let _ = write!(out, "<TextRegion id=\"{id}\" type=\"{kind}\">\n{coords}");
            lines(page, of(), &id, out);
            text(&region.text, Some(region.confidence), out);
            out.push_str("</TextRegion>\n");
            return;
        }
    };
    let rows = region.table.as_ref().filter(|_| element == "TableRegion");
    let grid = rows.map_or(String::new(), |t| {
        format!(" rows=\"{}\" columns=\"{}\"", t.rows, t.columns)
    });
    let _ = write!(out, "<{element} id=\"{id}\"{grid}>\n{coords}");
    // Text within: the lines, or the cells with their place in the grid.
    match rows {
        Some(table) => {
            for (index, cell) in table.cells.iter().enumerate() {
                let _ = write!(
                    out,
                    "<TextRegion id=\"{id}c{}\">\n<Coords points=\"{}\"/>\n",
                    index + 1,
                    points(&cell.quad, (page.width, page.height))
                );
                let _ = writeln!(
                    out,
                    "<Roles><TableCellRole rowIndex=\"{}\" columnIndex=\"{}\" rowSpan=\"{}\" colSpan=\"{}\" \
                     header=\"{}\"/></Roles>",
                    cell.row,
                    cell.column,
                    cell.row_span,
                    cell.column_span,
                    cell.row < table.header_rows
                );
                text(&cell.text, None, out);
                out.push_str("</TextRegion>\n");
            }
        }
        None if of().next().is_some() => {
            let _ = write!(out, "<TextRegion id=\"{id}t\">\n{coords}");
            lines(page, of(), &format!("{id}t"), out);
            text(&region.text, None, out);
            out.push_str("</TextRegion>\n");
        }
        None => {}
    }
    let _ = writeln!(out, "</{element}>");
}

fn lines<'a>(page: &PageText, lines: impl Iterator<Item = &'a Line>, id: &str, out: &mut String) {
    let size = (page.width, page.height);
    for (index, line) in lines.enumerate() {
        let id = format!("{id}l{}", index + 1);
        let _ = write!(
            out,
            "<TextLine id=\"{id}\">\n<Coords points=\"{}\"/>\n",
            points(&line.quad, size)
        );
        for (index, word) in line.words.iter().enumerate() {
            let _ = write!(
                out,
                "<Word id=\"{id}w{}\">\n<Coords points=\"{}\"/>\n",
                index + 1,
                points(&word.quad, size)
            );
            text(&word.text, Some(word.confidence), out);
            out.push_str("</Word>\n");
        }
        text(&line.text, Some(line.confidence), out);
        out.push_str("</TextLine>\n");
    }
}

fn text(text: &str, confidence: Option<f32>, out: &mut String) {
    let confidence = confidence.map_or(String::new(), |c| {
        format!(" conf=\"{:.3}\"", c.clamp(0.0, 1.0))
    });
    let _ = writeln!(
        out,
        "<TextEquiv{confidence}><Unicode>{}</Unicode></TextEquiv>",
        escaped(text)
    );
}
