//! Where results go: names of files, and what can't be written, said before anything is read.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Error, Result, bail};

use crate::Usage;
use crate::output::FormatName;

/// Where the documents of a command go.
pub enum Place {
    /// Standard output.
    Screen,
    /// The only document.
    File(PathBuf),
    /// A file for each, by its source.
    Folder(HashMap<PathBuf, PathBuf>),
}

impl Place {
    /// What `-o` says: `-`, a file, or a folder. Folders are made, and files tried.
    pub fn of(output: Option<&Path>, sources: &[PathBuf], format: FormatName) -> Result<Self> {
        let output = match output {
            None if format.is_text() => return Ok(Self::Screen),
            None => bail!(Usage(format!(
                "--format {} isn't text: name a file with -o",
                format.extension()
            ))),
            Some(output) if output == Path::new("-") => {
                if sources.len() > 1 && !format.is_text() {
                    bail!(Usage(format!(
                        "-o - takes one {} file: name a folder for several",
                        format.extension()
                    )));
                }
                return Ok(Self::Screen);
            }
            Some(output) => output,
        };
        let shown = output.display();
        let slash = output.as_os_str().to_string_lossy();
        let folder = output.is_dir() || slash.ends_with(std::path::is_separator);
        if sources.len() < 2 && !folder {
            agree(output, format)?;
            writable(output)?;
            return Ok(Self::File(output.to_path_buf()));
        }
        if !output.is_dir() {
            if FormatName::of_file(output).is_some() || output.exists() {
                bail!(Usage(format!(
                    "{shown} is one file, but there are {} documents: name a folder with -o, or put the pictures of one document in a folder and name that instead",
                    sources.len()
                )));
            }
            std::fs::create_dir_all(output)
                .with_context(|| format!("making the folder {shown}"))?;
        }
        let mut sources = sources.to_vec();
        let mut seen = HashSet::new();
        sources.retain(|source| seen.insert(source.clone()));
        let names: Vec<PathBuf> = sources.iter().map(|source| name(source)).collect();
        let files = names_of(&names, format.extension());
        let files: Vec<PathBuf> = files.into_iter().map(|name| output.join(name)).collect();
        if let Some(first) = files.first() {
            writable(first)?;
        }
        Ok(Self::Folder(sources.into_iter().zip(files).collect()))
    }

    /// The file for a source; none for standard output.
    pub fn file(&self, source: &Path) -> Option<PathBuf> {
        match self {
            Self::Screen => None,
            Self::File(file) => Some(file.clone()),
            Self::Folder(files) => files.get(source).cloned(),
        }
    }
}

/// A source's own name: of a folder such as `.`, too.
fn name(source: &Path) -> PathBuf {
    if source == Path::new("-") {
        return "stdin".into();
    }
    let whole = match source.file_name() {
        Some(_) => source.to_path_buf(),
        None => source.canonicalize().unwrap_or_default(),
    };
    let mut name = whole.file_name().unwrap_or("pages".as_ref()).to_os_string();
    if source.is_dir() {
        // What looks like an extension is part of a folder's name.
        name.push(".");
    }
    name.into()
}

/// Names of the files that sources become: theirs, with another extension. Where several would get the same, they keep
/// the extension they have, and those after the first get a number where that isn't enough.
pub fn names_of(sources: &[PathBuf], extension: &str) -> Vec<PathBuf> {
    let with = |name: &Path, more: &str| {
        let mut name = name.as_os_str().to_os_string();
        if name.as_encoded_bytes().ends_with(b".") {
            let bare = name.to_string_lossy().trim_end_matches('.').to_owned();
            name = bare.into();
        }
        name.push(more);
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    };
    // Some file systems don't tell case apart.
    let key = |path: &Path| path.to_string_lossy().to_lowercase();
    let sources: Vec<PathBuf> = sources.iter().map(|source| inside(source)).collect();
    let mut count: HashMap<String, usize> = HashMap::new();
    for source in &sources {
        *count
            .entry(key(&with(&source.with_extension(""), "")))
            .or_default() += 1;
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    sources
        .iter()
        .map(|source| {
            let mut name = with(&source.with_extension(""), "");
            if count[&key(&name)] > 1 {
                name = with(source, "");
            }
            let mut number = 1;
            while taken.contains_key(&key(&name)) {
                number += 1;
                name = with(source, &format!("-{number}"));
            }
            taken.insert(key(&name), number);
            name
        })
        .collect()
}

/// A path that stays in the folder it is joined to.
fn inside(path: &Path) -> PathBuf {
    let parts = path.components();
    parts
        .filter(|part| matches!(part, Component::Normal(_)))
        .collect()
}

/// Refuses a file whose name promises another kind of file.
fn agree(output: &Path, format: FormatName) -> Result<()> {
    let extension = output.extension().and_then(|e| e.to_str());
    let Some(extension) = extension.map(str::to_lowercase) else {
        return Ok(());
    };
    let others = ["docx", "xlsx"].contains(&extension.as_str())
        || crate::batch::EXTENSIONS.contains(&extension.as_str());
    let other = FormatName::of_file(output).is_some_and(|named| named != format);
    if (others && extension != format.extension()) || (other && !format.is_text()) {
        bail!(Usage(format!(
            "{}: the format is {}, but the name says {extension}; change one of them",
            output.display(),
            format.extension()
        )));
    }
    Ok(())
}

fn part(file: &Path) -> PathBuf {
    let mut part = OsString::from(file);
    part.push(".part");
    part.into()
}

/// Whether it is a pipe or a device: nothing to put another file in place of.
fn special(file: &Path) -> bool {
    std::fs::metadata(file).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

/// Refuses a file that can't be written. Nobody should learn it after an hour of reading.
fn writable(file: &Path) -> Result<()> {
    if special(file) {
        return Ok(());
    }
    let part = part(file);
    let there = part.exists();
    let tried = std::fs::File::options()
        .append(true)
        .create(true)
        .open(&part)
        .and_then(|_| {
            if there {
                Ok(())
            } else {
                std::fs::remove_file(&part)
            }
        })
        .and_then(|()| match std::fs::metadata(file) {
            Ok(metadata) if metadata.permissions().readonly() => {
                Err(std::io::ErrorKind::PermissionDenied.into())
            }
            _ => Ok(()),
        });
    tried.map_err(|error| {
        let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
        match folder.filter(|folder| !folder.exists()) {
            Some(folder) => Usage(format!(
                "{}: there is no folder {}: create it or choose another -o",
                file.display(),
                folder.display()
            ))
            .into(),
            None => Error::from(error).context(format!("writing {}", file.display())),
        }
    })
}

/// Writes a file, whole or not at all; standard output for none.
pub fn write(file: Option<&Path>, bytes: &[u8]) -> Result<()> {
    let Some(file) = file else {
        let mut out = std::io::stdout().lock();
        return Ok(out.write_all(bytes).and_then(|()| out.flush())?);
    };
    let written = if special(file) {
        std::fs::write(file, bytes)
    } else {
        let part = part(file);
        std::fs::write(&part, bytes).and_then(|()| std::fs::rename(&part, file))
    };
    written.with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sources: &[&str]) -> Vec<String> {
        let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
        let names = names_of(&sources, "md").into_iter();
        names.map(|n| n.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn no_two_documents_become_one_file() {
        assert_eq!(named(&["a.jpg", "b.pdf"]), ["a.md", "b.md"]);
        assert_eq!(named(&["v1.0.jpg", "v1.1.jpg"]), ["v1.0.md", "v1.1.md"]);
        assert_eq!(named(&["a.jpg", "A.pdf"]), ["a.jpg.md", "A.pdf.md"]);
        assert_eq!(named(&["a.jpg", "a.jpg"]), ["a.jpg.md", "a.jpg-2.md"]);
        assert_eq!(named(&["x/a.jpg", "y/a.jpg"]), ["x/a.md", "y/a.md"]);
    }

    #[test]
    fn names_stay_in_their_folder() {
        assert_eq!(named(&["/etc/a.jpg", "../b.jpg"]), ["etc/a.md", "b.md"]);
    }

    #[test]
    fn a_name_and_a_format_that_disagree_are_refused() {
        let agrees = |name: &str, format| agree(Path::new(name), format).is_ok();
        assert!(agrees("a.pdf", FormatName::Pdf) && agrees("a", FormatName::Pdf));
        assert!(agrees("a.txt", FormatName::Md) && agrees("a.xml", FormatName::Alto));
        assert!(!agrees("a.PDF", FormatName::Md) && !agrees("a.md", FormatName::Pdf));
        assert!(!agrees("a.docx", FormatName::Pdf) && !agrees("a.jpg", FormatName::Md));
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = std::env::temp_dir().join(format!("maoocr-place-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("a.pdf");
        assert!(writable(&file).is_ok());
        let error = writable(&folder.join("none/a.pdf")).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
        write(Some(&file), b"one").unwrap();
        write(Some(&file), b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
