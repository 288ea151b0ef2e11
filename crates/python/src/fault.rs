//! What went wrong, on its way to a Python exception.

use std::any::Any;

use maoocr_engine::imaging::ImagingError;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::plan::{PlanError, RequirementError};
use maoocr_pdf::searchable::WriteError;
use maoocr_runtime::RuntimeError;
use pyo3::prelude::*;

/// A failed call. `maoocr.errors` makes the exception of it.
#[derive(Debug)]
pub struct Fault {
    /// Name of the exception's class in `maoocr.errors`.
    class: &'static str,
    /// A stable word for programs.
    code: String,
    /// What to tell a person.
    detail: String,
    /// The requirement that can't be used, and what may stand there.
    field: Option<(String, Vec<String>)>,
}

impl Fault {
    fn new(class: &'static str, code: impl Into<String>, detail: impl ToString) -> Self {
        Self {
            class,
            code: code.into(),
            detail: detail.to_string(),
            field: None,
        }
    }

    /// An argument that makes no sense.
    pub fn argument(detail: impl ToString) -> Self {
        Self::new("InputError", "invalid_argument", detail)
    }

    /// What follows from a fork.
    pub fn forked(what: &str) -> Self {
        let detail = format!("{what} began before this process was forked: begin it anew here");
        Self::new("MaoOCRError", "forked", detail)
    }

    /// The caller said stop.
    pub fn cancelled() -> Self {
        EngineError::Cancelled.into()
    }

    /// Text and pixels can't be written into one another.
    pub fn export(detail: impl ToString) -> Self {
        Self::new("MaoOCRError", "export_failed", detail)
    }

    /// A fault of this program.
    pub fn panic(cause: &(dyn Any + Send)) -> Self {
        let said = cause
            .downcast_ref::<&str>()
            .map(ToString::to_string)
            .or_else(|| cause.downcast_ref::<String>().cloned())
            .unwrap_or_default();
        Self::new("MaoOCRError", "internal", format!("internal error: {said}"))
    }

    /// Whether the caller said stop.
    pub fn is_cancelled(&self) -> bool {
        self.code == EngineError::Cancelled.code()
    }
}

impl From<ImagingError> for Fault {
    fn from(error: ImagingError) -> Self {
        Self::new("ImageError", error.code(), error)
    }
}

impl From<EngineError> for Fault {
    fn from(error: EngineError) -> Self {
        let class = match &error {
            EngineError::Imaging(_) => "ImageError",
            EngineError::Runtime(RuntimeError::Device { .. } | RuntimeError::Lost { .. }) => {
                "DeviceError"
            }
            EngineError::Cancelled => "Cancelled",
            _ => "ModelError",
        };
        Self::new(class, error.code(), error)
    }
}

impl From<RuntimeError> for Fault {
    fn from(error: RuntimeError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<PlanError> for Fault {
    fn from(error: PlanError) -> Self {
        let PlanError::NotInstalled { need, model } = &error;
        let detail = format!("{need} is not installed; get it with maoocr.pull([\"{model}\"])");
        Self::new("ModelError", "model_not_installed", detail)
    }
}

impl From<maoocr_models::Error> for Fault {
    fn from(error: maoocr_models::Error) -> Self {
        use maoocr_models::Error;
        let code = match &error {
            Error::UnknownModel(_) => "no_such_model",
            Error::Missing { .. } | Error::Offline { .. } => "model_not_installed",
            Error::WrongSize { .. } | Error::WrongHash { .. } => "model_damaged",
            Error::NotFetched(_) => "model_not_fetched",
            _ => "model_store",
        };
        let detail = match &error {
            Error::NotFetched(failures) => unreachable_sources(failures),
            Error::Offline { folder, files } => format!(
                "offline, and missing or incomplete in {}: {}; run maoocr.pull() where there is a network and copy the \
                 folder here, or install maoocr[models]",
                folder.display(),
                files.join(", ")
            ),
            other => other.to_string(),
        };
        Self::new("ModelError", code, detail)
    }
}

/// What somebody without a network can do.
fn unreachable_sources(failures: &[maoocr_models::Failure]) -> String {
    let names: Vec<&str> = failures.iter().map(|f| f.name.as_str()).collect();
    let said: Vec<String> = failures.iter().map(ToString::to_string).collect();
    format!(
        "the models {} can't be downloaded. Without a network, install the package maoocr-models; or run `python -m maoocr \
         pull --models FOLDER` on a machine that has one, copy FOLDER here and set MAOOCR_MODELS to it.\n{}",
        names.join(", "),
        said.join("\n")
    )
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        Self::export(error)
    }
}

impl From<RequirementError> for Fault {
    fn from(error: RequirementError) -> Self {
        let mut fault = Self::new("RequirementError", "invalid_requirements", &error);
        fault.field = Some((error.field, error.allowed));
        fault
    }
}

impl From<Fault> for PyErr {
    fn from(fault: Fault) -> Self {
        let make = |py: Python<'_>| -> PyResult<PyErr> {
            let class = py.import("maoocr.errors")?.getattr(fault.class)?;
            let exception = match fault.field {
                Some((field, allowed)) => {
                    class.call1((fault.code, fault.detail, field, allowed))?
                }
                None => class.call1((fault.code, fault.detail))?,
            };
            Ok(PyErr::from_value(exception))
        };
        Python::attach(|py| make(py).unwrap_or_else(|error| error))
    }
}
