//! Lines that are read by another thread's engine.

use js_sys::{Array, Float32Array, Function, Object, Promise, Reflect, Uint32Array};
use maoocr_runtime::{BestPath, Layout, Tensor};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::Fault;

/// Asks for the lines of `input`. The answer is listened to from the start: a promise that is rejected before would be
/// reported as nobody's. None where it can't be asked.
pub fn ask(helper: &Function, recogniser: &str, input: &Tensor) -> Option<JsFuture> {
    // The one layout that helpers take.
    if input.layout() != Layout::ChannelsLast {
        return None;
    }
    let shape: Array = input.shape().iter().map(|&s| JsValue::from(s)).collect();
    let data = Float32Array::from(input.data());
    let name = JsValue::from_str(recogniser);
    let asked = helper.call3(&JsValue::UNDEFINED, &name, &data, &shape);
    Some(asked.ok()?.dyn_into::<Promise>().ok()?.into())
}

/// `{batch, steps, classes, probabilities, lastClass}`.
pub fn to_js(best: &BestPath) -> Result<Object, Fault> {
    let object = Object::new();
    for (name, value) in [
        ("batch", JsValue::from(best.batch)),
        ("steps", best.steps.into()),
        ("classes", Uint32Array::from(&best.classes[..]).into()),
        (
            "probabilities",
            Float32Array::from(&best.probabilities[..]).into(),
        ),
        ("lastClass", Float32Array::from(&best.last_class[..]).into()),
    ] {
        Reflect::set(&object, &name.into(), &value).map_err(Fault::Thrown)?;
    }
    Ok(object)
}

/// None for what is no answer for so many lines.
pub fn from_js(object: &JsValue, lines: usize) -> Option<BestPath> {
    let field = |name: &str| Reflect::get(object, &name.into()).ok();
    let number = |name: &str| Some(field(name)?.as_f64()? as usize);
    let best = BestPath {
        batch: number("batch")?,
        steps: number("steps")?,
        classes: field("classes")?.dyn_into::<Uint32Array>().ok()?.to_vec(),
        probabilities: field("probabilities")?
            .dyn_into::<Float32Array>()
            .ok()?
            .to_vec(),
        last_class: field("lastClass")?
            .dyn_into::<Float32Array>()
            .ok()?
            .to_vec(),
    };
    let length = lines * best.steps;
    let whole = best.batch == lines
        && [
            best.classes.len(),
            best.probabilities.len(),
            best.last_class.len(),
        ] == [length; 3];
    whole.then_some(best)
}
