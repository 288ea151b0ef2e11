//! Tables as comma-separated values (RFC 4180).

use super::{Writer, body};
use crate::document::{PageText, Table};

#[derive(Default)]
pub(super) struct Csv {
    tables: usize,
}

impl Writer for Csv {
    fn page(&mut self, page: &PageText) -> String {
        let mut out = String::new();
        for region in &page.regions {
            let Some(table) = &region.table else {
                continue;
            };
            // A table that goes on over pages is one.
            let goes_on = self.tables > 0 && region.continued;
            if self.tables > 0 && !goes_on {
                out.push_str("\r\n");
            }
            self.tables += 1;
            if goes_on {
                rows(&body(table), &mut out);
            } else {
                rows(table, &mut out);
            }
        }
        out
    }
}

fn rows(table: &Table, out: &mut String) {
    for row in 0..table.rows {
        let mut cells = vec![String::new(); table.columns];
        for cell in table.cells.iter().filter(|c| c.row == row) {
            if let Some(place) = cells.get_mut(cell.column) {
                *place = field(&cell.text);
            }
        }
        out.push_str(&cells.join(","));
        out.push_str("\r\n");
    }
}

fn field(text: &str) -> String {
    // Spreadsheets would compute what begins so, and a document could have anything computed. An apostrophe, which they
    // don't show, makes it text. A number is one with its sign, too.
    let formula = text.starts_with(['=', '@', '\t', '\r'])
        || text.strip_prefix(['+', '-']).is_some_and(|rest| {
            !rest
                .chars()
                .all(|c| c.is_ascii_digit() || ".,'% \u{a0}\u{202f}".contains(c))
        });
    let guarded;
    let text = match formula {
        true => {
            guarded = format!("'{text}");
            &*guarded
        }
        false => text,
    };
    if text.contains([',', '"', '\n', '\r']) || text != text.trim() {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_a_formula_and_numbers_stay_numbers() {
        for (text, written) in [
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("\t=1", "'\t=1"),
            ("-1,234.50", "\"-1,234.50\""),
            ("+5 %", "+5 %"),
            ("-", "-"),
            ("a=b", "a=b"),
        ] {
            assert_eq!(field(text), written, "{text}");
        }
    }
}
