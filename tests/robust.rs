//! Hostile and broken files end in one line of reason: no panic, no hang, no memory without end.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use maoocr_tests::{Ended, Limits, run, samples};
use serde_json::Value;

/// Ample for an ordinary page: the address space counts mapped files and thread stacks too.
const MEMORY_KIB: u64 = 4 << 20;

fn limits(seconds: u64) -> Limits {
    Limits {
        time: Duration::from_secs(seconds),
        memory: Some(MEMORY_KIB),
    }
}

fn ended_cleanly(name: &str, ended: &Ended) -> Result<()> {
    let code = ended.status.code();
    ensure!(
        matches!(code, Some(0 | 1)),
        "{name}: {}: {}",
        ended.status,
        ended.stderr
    );
    ensure!(
        !ended.stderr.contains("panicked"),
        "{name}: {}",
        ended.stderr
    );
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut files: Vec<PathBuf> = entries.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    files.sort();
    Ok(files)
}

#[test]
fn broken_files_are_refused_with_one_line_each() -> Result<()> {
    let broken = files(&samples().join("broken"))?;
    ensure!(broken.len() >= 12, "{} broken files", broken.len());
    let mut wrong = Vec::new();
    for file in broken {
        let name = file.display().to_string();
        let ended = run(
            &["recognize", "--device", "cpu", "--tier", "tiny", &name],
            &limits(60),
        )?;
        ended_cleanly(&name, &ended)?;
        let lines: Vec<&str> = ended.stderr.lines().collect();
        let refused =
            ended.status.code() == Some(1) && matches!(lines[..], [line] if line.contains(&name));
        // A JPEG cut short may be read as far as it goes.
        let read = ended.status.success() && lines.len() <= 1 && name.contains("truncated");
        if !refused && !read {
            wrong.push(format!("{name}: {}, {lines:?}", ended.status));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

#[test]
fn one_broken_file_does_not_stop_a_batch() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (from, to) in [
        ("broken/bomb.png", "1.png"),
        ("photo.png", "2.png"),
        ("broken/empty.jpg", "3.jpg"),
    ] {
        std::fs::copy(samples().join(from), folder.path().join(to))?;
    }
    let answers = batch(folder.path(), &[], &limits(120))?;
    ensure!(answers.len() == 3, "{answers:?}");
    let read: Vec<bool> = answers.iter().map(|a| a["text"].is_string()).collect();
    ensure!(read == [false, true, false], "{answers:?}");
    ensure!(
        answers[0]["error"]["code"].is_string() && answers[0]["error"]["detail"].is_string(),
        "{answers:?}"
    );
    Ok(())
}

/// A folder's answers by file name.
fn batch(folder: &Path, more: &[&str], limits: &Limits) -> Result<Vec<Value>> {
    let out = tempfile::tempdir()?;
    let jsonl = out.path().join("answers.jsonl").display().to_string();
    let folder = folder.display().to_string();
    let mut arguments = vec![
        "batch", &folder, "--jsonl", &jsonl, "--device", "cpu", "--tier", "tiny",
    ];
    if more.first() == Some(&"--list") {
        arguments.remove(1);
    }
    arguments.extend(more);
    let ended = run(&arguments, limits);
    let written = std::fs::read_to_string(&jsonl).unwrap_or_default();
    let ended = ended.with_context(|| {
        format!(
            "after {} answers, the last: {:?}",
            written.lines().count(),
            written.lines().last()
        )
    })?;
    ended_cleanly(&folder, &ended)?;
    let mut answers: Vec<Value> = written
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    answers.sort_by_key(|a| a["file"].as_str().unwrap_or_default().to_owned());
    Ok(answers)
}

/// Hundreds of files from the test suites of image libraries, where a collection of them is at hand: the folder
/// `$MAOOCR_EVAL`, or `../shared/eval`, with a `robust.jsonl` that names them.
#[test]
fn files_that_broke_other_readers() -> Result<()> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/eval");
    let eval = std::env::var_os("MAOOCR_EVAL").map_or(beside, PathBuf::from);
    let Ok(listed) = std::fs::read_to_string(eval.join("robust.jsonl")) else {
        eprintln!("skipped: no robust.jsonl in {}", eval.display());
        return Ok(());
    };
    let eval = eval.canonicalize()?;
    let expectations: Vec<Value> = listed
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()?;
    let names: Vec<&str> = expectations
        .iter()
        .filter_map(|e| e["file"].as_str())
        .collect();
    let folder = tempfile::tempdir()?;
    let list = folder.path().join("list.txt");
    let absolute: Vec<String> = names
        .iter()
        .map(|n| eval.join(n).display().to_string())
        .collect();
    std::fs::write(&list, absolute.join("\n"))?;
    let list = list.display().to_string();
    // A second or two for each file is plenty: most are tiny or refused.
    let answers = batch(
        &eval,
        &["--list", &list],
        &limits(60 + 3 * names.len() as u64),
    )?;
    ensure!(
        answers.len() == names.len(),
        "{} answers for {} files",
        answers.len(),
        names.len()
    );
    let mut wrong = Vec::new();
    for answer in &answers {
        let file = answer["file"].as_str().unwrap_or_default();
        let expected = expectations
            .iter()
            .find(|e| e["file"].as_str().is_some_and(|f| file.ends_with(f)));
        let expected = expected
            .and_then(|e| e["expect"].as_str())
            .unwrap_or_default();
        let detail = answer["error"]["detail"].as_str();
        if answer["text"].is_string() == detail.is_some()
            || detail.is_some_and(|d| d.is_empty() || d.contains('\n'))
        {
            wrong.push(format!(
                "{file}: neither text nor one line of reason: {answer}"
            ));
        }
        if expected == "decode_ok" && detail.is_some() {
            eprintln!(
                "{file} is a valid picture, yet: {}",
                detail.unwrap_or_default()
            );
        }
        if expected == "clean_error" && detail.is_none() {
            wrong.push(format!("{file}: read, though it is no picture"));
        }
    }
    ensure!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}
