//! The web app: `www/app/dist`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::command;
use crate::{node, npm, root, target};

/// Bundles the app; `maoocr` says where the models are that it offers.
pub fn build(maoocr: &Path) -> Result<()> {
    node::prepare()?;
    npm::install(&folder()?, &[])?;
    let compact = target()?.join("compact-models");
    command(maoocr)
        .args(["models", "compact", "--out"])
        .arg(&compact)
        .args(["ppocrv6-tiny-det", "ppocrv6-tiny-rec"])
        .args(["ppocrv6-small-det", "ppocrv6-small-rec"])
        .run()?;
    npm::npm(&folder()?)
        .args(["run", "build"])
        .env("MAOOCR_MODELS", models(maoocr)?)
        .env("MAOOCR_COMPACT_MODELS", compact)
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
