//! Text that can be searched and copied, laid unseen over pages.
//!
//! [`Extended`] adds it to a PDF: the file's bytes stay as they are, and an update is appended (ISO 32000-1, 7.5.6), so
//! that signatures of what was there stay valid. [`Composed`] makes a PDF of pictures, whose data it takes as it is.

mod composed;
mod content;
mod extended;
mod font;
mod muted;
mod picture;
mod straight;
mod text;

pub use composed::{Composed, Info};
pub use extended::{Extended, Layer};
pub use straight::{skew, straightened};

/// Why no PDF was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The file can be drawn but not added to.
    #[error("the PDF can't be added to ({0}): print it into a new one, or give --rebuild")]
    Structure(String),
    /// A page is not where it should be.
    #[error("page {0} isn't in the PDF")]
    NoPage(usize),
}

impl From<lopdf::Error> for WriteError {
    fn from(error: lopdf::Error) -> Self {
        Self::Structure(error.to_string())
    }
}

/// Packs bytes as `/FlateDecode` wants them.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}
