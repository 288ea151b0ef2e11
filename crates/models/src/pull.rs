//! Fetches the files of a store.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Failure, Refusal};
use crate::manifest::{ModelEntry, Source};
use crate::part::Part;
use crate::wheel::Wheels;
use crate::{Store, http};

/// How to fetch.
#[derive(Clone, Debug)]
pub struct Options {
    /// Never use the network or start `pip`; missing files are an error.
    pub offline: bool,
    /// Package index to fetch single files of wheels from, without `pip`; none: the one that pip is configured for,
    /// unless a `pip` command is given.
    pub index: Option<String>,
    /// The `pip` command with its first arguments, e.g. `["python3", "-m", "pip"]`; none: find one.
    pub pip: Option<Vec<String>>,
    /// Time limit for `pip` to download one wheel.
    pub pip_timeout: Duration,
    /// Time limit to connect to a server.
    pub connect_timeout: Duration,
    /// Time within which a server must send something.
    pub idle_timeout: Duration,
    /// Consecutive attempts without progress before giving up on a server.
    pub attempts: u32,
    /// Wait before the second attempt; it doubles each time.
    pub backoff: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            offline: false,
            index: None,
            pip: None,
            // 75 MB at 1 Mbit/s.
            pip_timeout: Duration::from_secs(600),
            connect_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(30),
            attempts: 4,
            backoff: Duration::from_millis(500),
        }
    }
}

/// Receives the progress of a pull. `()` ignores it.
pub trait Progress {
    /// `done` of `total` bytes of a model have arrived; `done` goes back if a download starts over.
    fn advance(&mut self, name: &str, done: u64, total: u64);
    /// A remark for someone who is waiting, e.g. that a source failed and the next is tried.
    fn note(&mut self, message: &str) {
        let _ = message;
    }
}

impl Progress for () {
    fn advance(&mut self, _: &str, _: u64, _: u64) {}
}

/// Fetches `entries`, each from the first of its sources that has it. The caller holds the store's lock.
pub(crate) fn pull(
    store: &Store,
    entries: &[&ModelEntry],
    progress: &mut dyn Progress,
    options: &Options,
) -> Result<(), Error> {
    let mut wheels = Wheels::new(store.folder());
    let mut failures = Vec::new();
    for entry in entries {
        let target: PathBuf = store.own_path(&entry.name);
        let part = Part::of(entry, &target);
        let mut sources = Vec::new();
        let mut fetched = false;
        for source in &entry.sources {
            let outcome = match source {
                Source::Http { url } => http::fetch(url, &part, progress, options),
                Source::Wheel {
                    package,
                    version,
                    path,
                } => wheels.fetch((package, version, path), &part, progress, options),
            };
            match outcome {
                Ok(()) => {
                    fetched = true;
                    break;
                }
                Err(Refusal::Local(error)) => return Err(error),
                Err(Refusal::Source(said)) => {
                    let source = match source {
                        Source::Http { url } => url.clone(),
                        Source::Wheel {
                            package, version, ..
                        } => format!("wheel {package} {version}"),
                    };
                    progress.note(&format!("`{}`: {source}: {said}", entry.name));
                    sources.push((source, said));
                }
            }
        }
        if !fetched {
            failures.push(Failure {
                name: entry.name.clone(),
                sources,
            });
        }
    }
    if failures.is_empty() {
        Ok(())
    } else {
        Err(Error::NotFetched(failures))
    }
}
