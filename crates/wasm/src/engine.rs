//! The engine's JavaScript class.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::{Array, Float32Array, Promise, Reflect, Uint8Array};
use maoocr_engine::imaging::{self, Image, ImagingError, Limits};
use maoocr_engine::pipeline::{self, EngineError};
use maoocr_engine::plan::{DeviceClass, Plan, Requirements};
use maoocr_models::Manifest;
use maoocr_models::manifest::{ModelEntry, Task};
use maoocr_runtime::{Device, Session, Tensor};
use maoocr_wasm_base::value::{Picture, copied, frame, from_js, to_js};
use maoocr_wasm_base::{Fault, lines};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::error::Failure;
use crate::fence;
use crate::observer::Listener;
use crate::pause::Pausing;
use crate::spread::{self, Spread};

/// Reads pictures with the models it was given.
#[wasm_bindgen]
pub struct Engine(Rc<Inner>);

struct Inner {
    engine: pipeline::Engine,
    device: Device,
    manifest: Manifest,
    limits: Limits,
    parts: RefCell<Parts>,
    /// Recognisers by name, for engines of other threads that spread their lines.
    recognisers: RefCell<HashMap<String, Arc<dyn Session>>>,
}

/// What has come of recognisers whose other half hasn't.
#[derive(Default)]
struct Parts {
    /// Recognisers that wait for their dictionary.
    waiting: HashMap<String, Arc<dyn Session>>,
    /// Dictionaries that are there: more than one recogniser may need them.
    dictionaries: HashMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    device: Option<String>,
    /// Whether there is so little memory that only tiny models will do.
    constrained: bool,
    limits: LimitOptions,
}

impl Options {
    fn device(&self) -> Result<Device, Failure> {
        Ok(Device::parse(self.device.as_deref().unwrap_or("auto"))?)
    }
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LimitOptions {
    max_bytes: Option<usize>,
    max_pixels: Option<u64>,
    max_pages: Option<usize>,
    max_memory: Option<u64>,
}

#[derive(Serialize)]
struct ModelInfo<'a> {
    #[serde(flatten)]
    entry: &'a ModelEntry,
    loaded: bool,
}

#[wasm_bindgen]
impl Engine {
    /// An engine without models. One on a GPU is made by `create`, which can wait for it.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_optional_param_type = "EngineOptions")] options: &JsValue,
    ) -> Result<Engine, JsValue> {
        fence::now(|| {
            let options: Options = from_js(options, "options")?.unwrap_or_default();
            Ok(Self::of(options.device()?, &options))
        })
    }

    /// An engine without models, on a GPU too where this module was built for one. A GPU that is named and isn't there
    /// is an error with the code `no_such_device`; `gpu` takes no software, `gpu:0` does.
    #[wasm_bindgen(unchecked_return_type = "Promise<Engine>")]
    pub fn create(
        #[wasm_bindgen(unchecked_optional_param_type = "EngineOptions")] options: JsValue,
    ) -> Promise {
        fence::promise(async move {
            let options: Options = from_js(&options, "options")?.unwrap_or_default();
            let device = options.device()?;
            device.start().await?;
            Ok(Self::of(device, &options).into())
        })
    }

    fn of(device: Device, options: &Options) -> Self {
        let class = match (options.constrained, device.is_gpu()) {
            (true, _) => DeviceClass::Constrained,
            (false, true) => DeviceClass::Gpu,
            (false, false) => DeviceClass::Cpu,
        };
        let default = Limits::default();
        let given = &options.limits;
        Self(Rc::new(Inner {
            engine: pipeline::Engine::new(class),
            device,
            manifest: Manifest::built_in(),
            limits: Limits {
                max_bytes: given.max_bytes.unwrap_or(default.max_bytes),
                max_pixels: given.max_pixels.unwrap_or(default.max_pixels),
                max_pages: given.max_pages.unwrap_or(default.max_pages),
                max_memory: given.max_memory.unwrap_or(default.max_memory),
            },
            parts: RefCell::default(),
            recognisers: RefCell::default(),
        }))
    }

    /// What runs the models, for people.
    #[wasm_bindgen(getter)]
    pub fn device(&self) -> String {
        self.0.device.describe()
    }

    /// Whether that is a GPU.
    #[wasm_bindgen(getter, js_name = isGpu)]
    pub fn is_gpu(&self) -> bool {
        self.0.device.is_gpu()
    }

    /// Every model and dictionary of the manifest this module was built with, and whether it is loaded.
    #[wasm_bindgen(unchecked_return_type = "ModelInfo[]")]
    pub fn models(&self) -> Result<JsValue, JsValue> {
        fence::now(|| {
            let models = self.0.manifest.models.iter();
            let infos: Vec<_> = models
                .map(|entry| ModelInfo {
                    entry,
                    loaded: self.0.has(&entry.name),
                })
                .collect();
            Ok(to_js(&infos)?)
        })
    }

    /// What `recognize` would run for these requirements, if the models named in `available` were loaded (default:
    /// those that are). The answer's names, and the dictionaries of theirs, are what to fetch.
    #[wasm_bindgen(unchecked_return_type = "Plan")]
    pub fn plan(
        &self,
        #[wasm_bindgen(unchecked_optional_param_type = "Requirements")] requirements: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "string[]")] available: &JsValue,
    ) -> Result<JsValue, JsValue> {
        fence::now(|| {
            let requirements = read_requirements(requirements)?;
            let plan = match from_js::<Vec<String>>(available, "available")? {
                None => self.0.plan(&requirements, |name| self.0.engine.has(name)),
                Some(names) => {
                    if let Some(name) = names.iter().find(|n| self.0.manifest.get(n).is_none()) {
                        return Err(Failure::UnknownModel(name.clone()));
                    }
                    self.0
                        .plan(&requirements, |name| names.iter().any(|n| n == name))
                }
            };
            Ok(to_js(&plan?)?)
        })
    }

    /// Loads a model or a dictionary of the manifest from the bytes of its file, or of its compact one, in any order.
    /// Bytes of another SHA-256 than the manifest's are refused.
    #[wasm_bindgen(unchecked_return_type = "Promise<void>")]
    pub fn load(&self, name: String, bytes: Uint8Array) -> Promise {
        let inner = self.0.clone();
        fence::promise(async move {
            inner.load(&name, copied(&bytes)?)?;
            Ok(JsValue::UNDEFINED)
        })
    }

    /// Reads the pages of a picture: one but for a TIFF of several.
    #[wasm_bindgen(unchecked_return_type = "Promise<Document[]>")]
    pub fn recognize(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | ArrayBuffer | Frame")] picture: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Requirements")] requirements: JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "RecognizeOptions")] options: JsValue,
    ) -> Promise {
        let inner = self.0.clone();
        fence::promise(async move {
            let mut listener = Listener::new(&options)?;
            let only = chosen_models(&options)?;
            let plan = inner.plan_of(&requirements, only.as_deref());
            let documents = match plan {
                Ok(plan) => {
                    let _helpers = spread::help(&options)?;
                    inner.read(&picture, &plan, &mut listener).await
                }
                Err(failure) => Err(failure),
            };
            if let Some(thrown) = listener.thrown() {
                return Err(thrown);
            }
            documents
        })
    }

    /// Reads lines for an engine of another thread: what its helper (`helpers` in the options of `recognize`) is asked
    /// for: `shape` is `[N, C, H, W]`, and `input` lies as `[N, H, W, C]`. The recogniser must be loaded here; its dictionary
    /// need not.
    #[wasm_bindgen(js_name = readLines, unchecked_return_type = "Promise<BestPath>")]
    pub fn read_lines(
        &self,
        recogniser: String,
        input: Float32Array,
        #[wasm_bindgen(unchecked_param_type = "ArrayLike<number>")] shape: Vec<u32>,
    ) -> Promise {
        let inner = self.0.clone();
        fence::promise(async move {
            let session = inner.recognisers.borrow().get(&recogniser).cloned();
            let session = session.ok_or(Failure::UnknownModel(recogniser))?;
            let shape: Vec<usize> = shape.into_iter().map(|side| side as usize).collect();
            let shape = <[usize; 4]>::try_from(shape)
                .map_err(|_| Fault::Argument("a batch of lines has four sizes".into()))?;
            let input = Tensor::channels_last(shape, input.to_vec())?;
            let best = session.run_best(input).await?;
            Ok(lines::to_js(&best)?.into())
        })
    }

    /// The pages of a picture as pixels, the way a person sees them: for showing what a browser can't, such as a TIFF.
    #[wasm_bindgen(unchecked_return_type = "Promise<Frame[]>")]
    pub fn pages(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | ArrayBuffer")] file: JsValue,
    ) -> Promise {
        let inner = self.0.clone();
        fence::promise(async move {
            let Picture::File(bytes) = Picture::of(&file)? else {
                return Err(Fault::Argument("a frame is pixels already".into()).into());
            };
            let pages = imaging::decode(&inner.file(&bytes)?, &inner.limits)?;
            let frames = pages.into_iter().map(|page| frame(&page));
            Ok(frames.collect::<Result<Array, _>>()?.into())
        })
    }
}

impl Inner {
    fn has(&self, name: &str) -> bool {
        self.engine.has(name) || self.parts.borrow().dictionaries.contains_key(name)
    }

    fn plan(
        &self,
        requirements: &Requirements,
        available: impl Fn(&str) -> bool,
    ) -> Result<Plan, Failure> {
        let models = self.manifest.models.iter();
        let installed: Vec<_> = models.filter(|m| available(&m.name)).collect();
        Ok(self.engine.plan(requirements, &installed)?)
    }

    fn load(&self, name: &str, bytes: Vec<u8>) -> Result<(), Failure> {
        let entry = self.manifest.get(name);
        let entry = entry.ok_or_else(|| Failure::UnknownModel(name.into()))?;
        verify(entry, &bytes)?;
        if entry.task == Task::Dictionary {
            let text = String::from_utf8(bytes).map_err(|_| Failure::WrongBytes {
                name: name.into(),
                reason: "they are no UTF-8".into(),
            })?;
            return self.add_dictionary(name, text);
        }
        let mut session: Arc<dyn Session> = Arc::new(Pausing(self.device.load(&bytes)?));
        if entry.task == Task::Recognition {
            self.recognisers
                .borrow_mut()
                .insert(name.into(), session.clone());
            session = Arc::new(Spread::new(name, session));
        }
        let text = match &entry.dictionary {
            // A recogniser without one has its alphabet in itself.
            None => maoocr_runtime::onnx::metadata(&bytes, "character"),
            Some(dictionary) => {
                let mut parts = self.parts.borrow_mut();
                match parts.dictionaries.get(dictionary) {
                    Some(text) => Some(text.clone()),
                    None => {
                        parts.waiting.insert(name.into(), session);
                        return Ok(());
                    }
                }
            }
        };
        Ok(self
            .engine
            .install(entry.clone(), session, text.as_deref())?)
    }

    /// Keeps a dictionary and installs the recognisers that waited for it.
    fn add_dictionary(&self, name: &str, text: String) -> Result<(), Failure> {
        let mut parts = self.parts.borrow_mut();
        for entry in &self.manifest.models {
            if entry.dictionary.as_deref() == Some(name)
                && let Some(session) = parts.waiting.remove(&entry.name)
            {
                self.engine.install(entry.clone(), session, Some(&text))?;
            }
        }
        parts.dictionaries.insert(name.into(), text);
        Ok(())
    }

    /// What to run on the models that are loaded, of them only those in `only` where there is such a list.
    fn plan_of(&self, requirements: &JsValue, only: Option<&[String]>) -> Result<Plan, Failure> {
        let requirements = read_requirements(requirements)?;
        let chosen = |name: &str| only.is_none_or(|only| only.iter().any(|n| n == name));
        self.plan(&requirements, |name| self.engine.has(name) && chosen(name))
    }

    /// A copy of a file's bytes. Their number is checked before anything is copied.
    fn file(&self, bytes: &Uint8Array) -> Result<Vec<u8>, Failure> {
        let (length, limit) = (bytes.length() as usize, self.limits.max_bytes);
        if length > limit {
            return Err(ImagingError::TooLarge {
                bytes: length,
                limit,
            }
            .into());
        }
        Ok(copied(bytes)?)
    }

    async fn read(
        &self,
        picture: &JsValue,
        plan: &Plan,
        listener: &mut Listener,
    ) -> Result<JsValue, Failure> {
        if pipeline::Observer::cancelled(listener) {
            return Err(EngineError::Cancelled.into());
        }
        let documents = match Picture::of(picture)? {
            Picture::File(bytes) => {
                let bytes = self.file(&bytes)?;
                self.engine
                    .read_file(&bytes, &self.limits, plan, listener)
                    .await?
            }
            Picture::Frame(width, height, samples) => {
                Image::admit_rgba(width, height, samples.length() as usize, &self.limits)?;
                let page = Image::from_rgba(width, height, copied(&samples)?, &self.limits)?;
                vec![self.engine.read_page(page.into(), plan, listener).await?]
            }
        };
        Ok(to_js(&documents)?)
    }
}

/// The names in the options' `models`.
fn chosen_models(options: &JsValue) -> Result<Option<Vec<String>>, Failure> {
    if !options.is_object() {
        return Ok(None);
    }
    let models = Reflect::get(options, &"models".into()).map_err(Fault::Thrown)?;
    Ok(from_js(&models, "`models`")?)
}

fn verify(entry: &ModelEntry, bytes: &[u8]) -> Result<(), Failure> {
    let wrong = |reason| Failure::WrongBytes {
        name: entry.name.clone(),
        reason,
    };
    let files = [
        Some((entry.bytes, &entry.sha256)),
        entry.compact.as_ref().map(|c| (c.bytes, &c.sha256)),
    ];
    let length = bytes.len() as u64;
    let Some((_, sha256)) = files
        .into_iter()
        .flatten()
        .find(|(size, _)| *size == length)
    else {
        return Err(wrong(format!(
            "there are {length}, and its file has {}",
            entry.bytes
        )));
    };
    let hash = Sha256::digest(bytes);
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    if hex != *sha256 {
        return Err(wrong("their SHA-256 is another".into()));
    }
    Ok(())
}

fn read_requirements(given: &JsValue) -> Result<Requirements, Failure> {
    match from_js(given, "requirements")? {
        None => Ok(Requirements::default()),
        Some(json) => Ok(Requirements::from_json(&json)?),
    }
}
