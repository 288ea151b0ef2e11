//! `/docs`: the interface's description as a page to read and to try, which is Swagger UI. Its files are kept as the
//! archive they come in, a third of their size, and unpacked when someone first looks.

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header;
use axum::response::{Html, IntoResponse, Redirect};
use axum::routing::get;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui_vendored::SWAGGER_UI_VENDORED;
use zip::ZipArchive;

use crate::problem::Problem;

const PAGE: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>MaoOCR API</title>
<link rel="icon" href="favicon-32x32.png">
<link rel="stylesheet" href="swagger-ui.css">
<body>
<div id="swagger-ui"></div>
<script src="swagger-ui-bundle.js"></script>
<script src="start.js"></script>
</html>
"#;

const START: &str =
    r##"SwaggerUIBundle({ url: "../openapi.json", dom_id: "#swagger-ui", deepLinking: true });"##;

/// What the page takes from Swagger UI, with its media types.
const FILES: [(&str, &str); 3] = [
    ("swagger-ui.css", "text/css; charset=utf-8"),
    ("swagger-ui-bundle.js", SCRIPT),
    ("favicon-32x32.png", "image/png"),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";

static UNPACKED: LazyLock<[Bytes; 3]> = LazyLock::new(|| {
    let mut archive = ZipArchive::new(Cursor::new(SWAGGER_UI_VENDORED)).expect("the archive opens");
    FILES.map(|(name, _)| {
        // The folder above has the version in its name.
        let end = format!("/dist/{name}");
        let path = {
            let mut paths = archive.file_names().filter_map(Result::ok);
            let path = paths.find(|path| path.ends_with(&end));
            path.expect("the file is in the archive").into_owned()
        };
        let mut bytes = Vec::new();
        let mut file = archive.by_name(&path).expect("the archive has it");
        file.read_to_end(&mut bytes).expect("the file unpacks");
        bytes.into()
    })
});

/// `/docs/` and `/openapi.json`.
///
/// # Panics
/// If the description can't be written as JSON.
pub fn router<S: Clone + Send + Sync + 'static>(description: &OpenApi) -> Router<S> {
    let json = description.to_json().expect("the description is JSON");
    let json = Bytes::from(json);
    Router::new()
        .route("/docs", get(async || Redirect::to("/docs/")))
        .route("/docs/", get(async || Html(PAGE)))
        .route("/docs/{file}", get(file))
        .route(
            "/openapi.json",
            get(async move || ([(header::CONTENT_TYPE, "application/json")], json)),
        )
}

async fn file(Path(name): Path<String>) -> Result<impl IntoResponse, Problem> {
    let (kind, bytes) = if name == "start.js" {
        (SCRIPT, Bytes::from_static(START.as_bytes()))
    } else {
        let at = FILES.iter().position(|(known, _)| *known == name);
        let at = at.ok_or_else(|| {
            let name = crate::input::short(&name);
            Problem::not_found(format!("/docs has no file {name}"))
        })?;
        (FILES[at].1, UNPACKED[at].clone())
    };
    Ok(([(header::CONTENT_TYPE, kind)], bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_finds_its_files() {
        for (name, _) in FILES {
            assert!(PAGE.contains(&format!("\"{name}\"")), "{name}");
        }
        assert!(UNPACKED[1].len() > 500_000 && START.starts_with("SwaggerUIBundle("));
        assert!(UNPACKED[2].starts_with(b"\x89PNG"));
    }
}
