//! What crosses between JavaScript and a module.

use js_sys::{ArrayBuffer, JSON, Object, Reflect, Uint8Array, Uint8ClampedArray};
use maoocr_engine::imaging::Image;
use serde::{Deserialize, Serialize};
use wasm_bindgen::{JsCast, JsValue};

use crate::Fault;

/// A picture to be read.
pub enum Picture {
    /// The bytes of a file.
    File(Uint8Array),
    /// Width and height in pixels, RGBA samples.
    Frame(u32, u32, Uint8Array),
}

impl Picture {
    /// From the bytes of a file, or `{data, width, height}`.
    pub fn of(given: &JsValue) -> Result<Self, Fault> {
        let wrong = || {
            Fault::Argument(
                "the picture is neither the bytes of a file nor a frame {data, width, height}"
                    .into(),
            )
        };
        if let Some(bytes) = given.dyn_ref::<Uint8Array>() {
            return Ok(Self::File(bytes.clone()));
        }
        if given.is_instance_of::<ArrayBuffer>() {
            return Ok(Self::File(Uint8Array::new(given)));
        }
        if !given.is_object() {
            return Err(wrong());
        }
        let field = |name: &str| Reflect::get(given, &name.into()).map_err(Fault::Thrown);
        let side = |name: &str| {
            let value = field(name)?.as_f64().unwrap_or(-1.0);
            let side = value as u32;
            if f64::from(side) == value {
                Ok(side)
            } else {
                Err(wrong())
            }
        };
        let data = field("data")?;
        let samples = match data.dyn_ref::<Uint8ClampedArray>() {
            Some(clamped) => Uint8Array::new_with_byte_offset_and_length(
                &clamped.buffer(),
                clamped.byte_offset(),
                clamped.length(),
            ),
            None => data.dyn_into().map_err(|_| wrong())?,
        };
        Ok(Self::Frame(side("width")?, side("height")?, samples))
    }
}

/// `{data, width, height}`, opaque.
pub fn frame(page: &Image) -> Result<Object, Fault> {
    let rgba: Vec<u8> = page
        .rgb
        .chunks_exact(3)
        .flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255])
        .collect();
    let frame = Object::new();
    for (name, value) in [
        ("data", JsValue::from(Uint8ClampedArray::from(&rgba[..]))),
        ("width", page.width.into()),
        ("height", page.height.into()),
    ] {
        Reflect::set(&frame, &name.into(), &value).map_err(Fault::Thrown)?;
    }
    Ok(frame)
}

/// A copy in this module's memory; an error, not a trap, where there is no room.
pub fn copied(array: &Uint8Array) -> Result<Vec<u8>, Fault> {
    let length = array.length() as usize;
    let mut bytes = Vec::new();
    bytes
        .try_reserve_exact(length)
        .map_err(|_| Fault::OutOfMemory { bytes: length })?;
    bytes.resize(length, 0);
    array.copy_to(&mut bytes);
    Ok(bytes)
}

/// Through JSON's text: one crossing for the whole value, and the numbers are those of the command's `--json`.
pub fn to_js(value: &impl Serialize) -> Result<JsValue, Fault> {
    let text = serde_json::to_string(value).map_err(|e| Fault::Argument(e.to_string()))?;
    JSON::parse(&text).map_err(Fault::Thrown)
}

/// What JavaScript gave; none for `undefined` and `null`.
pub fn from_js<T: for<'a> Deserialize<'a>>(
    value: &JsValue,
    what: &str,
) -> Result<Option<T>, Fault> {
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let text: String = JSON::stringify(value).map_err(Fault::Thrown)?.into();
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|e| Fault::Argument(format!("{what}: {e}")))
}
