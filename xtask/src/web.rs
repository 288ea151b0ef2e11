//! The web app: `www/app/dist`.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::command::command;
use crate::{node, npm, root};

/// Bundles the app; `maoocr` says where the models are that it offers.
pub fn build(maoocr: &Path) -> Result<()> {
    node::prepare()?;
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
