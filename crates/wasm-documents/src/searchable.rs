//! PDFs whose text can be searched and copied.

use js_sys::Uint8Array;
use maoocr_pdf::searchable::{Composed, Extended, Info, Layer};
use maoocr_wasm_base::Fault;
use maoocr_wasm_base::value::{self, Picture};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::export::given;
use crate::fence;
use crate::pdf::{Pdf, WorthTold};
use crate::structure::{first, pixels};

/// A PDF being made searchable, or made of pictures.
#[wasm_bindgen]
pub struct SearchablePdf(Option<Form>);

enum Form {
    Extended(Box<Extended>),
    Composed(Box<Composed>),
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct InfoGiven {
    title: String,
    language: Option<String>,
    date: String,
}

#[wasm_bindgen]
impl SearchablePdf {
    /// Adds to a PDF: its own bytes stay as they are. The code is `unwritable` where it is too damaged for that.
    pub fn extend(pdf: &Pdf) -> Result<SearchablePdf, JsValue> {
        fence::now(|| {
            let inner = pdf.inner();
            let extended = Extended::open(&inner.bytes, &inner.password)?;
            Ok(Self(Some(Form::Extended(Box::new(extended)))))
        })
    }

    /// A new PDF, of pictures.
    pub fn compose(
        #[wasm_bindgen(unchecked_optional_param_type = "Meta")] meta: &JsValue,
    ) -> Result<SearchablePdf, JsValue> {
        fence::now(|| {
            let given = value::from_js::<InfoGiven>(meta, "what is said of the document")?;
            let InfoGiven {
                title,
                language,
                date,
            } = given.unwrap_or_default();
            let info = Info {
                title,
                language,
                date,
                archival: false,
            };
            Ok(Self(Some(Form::Composed(Box::new(Composed::new(info))))))
        })
    }

    /// Lays a page's text over it; a page whose own text is sound keeps that.
    #[wasm_bindgen(js_name = addText)]
    pub fn add_text(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "PageText")] page: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "Worth")] worth: &JsValue,
    ) -> Result<(), JsValue> {
        fence::now(|| {
            let page = given(page)?;
            let worth = value::from_js::<WorthTold>(worth, "the layer's worth")?;
            let Some(Form::Extended(out)) = &mut self.0 else {
                return Err(Fault::Argument("a PDF of pictures takes pictures".into()).into());
            };
            out.outline(page.index, &page);
            if let Some(layer) = worth.map_or(Some(Layer::Absent), WorthTold::becomes) {
                out.add(page.index, &page, layer)?;
            }
            Ok(())
        })
    }

    /// Adds a picture with its text: a JPEG's data goes in as it is.
    #[wasm_bindgen(js_name = addPicture)]
    pub fn add_picture(
        &mut self,
        #[wasm_bindgen(unchecked_param_type = "Uint8Array | ArrayBuffer | Frame")]
        picture: &JsValue,
        #[wasm_bindgen(unchecked_param_type = "PageText")] page: &JsValue,
    ) -> Result<(), JsValue> {
        fence::now(|| {
            let page = given(page)?;
            let Some(Form::Composed(out)) = &mut self.0 else {
                return Err(Fault::Argument("what is added to a PDF is text".into()).into());
            };
            match Picture::of(picture)? {
                Picture::File(bytes) => {
                    let bytes = value::copied(&bytes)?;
                    let image = first(&bytes)?;
                    out.add(&bytes, 0, &page, &image);
                }
                Picture::Frame(..) => out.add_pixels(&pixels(picture)?, &page),
            }
            Ok(())
        })
    }

    /// The file. Nothing can be added then.
    pub fn finish(&mut self) -> Result<Uint8Array, JsValue> {
        fence::now(|| {
            let bytes = match self.0.take() {
                Some(Form::Extended(out)) => out.finish()?,
                Some(Form::Composed(out)) => out.finish(),
                None => return Err(Fault::Argument("it was finished before".into()).into()),
            };
            Ok(Uint8Array::from(&bytes[..]))
        })
    }
}
