//! The fence around calls from JavaScript, with this module's failures.

use js_sys::Promise;
use maoocr_wasm_base::fence;
use wasm_bindgen::JsValue;

use crate::failure::Failure;

/// Does work at once, and throws what goes wrong.
pub fn now<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, JsValue> {
    fence::now(work)
}

/// A promise of what `work` comes to.
pub fn promise(work: impl Future<Output = Result<JsValue, Failure>> + 'static) -> Promise {
    fence::promise(work)
}
