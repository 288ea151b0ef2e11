//! [`Image`] → where its lines of text are: the DB detector (Liao et al., "Real-time Scene Text Detection with
//! Differentiable Binarization") and its post-processing.

use fast_image_resize::FilterType;
use maoocr_models::manifest::Detection;
use maoocr_runtime::{RuntimeError, Session, Tensor};

use crate::geometry::Quad;
use crate::imaging::Image;
use crate::normalise::Normalise;
use crate::plan::DeviceClass;
use crate::scale::scale;

mod lone;
mod merge;
mod rectangle;
mod regions;

use merge::merged;
pub use rectangle::{min_area_rectangle, ordered, unclip};
pub use regions::lines;

/// A line of text that was found.
#[derive(Clone, Debug)]
pub struct Detected {
    /// Where it is, in the page's pixels.
    pub quad: Quad,
    /// Mean text probability inside, 0 to 1.
    pub score: f32,
    /// Whether it was seen only where something weaker was taken away that it touches: what it says must be read surely.
    pub doubtful: bool,
    /// Whether it was seen only with a watermark lifted from the page: it is read from there, too.
    pub veiled: bool,
    /// The column of lone characters that it belongs to, if it was found by its ink: it lies, and most of its column must
    /// be read surely.
    pub column: Option<usize>,
}

/// How large the detector sees a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizePolicy {
    /// Pages whose shorter side is below this are enlarged to it, px.
    pub min_side: u32,
    /// … but not by more than this factor.
    pub max_enlargement: f32,
    /// Pages whose longer side is above this are reduced to it, px …
    pub max_side: u32,
    /// … but no further than leaves the shorter side this long: long receipts stay legible, px.
    pub min_reduced_side: u32,
    /// Pixels of one run; larger inputs are cut into overlapping tiles, so memory doesn't grow with the page.
    pub max_run_pixels: u32,
    /// Pixels of all runs together; larger inputs are reduced further.
    pub max_pixels: u32,
}

impl Default for SizePolicy {
    fn default() -> Self {
        Self {
            min_side: 640,
            max_enlargement: 2.0,
            max_side: crate::plan::MAX_SIDE,
            min_reduced_side: 480,
            max_run_pixels: 1_100_000,
            max_pixels: 12_000_000,
        }
    }
}

impl SizePolicy {
    /// What suits a device. Where there is little memory, a run takes a third of it: the tiny detector needs about 70
    /// bytes a pixel.
    pub fn of(device: DeviceClass) -> Self {
        let usual = Self::default();
        Self {
            max_run_pixels: match device {
                DeviceClass::Constrained => 400_000,
                _ => usual.max_run_pixels,
            },
            ..usual
        }
    }

    /// Size of the detector's input for a page, px: both sides multiples of `multiple`.
    pub fn input_size(&self, width: u32, height: u32, multiple: u32) -> (u32, u32) {
        let (short, long) = (
            width.min(height).max(1) as f32,
            width.max(height).max(1) as f32,
        );
        let mut scale = (self.min_side as f32 / short).clamp(1.0, self.max_enlargement);
        if long * scale > self.max_side as f32 {
            let least = (self.min_reduced_side as f32 / short).min(1.0);
            scale = (self.max_side as f32 / long).max(least);
        }
        let pixels = short * long * scale * scale;
        if pixels > self.max_pixels as f32 {
            scale *= (self.max_pixels as f32 / pixels).sqrt();
        }
        let side =
            |px: u32| ((px as f32 * scale / multiple as f32).round().max(1.0) as u32) * multiple;
        let (width, height) = (side(width), side(height));
        // A page of one pixel's width is as wide as `multiple` by now: of such a one the length gives way.
        let longest = |across: u32| (self.max_pixels / across / multiple).max(1) * multiple;
        if width <= height {
            (width, height.min(longest(width)))
        } else {
            (width.min(longest(height)), height)
        }
    }
}

/// Overlap of neighbouring tiles, px of the input. Lines that cross the middle of it look the same from both sides.
const OVERLAP: u32 = 192;
/// Finds the lines of a page. They come in no particular order.
pub async fn detect(
    page: &Image,
    session: &dyn Session,
    constants: &Detection,
    size: &SizePolicy,
) -> Result<Vec<Detected>, RuntimeError> {
    let (width, height) = size.input_size(page.width, page.height, constants.multiple);
    let map = probabilities(page, session, constants, size, width, height).await?;
    let (sx, sy) = (
        page.width as f32 / width as f32,
        page.height as f32 / height as f32,
    );
    let mut found = merged(lines(&map, width as usize, height as usize, constants));
    let large = LARGE * width.min(height) as f32;
    if width.min(height) >= MIN_COARSE_SIDE && found.iter().any(|d| thickness(d) > large) {
        let side = |px: u32| ((px / COARSER / constants.multiple).max(1)) * constants.multiple;
        let (w, h) = (side(width), side(height));
        let map = probabilities(page, session, constants, size, w, h).await?;
        let mut coarse = merged(lines(&map, w as usize, h as usize, constants));
        let (sx, sy) = (width as f32 / w as f32, height as f32 / h as f32);
        coarse.iter_mut().for_each(|d| stretch(&mut d.quad, sx, sy));
        coarse.retain(|d| thickness(d) > large);
        found = with_large(found, coarse);
    }
    for line in &mut found {
        stretch(&mut line.quad, sx, sy);
        for corner in &mut line.quad.0 {
            corner.x = corner.x.clamp(0.0, page.width as f32);
            corner.y = corner.y.clamp(0.0, page.height as f32);
        }
    }
    lone::add_columns(page, &mut found);
    Ok(found)
}

/// Boxes thicker than this share of the shorter side hold, or are pieces of, lettering that is too large for the
/// detector to see whole: it learnt from lines of a tenth of that …
const LARGE: f32 = 0.2;
/// … so the page is looked at again, this many times smaller …
const COARSER: u32 = 4;
/// … unless it is small anyhow, px.
const MIN_COARSE_SIDE: u32 = 512;

fn thickness(line: &Detected) -> f32 {
    line.quad.width().min(line.quad.height())
}

fn stretch(quad: &mut Quad, sx: f32, sy: f32) {
    for corner in &mut quad.0 {
        (corner.x, corner.y) = (corner.x * sx, corner.y * sy);
    }
}

/// What was found at full size, and of large lettering found at a smaller one what isn't there yet: that takes the place
/// of its pieces, while small lines stay, even on it.
fn with_large(found: Vec<Detected>, large: Vec<Detected>) -> Vec<Detected> {
    let area = |line: &Detected| line.quad.width() * line.quad.height();
    let inside = |line: &Detected, whole: &Detected| whole.quad.contains(line.quad.center());
    let mut large = large;
    large.retain(|whole| {
        let covers = |line: &Detected| inside(line, whole) && area(line) > 0.6 * area(whole);
        !found.iter().any(covers)
    });
    let is_piece = |line: &Detected| {
        let of = |whole: &Detected| inside(line, whole) && thickness(line) > 0.3 * thickness(whole);
        large.iter().any(of)
    };
    let mut all: Vec<Detected> = found.into_iter().filter(|d| !is_piece(d)).collect();
    all.extend(large);
    all
}

/// The text probability of every pixel of a `width × height` view of the page.
async fn probabilities(
    page: &Image,
    session: &dyn Session,
    constants: &Detection,
    size: &SizePolicy,
    width: u32,
    height: u32,
) -> Result<Vec<f32>, RuntimeError> {
    let view = scale(
        &page.rgb,
        (page.width, page.height),
        None,
        (width, height),
        FilterType::Bilinear,
    )?;
    if width * height <= size.max_run_pixels {
        let map = run(&view, width, (0, 0, width, height), session, constants).await?;
        return Ok(map);
    }
    // Tiles cut the longer side only, unless the shorter one alone is too long.
    let tile = |along: u32, across: u32| {
        let room = (size.max_run_pixels / across.min(along)).max(OVERLAP * 3);
        along.min(room / constants.multiple * constants.multiple)
    };
    let (tile_width, tile_height) = if width >= height {
        let tile_height = height.min(tile(height, height.min(1024)));
        (tile(width, tile_height), tile_height)
    } else {
        let tile_width = width.min(tile(width, width.min(1024)));
        (tile_width, tile(height, tile_width))
    };
    let mut map = vec![0.0; width as usize * height as usize];
    for (y0, top, bottom) in tiles(height, tile_height) {
        for (x0, left, right) in tiles(width, tile_width) {
            let part = run(
                &view,
                width,
                (x0, y0, tile_width, tile_height),
                session,
                constants,
            )
            .await?;
            for y in top..bottom {
                let from = ((y - y0) * tile_width + (left - x0)) as usize;
                let to = (y * width + left) as usize;
                let length = (right - left) as usize;
                map[to..to + length].copy_from_slice(&part[from..from + length]);
            }
        }
    }
    Ok(map)
}

/// Start of each tile, and the range of pixels its result is used for.
fn tiles(length: u32, tile: u32) -> Vec<(u32, u32, u32)> {
    if tile >= length {
        return vec![(0, 0, length)];
    }
    let step = tile - OVERLAP.min(tile / 2);
    let count = (length - tile).div_ceil(step) + 1;
    let start = |i: u32| {
        ((u64::from(length - tile) * u64::from(i) / u64::from(count - 1)) as u32).min(length - tile)
    };
    (0..count)
        .map(|i| {
            let from = if i == 0 {
                0
            } else {
                (start(i - 1) + tile + start(i)) / 2
            };
            let to = if i + 1 == count {
                length
            } else {
                (start(i) + tile + start(i + 1)) / 2
            };
            (start(i), from, to)
        })
        .collect()
}

/// Runs the network on a tile (x, y, width, height) of an RGB view.
async fn run(
    view: &[u8],
    view_width: u32,
    (x0, y0, width, height): (u32, u32, u32, u32),
    session: &dyn Session,
    constants: &Detection,
) -> Result<Vec<f32>, RuntimeError> {
    let (w, h) = (width as usize, height as usize);
    let mut data = vec![0.0; 3 * w * h];
    let normalise = Normalise::new(constants.channels, constants.mean, constants.std);
    for (y, row) in data.chunks_exact_mut(w * 3).enumerate() {
        let from = ((y0 as usize + y) * view_width as usize + x0 as usize) * 3;
        normalise.write(&view[from..from + w * 3], row);
    }
    let input = Tensor::channels_last([1, 3, h, w], data)?;
    let map = session.run(input).await?;
    if map.data().len() != w * h {
        return Err(RuntimeError::Run {
            reason: format!(
                "the detector answered {:?} for an input of {w} × {h}",
                map.shape()
            ),
        });
    }
    Ok(map.into_data())
}

#[cfg(test)]
mod tests {
    use super::*;
    use maoocr_models::manifest::Channels;
    use proptest::prelude::*;

    pub(super) fn constants() -> Detection {
        Detection {
            channels: Channels::Bgr,
            mean: [0.5; 3],
            std: [0.5; 3],
            multiple: 32,
            threshold: 0.2,
            box_threshold: 0.45,
            unclip_ratio: 1.4,
            max_candidates: 3000,
        }
    }

    proptest! {
        #[test]
        fn inputs_stay_within_bounds(width in 1u32..20_000, height in 1u32..20_000) {
            let policy = SizePolicy::default();
            let (w, h) = policy.input_size(width, height, 32);
            prop_assert!(w % 32 == 0 && h % 32 == 0 && w > 0 && h > 0);
            prop_assert!(w * h <= policy.max_pixels);
        }

        #[test]
        fn inputs_of_threads_stay_within_bounds(width in 1u32..40, height in 1u32..120_000_000) {
            let policy = SizePolicy::default();
            let (w, h) = policy.input_size(width, height, 32);
            prop_assert!(u64::from(w) * u64::from(h) <= u64::from(policy.max_pixels));
            prop_assert_eq!(policy.input_size(height, width, 32), (h, w));
        }

        #[test]
        fn tiles_cover_everything_once(length in 1u32..9000, tile in 600u32..2000) {
            let mut next = 0;
            for (start, from, to) in tiles(length, tile.min(length)) {
                prop_assert_eq!(from, next);
                prop_assert!(start <= from && to <= start + tile && to <= length);
                next = to;
            }
            prop_assert_eq!(next, length);
        }
    }

    /// A network whose text probability is what it is shown: white is text.
    struct White;

    impl Session for White {
        fn run(&self, input: Tensor) -> maoocr_runtime::RunFuture<'_, Tensor> {
            Box::pin(async move {
                let &[_, _, h, w] = input.shape() else {
                    unreachable!("the input is a picture")
                };
                let pixels = input.data().chunks_exact(3);
                let map = pixels.map(|pixel| pixel[0] * 0.5 + 0.5).collect();
                Tensor::new([1, 1, h, w], map)
            })
        }

        fn executor(&self) -> String {
            "white".into()
        }
    }

    #[test]
    fn large_lettering_takes_the_place_of_its_pieces() {
        let box_of = |x0, y0, x1, y1| Detected {
            quad: Quad::from_rect(x0, y0, x1, y1),
            score: 0.8,
            doubtful: false,
            veiled: false,
            column: None,
        };
        let found = vec![
            box_of(100.0, 100.0, 300.0, 500.0),
            box_of(700.0, 250.0, 900.0, 480.0),
            box_of(400.0, 450.0, 600.0, 480.0),
            box_of(100.0, 700.0, 600.0, 730.0),
        ];
        let large = vec![box_of(90.0, 90.0, 950.0, 510.0)];
        let quads: Vec<Quad> = with_large(found.clone(), large.clone())
            .iter()
            .map(|d| d.quad)
            .collect();
        assert_eq!(quads, [found[2].quad, found[3].quad, large[0].quad]);
        // What is whole already stays as it was seen.
        let whole = vec![box_of(95.0, 95.0, 940.0, 500.0), found[2].clone()];
        let quads: Vec<Quad> = with_large(whole.clone(), large)
            .iter()
            .map(|d| d.quad)
            .collect();
        assert_eq!(quads, [whole[0].quad, whole[1].quad]);
    }

    #[test]
    fn lines_are_found_where_they_are_at_every_size() {
        // Reduced, as it is, enlarged, and in tiles both ways; the bar lies across the tiles' seams.
        for (width, height, run) in [
            (3000u32, 2000u32, u32::MAX),
            (900, 700, u32::MAX),
            (300, 200, u32::MAX),
            (3000, 300, 400_000),
            (300, 3000, 400_000),
        ] {
            let mut page = Image {
                width,
                height,
                rgb: vec![0; (width * height * 3) as usize],
            };
            let (x0, y0, x1, y1) = (width / 10, height * 4 / 10, width * 9 / 10, height * 6 / 10);
            for y in y0..y1 {
                let row = (y * width * 3) as usize;
                page.rgb[row + x0 as usize * 3..row + x1 as usize * 3].fill(255);
            }
            let size = SizePolicy {
                max_run_pixels: run,
                ..SizePolicy::default()
            };
            let constants = Detection {
                unclip_ratio: 0.0,
                threshold: 0.5,
                ..constants()
            };
            let found = pollster::block_on(detect(&page, &White, &constants, &size)).unwrap();
            assert_eq!(found.len(), 1, "{width} × {height}");
            let bounds = found[0].quad.bounds();
            let slack = 3.0f32.max(width.max(height) as f32 / 500.0);
            for (got, wanted) in bounds.into_iter().zip([x0, y0, x1, y1]) {
                assert!(
                    (got - wanted as f32).abs() <= slack,
                    "{width} × {height}: {bounds:?}, not {wanted}"
                );
            }
        }
    }
}
