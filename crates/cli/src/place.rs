//! Where results go: names of files, and what can't be written, said before anything is read.

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Error, Result, bail};

use crate::output::FormatName;
use crate::{Usage, draft};

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
        let files = names_of(&names, format);
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
/// the extension they have, and those after the first get a number where that isn't enough. The same goes for a name that
/// is that of another document's page, in formats with a file a page.
pub fn names_of(sources: &[PathBuf], format: FormatName) -> Vec<PathBuf> {
    let with = |name: &Path, more: &str| {
        let mut name = name.as_os_str().to_os_string();
        if name.as_encoded_bytes().ends_with(b".") {
            let bare = name.to_string_lossy().trim_end_matches('.').to_owned();
            name = bare.into();
        }
        name.push(more);
        PathBuf::from(name)
    };
    // Some file systems don't tell case apart.
    let key = |path: &Path| path.to_string_lossy().to_lowercase();
    let sources: Vec<PathBuf> = sources.iter().map(|source| inside(source)).collect();
    let shortest = |source: &Path| with(&source.with_extension(""), "");
    let mut count: HashMap<String, usize> = HashMap::new();
    for source in &sources {
        *count.entry(key(&shortest(source))).or_default() += 1;
    }
    // In formats with a file a page: whose page a name would be.
    let paged = format == FormatName::Page;
    let owner = |name: &str| document_of(name).filter(|_| paged).map(String::from);
    let mut taken: HashSet<String> = HashSet::new();
    let mut owners: HashSet<String> = HashSet::new();
    sources
        .iter()
        .map(|source| {
            let is_foreign = |name: &String| {
                owner(name).is_some_and(|o| count.contains_key(&o) || taken.contains(&o))
            };
            let mut name = shortest(source);
            if count[&key(&name)] > 1 || is_foreign(&key(&name)) {
                name = with(source, "");
            }
            let mut number = 1;
            let clashes =
                |name: &String| taken.contains(name) || owners.contains(name) || is_foreign(name);
            while clashes(&key(&name)) {
                number += 1;
                // A page's number stands after a hyphen.
                let joint = if paged { '_' } else { '-' };
                name = with(source, &format!("{joint}{number}"));
            }
            owners.extend(owner(&key(&name)));
            taken.insert(key(&name));
            with(&name, &format!(".{}", format.extension()))
        })
        .collect()
}

/// Name of the file of a document's further page, in formats with a file a page.
pub fn page_file(file: &Path, number: usize) -> PathBuf {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    file.with_file_name(format!("{stem}-{number}.{extension}"))
}

/// The document whose page could have such a name, without extension.
fn document_of(name: &str) -> Option<&str> {
    let (document, number) = name.rsplit_once('-')?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then_some(document)
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

/// Refuses a file that can't be written. Nobody should learn it after an hour of reading.
fn writable(file: &Path) -> Result<()> {
    draft::possible(file).map_err(|error| {
        let real = draft::behind(file);
        let folder = real.parent().filter(|f| !f.as_os_str().is_empty());
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
    draft::write(file, bytes).with_context(|| format!("writing {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(sources: &[&str]) -> Vec<String> {
        let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
        let names = names_of(&sources, FormatName::Md).into_iter();
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
    fn what_cannot_be_written_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let error = writable(&folder.path().join("none/a.pdf")).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }

    #[test]
    fn pages_of_a_document_are_no_other_document() {
        let named = |sources: &[&str]| {
            let sources: Vec<PathBuf> = sources.iter().map(PathBuf::from).collect();
            let names = names_of(&sources, FormatName::Page).into_iter();
            let names = names.map(|n| n.to_string_lossy().into_owned());
            names.collect::<Vec<_>>()
        };
        // Page 2 of the first would be page 1 of the second.
        assert_eq!(named(&["a.pdf", "a-2.pdf"]), ["a.xml", "a-2.pdf.xml"]);
        assert_eq!(named(&["a-2.pdf", "a.pdf"]), ["a-2.pdf.xml", "a.xml"]);
        assert_eq!(named(&["A-2.pdf", "a.pdf"]), ["A-2.pdf.xml", "a.xml"]);
        assert_eq!(named(&["a-2.pdf", "b.pdf"]), ["a-2.xml", "b.xml"]);
        assert_eq!(named(&["x/a.pdf", "y/a-2.pdf"]), ["x/a.xml", "y/a-2.xml"]);
        assert_eq!(named(&["a-x.pdf", "a.pdf"]), ["a-x.xml", "a.xml"]);
        // Not even where the names are numbered.
        assert_eq!(named(&["a.jpg", "a.jpg"]), ["a.jpg.xml", "a.jpg_2.xml"]);
        assert_eq!(
            named(&["a", "a-2", "a-2"]),
            ["a.xml", "a-2_2.xml", "a-2_3.xml"]
        );
    }
}
