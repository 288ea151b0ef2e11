//! PDFs in and out.
//!
//! [`Pdf`] opens a file and yields its pages as the engine takes them, each with what it says in text and strokes
//! ([`TextLayer`](maoocr_engine::page::TextLayer)). [`searchable`] writes what was read back as invisible text.
//! Nothing here needs a file system or the network, and it compiles to WebAssembly.

mod bounds;
mod fonts;
mod geometry;
mod raster;
pub mod searchable;
mod source;
mod survey;

pub use source::{Options, Pages, Pdf, is_pdf};
pub use survey::stopped;
