//! A Word document (ECMA-376, WordprocessingML): headings, paragraphs, lists, tables, pictures, the page's size.

use std::fmt::Write as _;
use std::io::{Cursor, Write};

use zip::ZipWriter;
use zip::result::ZipError;
use zip::write::SimpleFileOptions;

use super::clean::cleaned;
use super::xml::escaped;
use super::{Meta, body, goes_on, is_furniture, joint};
use crate::document::{Document, ListItem, PageText, Picture, Region, RegionKind, Table};

mod align;
mod parts;

use align::{Alignment, alignment};
use parts::{CONTENT_TYPES, RELATIONSHIPS, core, numbering, styles};

/// Twentieths of a point an inch.
const TWIPS: f32 = 1440.0;
/// English metric units of a twentieth of a point.
const EMU: u64 = 635;
/// Word's own limit for a page's sides, twips.
const MAX_SIDE: u32 = 31_680;
/// Resolution of a page that states none, pixels an inch.
const USUAL_DPI: f32 = 200.0;
const MARGIN: u32 = 1134;
/// Width of a digit in the body's font, twips.
const CHARACTER: f32 = 110.0;
/// Word's own margins at the sides of a cell, twips.
const CELL_MARGINS: f32 = 216.0;

/// A document as DOCX.
///
/// # Errors
/// What the container can't hold.
pub fn docx(document: &Document, meta: &Meta) -> Result<Vec<u8>, ZipError> {
    let mut body = Body::default();
    for page in document.pages.iter().map(cleaned) {
        body.page(&page);
    }
    let size = document.pages.first().map_or((11_906, 16_838), page_size);
    let body = body.finish(size);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut part = |name: &str, content: &[u8]| {
        zip.start_file(name, SimpleFileOptions::default())?;
        zip.write_all(content)?;
        Ok::<(), ZipError>(())
    };
    part("[Content_Types].xml", CONTENT_TYPES.as_bytes())?;
    part("_rels/.rels", RELATIONSHIPS.as_bytes())?;
    part("docProps/core.xml", core(meta).as_bytes())?;
    part("word/document.xml", body.document.as_bytes())?;
    part("word/styles.xml", styles(meta).as_bytes())?;
    part("word/numbering.xml", numbering(&body.lists).as_bytes())?;
    part(
        "word/_rels/document.xml.rels",
        body.relationships().as_bytes(),
    )?;
    for (number, picture) in body.pictures.iter().enumerate() {
        part(&format!("word/media/image{}.png", number + 1), &picture.png)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// Width and height of A4 (ISO 216) and Letter (ANSI A), inches.
const PAPERS: [(f32, f32); 2] = [(8.27, 11.69), (8.5, 11.0)];

/// Pixels an inch of a page: as its file states, else what makes it a usual sheet, if its sides are in that proportion.
fn resolution(page: &PageText) -> f32 {
    let (width, height) = (page.width.max(1) as f32, page.height.max(1) as f32);
    let (short, long) = (width.min(height), width.max(height));
    let sheet = PAPERS
        .iter()
        .find(|(w, h)| (long / short / (h / w) - 1.0).abs() < 0.015)
        .map(|(w, _)| short / w);
    page.dpi.or(sheet).unwrap_or(USUAL_DPI).max(1.0)
}

/// A page's width and height, twips.
fn page_size(page: &PageText) -> (u32, u32) {
    let dpi = resolution(page);
    let side = |px: u32| ((px as f32 / dpi * TWIPS) as u32).clamp(1440, MAX_SIDE);
    (side(page.width), side(page.height))
}

/// Widths of a table's columns, twips: shares of `room` as on the page. Where letters are small there, a column becomes
/// wider, so that its text fits as long as all columns can have as much.
fn widths(table: &Table, room: u32) -> Vec<u32> {
    let columns = table.columns;
    let mut begins = vec![f32::MAX; columns];
    let mut ends = vec![f32::MIN; columns];
    for cell in &table.cells {
        let [x0, _, x1, _] = cell.quad.bounds();
        if let Some(begin) = begins.get_mut(cell.column) {
            *begin = begin.min(x0);
        }
        if let Some(end) = ends.get_mut((cell.column + cell.column_span).saturating_sub(1)) {
            *end = end.max(x1);
        }
    }
    let edge = |at: usize| match at {
        0 => begins[0],
        _ if at == columns => ends[columns - 1],
        _ => (ends[at - 1] + begins[at]) / 2.0,
    };
    let equal = 1.0 / columns as f32;
    let mut needs = vec![0.5 * equal; columns];
    for cell in table.cells.iter().filter(|c| c.column_span == 1) {
        let lengths = cell.text.lines().map(crate::structure::length);
        let width = lengths.max().unwrap_or(0) as f32 * CHARACTER + CELL_MARGINS;
        if let Some(need) = needs.get_mut(cell.column) {
            *need = need.max((width / room as f32).min(equal));
        }
    }
    let whole = edge(columns) - edge(0);
    let share = |at: usize| ((edge(at + 1) - edge(at)) / whole).max(needs[at]);
    let shares: Vec<f32> = (0..columns).map(share).collect();
    let sum: f32 = shares.iter().sum();
    // A column that no cell begins or ends has no edges.
    let known = whole > 0.0 && whole < 1e6 && sum < 4.0;
    shares
        .into_iter()
        .map(|share| match known {
            true => (room as f32 * share / sum) as u32,
            false => room / columns as u32,
        })
        .collect()
}

/// Ends a table. Word joins tables that nothing parts.
const TABLE_END: &str = "</w:tbl>\n<w:p/>\n";

#[derive(Default)]
struct Body {
    document: String,
    /// The last paragraph, which may go on.
    open: Option<(String, Alignment)>,
    pictures: Vec<std::sync::Arc<Picture>>,
    /// Of each list, whether each level is numbered and where it begins.
    lists: Vec<Vec<(bool, u32)>>,
    size: (u32, u32),
    dpi: f32,
    /// Of the last table.
    columns: usize,
}

impl Body {
    fn close(&mut self) {
        if let Some((text, alignment)) = self.open.take() {
            self.paragraph(None, &text, alignment);
        }
    }

    fn paragraph(&mut self, style: Option<&str>, text: &str, alignment: Alignment) {
        let style = style.map_or(String::new(), |s| format!("<w:pStyle w:val=\"{s}\"/>"));
        let direction = if text.chars().any(is_leftward) {
            "<w:bidi/>"
        } else {
            ""
        };
        let _ = writeln!(
            self.document,
            "<w:p><w:pPr>{style}{direction}{}</w:pPr>{}</w:p>",
            alignment.property(),
            runs(text)
        );
    }

    fn page(&mut self, page: &PageText) {
        self.size = page_size(page);
        self.dpi = resolution(page);
        if page.regions.is_empty() {
            self.close();
            for paragraph in page.text.split("\n\n").filter(|p| !p.trim().is_empty()) {
                self.paragraph(None, paragraph, Alignment::Usual);
            }
        }
        for (index, region) in page.regions.iter().enumerate() {
            if !is_furniture(region.kind) {
                self.region(region, alignment(page, index));
            }
        }
    }

    fn region(&mut self, region: &Region, alignment: Alignment) {
        if region.kind == RegionKind::Paragraph {
            match &mut self.open {
                Some((open, _)) if goes_on(region) => {
                    open.push_str(joint(open, &region.text));
                    open.push_str(&region.text);
                }
                _ => {
                    self.close();
                    self.open = Some((region.text.clone(), alignment));
                }
            }
            return;
        }
        self.close();
        match region.kind {
            RegionKind::Title => self.paragraph(Some("Title"), &region.text, alignment),
            RegionKind::Heading => {
                let level = region.level.unwrap_or(2).clamp(1, 6);
                self.paragraph(Some(&format!("Heading{level}")), &region.text, alignment);
            }
            RegionKind::List if !region.items.is_empty() => self.list(&region.items),
            RegionKind::Figure | RegionKind::Formula if region.picture.is_some() => {
                if let Some(picture) = &region.picture {
                    self.picture(picture.clone());
                }
            }
            RegionKind::Code => {
                self.paragraph(Some("Code"), region.text.trim_end(), Alignment::Usual)
            }
            RegionKind::Caption => self.paragraph(Some("Caption"), &region.text, alignment),
            RegionKind::Footnote => {
                self.paragraph(Some("FootnoteText"), &region.text, Alignment::Usual)
            }
            RegionKind::Unread => {}
            _ => match &region.table {
                Some(table) => self.table(table, region.continued),
                None => self.paragraph(None, &region.text, alignment),
            },
        }
    }

    fn list(&mut self, items: &[ListItem]) {
        const LEVELS: usize = 9;
        let mut levels = vec![(false, 1); LEVELS];
        let mut known = [false; LEVELS];
        for item in items {
            let level = usize::from(item.level).min(LEVELS - 1);
            if !std::mem::replace(&mut known[level], true) {
                levels[level] = (item.number.is_some(), item.number.unwrap_or(1));
            }
        }
        self.lists.push(levels);
        let list = self.lists.len();
        for item in items {
            let level = usize::from(item.level).min(LEVELS - 1);
            let _ = writeln!(
                self.document,
                "<w:p><w:pPr><w:pStyle w:val=\"ListParagraph\"/><w:numPr><w:ilvl w:val=\"{level}\"/>\
                 <w:numId w:val=\"{list}\"/></w:numPr></w:pPr>{}</w:p>",
                runs(&item.text)
            );
        }
    }

    fn table(&mut self, table: &Table, continued: bool) {
        if table.rows == 0 || table.columns == 0 {
            return;
        }
        let widths = widths(table, self.size.0.saturating_sub(2 * MARGIN).max(1440));
        // What goes on over pages is one table, as long as nothing stands between its parts.
        if continued && self.columns == table.columns && self.document.ends_with(TABLE_END) {
            self.document
                .truncate(self.document.len() - TABLE_END.len());
            self.rows(&body(table), &widths);
        } else {
            self.document.push_str(
                "<w:tbl><w:tblPr><w:tblStyle w:val=\"TableGrid\"/><w:tblW w:w=\"0\" w:type=\"auto\"/></w:tblPr><w:tblGrid>",
            );
            for width in &widths {
                let _ = write!(self.document, "<w:gridCol w:w=\"{width}\"/>");
            }
            self.document.push_str("</w:tblGrid>\n");
            self.rows(table, &widths);
        }
        self.columns = table.columns;
        self.document.push_str(TABLE_END);
    }

    /// Rows of a table whose columns are `widths` wide, twips.
    fn rows(&mut self, table: &Table, widths: &[u32]) {
        let out = &mut self.document;
        // Each place of the grid belongs to one cell, or to none.
        let mut places = vec![None; table.rows * table.columns];
        for (index, cell) in table.cells.iter().enumerate() {
            let rows = cell.row..(cell.row + cell.row_span).min(table.rows);
            for row in rows {
                let columns = cell.column..(cell.column + cell.column_span).min(table.columns);
                for column in columns {
                    places[row * table.columns + column] = Some(index);
                }
            }
        }
        for row in 0..table.rows {
            let head = row < table.header_rows;
            // A row isn't torn apart at the end of a page, and the head is repeated after it.
            let repeated = if head { "<w:tblHeader/>" } else { "" };
            let _ = write!(out, "<w:tr><w:trPr><w:cantSplit/>{repeated}</w:trPr>");
            let mut column = 0;
            while column < table.columns {
                let place = places[row * table.columns + column];
                let same = |c: &usize| place.is_some() && places[row * table.columns + *c] == place;
                let span = (column..table.columns).take_while(same).count().max(1);
                let cell = place.map(|index| &table.cells[index]);
                out.push_str("<w:tc><w:tcPr>");
                let _ = write!(
                    out,
                    "<w:tcW w:w=\"{}\" w:type=\"dxa\"/>",
                    widths[column..column + span].iter().sum::<u32>()
                );
                if span > 1 {
                    let _ = write!(out, "<w:gridSpan w:val=\"{span}\"/>");
                }
                let begins = cell.is_none_or(|c| c.row == row);
                if cell.is_some_and(|c| c.row_span > 1) {
                    let value = if begins { "restart" } else { "continue" };
                    let _ = write!(out, "<w:vMerge w:val=\"{value}\"/>");
                }
                out.push_str("</w:tcPr>");
                let text = cell.filter(|_| begins).map_or("", |c| c.text.as_str());
                let bold = if head { "<w:rPr><w:b/></w:rPr>" } else { "" };
                // A cell has at least one paragraph.
                let mut rows = text.lines().peekable();
                if rows.peek().is_none() {
                    out.push_str("<w:p/>");
                }
                for line in rows {
                    let _ = write!(
                        out,
                        "<w:p><w:r>{bold}<w:t xml:space=\"preserve\">{}</w:t></w:r></w:p>",
                        escaped(line)
                    );
                }
                out.push_str("</w:tc>");
                column += span;
            }
            out.push_str("</w:tr>\n");
        }
    }

    fn picture(&mut self, picture: std::sync::Arc<Picture>) {
        let room = self.size.0.saturating_sub(2 * MARGIN).max(1440) as f32;
        let natural = picture.width as f32 / self.dpi * TWIPS;
        let scale = (room / natural.max(1.0)).min(1.0) / self.dpi * TWIPS;
        let emu = |px: u32| ((px as f32 * scale) as u64).max(1) * EMU;
        let (w, h) = (emu(picture.width), emu(picture.height));
        self.pictures.push(picture);
        let n = self.pictures.len();
        let _ = writeln!(
            self.document,
            "<w:p><w:r><w:drawing><wp:inline distT=\"0\" distB=\"0\" distL=\"0\" distR=\"0\">\
             <wp:extent cx=\"{w}\" cy=\"{h}\"/><wp:docPr id=\"{n}\" name=\"Picture {n}\"/>\
             <a:graphic><a:graphicData uri=\"http://schemas.openxmlformats.org/drawingml/2006/picture\">\
             <pic:pic><pic:nvPicPr><pic:cNvPr id=\"{n}\" name=\"image{n}.png\"/><pic:cNvPicPr/></pic:nvPicPr>\
             <pic:blipFill><a:blip r:embed=\"picture{n}\"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill>\
             <pic:spPr><a:xfrm><a:off x=\"0\" y=\"0\"/><a:ext cx=\"{w}\" cy=\"{h}\"/></a:xfrm>\
             <a:prstGeom prst=\"rect\"><a:avLst/></a:prstGeom></pic:spPr></pic:pic>\
             </a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>"
        );
    }

    fn finish(mut self, (width, height): (u32, u32)) -> Self {
        self.close();
        let landscape = if width > height {
            " w:orient=\"landscape\""
        } else {
            ""
        };
        self.document = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
             <w:document xmlns:w=\"http://schemas.openxmlformats.org/wordprocessingml/2006/main\" \
             xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\" \
             xmlns:wp=\"http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing\" \
             xmlns:a=\"http://schemas.openxmlformats.org/drawingml/2006/main\" \
             xmlns:pic=\"http://schemas.openxmlformats.org/drawingml/2006/picture\"><w:body>\n{}\
             <w:sectPr><w:pgSz w:w=\"{width}\" w:h=\"{height}\"{landscape}/>\
             <w:pgMar w:top=\"{MARGIN}\" w:right=\"{MARGIN}\" w:bottom=\"{MARGIN}\" w:left=\"{MARGIN}\" \
             w:header=\"567\" w:footer=\"567\" w:gutter=\"0\"/></w:sectPr></w:body></w:document>",
            self.document
        );
        self
    }

    fn relationships(&self) -> String {
        const TYPE: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";
        let mut out = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n\
             <Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">\
             <Relationship Id=\"styles\" Type=\"{TYPE}/styles\" Target=\"styles.xml\"/>\
             <Relationship Id=\"numbering\" Type=\"{TYPE}/numbering\" Target=\"numbering.xml\"/>"
        );
        for n in 1..=self.pictures.len() {
            let _ = write!(
                out,
                "<Relationship Id=\"picture{n}\" Type=\"{TYPE}/image\" Target=\"media/image{n}.png\"/>"
            );
        }
        out.push_str("</Relationships>");
        out
    }
}

/// Letters of scripts that run from right to left.
fn is_leftward(c: char) -> bool {
    matches!(u32::from(c), 0x590..=0x8ff | 0xfb1d..=0xfdff | 0xfe70..=0xfeff)
}

fn runs(text: &str) -> String {
    let mut out = String::new();
    let right = if text.chars().any(is_leftward) {
        "<w:rPr><w:rtl/></w:rPr>"
    } else {
        ""
    };
    for (index, line) in text.trim_matches('\n').lines().enumerate() {
        let brk = if index > 0 { "<w:br/>" } else { "" };
        let _ = write!(
            out,
            "<w:r>{right}{brk}<w:t xml:space=\"preserve\">{}</w:t></w:r>",
            escaped(line)
        );
    }
    out
}

#[cfg(test)]
mod tests;
