//! What the Worker reads with, a WebAssembly module of its own: pictures with the tiny models, PDFs by their text layers.
//!
//! Nothing here waits. A panic or a trap leaves an instance in the middle of something, with the memory that it had: the
//! Worker then drops it and makes another one, and nobody else's request suffers.

mod pdf;

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use js_sys::{Object, Reflect};
use maoocr_engine::answer;
use maoocr_engine::imaging::{self, ImagingError, Limits};
use maoocr_engine::pipeline::{Engine, EngineError};
use maoocr_engine::plan::{DeviceClass, Plan, PlanError, Requirements};
use maoocr_models::Manifest;
use maoocr_models::manifest::ModelEntry;
use maoocr_runtime::Device;
use serde::Deserialize;
use serde_json::Value;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

/// Working memory of decoding a picture, and of drawing a page, bytes.
const DECODING: u64 = 32 << 20;

/// What is to be read, and how.
#[derive(Deserialize)]
struct Order {
    /// Of the answer.
    id: String,
    requirements: Value,
    /// Which pages of a PDF, as in `1-3,7`; all if nobody says.
    pages: Option<String>,
    /// Whether headings, lists and tables are looked for in a picture. In PDFs they always are.
    structure: bool,
    bounds: Bounds,
}

/// What it may cost.
#[derive(Clone, Copy, Deserialize)]
struct Bounds {
    bytes: usize,
    /// Of a picture.
    pixels: u64,
    /// Of a PDF.
    pages: usize,
}

/// Why there is no answer.
enum Refusal {
    /// What is given can't be read at all, or the models fail.
    Engine(EngineError),
    /// It can be read, but not here; why, for people.
    Elsewhere(&'static str),
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

impl From<ImagingError> for Refusal {
    fn from(error: ImagingError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<PlanError> for Refusal {
    fn from(error: PlanError) -> Self {
        Self::Engine(error.into())
    }
}

/// The engine with its models.
#[wasm_bindgen]
pub struct Reader {
    engine: Engine,
    manifest: Manifest,
    installed: Vec<String>,
}

#[wasm_bindgen]
impl Reader {
    /// Without models.
    #[wasm_bindgen(constructor)]
    #[allow(clippy::new_without_default)] // Only JavaScript makes one.
    pub fn new() -> Self {
        std::panic::set_hook(Box::new(|panic| {
            wasm_bindgen::throw_str(&panic.to_string())
        }));
        Self {
            engine: Engine::new(DeviceClass::Constrained),
            manifest: Manifest::built_in(),
            installed: Vec::new(),
        }
    }

    /// Adds a network of the manifest's and, where it needs one, its alphabet. What is wrong with them is thrown.
    pub fn install(
        &mut self,
        name: &str,
        network: &[u8],
        dictionary: Option<Vec<u8>>,
    ) -> Result<(), JsValue> {
        let failed = |why: String| JsValue::from(format!("{name}: {why}"));
        let entry = self.manifest.get(name).cloned();
        let entry = entry.ok_or_else(|| failed("it is not in the manifest".into()))?;
        let session = Device::Cpu
            .load(network)
            .map_err(|e| failed(e.to_string()))?;
        self.engine
            .install_files(entry, session, network, dictionary.as_deref())
            .map_err(|e| failed(e.to_string()))?;
        self.installed.push(name.into());
        Ok(())
    }

    /// Reads a file: `{answer}` with JSON, `{elsewhere}` with the reason why it isn't read here, or `{code, detail}` of
    /// what is wrong with it.
    pub fn read(&self, file: Vec<u8>, order: &str) -> Result<JsValue, JsValue> {
        let order: Order = serde_json::from_str(order).map_err(|e| JsValue::from(e.to_string()))?;
        let pdf = maoocr_pdf::is_pdf(&file);
        let read = match pdf {
            true => pdf::read(self, file, &order),
            false => self.picture(&file, &order),
        };
        Ok(match read {
            Ok(answer) => object(&[("answer", &answer.to_string())]),
            Err(Refusal::Elsewhere(reason)) => object(&[("elsewhere", reason)]),
            Err(Refusal::Engine(error)) => {
                object(&[("code", error.code()), ("detail", &error.to_string())])
            }
        })
    }
}

impl Reader {
    fn plan(&self, order: &Order) -> Result<Plan, Refusal> {
        let requirements = Requirements::from_json(&order.requirements);
        let requirements =
            requirements.map_err(|_| Refusal::Elsewhere("requirements of another version"))?;
        let installed: Vec<&ModelEntry> = self
            .installed
            .iter()
            .filter_map(|name| self.manifest.get(name))
            .collect();
        Ok(self.engine.plan(&requirements, &installed)?)
    }

    /// Reads the only page of a picture.
    fn picture(&self, file: &[u8], order: &Order) -> Result<Value, Refusal> {
        let limits = Limits {
            max_bytes: order.bounds.bytes,
            max_pixels: order.bounds.pixels,
            max_pages: 1,
            max_memory: DECODING,
        };
        let plan = self.plan(order)?;
        if order.structure {
            return self.structured(file, &limits, &plan, order);
        }
        let pages = now(self.engine.read_file(file, &limits, &plan, &mut ()))?;
        let first = pages.into_iter().next().ok_or(ImagingError::Empty)?;
        Ok(self.told(first, order))
    }

    /// The same with its headings, lists and tables.
    fn structured(
        &self,
        file: &[u8],
        limits: &Limits,
        plan: &Plan,
        order: &Order,
    ) -> Result<Value, Refusal> {
        let mut source = imaging::open(file, limits)?;
        let page = source.next_page().ok_or(ImagingError::Empty)?;
        let page = page.map_err(|error| Refusal::from(error.error))?;
        drop(source);
        let options = pdf::structure();
        let mut nobody = ();
        let read = now(self.engine.read_document_page(
            page,
            Default::default(),
            Some(&options),
            plan,
            &mut nobody,
        ))?;
        let answer = self.named(read.answer, order);
        Ok(answer::page_json(answer, Some(read.text), 0, None))
    }

    fn told(&self, answer: answer::Answer, order: &Order) -> Value {
        answer::page_json(self.named(answer, order), None, 0, None)
    }

    fn named(&self, mut answer: answer::Answer, order: &Order) -> answer::Answer {
        answer.id.clone_from(&order.id);
        answer.device = "edge".into();
        answer
    }
}

/// Why the last page of a PDF ended in a trap, where a limit was the reason.
#[wasm_bindgen]
pub fn stopped() -> Option<String> {
    maoocr_pdf::stopped().map(|error| error.to_string())
}

fn object(fields: &[(&str, &str)]) -> JsValue {
    let object = Object::new();
    for (name, value) in fields {
        // A plain object takes them.
        let _ = Reflect::set(&object, &(*name).into(), &(*value).into());
    }
    object.into()
}

/// The value of a future that never waits: a CPU's.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU executor waits for nothing"),
    }
}
