//! Progress to JavaScript, and its wish to stop.

use js_sys::{Function, Reflect};
use maoocr_engine::geometry::Quad;
use maoocr_engine::pipeline::Observer;
use maoocr_engine::recognise::Reading;
use maoocr_wasm_base::Fault;
use maoocr_wasm_base::value::to_js;
use serde::Serialize;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::AbortSignal;

use crate::error::Failure;

/// What the caller of `recognize` wants to hear, and how it stops the work.
#[derive(Default)]
pub struct Listener {
    on_detected: Option<Function>,
    on_line: Option<Function>,
    on_withdrawn: Option<Function>,
    signal: Option<AbortSignal>,
    thrown: Option<Failure>,
}

#[derive(Serialize)]
struct LineEvent<'a> {
    index: usize,
    text: String,
    confidence: f32,
    #[serde(rename = "box")]
    quad: &'a Quad,
}

impl Listener {
    /// From an object with `onDetected`, `onLine`, `onWithdrawn` and `signal`, all optional.
    pub fn new(options: &JsValue) -> Result<Self, Failure> {
        if options.is_undefined() || options.is_null() {
            return Ok(Self::default());
        }
        if !options.is_object() {
            return Err(Fault::Argument("the options are no object".into()).into());
        }
        Ok(Self {
            on_detected: field(options, "onDetected", "a function")?,
            on_line: field(options, "onLine", "a function")?,
            on_withdrawn: field(options, "onWithdrawn", "a function")?,
            signal: field(options, "signal", "an AbortSignal")?,
            thrown: None,
        })
    }

    /// What a callback threw.
    pub fn thrown(&mut self) -> Option<Failure> {
        self.thrown.take()
    }

    fn tell(&mut self, event: &impl Serialize, callback: impl Fn(&Self) -> Option<&Function>) {
        if self.thrown.is_some() {
            return;
        }
        let Some(callback) = callback(self) else {
            return;
        };
        let told = to_js(event).and_then(|event| {
            let called = callback.call1(&JsValue::UNDEFINED, &event);
            called.map_err(Fault::Thrown)
        });
        self.thrown = told.err().map(Failure::from);
    }
}

fn field<T: JsCast>(options: &JsValue, name: &str, kind: &str) -> Result<Option<T>, Fault> {
    let value = Reflect::get(options, &name.into()).map_err(Fault::Thrown)?;
    if value.is_undefined() || value.is_null() {
        return Ok(None);
    }
    let value = value.dyn_into();
    value
        .map(Some)
        .map_err(|_| Fault::Argument(format!("`{name}` is not {kind}")))
}

impl Observer for Listener {
    fn detected(&mut self, quads: &[Quad]) {
        self.tell(&quads, |listener| listener.on_detected.as_ref());
    }

    fn line(&mut self, index: usize, quad: &Quad, reading: &Reading) {
        let event = LineEvent {
            index,
            text: reading.text(),
            confidence: reading.confidence(),
            quad,
        };
        self.tell(&event, |listener| listener.on_line.as_ref());
    }

    fn withdrawn(&mut self, index: usize) {
        self.tell(&index, |listener| listener.on_withdrawn.as_ref());
    }

    fn cancelled(&mut self) -> bool {
        self.thrown.is_some() || self.signal.as_ref().is_some_and(AbortSignal::aborted)
    }
}
