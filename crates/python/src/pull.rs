//! Models on their way from their publishers into a folder.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use maoocr_engine::plan::Language;
use maoocr_models::manifest::{ModelEntry, Task, Tier};
use maoocr_models::{Manifest, Options, Progress, Store};
use pyo3::prelude::*;

use crate::fault::Fault;

/// Whether and how missing models are fetched.
#[derive(Clone, Default)]
pub struct Fetch {
    /// Never use the network.
    pub offline: bool,
    /// `callback(name, done, total)` in bytes, and `callback(message, None, None)`.
    pub progress: Option<Arc<Py<PyAny>>>,
}

/// Where models are.
pub struct Place {
    /// The folder that they are fetched into.
    pub folder: PathBuf,
    /// The folder of an installed package of models, used for what the other folder lacks.
    packaged: Option<PathBuf>,
}

impl Place {
    /// The given folder and no other; else `MAOOCR_MODELS` or a folder in the user's cache, then the package.
    pub fn of(given: Option<PathBuf>, packaged: Option<PathBuf>) -> Result<Self, Fault> {
        Ok(match given {
            Some(folder) => Self {
                folder,
                packaged: None,
            },
            None => Self {
                folder: maoocr_models::default_dir()?,
                packaged,
            },
        })
    }

    /// Opens the store. A package's files are hashed, which takes as long as loading them.
    pub fn open(&self) -> Result<Store, Fault> {
        let store = Store::open(&self.folder)?;
        Ok(match &self.packaged {
            Some(folder) => store.or_from(folder),
            None => store,
        })
    }
}

/// The models that a plan on an ordinary machine can choose for a language.
pub fn wanted<'a>(manifest: &'a Manifest, language: &Language) -> Vec<&'a str> {
    let usual = |m: &&ModelEntry| match m.task {
        Task::LineOrientation | Task::PageOrientation => true,
        Task::Detection | Task::Recognition => m.general && m.tier != Some(Tier::Medium),
        Task::Layout | Task::Dictionary => false,
    };
    let of_script = |m: &&ModelEntry| match language {
        Language::Script(tag, script) => {
            m.task == Task::Recognition && m.languages.iter().any(|l| l == tag || l == script)
        }
        _ => false,
    };
    let models = manifest.models.iter();
    models
        .filter(|m| usual(m) || of_script(m))
        .map(|m| m.name.as_str())
        .collect()
}

/// Fetches what is missing.
pub fn run(store: &Store, names: &[&str], fetch: &Fetch) -> Result<(), Fault> {
    let options = Options {
        offline: fetch.offline,
        ..Options::default()
    };
    let mut told = Told {
        callback: fetch.progress.clone(),
        last: None,
    };
    Ok(store.pull(names, &mut told, &options)?)
}

/// Passes progress on to Python, not too often.
struct Told {
    callback: Option<Arc<Py<PyAny>>>,
    last: Option<Instant>,
}

/// Time between two reports of a download.
const OFTEN: Duration = Duration::from_millis(200);

impl Told {
    fn call(&self, name: &str, done: Option<u64>, total: Option<u64>) {
        let Some(callback) = &self.callback else {
            return;
        };
        // Not while the interpreter shuts down. What the callback raises is shown and does not end the download.
        let _ = Python::try_attach(|py| {
            if let Err(raised) = callback.call1(py, (name, done, total)) {
                raised.write_unraisable(py, None);
            }
        });
    }
}

impl Progress for Told {
    fn advance(&mut self, name: &str, done: u64, total: u64) {
        let due = self.last.is_none_or(|last| last.elapsed() >= OFTEN);
        if due || done >= total {
            self.last = Some(Instant::now());
            self.call(name, Some(done), Some(total));
        }
    }

    fn note(&mut self, message: &str) {
        self.call(message, None, None);
    }
}
