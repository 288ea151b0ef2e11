//! The Python package: its wheel and its tests (`crates/python`).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::command::command;
use crate::steps::step;
use crate::{PROFILE, python, root, target};

/// Builds the wheel in a profile; says where it is. The environment [`python::PACKAGE`] is prepared.
pub fn build(profile: &str) -> Result<PathBuf> {
    let out = target()?.join("wheels").join(profile);
    // What an earlier version left would be installed in its place.
    if out.exists() {
        fs::remove_dir_all(&out).with_context(|| out.display().to_string())?;
    }
    command(python::PACKAGE.program("maturin")?)
        .args(["build", "--locked", "--profile", profile, "--quiet"])
        .args(["--manifest-path", "crates/python/Cargo.toml", "--out"])
        .arg(&out)
        .arg("--interpreter")
        .arg(python::PACKAGE.interpreter()?)
        .run()?;
    only_wheel(&out)
}

/// What the package fetches on first use.
const MODELS: [&str; 8] = [
    "ppocrv6-small-det",
    "ppocrv6-small-rec",
    "ppocrv6-dict",
    "ppocrv6-tiny-det",
    "ppocrv6-tiny-rec",
    "ppocrv6-tiny-dict",
    "ppocrv5-line-orientation",
    "page-orientation",
];

/// Builds the wheel `maoocr-models` of the models that `maoocr` has pulled; says where it is.
pub fn models(maoocr: &Path) -> Result<PathBuf> {
    let place = target()?.join("wheels").join("models");
    if place.exists() {
        fs::remove_dir_all(&place).with_context(|| place.display().to_string())?;
    }
    let package = place.join("source").join("maoocr_models");
    fs::create_dir_all(&package).with_context(|| package.display().to_string())?;
    let sources = root()?.join("crates/python/models");
    for (from, to) in [
        (sources.join("pyproject.toml"), "../pyproject.toml"),
        (sources.join("README.md"), "../README.md"),
        (root()?.join("LICENSE"), "../LICENSE"),
        (root()?.join("NOTICE"), "../NOTICE"),
        (sources.join("maoocr_models/__init__.py"), "__init__.py"),
    ] {
        fs::copy(&from, package.join(to)).with_context(|| from.display().to_string())?;
    }
    for name in MODELS {
        command(maoocr).args(["models", "verify", name]).output()?;
        let path = command(maoocr).args(["models", "path", name]).output()?;
        let path = Path::new(path.trim());
        let file = path.file_name().context("a model's path has no name")?;
        fs::copy(path, package.join(file)).with_context(|| path.display().to_string())?;
    }
    command(python::PACKAGE.interpreter()?)
        .args(["-m", "pip", "wheel", "--quiet", "--no-deps"])
        .args(["--disable-pip-version-check", "--no-build-isolation"])
        .arg("--wheel-dir")
        .arg(&place)
        .arg(place.join("source"))
        .run()?;
    only_wheel(&place)
}

fn only_wheel(folder: &Path) -> Result<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "whl") {
            found.push(path);
        }
    }
    match found.as_slice() {
        [wheel] => Ok(wheel.clone()),
        _ => bail!(
            "{}: {} wheels instead of one",
            folder.display(),
            found.len()
        ),
    }
}

/// Builds the wheel, installs it as a user does, and runs its tests. `maoocr` is the command to compare with, its usual
/// models pulled.
pub fn test(maoocr: &Path) -> Result<()> {
    let wheel = step("wheel", "2 min", || build(PROFILE))?;
    let models = models(maoocr)?;
    let folder = command(maoocr).args(["models", "path"]).output()?;
    let interpreter = python::PACKAGE.interpreter()?;
    python::pip_install(interpreter.clone())
        .args(["--no-deps", "--force-reinstall"])
        .arg(&wheel)
        .run()?;
    for arguments in [
        // Of the installed package, as users check what they write against it.
        &["-m", "mypy", "--strict", "--package", "maoocr"][..],
        &["-m", "mypy", "--strict", "crates/python/tests/typed.py"],
        &["-m", "mypy.stubtest", "maoocr._maoocr"],
    ] {
        let config = match arguments[1] {
            "mypy" => "--config-file",
            _ => "--mypy-config-file",
        };
        command(&interpreter)
            .args(arguments)
            .args([config, "crates/python/pyproject.toml"])
            .env("MYPY_CACHE_DIR", target()?.join("mypy"))
            .run()?;
    }
    command(&interpreter)
        .args([
            "-m",
            "pytest",
            "--quiet",
            "-p",
            "no:cacheprovider",
            "crates/python/tests",
        ])
        .env("MAOOCR_BIN", maoocr)
        .env("MAOOCR_MODELS", folder.trim())
        .env("MAOOCR_MODELS_WHEEL", models)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .run()
}
