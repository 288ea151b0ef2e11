//! The browser extension: `www/extension/dist`, a folder and an archive for each store.

use std::path::Path;

use anyhow::Result;

use crate::{node, npm, web};

/// Builds it with the tiny models; `maoocr` says where they are. The same source gives the same archives.
pub fn build(maoocr: &Path) -> Result<()> {
    node::prepare()?;
    npm::install(&web::folder()?, &[])?;
    web::run(maoocr, "extension", &web::compact(maoocr, &[])?)
}
