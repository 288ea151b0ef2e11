//! MaoOCR for JavaScript: the engine as a WebAssembly module for browsers, extensions, Node and edge isolates.
//!
//! [`Engine`] reads pictures, [`Model`] runs a single network. Everything that takes time returns a promise; a CPU
//! does the work on the thread that called, so a page puts the module into a worker. What goes wrong is an `Error`
//! with a stable `code`, also where the module itself is at fault.

mod engine;
mod error;
mod fence;
mod launches;
mod model;
mod observer;
mod pause;
mod spread;
mod types;

use wasm_bindgen::prelude::wasm_bindgen;

pub use engine::Engine;
pub use launches::Watch;
pub use model::Model;

#[wasm_bindgen(start)]
fn start() {
    maoocr_wasm_base::fence::hear_panics();
}

/// Version of this module.
#[wasm_bindgen]
pub fn version() -> String {
    env!("CARGO_PKG_VERSION").into()
}
