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

#[test]
fn passages_are_looked_for_in_order() {
    let passages = [Value::from("one two"), Value::from("three")];
    assert_eq!(missing("One.\none\ntwo three", &passages), None);
    assert_eq!(missing("three one two", &passages), Some("three"));
}
