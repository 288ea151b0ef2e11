//! `image_path`: reads pictures beneath one folder, never outside it.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use axum::http::StatusCode;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions};
use maoocr_engine::imaging::ImagingError;

use crate::app::App;
use crate::body::Memory;
use crate::problem::Problem;

/// Reads the picture at this path beneath the operator's folder into a share of the memory for uploads.
///
/// # Errors
/// There is no such folder or file, the path leads outside, the file is too large, or there is no memory for it.
pub async fn picture(app: &App, path: &str, memory: &mut Memory) -> Result<Bytes, Problem> {
    let Some(root) = app.config.file_root.clone() else {
        return Err(refuse(
            "this server does not read local files: send the file itself",
        ));
    };
    let (path, limit) = (path.to_string(), app.config.file_bytes());
    let names = app.config.file_root_names.clone();
    // Its size is known once it is read; the caller keeps what it then needs.
    memory.hold(limit)?;
    let read = tokio::task::spawn_blocking(move || read(&root, &names, &path, limit)).await;
    read.unwrap_or_else(|error| Err(Problem::internal("file_failed", error)))
}

/// Checks that nothing is at a path beneath the operator's folder.
///
/// # Errors
/// There is no such folder, or something is there already.
pub fn check_new(app: &App, path: &Path) -> Result<(), Problem> {
    let root = open_root(app)?;
    match root.symlink_metadata(path) {
        Ok(_) => Err(there(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(unwritten(&error)),
    }
}

/// Writes a new file beneath the operator's folder.
///
/// # Errors
/// There is no such folder, the path leads outside, or something is there already.
pub async fn write_new(app: &App, path: &Path, bytes: Vec<u8>) -> Result<(), Problem> {
    let (root, path) = (open_root(app)?, path.to_path_buf());
    let write = move || {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        let mut file = root
            .open_with(&path, &options)
            .map_err(|error| match error.kind() {
                ErrorKind::AlreadyExists => there(&path),
                _ => unwritten(&error),
            })?;
        file.write_all(&bytes).map_err(|error| {
            // A part of a file is worse than none.
            let _ = root.remove_file(&path);
            unwritten(&error)
        })
    };
    let written = tokio::task::spawn_blocking(write).await;
    written.unwrap_or_else(|error| Err(Problem::internal("file_failed", error)))
}

fn open_root(app: &App) -> Result<Dir, Problem> {
    let root = app
        .config
        .file_root
        .as_ref()
        .ok_or_else(|| refuse("this server doesn't write files"))?;
    Dir::open_ambient_dir(root, ambient_authority())
        .map_err(|error| Problem::internal("file_failed", error))
}

fn there(path: &Path) -> Problem {
    let name: String = path.display().to_string().chars().take(200).collect();
    let detail = format!("{name} already exists: choose another name");
    Problem::unprocessable("file_exists", detail).field("output")
}

fn unwritten(error: &std::io::Error) -> Problem {
    let detail = format!("the file can't be written there: {error}");
    Problem::unprocessable("file_not_written", detail).field("output")
}

fn refuse(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "path_not_allowed", detail).field("image_path")
}

/// What a caller's path is beneath the folder. Clients on the same machine, or with the same folder mounted, send whole
/// paths, and on Windows with its separators. `names` is what they call the folder, where it isn't its own path.
fn beneath(root: &Path, names: &[String], path: &str) -> Option<String> {
    let plain = |text: &str| {
        let text = text.replace('\\', "/");
        let text = text.strip_prefix("//?/").unwrap_or(&text);
        text.trim_end_matches('/').to_string()
    };
    let has_drive = |text: &str| text.as_bytes().get(1) == Some(&b':');
    let wanted = plain(path);
    if !wanted.starts_with('/') && !has_drive(&wanted) {
        // A name may contain a backslash where that separates nothing.
        let is_name = root.join(path).exists();
        return Some(if is_name { path.into() } else { wanted });
    }
    let real = root.canonicalize().ok();
    let roots = [Some(root), real.as_deref()].into_iter().flatten();
    roots
        .map(|root| plain(&root.to_string_lossy()))
        .chain(names.iter().map(|name| plain(name)))
        .find_map(|root| {
            let (start, rest) = wanted.split_at_checked(root.len())?;
            // Windows takes no notice of case, on a share neither.
            let same = if has_drive(&root) || root.starts_with("//") {
                start.eq_ignore_ascii_case(&root)
            } else {
                start == root
            };
            let rest = rest.strip_prefix('/').filter(|_| same)?;
            Some(rest.trim_start_matches('/').to_string())
        })
}

/// The directory handle resolves each name itself: neither `..` nor a link leads outside.
fn read(root: &Path, names: &[String], path: &str, limit: usize) -> Result<Bytes, Problem> {
    let path = &*beneath(root, names, path)
        .ok_or_else(|| refuse("the path leads outside the folder that this server reads from"))?;
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => {
            Problem::unprocessable("file_not_found", "there is no such file").field("image_path")
        }
        ErrorKind::PermissionDenied => {
            refuse("the path leads outside the folder, or the file is not readable")
        }
        _ => Problem::internal("file_failed", error),
    };
    let root = Dir::open_ambient_dir(root, ambient_authority())
        .map_err(|error| Problem::internal("file_failed", error))?;
    // Check before opening: opening a pipe would wait for its other end.
    let about = root.metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(refuse("the path is not a regular file"));
    }
    let mut bytes = Vec::new();
    let file = root.open(path).map_err(failed)?;
    file.take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() > limit {
        let bytes = about.len() as usize;
        return Err(ImagingError::TooLarge { bytes, limit }.into());
    }
    Ok(bytes.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_below_the_root_are_read_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        std::fs::write(root.join("a/b/picture"), b"bytes").unwrap();
        std::fs::write(folder.path().join("secret"), b"secret").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::symlink;
            symlink(folder.path().join("secret"), root.join("link")).unwrap();
            symlink("../secret", root.join("relative")).unwrap();
            symlink(folder.path(), root.join("out")).unwrap();
            symlink("a", root.join("inner")).unwrap();
            assert_eq!(read(&root, &[], "inner/b/picture", 100).unwrap(), "bytes");
        }

        assert_eq!(read(&root, &[], "a/b/picture", 100).unwrap(), "bytes");
        // As clients of earlier versions send it.
        let whole = |path: &str| format!("{}/{path}", root.display());
        assert_eq!(
            read(&root, &[], &whole("a/b/picture"), 100).unwrap(),
            "bytes"
        );
        assert_eq!(read(&root, &[], "a\\b\\picture", 100).unwrap(), "bytes");
        let secret = folder.path().join("secret").display().to_string();
        for path in [&*whole("../secret"), &*whole("out/secret"), &secret] {
            let problem = read(&root, &[], path, 100).unwrap_err();
            assert!(problem.status.is_client_error(), "{path}: {problem:?}");
        }
        for path in [
            "",
            "/etc/passwd",
            "..",
            "../secret",
            "a/../../secret",
            "link",
            "relative",
            "out/secret",
            "a/b",
            "a/b/picture/x",
            "none",
            "a\0b",
        ] {
            let problem = read(&root, &[], path, 100).unwrap_err();
            assert!(problem.status.is_client_error(), "{path}: {problem:?}");
        }
        assert_eq!(
            read(&root, &[], "a/b/picture", 3).unwrap_err().code,
            "too_large"
        );
    }

    #[test]
    fn whole_paths_of_windows_are_understood() {
        let root = Path::new("C:\\Users\\Ann\\scans");
        for path in [
            "C:\\Users\\Ann\\scans\\a\\b.png",
            "c:/users/ann/scans/a/b.png",
            "\\\\?\\C:\\Users\\Ann\\scans\\a\\b.png",
        ] {
            assert_eq!(beneath(root, &[], path).unwrap(), "a/b.png", "{path}");
        }
        for path in ["C:\\Users\\Ann\\scans2\\b.png", "D:\\b.png", "/etc/passwd"] {
            assert_eq!(beneath(root, &[], path), None, "{path}");
        }
    }

    #[test]
    fn a_folder_has_the_names_that_its_callers_give_it() {
        let root = Path::new("/pictures");
        let names = ["/home/ann/scans", "Z:\\scans\\", "\\\\nas\\scans"].map(String::from);
        for path in [
            "/home/ann/scans/a/b.png",
            "z:\\Scans\\a\\b.png",
            "\\\\NAS\\scans\\a\\b.png",
            "/pictures/a/b.png",
            "a/b.png",
        ] {
            assert_eq!(beneath(root, &names, path).unwrap(), "a/b.png", "{path}");
        }
        for path in [
            "/home/ann/scans2/b.png",
            "/home/Ann/scans/b.png",
            "Z:\\b.png",
        ] {
            assert_eq!(beneath(root, &names, path), None, "{path}");
        }
    }
}
