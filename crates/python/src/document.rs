//! What was read, and its other forms.

use maoocr_engine::answer::Answer;
use maoocr_engine::document::{Document as Text, PageText, RegionKind};
use maoocr_engine::export::{self, Format, Meta};
use maoocr_engine::layer::Verdict;
use maoocr_engine::page::PageError;
use maoocr_engine::reading::Reading;
use maoocr_engine::structure;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use serde_json::{Map, Value, json};

use crate::fault::Fault;

/// A page that was read.
pub struct Page {
    /// What it says, with its structure.
    pub text: PageText,
    /// The answer for it as for a single picture.
    pub answer: Answer,
    /// What its text layer was found to be.
    pub layer: Verdict,
    /// Whether the layer has text that is painted.
    pub painted: bool,
}

impl From<Reading> for Page {
    fn from(reading: Reading) -> Self {
        Self {
            text: reading.text,
            answer: reading.answer,
            layer: reading.layer,
            painted: reading.painted,
        }
    }
}

impl Page {
    /// As JSON: the answer, and what the page's parts are.
    pub fn json(&self) -> Value {
        let mut value = json!(self.answer);
        let regions = self.text.regions.iter().map(|region| {
            let mut value = json!(region);
            if let Some(fields) = value.as_object_mut() {
                // Indices into lines that are ordered in another way than the answer's.
                fields.remove("lines");
                if let Some(items) = fields.get_mut("items").and_then(Value::as_array_mut) {
                    let items = items.iter_mut().filter_map(Value::as_object_mut);
                    items.for_each(|item| drop(item.remove("lines")));
                }
                if let Some(table) = &region.table {
                    fields.insert("html".into(), export::table_html(table).into());
                }
            }
            value
        });
        let regions: Vec<Value> = regions.collect();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("id");
            fields.remove("plan");
            fields.insert("index".into(), json!(self.text.index));
            fields.insert("dpi".into(), json!(self.text.dpi));
            fields.insert("regions".into(), regions.into());
        }
        value
    }
}

/// A document that was read. It holds text and boxes, no pixels but the figures'.
#[pyclass(frozen, module = "maoocr._maoocr")]
pub struct Document {
    /// Pages that were read, in the order of the file.
    pub pages: Vec<Page>,
    /// Pages that can't be had.
    pub lost: Vec<PageError>,
    /// From the call to its end, s.
    pub seconds: f64,
    /// The plan that was followed, as JSON.
    pub plan: Value,
}

#[pymethods]
impl Document {
    /// The whole answer as JSON.
    fn json(&self, py: Python<'_>) -> String {
        py.detach(|| self.value().to_string())
    }

    /// The document in another form: `txt`, `md`, `html`, `json`, `hocr`, `alto`, `page`, `tsv`, `csv` as text in
    /// UTF-8; `xlsx`, `docx` as archives.
    #[pyo3(signature = (form, *, title, source, language, date))]
    fn export<'py>(
        &self,
        py: Python<'py>,
        form: &str,
        title: String,
        source: String,
        language: Option<String>,
        date: String,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let meta = Meta {
            title,
            source,
            language,
            date,
            pictures: None,
        };
        let bytes = py.detach(|| self.exported(form, &meta))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Turns that make pages upright, degrees clockwise: 0, 90, 180 or 270, a page each.
    #[getter]
    fn turns(&self) -> Vec<u16> {
        self.pages.iter().map(|p| p.answer.turn).collect()
    }

    fn __repr__(&self) -> String {
        format!("<Document: {} pages>", self.pages.len())
    }
}

impl Document {
    fn value(&self) -> Value {
        let texts: Vec<&str> = self.pages.iter().map(|p| p.answer.text.as_str()).collect();
        let mut models: Vec<&str> = Vec::new();
        for name in self.pages.iter().flat_map(|p| &p.answer.selected_models) {
            if !models.contains(&name.as_str()) {
                models.push(name);
            }
        }
        let weight = |p: &Page| p.answer.text.chars().count() as f64;
        let characters: f64 = self.pages.iter().map(weight).sum();
        let sum: f64 = self
            .pages
            .iter()
            .map(|p| f64::from(p.answer.confidence) * weight(p))
            .sum();
        let confidence = match self.pages.as_slice() {
            [page] => f64::from(page.answer.confidence),
            _ => sum / characters.max(1.0),
        };
        let pages: Vec<Value> = self.pages.iter().map(Page::json).collect();
        let lost = self.lost.iter().map(
            |e| json!({"index": e.index, "code": e.error.code(), "detail": e.error.to_string()}),
        );
        let device = self.pages.first().map_or("", |p| p.answer.device.as_str());
        let mut value = json!({
            "text": texts.join("\n\n"),
            "confidence": confidence,
            "processing_time": self.seconds,
            "selected_models": models,
            "device": device,
            "language": self.plan["language"],
            "plan": self.plan,
            "pages": pages,
            "lost_pages": lost.collect::<Vec<_>>(),
        });
        // A single page's fields stand at the top, too, as in the answers of the HTTP interface.
        if let ([page], Some(all)) = (self.pages.as_slice(), value.as_object_mut()) {
            let mut fields: Map<String, Value> = Map::new();
            if let Value::Object(own) = page.json() {
                fields = own;
            }
            for name in ["width", "height", "turn", "lines", "blocks", "timings"] {
                if let Some(field) = fields.remove(name) {
                    all.insert(name.into(), field);
                }
            }
        }
        value
    }

    fn exported(&self, form: &str, meta: &Meta) -> Result<Vec<u8>, Fault> {
        let format = Format::named(form);
        let is_office = matches!(form, "xlsx" | "docx");
        if format.is_none() && !is_office {
            return Err(Fault::argument(format!(
                "format: `{form}` is not one of txt, md, html, json, hocr, alto, page, tsv, csv, xlsx, docx"
            )));
        }
        let mut text = self.text(form == "txt");
        // What shows a document as a whole joins what goes on over pages, as the command does.
        if format.map_or(is_office, Format::flows) {
            structure::join_pages(&mut text);
        }
        match (format, form) {
            (Some(format), _) => Ok(export::write(&text, format, meta).into_bytes()),
            (None, "xlsx") => export::xlsx(&text, meta).map_err(Fault::export),
            (None, _) => export::docx(&text, meta).map_err(Fault::export),
        }
    }

    /// The pages' text; without their structure where only the plain text is wanted, as the command writes it.
    fn text(&self, plain: bool) -> Text {
        let page = |page: &Page| match plain {
            true => {
                maoocr_engine::reading::paragraphs(&page.answer, page.text.index, page.text.dpi)
            }
            false => {
                let mut text = page.text.clone();
                for region in &mut text.regions {
                    let shown = matches!(region.kind, RegionKind::Figure | RegionKind::Formula);
                    region.picture = region.picture.take().filter(|_| shown);
                }
                text
            }
        };
        Text {
            pages: self.pages.iter().map(page).collect(),
        }
    }
}
