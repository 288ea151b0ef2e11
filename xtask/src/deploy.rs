//! What `deploy/` ships, checked and run: linters and schemas, then nginx, Prometheus, PostgreSQL, Redis and servers
//! from the system's packages with exactly these files (`tests/deploy`).

use std::path::Path;

use anyhow::{Result, bail};

use crate::command::command;
use crate::python;

/// What is there in the environment and in `apt-get`'s packages must be prepared. `maoocr` is the command that serves;
/// its usual models must be pulled.
pub fn check(maoocr: &Path) -> Result<()> {
    if !cfg!(target_os = "linux") {
        bail!(
            "the services of deploy/ are checked on Linux alone: they come from Debian's packages"
        );
    }
    let models = command(maoocr).args(["models", "path"]).output()?;
    command(python::DEPLOY.interpreter()?)
        .args(["-m", "pytest", "tests/deploy"])
        .env("MAOOCR_BIN", maoocr)
        .env("MAOOCR_MODELS", models.trim())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()
}
