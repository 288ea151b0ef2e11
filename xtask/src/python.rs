//! A virtual environment with ONNX Runtime, the reference that the executors are compared with.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::command;
use crate::{root, tools};

/// The environment's interpreter, whether it is there yet or not.
pub fn interpreter() -> Result<PathBuf> {
    let inside = if cfg!(windows) {
        "Scripts/python.exe"
    } else {
        "bin/python"
    };
    Ok(tools()?.join("parity-venv").join(inside))
}

/// Makes the environment, or brings it up to date with tests/parity/requirements.txt.
pub fn prepare() -> Result<()> {
    let requirements = root()?.join("tests/parity/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| requirements.display().to_string())?;
    let venv = tools()?.join("parity-venv");
    let installed = venv.join("installed.txt");
    let working = command(interpreter()?)
        .args(["-c", "import onnxruntime, numpy"])
        .succeeds();
    if working && std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
        return Ok(());
    }
    let system = if cfg!(windows) { "python" } else { "python3" };
    command(system)
        .args(["-m", "venv", "--clear"])
        .arg(&venv)
        .run()?;
    command(interpreter()?)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .arg(&requirements)
        .run()?;
    // Written last: an installation that was cut off is done again.
    std::fs::write(&installed, wanted).with_context(|| installed.display().to_string())
}
