//! The description of the interface, held against the interface by strangers: a fuzzer that knows OpenAPI alone, and
//! another service's own client.

use std::path::Path;
use std::process::Command;

use crate::stand::{Stand, sample};
use maoocr_tests::samples;

/// A Python with the packages of requirements.txt.
fn python() -> Command {
    let python = std::env::var_os("MAOOCR_API_PYTHON").unwrap_or_else(|| "python3".into());
    Command::new(python)
}

fn here() -> std::path::PathBuf {
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
    assert!(said.contains("Tested: 17"), "{said}");
    server.ready().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn mistrals_own_client_reads_a_picture() {
    let stand = Stand::sqlite();
    let server = stand.server(&[]).await;
    let output = python()
        .arg(here().join("mistral.py"))
        .arg(&server.base)
        .arg(samples().join("receipt.jpg"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(said.contains("CORNER BAKERY"), "{said}");
}
