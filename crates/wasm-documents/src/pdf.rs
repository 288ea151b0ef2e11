//! PDFs: their pages as pictures, and as text.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use js_sys::{Promise, Reflect, Uint8Array};
use maoocr_engine::document::{Block, Content, Line, PageText};
use maoocr_engine::imaging::Limits;
use maoocr_engine::layer::Verdict;
use maoocr_engine::page::Page;
use maoocr_engine::reading::{self, From, LayerUse, Lines, Worth};
use maoocr_engine::structure::StructureOptions;
use maoocr_pdf::Options;
use maoocr_pdf::searchable::Layer;
use maoocr_wasm_base::{Fault, value};
use serde::{Deserialize, Serialize};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::elsewhere::Elsewhere;
use crate::failure::Failure;
use crate::fence;

/// Pages that one file may have: each is a picture to be read, an entry in lists.
const MOST_PAGES: usize = 2000;
/// Time for the first walk over a page, s.
const SECONDS: f64 = 30.0;

/// An open PDF.
#[wasm_bindgen]
pub struct Pdf(Rc<Inner>);

pub(crate) struct Inner {
    pdf: maoocr_pdf::Pdf,
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) password: String,
    /// The page that was drawn last: who reads a page mostly shows it, too.
    last: RefCell<Option<Page>>,
}

/// [`Worth`] as it crosses.
#[derive(Clone, Copy, Deserialize, Serialize)]
pub(crate) struct WorthTold {
    verdict: VerdictTold,
    unseen: bool,
    painted: bool,
}

impl WorthTold {
    /// What becomes of the page's layer in a searchable PDF; none where the page is left alone.
    pub(crate) fn becomes(self) -> Option<Layer> {
        match self.verdict {
            VerdictTold::Sound => None,
            VerdictTold::Absent => Some(Layer::Absent),
            VerdictTold::Lies => Some(Layer::Lying),
            VerdictTold::Poor => Some(Layer::Unseen { all: !self.painted }),
        }
    }
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum VerdictTold {
    Absent,
    Sound,
    Lies,
    Poor,
}

#[derive(Serialize)]
struct Told {
    worth: WorthTold,
    width: u32,
    height: u32,
    dpi: Option<f32>,
    text: String,
    confidence: f32,
    lines: Vec<Line>,
    blocks: Vec<Block>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayerName {
    #[default]
    Auto,
    Always,
    Never,
}

/// What was read of a page whose structure is wanted.
#[derive(Deserialize)]
struct Given {
    lines: Vec<Line>,
    #[serde(default)]
    turn: u16,
    worth: WorthTold,
}

#[wasm_bindgen]
impl Pdf {
    /// Opens a file. Its code is `password_required` or `password_wrong` where it needs another password.
    pub fn open(file: &Uint8Array, password: Option<String>) -> Result<Pdf, JsValue> {
        fence::now(|| {
            let password = password.unwrap_or_default();
            let bytes = Arc::new(value::copied(file)?);
            let limits = Limits {
                // As large as this module's memory allows.
                max_bytes: 512 << 20,
                max_pages: MOST_PAGES,
                ..Limits::default()
            };
            let options = Options {
                password: password.clone(),
                limits,
                seconds: Some(SECONDS),
                ..Options::default()
            };
            let pdf = maoocr_pdf::Pdf::open(bytes.clone(), options)?;
            Ok(Self(Rc::new(Inner {
                pdf,
                bytes,
                password,
                last: RefCell::new(None),
            })))
        })
    }

    /// How many pages it has.
    #[wasm_bindgen(getter)]
    pub fn count(&self) -> usize {
        self.0.pdf.count()
    }

    /// A page as a person sees it, by its position from 0.
    #[wasm_bindgen(unchecked_return_type = "Frame")]
    pub fn draw(&self, index: usize) -> Result<JsValue, JsValue> {
        fence::now(|| {
            let page = self.0.page(index)?;
            let frame = value::frame(&page.image)?;
            self.0.keep(page);
            Ok(frame.into())
        })
    }

    /// Reads a page: its text layer, where that is sound. Whatever must be read as a picture `readPicture` reads; where
    /// that is the whole page, the answer is its answer with `worth` and `dpi`.
    #[wasm_bindgen(unchecked_return_type = "Promise<PageRead>")]
    pub fn read(
        &self,
        index: usize,
        #[wasm_bindgen(unchecked_param_type = "ReadOptions")] options: JsValue,
    ) -> Promise {
        let inner = self.0.clone();
        fence::promise(async move { inner.read(index, &options).await })
    }

    /// Finds the regions of a page from its lines, as they were read or corrected.
    #[wasm_bindgen(unchecked_return_type = "PageText")]
    pub fn structure(
        &self,
        index: usize,
        #[wasm_bindgen(unchecked_param_type = "{ lines: Line[]; turn?: number; worth: Worth }")]
        given: &JsValue,
    ) -> Result<JsValue, JsValue> {
        fence::now(|| {
            let given = value::from_js::<Given>(given, "the page")?;
            let given = given.ok_or_else(|| Fault::Argument("there is no page".into()))?;
            let page = self.0.page(index)?;
            let text = reading::structured(
                &page,
                given.lines,
                given.turn,
                given.worth.into(),
                &StructureOptions {
                    pictures: false,
                    ..StructureOptions::default()
                },
            );
            self.0.keep(page);
            Ok(value::to_js(&text)?)
        })
    }

    /// Lets go of the page that was drawn last.
    pub fn release(&self) {
        self.0.last.take();
    }
}

impl Pdf {
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    fn page(&self, index: usize) -> Result<Page, Failure> {
        let last = self.last.take();
        match last.filter(|page| page.index == index) {
            Some(page) => Ok(page),
            None => Ok(self.pdf.page(index)?),
        }
    }

    fn keep(&self, page: Page) {
        self.last.replace(Some(page));
    }

    /// Adds what the page's figures look like.
    pub(crate) fn cut_pictures(&self, text: &mut PageText) -> Result<(), Failure> {
        let page = self.page(text.index)?;
        maoocr_engine::structure::cut_pictures(text, &page.image);
        self.keep(page);
        Ok(())
    }

    async fn read(&self, index: usize, options: &JsValue) -> Result<JsValue, Failure> {
        let layer = Reflect::get(options, &"layer".into()).map_err(Fault::Thrown)?;
        let layer = value::from_js::<LayerName>(&layer, "`layer`")?.unwrap_or_default();
        let mut reader = Elsewhere::of(options)?;
        let mut page = self.page(index)?;
        let Lines { from, worth } =
            reading::read_lines_of_page(&mut reader, &mut page, layer.into(), true).await?;
        let (width, height, dpi) = (page.image.width, page.image.height, page.dpi);
        self.keep(page);
        match from {
            From::Picture(seen) => {
                for (name, given) in [
                    ("worth", value::to_js(&WorthTold::from(worth))?),
                    ("dpi", value::to_js(&dpi)?),
                ] {
                    Reflect::set(&seen.document, &name.into(), &given).map_err(Fault::Thrown)?;
                }
                Ok(seen.document)
            }
            From::Layer { content, .. } => {
                let Content {
                    lines,
                    blocks,
                    text,
                    confidence,
                } = content;
                Ok(value::to_js(&Told {
                    worth: worth.into(),
                    width,
                    height,
                    dpi,
                    text,
                    confidence,
                    lines,
                    blocks,
                })?)
            }
        }
    }
}

impl std::convert::From<LayerName> for LayerUse {
    fn from(name: LayerName) -> Self {
        match name {
            LayerName::Auto => Self::Auto,
            LayerName::Always => Self::Always,
            LayerName::Never => Self::Never,
        }
    }
}

impl std::convert::From<Worth> for WorthTold {
    fn from(worth: Worth) -> Self {
        Self {
            verdict: match worth.verdict {
                Verdict::Absent => VerdictTold::Absent,
                Verdict::Sound => VerdictTold::Sound,
                Verdict::Lies => VerdictTold::Lies,
                Verdict::Poor => VerdictTold::Poor,
            },
            unseen: worth.unseen,
            painted: worth.painted,
        }
    }
}

impl std::convert::From<WorthTold> for Worth {
    fn from(told: WorthTold) -> Self {
        Self {
            verdict: match told.verdict {
                VerdictTold::Absent => Verdict::Absent,
                VerdictTold::Sound => Verdict::Sound,
                VerdictTold::Lies => Verdict::Lies,
                VerdictTold::Poor => Verdict::Poor,
            },
            unseen: told.unseen,
            painted: told.painted,
        }
    }
}
