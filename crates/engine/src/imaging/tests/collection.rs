//! All files of a collection, where there is one.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use super::*;

/// The collection in `MAOOCR_EVAL`, if there is one: its folder and the rows of one of its lists.
fn collection(list: &str) -> Option<(PathBuf, Vec<Value>)> {
    let folder = PathBuf::from(std::env::var_os("MAOOCR_EVAL")?);
    let rows = std::fs::read_to_string(folder.join(list)).unwrap();
    Some((
        folder,
        rows.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect(),
    ))
}

#[test]
fn files_of_the_collection_are_read_or_refused_as_expected() {
    let Some((folder, rows)) = collection("robust.jsonl") else {
        return;
    };
    let limits = Limits::default();
    let mut table: BTreeMap<(String, &str), usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for row in &rows {
        let (file, expect) = (
            row["file"].as_str().unwrap(),
            row["expect"].as_str().unwrap(),
        );
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let result = decode(&bytes, &limits);
        let code = result.as_ref().map_or_else(ImagingError::code, |_| "read");
        let shown = match &result {
            Ok(pages) => pages
                .iter()
                .map(|p| format!("{}×{} ", p.width, p.height))
                .collect(),
            Err(e) => e.to_string(),
        };
        if !file.ends_with(".pdf") {
            println!("{code:15} {expect:22} {file} {shown}");
        }
        *table
            .entry((format!("{} {expect}", row["kind"].as_str().unwrap()), code))
            .or_default() += 1;
        let fine = match expect {
            "decode_ok" => result.is_ok(),
            "clean_error" => result.is_err(),
            // PDF.
            "opens" => code == "unknown_format",
            _ => true,
        };
        // What the headers promise is what comes out.
        let agrees = match (&result, probe(&bytes, &limits)) {
            (Ok(pages), Ok(info)) => {
                (info.width, info.height, info.pages)
                    == (pages[0].width, pages[0].height, pages.len())
            }
            (Ok(_), Err(_)) => false,
            (Err(_), _) => true,
        };
        if !fine || !agrees || shown.contains("gave up") {
            wrong.push(format!("{file}: expected {expect}, {code}: {shown}"));
        }
    }
    for ((expect, code), count) in table {
        println!("{count:4} {expect}: {code}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pictures_of_the_collection_have_their_size() {
    let Some((folder, rows)) = collection("gt.jsonl") else {
        return;
    };
    let mut wrong = Vec::new();
    for row in &rows {
        let file = row["file"].as_str().unwrap();
        let size = [
            row["size"][0].as_u64().unwrap() as u32,
            row["size"][1].as_u64().unwrap() as u32,
        ];
        // The list has the size as stored; the page comes upright.
        let bytes = std::fs::read(folder.join(file)).unwrap();
        let reader = image::ImageReader::new(Cursor::new(&bytes))
            .with_guessed_format()
            .unwrap();
        let turn = reader.into_decoder().unwrap().orientation().unwrap();
        let size = <[u32; 2]>::from(pixels::turned(size.into(), turn));
        match decode(&bytes, &Limits::default()) {
            Ok(pages) if [pages[0].width, pages[0].height] == size => {}
            Ok(pages) => wrong.push(format!(
                "{file}: {size:?}, got {}×{}",
                pages[0].width, pages[0].height
            )),
            Err(e) => wrong.push(format!("{file}: {e}")),
        }
    }
    println!("{} pictures, {} wrong", rows.len(), wrong.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
}
