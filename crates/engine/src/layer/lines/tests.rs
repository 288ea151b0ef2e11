use super::*;

/// A layer of strings, each at x, y with characters `advance` wide, 10 px high.
fn layer(strings: &[(&str, f32, f32, f32)]) -> TextLayer {
    let mut layer = TextLayer::default();
    for &(text, x, y, advance) in strings {
        for (i, c) in text.chars().enumerate() {
            let x = x + advance * i as f32;
            layer.glyphs.push(LayerGlyph {
                text: c.to_string(),
                quad: Quad::from_rect(x, y, x + advance, y + 10.0),
                size: 10.0,
                font: 0,
                visible: true,
            });
        }
    }
    layer
}

fn texts(layer: &TextLayer) -> Vec<String> {
    lines(layer, true).into_iter().map(|l| l.text).collect()
}

#[test]
fn words_come_from_spaces_and_from_gaps() {
    let layer = layer(&[("Hello world", 0.0, 0.0, 5.0), ("again", 58.0, 0.0, 5.0)]);
    let lines = lines(&layer, true);
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].text, "Hello world again");
    let words: Vec<&str> = lines[0].words.iter().map(|w| w.text.as_str()).collect();
    assert_eq!(words, ["Hello", "world", "again"]);
    assert_eq!(lines[0].words[1].quad.bounds(), [30.0, 0.0, 55.0, 10.0]);
}

#[test]
fn columns_and_rows_are_lines_of_their_own() {
    let layer = layer(&[
        ("left", 0.0, 0.0, 5.0),
        ("right", 40.0, 0.0, 5.0),
        ("below", 0.0, 12.0, 5.0),
    ]);
    assert_eq!(texts(&layer), ["left", "right", "below"]);
}

#[test]
fn text_drawn_twice_counts_once_and_hidden_text_not_at_all() {
    let mut layer = layer(&[("bold", 0.0, 0.0, 5.0), ("bold", 0.3, 0.0, 5.0)]);
    assert_eq!(texts(&layer), ["bold"]);
    layer.glyphs.iter_mut().for_each(|g| g.visible = false);
    assert!(texts(&layer).is_empty());
    assert_eq!(lines(&layer, false).len(), 1);
}

#[test]
fn an_index_stays_in_its_line() {
    let layer = layer(&[
        ("x", 0.0, 0.0, 5.0),
        ("2", 5.0, -3.0, 3.0),
        ("+y", 8.0, 0.0, 5.0),
    ]);
    assert_eq!(texts(&layer), ["x2+y"]);
}

#[test]
fn chinese_runs_down_and_arabic_leftwards() {
    let mut vertical = TextLayer::default();
    for (i, c) in "縦書き".chars().enumerate() {
        let y = 11.0 * i as f32;
        vertical.glyphs.push(LayerGlyph {
            text: c.to_string(),
            quad: Quad::from_rect(0.0, y, 10.0, y + 10.0),
            size: 10.0,
            font: 0,
            visible: true,
        });
    }
    let lines = lines(&vertical, true);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].vertical);
    assert_eq!(lines[0].text, "縦書き");
    // As it lies on the page, from the left.
    assert_eq!(texts(&layer(&[("ملاس", 0.0, 0.0, 5.0)])), ["سالم"]);
}

#[test]
fn turned_text_is_read_along_its_own_direction() {
    let mut turned = layer(&[("up we go", 0.0, 0.0, 5.0)]);
    for glyph in &mut turned.glyphs {
        glyph.quad = Quad(glyph.quad.0.map(|p| Point::new(p.y, 100.0 - p.x)));
    }
    assert_eq!(texts(&turned), ["up we go"]);
}

#[test]
fn radicals_become_ideographs() {
    // U+2F00, U+2FD5 and U+2ECB.
    assert_eq!(readable("⼀⿕⻋"), "一龠车");
    assert_eq!(readable("\u{2e80}"), "\u{2e80}");
}

#[test]
fn ligatures_come_apart_and_private_characters_go() {
    let mut layer = layer(&[("ab", 0.0, 0.0, 5.0)]);
    layer.glyphs[0].text = "\u{fb01}".into();
    layer.glyphs[1].text = "\u{e001}".into();
    assert_eq!(texts(&layer), ["fi"]);
}
