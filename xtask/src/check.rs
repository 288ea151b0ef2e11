//! What can be said of the files without running them: the quick ones first.

use anyhow::Result;

use crate::command::{cargo, command};
use crate::steps::step;
use crate::{PROFILE, context, deny, links, python};

/// All checks. [`python::CHECK`] is prepared.
pub fn run() -> Result<()> {
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
    step("lints", "10 min", lints)?;
    step("licences", "", deny::check)
}

/// rustfmt on all crates.
pub fn formatting() -> Result<()> {
    cargo(&["fmt", "--all", "--check"]).run()
}

/// clippy on everything that the tests build.
pub fn lints() -> Result<()> {
    // In the tests' profile, so that both share the build scripts and procedural macros of the dependencies.
    cargo(&["clippy", "--profile", PROFILE, "--workspace"])
        .args(["--all-targets", "--locked", "--", "-D", "warnings"])
        .run()
}
