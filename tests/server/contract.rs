//! The description of the interface, held against the interface by strangers: a fuzzer that knows OpenAPI alone, and
//! other services' own clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use maoocr_tests::samples;

use crate::documents;
use crate::stand::{Server, Stand, sample};

/// A Python with the packages of requirements.txt.
pub fn python() -> Command {
    let python = std::env::var_os("MAOOCR_API_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python)
}

pub fn here() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("server")
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_description_allows_gets_an_answer_it_lacks() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--lease", "5"]).await;
    // Something to be found.
    assert_eq!(server.recognize(sample("photo.png")).await.status(), 200);
    let output = python()
        .args(["-m", "schemathesis.cli", "--no-color", "--config-file"])
        .arg(here().join("schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/openapi.json", server.base))
        // A stream of events has no end to wait for.
        .args(["--exclude-path", "/api/jobs/{id}/events"])
        .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
        .env("PYTHONPATH", here())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(stand.folder())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("Tested: 38"), "{said}");
    server.ready().await.unwrap();
}

/// A script's arguments: a server's address, a picture and a PDF.
fn arguments(server: &Server, stand: &Stand) -> [String; 3] {
    let path = |path: PathBuf| path.display().to_string();
    let pdf = documents::pdf(stand.folder());
    [
        server.base.clone(),
        path(samples().join("receipt.jpg")),
        path(pdf),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn mistrals_own_client_and_open_webuis_steps_work_unchanged() {
    for stand in Stand::both() {
        let server = stand.server(&["--cache", "64"]).await;
        let [base, picture, pdf] = arguments(&server, &stand);
        for client in ["mistral.py", "clients/mistral.mjs"] {
            let said = script(client, &[&base, &picture, &pdf]).await;
            assert!(said.contains("ok"), "{said}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_speaks_to_docling_serve_works_unchanged() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let arguments = arguments(&server, &stand);
    let said = script(
        "docling_serve.py",
        &arguments.each_ref().map(String::as_str),
    )
    .await;
    assert!(said.contains("ok"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn azures_own_client_works_unchanged() {
    for stand in Stand::both() {
        let mut command = stand.command();
        let output = command
            .args(["keys", "create", "--name", "paperless"])
            .output()
            .unwrap();
        let key = String::from_utf8(output.stdout).unwrap().trim().to_string();
        let server = stand.server(&["--auth", "keys", "--rate", "0"]).await;
        let [base, picture, pdf] = arguments(&server, &stand);
        let out = stand.folder().display().to_string();
        let said = script("azure_client.py", &[&base, &key, &picture, &pdf, &out]).await;
        assert!(said.contains("ok"), "{said}");
        for (made, words) in [("receipt", "CORNER BAKERY"), ("two", "Compiling serde")] {
            let text = text_of(&stand.folder().join(format!("{made}.archive.pdf")));
            assert!(text.contains(words), "{made}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn openais_own_client_works_unchanged() {
    let stand = Stand::sqlite();
    let server = stand.server(&["--cache", "64", "--deadline", "120"]).await;
    let [base, picture, pdf] = arguments(&server, &stand);
    for client in ["openai_client.py", "clients/openai.mjs"] {
        let said = script(client, &[&base, &picture, &pdf]).await;
        assert!(said.contains("ok"), "{said}");
    }
}

/// What poppler finds in a PDF.
pub fn text_of(pdf: &Path) -> String {
    let output = Command::new("pdftotext")
        .arg(pdf)
        .arg("-")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", pdf.display());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a script of this folder with the packages of its language; what it printed.
pub async fn script(name: &str, arguments: &[&str]) -> String {
    let mut command = match name.ends_with(".py") {
        true => python(),
        false => Command::new("node"),
    };
    command
        .arg(here().join(name))
        .args(arguments)
        .env("PYTHONDONTWRITEBYTECODE", "1");
    // Beside the server, which this test's threads read the log of.
    let output = tokio::task::spawn_blocking(move || command.output().unwrap());
    let output = output.await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{why}");
    said.into_owned()
}
