//! [`Page`] → where its lines of text are: the DB detector (Liao et al., "Real-time Scene Text Detection with
//! Differentiable Binarization") and its post-processing.

use fast_image_resize::FilterType;
use maoocr_models::manifest::Detection;
use maoocr_runtime::{RuntimeError, Session, Tensor};

use crate::geometry::{Point, Quad};
use crate::imaging::Page;
use crate::input::Normalise;
use crate::plan::DeviceClass;
use crate::scale::scale;

/// A line of text that was found.
#[derive(Clone, Debug)]
pub struct Detected {
    /// Where it is, in the page's pixels.
    pub quad: Quad,
    /// Mean text probability inside, 0 to 1.
    pub score: f32,
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
/// Components with a shorter side than this are specks, px of the map (PaddleOCR's `min_size`).
const MIN_COMPONENT_SIDE: f32 = 3.0;

/// Finds the lines of a page. They come in no particular order.
pub async fn detect(
    page: &Page,
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
    let mut found = lines(&map, width as usize, height as usize, constants);
    for line in &mut found {
        for corner in &mut line.quad.0 {
            corner.x = (corner.x * sx).clamp(0.0, page.width as f32);
            corner.y = (corner.y * sy).clamp(0.0, page.height as f32);
        }
    }
    Ok(found)
}

/// The text probability of every pixel of a `width × height` view of the page.
async fn probabilities(
    page: &Page,
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

/// DB post-processing: the quads of a probability map, in the map's pixels.
pub fn lines(map: &[f32], width: usize, height: usize, constants: &Detection) -> Vec<Detected> {
    let mut seen = vec![false; map.len()];
    let mut found = Vec::new();
    let mut stack = Vec::new();
    let mut candidates = 0;
    for start in 0..map.len() {
        if seen[start] || map[start] <= constants.threshold {
            continue;
        }
        let outline = component(
            map,
            width,
            height,
            constants.threshold,
            start,
            &mut seen,
            &mut stack,
        );
        let Some(rectangle) = min_area_rectangle(&outline) else {
            continue;
        };
        if rectangle.width().min(rectangle.height()) < MIN_COMPONENT_SIDE - 1.0 {
            continue;
        }
        // Specks don't count: on a noisy scan they would use up the bound before the foot of the page is reached.
        candidates += 1;
        if candidates > constants.max_candidates {
            break;
        }
        let score = mean_inside(map, width, height, &rectangle);
        if score < constants.box_threshold {
            continue;
        }
        let quad = unclip(&rectangle, constants.unclip_ratio);
        if quad.width().min(quad.height()) < MIN_COMPONENT_SIDE + 2.0 {
            continue;
        }
        found.push(Detected { quad, score });
    }
    found
}

/// Flood-fills the 8-connected component at `start` and returns the ends of its rows: all that its hull needs.
fn component(
    map: &[f32],
    width: usize,
    height: usize,
    threshold: f32,
    start: usize,
    seen: &mut [bool],
    stack: &mut Vec<usize>,
) -> Vec<Point> {
    // The scan meets a component in its topmost row first, so rows are counted from there.
    let top = start / width;
    let mut rows: Vec<(usize, usize)> = Vec::new();
    seen[start] = true;
    stack.push(start);
    while let Some(at) = stack.pop() {
        let (x, y) = (at % width, at / width);
        if rows.len() <= y - top {
            rows.resize(y - top + 1, (usize::MAX, 0));
        }
        let row = &mut rows[y - top];
        *row = (row.0.min(x), row.1.max(x));
        for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
            for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                let next = ny * width + nx;
                if !seen[next] && map[next] > threshold {
                    seen[next] = true;
                    stack.push(next);
                }
            }
        }
    }
    rows.into_iter()
        .zip(top..)
        .flat_map(|((from, to), y)| {
            let y = y as f32 + 0.5;
            [
                Point::new(from as f32 + 0.5, y),
                Point::new(to as f32 + 0.5, y),
            ]
        })
        .collect()
}

/// Andrew's monotone chain; counter-clockwise with y down, without repeated or collinear points.
fn convex_hull(points: &[Point]) -> Vec<Point> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    sorted.dedup();
    if sorted.len() < 3 {
        return sorted;
    }
    let cross =
        |o: Point, a: Point, b: Point| (a.x - o.x) * (b.y - o.y) - (a.y - o.y) * (b.x - o.x);
    let mut hull: Vec<Point> = Vec::with_capacity(sorted.len() + 1);
    for pass in 0..2 {
        let floor = hull.len() + 1;
        let next: Box<dyn Iterator<Item = &Point>> = if pass == 0 {
            Box::new(sorted.iter())
        } else {
            Box::new(sorted.iter().rev().skip(1))
        };
        for &p in next {
            while hull.len() > floor && cross(hull[hull.len() - 2], hull[hull.len() - 1], p) <= 0.0
            {
                hull.pop();
            }
            // The first pass starts from nothing: its floor is the first point.
            if pass == 0 && hull.len() == 1 && hull[0] == p {
                continue;
            }
            hull.push(p);
        }
    }
    hull.pop();
    hull
}

/// The smallest rectangle around some points, by trying the direction of each edge of their hull (one of them is
/// always parallel to a side). Corners as [`ordered`] puts them.
pub fn min_area_rectangle(points: &[Point]) -> Option<Quad> {
    let hull = convex_hull(points);
    if hull.len() < 2 {
        return None;
    }
    let mut best: Option<(f32, Quad)> = None;
    for (i, &a) in hull.iter().enumerate() {
        let b = hull[(i + 1) % hull.len()];
        let length = a.distance(b);
        if length == 0.0 {
            continue;
        }
        let (ux, uy) = ((b.x - a.x) / length, (b.y - a.y) / length);
        let (mut u0, mut u1, mut v0, mut v1) = (f32::MAX, f32::MIN, f32::MAX, f32::MIN);
        for p in &hull {
            let (u, v) = (p.x * ux + p.y * uy, p.y * ux - p.x * uy);
            (u0, u1, v0, v1) = (u0.min(u), u1.max(u), v0.min(v), v1.max(v));
        }
        let area = (u1 - u0) * (v1 - v0);
        if best.as_ref().is_none_or(|(least, _)| area < *least) {
            let at = |u: f32, v: f32| Point::new(u * ux - v * uy, u * uy + v * ux);
            best = Some((
                area,
                ordered([at(u0, v0), at(u1, v0), at(u1, v1), at(u0, v1)]),
            ));
        }
    }
    best.map(|(_, quad)| quad)
}

/// The corners of a rectangle clockwise from the top left, where the top edge is the one that runs to the right
/// within 45° of level.
pub fn ordered(corners: [Point; 4]) -> Quad {
    let area: f32 = (0..4)
        .map(|i| {
            let (a, b) = (corners[i], corners[(i + 1) % 4]);
            a.x * b.y - b.x * a.y
        })
        .sum();
    let mut corners = corners;
    if area < 0.0 {
        corners.reverse();
    }
    let levelness = |i: usize| {
        let (a, b) = (corners[i], corners[(i + 1) % 4]);
        (b.x - a.x) / a.distance(b).max(f32::MIN_POSITIVE)
    };
    let top = (0..4)
        .max_by(|&a, &b| levelness(a).total_cmp(&levelness(b)))
        .unwrap_or(0);
    corners.rotate_left(top);
    Quad(corners)
}

/// Mean of the map's pixels whose centres are inside a rectangle: of each row the span between its edges.
fn mean_inside(map: &[f32], width: usize, height: usize, quad: &Quad) -> f32 {
    let [_, y0, _, y1] = quad.bounds();
    let last = |v: f32, end: usize| (v.max(0.0) as usize).min(end);
    let (mut sum, mut count) = (0.0f64, 0u32);
    for row in last(y0 - 0.5, height)..last(y1.ceil() + 1.0, height) {
        let y = row as f32 + 0.5;
        // Where the row crosses the four half planes.
        let (mut from, mut to) = (0.0f32, width as f32);
        for i in 0..4 {
            let (a, b) = (quad.0[i], quad.0[(i + 1) % 4]);
            // Inside: (b - a) × (p - a) ≥ 0, up to a hundredth of a pixel.
            let slope = b.y - a.y;
            let rest = (b.x - a.x) * (y - a.y) + 0.01 * a.distance(b).max(1.0);
            if slope.abs() < 1e-6 {
                if rest < 0.0 {
                    to = -1.0;
                }
            } else if slope > 0.0 {
                to = to.min(a.x + rest / slope);
            } else {
                from = from.max(a.x + rest / slope);
            }
        }
        let (from, to) = (
            last((from - 0.5).ceil(), width),
            last((to + 0.5).floor(), width),
        );
        if from < to {
            sum += map[row * width + from..row * width + to]
                .iter()
                .map(|&v| f64::from(v))
                .sum::<f64>();
            count += (to - from) as u32;
        }
    }
    if count == 0 {
        0.0
    } else {
        (sum / f64::from(count)) as f32
    }
}

/// Grows a rectangle by DB's unclip distance, area × ratio / perimeter, on every side. The smallest rectangle
/// around the rounded offset polygon that DB's authors take is this one.
pub fn unclip(rectangle: &Quad, ratio: f32) -> Quad {
    let (w, h) = (rectangle.width(), rectangle.height());
    let distance = w * h * ratio / (2.0 * (w + h)).max(f32::MIN_POSITIVE);
    let [a, b, _, d] = rectangle.0;
    let unit = |p: Point, q: Point| {
        let length = p.distance(q).max(f32::MIN_POSITIVE);
        (
            (q.x - p.x) / length * distance,
            (q.y - p.y) / length * distance,
        )
    };
    let ((ux, uy), (vx, vy)) = (unit(a, b), unit(a, d));
    let signs = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
    let mut corners = rectangle.0;
    for (corner, (su, sv)) in corners.iter_mut().zip(signs) {
        corner.x += ux * su + vx * sv;
        corner.y += uy * su + vy * sv;
    }
    Quad(corners)
}

#[cfg(test)]
mod tests {
    use super::*;
    use maoocr_models::manifest::Channels;
    use proptest::prelude::*;

    fn constants() -> Detection {
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

    fn points() -> impl Strategy<Value = Vec<Point>> {
        prop::collection::vec((0.0f32..500.0, 0.0f32..500.0), 3..40)
            .prop_map(|v| v.into_iter().map(|(x, y)| Point::new(x, y)).collect())
    }

    proptest! {
        #[test]
        fn the_rectangle_holds_all_points(points in points()) {
            let quad = min_area_rectangle(&points).unwrap();
            for p in &points {
                for i in 0..4 {
                    let (a, b) = (quad.0[i], quad.0[(i + 1) % 4]);
                    let side = (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x);
                    prop_assert!(side >= -0.1 * a.distance(b).max(1.0), "{p:?} outside {quad:?}");
                }
            }
        }

        #[test]
        fn the_order_of_points_means_nothing(points in points()) {
            let mut turned = points.clone();
            turned.reverse();
            let (a, b) = (min_area_rectangle(&points).unwrap(), min_area_rectangle(&turned).unwrap());
            prop_assert!((a.width() * a.height() - b.width() * b.height()).abs() <= 1.0 + 1e-3 * a.width() * a.height());
        }

        #[test]
        fn unclip_grows_every_side_by_the_distance(w in 5.0f32..300.0, h in 5.0f32..100.0, ratio in 0.5f32..3.0) {
            let quad = unclip(&Quad::from_rect(10.0, 20.0, 10.0 + w, 20.0 + h), ratio);
            let distance = w * h * ratio / (2.0 * (w + h));
            prop_assert!((quad.width() - w - 2.0 * distance).abs() < 0.01 * w);
            prop_assert!((quad.0[0].x - (10.0 - distance)).abs() < 0.01 * w);
        }

        #[test]
        fn corners_come_in_one_order(angle in -44.0f32..44.0, start in 0usize..4, reverse: bool) {
            let (sin, cos) = angle.to_radians().sin_cos();
            let at = |u: f32, v: f32| Point::new(u * cos - v * sin, u * sin + v * cos);
            let mut corners = [at(0.0, 0.0), at(90.0, 0.0), at(90.0, 30.0), at(0.0, 30.0)];
            let first = corners[0];
            corners.rotate_left(start);
            if reverse { corners.reverse(); }
            prop_assert_eq!(ordered(corners).0[0], first);
        }

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
    fn lines_are_found_where_they_are_at_every_size() {
        // Reduced, as it is, enlarged, and in tiles both ways; the bar lies across the tiles' seams.
        for (width, height, run) in [
            (3000u32, 2000u32, u32::MAX),
            (900, 700, u32::MAX),
            (300, 200, u32::MAX),
            (3000, 300, 400_000),
            (300, 3000, 400_000),
        ] {
            let mut page = Page {
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

    #[test]
    fn specks_don_t_use_up_the_candidates() {
        let (width, height) = (200, 200);
        let mut map = vec![0.0; width * height];
        for at in (0..width * 100).step_by(3).filter(|at| at / width % 3 == 0) {
            map[at] = 0.9;
        }
        for y in 150..170 {
            map[y * width + 30..y * width + 120].fill(0.9);
        }
        let constants = Detection {
            max_candidates: 10,
            ..constants()
        };
        assert_eq!(lines(&map, width, height, &constants).len(), 1);
    }

    #[test]
    fn a_bar_in_the_map_becomes_a_line() {
        let (width, height) = (160, 64);
        let mut map = vec![0.0; width * height];
        for y in 20..30 {
            map[y * width + 30..y * width + 120].fill(0.9);
        }
        map[5 * width + 5] = 0.9;
        let found = lines(&map, width, height, &constants());
        assert_eq!(found.len(), 1);
        let [x0, y0, x1, y1] = found[0].quad.bounds();
        // 89 × 9 between the centres of its outer pixels; grown by 89 · 9 · 1.4 / 196 = 5.7.
        for (got, wanted) in [(x0, 24.8), (y0, 14.8), (x1, 125.2), (y1, 35.2)] {
            assert!((got - wanted).abs() < 0.2, "{got} {wanted}");
        }
        assert!((found[0].score - 0.9).abs() < 1e-4);
    }
}
