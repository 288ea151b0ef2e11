//! A tool's `uri` → the file it names.

use std::path::{Path, PathBuf};

use axum::http::StatusCode;
use bytes::Bytes;
use url::Url;

use crate::app::App;
use crate::auth::Caller;
use crate::body::Memory;
use crate::problem::Problem;
use crate::{fetch, files, input, kept};

/// The file at a URI or path, and a name for it.
///
/// # Errors
/// The URI is malformed or not allowed, there is no such file, or it is too large.
pub async fn file(
    app: &App,
    caller: &Caller,
    uri: &str,
    memory: &mut Memory,
) -> Result<(Bytes, String), Problem> {
    let found = find(app, caller, uri, memory).await;
    // Whatever a request calls it elsewhere.
    let (file, name) = found.map_err(|problem| problem.field("uri"))?;
    memory.hold(file.len())?;
    Ok((file, input::short(&name)))
}

async fn find(
    app: &App,
    caller: &Caller,
    uri: &str,
    memory: &mut Memory,
) -> Result<(Bytes, String), Problem> {
    if uri.starts_with("data:") {
        return Ok((input::decode(app, uri)?, String::new()));
    }
    if let Some(id) = uri.strip_prefix(super::KEPT) {
        let id = id.parse().map_err(|_| kept::none())?;
        return Ok((
            kept::bytes(app, &caller.owner, kept::RESULT, id).await?,
            String::new(),
        ));
    }
    if uri.starts_with("http:") || uri.starts_with("https:") {
        let name = Url::parse(uri).ok().and_then(|url| {
            let last = url.path_segments()?.next_back()?;
            Some(last.to_string())
        });
        return Ok((
            fetch::picture(app, uri, memory).await?,
            name.unwrap_or_default(),
        ));
    }
    let path = below(app, uri)?;
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("")
        .to_string();
    let path = path.to_str().ok_or_else(|| outside(uri))?;
    Ok((files::picture(app, path, memory).await?, name))
}

/// A path, or a `file:` URI, relative to the folder that files are read from. Whether it leads out of it by `..` or a link
/// is seen when it is opened.
///
/// # Errors
/// There is no such folder, or the path is outside of it.
pub fn below(app: &App, uri: &str) -> Result<PathBuf, Problem> {
    let Some(root) = &app.config.file_root else {
        let detail = "this server does not read local files: send a data: URI";
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "path_not_allowed",
            detail,
        ));
    };
    let path = match uri.get(..5) {
        Some(scheme) if scheme.eq_ignore_ascii_case("file:") => {
            let url = Url::parse(uri).ok();
            url.and_then(|url| url.to_file_path().ok()).ok_or_else(|| {
                let detail =
                    "the file: URI names no file of this machine: write file:///path/of/the/file";
                Problem::unprocessable("invalid_uri", detail)
            })?
        }
        _ => PathBuf::from(uri),
    };
    if !path.is_absolute() {
        return Ok(path);
    }
    // The root by either of its names.
    let real = root.canonicalize().ok();
    let roots = [Some(root.as_path()), real.as_deref()];
    let inside = roots
        .into_iter()
        .flatten()
        .find_map(|root| path.strip_prefix(root).ok());
    inside.map(Path::to_path_buf).ok_or_else(|| outside(uri))
}

fn outside(uri: &str) -> Problem {
    let detail = format!(
        "{} is outside the folder that files are read from (--root)",
        input::short(uri)
    );
    Problem::new(StatusCode::FORBIDDEN, "path_not_allowed", detail)
}
