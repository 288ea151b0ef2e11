//! [`Page`](crate::imaging::Page) → where its lines of text are.

use crate::geometry::Quad;

/// A line of text that was found.
#[derive(Clone, Debug)]
pub struct Detected {
    /// Where it is, in the page's pixels.
    pub quad: Quad,
    /// Mean text probability inside, 0 to 1.
    pub score: f32,
}
