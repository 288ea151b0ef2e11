//! A probability map → the boxes of lines (DB's post-processing).

use maoocr_models::manifest::Detection;

use super::Detected;
use super::rectangle::{min_area_rectangle, offset, unclip};
use crate::geometry::{Point, Quad};

/// Components with a shorter side than this are specks, px of the map (PaddleOCR's `min_size`).
const MIN_COMPONENT_SIDE: f32 = 3.0;

/// Further looks take pixels from these probabilities on: what glues lines to leader dots, rules, stamps and watermarks
/// is mostly weaker, letters are mostly stronger. Beside them: how far the edge of a line is from there to where it is
/// seen at first, px.
const LOOKS: [(f32, f32); 2] = [(0.5, 1.0), (0.75, 1.5)];
/// Parts seen by them are kept from this mean probability on: what the first look refused has to be clearer than usual.
const STRONG_BOX: f32 = 0.6;
/// A region that fills less than this share of its rectangle is more than one line: a straight line fills 0.8 or more,
/// a curved one two thirds.
const FILLED: f32 = 0.55;

/// DB post-processing: the quads of a probability map, in the map's pixels.
pub fn lines(map: &[f32], width: usize, height: usize, constants: &Detection) -> Vec<Detected> {
    let mut flood = Flood::new(map, width, height);
    let mut again = None;
    let mut found = Vec::new();
    let mut candidates = 0;
    for start in 0..map.len() {
        let Some(region) = flood.region(start, constants.threshold) else {
            continue;
        };
        // Specks don't count: on a noisy scan they would use up the bound before the foot of the page is reached.
        candidates += 1;
        if candidates > constants.max_candidates {
            break;
        }
        let score = mean_inside(map, width, height, &region.rectangle);
        let unclear = score < constants.box_threshold;
        let first = Detected {
            quad: unclip(&region.rectangle, constants.unclip_ratio),
            score,
            doubtful: false,
            veiled: false,
            column: None,
        };
        if unclear || region.filled() < FILLED {
            let again = again.get_or_insert_with(|| LOOKS.map(|_| Flood::new(map, width, height)));
            let mut parts = strong_parts(again, &flood.members, constants);
            parts.iter_mut().for_each(|part| part.doubtful = unclear);
            // What is one at the higher threshold too is taken as it was seen at first.
            if parts.len() > 1 || (unclear && !parts.is_empty()) {
                found.extend(parts);
                continue;
            }
        }
        if !unclear {
            found.push(first);
        }
    }
    found.retain(|line| line.quad.width().min(line.quad.height()) >= MIN_COMPONENT_SIDE + 2.0);
    found
}

/// The lines among the pixels of a region that more than one line, or a line and something weaker, has run into: one
/// look deeper than the number of `floods` says.
fn strong_parts(
    floods: &mut [Flood<'_>],
    members: &[usize],
    constants: &Detection,
) -> Vec<Detected> {
    let [flood, deeper @ ..] = floods else {
        return Vec::new();
    };
    let (threshold, edge) = LOOKS[LOOKS.len() - 1 - deeper.len()];
    let mut starts = members.to_vec();
    starts.sort_unstable();
    let mut found = Vec::new();
    for start in starts {
        let Some(region) = flood.region(start, threshold) else {
            continue;
        };
        let score = mean_inside(flood.map, flood.width, flood.height, &region.rectangle);
        let clear = score >= STRONG_BOX.max(constants.box_threshold);
        if !deeper.is_empty() && (!clear || region.filled() < FILLED) {
            let parts = strong_parts(deeper, &flood.members, constants);
            if parts.len() > 1 || (!clear && !parts.is_empty()) {
                found.extend(parts);
                continue;
            }
        }
        if clear {
            let rectangle = offset(&region.rectangle, edge);
            found.push(Detected {
                quad: unclip(&rectangle, constants.unclip_ratio),
                score,
                doubtful: false,
                veiled: false,
                column: None,
            });
        }
    }
    found
}

/// Pixels of a map that hang together.
struct Region {
    /// The smallest rectangle around them.
    rectangle: Quad,
    /// How many they are.
    pixels: usize,
}

impl Region {
    /// The share of its rectangle that it fills.
    fn filled(&self) -> f32 {
        // The rectangle goes through the middle of the outermost pixels.
        let area = (self.rectangle.width() + 1.0) * (self.rectangle.height() + 1.0);
        self.pixels as f32 / area
    }
}

/// Finds regions in a map.
struct Flood<'a> {
    map: &'a [f32],
    width: usize,
    height: usize,
    seen: Vec<bool>,
    stack: Vec<usize>,
    /// The pixels of the region that was found last.
    members: Vec<usize>,
}

impl<'a> Flood<'a> {
    fn new(map: &'a [f32], width: usize, height: usize) -> Self {
        Self {
            map,
            width,
            height,
            seen: vec![false; map.len()],
            stack: Vec::new(),
            members: Vec::new(),
        }
    }

    /// The 8-connected region at `start` of pixels above a threshold, unless it was found before or is a speck. `start`
    /// must be in its topmost row.
    fn region(&mut self, start: usize, threshold: f32) -> Option<Region> {
        if self.seen[start] || self.map[start] <= threshold {
            return None;
        }
        self.members.clear();
        let outline = self.fill(start, threshold);
        let rectangle = min_area_rectangle(&outline)?;
        (rectangle.width().min(rectangle.height()) >= MIN_COMPONENT_SIDE - 1.0).then_some(Region {
            rectangle,
            pixels: self.members.len(),
        })
    }

    /// Marks a region and returns the ends of its rows: all that its hull needs.
    fn fill(&mut self, start: usize, threshold: f32) -> Vec<Point> {
        let (width, height) = (self.width, self.height);
        let top = start / width;
        let mut rows: Vec<(usize, usize)> = Vec::new();
        self.seen[start] = true;
        self.stack.push(start);
        while let Some(at) = self.stack.pop() {
            self.members.push(at);
            let (x, y) = (at % width, at / width);
            if rows.len() <= y - top {
                rows.resize(y - top + 1, (usize::MAX, 0));
            }
            let row = &mut rows[y - top];
            *row = (row.0.min(x), row.1.max(x));
            for ny in y.saturating_sub(1)..=(y + 1).min(height - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(width - 1) {
                    let next = ny * width + nx;
                    if !self.seen[next] && self.map[next] > threshold {
                        self.seen[next] = true;
                        self.stack.push(next);
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

#[cfg(test)]
mod tests {
    use super::super::tests::constants;
    use super::*;

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

    /// A map of rectangles (x0, y0, x1, y1), each of a probability.
    fn map_of(width: usize, height: usize, parts: &[([usize; 4], f32)]) -> Vec<f32> {
        let mut map = vec![0.0f32; width * height];
        for &([x0, y0, x1, y1], value) in parts {
            for y in y0..y1 {
                for v in &mut map[y * width + x0..y * width + x1] {
                    *v = v.max(value);
                }
            }
        }
        map
    }

    #[test]
    fn weak_leaders_don_t_take_a_clear_line_with_them() {
        let parts = [
            ([20, 20, 120, 32], 0.9),
            ([120, 24, 380, 28], 0.25),
            ([380, 20, 396, 32], 0.9),
        ];
        let found = lines(&map_of(400, 60, &parts), 400, 60, &constants());
        assert_eq!(found.len(), 2, "{found:?}");
        let whole = lines(&map_of(400, 60, &parts[..1]), 400, 60, &constants());
        for (got, wanted) in found[0].quad.bounds().iter().zip(whole[0].quad.bounds()) {
            assert!((got - wanted).abs() < 3.0, "{found:?}, alone {whole:?}");
        }
    }

    #[test]
    fn lines_that_a_weak_stroke_joins_are_parted() {
        let parts = [
            ([20, 20, 380, 32], 0.9),
            ([20, 60, 380, 72], 0.9),
            ([100, 10, 104, 90], 0.3),
        ];
        let found = lines(&map_of(400, 100, &parts), 400, 100, &constants());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|d| d.quad.height() < 35.0), "{found:?}");
    }

    #[test]
    fn lines_that_a_stronger_stroke_joins_are_parted_too() {
        let parts = [
            ([20, 20, 380, 32], 0.9),
            ([20, 60, 380, 72], 0.9),
            ([100, 10, 104, 90], 0.6),
        ];
        let found = lines(&map_of(400, 100, &parts), 400, 100, &constants());
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found.iter().all(|d| d.quad.height() < 35.0), "{found:?}");
    }

    #[test]
    fn a_faint_line_stays_whole() {
        // Just above the threshold of boxes, with stronger letters in it.
        let parts = [
            ([20, 20, 380, 32], 0.46),
            ([40, 20, 60, 32], 0.8),
            ([200, 20, 220, 32], 0.8),
        ];
        let found = lines(&map_of(400, 60, &parts), 400, 60, &constants());
        assert_eq!(found.len(), 1, "{found:?}");
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
