//! A file on its way into the store: `NAME.part`, complete or not, and `NAME.part.from`, which records its origin.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Refusal};
use crate::manifest::ModelEntry;

/// A partial file. Only the holder of the store's lock may touch it.
pub(crate) struct Part<'a> {
    pub entry: &'a ModelEntry,
    path: PathBuf,
    target: PathBuf,
}

/// Where a partial file's bytes come from, so that the rest can be requested.
#[derive(PartialEq)]
pub(crate) struct Origin {
    pub url: String,
    /// ETag or Last-Modified, which tells whether the file at the URL is still the same.
    pub validator: Option<String>,
}

impl<'a> Part<'a> {
    /// The partial file of `target`.
    pub fn of(entry: &'a ModelEntry, target: &Path) -> Self {
        Self {
            entry,
            path: with_suffix(target, ".part"),
            target: target.to_path_buf(),
        }
    }

    /// Bytes already here.
    pub fn len(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |m| m.len())
    }

    /// Starts over with an empty file.
    pub fn create(&self, origin: Option<&Origin>) -> Result<File, Error> {
        let from = self.origin_path();
        match origin {
            Some(o) => fs::write(
                &from,
                format!("{}\n{}\n", o.url, o.validator.as_deref().unwrap_or("")),
            )
            .map_err(Error::io("write", &from))?,
            None => remove(&from)?,
        }
        File::create(&self.path).map_err(Error::io("write", &self.path))
    }

    /// Opens it for appending.
    pub fn append(&self) -> Result<File, Error> {
        File::options()
            .append(true)
            .open(&self.path)
            .map_err(Error::io("write", &self.path))
    }

    /// Appends `bytes`.
    pub fn write(&self, file: &mut File, bytes: &[u8]) -> Result<(), Error> {
        file.write_all(bytes)
            .map_err(Error::io("write", &self.path))
    }

    /// Where its bytes come from, if that was recorded.
    pub fn origin(&self) -> Option<Origin> {
        let text = fs::read_to_string(self.origin_path()).ok()?;
        let mut lines = text.lines();
        let url = lines.next()?.to_string();
        let validator = lines.next().filter(|v| !v.is_empty()).map(str::to_string);
        Some(Origin { url, validator })
    }

    /// Deletes it.
    pub fn discard(&self) -> Result<(), Error> {
        remove(&self.path)?;
        remove(&self.origin_path())
    }

    /// Moves it to its place in the store if its hash is right; deletes it otherwise.
    pub fn finish(&self) -> Result<(), Refusal> {
        let found = sha256(&self.path)?;
        if found != self.entry.sha256 {
            self.discard()?;
            return Err(Refusal::Source(format!(
                "delivered a file with the SHA-256 {found}, the manifest says {}",
                self.entry.sha256
            )));
        }
        // The bytes must reach the disk before the name does, so that a crash leaves a whole file or none.
        File::options()
            .write(true)
            .open(&self.path)
            .and_then(|f| f.sync_all())
            .map_err(Error::io("write", &self.path))?;
        fs::rename(&self.path, &self.target).map_err(Error::io("write", &self.target))?;
        remove(&self.origin_path())?;
        Ok(())
    }

    fn origin_path(&self) -> PathBuf {
        with_suffix(&self.path, ".from")
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", path)(e)),
        _ => Ok(()),
    }
}

/// SHA-256 of a file, lower-case hex.
pub(crate) fn sha256(path: &Path) -> Result<String, Error> {
    let error = || Error::io("read", path);
    let mut file = File::open(path).map_err(error())?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer).map_err(error())? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect())
}
