//! What runs ask of a GPU.

use std::collections::BTreeMap;

use maoocr_runtime::launches;
use maoocr_wasm_base::value::to_js;
use serde::Serialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::fence;

/// Counts the kernels that are launched on a GPU, by all engines of this module, until `finish`. A CPU launches none.
#[wasm_bindgen]
pub struct Watch(launches::Watch);

#[derive(Serialize)]
struct Launches {
    count: usize,
    pipelines: usize,
    kernels: BTreeMap<&'static str, usize>,
}

#[wasm_bindgen]
impl Watch {
    /// Begins to count.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default, reason = "to begin is not a value")]
    pub fn new() -> Self {
        Self(launches::Watch::new())
    }

    /// Ends it and says what was launched.
    #[wasm_bindgen(unchecked_return_type = "Launches")]
    pub fn finish(self) -> Result<JsValue, JsValue> {
        fence::now(|| {
            let launched = self.0.finish();
            Ok(to_js(&Launches {
                count: launched.count(),
                pipelines: launched.pipelines.len(),
                kernels: launched.kernels,
            })?)
        })
    }
}
