//! Pages with tables.

use super::*;

fn rows(table: &crate::document::Table) -> Vec<Vec<&str>> {
    (0..table.rows)
        .map(|r| {
            let cells = table.cells.iter().filter(|c| c.row == r);
            cells.map(|c| c.text.as_str()).collect()
        })
        .collect()
}

#[test]
fn a_ruled_table_keeps_its_spans_and_empty_cells() {
    let page = ruled().analyse();
    let table = page
        .regions
        .iter()
        .find_map(|r| r.table.as_ref())
        .expect("a table");
    assert_eq!((table.rows, table.columns), (3, 3));
    assert_eq!(
        rows(table),
        [
            vec!["Rainfall"],
            vec!["a1", "b1", "c1"],
            vec!["a2", "", "c2"]
        ]
    );
    assert_eq!(table.cells[0].column_span, 3);
    assert_eq!(kinds(&page), [RegionKind::Table, RegionKind::Paragraph]);
}

#[test]
fn a_line_that_runs_through_a_rule_is_cut() {
    let mut page = ruled();
    let (first, second) = (page.lines[1].clone(), page.lines[2].clone());
    assert_eq!((first.text.as_str(), second.text.as_str()), ("a1", "b1"));
    page.lines[1] = Line {
        text: "a1 b1".into(),
        words: [first.words, second.words].concat(),
        quad: Quad([
            first.quad.0[0],
            second.quad.0[1],
            second.quad.0[2],
            first.quad.0[3],
        ]),
        ..first
    };
    page.lines.remove(2);
    let page = page.analyse();
    let table = page
        .regions
        .iter()
        .find_map(|r| r.table.as_ref())
        .expect("a table");
    assert_eq!(rows(table)[1], ["a1", "b1", "c1"]);
}

#[test]
fn a_leaning_page_has_the_same_table() {
    let drawn = ruled();
    let (sin, cos) = 1.5f32.to_radians().sin_cos();
    let mut turned = Drawn::new(900, 700);
    let source = |x: f32, y: f32| (x * cos + y * sin, y * cos - x * sin);
    for y in 0..700 {
        for x in 0..900 {
            let (u, v) = source(x as f32, y as f32);
            if (0.0..899.0).contains(&u) && (0.0..699.0).contains(&v) {
                let from = (v.round() as usize * 900 + u.round() as usize) * 3;
                let to = (y * 900 + x) * 3;
                turned.image.rgb[to..to + 3].copy_from_slice(&drawn.image.rgb[from..from + 3]);
            }
        }
    }
    let lean =
        |q: Quad| Quad(q.0.map(|p| Point::new(p.x * cos - p.y * sin, p.x * sin + p.y * cos)));
    turned.lines = drawn.lines;
    for line in &mut turned.lines {
        line.quad = lean(line.quad);
        line.words.iter_mut().for_each(|w| w.quad = lean(w.quad));
    }
    let page = turned.analyse();
    let table = page
        .regions
        .iter()
        .find_map(|r| r.table.as_ref())
        .expect("a table");
    assert_eq!(
        rows(table),
        [
            vec!["Rainfall"],
            vec!["a1", "b1", "c1"],
            vec!["a2", "", "c2"]
        ]
    );
}

#[test]
fn a_table_without_upright_rules_is_read_by_alignment() {
    let mut page = Drawn::new(900, 700);
    for y in [100, 132, 290] {
        page.fill(100, y, 700, y + 2, 0);
    }
    for (r, row) in [
        ["Stop", "Trips", "Change"],
        ["Welton", "3,807", "-7.7"],
        ["Eastham", "3,339", "10.7"],
        ["Lindale", "", "2.9"],
        ["Ravensby", "6,533", "-2.5"],
    ]
    .iter()
    .enumerate()
    {
        for (c, cell) in row.iter().enumerate() {
            if !cell.is_empty() {
                page.text(cell, 110 + 220 * c as u32, 107 + 36 * r as u32);
            }
        }
    }
    page.prose(100, 400, 4, 70);
    let page = page.analyse();
    let table = page
        .regions
        .iter()
        .find_map(|r| r.table.as_ref())
        .expect("a table");
    assert_eq!((table.rows, table.columns, table.header_rows), (5, 3, 1));
    assert_eq!(rows(table)[3], ["Lindale", "", "2.9"]);
}

#[test]
fn a_statement_is_one_table_to_its_last_row() {
    let mut page = Drawn::new(1000, 800);
    for y in [100, 132] {
        page.fill(50, y, 900, y + 2, 0);
    }
    let right = |text: &str, x: u32| x - 10 * text.len() as u32;
    let names = [
        "Mill Bakery",
        "Water Board",
        "Rent of July",
        "Salary in full",
    ];
    for (column, text) in ["Date", "Description"].iter().enumerate() {
        page.text(text, 60 + 140 * column as u32, 108);
    }
    for (text, x) in [("Paid out", 760), ("Balance", 890)] {
        page.text(text, right(text, x), 108);
    }
    for row in 0..10 {
        let y = 146 + 32 * row;
        page.text(&format!("{:02} July 26", row + 1), 60, y);
        page.text(names[row as usize % 4], 200, y);
        let money = [format!("{}.{}4", 5 + row, row), format!("2,4{row}8.60")];
        for (text, x) in money.iter().zip([760, 890]) {
            page.text(text, right(text, x), y);
        }
    }
    page.prose(60, 560, 4, 70);
    let page = page.analyse();
    let tables: Vec<_> = page
        .regions
        .iter()
        .filter_map(|r| r.table.as_ref())
        .collect();
    assert_eq!(tables.len(), 1);
    let table = tables[0];
    assert_eq!((table.rows, table.columns, table.header_rows), (11, 4, 1));
    assert_eq!(
        rows(table)[0],
        ["Date", "Description", "Paid out", "Balance"]
    );
    assert_eq!(
        rows(table)[4],
        ["04 July 26", "Salary in full", "8.34", "2,438.60"]
    );
}

#[test]
fn a_heading_right_above_a_table_stays_one() {
    let mut page = Drawn::new(900, 700);
    page.heavy("Cost against plan", 60, 40, 28, 6);
    for i in 0..4 {
        page.fill(50, 80 + 60 * i, 850, 82 + 60 * i, 0);
        page.fill(50 + 266 * i, 80, 52 + 266 * i, 262, 0);
    }
    for (i, cell) in ["Item", "Plan", "Actual"]
        .iter()
        .cycle()
        .take(9)
        .enumerate()
    {
        let i = i as u32;
        page.text(cell, 70 + 266 * (i % 3), 100 + 60 * (i / 3));
    }
    let found = kinds(&page.analyse());
    assert!(
        matches!(found[0], RegionKind::Title | RegionKind::Heading),
        "{found:?}"
    );
    assert_eq!(found[1..], [RegionKind::Table]);
}

#[test]
fn a_heading_above_a_table_that_fills_its_page_stays() {
    let mut page = Drawn::new(900, 330);
    page.heavy("Cost against plan", 45, 20, 28, 6);
    for i in 0..5 {
        page.fill(40, 80 + 50 * i, 860, 82 + 50 * i, 0);
    }
    for i in 0..4 {
        page.fill(40 + 273 * i, 80, 42 + 273 * i, 282, 0);
    }
    for i in 0..12 {
        let cell = ["Item", "48,000", "44,150"][i as usize % 3];
        page.text(cell, 60 + 273 * (i % 3), 95 + 50 * (i / 3));
    }
    let page = page.analyse();
    assert_eq!(page.regions[0].text, "Cost against plan");
    assert_eq!(kinds(&page)[1..], [RegionKind::Table]);
}

/// Lines of a table whose cells have several, with some room around them, and that table's size.
fn borderless(room: u32) -> PageText {
    let mut page = Drawn::new(610 + 2 * room, 220 + 2 * room);
    let rows = [
        [&["Question"][..], &["never"], &["seldom"], &["often"]],
        [
            &["Tablets help", "against fear"],
            &["7.1"],
            &["4"],
            &["33.3"],
        ],
        [&["They are safe", "for most"], &["45"], &["35"], &["12"]],
        [
            &["They only calm", "people down"],
            &["68.7"],
            &["19.2"],
            &["6"],
        ],
    ];
    let mut y = room;
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            for (line, text) in cell.iter().enumerate() {
                let x = room + [0, 330, 440, 550][column];
                page.text(text, x, y + 26 * line as u32);
            }
        }
        y += 10 + 26 * row[0].len() as u32;
    }
    page.analyse()
}

#[test]
fn a_picture_cut_closely_around_a_table_is_one() {
    let page = borderless(8);
    assert_eq!(kinds(&page), [RegionKind::Table]);
    let table = page.regions[0].table.as_ref().unwrap();
    assert_eq!((table.rows, table.columns), (4, 4));
    assert_eq!(
        rows(table)[1],
        ["Tablets help\nagainst fear", "7.1", "4", "33.3"]
    );
    // So closely are columns of text cut out, too.
    let mut page = Drawn::new(900, 340);
    page.prose(10, 10, 12, 38);
    page.prose(480, 10, 12, 38);
    let found = kinds(&page.analyse());
    assert!(!found.contains(&RegionKind::Table), "{found:?}");
}

#[test]
fn a_grid_is_a_table_though_sentences_are_in_it() {
    let mut page = Drawn::new(1000, 700);
    for i in 0..4 {
        page.fill(60, 100 + 100 * i, 932, 102 + 100 * i, 0);
    }
    for x in [60, 490, 930] {
        page.fill(x, 100, x + 2, 402, 0);
    }
    for row in 0..3 {
        page.prose(75, 112 + 100 * row, 1 + row % 2, 38);
        page.prose(505, 112 + 100 * row, 3, 38);
    }
    page.prose(60, 480, 4, 70);
    let page = page.analyse();
    let tables: Vec<_> = page
        .regions
        .iter()
        .filter_map(|r| r.table.as_ref())
        .collect();
    assert_eq!(tables.len(), 1, "{:?}", kinds(&page));
    assert_eq!((tables[0].rows, tables[0].columns), (3, 2));
}
