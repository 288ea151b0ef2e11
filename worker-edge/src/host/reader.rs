//! Reading in the isolate, by a module of its own (worker-edge/reader): it is loaded with the first light picture or PDF
//! and kept. After a trap it is dropped, with all of its memory, and the next one is made.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use maoocr_engine::plan::Requirements;
use maoocr_models::Manifest;
use maoocr_models::manifest::Task;
use serde_json::json;
use wasm_bindgen::{JsCast, JsValue};
use worker::Env;

use super::js;
use crate::problem::Problem;
use crate::route::Bounds;
use crate::wishes::Wishes;

/// The networks; the recogniser's alphabet comes with them.
const NETWORKS: [&str; 2] = ["ppocrv6-tiny-det", "ppocrv6-tiny-rec"];
/// Traps after which an isolate reads nothing more: the memory of what was dropped is the runtime's to free.
const TRAPS: u32 = 3;

/// An instance of the module.
struct Reader {
    reader: JsValue,
    /// What has `stopped`, which says why it ended in a trap.
    module: JsValue,
}

thread_local! {
    static READER: RefCell<Option<Rc<Reader>>> = const { RefCell::new(None) };
    static TRAPPED: Cell<u32> = const { Cell::new(0) };
}

/// Whether anything is read here at all.
pub fn works() -> bool {
    TRAPPED.get() < TRAPS
}

/// What came of a file.
pub enum Read {
    /// The answer's JSON.
    Answer(String),
    /// Why only a server can read it.
    Elsewhere(String),
}

/// Reads a picture's only page, or a PDF.
pub async fn read(
    env: &Env,
    bounds: Bounds,
    file: &[u8],
    needs: &Requirements,
    wishes: &Wishes,
) -> Result<Read, Problem> {
    let loaded = READER.with_borrow(Clone::clone);
    let reader = match loaded {
        Some(reader) => reader,
        None => load(env).await?,
    };
    let pages = if wishes.form.is_single() {
        1
    } else {
        bounds.pages
    };
    let order = json!({
        "id": js::uuid(),
        "requirements": needs,
        "pages": wishes.pages,
        "structure": wishes.structure,
        "bounds": {"bytes": bounds.bytes, "pixels": bounds.pixels, "pages": pages},
    });
    let arguments = [js::array(file).into(), order.to_string().into()];
    let read = match js::call(&reader.reader, "read", &arguments) {
        Ok(read) => read,
        Err(trap) => return dropped(&reader, &trap),
    };
    let text = |name: &str| js::get(&read, name).as_string();
    if let Some(answer) = text("answer") {
        return Ok(Read::Answer(answer));
    }
    if let Some(reason) = text("elsewhere") {
        return Ok(Read::Elsewhere(reason));
    }
    let (code, detail) = (text("code"), text("detail"));
    Err(Problem::of_file(
        &code.unwrap_or_default(),
        &detail.unwrap_or_default(),
    ))
}

/// Drops an instance that was left in the middle of something.
fn dropped(reader: &Reader, trap: &JsValue) -> Result<Read, Problem> {
    READER.set(None);
    TRAPPED.set(TRAPPED.get() + 1);
    let limit = js::call(&reader.module, "stopped", &[]);
    match limit.ok().and_then(|limit| limit.as_string()) {
        Some(limit) => {
            worker::console_log!("a PDF is too much for the edge: {limit}");
            Ok(Read::Elsewhere("a PDF with much to draw".into()))
        }
        None => Err(Problem::internal("reader_failed", js::words(trap))),
    }
}

async fn load(env: &Env) -> Result<Rc<Reader>, Problem> {
    let failed = |thrown: JsValue| Problem::internal("reader_failed", js::words(&thrown));
    let manifest = Manifest::built_in();
    let module = js::ask(&js_sys::global(), "openReader", &[])
        .await
        .map_err(failed)?;
    let reader = js::get(&module, "reader");
    for name in NETWORKS {
        let entry = manifest
            .get(name)
            .ok_or_else(|| unusable(name, "it is not in the manifest"))?;
        let network = model(env, &manifest, name).await?;
        let dictionary = match &entry.dictionary {
            Some(dictionary) => js::array(&model(env, &manifest, dictionary).await?).into(),
            None => JsValue::UNDEFINED,
        };
        let arguments = [name.into(), js::array(&network).into(), dictionary];
        js::call(&reader, "install", &arguments)
            .map_err(|thrown| unusable(name, &js::words(&thrown)))?;
    }
    // Another request may have done the same meanwhile; one of both stays.
    Ok(READER.with_borrow_mut(|kept| {
        kept.get_or_insert_with(|| Rc::new(Reader { reader, module }))
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
