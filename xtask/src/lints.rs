//! clippy in the same pass as the compiler: `cargo clippy` alone would compile every dependency a second time.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::command::{Step, before_compiler, status};

/// Says to this program that it stands before the compiler, to look at what it compiles: see [`wrapped`]. Its value is
/// clippy's compiler.
const WRAPS: &str = "MAOOCR_CLIPPY";

/// The step, of cargo's, with clippy on each of the workspace's crates that it compiles.
pub fn with(step: Step) -> Result<Step> {
    Ok(step
        .env("RUSTC_WORKSPACE_WRAPPER", env::current_exe()?)
        .env(WRAPS, driver())
        // The form in which `cargo clippy -- -D warnings` hands it on.
        .env(
            "CLIPPY_ARGS",
            "-D__CLIPPY_HACKERY__warnings__CLIPPY_HACKERY__",
        ))
}

/// Beside the cargo that runs this program, else by its name.
fn driver() -> PathBuf {
    let name = format!("clippy-driver{}", env::consts::EXE_SUFFIX);
    let beside = env::var_os("CARGO").map(|cargo| Path::new(&cargo).with_file_name(&name));
    beside
        .filter(|path| path.is_file())
        .unwrap_or_else(|| name.into())
}

/// Where cargo runs this program before the compiler: compiles, then has clippy look at the same crate. None: this is no
/// such run.
pub fn wrapped() -> Option<ExitCode> {
    before_compiler(WRAPS, |driver, compiler, arguments| {
        let folder = tempfile::tempdir().context("a folder for what clippy leaves")?;
        let Some(looked_at) = without_code(arguments, folder.path()) else {
            // Cargo asks the compiler about itself.
            return status(Command::new(compiler).args(arguments));
        };
        // The compiler first, because other crates wait for it. What it would warn of, clippy says too.
        let compiled = status(
            Command::new(compiler)
                .args(arguments)
                .arg("--cap-lints=allow"),
        )?;
        if !compiled {
            return Ok(false);
        }
        status(Command::new(driver).arg(compiler).args(looked_at))
    })
}

/// The arguments that have a crate checked and no code made of it, with what is written in `folder`; none where they
/// compile nothing.
fn without_code(arguments: &[OsString], folder: &Path) -> Option<Vec<OsString>> {
    let mut compiles = false;
    let mut looked_at = Vec::with_capacity(arguments.len());
    let mut left = arguments.iter();
    while let Some(argument) = left.next() {
        let text = argument.to_string_lossy();
        if text.starts_with("--emit=") {
            compiles = true;
            looked_at.push("--emit=metadata".into());
        } else if let Some(kinds) = text.strip_prefix("--json=") {
            // Cargo takes what is announced to be written for what it waits for.
            let kinds: Vec<&str> = kinds.split(',').filter(|k| *k != "artifacts").collect();
            looked_at.push(format!("--json={}", kinds.join(",")).into());
        } else if text == "--out-dir" {
            left.next();
            looked_at.extend([argument.clone(), folder.into()]);
        } else {
            looked_at.push(argument.clone());
        }
    }
    compiles.then_some(looked_at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clippy_sees_the_crate_and_writes_elsewhere() {
        let given = "--crate-name one --json=diagnostic-rendered-ansi,artifacts --emit=dep-info,link -C opt-level=3 \
                     --out-dir /target/deps --extern two=/target/deps/libtwo.rlib"
            .split_whitespace()
            .map(OsString::from)
            .collect::<Vec<_>>();
        let seen = without_code(&given, Path::new("/elsewhere")).unwrap();
        assert_eq!(
            seen.join(std::ffi::OsStr::new(" ")),
            "--crate-name one --json=diagnostic-rendered-ansi --emit=metadata -C opt-level=3 --out-dir /elsewhere \
             --extern two=/target/deps/libtwo.rlib"
        );
    }

    #[test]
    fn a_question_about_the_compiler_is_no_crate() {
        assert!(without_code(&["-vV".into()], Path::new("/elsewhere")).is_none());
    }
}
