//! The Worker: `worker-edge/build`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::command::{Step, command};
use crate::files::copy_tree;
use crate::{node, npm, python, root, wasm};

/// The networks that the Worker reads with, and the recogniser's alphabet.
const NETWORKS: [&str; 2] = ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"];
const ALPHABET: &str = "ppocrv6-tiny-dict.txt";
/// What the runtime sends with files, after the web app's own rules.
const HEADERS: &str = "
/assets/*
  Cache-Control: public, max-age=31536000, immutable
/docs/*
  ! Content-Security-Policy
  Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'
";

/// The modules as the compiler leaves them: what routes, and what reads.
pub fn compile() -> Result<(PathBuf, PathBuf)> {
    // Together, so that what both need compiles once.
    let packages = ["maoocr-edge", "maoocr-edge-reader"];
    let mut modules = wasm::compile_all(&packages, "wasm", &[], false)?;
    let reader = modules.remove(1);
    Ok((modules.remove(0), reader))
}

/// Builds the module and gathers the files beside it: models, documentation and, where it is built, the web app.
pub fn build(maoocr: &Path) -> Result<()> {
    node::prepare()?;
    let (module, reader) = compile()?;
    let own = root()?.join("worker-edge");
    let (worker, assets) = (own.join("build/worker"), own.join("build/assets"));
    for folder in [&worker, &assets] {
        fs::remove_dir_all(folder).ok();
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    command(wasm::bindgen()?)
        .args(["web", "maoocr_edge"])
        .args([&module, &worker])
        .run()?;
    let bound = worker.join("maoocr_edge_bg.wasm");
    wasm::optimise("-O3", &bound)?;
    let bound_reader = reader_of(&reader, &worker)?;
    for name in ["worker.mjs", "reader.mjs"] {
        fs::copy(own.join(name), worker.join(name))?;
    }

    let app = root()?.join("www/app/dist");
    if app.join("index.html").is_file() {
        copy_tree(&app, &assets, &|_| true)?;
    } else {
        eprintln!("xtask: the web app isn't built (`cargo xtask web`); the Worker goes without it");
    }
    let headers = assets.join("_headers");
    let own_rules = fs::read_to_string(&headers).unwrap_or_default();
    fs::write(&headers, own_rules + HEADERS)?;
    let models = assets.join("edge-models");
    command(maoocr)
        .args(["models", "compact", "--out"])
        .arg(&models)
        .args(NETWORKS)
        .run()?;
    let path = command(maoocr).args(["models", "path"]).output()?;
    fs::copy(
        PathBuf::from(path.trim()).join(ALPHABET),
        models.join(ALPHABET),
    )
    .context("the recogniser's alphabet")?;
    command("node")
        .arg("worker-edge/describe.mjs")
        .arg(maoocr)
        .arg(&assets)
        .run()?;
    wasm::sizes(&[&module, &bound, &reader, &bound_reader])
}

/// What the Worker reads with, beside it. Its JavaScript is a function that makes one instance: the usual kind has a
/// single one, for good.
fn reader_of(module: &Path, folder: &Path) -> Result<PathBuf> {
    const NAME: &str = "maoocr_edge_reader";
    command(wasm::bindgen()?)
        .args(["no-modules", NAME])
        .args([module, folder])
        .run()?;
    let script = folder.join(format!("{NAME}.js"));
    let text = fs::read_to_string(&script).with_context(|| script.display().to_string())?;
    let text = format!("export default function bindings() {{\n{text}\nreturn wasm_bindgen;\n}}\n");
    fs::write(&script, text)?;
    let bound = folder.join(format!("{NAME}_bg.wasm"));
    // `-O3` takes minutes for a tenth of its size.
    wasm::optimise("-O1", &bound)?;
    Ok(bound)
}

/// Runs it in workerd, before a server of its own.
pub fn dev(maoocr: &Path) -> Result<()> {
    build(maoocr)?;
    script(maoocr, "dev.mjs")?.run()
}

/// Builds it, and its tests in workerd before real servers.
pub fn test(maoocr: &Path) -> Result<()> {
    build(maoocr)?;
    python::API.prepare()?;
    let tests = root()?.join("tests/edge");
    npm::install(&tests, &[])?;
    // One after the other: some are about time.
    let mut files = Vec::new();
    for entry in fs::read_dir(&tests)? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    command("node")
        .args(["--test", "--test-concurrency=1"])
        .args(files)
        .env("MAOOCR_BIN", maoocr)
        .env("MAOOCR_API_PYTHON", python::API.interpreter()?)
        .run()
}

fn script(maoocr: &Path, name: &str) -> Result<Step> {
    let tests = root()?.join("tests/edge");
    npm::install(&tests, &[])?;
    let step = command("node").arg(tests.join(name));
    Ok(step.env("MAOOCR_BIN", maoocr))
}
