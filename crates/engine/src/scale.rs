//! Scaling of 8-bit RGB pictures.
//!
//! The typed calls of `fast_image_resize` are taken on purpose: the others bring every pixel type along, and half a
//! megabyte of tables for their alpha.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use maoocr_runtime::RuntimeError;

/// Left, top, width and height of a part of a picture, px.
pub(crate) type Part = [f64; 4];

/// Scales `part` of a picture of `from` px (width, height), or all of it, to `to` px. The filter is widened when
/// shrinking, so that thin strokes don't fall between samples.
pub(crate) fn scale(
    rgb: &[u8],
    from: (u32, u32),
    part: Option<Part>,
    to: (u32, u32),
    filter: FilterType,
) -> Result<Vec<u8>, RuntimeError> {
    let failed = |e: &dyn std::fmt::Display| RuntimeError::Input {
        shape: vec![from.1 as usize, from.0 as usize],
        reason: e.to_string(),
    };
    let source = TypedImageRef::<U8x3>::from_buffer(from.0, from.1, rgb).map_err(|e| failed(&e))?;
    let mut scaled = vec![0; to.0 as usize * to.1 as usize * 3];
    let mut target =
        TypedImage::<U8x3>::from_buffer(to.0, to.1, &mut scaled).map_err(|e| failed(&e))?;
    let mut options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    if let Some([left, top, width, height]) = part {
        options = options.crop(left, top, width, height);
    }
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .map_err(|e| failed(&e))?;
    drop(target);
    Ok(scaled)
}
