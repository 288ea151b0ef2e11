//! What can go wrong with a store of models.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a model is not available.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The manifest has no such entry.
    #[error("there is no model `{0}`; `maoocr models list` shows the names")]
    UnknownModel(String),
    /// There is no cache folder for this user.
    #[error("can't find the user's cache folder; set MAOOCR_MODELS to a folder for the models")]
    NoFolder,
    /// The file is not in the store.
    #[error("`{name}` is not installed (no {}); get it with `maoocr models pull {name}`", path.display())]
    Missing {
        /// The model.
        name: String,
        /// Where it should be.
        path: PathBuf,
    },
    /// The size of the file differs from the manifest's.
    #[error(
        "{} has {found} bytes instead of the {expected} of `{name}`; get it again with `maoocr models pull {name}`",
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
    /// The file has the right size but the wrong content.
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
    /// Files are missing, and the network may not be used.
    #[error(
        "offline, and missing or incomplete in {}: {}; run `maoocr models pull` with a network, or copy the files there",
        folder.display(),
        files.join(", ")
    )]
    Offline {
        /// The store's folder.
        folder: PathBuf,
        /// File names.
        files: Vec<String>,
    },
    /// No source delivered these models; all others that were requested are installed.
    #[error("{}", list(.0))]
    NotFetched(Vec<Failure>),
    /// The file system failed.
    #[error("can't {doing} {}: {source}", path.display())]
    Io {
        /// The attempted action, e.g. `read`.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

/// A model that no source delivered.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The model.
    pub name: String,
    /// Each source, in words, and why it failed.
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

/// Why one source failed.
pub(crate) enum Refusal {
    /// This machine is at fault (disk, permissions); another source wouldn't help.
    Local(Error),
    /// The source is at fault; the next one may work.
    Source(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}
