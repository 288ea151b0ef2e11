//! Documents for JavaScript: a WebAssembly module beside the engine's, loaded when a PDF is opened or an export is made.
//!
//! [`Pdf`] reads PDFs; whatever must be read as a picture an engine elsewhere reads. [`structure`] finds the regions of a
//! page that was read, [`Export`] writes pages in other forms, [`SearchablePdf`] as a PDF. It runs no network.

mod elsewhere;
mod export;
mod failure;
mod fence;
mod pdf;
mod searchable;
mod structure;
mod types;

use maoocr_wasm_base::coded;
use wasm_bindgen::prelude::wasm_bindgen;

pub use export::Export;
pub use pdf::Pdf;
pub use searchable::SearchablePdf;
pub use structure::structure;

#[wasm_bindgen(start)]
fn start() {
    maoocr_wasm_base::fence::hear_panics();
    maoocr_wasm_base::fence::explain(|| {
        maoocr_pdf::stopped().map(|error| coded(error.code(), &error.to_string()))
    });
}
