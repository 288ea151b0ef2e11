use super::*;
use proptest::prelude::*;

fn line(text: &str, x0: f32, y0: f32, x1: f32, y1: f32) -> Line {
    Line {
        text: text.into(),
        confidence: 0.9,
        quad: Quad::from_rect(x0, y0, x1, y1),
        words: Vec::new(),
        vertical: false,
    }
}

fn turned(lines: &[Line], degrees: f32) -> Vec<Line> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let mut lines = lines.to_vec();
    for line in &mut lines {
        line.quad = Quad(
            line.quad
                .0
                .map(|p| Point::new(p.x * cos - p.y * sin, p.x * sin + p.y * cos)),
        );
    }
    lines
}

fn prose(name: char, x: f32, y: f32, rows: usize) -> Vec<Line> {
    (0..rows)
        .map(|i| {
            let y = y + 24.0 * i as f32;
            line(
                &format!("{name}{i} a line of running text"),
                x,
                y,
                x + 300.0,
                y + 18.0,
            )
        })
        .collect()
}

fn starts(lines: Vec<Line>) -> Vec<String> {
    assemble(lines, 1000, 1000)
        .lines
        .iter()
        .map(|l| l.text.split(' ').next().unwrap_or("").to_string())
        .collect()
}

fn wanted(names: &[(char, usize)]) -> Vec<String> {
    names
        .iter()
        .flat_map(|&(n, rows)| (0..rows).map(move |i| format!("{n}{i}")))
        .collect()
}

#[test]
fn arabic_columns_and_rows_go_from_right_to_left() {
    let mut lines = prose('ا', 0.0, 60.0, 6);
    lines.extend(prose('ب', 340.0, 60.0, 6));
    assert_eq!(starts(lines), wanted(&[('ب', 6), ('ا', 6)]));
    let row = vec![
        line("12.00", 0.0, 0.0, 60.0, 18.0),
        line("السعر", 70.0, 0.0, 140.0, 18.0),
        line("المجموع", 150.0, 0.0, 240.0, 18.0),
    ];
    assert_eq!(starts(row), ["المجموع", "السعر", "12.00"]);
}

#[test]
fn two_columns_below_a_heading() {
    let mut lines = prose('b', 340.0, 60.0, 6);
    lines.extend(prose('a', 0.0, 60.0, 6));
    lines.push(line(
        "h0 a heading across both of the columns",
        20.0,
        10.0,
        600.0,
        40.0,
    ));
    assert_eq!(
        starts(lines.clone()),
        wanted(&[('h', 1), ('a', 6), ('b', 6)])
    );
    for degrees in [3.0, -5.0, 20.0, 90.0, 180.0, 270.0] {
        assert_eq!(
            starts(turned(&lines, degrees)),
            wanted(&[('h', 1), ('a', 6), ('b', 6)]),
            "{degrees}"
        );
    }
}

#[test]
fn a_heading_below_columns_belongs_to_what_follows() {
    let mut lines = prose('b', 340.0, 60.0, 6);
    lines.extend(prose('a', 0.0, 60.0, 6));
    lines.push(line("h0 heading", 0.0, 212.0, 120.0, 230.0));
    lines.push(line(
        "t0 text across both of the columns of the page",
        0.0,
        234.0,
        640.0,
        252.0,
    ));
    assert_eq!(
        starts(lines),
        wanted(&[('a', 6), ('b', 6), ('h', 1), ('t', 1)])
    );
}

#[test]
fn three_columns() {
    let mut lines = prose('c', 680.0, 0.0, 5);
    lines.extend(prose('a', 0.0, 0.0, 5));
    lines.extend(prose('b', 340.0, 0.0, 4));
    assert_eq!(starts(lines), wanted(&[('a', 5), ('b', 4), ('c', 5)]));
}

#[test]
fn a_receipt_goes_row_by_row() {
    let mut lines = Vec::new();
    for i in 0..8 {
        let y = 30.0 * i as f32;
        lines.push(line(&format!("{i}.50"), 400.0, y + 2.0, 450.0, y + 20.0));
        lines.push(line(&format!("item{i}"), 0.0, y, 120.0, y + 18.0));
    }
    let content = assemble(lines, 1000, 1000);
    assert!(
        content.text.starts_with("item0 0.50\nitem1 1.50\n"),
        "{}",
        content.text
    );
}

#[test]
fn vertical_lines_go_from_right_to_left() {
    let mut lines: Vec<Line> = (0..4)
        .map(|i| {
            let x = 200.0 - 30.0 * i as f32;
            line(&format!("{i}"), x, 10.0, x + 24.0, 200.0)
        })
        .collect();
    lines.iter_mut().for_each(|l| l.vertical = true);
    lines.reverse();
    assert_eq!(assemble(lines, 1000, 1000).text, "0\n1\n2\n3");
}

#[test]
fn narrow_gutters_and_columns_of_unlike_length() {
    let mut lines = prose('c', 612.0, 0.0, 9);
    lines.extend(prose('a', 0.0, 0.0, 5));
    lines.extend(prose('b', 306.0, 0.0, 4));
    assert_eq!(
        starts(turned(&lines, 0.0)),
        wanted(&[('a', 5), ('b', 4), ('c', 9)])
    );
}

#[test]
fn a_form_goes_row_by_row() {
    let mut lines = Vec::new();
    for (i, (label, value)) in [("Name:", "Ada"), ("Born:", "1815"), ("City:", "London")]
        .into_iter()
        .enumerate()
    {
        let y = 40.0 * i as f32;
        lines.push(line(value, 200.0, y - 2.0, 280.0, y + 19.0));
        lines.push(line(label, 0.0, y, 60.0, y + 18.0));
    }
    assert_eq!(
        assemble(turned(&lines, 3.0), 1000, 1000)
            .text
            .replace("\n\n", "\n"),
        "Name: Ada\nBorn: 1815\nCity: London"
    );
}

#[test]
fn a_vertical_block_below_a_level_heading() {
    let mut lines: Vec<Line> = (0..3)
        .map(|i| {
            let x = 200.0 - 30.0 * i as f32;
            Line {
                vertical: true,
                ..line(&format!("{i}"), x, 60.0, x + 24.0, 260.0)
            }
        })
        .collect();
    lines.push(line("heading", 100.0, 10.0, 240.0, 34.0));
    assert_eq!(assemble(lines, 1000, 1000).text, "heading\n\n0\n1\n2");
}

#[test]
fn a_gap_begins_a_paragraph() {
    let mut lines = prose('a', 0.0, 0.0, 3);
    lines.extend(prose('b', 0.0, 120.0, 2));
    let content = assemble(lines, 1000, 1000);
    assert_eq!(
        content
            .blocks
            .iter()
            .map(|b| b.lines.clone())
            .collect::<Vec<_>>(),
        [vec![0, 1, 2], vec![3, 4]]
    );
    assert_eq!(content.text.matches("\n\n").count(), 1);
}

/// Upright rectangle whose text runs up.
fn upward(text: &str, x0: f32, y0: f32, x1: f32, y1: f32) -> Line {
    Line {
        quad: Quad([
            Point::new(x0, y1),
            Point::new(x0, y0),
            Point::new(x1, y0),
            Point::new(x1, y1),
        ]),
        ..line(text, x0, y0, x1, y1)
    }
}

#[test]
fn a_stamp_in_the_margin_stands_outside_the_paragraphs() {
    let mut lines = prose('a', 60.0, 0.0, 8);
    lines.push(upward("stamp of the archive", 10.0, 20.0, 28.0, 170.0));
    let content = assemble(lines, 1000, 1000);
    let blocks: Vec<usize> = content.blocks.iter().map(|b| b.lines.len()).collect();
    assert_eq!(blocks, [8, 1], "{}", content.text);
    // Between two paragraphs, beside the first.
    let mut lines = prose('a', 60.0, 0.0, 8);
    lines.extend(prose('b', 60.0, 300.0, 8));
    lines.push(upward("label", 10.0, 60.0, 28.0, 120.0));
    lines.push(upward("second", 32.0, 60.0, 50.0, 120.0));
    assert_eq!(
        starts(lines),
        [
            wanted(&[('a', 8)]),
            vec!["label".into(), "second".into()],
            wanted(&[('b', 8)])
        ]
        .concat()
    );
}

#[test]
fn chinese_columns_of_short_lines() {
    let column = |name: &str, x: f32| -> Vec<Line> {
        (0..6)
            .map(|i| {
                let y = 26.0 * i as f32;
                line(
                    &format!("{name}{i}水务局昨日公布今年"),
                    x,
                    y,
                    x + 200.0,
                    y + 20.0,
                )
            })
            .collect()
    };
    let mut lines = column("乙", 230.0);
    lines.extend(column("甲", 0.0));
    let read: Vec<String> = assemble(lines, 1000, 1000)
        .lines
        .iter()
        .map(|l| l.text.chars().take(2).collect())
        .collect();
    let wanted: Vec<String> = ["甲", "乙"]
        .iter()
        .flat_map(|n| (0..6).map(move |i| format!("{n}{i}")))
        .collect();
    assert_eq!(read, wanted);
}

#[test]
fn a_table_of_long_cells_goes_row_by_row() {
    let articles = [
        ("Copper pipe fifteen", "Delivered in May"),
        ("Rubber seal", "Delivered on Monday, in part"),
        ("Ball bearing 6204", "Out of stock today"),
        ("Steel bracket, zinc", "Ordered"),
    ];
    let mut lines = Vec::new();
    for (i, (left, right)) in articles.into_iter().enumerate() {
        let y = 30.0 * i as f32;
        let width = |t: &str| 9.0 * t.len() as f32;
        lines.push(line(right, 260.0, y, 260.0 + width(right), y + 18.0));
        lines.push(line(left, 0.0, y + 1.0, width(left), y + 19.0));
    }
    let text = assemble(lines, 1000, 1000).text.replace("\n\n", "\n");
    let rows = articles.map(|(a, b)| format!("{a} {b}"));
    assert_eq!(text, rows.join("\n"));
}

#[test]
fn a_page_mostly_vertical_reads_its_level_rows_to_the_right() {
    let mut lines: Vec<Line> = (0..6)
        .map(|i| {
            // Columns of their own.
            let x = 800.0 - 100.0 * i as f32;
            Line {
                vertical: true,
                ..line(&format!("{i}"), x, 60.0, x + 24.0, 260.0)
            }
        })
        .collect();
    lines.push(line("page", 0.0, 400.0, 60.0, 420.0));
    lines.push(line("12", 100.0, 400.0, 130.0, 420.0));
    assert!(assemble(lines, 1000, 1000).text.ends_with("page 12"));
}

#[test]
fn a_form_is_read_by_rows_although_some_have_one_field() {
    let mut lines = Vec::new();
    for i in 0..10 {
        let y = 28.0 * i as f32;
        let (text, width) = match i {
            0 => ("MERCHANT NUMBER:", 190.0),
            _ if i % 2 == 0 => ("CARD NUMBER:", 150.0),
            _ => ("6012801822", 110.0),
        };
        lines.push(line(&format!("L{i} {text}"), 0.0, y, width, y + 22.0));
        let (text, width) = match i {
            1 | 4 | 7 | 9 => ("TERMINAL NO.", 130.0),
            2 | 5 | 8 => ("12:43:15", 100.0),
            _ => continue,
        };
        lines.push(line(
            &format!("R{i} {text}"),
            300.0,
            y - 2.0,
            300.0 + width,
            y + 20.0,
        ));
    }
    lines.reverse();
    let wanted = [
        "L0", "L1", "R1", "L2", "R2", "L3", "L4", "R4", "L5", "R5", "L6", "L7", "R7", "L8", "R8",
        "L9", "R9",
    ];
    assert_eq!(starts(lines), wanted);
}

#[test]
fn labels_of_a_diagram_between_two_columns() {
    let mut lines = prose('b', 640.0, 0.0, 7);
    lines.extend(prose('a', 0.0, 0.0, 7));
    for (i, y) in [7.0, 50.0, 93.0, 136.0].into_iter().enumerate() {
        lines.push(line(
            &format!("k{i}"),
            380.0 + 50.0 * i as f32,
            y,
            400.0 + 50.0 * i as f32,
            y + 18.0,
        ));
    }
    lines.push(line("Diagram 1", 420.0, 185.0, 520.0, 203.0));
    let read = starts(lines);
    let at = |name: &str| read.iter().position(|l| l == name).unwrap();
    assert_eq!(read[..7], wanted(&[('a', 7)]), "{read:?}");
    assert!(at("b6") - at("b0") == 6, "{read:?}");
}

#[test]
fn a_masthead_above_the_second_and_third_column_is_read_first() {
    let mut lines = prose('a', 0.0, 60.0, 6);
    lines.extend(prose('b', 340.0, 60.0, 6));
    lines.extend(prose('c', 680.0, 60.0, 6));
    lines.push(line("m0 The Harbour Gazette", 345.0, 0.0, 970.0, 44.0));
    assert_eq!(
        starts(lines),
        wanted(&[('m', 1), ('a', 6), ('b', 6), ('c', 6)])
    );
}

#[test]
fn columns_below_a_centred_caption_may_be_short() {
    let mut lines = prose('b', 340.0, 0.0, 6);
    lines.extend(prose('a', 0.0, 0.0, 6));
    lines.push(line(
        "t0 a caption in the middle",
        200.0,
        170.0,
        440.0,
        188.0,
    ));
    lines.extend(prose('d', 340.0, 220.0, 2));
    lines.extend(prose('c', 0.0, 220.0, 2));
    assert_eq!(
        starts(lines),
        wanted(&[('a', 6), ('b', 6), ('t', 1), ('c', 2), ('d', 2)])
    );
}

#[test]
fn a_pull_quote_between_columns_leaves_them_whole() {
    let mut lines = Vec::new();
    for (name, x) in [('a', 0.0), ('b', 340.0)] {
        for (i, mut l) in prose(name, x, 0.0, 10).into_iter().enumerate() {
            // The quote takes a third of each column.
            if (4..7).contains(&i) {
                let [x0, y0, x1, y1] = l.quad.bounds();
                l.quad = if name == 'a' {
                    Quad::from_rect(x0, y0, x1 - 100.0, y1)
                } else {
                    Quad::from_rect(x0 + 100.0, y0, x1, y1)
                };
            }
            lines.push(l);
        }
    }
    lines.push(line("q0 Nobody spoke above", 220.0, 100.0, 420.0, 124.0));
    lines.push(line("q1 a whisper", 220.0, 134.0, 420.0, 158.0));
    assert_eq!(starts(lines), wanted(&[('a', 10), ('b', 10), ('q', 2)]));
}

#[test]
fn a_tab_at_the_edge_cuts_no_paragraph() {
    let mut lines = prose('a', 0.0, 0.0, 8);
    lines.push(line("t0", 340.0, 72.0, 360.0, 92.0));
    assert_eq!(starts(lines), wanted(&[('a', 8), ('t', 1)]));
}

#[test]
fn rows_of_a_table_with_room_are_one_block() {
    let mut lines = Vec::new();
    for i in 0..4 {
        for (k, x) in [0.0, 150.0, 300.0].into_iter().enumerate() {
            let y = 46.0 * i as f32;
            lines.push(line(&format!("{i}.{k}"), x, y, x + 60.0, y + 18.0));
        }
    }
    assert_eq!(assemble(lines, 1000, 1000).blocks.len(), 1);
}

proptest! {
    #[test]
    fn nothing_is_lost_and_the_order_given_means_nothing(
        boxes in prop::collection::vec((0.0f32..900.0, 0.0f32..900.0, 1.0f32..400.0, 1.0f32..60.0, any::<bool>()), 0..30),
        seed in any::<u64>(),
    ) {
        let mut lines: Vec<Line> = boxes
            .iter()
            .enumerate()
            .map(|(i, &(x, y, w, h, vertical))| Line { vertical, ..line(&format!("l{i}"), x, y, x + w, y + h) })
            .collect();
        let first = assemble(lines.clone(), 1000, 1000);
        prop_assert_eq!(first.lines.len(), lines.len());
        prop_assert_eq!(first.blocks.iter().map(|b| b.lines.len()).sum::<usize>(), lines.len());
        let mut state = seed;
        for i in (1..lines.len()).rev() {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            lines.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(assemble(lines, 1000, 1000).text, first.text);
    }

    #[test]
    fn a_sideways_line_leaves_the_others_order(
        boxes in prop::collection::vec((0.0f32..900.0, 0.0f32..900.0, 60.0f32..400.0, 10.0f32..25.0), 1..25),
        at in (0.0f32..900.0, 0.0f32..900.0, 10.0f32..25.0, 20.0f32..50.0),
    ) {
        let lines: Vec<Line> = boxes
            .iter()
            .enumerate()
            .map(|(i, &(x, y, w, h))| line(&format!("l{i}"), x, y, x + w, y + h))
            .collect();
        let order = |lines: Vec<Line>| -> Vec<String> {
            assemble(lines, 1000, 1000).lines.into_iter().map(|l| l.text).filter(|t| t != "side").collect()
        };
        let (x, y, w, h) = at;
        let mut more = lines.clone();
        more.push(upward("side", x, y, x + w, y + h));
        prop_assert_eq!(order(more), order(lines));
    }

    #[test]
    fn no_quad_is_too_strange(corners in prop::collection::vec(prop::array::uniform8(any::<f32>()), 0..8)) {
        let lines: Vec<Line> = corners
            .iter()
            .map(|&[a, b, c, d, e, f, g, h]| Line {
                quad: Quad([Point::new(a, b), Point::new(c, d), Point::new(e, f), Point::new(g, h)]),
                ..line("x", 0.0, 0.0, 1.0, 1.0)
            })
            .collect();
        prop_assert_eq!(assemble(lines.clone(), 1000, 1000).lines.len(), lines.len());
    }
}
