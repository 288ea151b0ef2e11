//! Licences, sources and known vulnerabilities of the dependencies, through cargo-deny.

use std::path::PathBuf;

use anyhow::Result;

use crate::command::{cargo, command};
use crate::tools;

/// Pinned, so that a new release doesn't fail an old commit; and built from its own lock file.
const VERSION: &str = "0.20.2";

/// cargo-deny of that version, built once and kept. Returns where it is.
pub fn prepare() -> Result<PathBuf> {
    let tools = tools()?;
    let kept = tools
        .join("bin")
        .join(format!("cargo-deny{}", std::env::consts::EXE_SUFFIX));
    for program in [kept.clone(), PathBuf::from("cargo-deny")] {
        if command(&program).arg("--version").succeeds() {
            return Ok(program);
        }
    }
    eprintln!("cargo-deny {VERSION} is built once; on two cores this takes some minutes.");
    cargo(&[
        "install",
        "cargo-deny",
        "--locked",
        "--version",
        VERSION,
        "--root",
    ])
    .arg(&tools)
    // Not into the workspace's own build folder, and gone when a cache is trimmed.
    .env("CARGO_TARGET_DIR", tools.join("build"))
    // Half the time to compile, and fast enough for one run.
    .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0")
    .env("CARGO_PROFILE_RELEASE_LTO", "off")
    .run()?;
    std::fs::remove_dir_all(tools.join("build")).ok();
    Ok(kept)
}

/// Licences, bans and sources always; advisories when their database can be had.
pub fn check() -> Result<()> {
    let deny = prepare()?;
    let checked = |what: &[&str]| {
        command(&deny)
            .args([
                "--all-features",
                "--locked",
                "check",
                "--hide-inclusion-graph",
            ])
            .args(what)
    };
    checked(&["licenses", "bans", "sources"]).run()?;
    if command(&deny).args(["fetch", "db"]).succeeds() {
        checked(&["--disable-fetch", "advisories"]).run()
    } else {
        eprintln!(
            "xtask: the advisory database can't be reached: known vulnerabilities were NOT looked for"
        );
        Ok(())
    }
}
