//! What `deploy/` ships, checked and run: linters and schemas, then nginx, Prometheus, PostgreSQL, Redis and servers
//! from the system's packages with exactly these files (`tests/deploy`).

use std::path::Path;

use anyhow::Result;

use crate::command::command;
use crate::python;

/// Runs the checks. `maoocr` is the command that serves, its usual models pulled; the machine and the environment
/// [`python::DEPLOY`] are prepared.
pub fn check(maoocr: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") {
        eprintln!("xtask: deploy/ is for Linux: it was NOT checked");
        return Ok(());
    }
    let models = command(maoocr).args(["models", "path"]).output()?;
    command(python::DEPLOY.interpreter()?)
        .args(["-m", "pytest", "tests/deploy"])
        .env("MAOOCR_BIN", maoocr)
        .env("MAOOCR_MODELS", models.trim())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()
}
