//! What is built from `www/`: the web app (`www/app/dist`) and the npm package (`pkg/`).

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::command;
use crate::{node, npm, root, target};

/// Bundles the app; `maoocr` says where the models are that it offers.
pub fn build(maoocr: &Path) -> Result<()> {
    node::prepare()?;
    npm::install(&folder()?, &[])?;
    let small = ["ppocrv6-small-det", "ppocrv6-small-rec"];
    run(maoocr, "build", &compact(maoocr, &small)?)
}

/// What the npm package `maoocr` needs beside its WebAssembly modules.
pub fn package(maoocr: &Path) -> Result<()> {
    node::prepare()?;
    npm::install(&folder()?, &[])?;
    run(maoocr, "package", &compact(maoocr, &[])?)
}

/// A script of `www/package.json`, which is told where the models are.
pub fn run(maoocr: &Path, script: &str, compact: &Path) -> Result<()> {
    npm::npm(&folder()?)
        .args(["run", script])
        .env("MAOOCR_MODELS", models(maoocr)?)
        .env("MAOOCR_COMPACT_MODELS", compact)
        .run()
}

/// The folder of the tiny models in half the size, with others.
pub fn compact(maoocr: &Path, others: &[&str]) -> Result<PathBuf> {
    let folder = target()?.join("compact-models");
    command(maoocr)
        .args(["models", "compact", "--out"])
        .arg(&folder)
        .args(["ppocrv6-tiny-det", "ppocrv6-tiny-rec"])
        .args(others)
        .run()?;
    Ok(folder)
}

/// Formatting, lints, types, the library's own tests, then the built app in a browser next to the command.
pub fn test(maoocr: &Path) -> Result<()> {
    // Deno and Bun, which the npm package is tried in.
    npm::install(&folder()?.join("tests/runtimes"), &[])?;
    for script in ["check", "test"] {
        npm::npm(&folder()?)
            .args(["run", script])
            .env("MAOOCR_MODELS", models(maoocr)?)
            .env("MAOOCR_COMPACT_MODELS", target()?.join("compact-models"))
            .env("MAOOCR_BIN", maoocr)
            .run()?;
    }
    Ok(())
}

/// Where npm installs what is built from here.
pub fn folder() -> Result<PathBuf> {
    Ok(root()?.join("www"))
}

fn models(maoocr: &Path) -> Result<String> {
    let path = command(maoocr).args(["models", "path"]).output()?;
    Ok(path.trim().into())
}
