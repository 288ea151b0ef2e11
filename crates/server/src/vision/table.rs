//! Tables in a vision model's answer.

use html5gum::{StartTag, Token, Tokenizer};
use maoocr_engine::document::{Cell, Table};
use maoocr_engine::geometry::Quad;

/// Most rows of a table.
const MAX_ROWS: usize = 1000;
/// Most columns of a table.
const MAX_COLUMNS: usize = 200;
/// Most cells of a table, empty ones included.
const MAX_CELLS: usize = 20_000;

#[derive(Default)]
struct Made {
    rows: Vec<Vec<(String, usize, usize)>>,
    /// Rows at the top whose cells are all heads.
    heads: Vec<bool>,
    /// Whether a cell is open.
    cell: bool,
}

impl Made {
    fn row(&mut self) {
        self.cell = false;
        self.rows.push(Vec::new());
        self.heads.push(true);
    }

    fn push(&mut self, text: &str) {
        if self.cell
            && let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut())
        {
            cell.0.push_str(text);
        }
    }
}

/// The tables in HTML. Tags that aren't about tables are dropped, their text stays.
pub fn tables(html: &str, area: Quad) -> Vec<Option<Table>> {
    let mut tables = Vec::new();
    let mut made = Made::default();
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) => match &**tag.name {
                b"table" => {
                    tables.push(table(std::mem::take(&mut made), area));
                }
                b"tr" if made.rows.len() < MAX_ROWS => made.row(),
                name @ (b"td" | b"th") => {
                    if made.rows.is_empty() {
                        made.row();
                    }
                    let span = |attribute| span(&tag, attribute);
                    let cell = (String::new(), span(b"rowspan"), span(b"colspan"));
                    if let (Some(row), Some(head)) = (made.rows.last_mut(), made.heads.last_mut())
                        && row.len() < MAX_COLUMNS
                    {
                        row.push(cell);
                        *head &= name == b"th";
                        made.cell = true;
                    }
                }
                b"br" | b"p" => made.push("\n"),
                _ => {}
            },
            Token::EndTag(tag) => match &**tag.name {
                b"td" | b"th" | b"tr" => made.cell = false,
                b"table" => tables.push(table(std::mem::take(&mut made), area)),
                _ => {}
            },
            Token::String(text) => made.push(&String::from_utf8_lossy(&text)),
            _ => {}
        }
    }
    tables.push(table(made, area));
    tables
}

fn span(tag: &StartTag<()>, attribute: &[u8]) -> usize {
    let value = tag.attributes.get(attribute);
    let text = value.and_then(|v| std::str::from_utf8(v).ok());
    text.and_then(|t| t.trim().parse().ok()).unwrap_or(1)
}

/// The text of inline HTML: only its line breaks mean something.
pub fn plain(html: &str) -> String {
    let mut text = String::new();
    for Ok(token) in Tokenizer::new(html) {
        match token {
            Token::StartTag(tag) if **tag.name == *b"br" => text.push('\n'),
            Token::String(string) => text.push_str(&String::from_utf8_lossy(&string)),
            _ => {}
        }
    }
    text
}

/// A table of rows without spans, of which the first is the head.
pub fn of_rows(rows: Vec<Vec<String>>, area: Quad) -> Option<Table> {
    let rows: Vec<Vec<_>> = rows
        .into_iter()
        .take(MAX_ROWS)
        .map(|row| {
            let cells = row.into_iter().take(MAX_COLUMNS);
            cells.map(|text| (text, 1, 1)).collect()
        })
        .collect();
    let heads = (0..rows.len()).map(|row| row == 0).collect();
    let made = Made {
        rows,
        heads,
        cell: false,
    };
    table(made, area)
}

/// Puts cells into a grid, as HTML does.
fn table(made: Made, area: Quad) -> Option<Table> {
    let Made {
        rows: given, heads, ..
    } = made;
    let rows = given.len();
    // Row by row, what is taken by a cell.
    let mut taken: Vec<Vec<bool>> = vec![Vec::new(); rows];
    let mut cells = Vec::new();
    let mut columns = 0;
    for (row, line) in given.into_iter().enumerate() {
        let mut column = 0;
        for (text, row_span, column_span) in line {
            while taken[row].get(column) == Some(&true) {
                column += 1;
            }
            if column >= MAX_COLUMNS {
                break;
            }
            let column_span = column_span.clamp(1, MAX_COLUMNS - column);
            let row_span = row_span.clamp(1, rows - row);
            for line in &mut taken[row..row + row_span] {
                if line.len() < column + column_span {
                    line.resize(column + column_span, false);
                }
                line[column..column + column_span].fill(true);
            }
            columns = columns.max(column + column_span);
            cells.push(Cell {
                row,
                column,
                row_span,
                column_span,
                quad: area,
                text: tidy(&text),
            });
            column += column_span;
        }
    }
    if columns == 0 || rows * columns > MAX_CELLS || cells.iter().all(|c| c.text.is_empty()) {
        return None;
    }
    // Every place has a cell.
    for (row, line) in taken.iter().enumerate() {
        for column in (0..columns).filter(|&c| line.get(c) != Some(&true)) {
            cells.push(Cell {
                row,
                column,
                row_span: 1,
                column_span: 1,
                quad: area,
                text: String::new(),
            });
        }
    }
    cells.sort_by_key(|cell| (cell.row, cell.column));
    let head = heads.iter().take_while(|head| **head).count();
    Some(Table {
        rows,
        columns,
        // A table of heads alone has none.
        header_rows: if head == rows {
            usize::from(rows > 1)
        } else {
            head
        },
        cells,
    })
}

fn tidy(text: &str) -> String {
    let rows = text
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>().join(" "));
    rows.filter(|row| !row.is_empty())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The rows of a table, cells side by side.
pub fn text(table: &Table) -> String {
    let mut rows = vec![Vec::new(); table.rows];
    for cell in table.cells.iter().filter(|c| !c.text.is_empty()) {
        rows[cell.row].push(cell.text.replace('\n', " "));
    }
    let rows: Vec<String> = rows.into_iter().map(|row| row.join(" ")).collect();
    rows.join("\n")
}
