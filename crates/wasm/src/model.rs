//! A single network, for comparing executors and for work beside the pipeline.

use std::sync::Arc;

use js_sys::{Array, Float32Array, Object, Promise, Reflect, Uint8Array};
use maoocr_runtime::{Device, Session, Tensor};
use maoocr_wasm_base::Fault;
use maoocr_wasm_base::value::copied;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::fence;

/// An ONNX model of one input and one output, both float32.
#[wasm_bindgen]
pub struct Model {
    session: Arc<dyn Session>,
}

#[wasm_bindgen]
impl Model {
    /// Loads the bytes of an ONNX file onto a device (`auto`, `cpu`, `cpu:int8`, …).
    #[wasm_bindgen(unchecked_return_type = "Promise<Model>")]
    pub fn load(bytes: Uint8Array, device: Option<String>) -> Promise {
        fence::promise(async move {
            let device = Device::parse(device.as_deref().unwrap_or("auto"))?;
            device.start().await?;
            let session = device.load(&copied(&bytes)?)?;
            Ok(Model { session }.into())
        })
    }

    /// Runs it on `input`, row-major values of this shape.
    #[wasm_bindgen(unchecked_return_type = "Promise<Tensor>")]
    pub fn run(
        &self,
        input: Float32Array,
        #[wasm_bindgen(unchecked_param_type = "ArrayLike<number>")] shape: Vec<u32>,
    ) -> Promise {
        let session = self.session.clone();
        fence::promise(async move {
            let shape: Vec<usize> = shape.into_iter().map(|side| side as usize).collect();
            let output = session.run(Tensor::new(shape, input.to_vec())?).await?;
            let sides: Array = output.shape().iter().map(|&s| JsValue::from(s)).collect();
            let answer = Object::new();
            for (name, value) in [
                ("data", JsValue::from(Float32Array::from(output.data()))),
                ("shape", sides.into()),
            ] {
                Reflect::set(&answer, &name.into(), &value).map_err(Fault::Thrown)?;
            }
            Ok(answer.into())
        })
    }

    /// What runs it, for people.
    #[wasm_bindgen(getter)]
    pub fn executor(&self) -> String {
        self.session.executor()
    }
}
