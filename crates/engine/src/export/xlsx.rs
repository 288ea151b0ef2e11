//! Tables as a workbook, a sheet each.

use std::borrow::Cow;
use std::collections::HashSet;

use rust_xlsxwriter::{Format, FormatAlign, Workbook, Worksheet, XlsxError};

use super::clean::cleaned;
use super::numbers::amounts;
use super::{Meta, body};
use crate::document::{Document, Table};

/// Limits of the format: rows, columns, characters of a cell, of a sheet's name.
const MAX_ROWS: usize = 1_048_576;
const MAX_COLUMNS: usize = 16_384;
const MAX_CELL: usize = 32_767;

/// The tables of a document as XLSX; a table that goes on over pages is one sheet. Without tables there is one empty
/// sheet, for a workbook has at least one.
///
/// # Errors
/// What the format can't hold.
pub fn xlsx(document: &Document, meta: &Meta) -> Result<Vec<u8>, XlsxError> {
    let mut workbook = Workbook::new();
    let properties = rust_xlsxwriter::DocProperties::new().set_title(&meta.title);
    workbook.set_properties(&properties);
    let mut names = HashSet::new();
    // The sheet that a table may go on in, and its first free row.
    let mut open: Option<(Worksheet, usize)> = None;
    for page in document.pages.iter().map(cleaned) {
        for region in &page.regions {
            let Some(table) = &region.table else {
                continue;
            };
            let (mut sheet, top, table) = match open.take() {
                Some((sheet, rows)) if region.continued => (sheet, rows, Cow::Owned(body(table))),
                before => {
                    if let Some((sheet, _)) = before {
                        workbook.push_worksheet(sheet);
                    }
                    let mut sheet = Worksheet::new();
                    sheet.set_name(name(page.index + 1, &mut names))?;
                    (sheet, 0, Cow::Borrowed(table))
                }
            };
            write(&mut sheet, &table, top)?;
            open = Some((sheet, top + table.rows));
        }
    }
    match open {
        Some((sheet, _)) => workbook.push_worksheet(sheet),
        None => workbook.push_worksheet(Worksheet::new()),
    };
    workbook.save_to_buffer()
}

/// `Page 3`, `Page 3 (2)` and so on.
fn name(page: usize, taken: &mut HashSet<String>) -> String {
    let mut name = format!("Page {page}");
    let mut count = 1;
    while !taken.insert(name.clone()) {
        count += 1;
        name = format!("Page {page} ({count})");
    }
    name
}

fn write(sheet: &mut Worksheet, table: &Table, top: usize) -> Result<(), XlsxError> {
    let plain = Format::new().set_text_wrap().set_align(FormatAlign::Top);
    let head = plain.clone().set_bold();
    let mut widths = vec![0usize; table.columns.min(MAX_COLUMNS)];
    for (cell, amount) in table.cells.iter().zip(amounts(table)) {
        let (row, column) = (top + cell.row, cell.column);
        let (last_row, last_column) = (row + cell.row_span - 1, column + cell.column_span - 1);
        if last_row >= MAX_ROWS || last_column >= MAX_COLUMNS {
            continue;
        }
        let (at, to) = (
            (row as u32, column as u16),
            (last_row as u32, last_column as u16),
        );
        let format = if cell.row < table.header_rows {
            &head
        } else {
            &plain
        };
        let text: String = cell.text.chars().take(MAX_CELL).collect();
        if at != to {
            sheet.merge_range(at.0, at.1, to.0, to.1, &text, format)?;
        } else if let Some(width) = widths.get_mut(column) {
            let longest = text.lines().map(|l| l.chars().count()).max();
            *width = (*width).max(longest.unwrap_or(0));
        }
        match amount {
            Some(amount) => {
                let format = match amount.format {
                    Some(code) => &format.clone().set_num_format(code),
                    None => format,
                };
                sheet.write_number_with_format(at.0, at.1, amount.value, format)?;
            }
            None if at == to => {
                sheet.write_string_with_format(at.0, at.1, &text, format)?;
            }
            None => {}
        }
    }
    for (column, width) in widths.into_iter().enumerate() {
        sheet.set_column_width(column as u16, (width as f64 + 2.0).clamp(6.0, 60.0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;
    use crate::export::sample;

    /// Reads parts of a workbook.
    fn parts(document: Document) -> impl FnMut(&str) -> String {
        let bytes = xlsx(&document, &Meta::default()).unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        move |name: &str| {
            let mut text = String::new();
            zip.by_name(name)
                .unwrap()
                .read_to_string(&mut text)
                .unwrap();
            text
        }
    }

    #[test]
    fn a_table_over_pages_is_one() {
        let mut part = parts(sample::statement());
        assert_eq!(part("xl/workbook.xml").matches("<sheet ").count(), 1);
        let sheet = part("xl/worksheets/sheet1.xml");
        assert_eq!(sheet.matches("<row ").count(), 4, "{sheet}");
    }

    #[test]
    fn amounts_are_numbers_with_their_format() {
        let mut document = sample::statement();
        let table = document.pages[0].regions[0].table.as_mut().unwrap();
        table.cells[3].text = "1,027.60".into();
        let mut part = parts(document);
        let sheet = part("xl/worksheets/sheet1.xml");
        assert!(sheet.contains("<v>1027.6</v>"), "{sheet}");
        let styles = part("xl/styles.xml");
        assert!(styles.contains("formatCode=\"#,##0.00\""), "{styles}");
    }

    #[test]
    fn each_table_is_a_sheet() {
        let mut part = parts(sample::document());
        let book = part("xl/workbook.xml");
        assert!(
            book.contains("name=\"Page 1\"") && book.contains("name=\"Page 1 (2)\""),
            "{book}"
        );
        assert!(part("xl/worksheets/sheet1.xml").contains("<v>-2</v>"));
        assert!(part("xl/worksheets/sheet2.xml").contains("mergeCell ref=\"A1:B1\""));
        assert!(part("xl/sharedStrings.xml").contains("Cod | fillet"));
    }
}
