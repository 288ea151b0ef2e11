//! Documents in other forms.

use js_sys::Uint8Array;
use maoocr_engine::document::{Document, PageText};
use maoocr_engine::export::{self, Format, Meta};
use maoocr_engine::structure;
use maoocr_wasm_base::{Fault, value};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::Failure;
use crate::fence;
use crate::pdf::Pdf;
use crate::structure::pixels;

/// A document being written in one form.
#[wasm_bindgen]
pub struct Export {
    form: Form,
    meta: Meta,
    document: Document,
}

#[derive(Clone, Copy)]
enum Form {
    Text(Format),
    Xlsx,
    Docx,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct MetaGiven {
    title: String,
    source: String,
    language: Option<String>,
    date: String,
}

#[wasm_bindgen]
impl Export {
    /// An empty document. `form` is the extension of its file, or `alto`.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "Form")] form: &str,
        #[wasm_bindgen(unchecked_optional_param_type = "Meta")] meta: &JsValue,
    ) -> Result<Export, JsValue> {
        fence::now(|| {
            let unknown = || Fault::Argument(format!("there is no form `{form}`"));
            let form = match form {
                "xlsx" => Form::Xlsx,
                "docx" => Form::Docx,
                other => Form::Text(Format::named(other).ok_or_else(unknown)?),
            };
            let given = value::from_js::<MetaGiven>(meta, "what is said of the document")?;
            let MetaGiven {
                title,
                source,
                language,
                date,
            } = given.unwrap_or_default();
            Ok(Self {
                form,
                meta: Meta {
                    title,
                    source,
                    language,
                    date,
                    pictures: None,
                },
                document: Document::default(),
            })
        })
    }

    /// Whether the form shows what the page's figures look like: then `add` wants its picture.
    pub fn wants(
        &self,
        #[wasm_bindgen(unchecked_param_type = "PageText")] page: &JsValue,
    ) -> Result<bool, JsValue> {
        fence::now(|| Ok(self.shows_pictures() && structure::has_pictures(&given(page)?)))
    }

    /// Adds a page, with the picture that it was read from.
    pub fn add(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "PageText")] page: &JsValue,
        #[wasm_bindgen(unchecked_optional_param_type = "Uint8Array | ArrayBuffer | Frame")]
        picture: &JsValue,
    ) -> Result<(), JsValue> {
        fence::now(|| {
            let mut page = given(page)?;
            if !picture.is_undefined() && !picture.is_null() && self.shows_pictures() {
                structure::cut_pictures(&mut page, &pixels(picture)?);
            }
            self.document.pages.push(page);
            Ok(())
        })
    }

    /// Adds a page of a PDF.
    #[wasm_bindgen(js_name = addPage)]
    pub fn add_page(
        &mut self,
        pdf: &Pdf,
        #[wasm_bindgen(unchecked_param_type = "PageText")] page: &JsValue,
    ) -> Result<(), JsValue> {
        fence::now(|| {
            let mut page = given(page)?;
            if self.shows_pictures() && structure::has_pictures(&page) {
                pdf.inner().cut_pictures(&mut page)?;
            }
            self.document.pages.push(page);
            Ok(())
        })
    }

    /// The file. The document is empty then.
    pub fn finish(&mut self) -> Result<Uint8Array, JsValue> {
        fence::now(|| {
            let mut document = std::mem::take(&mut self.document);
            let flows = match self.form {
                Form::Text(format) => format.flows(),
                Form::Xlsx | Form::Docx => true,
            };
            if flows {
                structure::join_pages(&mut document);
            }
            let office = |error: String| Failure::Office(error);
            let bytes = match self.form {
                Form::Text(format) => export::write(&document, format, &self.meta).into_bytes(),
                Form::Xlsx => {
                    export::xlsx(&document, &self.meta).map_err(|e| office(e.to_string()))?
                }
                Form::Docx => {
                    export::docx(&document, &self.meta).map_err(|e| office(e.to_string()))?
                }
            };
            Ok(Uint8Array::from(&bytes[..]))
        })
    }
}

impl Export {
    fn shows_pictures(&self) -> bool {
        matches!(self.form, Form::Docx | Form::Text(Format::Html))
    }
}

pub(crate) fn given(page: &JsValue) -> Result<PageText, Fault> {
    let page = value::from_js(page, "the page")?;
    page.ok_or_else(|| Fault::Argument("there is no page".into()))
}
