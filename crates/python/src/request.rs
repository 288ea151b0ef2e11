//! What a call asks for, as `maoocr._engine` sends it: one JSON object.

use std::collections::BTreeSet;

use maoocr_engine::imaging::Limits;
use maoocr_engine::plan::Requirements;
use maoocr_engine::reading::LayerUse;
use serde::Deserialize;
use serde_json::Value;

use crate::fault::Fault;

/// A call's options. All are optional.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// See [`Requirements`].
    requirements: Value,
    /// Password of a PDF.
    pub password: String,
    /// `auto`, `always` or `never`.
    text_layer: String,
    /// Pages to read, from 0; none for all.
    pub pages: Option<BTreeSet<usize>>,
    /// Whether the parts of pages are told apart: titles, tables, lists.
    pub structure: bool,
    /// Threads that share a page; none for the engine's usual number.
    pub threads: Option<usize>,
    /// Largest file, bytes.
    max_bytes: usize,
    /// Largest page, pixels.
    max_pixels: u64,
    /// Most pages of a file.
    max_pages: usize,
    /// Time to open a PDF and to draw each of its pages, s.
    pub page_seconds: f64,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            requirements: Value::Null,
            password: String::new(),
            text_layer: "auto".into(),
            pages: None,
            structure: true,
            threads: None,
            max_bytes: 64 << 20,
            max_pixels: 120_000_000,
            max_pages: 2000,
            page_seconds: 60.0,
        }
    }
}

impl Request {
    /// Reads a call's options.
    pub fn parse(json: &str) -> Result<Self, Fault> {
        let request: Self = serde_json::from_str(json).map_err(Fault::argument)?;
        if !(request.page_seconds > 0.0 && request.page_seconds <= 86_400.0) {
            return Err(Fault::argument("page_seconds: more than 0, at most a day"));
        }
        if request.threads.is_some_and(|n| n == 0 || n > 1024) {
            return Err(Fault::argument("threads: 1 to 1024"));
        }
        request.layer_use()?;
        Ok(request)
    }

    /// The requirements; the usual ones where none are given.
    pub fn requirements(&self) -> Result<Requirements, Fault> {
        match &self.requirements {
            Value::Null => Ok(Requirements::default()),
            given => Ok(Requirements::from_json(given)?),
        }
    }

    /// When text layers are used.
    pub fn layer_use(&self) -> Result<LayerUse, Fault> {
        match self.text_layer.as_str() {
            "auto" => Ok(LayerUse::Auto),
            "always" => Ok(LayerUse::Always),
            "never" => Ok(LayerUse::Never),
            other => Err(Fault::argument(format!(
                "text_layer: `{other}` is not one of auto, always and never"
            ))),
        }
    }

    /// What a picture may cost.
    pub fn limits(&self) -> Limits {
        Limits {
            max_pages: self.max_pages,
            ..Limits::for_pages(self.max_bytes, self.max_pixels)
        }
    }
}
