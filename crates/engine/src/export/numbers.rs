//! Which cells of a table are numbers, and how they are shown.
//!
//! `1.027` is about a thousand here and about one there, and `007` or `12.05.2026` is no number at all. So a column is
//! looked at as a whole: what its other cells say decides what is ambiguous, and one name of a thing makes it text.

use crate::document::Table;

/// A number and its format in a workbook (ECMA-376 part 1, 18.8.31).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Amount {
    pub value: f64,
    /// None for the usual one.
    pub format: Option<String>,
}

/// More digits than a number of double precision holds are the name of a thing.
const MAX_DIGITS: usize = 15;
/// Signs of currencies that stand before or after an amount.
const CURRENCIES: &[&str] = &[
    "US$", "HK$", "NT$", "R$", "A$", "C$", "S$", "$", "€", "£", "¥", "￥", "₹", "₽", "₩", "₺", "₴",
    "₫", "₪", "฿", "元", "円", "원", "kr", "zł", "Kč", "Ft", "EUR", "USD", "GBP", "CHF", "JPY",
    "CNY", "RMB", "HKD", "TWD", "SEK", "NOK", "DKK", "PLN", "CZK", "INR", "KRW", "CAD", "AUD",
];

/// The sign that parts the decimals.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Decimal {
    Point,
    Comma,
}

/// A cell that looks like a number, in its parts.
#[derive(Debug, Default)]
struct Parts<'a> {
    negative: bool,
    plus: bool,
    parenthesised: bool,
    percent: bool,
    before: String,
    after: String,
    digits: &'a str,
}

/// Digits as one style reads them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Reading {
    magnitude: f64,
    decimals: usize,
    group: Option<char>,
}

/// For each cell of a table the number that it is, if it is one.
pub(super) fn amounts(table: &Table) -> Vec<Option<Amount>> {
    let columns: Vec<Column> = (0..table.columns)
        .map(|column| {
            let cells = table.cells.iter();
            let body = cells.filter(|c| c.column == column && c.row >= table.header_rows);
            Column::of(body.map(|c| c.text.trim()))
        })
        .collect();
    // What all columns that can tell agree on.
    let mut told = columns.iter().filter_map(|c| c.decimal);
    let first = told.next();
    let common = first.filter(|first| told.all(|other| other == *first));
    let number = |cell: &crate::document::Cell| {
        let column = columns.get(cell.column)?;
        let text = cell.text.trim();
        if cell.row < table.header_rows {
            // Years, mostly.
            let plain = Column::of(std::iter::once(text));
            return plain.amount(text, None);
        }
        column.amount(text, common)
    };
    table.cells.iter().map(number).collect()
}

/// What the cells of a column say together.
#[derive(Default)]
struct Column {
    /// Some of them are names of things.
    named: bool,
    /// How decimals are written, where the column itself tells.
    decimal: Option<Decimal>,
    /// They tell different things.
    torn: bool,
    /// A separator that can only part thousands, since other numbers have no decimals.
    thousands: Option<char>,
    /// There are decimals, currencies, percents or thousands.
    amounts: bool,
    /// There are numbers below a thousand without any sign.
    small: bool,
}

impl Column {
    fn of<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let mut column = Self::default();
        let mut ambiguous: Vec<char> = Vec::new();
        for text in cells {
            let Some(parts) = parts(text) else {
                column.named |= is_name(text);
                continue;
            };
            let [point, comma] = [Decimal::Point, Decimal::Comma].map(|d| reading(parts.digits, d));
            match (point, comma) {
                (None, None) => {
                    column.named |= is_name(text);
                    continue;
                }
                (Some(a), Some(b)) if a != b => {
                    ambiguous.extend(parts.digits.chars().find(|c| matches!(c, '.' | ',')));
                }
                (Some(_), Some(_)) => {
                    column.small |= parts.digits.len() <= 3;
                }
                (one, _) => {
                    let decimal = match one {
                        Some(_) => Decimal::Point,
                        None => Decimal::Comma,
                    };
                    column.torn |= column.decimal.is_some_and(|other| other != decimal);
                    column.decimal = Some(decimal);
                    column.amounts = true;
                }
            }
            column.amounts |= parts.percent || !parts.before.is_empty() || !parts.after.is_empty();
        }
        if column.torn {
            column.decimal = None;
        }
        if let Some(&first) = ambiguous.first()
            && column.decimal.is_none()
            && column.small
            && ambiguous.iter().all(|c| *c == first)
        {
            // Decimals would be as many in all of them.
            column.thousands = Some(first);
            column.amounts = true;
        }
        column
    }

    fn amount(&self, text: &str, common: Option<Decimal>) -> Option<Amount> {
        if self.named || self.torn {
            return None;
        }
        let parts = parts(text)?;
        let by_thousands = self.thousands.map(|c| match c {
            '.' => Decimal::Comma,
            _ => Decimal::Point,
        });
        let [point, comma] = [Decimal::Point, Decimal::Comma].map(|d| reading(parts.digits, d));
        let read = match (point, comma) {
            (Some(a), Some(b)) if a != b => match self.decimal.or(by_thousands).or(common)? {
                Decimal::Point => a,
                Decimal::Comma => b,
            },
            (a, b) => a.or(b)?,
        };
        let bare = read.decimals == 0
            && !parts.percent
            && parts.before.is_empty()
            && parts.after.is_empty();
        // `(1)` counts, and `555 123 456` calls somebody, unless the column is one of amounts.
        let spaced = bare && read.group.is_some_and(char::is_whitespace);
        if (spaced && !self.amounts && !self.small)
            || (bare
                && (parts.parenthesised || parts.plus)
                && !self.amounts
                && read.group.is_none())
        {
            return None;
        }
        Some(parts.amount(read))
    }
}

impl Parts<'_> {
    fn amount(&self, read: Reading) -> Amount {
        let value = if self.percent {
            read.magnitude / 100.0
        } else {
            read.magnitude
        };
        let mut body = String::from(if read.group.is_some() { "#,##0" } else { "0" });
        if read.decimals > 0 {
            body.push('.');
            body.push_str(&"0".repeat(read.decimals));
        }
        if self.percent {
            body.push('%');
        }
        let quoted = |text: &str| match text {
            "" => String::new(),
            text => format!("\"{text}\""),
        };
        body = format!("{}{body}{}", quoted(&self.before), quoted(&self.after));
        let format = if self.parenthesised {
            format!("{body}_);({body})")
        } else if self.plus {
            format!("+{body};-{body}")
        } else {
            body
        };
        // Where many digits become a power of ten by themselves.
        let long = self.digits.len() > 10;
        Amount {
            value: if self.negative { -value } else { value },
            format: (format != "0" || long).then_some(format),
        }
    }
}

/// Takes signs, currencies and percents off a number.
fn parts(text: &str) -> Option<Parts<'_>> {
    let mut parts = Parts::default();
    let mut rest = text;
    if let Some(inner) = rest.strip_prefix('(').and_then(|r| r.strip_suffix(')')) {
        (rest, parts.negative, parts.parenthesised) = (inner.trim(), true, true);
    }
    // The sign stands before or after the currency.
    for _ in 0..3 {
        if let Some(after) = rest.strip_prefix(['-', '\u{2212}', '\u{2013}']) {
            if parts.negative || parts.plus {
                return None;
            }
            (rest, parts.negative) = (after.trim_start(), true);
        } else if let Some(after) = rest.strip_prefix('+') {
            if parts.negative || parts.plus {
                return None;
            }
            (rest, parts.plus) = (after.trim_start(), true);
        } else if let Some(sign) = CURRENCIES.iter().find(|c| rest.starts_with(**c)) {
            if !parts.before.is_empty() {
                return None;
            }
            let after = &rest[sign.len()..];
            let space = if after.starts_with(char::is_whitespace) {
                " "
            } else {
                ""
            };
            parts.before = format!("{sign}{space}");
            rest = after.trim_start();
        }
    }
    if let Some(before) = rest.strip_suffix('%') {
        (rest, parts.percent) = (before.trim_end(), true);
    } else if let Some(sign) = CURRENCIES.iter().find(|c| rest.ends_with(**c)) {
        let before = &rest[..rest.len() - sign.len()];
        let space = if before.ends_with(char::is_whitespace) {
            " "
        } else {
            ""
        };
        parts.after = format!("{space}{sign}");
        rest = before.trim_end();
    }
    // Banks write the sign last.
    if let Some(before) = rest.strip_suffix('-') {
        if parts.negative || parts.plus || !before.contains(['.', ',']) {
            return None;
        }
        (rest, parts.negative) = (before, true);
    }
    let separator = |c: char| {
        matches!(
            c,
            '.' | ',' | '\'' | '\u{2019}' | ' ' | '\u{a0}' | '\u{2009}' | '\u{202f}'
        )
    };
    let fits = rest.starts_with(|c: char| c.is_ascii_digit())
        && rest.ends_with(|c: char| c.is_ascii_digit())
        && rest.chars().all(|c| c.is_ascii_digit() || separator(c));
    parts.digits = rest;
    fits.then_some(parts)
}

/// Digits with separators as a number, if they are one in that style.
fn reading(digits: &str, decimal: Decimal) -> Option<Reading> {
    let (point, other) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    let (whole, part) = match digits.split_once(point) {
        Some((whole, part)) => (whole, Some(part)),
        None => (digits, None),
    };
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if part.is_some_and(|part| !all_digits(part)) {
        return None;
    }
    let group = whole.chars().find(|c| !c.is_ascii_digit());
    if group == Some(point)
        || (group.is_some_and(|g| matches!(g, '.' | ',')) && group != Some(other))
    {
        return None;
    }
    let bare: String = match group {
        Some(group) => {
            let mut groups = whole.split(group);
            let first = groups.next().filter(|g| all_digits(g) && g.len() <= 3)?;
            let mut bare = first.to_string();
            for next in groups {
                if !all_digits(next) || next.len() != 3 {
                    return None;
                }
                bare.push_str(next);
            }
            bare
        }
        None => whole.to_string(),
    };
    let named = bare.len() > 1 && bare.starts_with('0');
    let part = part.unwrap_or_default();
    if !all_digits(&bare) || named || bare.len() + part.len() > MAX_DIGITS {
        return None;
    }
    Some(Reading {
        magnitude: format!("{bare}.{part}0").parse().ok()?,
        decimals: part.len(),
        group,
    })
}

/// Whether it is the name of a thing in digits, such as a date, an account or a telephone number.
fn is_name(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    digits > 1
        && text
            .chars()
            .all(|c| c.is_ascii_digit() || " +-/.:()\u{2013}\u{a0}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Cell;
    use crate::geometry::Quad;

    /// The numbers of a table's columns, each below a head.
    fn columns(columns: &[&[&str]]) -> Vec<Vec<Option<Amount>>> {
        let rows = columns[0].len();
        let cell = |row: usize, column: usize, text: &str| Cell {
            row,
            column,
            row_span: 1,
            column_span: 1,
            text: text.into(),
            quad: Quad::from_rect(0.0, 0.0, 1.0, 1.0),
        };
        let cells = columns.iter().enumerate();
        let table = Table {
            rows: rows + 1,
            columns: columns.len(),
            header_rows: 1,
            cells: cells
                .flat_map(|(at, texts)| {
                    let head = cell(0, at, "Head");
                    let body = texts.iter().enumerate();
                    std::iter::once(head).chain(body.map(move |(row, t)| cell(row + 1, at, t)))
                })
                .collect(),
        };
        let all = amounts(&table);
        all.chunks(rows + 1).map(|c| c[1..].to_vec()).collect()
    }

    fn values(texts: &[&str]) -> Vec<Option<f64>> {
        let found = columns(&[texts]).remove(0);
        found.into_iter().map(|a| a.map(|a| a.value)).collect()
    }

    #[test]
    fn a_column_of_amounts_can_be_summed() {
        for (texts, wanted) in [
            (["1,027.60", "3.20", "(1,000)"], [1027.6, 3.2, -1000.0]),
            (["1.027,60", "-3,20", "1.000"], [1027.6, -3.2, 1000.0]),
            (["1 027,60", "3,20-", "12"], [1027.6, -3.2, 12.0]),
            (["1'027.60", "+3.20", "1.234"], [1027.6, 3.2, 1.234]),
            (["$1,027.60", "-$3.20", "US$ 5"], [1027.6, -3.2, 5.0]),
            (["1.027,60 €", "3,20 €", "5 EUR"], [1027.6, 3.2, 5.0]),
            (["12.5%", "3 %", "100 %"], [0.125, 0.03, 1.0]),
            (["1,234", "950", "(300)"], [1234.0, 950.0, -300.0]),
            (
                ["1 234", "950", "12 345 678"],
                [1234.0, 950.0, 12_345_678.0],
            ),
            (["1,234,567", "1,234", "0"], [1_234_567.0, 1234.0, 0.0]),
            (["−5", "7", "12"], [-5.0, 7.0, 12.0]),
        ] {
            assert_eq!(values(&texts), wanted.map(Some), "{texts:?}");
        }
    }

    #[test]
    fn names_of_things_stay_text() {
        for texts in [
            ["007", "123", "9"],
            ["12345678901234567", "1", "2"],
            ["12.05.2026", "13.05", "14.05"],
            ["01.05", "12.05", "13.05"],
            ["2026-05-12", "5", "6"],
            ["555 123 456", "555 987 654", "555 111 222"],
            ["+49 30 1234", "555", "556"],
            ["555-1234", "12", "13"],
            ["1.234", "5.678", "9.012"],
            ["(1)", "(2)", "(3)"],
            ["1.027,60", "1,027.60", "5"],
            ["1e5", "x", ""],
        ] {
            assert_eq!(values(&texts), [None; 3], "{texts:?}");
        }
        // Words leave the numbers beside them alone.
        assert_eq!(values(&["n/a", "12.5", "–"]), [None, Some(12.5), None]);
    }

    #[test]
    fn other_columns_tell_what_one_alone_does_not() {
        let found = columns(&[&["1.234", "5.678"], &["3,20", "4,50"]]);
        assert_eq!(found[0][0].as_ref().map(|a| a.value), Some(1234.0));
        let torn = columns(&[&["1.234"], &["3,20"], &["4.50"]]);
        assert_eq!(torn[0][0], None);
    }

    #[test]
    fn numbers_look_as_they_did() {
        let formats = |texts: &[&str]| {
            let found = columns(&[texts]).remove(0);
            let formats = found.into_iter().map(|a| a.and_then(|a| a.format));
            formats.map(Option::unwrap_or_default).collect::<Vec<_>>()
        };
        assert_eq!(formats(&["5", "12.50", "123456789012"]), ["", "0.00", "0"]);
        assert_eq!(formats(&["1.027,60 €"]), ["#,##0.00\" €\""]);
        assert_eq!(
            formats(&["$(5.00)", "($5.00)", "-$ 5.00"]),
            ["", "\"$\"0.00_);(\"$\"0.00)", "\"$ \"0.00"]
        );
        assert_eq!(formats(&["+3.2", "12.5 %"]), ["+0.0;-0.0", "0.0%"]);
    }
}
