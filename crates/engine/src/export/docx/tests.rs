//! What Word finds in the file.

use std::io::Read;

use super::*;
use crate::export::sample;

fn part(bytes: &[u8], name: &str) -> String {
    let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut text = String::new();
    zip.by_name(name)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn it_has_everything_the_document_has() {
    let meta = Meta {
        title: "Fish & chips".into(),
        ..Meta::default()
    };
    let bytes = docx(&sample::document(), &meta).unwrap();
    let document = part(&bytes, "word/document.xml");
    for wanted in [
        "<w:pStyle w:val=\"Title\"/></w:pPr><w:r><w:t xml:space=\"preserve\">Fish &amp; &lt;Chips&gt;",
        "<w:pStyle w:val=\"Heading2\"/>",
        "<w:ilvl w:val=\"1\"/><w:numId w:val=\"1\"/>",
        "<w:gridSpan w:val=\"2\"/>",
        "r:embed=\"picture1\"",
        "A paragraph that goes on over the page.",
        // 800 by 1000 pixels at 150 an inch.
        "<w:pgSz w:w=\"7680\" w:h=\"9600\"/>",
    ] {
        assert!(document.contains(wanted), "{wanted}\n{document}");
    }
    assert!(!document.contains("Running head"));
    assert_eq!(document.matches("<w:tbl>").count(), 2);
    assert_eq!(
        document.matches("<w:tc>").count(),
        document.matches("</w:tc>").count()
    );
    assert!(part(&bytes, "word/_rels/document.xml.rels").contains("media/image1.png"));
    assert!(part(&bytes, "docProps/core.xml").contains("Fish &amp; chips"));
    assert!(part(&bytes, "word/numbering.xml").contains("%2."));
}

#[test]
fn a_page_in_the_proportion_of_a_sheet_is_one() {
    let mut page = sample::document().pages[0].clone();
    page.dpi = None;
    for ((width, height), sheet) in [
        ((1242, 1757), (11_906, 16_838)),
        ((2200, 1700), (15_840, 12_240)),
        ((800, 800), (5_760, 5_760)),
    ] {
        (page.width, page.height) = (width, height);
        let size = page_size(&page);
        let near = |a: u32, b: u32| a.abs_diff(b) < b / 100;
        assert!(near(size.0, sheet.0) && near(size.1, sheet.1), "{size:?}");
    }
}

#[test]
fn columns_are_as_wide_as_on_the_page() {
    let mut table = sample::statement().pages[0].regions[0]
        .table
        .take()
        .unwrap();
    assert_eq!(widths(&table, 1000), [500, 500]);
    let wide = |cell: &mut crate::document::Cell, x0, x1| {
        cell.quad = crate::geometry::Quad::from_rect(x0, 0.0, x1, 20.0);
    };
    for cell in &mut table.cells {
        match cell.column {
            0 => wide(cell, 100.0, 380.0),
            _ => wide(cell, 420.0, 500.0),
        }
    }
    assert_eq!(widths(&table, 100_000), [75_000, 25_000]);
    // The second column holds three characters.
    let narrow = widths(&table, 1_638);
    assert!(narrow[1] > 480 && narrow[0] > 1_000, "{narrow:?}");
    // Turned inside out, or not known at all.
    for cell in &mut table.cells {
        wide(cell, 0.0, 0.0);
    }
    assert_eq!(widths(&table, 1000), [500, 500]);
    table.cells.clear();
    assert_eq!(widths(&table, 1000), [500, 500]);
}

#[test]
fn a_table_over_pages_is_one() {
    let mut document = sample::statement();
    let written = |document: &_| {
        part(
            &docx(document, &Meta::default()).unwrap(),
            "word/document.xml",
        )
    };
    let xml = written(&document);
    let count = |xml: &str, tag: &str| xml.matches(tag).count();
    assert_eq!((count(&xml, "<w:tbl>"), count(&xml, "</w:tr>")), (1, 4));
    assert_eq!(count(&xml, "</w:tbl>"), 1);
    assert!(xml.contains("3 May") && count(&xml, ">Date<") == 1, "{xml}");
    document.pages[1].regions[0].continued = false;
    assert_eq!(count(&written(&document), "<w:tbl>"), 2);
}

#[test]
fn cells_over_rows_go_on() {
    let mut document = sample::document();
    let table = document.pages[0].regions[4].table.as_mut().unwrap();
    // The first cell of the second row takes the place of the one below.
    table.cells.remove(4);
    table.cells[2].row_span = 2;
    let document = part(
        &docx(&document, &Meta::default()).unwrap(),
        "word/document.xml",
    );
    assert!(document.contains("<w:vMerge w:val=\"restart\"/>"));
    assert!(
        document.contains("<w:vMerge w:val=\"continue\"/></w:tcPr><w:p/>"),
        "{document}"
    );
}
