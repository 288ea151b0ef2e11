//! The extension module of the Python package `maoocr`. What users see is Python code in `python/maoocr`; this is what it
//! calls: bytes and JSON in, JSON and bytes out.

mod attend;
mod document;
mod engine;
mod fault;
mod pull;
mod read;
mod request;
mod searchable;
mod source;
mod state;
mod stream;

use pyo3::prelude::*;

/// The engine. Use `maoocr` instead: this interface may change with every version.
#[pymodule(gil_used = true)]
mod _maoocr {
    use super::*;

    #[pymodule_export]
    use crate::attend::Cancel;
    #[pymodule_export]
    use crate::document::Document;
    #[pymodule_export]
    use crate::engine::{Engine, list_models, pull_models};
    #[pymodule_export]
    use crate::stream::Stream;

    /// The version of the engine.
    #[pymodule_export]
    const VERSION: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        quiet_decoders();
        // Parsed now, so that no fork finds it half done.
        maoocr_models::Manifest::built_in();
        let languages = maoocr_engine::plan::Language::names();
        module.add("LANGUAGES", languages)
    }
}

/// The PDF reader's panics are caught and become errors with a reason; what they would print is no help to anybody.
fn quiet_decoders() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some("pdf") {
            usual(panic);
        }
    }));
}
