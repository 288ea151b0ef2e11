//! Files that are written whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Result, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use tempfile::NamedTempFile;

/// A file in the making. It lies beside the one it replaces, under a name of its own, until it is whole; dropped before,
/// it leaves everything as it was.
pub struct Draft {
    file: PathBuf,
    out: Out,
}

enum Out {
    Beside(BufWriter<NamedTempFile>),
    /// A pipe or a device has no place to put another file.
    Straight(File),
}

/// Drafts that would stay behind if the process ended now.
static OPEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn open() -> MutexGuard<'static, BTreeSet<PathBuf>> {
    OPEN.lock().unwrap_or_else(|e| e.into_inner())
}

/// Removes all drafts, for the process ends now.
pub fn discard() {
    for draft in open().iter() {
        let _ = std::fs::remove_file(draft);
    }
}

impl Draft {
    /// For a file, or for the one that a symlink points to.
    pub fn of(file: &Path) -> Result<Self> {
        let file = behind(file);
        if special(&file) {
            let out = File::options().append(true).open(&file)?;
            return Ok(Self {
                file,
                out: Out::Straight(out),
            });
        }
        let draft = beside(&file)?;
        open().insert(draft.path().to_path_buf());
        Ok(Self {
            file,
            out: Out::Beside(BufWriter::new(draft)),
        })
    }

    /// Puts it in its place. It is on the disk then, or the one before still is.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        let Out::Beside(out) = &self.out else {
            return Ok(());
        };
        let draft = out.get_ref();
        draft.as_file().sync_all()?;
        std::fs::rename(draft.path(), &self.file)
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        match &mut self.out {
            Out::Beside(out) => out.write(bytes),
            Out::Straight(out) => out.write(bytes),
        }
    }

    fn flush(&mut self) -> Result<()> {
        match &mut self.out {
            Out::Beside(out) => out.flush(),
            Out::Straight(out) => out.flush(),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Once it was renamed there is nothing left to remove.
        if let Out::Beside(out) = &self.out {
            open().remove(out.get_ref().path());
        }
    }
}

/// An empty file with a name that nobody has, where `file` is or will be, with its permissions.
fn beside(file: &Path) -> Result<NamedTempFile> {
    let folder = file.parent().filter(|f| !f.as_os_str().is_empty());
    let mut draft = tempfile::Builder::new();
    draft.prefix(".maoocr-").suffix(".part");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // What others may do is up to the umask, as for any new file.
        draft.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let draft = draft.tempfile_in(folder.unwrap_or(Path::new(".")))?;
    if let Ok(before) = std::fs::metadata(file) {
        draft.as_file().set_permissions(before.permissions())?;
    }
    Ok(draft)
}

/// Whether a file could be written: its folder exists and takes new files, and nothing protects it.
pub fn possible(file: &Path) -> Result<()> {
    let file = behind(file);
    if special(&file) {
        return Ok(());
    }
    match std::fs::metadata(&file) {
        Ok(metadata) if metadata.permissions().readonly() => {
            Err(std::io::ErrorKind::PermissionDenied.into())
        }
        _ => beside(&file).map(drop),
    }
}

/// Writes a file in one go.
pub fn write(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut draft = Draft::of(file)?;
    draft.write_all(bytes)?;
    draft.finish()
}

/// What a symlink points to, whether that is there or not; any other file itself.
pub fn behind(file: &Path) -> PathBuf {
    /// As many as Linux follows.
    const LINKS: usize = 40;
    let mut file = file.to_path_buf();
    for _ in 0..LINKS {
        let Some(to) = std::fs::read_link(&file).ok().filter(|_| !special(&file)) else {
            break;
        };
        file = file.parent().unwrap_or(Path::new("")).join(to);
    }
    file
}

/// Whether it is a pipe or a device, or a name that the system has for one, such as `/dev/stdout`: that may stand for a
/// file, but nobody means to replace it.
fn special(file: &Path) -> bool {
    const NAMES: [&str; 4] = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
    let named = cfg!(unix) && NAMES.iter().any(|name| file.starts_with(name));
    named || std::fs::metadata(file).is_ok_and(|m| !m.is_file() && !m.is_dir())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        let mut names: Vec<String> = names
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_stays_until_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        write(&file, b"one").unwrap();
        // Somebody's own file of a name that drafts once had.
        fs::write(folder.path().join("a.txt.part"), b"mine").unwrap();
        let mut draft = Draft::of(&file).unwrap();
        draft.write_all(b"two").unwrap();
        draft.flush().unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"one");
        drop(draft);
        assert_eq!(names(folder.path()), ["a.txt", "a.txt.part"]);
        assert_eq!(fs::read(&file).unwrap(), b"one");
        write(&file, b"two").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(fs::read(folder.path().join("a.txt.part")).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["a.txt", "a.txt.part"]);
    }

    #[test]
    #[cfg(unix)]
    fn links_are_followed_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let [here, there] = [0, 1].map(|_| tempfile::tempdir().unwrap());
        let (link, file) = (here.path().join("link"), there.path().join("file"));
        symlink(&file, &link).unwrap();
        // Nothing is there yet.
        write(&link, b"one").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        write(&link, b"two").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"two");
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(
            (names(here.path()), names(there.path())),
            (vec!["link".into()], vec!["file".into()])
        );
    }

    #[test]
    #[cfg(unix)]
    fn pipes_and_devices_stay_what_they_are() {
        use std::os::unix::fs::{FileTypeExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink("/dev/null", &link).unwrap();
        possible(&link).unwrap();
        write(&link, b"one").unwrap();
        assert!(
            fs::metadata("/dev/null")
                .unwrap()
                .file_type()
                .is_char_device()
        );
        assert_eq!(behind(Path::new("/dev/stdout")), Path::new("/dev/stdout"));
    }

    #[test]
    fn what_cannot_be_written_is_known_at_once() {
        let folder = tempfile::tempdir().unwrap();
        assert!(possible(&folder.path().join("a")).is_ok());
        assert!(possible(&folder.path().join("none/a")).is_err());
        assert!(names(folder.path()).is_empty());
    }
}
