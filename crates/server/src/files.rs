//! `image_path`: pictures below one folder, never outside it.

use std::io::{ErrorKind, Read};
use std::path::Path;

use axum::http::StatusCode;
use bytes::Bytes;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use maoocr_engine::imaging::ImagingError;

use crate::app::App;
use crate::problem::Problem;

/// The picture at this path below the operator's folder.
pub async fn picture(app: &App, path: &str) -> Result<Bytes, Problem> {
    let Some(root) = app.config.file_root.clone() else {
        return Err(refuse(
            "this server reads no files of its own: send the file itself",
        ));
    };
    let (path, limit) = (path.to_string(), app.config.file_bytes());
    let read = tokio::task::spawn_blocking(move || read(&root, &path, limit)).await;
    read.unwrap_or_else(|error| Err(Problem::internal("file_failed", error)))
}

fn refuse(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "path_not_allowed", detail).field("image_path")
}

/// The directory handle resolves each name itself: neither `..` nor a link leads out of it.
fn read(root: &Path, path: &str, limit: usize) -> Result<Bytes, Problem> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput => {
            Problem::unprocessable("file_not_found", "there is no such file").field("image_path")
        }
        ErrorKind::PermissionDenied => {
            refuse("the path leads out of the folder, or the file may not be read")
        }
        _ => Problem::internal("file_failed", error),
    };
    let root = Dir::open_ambient_dir(root, ambient_authority())
        .map_err(|error| Problem::internal("file_failed", error))?;
    // Asked before it is opened: opening a pipe would wait for its other end.
    let about = root.metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(refuse("that is no file"));
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
            assert_eq!(read(&root, "inner/b/picture", 100).unwrap(), "bytes");
        }

        assert_eq!(read(&root, "a/b/picture", 100).unwrap(), "bytes");
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
            let problem = read(&root, path, 100).unwrap_err();
            assert!(problem.status.is_client_error(), "{path}: {problem:?}");
        }
        assert_eq!(read(&root, "a/b/picture", 3).unwrap_err().code, "too_large");
    }
}
