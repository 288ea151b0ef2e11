//! Reading in the isolate: the engine with the compact tiny models, loaded with the first light picture and kept.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use js_sys::Function;
use maoocr_engine::answer::Answer;
use maoocr_engine::imaging::Limits;
use maoocr_engine::pipeline::{Engine, EngineError};
use maoocr_engine::plan::{DeviceClass, Requirements};
use maoocr_models::Manifest;
use maoocr_models::manifest::{ModelEntry, Task};
use maoocr_runtime::Device;
use wasm_bindgen::closure::ScopedClosure;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use super::js;
use crate::config::Config;
use crate::problem::Problem;

/// The networks; the recogniser's alphabet comes with them.
const NETWORKS: [&str; 2] = ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"];
/// Working memory of decoding, bytes.
const DECODING: u64 = 32 << 20;
/// Traps after which an isolate reads nothing more: each may have leaked what it had.
const TRAPS: u32 = 3;

struct Reader {
    engine: Engine,
    manifest: Manifest,
}

thread_local! {
    static READER: RefCell<Option<Rc<Reader>>> = const { RefCell::new(None) };
    static TRAPPED: Cell<u32> = const { Cell::new(0) };
}

/// Whether pictures are read here at all.
pub fn works() -> bool {
    TRAPPED.get() < TRAPS
}

/// Counts a trap.
pub fn trapped() {
    TRAPPED.set(TRAPPED.get() + 1);
}

/// Reads the only page of a picture.
pub async fn read(
    env: &Env,
    config: &Config,
    picture: &[u8],
    needs: &Requirements,
) -> Result<Answer, Problem> {
    let loaded = READER.with_borrow(Clone::clone);
    let reader = match loaded {
        Some(reader) => reader,
        None => load(env).await?,
    };
    let installed: Vec<&ModelEntry> = NETWORKS
        .iter()
        .filter_map(|n| reader.manifest.get(n))
        .collect();
    let plan = reader.engine.plan(needs, &installed)?;
    let limits = Limits {
        max_bytes: config.bounds.bytes as usize,
        max_pixels: config.bounds.pixels,
        max_pages: 1,
        max_memory: DECODING,
    };
    let pages = fenced(|| now(reader.engine.read_file(picture, &limits, &plan, &mut ())));
    let pages = match pages {
        Ok(pages) => pages.map_err(problem)?,
        Err(trap) => {
            trapped();
            // It was left in the middle of something.
            READER.set(None);
            std::mem::forget(reader);
            return Err(Problem::internal("reader_failed", trap));
        }
    };
    let mut document = pages
        .into_iter()
        .next()
        .ok_or_else(|| Problem::internal("reader_failed", "a picture without pages was decoded"))?;
    document.id = js::uuid();
    document.device = "edge".into();
    Ok(document)
}

fn problem(error: EngineError) -> Problem {
    error.into()
}

async fn load(env: &Env) -> Result<Rc<Reader>, Problem> {
    let manifest = Manifest::built_in();
    let engine = Engine::new(DeviceClass::Constrained);
    for name in NETWORKS {
        let entry = manifest
            .get(name)
            .ok_or_else(|| unusable(name, "it is not in the manifest"))?;
        let bytes = model(env, &manifest, name).await?;
        let dictionary = match &entry.dictionary {
            Some(dictionary) => Some(model(env, &manifest, dictionary).await?),
            None => None,
        };
        let session = fenced(|| Device::Cpu.load(&bytes)).map_err(|trap| unusable(name, &trap))?;
        let session = session.map_err(|e| unusable(name, &e.to_string()))?;
        engine
            .install_files(entry.clone(), session, &bytes, dictionary.as_deref())
            .map_err(problem)?;
    }
    // Another request may have done the same meanwhile; one of both stays.
    Ok(READER.with_borrow_mut(|kept| {
        kept.get_or_insert_with(|| Rc::new(Reader { engine, manifest }))
            .clone()
    }))
}

/// A file of the static assets, which must be the manifest's or its compact one.
async fn model(env: &Env, manifest: &Manifest, name: &str) -> Result<Vec<u8>, Problem> {
    let entry = manifest
        .get(name)
        .ok_or_else(|| unusable(name, "it is not in the manifest"))?;
    let kind = if entry.task == Task::Dictionary {
        "txt"
    } else {
        "onnx"
    };
    let assets = js::get(env, "ASSETS");
    let url = format!("https://assets/edge-models/{name}.{kind}");
    let failed = |thrown: JsValue| unusable(name, &js::words(&thrown));
    let response = js::ask(&assets, "fetch", &[url.into()])
        .await
        .map_err(failed)?;
    let response: web_sys::Response = response.dyn_into().map_err(failed)?;
    if !response.ok() {
        return Err(unusable(
            name,
            &format!("the assets say {}", response.status()),
        ));
    }
    let bytes = js::bytes(&response).await.map_err(failed)?;
    let hash = js::hex(&js::sha256(&bytes).await.map_err(failed)?);
    let compact = entry.compact.as_ref().map(|c| &c.sha256);
    if hash != entry.sha256 && Some(&hash) != compact {
        return Err(unusable(name, "its SHA-256 is not the manifest's"));
    }
    Ok(bytes)
}

fn unusable(name: &str, why: &str) -> Problem {
    Problem::internal("model_unusable", format!("{name}: {why}"))
}

/// The value of a future that never waits: a CPU's.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("the CPU executor waits for nothing"),
    }
}

/// Does work; a panic or a trap in it unwinds to JavaScript, which was called for that, and is an error.
pub fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    let mut work = Some(work);
    let mut done = None;
    let mut call = || {
        if let Some(work) = work.take() {
            done = Some(work());
        }
    };
    let closure = ScopedClosure::<dyn FnMut()>::borrow_mut(&mut call);
    let called = closure
        .as_ref()
        .unchecked_ref::<Function>()
        .call0(&JsValue::UNDEFINED);
    drop(closure);
    match (called, done) {
        (Ok(_), Some(done)) => Ok(done),
        (Ok(_), None) => Err("it was not called".into()),
        (Err(thrown), _) => Err(js::words(&thrown)),
    }
}
