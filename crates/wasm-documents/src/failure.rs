//! What went wrong, as JavaScript sees it.

use maoocr_engine::imaging::ImagingError;
use maoocr_engine::page::PageError;
use maoocr_engine::pipeline::EngineError;
use maoocr_pdf::searchable::WriteError;
use maoocr_wasm_base::{Fault, coded};
use wasm_bindgen::JsValue;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The file or picture.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// A page of a file.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The comparison of a text layer with what is seen.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A PDF that can't be added to.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// A workbook or a Word document that can't be made.
    #[error("the file can't be made: {0}")]
    Office(String),
    /// A value that can't be taken, or what a callback threw.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Failure {
    fn code(&self) -> &'static str {
        match self {
            Self::Imaging(error) => error.code(),
            Self::Page(page) => page.error.code(),
            Self::Engine(error) => error.code(),
            Self::Write(_) => "unwritable",
            Self::Office(_) => "internal",
            Self::Fault(fault) => fault.code(),
        }
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Fault(fault) => fault.into(),
            failure => coded(failure.code(), &failure.to_string()),
        }
    }
}
