//! The command reads the sample pictures as a person does, on every executor.

use anyhow::{Context, Result, ensure};
use maoocr_tests::{Limits, run, samples};
use serde_json::Value;

/// The text of a sample on a device.
fn read(sample: &str, device: &str, tier: &str) -> Result<String> {
    let file = samples().join(sample).display().to_string();
    let ended = run(
        &["recognize", "--device", device, "--tier", tier, &file],
        &Limits::default(),
    )?;
    ensure!(
        ended.status.success(),
        "{sample} on {device}: {}: {}",
        ended.status,
        ended.stderr
    );
    Ok(ended.stdout)
}

/// Without white space, which is a matter of layout, and with one form of the signs that come in two widths.
fn normalised(text: &str) -> String {
    let narrow = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c),
        '’' | '‘' => '\'',
        '“' | '”' => '"',
        c => c,
    };
    text.chars()
        .filter(|c| !c.is_whitespace())
        .map(narrow)
        .collect()
}

/// Looks for each passage after the one before: the reading order counts too.
fn missing<'a>(text: &str, passages: &'a [Value]) -> Option<&'a str> {
    let text = normalised(text);
    let mut from = 0;
    for passage in passages.iter().filter_map(Value::as_str) {
        let wanted = normalised(passage);
        match text[from..].find(&wanted) {
            Some(at) => from += at + wanted.len(),
            None => return Some(passage),
        }
    }
    None
}

#[test]
fn samples_read_as_by_a_person() -> Result<()> {
    let golden = std::fs::read_to_string(samples().join("golden.jsonl"))?;
    let mut wrong = Vec::new();
    for line in golden.lines() {
        let expected: Value = serde_json::from_str(line)?;
        let file = expected["file"].as_str().context("file")?;
        let passages = expected["passages"].as_array().context("passages")?;
        let text = read(file, "cpu", "small")?;
        if let Some(passage) = missing(&text, passages) {
            wrong.push(format!(
                "{file}: `{passage}` is not in its place in:\n{text}"
            ));
        }
        // What else the picture says, in characters.
        let others = expected["others"].as_u64().context("others")? as usize;
        let length = |text: &str| normalised(text).chars().count();
        let passages = passages.iter().filter_map(Value::as_str);
        let wanted = passages.map(length).sum::<usize>() + others;
        if length(&text) > wanted + wanted / 50 + 1 {
            wrong.push(format!(
                "{file}: {} characters instead of {wanted} were made of:\n{text}",
                length(&text)
            ));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// What the larger models read on every device too, which takes a GPU in software long.
const ALSO_SMALL: &str = "photo.png";

/// All samples on one device, character for character as the CPU reads them.
fn reads_as_the_cpu(device: &str) -> Result<()> {
    let golden = std::fs::read_to_string(samples().join("golden.jsonl"))?;
    let mut wrong = Vec::new();
    let mut compare = |sample: &str, tier: &str| -> Result<()> {
        let (expected, text) = (read(sample, "cpu", tier)?, read(sample, device, tier)?);
        if text != expected {
            wrong.push(format!(
                "{sample}, {tier}: {device} read\n{text}\nwhere the CPU read\n{expected}"
            ));
        }
        Ok(())
    };
    for line in golden.lines() {
        let line: Value = serde_json::from_str(line)?;
        compare(line["file"].as_str().context("file")?, "tiny")?;
    }
    compare(ALSO_SMALL, "small")?;
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn tract_reads_as_the_cpu() -> Result<()> {
    reads_as_the_cpu("tract")
}

#[test]
fn flex_reads_as_the_cpu() -> Result<()> {
    reads_as_the_cpu("flex")
}

/// The adapter with the number 0: a GPU, or where there is none the software one that `cargo xtask setup` installs.
#[test]
fn the_gpu_reads_as_the_cpu() -> Result<()> {
    reads_as_the_cpu("gpu:0")
}

#[test]
fn json_has_the_fields_that_clients_read() -> Result<()> {
    let file = samples().join("photo.png").display().to_string();
    let ended = run(
        &[
            "recognize",
            "--json",
            "--device",
            "cpu",
            "--tier",
            "tiny",
            &file,
        ],
        &Limits::default(),
    )?;
    let answer: Value = serde_json::from_str(&ended.stdout)?;
    for field in [
        "text",
        "confidence",
        "processing_time",
        "selected_models",
        "width",
        "height",
        "lines",
        "plan",
    ] {
        ensure!(!answer[field].is_null(), "no `{field}` in {answer}");
    }
    let lines = answer["lines"].as_array().context("lines")?;
    ensure!(
        lines
            .iter()
            .all(|l| l["box"].as_array().is_some_and(|b| b.len() == 4)),
        "boxes of four corners"
    );
    Ok(())
}

/// The answer for a picture as JSON.
fn answer(file: &std::path::Path, more: &[&str]) -> Result<Value> {
    let file = file.display().to_string();
    let mut arguments = vec!["recognize", "--json", "--device", "cpu"];
    arguments.extend(more);
    arguments.push(&file);
    let ended = run(&arguments, &Limits::default())?;
    ensure!(ended.status.success(), "{file}: {}", ended.stderr);
    Ok(serde_json::from_str(&ended.stdout)?)
}

type Corners = [[f64; 2]; 4];

fn corners(of: &Value) -> Result<Corners> {
    Ok(serde_json::from_value(of["box"].clone())?)
}

/// The smallest upright rectangle around a box: left, top, right, bottom.
fn bounds(of: &Corners) -> [f64; 4] {
    let at = |axis: usize, pick: fn(f64, f64) -> f64| of.iter().map(|p| p[axis]).reduce(pick);
    [
        at(0, f64::min),
        at(1, f64::min),
        at(0, f64::max),
        at(1, f64::max),
    ]
    .map(Option::unwrap_or_default)
}

/// How far a corner of `inner` is outside the box `outer`, px.
fn outside(inner: &Corners, outer: &Corners) -> f64 {
    let mut most = 0.0f64;
    for [x, y] in inner {
        for i in 0..4 {
            let ([ax, ay], [bx, by]) = (outer[i], outer[(i + 1) % 4]);
            let side = (bx - ax) * (y - ay) - (by - ay) * (x - ax);
            most = most.max(-side / (bx - ax).hypot(by - ay).max(1e-6));
        }
    }
    most
}

/// Words of `dark.png` and where their first and last columns of ink are, px from its left edge.
const INKED: [(&str, f64, f64); 5] = [
    ("cargo", 57.0, 131.0),
    ("build", 151.0, 224.0),
    ("v1.0.219", 322.0, 444.0),
    ("Compiling", 73.0, 208.0),
    ("unused", 167.0, 255.0),
];

#[test]
fn words_stand_in_their_lines_and_where_their_ink_is() -> Result<()> {
    for tier in ["tiny", "small"] {
        for sample in ["dark.png", "receipt.jpg", "rotated.jpg", "vertical.jpg"] {
            let answer = answer(&samples().join(sample), &["--tier", tier])?;
            for line in answer["lines"].as_array().context("lines")? {
                let whole = corners(line)?;
                for word in line["words"].as_array().context("words")? {
                    // Corners are rounded to a tenth.
                    let out = outside(&corners(word)?, &whole);
                    ensure!(
                        out < 0.3,
                        "{sample}, {tier}: {word} is {out} px out of {line}"
                    );
                }
            }
            if sample != "dark.png" {
                continue;
            }
            let lines = answer["lines"].as_array().context("lines")?;
            let words: Vec<&Value> = lines
                .iter()
                .flat_map(|l| l["words"].as_array().into_iter().flatten())
                .collect();
            for (text, left, right) in INKED {
                let word = words.iter().find(|w| w["text"] == text);
                let word = word.with_context(|| format!("no `{text}`, {tier}"))?;
                let [x0, _, x1, _] = bounds(&corners(word)?);
                // Half a character, which is 13 px wide.
                let near = (x0 - left).abs() < 8.0 && (x1 - right).abs() < 14.0;
                ensure!(
                    near,
                    "`{text}` is from {left} to {right}, not {x0} to {x1}, {tier}"
                );
            }
        }
    }
    Ok(())
}

#[test]
fn a_turned_picture_says_the_same_and_its_boxes_are_turned() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let picture = image::open(samples().join("receipt.jpg"))?.to_rgb8();
    let height = f64::from(picture.height());
    let files = [folder.path().join("0.png"), folder.path().join("90.png")];
    picture.save(&files[0])?;
    image::imageops::rotate90(&picture).save(&files[1])?;
    let [upright, turned] = [answer(&files[0], &[])?, answer(&files[1], &[])?];
    ensure!(turned["turn"] != upright["turn"], "{}", turned["turn"]);
    let lines = |answer: &Value| answer["lines"].as_array().cloned().unwrap_or_default();
    ensure!(!lines(&upright).is_empty(), "nothing was read");
    let mut lost = Vec::new();
    for line in lines(&upright) {
        let [x0, y0, x1, y1] = bounds(&corners(&line)?);
        let wanted = [height - y1, x0, height - y0, x1];
        let mut found = false;
        for other in lines(&turned) {
            let pairs = bounds(&corners(&other)?).into_iter().zip(wanted);
            found |= other["text"] == line["text"]
                && pairs.into_iter().all(|(a, b)| (a - b).abs() < 6.0);
        }
        if !found {
            lost.push(format!("{} at {wanted:?}", line["text"]));
        }
    }
    ensure!(lost.is_empty(), "not on the turned page: {lost:?}");
    Ok(())
}

#[test]
fn the_number_of_threads_changes_nothing() -> Result<()> {
    let file = samples().join("receipt.jpg");
    let [one, three] = ["1", "3"].map(|n| answer(&file, &["--tier", "tiny", "--threads", n]));
    let (one, three) = (one?, three?);
    for field in ["text", "lines", "blocks", "confidence"] {
        ensure!(one[field] == three[field], "{field}: {one} and {three}");
    }
    Ok(())
}

#[test]
fn passages_are_looked_for_in_order() {
    let passages = [Value::from("one two"), Value::from("three")];
    assert_eq!(missing("One.\none\ntwo three", &passages), None);
    assert_eq!(missing("three one two", &passages), Some("three"));
}
