//! The command reads the sample pictures as a person does, on every executor.

use anyhow::{Context, Result, ensure};
use maoocr_tests::{Limits, run, samples};
use serde_json::Value;

/// What every device reads; small enough for a GPU in software.
const SMALL: [&str; 2] = ["photo.png", "dark.png"];

/// The text of a sample on a device; `None` when the device isn't there.
fn read(sample: &str, device: &str, tier: &str) -> Result<Option<String>> {
    let file = samples().join(sample).display().to_string();
    let ended = run(
        &["recognize", "--device", device, "--tier", tier, &file],
        &Limits::default(),
    )?;
    if !ended.status.success() && ended.stderr.contains("no such device") {
        eprintln!("skipped: {}", ended.stderr.trim());
        return Ok(None);
    }
    ensure!(
        ended.status.success(),
        "{sample} on {device}: {}: {}",
        ended.status,
        ended.stderr
    );
    Ok(Some(ended.stdout))
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
        let text = read(file, "cpu", "small")?.context("there is a CPU")?;
        if let Some(passage) = missing(&text, passages) {
            wrong.push(format!(
                "{file}: `{passage}` is not in its place in:\n{text}"
            ));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn every_device_reads_the_same() -> Result<()> {
    for sample in SMALL {
        let expected = read(sample, "cpu", "tiny")?.context("there is a CPU")?;
        for device in ["tract", "flex", "gpu:0"] {
            if let Some(text) = read(sample, device, "tiny")? {
                ensure!(
                    text == expected,
                    "{sample}: {device} read\n{text}\nwhere the CPU read\n{expected}"
                );
            }
        }
    }
    Ok(())
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
