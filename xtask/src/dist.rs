//! `cargo xtask dist`: what a release ships, into `target/dist`.

use anyhow::{Context, Result};

use crate::command::{cargo, command};
use crate::machine::{self, Purpose};
use crate::steps::step;
use crate::{PROFILE, binary, target};

/// Builds the command for release, and packs it.
pub fn run(gpu: bool) -> Result<()> {
    machine::prepare(Purpose::Run)?;
    let features = if gpu { "gpu" } else { "" };
    let maoocr = binary("dist", &["--package", "maoocr-cli", "--features", features])?;
    let host = command("rustc").arg("-vV").output()?;
    let host = host
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc -vV names its host")?;
    step("archive", "", || {
        cargo(&["run", "--profile", PROFILE, "--locked", "--quiet"])
            .args(["--package", "xtask-pack", "--"])
            .arg(&maoocr)
            .args([host, features])
            .arg(target()?.join("dist"))
            .run()
    })
}
