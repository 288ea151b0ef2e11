//! A folder of model files.

use std::collections::HashMap;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::manifest::{Manifest, ModelEntry, Task};
use crate::part::sha256;
use crate::pull::{self, Options, Progress};

/// The default folder of models: `$MAOOCR_MODELS`, else `maoocr/models` in the user's cache folder (`$XDG_CACHE_HOME` or
/// `~/.cache` on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows).
///
/// # Errors
/// [`Error::NoFolder`] if there is neither.
pub fn default_dir() -> Result<PathBuf, Error> {
    choose_dir(env::var_os("MAOOCR_MODELS"), dirs::cache_dir()).ok_or(Error::NoFolder)
}

fn choose_dir(own: Option<OsString>, cache: Option<PathBuf>) -> Option<PathBuf> {
    match own.filter(|v| !v.is_empty()) {
        Some(own) => Some(own.into()),
        None => Some(cache?.join("maoocr").join("models")),
    }
}

/// A folder of model files, `NAME.onnx` for networks and `NAME.txt` for dictionaries, and what they should contain.
///
/// Files are hashed when they arrive and by [`verify`](Self::verify). Reading a file checks only its size, because hashing
/// a large model takes longer than loading it.
#[derive(Clone, Debug)]
pub struct Store {
    folder: PathBuf,
    manifest: Manifest,
    /// Files elsewhere, by model.
    elsewhere: HashMap<String, PathBuf>,
}

impl Store {
    /// Opens the store in `folder` with the built-in manifest. The folder need not exist until something is pulled.
    ///
    /// # Errors
    /// The path is not a folder, or can't be accessed.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::with_manifest(folder, Manifest::built_in())
    }

    /// Opens a store with another manifest, e.g. one with a mirror's URLs.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn with_manifest(folder: impl Into<PathBuf>, manifest: Manifest) -> Result<Self, Error> {
        let folder = folder.into();
        match fs::metadata(&folder) {
            Ok(m) if !m.is_dir() => Err(Error::io("use", &folder)(ErrorKind::NotADirectory.into())),
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io("use", &folder)(e)),
            _ => Ok(Self {
                folder,
                manifest,
                elsewhere: HashMap::new(),
            }),
        }
    }

    /// Also uses the files of another folder that the store's own lacks, e.g. those of an installed package. They are
    /// hashed now; others are ignored. Nothing is written there.
    #[must_use]
    pub fn or_from(mut self, other: &Path) -> Self {
        let lacking = self.manifest.models.iter().filter(|m| !self.has(&m.name));
        let found: Vec<_> = lacking
            .map(|m| (m, other.join(file_name(m.task, &m.name))))
            .filter(|(m, path)| {
                size_of(m, path).is_ok() && sha256(path).is_ok_and(|found| m.has_hash(&found))
            })
            .map(|(m, path)| (m.name.clone(), path))
            .collect();
        self.elsewhere.extend(found);
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The manifest that describes the files.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The path of a model's file, whether or not it exists.
    pub fn path(&self, name: &str) -> PathBuf {
        match self.elsewhere.get(name) {
            Some(path) => path.clone(),
            None => self.own_path(name),
        }
    }

    /// The path of a model's file in the store's own folder.
    pub(crate) fn own_path(&self, name: &str) -> PathBuf {
        let task = self.manifest.get(name).map(|m| m.task);
        let task = task.unwrap_or(Task::Detection);
        self.folder.join(file_name(task, name))
    }

    /// Whether the file, or the compact one in its place, is there with the right size.
    pub fn has(&self, name: &str) -> bool {
        self.entry(name).and_then(|e| self.check_size(e)).is_ok()
    }

    /// Reads the file.
    ///
    /// # Errors
    /// The model is unknown, its file is missing or has the wrong size, or the file system fails.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Error> {
        let entry = self.entry(name)?;
        self.check_size(entry)?;
        let path = self.path(name);
        fs::read(&path).map_err(Error::io("read", &path))
    }

    /// Compares the file with its SHA-256, or with that of the compact file.
    ///
    /// # Errors
    /// As for [`read`](Self::read), or [`Error::WrongHash`].
    pub fn verify(&self, name: &str) -> Result<(), Error> {
        let entry = self.entry(name)?;
        self.check_size(entry)?;
        let path = self.path(name);
        let found = sha256(&path)?;
        if entry.has_hash(&found) {
            return Ok(());
        }
        Err(Error::WrongHash {
            name: name.into(),
            path,
            expected: entry.sha256.clone(),
            found,
        })
    }

    /// Ensures that the files are there and verified, including the dictionaries of recognisers, and downloads the rest.
    ///
    /// If two pulls use the same folder at the same time, the second waits and then finds the files. A failing source
    /// doesn't stop other files from being fetched. An interrupted download resumes with the next pull.
    ///
    /// # Errors
    /// A name is unknown; files are missing and `options` forbid the network; the file system fails; or no source of some
    /// file delivered it ([`Error::NotFetched`] lists what each source said).
    pub fn pull<S: AsRef<str>>(
        &self,
        names: &[S],
        progress: &mut dyn Progress,
        options: &Options,
    ) -> Result<(), Error> {
        let mut wanted: Vec<&ModelEntry> = Vec::new();
        for name in names {
            let entry = self.entry(name.as_ref())?;
            let dictionary = entry
                .dictionary
                .as_deref()
                .map(|d| self.entry(d))
                .transpose()?;
            for entry in std::iter::once(entry).chain(dictionary) {
                if !wanted.iter().any(|w| w.name == entry.name) {
                    wanted.push(entry);
                }
            }
        }
        // Check before locking, so that a complete store may be read-only.
        wanted.retain(|m| self.verify(&m.name).is_err());
        if wanted.is_empty() {
            return Ok(());
        }
        if options.offline {
            let file = |m: &&ModelEntry| {
                self.path(&m.name)
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into()
            };
            return Err(Error::Offline {
                folder: self.folder.clone(),
                files: wanted.iter().map(file).collect(),
            });
        }
        let _lock = self.lock(progress)?;
        wanted.retain(|m| self.verify(&m.name).is_err());
        pull::pull(self, &wanted, progress, options)
    }

    /// Locks the store until the file is dropped; the system releases the lock if the process dies.
    fn lock(&self, progress: &mut dyn Progress) -> Result<File, Error> {
        fs::create_dir_all(&self.folder).map_err(Error::io("create", &self.folder))?;
        let path = self.folder.join(".lock");
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(Error::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                progress.note(&format!(
                    "waiting for another pull into {}",
                    self.folder.display()
                ));
                file.lock().map_err(Error::io("lock", &path))?;
                Ok(file)
            }
            Err(TryLockError::Error(e)) => Err(Error::io("lock", &path)(e)),
        }
    }

    fn entry(&self, name: &str) -> Result<&ModelEntry, Error> {
        self.manifest
            .get(name)
            .ok_or_else(|| Error::UnknownModel(name.into()))
    }

    fn check_size(&self, entry: &ModelEntry) -> Result<(), Error> {
        size_of(entry, &self.path(&entry.name))
    }
}

fn file_name(task: Task, name: &str) -> String {
    let extension = if task == Task::Dictionary {
        "txt"
    } else {
        "onnx"
    };
    format!("{name}.{extension}")
}

fn size_of(entry: &ModelEntry, path: &Path) -> Result<(), Error> {
    let (name, path) = (|| entry.name.clone(), path.to_path_buf());
    match fs::metadata(&path) {
        Ok(m) if m.is_file() && entry.has_size(m.len()) => Ok(()),
        Ok(m) => Err(Error::WrongSize {
            name: name(),
            path,
            expected: entry.bytes,
            found: m.len(),
        }),
        Err(e) if e.kind() == ErrorKind::NotFound => Err(Error::Missing { name: name(), path }),
        Err(e) => Err(Error::io("read", &path)(e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_by_default() {
        let cache = || Some(PathBuf::from("/home/ada/.cache"));
        assert_eq!(
            choose_dir(Some("/models".into()), cache()).unwrap(),
            Path::new("/models")
        );
        assert_eq!(
            choose_dir(Some("".into()), cache()).unwrap(),
            Path::new("/home/ada/.cache/maoocr/models")
        );
        assert_eq!(
            choose_dir(None, cache()).unwrap(),
            Path::new("/home/ada/.cache/maoocr/models")
        );
        assert_eq!(choose_dir(None, None), None);
    }

    #[test]
    fn files_by_task() {
        let store = Store::open("/nowhere").unwrap();
        assert_eq!(
            store.path("ppocrv6-tiny-rec"),
            Path::new("/nowhere/ppocrv6-tiny-rec.onnx")
        );
        assert_eq!(
            store.path("ppocrv6-tiny-dict"),
            Path::new("/nowhere/ppocrv6-tiny-dict.txt")
        );
        assert!(!store.has("ppocrv6-tiny-rec") && !store.has("no-such-model"));
        assert!(matches!(
            store.read("no-such-model"),
            Err(Error::UnknownModel(_))
        ));
    }
}
