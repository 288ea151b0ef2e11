//! A call's work: pages in, a document out, with what happens meanwhile.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use maoocr_engine::geometry::Quad;
use maoocr_engine::pipeline::Observer;
use maoocr_engine::plan::Plan;
use maoocr_engine::recognise;
use maoocr_engine::structure::StructureOptions;
use serde_json::{Value, json};

use crate::attend::Cancel;
use crate::document::{Document, Page};
use crate::fault::Fault;
use crate::request::Request;
use crate::source::Input;
use crate::state::State;

/// What is to be read, and how.
pub struct Job {
    /// Models.
    pub state: Arc<State>,
    /// Which of them, and when.
    pub plan: Plan,
    /// Pages.
    pub input: Input,
    /// Options.
    pub request: Request,
    /// Ends it early.
    pub cancel: Cancel,
}

/// What reading tells: something that happened, as its name and JSON, or how it ended.
pub type Message = Result<(&'static str, Value), Fault>;

impl Job {
    /// Reads all pages. A PDF may lose pages, as long as one can be read.
    pub fn run(&self, events: Option<&SyncSender<Message>>) -> Result<Document, Fault> {
        let began = Instant::now();
        let layer = self.request.layer_use()?;
        let structure = self.request.structure.then(StructureOptions::default);
        let mut document = Document {
            pages: Vec::new(),
            lost: Vec::new(),
            seconds: 0.0,
            plan: json!(self.plan),
        };
        let many = self.input.is_pdf();
        self.input.each_page(&self.request, |page| {
            let page = match page {
                Ok(page) => page,
                // A picture without all of its pages is an error, as it is for the command.
                Err(error) if !many => return Err(error.error.into()),
                Err(error) => {
                    document.lost.push(error);
                    return Ok(ControlFlow::Continue(()));
                }
            };
            if self.cancel.cancelled() {
                return Err(Fault::cancelled());
            }
            let mut observer = Told {
                cancel: self.cancel.clone(),
                events,
                page: page.index,
            };
            let reading = self.state.engine.read_document_page(
                page,
                layer,
                structure.as_ref(),
                &self.plan,
                &mut observer,
            );
            let page = Page::from(pollster::block_on(reading)?);
            if let Some(sender) = events {
                // Whoever closes the stream has cancelled the work.
                let _ = sender.send(Ok(("page", page.json())));
            }
            document.pages.push(page);
            Ok(ControlFlow::Continue(()))
        })?;
        if document.pages.is_empty()
            && let Some(first) = document.lost.first()
        {
            return Err(first.error.clone().into());
        }
        document.seconds = began.elapsed().as_secs_f64();
        Ok(document)
    }

    /// Finds the lines of the first page: boxes and scores.
    pub fn detect(&self) -> Result<Value, Fault> {
        self.first_page(|image| {
            let found = pollster::block_on(self.state.engine.detect_lines(image, &self.plan))?;
            let found = found.iter().map(|d| json!({"box": d.quad, "score": d.score}));
            Ok(json!({"width": image.width, "height": image.height, "found": found.collect::<Vec<_>>()}))
        })
    }

    /// Reads the lines in some quads of the first page, or all of it as one line.
    pub fn lines(&self, quads: Option<Vec<Quad>>) -> Result<Value, Fault> {
        self.first_page(|image| {
            let whole = || {
                let (w, h) = (image.width as f32, image.height as f32);
                vec![Quad::from_rect(0.0, 0.0, w, h)]
            };
            let quads = quads.clone().unwrap_or_else(whole);
            let engine = &self.state.engine;
            let lines = pollster::block_on(engine.read_lines(image, &quads, &self.plan))?;
            Ok(json!({"width": image.width, "height": image.height, "lines": lines}))
        })
    }

    /// The first page's pixels.
    pub fn first_page<T>(
        &self,
        mut work: impl FnMut(&maoocr_engine::imaging::Image) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let mut made = None;
        self.input.each_page(&self.request, |page| {
            let page = page.map_err(|e| e.error)?;
            made = Some(work(&page.image)?);
            Ok(ControlFlow::Break(()))
        })?;
        made.ok_or_else(|| Fault::argument("there is no page"))
    }
}

/// Passes on what the engine tells.
struct Told<'a> {
    cancel: Cancel,
    events: Option<&'a SyncSender<Message>>,
    page: usize,
}

impl Told<'_> {
    fn send(&self, name: &'static str, value: impl FnOnce() -> Value) {
        if let Some(sender) = self.events
            && sender.send(Ok((name, value()))).is_err()
        {
            self.cancel.cancel();
        }
    }
}

impl Observer for Told<'_> {
    fn line(&mut self, index: usize, quad: &Quad, reading: &recognise::Reading) {
        let page = self.page;
        self.send("line", || {
            json!({
                "page": page, "index": index, "text": reading.text(), "confidence": reading.confidence(),
                "box": quad, "words": [], "vertical": false,
            })
        });
    }

    fn withdrawn(&mut self, index: usize) {
        let page = self.page;
        self.send("withdrawn", || json!({"page": page, "index": index}));
    }

    fn cancelled(&mut self) -> bool {
        self.cancel.cancelled()
    }
}
