//! What went wrong, as JavaScript sees it.

use maoocr_engine::imaging::ImagingError;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::plan::{PlanError, RequirementError};
use maoocr_runtime::RuntimeError;
use maoocr_wasm_base::{Fault, coded, set};
use wasm_bindgen::JsValue;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The engine's own reasons.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A requirement that is none.
    #[error(transparent)]
    Requirement(#[from] RequirementError),
    /// A network that can't be loaded, or no such device.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A name that the manifest doesn't have.
    #[error("no model is called `{0}`; models() lists the names")]
    UnknownModel(String),
    /// Bytes that aren't the ones of that name.
    #[error("these bytes are not {name}: {reason}")]
    WrongBytes {
        /// The model.
        name: String,
        /// How that was told.
        reason: String,
    },
    /// A value that can't be taken.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl From<ImagingError> for Failure {
    fn from(error: ImagingError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    fn code(&self) -> &'static str {
        match self {
            Self::Engine(error) => error.code(),
            Self::Requirement(_) => "invalid_requirements",
            Self::Runtime(error) => error.code(),
            Self::UnknownModel(_) => "unknown_model",
            Self::WrongBytes { .. } => "wrong_bytes",
            Self::Fault(fault) => fault.code(),
        }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => fault.into(),
            Failure::Requirement(error) => {
                let thrown = coded("invalid_requirements", &error.to_string());
                let allowed: js_sys::Array = error.allowed.iter().map(JsValue::from).collect();
                set(&thrown, "field", &error.field.into());
                set(&thrown, "allowed", &allowed);
                thrown
            }
            failure => coded(failure.code(), &failure.to_string()),
        }
    }
}
