//! A reader of pictures in another thread, or wherever JavaScript has them read.

use std::cell::RefCell;
use std::sync::Arc;

use js_sys::{Function, Promise, Reflect};
use maoocr_engine::document::Line;
use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::Image;
use maoocr_engine::page::Page;
use maoocr_engine::pipeline::Engine;
use maoocr_engine::plan::{DeviceClass, Language, Plan};
use maoocr_engine::reading::Reader;
use maoocr_models::Manifest;
use maoocr_models::manifest::Task;
use maoocr_runtime::{BestPath, RunFuture, RuntimeError, Session, Tensor};
use maoocr_wasm_base::{Fault, lines, value};
use serde::Deserialize;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

use crate::failure::Failure;

/// What JavaScript offers to read with.
pub struct Elsewhere {
    read_picture: Function,
    /// None: nothing compares a text layer with what is seen.
    lines: Option<(Engine, Plan)>,
}

/// A picture that was read.
pub struct Seen {
    /// As JavaScript gave it.
    pub document: JsValue,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Told {
    lines: Vec<Line>,
}

impl Elsewhere {
    /// From `{readPicture, lines?: {recogniser, dictionary, readLines}}`.
    pub fn of(options: &JsValue) -> Result<Self, Failure> {
        let given = field(options, "lines")?;
        let lines = if given.is_undefined() || given.is_null() {
            None
        } else {
            Some(Self::recogniser(&given)?)
        };
        Ok(Self {
            read_picture: function(options, "readPicture")?,
            lines,
        })
    }

    /// An engine whose recogniser is elsewhere. Nothing is detected with it: its detector is a name.
    fn recogniser(given: &JsValue) -> Result<(Engine, Plan), Failure> {
        let name = text(given, "recogniser")?;
        let dictionary = text(given, "dictionary")?;
        READ.set(Some(function(given, "readLines")?));
        let session = Arc::new(Remote(name.clone()));
        let manifest = Manifest::built_in();
        let entry = manifest.get(&name).filter(|m| m.task == Task::Recognition);
        let unknown = || Fault::Argument(format!("no recogniser is called `{name}`"));
        let entry = entry.ok_or_else(unknown)?;
        let mut models = manifest.models.iter();
        let detector = models.find(|m| m.task == Task::Detection && m.detection.is_some());
        let detector = detector.ok_or_else(|| Fault::Argument("there is no detector".into()))?;
        let engine = Engine::new(DeviceClass::Cpu);
        engine.install(entry.clone(), session.clone(), Some(&dictionary))?;
        engine.install(detector.clone(), session, None)?;
        let plan = Plan {
            detector: detector.name.clone(),
            recogniser: name,
            line_orientation: None,
            script_recognisers: Vec::new(),
            page_orientation: None,
            vision: None,
            max_side: 960,
            language: Language::Auto,
            reasons: Vec::new(),
        };
        Ok((engine, plan))
    }
}

impl Reader for Elsewhere {
    type Answer = Seen;
    type Error = Failure;

    async fn read_picture(&mut self, page: Page, whole: bool) -> Result<Seen, Failure> {
        let frame = value::frame(&page.image)?;
        drop(page);
        let asked = self
            .read_picture
            .call2(&JsValue::UNDEFINED, &frame, &whole.into());
        let asked: Promise = asked
            .map_err(Fault::Thrown)?
            .dyn_into()
            .map_err(|_| Fault::Argument("`readPicture` gives no promise".into()))?;
        drop(frame);
        let document = JsFuture::from(asked).await.map_err(Fault::Thrown)?;
        let told = value::from_js::<Told>(&document, "what was read")?;
        let told = told.ok_or_else(|| Fault::Argument("`readPicture` gave nothing".into()))?;
        Ok(Seen {
            document,
            lines: told.lines,
        })
    }

    async fn read_lines(&mut self, image: &Image, quads: &[Quad]) -> Result<Vec<Line>, Failure> {
        match &self.lines {
            Some((engine, plan)) => Ok(engine.read_lines(image, quads, plan).await?),
            // Nothing that is read surely: then a painted layer is believed.
            None => Ok(Vec::new()),
        }
    }

    fn lines(answer: &Seen) -> &[Line] {
        &answer.lines
    }
}

thread_local! {
    /// Asks another thread for lines: `(recogniser, input, shape)` to a promise. With several pages at once the last one is
    /// taken: whoever reads a line, it says the same.
    static READ: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// A recogniser in another thread.
struct Remote(String);

impl Session for Remote {
    fn run(&self, _: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async { Err(unable()) })
    }

    fn run_all(&self, _: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async { Err(unable()) })
    }

    fn outputs(&self) -> Vec<String> {
        vec!["output".into()]
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            let count = input.shape().first().copied().unwrap_or(0);
            let asked = READ
                .with_borrow(Option::clone)
                .and_then(|read| lines::ask(&read, &self.0, &input))
                .ok_or_else(unable)?;
            let answer = asked.await.map_err(|_| unable())?;
            lines::from_js(&answer, count).ok_or_else(unable)
        })
    }

    fn batch(&self) -> usize {
        6
    }

    fn executor(&self) -> String {
        "another thread".into()
    }
}

fn unable() -> RuntimeError {
    RuntimeError::Run {
        reason: "the other thread doesn't read".into(),
    }
}

fn field(object: &JsValue, name: &str) -> Result<JsValue, Fault> {
    Reflect::get(object, &name.into()).map_err(Fault::Thrown)
}

fn function(object: &JsValue, name: &str) -> Result<Function, Fault> {
    let wrong = |_| Fault::Argument(format!("`{name}` is no function"));
    field(object, name)?.dyn_into().map_err(wrong)
}

fn text(object: &JsValue, name: &str) -> Result<String, Fault> {
    let wrong = || Fault::Argument(format!("`{name}` is no text"));
    field(object, name)?.as_string().ok_or_else(wrong)
}
