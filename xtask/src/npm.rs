//! Packages from npm, of the versions in a lock file.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;

use crate::command::{Step, command};

/// npm in a folder.
pub fn npm(folder: &Path) -> Step {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    command(program).arg("--prefix").arg(folder)
}

/// Steps beside one another may want the packages of the same folder.
static INSTALLING: Mutex<()> = Mutex::new(());

/// The packages of a folder's lock file, where they aren't there yet. Returns where they are.
pub fn install(folder: &Path, options: &[&str]) -> Result<PathBuf> {
    let _one = INSTALLING.lock().unwrap_or_else(|e| e.into_inner());
    let modules = folder.join("node_modules");
    let lock = std::fs::read_to_string(folder.join("package-lock.json"))?;
    let installed = modules.join("installed.json");
    if !std::fs::read_to_string(&installed).is_ok_and(|found| found == lock) {
        npm(folder)
            .args(["ci", "--no-audit", "--no-fund"])
            .args(options)
            .run()?;
        // Written last: an installation that was cut off is done again.
        std::fs::write(&installed, lock)?;
    }
    Ok(modules)
}
