//! What can be wrong with a store of models.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a model can't be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest has no such entry.
    #[error("no model is called `{0}`; `maoocr models list` shows the names")]
    UnknownModel(String),
    /// The user's cache folder can't be told.
    #[error("can't tell where the user's cache is; set MAOOCR_MODELS to a folder for the models")]
    NoFolder,
    /// The file is not in the store.
    #[error("`{name}` is not there ({}); get it with `maoocr models pull {name}`", path.display())]
    Missing {
        /// The model.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The file has another size than the manifest says.
    #[error(
        "{} has {found} bytes, not the {expected} of `{name}`; get it again with `maoocr models pull {name}`",
        path.display()
    )]
    WrongSize {
        /// The model.
        name: String,
        /// The file.
        path: PathBuf,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        found: u64,
    },
    /// The file has the right size and another content.
    #[error(
        "{} is not `{name}`: its SHA-256 is {found}, the manifest says {expected}; get it again with \
         `maoocr models pull {name}`",
        path.display()
    )]
    WrongHash {
        /// The model.
        name: String,
        /// The file.
        path: PathBuf,
        /// SHA-256 it should have, hex.
        expected: String,
        /// SHA-256 it has, hex.
        found: String,
    },
    /// Files are missing and the network may not be used.
    #[error(
        "offline, and not (or not whole) in {}: {}; pull them while there is a network, or copy the files there",
        folder.display(),
        files.join(", ")
    )]
    Offline {
        /// The store's folder.
        folder: PathBuf,
        /// File names.
        files: Vec<String>,
    },
    /// No source gave what it should; everything else that was asked for is there.
    #[error("{}", list(.0))]
    NotFetched(Vec<Failure>),
    /// The content is right and can't be used all the same.
    #[error("`{name}` can't be used: {reason}")]
    Unusable {
        /// The model.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The file system said no.
    #[error("can't {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, e.g. `read`.
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Error {
    /// An [`Error::Unusable`], for callers that find out themselves.
    pub fn from_reason(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unusable {
            name: name.into(),
            reason: reason.into(),
        }
    }

    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// A model that no source gave.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The model.
    pub name: String,
    /// Each source, in words, and what was wrong with it.
    pub sources: Vec<(String, String)>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "can't fetch `{}`", self.name)?;
        for (source, said) in &self.sources {
            write!(f, "\n  {source}: {said}")?;
        }
        Ok(())
    }
}

fn list(failures: &[Failure]) -> String {
    let all: Vec<_> = failures.iter().map(Failure::to_string).collect();
    all.join("\n")
}

/// What became of one source.
pub(crate) enum Refusal {
    /// This machine is at fault (disk, permissions): another source wouldn't help.
    Local(Error),
    /// The source is at fault: the next one may do.
    Source(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}
