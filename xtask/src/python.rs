//! Virtual environments: with ONNX Runtime, the reference that the executors are compared with, with what checks
//! `deploy/`, and with what calls the server as strangers do.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::command::command;
use crate::{root, tools};

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

/// A fuzzer of interfaces and another service's client.
pub const API: Environment = Environment {
    name: "api-venv",
    requirements: "tests/server/requirements.txt",
    probe: "import schemathesis, mistralai.client",
};

impl Environment {
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
        command(self.interpreter()?)
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
}
