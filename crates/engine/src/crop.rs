//! Cuts a quad out of a page and makes it upright.

/// A line of text cut out of a page, reading from left to right.
#[derive(Clone, Debug)]
pub struct Strip {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// `width × height × 3` bytes, row after row.
    pub rgb: Vec<u8>,
}
