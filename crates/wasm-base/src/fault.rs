//! What is wrong with what JavaScript gave.

use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// Why a value can't be taken.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It is of the wrong kind.
    #[error("{0}")]
    Argument(String),
    /// There is no room for it.
    #[error("{bytes} bytes don't fit into this module's memory")]
    OutOfMemory {
        /// How many.
        bytes: usize,
    },
    /// JavaScript threw this.
    #[error("a callback threw")]
    Thrown(JsValue),
}

impl Fault {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Argument(_) => "invalid_argument",
            Self::OutOfMemory { .. } => "out_of_memory",
            Self::Thrown(_) => "thrown",
        }
    }
}

impl From<Fault> for JsValue {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Thrown(value) => value,
            fault => coded(fault.code(), &fault.to_string()),
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

/// Sets a property of a fresh object.
pub fn set(target: &JsValue, name: &str, value: &JsValue) {
    // A fresh object takes any property.
    Reflect::set(target, &name.into(), value).ok();
}
