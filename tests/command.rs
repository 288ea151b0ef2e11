//! The command's promises to scripts: exit codes, and a batch that goes on where it stopped.

use std::fs;
use std::path::Path;

use anyhow::{Result, ensure};
use maoocr_tests::{Ended, Limits, run, samples};
use serde_json::Value;

fn command(arguments: &[&str]) -> Result<Ended> {
    run(arguments, &Limits::default())
}

fn sample(name: &str) -> String {
    samples().join(name).display().to_string()
}

#[test]
fn exit_codes_tell_what_is_wrong() -> Result<()> {
    let (photo, broken) = (sample("photo.png"), sample("broken/bad-crc.png"));
    let empty = tempfile::tempdir()?;
    let empty = empty.path().display().to_string();
    for (arguments, code) in [
        (vec!["recognize", &photo, "--tier", "tiny"], 0),
        (
            vec!["recognize", &photo, "--tier", "tiny", "--language", "en-AU"],
            0,
        ),
        (vec!["recognize", &broken, "--tier", "tiny"], 1),
        (vec!["recognize", &photo, "--device", "toaster"], 2),
        (vec!["recognize", &photo, "--language", "klingon"], 2),
        (vec!["recognize", &photo, &photo, "--overlay", "out.png"], 2),
        // Tiny has no kana: it would read something else in silence.
        (
            vec!["recognize", &photo, "--tier", "tiny", "--language", "ja"],
            2,
        ),
        (vec!["models", "pull", "nothing"], 2),
        (vec!["recognize", &photo, "--models", &empty], 3),
        (
            vec!["recognize", &photo, "--tier", "medium", "--models", &empty],
            3,
        ),
        (vec!["recognize", &photo, "--device", "gpu:99"], 3),
        (vec!["bench", &photo, "--device", "gpu:99"], 3),
    ] {
        let ended = command(&arguments)?;
        ensure!(
            ended.status.code() == Some(code),
            "{arguments:?}: {}, {}",
            ended.status,
            ended.stderr
        );
    }
    Ok(())
}

#[test]
fn output_that_cannot_be_is_refused_before_anything_is_read() -> Result<()> {
    let (photo, dark) = (sample("photo.png"), sample("dark.png"));
    let folder = tempfile::tempdir()?;
    let out = |name: &str| folder.path().join(name).display().to_string();
    // Without models, which are looked for afterwards.
    let empty = out("");
    for (arguments, code, reason) in [
        (vec!["pdf", &photo, &dark, "-o", &out("a.pdf")], 2, "folder"),
        (vec!["pdf", &photo, "-o", &out("a.docx")], 2, "docx"),
        (
            vec!["pdf", &photo, "-o", &out("none/a.pdf")],
            2,
            "there is no folder",
        ),
        (
            vec!["recognize", &photo, "-o", &out("a.md"), "--format", "pdf"],
            2,
            "the name says md",
        ),
        (vec!["recognize", &photo, "--format", "pdf"], 2, "-o"),
    ] {
        let ended = command(&[&arguments[..], &["--models", &empty]].concat())?;
        ensure!(
            ended.status.code() == Some(code) && ended.stderr.contains(reason),
            "{arguments:?}: {}, {}",
            ended.status,
            ended.stderr
        );
    }
    ensure!(fs::read_dir(folder.path())?.next().is_none());
    Ok(())
}

#[test]
fn no_document_is_written_over_one_that_is_read_later() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let [first, second] = ["one", "two"].map(|name| folder.path().join(name));
    for (at, picture) in [(&first, "photo.png"), (&second, "dark.png")] {
        fs::create_dir(at)?;
        fs::copy(sample(picture), at.join("page.png"))?;
    }
    // The first one's result would be a page of the second.
    fs::copy(sample("dark.png"), second.join("page.pdf"))?;
    let before = fs::read(second.join("page.pdf"))?;
    let from = first.join("page.png").display().to_string();
    let to = second.display().to_string();
    for arguments in [
        vec!["pdf", &from, &to, "-o", &to],
        vec!["recognize", &from, &to, "--format", "pdf", "-o", &to],
    ] {
        let ended = command(&arguments)?;
        ensure!(
            ended.status.code() == Some(2) && ended.stderr.contains("would be overwritten"),
            "{arguments:?}: {}, {}",
            ended.status,
            ended.stderr
        );
        ensure!(fs::read(second.join("page.pdf"))? == before);
    }
    Ok(())
}

#[test]
fn documents_of_one_name_become_two_files() -> Result<()> {
    let (folder, out) = (tempfile::tempdir()?, tempfile::tempdir()?);
    fs::copy(sample("photo.png"), folder.path().join("page.v1.png"))?;
    fs::copy(sample("chinese.jpg"), folder.path().join("page.v1.jpg"))?;
    let (from, to) = (
        folder.path().display().to_string(),
        out.path().display().to_string(),
    );
    let jsonl = out.path().join("answers.jsonl").display().to_string();
    let ended = command(&[
        "batch", &from, "--jsonl", &jsonl, "--format", "pdf", "-o", &to, "--tier", "tiny",
    ])?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    for name in ["page.v1.png.pdf", "page.v1.jpg.pdf"] {
        ensure!(
            fs::read(out.path().join(name))?.starts_with(b"%PDF"),
            "{name}"
        );
    }
    Ok(())
}

/// A PDF whose pages say which of how many they are.
fn pdf(pages: usize) -> Vec<u8> {
    let kids: Vec<String> = (0..pages)
        .map(|page| format!("{} 0 R", 3 + 2 * page))
        .collect();
    let mut objects = vec![
        "<</Type/Catalog/Pages 2 0 R>>".to_owned(),
        format!(
            "<</Type/Pages/Count {pages}/Kids[{}]/MediaBox[0 0 300 100]\
             /Resources<</Font<</F1<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>>>",
            kids.join(" ")
        ),
    ];
    for page in 1..=pages {
        let content = format!("BT /F1 18 Tf 20 40 Td (Page {page} of {pages}) Tj ET");
        let contents = 2 + 2 * page;
        objects.push(format!(
            "<</Type/Page/Parent 2 0 R/Contents {contents} 0 R>>"
        ));
        let length = content.len();
        objects.push(format!(
            "<</Length {length}>>\nstream\n{content}\nendstream"
        ));
    }
    let mut file = String::from("%PDF-1.7\n");
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (index, object) in objects.iter().enumerate() {
        table += &format!("{:010} 00000 n \n", file.len());
        file += &format!("{} 0 obj\n{object}\nendobj\n", index + 1);
    }
    let (size, place) = (objects.len() + 1, file.len());
    file += &format!("{table}trailer\n<</Size {size}/Root 1 0 R>>\nstartxref\n{place}\n%%EOF\n");
    file.into_bytes()
}

/// Reads files by their own text, so that nothing has to be recognised.
fn layers(arguments: &[&str]) -> Result<Ended> {
    command(&[arguments, &["--text-layer", "always", "--tier", "tiny"]].concat())
}

#[test]
fn each_page_has_a_file_of_its_own() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (long, short, out) = (at("a.pdf"), at("a-2.pdf"), at("out/"));
    fs::write(&long, pdf(2))?;
    fs::write(&short, pdf(1))?;
    let ended = layers(&["recognize", &long, &short, "--format", "page", "-o", &out])?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    for (file, text) in [
        ("out/a.xml", "Page 1 of 2"),
        ("out/a-2.xml", "Page 2 of 2"),
        ("out/a-2.pdf.xml", "Page 1 of 1"),
    ] {
        ensure!(fs::read_to_string(at(file))?.contains(text), "{file}");
    }
    // One page has the name that was asked for.
    let one = at("one.xml");
    let ended = layers(&[
        "recognize",
        &long,
        "--format",
        "page",
        "--pages",
        "2",
        "-o",
        &one,
    ])?;
    ensure!(ended.stderr.contains("one.xml: 1 page"), "{}", ended.stderr);
    ensure!(fs::read_to_string(&one)?.contains("Page 2 of 2"));
    Ok(())
}

#[test]
fn pages_that_are_chosen_count_and_those_that_are_not_there_are_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (file, out) = (at("a.pdf"), at("a.txt"));
    fs::write(&file, pdf(3))?;
    for (pages, code, text, reason) in [
        (
            &["--pages", "2,9"][..],
            1,
            "Page 2 of 3\n",
            "--pages names 9",
        ),
        (
            &["--pages", "3-", "--max-pages", "1"],
            0,
            "Page 3 of 3\n",
            "a.txt: 1 page",
        ),
        (
            &["--pages", "2-", "--max-pages", "1"],
            1,
            "",
            "more than 1 pages",
        ),
        (&["--max-pages", "2"], 1, "", "more than 2 pages"),
        (&["--pages", "3-1"], 2, "", "write 1-3"),
    ] {
        let _ = fs::remove_file(&out);
        let ended = layers(&[&["recognize", &file, "-o", &out], pages].concat())?;
        ensure!(
            ended.status.code() == Some(code) && ended.stderr.contains(reason),
            "{pages:?}: {}, {}",
            ended.status,
            ended.stderr
        );
        ensure!(
            fs::read_to_string(&out).unwrap_or_default() == text,
            "{pages:?}"
        );
    }
    let made = at("b.pdf");
    let ended = layers(&["pdf", &file, "-o", &made, "--pages", "2"])?;
    ensure!(
        ended
            .stderr
            .contains("3 pages, 1 had good text already, 2 kept as they were"),
        "{}",
        ended.stderr
    );
    let ended = layers(&["recognize", &file, "-o", &out, "--quiet"])?;
    ensure!(ended.stderr.is_empty(), "{}", ended.stderr);
    Ok(())
}

#[test]
#[cfg(unix)]
fn a_full_disk_leaves_what_was_there() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (file, out) = (folder.path().join("a.pdf"), folder.path().join("a.txt"));
    fs::write(&file, pdf(1))?;
    fs::write(&out, "before")?;
    // No file may grow, which is as if the disk were full.
    let ended = std::process::Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""])
        .arg(maoocr_tests::binary()?)
        .arg("recognize")
        .args([&file, Path::new("-o"), &out])
        .args(["--text-layer", "always", "--tier", "tiny"])
        .output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(
        ended.status.code() == Some(1) && said.contains("writing"),
        "{}, {said}",
        ended.status
    );
    ensure!(fs::read(&out)? == b"before");
    ensure!(fs::read_dir(folder.path())?.count() == 2);
    Ok(())
}

#[test]
fn what_cannot_be_read_says_what_to_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (text, jsonl) = (at("a.txt"), at("a.jsonl"));
    fs::write(&text, "hello")?;
    for (arguments, reason) in [
        (vec!["recognize", "-", "--tier", "tiny"], "nothing came in"),
        (vec!["recognize", &text, "--tier", "tiny"], "give a PDF"),
        (vec!["batch", &text, "--jsonl", &jsonl], "maoocr recognize"),
        (
            vec!["batch", "nowhere", "--jsonl", &jsonl],
            "there is no folder",
        ),
    ] {
        let ended = command(&arguments)?;
        ensure!(
            !ended.status.success() && ended.stderr.contains(reason),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
    Ok(())
}

/// The pictures that an answer file speaks of, and how a batch into it ended.
fn batch(folder: &Path, jsonl: &Path) -> Result<(Vec<String>, Ended)> {
    let (folder, out) = (folder.display().to_string(), jsonl.display().to_string());
    let ended = command(&[
        "batch", &folder, "--jsonl", &out, "--tier", "tiny", "--device", "cpu",
    ])?;
    let answers = fs::read_to_string(jsonl)?;
    let files = answers.lines().map(|line| {
        let answer: Value = serde_json::from_str(line)?;
        Ok(answer["file"].as_str().unwrap_or_default().to_owned())
    });
    Ok((files.collect::<Result<_>>()?, ended))
}

#[test]
fn a_batch_goes_on_where_it_stopped() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = tempfile::tempdir()?;
    let jsonl = out.path().join("answers.jsonl");
    for (from, to) in [
        ("photo.png", "一.png"),
        ("dark.png", "二.png"),
        ("broken/bad-crc.png", "三.png"),
    ] {
        fs::copy(samples().join(from), folder.path().join(to))?;
    }
    let (mut files, ended) = batch(folder.path(), &jsonl)?;
    files.sort();
    ensure!(files == ["一.png", "三.png", "二.png"], "{files:?}");
    ensure!(ended.status.code() == Some(1), "{}", ended.stderr);

    // Nothing is read again, and what failed still has.
    let before = fs::read(&jsonl)?;
    let (_, ended) = batch(folder.path(), &jsonl)?;
    ensure!(ended.status.code() == Some(1), "{}", ended.stderr);
    ensure!(fs::read(&jsonl)? == before, "{}", ended.stderr);

    // Unless that is asked for.
    let arguments = [
        "batch",
        &folder.path().display().to_string(),
        "--jsonl",
        &jsonl.display().to_string(),
        "--tier",
        "tiny",
        "--retry-failed",
    ];
    fs::copy(samples().join("photo.png"), folder.path().join("三.png"))?;
    let ended = command(&arguments)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    ensure!(fs::read(&jsonl)?.starts_with(&before));

    // A crash cut the last line off, in the middle of a character.
    fs::copy(
        samples().join("broken/bad-crc.png"),
        folder.path().join("三.png"),
    )?;
    let first = before.iter().position(|b| *b == b'\n').unwrap_or(0) + 1;
    let name = before[first..].iter().position(|b| *b > 127).unwrap_or(0);
    fs::write(&jsonl, &before[..first + name + 1])?;
    let (mut files, ended) = batch(folder.path(), &jsonl)?;
    files.sort();
    ensure!(
        files == ["一.png", "三.png", "二.png"],
        "{files:?}: {}",
        ended.stderr
    );

    // A file that wasn't there is looked for again.
    let list = out.path().join("list.txt");
    fs::copy(samples().join("photo.png"), out.path().join("there.png"))?;
    fs::write(&list, "there.png\nlate.png\n")?;
    let listed = out.path().join("listed.jsonl").display().to_string();
    let list = list.display().to_string();
    let arguments = [
        "batch", "--list", &list, "--jsonl", &listed, "--tier", "tiny", "--device", "cpu",
    ];
    ensure!(command(&arguments)?.status.code() == Some(1));
    fs::copy(samples().join("dark.png"), out.path().join("late.png"))?;
    let ended = command(&arguments)?;
    ensure!(ended.status.success(), "{}", ended.stderr);
    let last: Value = serde_json::from_str(
        fs::read_to_string(&listed)?
            .lines()
            .last()
            .unwrap_or_default(),
    )?;
    ensure!(
        last["file"] == "late.png" && last["text"].is_string(),
        "{last}"
    );
    Ok(())
}

#[test]
fn parts_of_a_batch_are_the_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = tempfile::tempdir()?;
    for number in 0..8 {
        let to = folder.path().join(format!("{number}.png"));
        fs::copy(samples().join("broken/zeros.png"), to)?;
    }
    let from = folder.path().display().to_string();
    let mut files = Vec::new();
    for part in ["0/3", "1/3", "2/3"] {
        let jsonl = out.path().join(part.replace('/', "-"));
        let to = jsonl.display().to_string();
        let arguments = [
            "batch", &from, "--shard", part, "--jsonl", &to, "--tier", "tiny",
        ];
        // None of the files is a picture: that is in the output, and an error only where nobody allows it.
        let ended = command(&arguments)?;
        ensure!(ended.status.code() == Some(1), "{part}: {}", ended.stderr);
        let ended = command(&[&arguments[..], &["--allow-failures"]].concat())?;
        ensure!(ended.status.success(), "{part}: {}", ended.stderr);
        for line in fs::read_to_string(&jsonl)?.lines() {
            let answer: Value = serde_json::from_str(line)?;
            files.push(answer["file"].as_str().unwrap_or_default().to_owned());
        }
    }
    files.sort();
    let all: Vec<String> = (0..8).map(|number| format!("{number}.png")).collect();
    ensure!(files == all, "{files:?}");
    let ended = command(&["batch", &from, "--shard", "3/3", "--jsonl", "never"])?;
    ensure!(ended.status.code() == Some(2), "{}", ended.stderr);
    Ok(())
}

#[test]
#[cfg(unix)]
fn two_batches_do_not_write_into_one_file() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let out = tempfile::tempdir()?;
    let jsonl = out.path().join("answers.jsonl");
    fs::copy(samples().join("photo.png"), folder.path().join("photo.png"))?;
    let held = fs::File::create(&jsonl)?;
    held.lock()?;
    let (_, ended) = batch(folder.path(), &jsonl)?;
    ensure!(
        ended.status.code() == Some(1) && ended.stderr.contains("another batch"),
        "{}",
        ended.stderr
    );
    Ok(())
}
