//! What a batch reads: the files of a folder or a list.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::Usage;

/// A picture to read.
pub struct Entry {
    /// Its name in the answers.
    pub name: String,
    /// Relative to the common folder. It may contain bytes that are not text.
    pub path: PathBuf,
    /// Where its document goes in the folder of `--format`.
    pub out: PathBuf,
}

impl Entry {
    fn new(path: PathBuf) -> Self {
        Self {
            name: path.to_string_lossy().into_owned(),
            path,
            out: PathBuf::new(),
        }
    }
}

/// The extensions searched for in a folder; a file's format is told by its content.
pub const EXTENSIONS: [&str; 16] = [
    "jpg", "jpeg", "jpe", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "pnm", "pbm", "pgm",
    "ppm", "pam", "pdf",
];

/// Finds the pictures beneath a folder, sorted and relative to it, and counts the subfolders that can't be read. Does not
/// follow links to folders.
pub fn find(folder: &Path) -> Result<(Vec<Entry>, usize)> {
    if !folder.is_dir() {
        let shown = folder.display();
        bail!(Usage(match folder.exists() {
            true => format!(
                "{shown} is a file, and batch reads a folder: read it with `maoocr recognize {shown}`, or give --list if it lists files"
            ),
            false => format!("there is no folder {shown}"),
        }));
    }
    let mut found = Vec::new();
    let mut hidden = 0;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        let listed = std::fs::read_dir(&next).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    folders.push(path);
                } else if let Some(extension) = path.extension().and_then(|e| e.to_str())
                    && EXTENSIONS.contains(&extension.to_lowercase().as_str())
                    && let Ok(relative) = path.strip_prefix(folder)
                {
                    found.push(Entry::new(relative.to_path_buf()));
                }
            }
            Ok(())
        });
        match listed.with_context(|| next.display().to_string()) {
            Err(error) if next == folder => return Err(error),
            Err(error) => {
                crate::print_error(&error);
                hidden += 1;
            }
            Ok(()) => {}
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok((found, hidden))
}

/// Pictures and PDFs of a folder, not below it, in the order in which people count: 2 before 10.
pub fn documents(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| folder.display().to_string())?.path();
        let extension = path.extension().and_then(|e| e.to_str());
        if path.is_file()
            && extension.is_some_and(|e| EXTENSIONS.contains(&e.to_lowercase().as_str()))
        {
            found.push(path);
        }
    }
    found.sort_by_cached_key(|path| counted(&path.to_string_lossy()));
    Ok(found)
}

/// A name in parts that sort as people count: text, and numbers by their length first.
fn counted(name: &str) -> Vec<(usize, String)> {
    let mut parts: Vec<(usize, String)> = Vec::new();
    let mut number = false;
    for c in name.chars() {
        let digit = c.is_ascii_digit();
        match parts.last_mut() {
            Some((_, part)) if digit == number => part.push(c),
            _ => parts.push((0, c.into())),
        }
        number = digit;
    }
    for (length, part) in &mut parts {
        if part.starts_with(|c: char| c.is_ascii_digit()) {
            let bare = part.trim_start_matches('0').to_string();
            (*length, *part) = (bare.len() + 1, bare);
        }
    }
    parts
}

pub fn read_list(list: &Path) -> Result<Vec<Entry>> {
    let bytes = std::fs::read(list).with_context(|| list.display().to_string())?;
    let names = bytes
        .split(|b| *b == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|l| !l.is_empty() && !l.starts_with(b"#"));
    Ok(names.map(|n| Entry::new(path_of(n))).collect())
}

#[cfg(unix)]
fn path_of(name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    std::ffi::OsStr::from_bytes(name).into()
}

#[cfg(not(unix))]
fn path_of(name: &[u8]) -> PathBuf {
    String::from_utf8_lossy(name).into_owned().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_sorted_as_people_count() {
        let mut names = ["p10.png", "p2.png", "p02b.png", "a.png", "p2-3.png"];
        names.sort_by_cached_key(|n| counted(n));
        assert_eq!(
            names,
            ["a.png", "p2-3.png", "p2.png", "p02b.png", "p10.png"]
        );
    }
}
