//! What went wrong, as JavaScript sees it.

use js_sys::Reflect;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::pipeline::EngineError;
use maoocr_engine::plan::{PlanError, RequirementError};
use maoocr_runtime::RuntimeError;
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
    /// An argument of the wrong kind.
    #[error("{0}")]
    Argument(String),
    /// There is no room for the bytes that were given.
    #[error("{bytes} bytes don't fit into this module's memory")]
    OutOfMemory {
        /// How many.
        bytes: usize,
    },
    /// The caller's callback threw this.
    #[error("a callback threw")]
    Thrown(JsValue),
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
            Self::Argument(_) => "invalid_argument",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Thrown(_) => "thrown",
        }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Thrown(value) => value,
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

/// An `Error` with a code.
pub fn coded(code: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    error.set_name("MaoOcrError");
    set(&error, "code", &code.into());
    error.into()
}

fn set(target: &JsValue, name: &str, value: &JsValue) {
    // A fresh object takes any property.
    Reflect::set(target, &name.into(), value).ok();
}
