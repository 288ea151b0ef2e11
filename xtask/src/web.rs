//! The web app: `www/app/dist`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command::command;
use crate::{npm, root};

/// The oldest Node.js that the bundler runs on.
const NODE: (u32, u32) = (20, 19);

/// Bundles the app; `maoocr` says where the models are that it offers.
pub fn build(maoocr: &Path) -> Result<()> {
    check_node()?;
    npm::install(&folder()?, &[])?;
    npm::npm(&folder()?)
        .args(["run", "build"])
        .env("MAOOCR_MODELS", models(maoocr)?)
        .run()
}

/// Formatting, lints, types, the library's own tests, then the built app in a browser next to the command.
pub fn test(maoocr: &Path) -> Result<()> {
    for script in ["check", "test"] {
        npm::npm(&folder()?)
            .args(["run", script])
            .env("MAOOCR_MODELS", models(maoocr)?)
            .env("MAOOCR_BIN", maoocr)
            .run()?;
    }
    Ok(())
}

fn folder() -> Result<PathBuf> {
    Ok(root()?.join("www"))
}

fn models(maoocr: &Path) -> Result<String> {
    let path = command(maoocr).args(["models", "path"]).output()?;
    Ok(path.trim().into())
}

fn check_node() -> Result<()> {
    let told = command("node").arg("--version").output()?;
    let mut numbers = told
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(str::parse);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        bail!("node --version says {told:?}");
    };
    if (major, minor) < NODE {
        bail!(
            "Node.js is {}; building the web app needs {}.{} or newer: https://nodejs.org",
            told.trim(),
            NODE.0,
            NODE.1
        );
    }
    Ok(())
}
