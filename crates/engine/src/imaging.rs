//! Bytes → [`Page`].

/// A picture as a person sees it: 8-bit RGB, EXIF orientation applied, transparency over white.
#[derive(Clone, Debug)]
pub struct Page {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// `width × height × 3` bytes, row after row.
    pub rgb: Vec<u8>,
}
