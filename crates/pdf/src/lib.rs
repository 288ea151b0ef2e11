//! PDFs in and out.
//!
//! [`Pdf`] opens a file and yields its pages as the engine takes them, each with what it says in text and strokes
//! ([`TextLayer`](maoocr_engine::page::TextLayer)). [`searchable`] writes what was read back as invisible text.
//! Nothing here needs a file system or the network, and it compiles to WebAssembly.

mod bounds;
mod fonts;
mod geometry;
mod plain;
mod raster;
pub mod searchable;
mod source;
mod survey;
mod tree;

pub use maoocr_engine::imaging::is_pdf;
pub use plain::Budget;
pub use source::{Options, Outline, Pages, Pdf};
pub use survey::stopped;
