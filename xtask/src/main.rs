//! Set-up, build and test as plain Rust: `cargo xtask …`.

mod command;
mod deny;
mod deploy;
mod edge;
mod machine;
mod node;
mod npm;
mod python;
mod sqlx;
mod wasm;
mod web;

use std::env;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use command::{cargo, command};
use machine::Purpose;

const HELP: &str = "\
cargo xtask <command>

  start   what running needs, build, fetch the models, read tests/samples, serve the web app and the API
  test    everything a change must pass: set-up, formatting, lints, licences, tests on every executor
  sqlx    what the server's queries are checked against, after a change of its queries or tables
  wasm    the engine for JavaScript, into pkg/; the module for GPUs takes ten minutes the first time
  web     the web app with its models, into www/app/dist
  edge    the Worker for Cloudflare with its files, into worker-edge/build
          edge dev: and runs it in workerd, before a server, on 127.0.0.1:8787
          edge test: and its tests
  deploy-check
          what deploy/ ships: linted, and run with nginx, Prometheus, PostgreSQL and Redis from packages
  setup   only prepare this machine for `test`
  check   formatting, lints and licences, without the tests
";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["start"] => start(),
        ["test"] => test(),
        ["sqlx"] => sqlx::prepare(),
        ["wasm"] => wasm::build().and_then(|()| wasm::build_gpu()),
        ["web"] => web(true),
        ["edge"] | ["edge", "build"] => edge_for(edge::build),
        ["edge", "dev"] => edge_for(edge::dev),
        ["edge", "test"] => edge_for(edge::test),
        ["deploy-check"] => deploy_check(),
        ["setup"] => setup(),
        ["check"] => check(),
        ["help" | "--help" | "-h"] | [] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!(
                "`cargo xtask {}`: no such command.\n\n{HELP}",
                arguments.join(" ")
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// From a fresh checkout to a read picture and a running server.
fn start() -> Result<()> {
    machine::prepare(Purpose::Run)?;
    let maoocr = binary(&["--package", "maoocr-cli"])?;
    command(&maoocr).args(["models", "pull"]).run()?;
    let mut samples = Vec::new();
    for name in ["receipt.jpg", "chinese.jpg"] {
        samples.push(root()?.join("tests/samples").join(name));
    }
    command(&maoocr).arg("recognize").args(&samples).run()?;
    // Its module for GPUs takes longer to build than all the rest.
    if let Err(error) = web(false) {
        eprintln!("xtask: {error:#}; going on without the web app");
    }
    eprintln!("\nThe server follows; Ctrl-C ends it. From another terminal:");
    eprintln!("  curl -F image=@tests/samples/receipt.jpg http://127.0.0.1:8787/api/ocr/recognize");
    command(&maoocr).arg("serve").run()
}

/// The web app from a fresh checkout, with the models that it offers; where `gpu` doesn't say so, it has the module for
/// GPUs only if that was built before.
fn web(gpu: bool) -> Result<()> {
    machine::prepare(Purpose::Web)?;
    let maoocr = binary(&["--package", "maoocr-cli"])?;
    command(&maoocr).args(["models", "pull"]).run()?;
    let modules = ["web/maoocr_bg.wasm", "web-relaxed/maoocr_relaxed_bg.wasm"];
    let pkg = root()?.join("pkg");
    if !modules.iter().all(|module| pkg.join(module).exists()) {
        wasm::build()?;
    }
    if gpu && !pkg.join("web-gpu/maoocr_gpu_bg.wasm").exists() {
        wasm::build_gpu()?;
    }
    web::build(&maoocr)
}

/// The Worker from a fresh checkout, and then some.
fn edge_for(then: fn(&Path) -> Result<()>) -> Result<()> {
    machine::prepare(Purpose::Web)?;
    let maoocr = binary(&["--package", "maoocr-cli"])?;
    command(&maoocr).args(["models", "pull"]).run()?;
    then(&maoocr)
}

/// The files of `deploy/` alone, with what they need.
fn deploy_check() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    python::DEPLOY.prepare()?;
    let maoocr = binary(&["--package", "maoocr-cli"])?;
    command(&maoocr).args(["models", "pull"]).run()?;
    deploy::check(&maoocr)
}

/// The machine as the tests need it: packages, Python with the reference engine and with linters, cargo-deny.
fn setup() -> Result<()> {
    machine::prepare(Purpose::Test)?;
    python::PARITY.prepare()?;
    python::API.prepare()?;
    python::DEPLOY.prepare()?;
    deny::prepare().map(drop)
}

fn check() -> Result<()> {
    cargo(&["fmt", "--all", "--check"]).run()?;
    // In the release profile, so that lints and tests share what is compiled of the dependencies' build scripts.
    cargo(&[
        "clippy",
        "--release",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ])
    .run()?;
    deny::check()
}

fn test() -> Result<()> {
    setup()?;
    check()?;
    // All targets at once: cargo chooses the dependencies' features for what it is asked to build, and another choice
    // would compile Burn a second time for the tests.
    let maoocr = binary(&["--workspace", "--all-targets"])?;
    // The models the tests compare executors with, the layout network and PP-OCRv5 among them.
    command(&maoocr)
        .args([
            "models",
            "pull",
            "ppocrv6-tiny-det",
            "ppocrv6-tiny-rec",
            "ppocrv6-small-det",
            "ppocrv6-small-rec",
        ])
        .args([
            "ppocrv5-line-orientation",
            "page-orientation",
            "layout-cdla",
        ])
        .run()?;
    cargo(&[
        "test",
        "--release",
        "--workspace",
        "--locked",
        "--no-fail-fast",
    ])
    .env("MAOOCR_PYTHON", python::PARITY.interpreter()?)
    .env("MAOOCR_API_PYTHON", python::API.interpreter()?)
    .env("MAOOCR_BIN", &maoocr)
    .run()?;
    deploy::check(&maoocr)?;
    wasm::build()?;
    wasm::build_gpu()?;
    wasm::test(&maoocr)?;
    web::build(&maoocr)?;
    web::test(&maoocr)?;
    edge::test(&maoocr)
}

/// Builds `maoocr`, as part of what `selection` names, and says where it is.
fn binary(selection: &[&str]) -> Result<PathBuf> {
    cargo(&["build", "--release", "--locked"])
        .args(selection)
        .run()?;
    let name = format!("maoocr{}", env::consts::EXE_SUFFIX);
    let path = target()?.join("release").join(name);
    if !path.exists() {
        bail!("cargo built maoocr, but not as {}", path.display());
    }
    Ok(path)
}

/// The repository's root.
fn root() -> Result<PathBuf> {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(own
        .parent()
        .context("xtask lies in the repository's root")?
        .to_path_buf())
}

/// Where cargo builds: this program lies in its `release`.
fn target() -> Result<PathBuf> {
    if let Some(folder) = env::var_os("CARGO_TARGET_DIR").filter(|v| !v.is_empty()) {
        return std::path::absolute(folder).context("CARGO_TARGET_DIR");
    }
    Ok(root()?.join("target"))
}

/// Where tools are kept between runs: beside the build folder, so that whoever caches the one keeps the other.
fn tools() -> Result<PathBuf> {
    let target = target()?;
    match env::var_os("CARGO_TARGET_DIR") {
        Some(_) => Ok(target
            .parent()
            .context("CARGO_TARGET_DIR is the root folder")?
            .join("tools")),
        None => Ok(target.join("tools")),
    }
}
