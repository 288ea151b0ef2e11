//! What can be said of the files without running them: the quick ones first.

use anyhow::Result;

use crate::command::{cargo, command};
use crate::steps::step;
use crate::{PROFILE, context, deny, links, python};

/// All checks. [`python::CHECK`] is prepared.
pub fn run() -> Result<()> {
    files()?;
    step("lints", "10 min", || lints(&["--workspace"]))
}

/// All but what needs the dependencies compiled.
pub fn files() -> Result<()> {
    step("formatting", "", formatting)?;
    step("spelling", "", || {
        command(python::CHECK.program("typos")?)
            .args(["--config", "xtask/typos.toml"])
            .run()
    })?;
    step("links", "", links::check)?;
    step("workflows", "", || {
        command(python::CHECK.program("actionlint")?)
            .args(["-no-color", "-shellcheck=", "-pyflakes="])
            .run()
    })?;
    step("Dockerfile", "", || {
        command(python::CHECK.program("hadolint")?)
            .arg("Dockerfile")
            .run()?;
        context::check()
    })?;
    step("licences", "", deny::check)
}

/// rustfmt on all crates.
pub fn formatting() -> Result<()> {
    cargo(&["fmt", "--all", "--check"]).run()
}

/// clippy, for those who build nothing; the tests have it in one pass with the compiler: [`crate::lints`].
pub fn lints(which: &[&str]) -> Result<()> {
    // In the tests' profile, so that both share the build scripts and procedural macros of the dependencies.
    cargo(&["clippy", "--profile", PROFILE, "--all-targets", "--locked"])
        .args(which)
        .args(["--", "-D", "warnings"])
        .run()
}
