//! Structure of pictures that aren't of a PDF.

use maoocr_engine::document::Line;
use maoocr_engine::imaging::{self, Image, Limits};
use maoocr_engine::layer::Verdict;
use maoocr_engine::page::Page;
use maoocr_engine::reading::{self, Worth};
use maoocr_engine::structure::StructureOptions;
use maoocr_wasm_base::Fault;
use maoocr_wasm_base::value::{self, Picture};
use serde::Deserialize;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::failure::Failure;
use crate::fence;

#[derive(Deserialize)]
struct Given {
    lines: Vec<Line>,
    #[serde(default)]
    turn: u16,
    #[serde(default)]
    index: usize,
}

/// Finds the regions of a picture from its lines, as they were read or corrected.
#[wasm_bindgen(unchecked_return_type = "PageText")]
pub fn structure(
    #[wasm_bindgen(unchecked_param_type = "Uint8Array | ArrayBuffer | Frame")] picture: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "{ lines: Line[]; turn?: number; index?: number }")]
    given: &JsValue,
) -> Result<JsValue, JsValue> {
    fence::now(|| {
        let given = value::from_js::<Given>(given, "the page")?;
        let given = given.ok_or_else(|| Fault::Argument("there is no page".into()))?;
        let page = Page {
            index: given.index,
            ..Page::from(pixels(picture)?)
        };
        let unread = Worth {
            verdict: Verdict::Absent,
            unseen: false,
            painted: false,
        };
        let options = StructureOptions {
            pictures: false,
            ..StructureOptions::default()
        };
        let text = reading::structured(&page, given.lines, given.turn, unread, &options);
        Ok(value::to_js(&text)?)
    })
}

/// The pixels of a picture, the first page of it.
pub(crate) fn pixels(picture: &JsValue) -> Result<Image, Failure> {
    let limits = Limits::default();
    match Picture::of(picture)? {
        Picture::File(bytes) => first(&value::copied(&bytes)?),
        Picture::Frame(width, height, samples) => {
            Image::admit_rgba(width, height, samples.length() as usize, &limits)?;
            let rgba = value::copied(&samples)?;
            Ok(Image::from_rgba(width, height, rgba, &limits)?)
        }
    }
}

/// The first page of a picture's file.
pub(crate) fn first(bytes: &[u8]) -> Result<Image, Failure> {
    let pages = imaging::decode(bytes, &Limits::default())?;
    let first = pages.into_iter().next();
    first.ok_or_else(|| Fault::Argument("the picture has no page".into()).into())
}
