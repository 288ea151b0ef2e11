//! What stands in a row beside a line, sampled along it: ink, told from the ground as the line's own is.

use crate::geometry::{Point, Quad};
use crate::imaging::Image;

/// Samples over the thickness of a line. A stroke of a printed digit is a tenth of it wide.
pub(super) const SAMPLES: usize = 24;
/// What is looked at above and below a line, samples: a mark that goes on there is a rule or a picture.
pub(super) const AROUND: usize = 8;
/// How far an end of a line is kept away from, thicknesses: what stands closer belongs to the line.
pub(super) const GAP: f32 = 0.7;
/// How far other ink is from a mark at least, thicknesses.
const CLEAR: f32 = 0.4;
/// Height and most width of a mark, thicknesses. Boxes of lines are higher than their letters by half.
const HEIGHTS: [f32; 2] = [0.3, 0.95];
const WIDEST: f32 = 0.6;
/// Ink is at least this share of the way from the ground to the line's own ink …
const INK: f32 = 0.4;
/// … which differs from the ground by so many shades.
const CONTRAST: f32 = 50.0;

/// Shades of a line's ground and of its ink.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tone {
    ground: f32,
    ink: f32,
}

impl Tone {
    /// None where they hardly differ.
    pub(super) fn of(page: &Image, line: &Quad) -> Option<Self> {
        let mut shades: Vec<f32> = Vec::new();
        for v in 0..12 {
            for u in 0..96 {
                let point = bilinear(line, (u as f32 + 0.5) / 96.0, (v as f32 + 0.5) / 12.0);
                shades.extend(shade(page, point));
            }
        }
        if shades.is_empty() {
            return None;
        }
        shades.sort_by(f32::total_cmp);
        let share = |part: f32| shades[(part * (shades.len() - 1) as f32) as usize];
        let (low, middle, high) = (share(0.03), share(0.5), share(0.97));
        let (ground, ink) = if middle - low > high - middle {
            (high, low)
        } else {
            (low, high)
        };
        ((ground - ink).abs() >= CONTRAST).then_some(Self { ground, ink })
    }

    /// 0 on the ground, 1 on the line's ink.
    pub(super) fn inkiness(&self, shade: f32) -> f32 {
        (shade - self.ground) / (self.ink - self.ground)
    }

    fn is_ink(&self, shade: f32) -> bool {
        self.inkiness(shade) > INK
    }
}

fn bilinear(quad: &Quad, u: f32, v: f32) -> Point {
    let top = quad.0[0].lerp(quad.0[1], u);
    let bottom = quad.0[3].lerp(quad.0[2], u);
    top.lerp(bottom, v)
}

/// The shade at a place of the page: the mean of its channels.
pub(super) fn shade(page: &Image, p: Point) -> Option<f32> {
    if p.x < 0.0 || p.y < 0.0 {
        return None;
    }
    let (x, y) = (p.x as usize, p.y as usize);
    if x >= page.width as usize || y >= page.height as usize {
        return None;
    }
    let at = (y * page.width as usize + x) * 3;
    let sum: u32 = page.rgb[at..at + 3].iter().map(|&v| u32::from(v)).sum();
    Some(sum as f32 / 3.0)
}

/// A row beside a line: of each place along it, which samples across it hold ink, a bit each.
pub(super) struct Band(Vec<u64>);

/// Where a mark is in a band: its first and last place along it, the first sample across it and the one after the last.
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) top: u32,
    pub(super) bottom: u32,
}

impl Band {
    pub(super) fn look(
        page: &Image,
        count: usize,
        place: impl Fn(usize, usize) -> Point,
        tone: &Tone,
    ) -> Self {
        let across = SAMPLES + 2 * AROUND;
        let mut columns = Vec::with_capacity(count);
        for i in 0..count {
            let mut bits = 0u64;
            for j in 0..across {
                match shade(page, place(i, j)) {
                    Some(shade) if tone.is_ink(shade) => bits |= 1 << j,
                    Some(_) => {}
                    // The row's middle has left the page.
                    None if j == across / 2 => return Self(columns),
                    None => {}
                }
            }
            columns.push(bits);
        }
        Self(columns)
    }

    /// The free marks of the right size.
    pub(super) fn marks(&self) -> Vec<Span> {
        // Ink in the row itself separates; ink only above or below it is another row's.
        let row = ((1u64 << SAMPLES) - 1) << AROUND;
        let clear = (CLEAR * SAMPLES as f32) as usize;
        let widest = (WIDEST * SAMPLES as f32) as usize;
        let heights = HEIGHTS.map(|h| h * SAMPLES as f32);
        let mut marks = Vec::new();
        let mut next = 0;
        let mut last_ink: Option<usize> = None;
        while let Some(first) = (next..self.0.len()).find(|&i| self.0[i] & row != 0) {
            // Strokes of one character, a dot above another, may be two samples apart.
            let mut last = first;
            let mut i = first + 1;
            while i < self.0.len() && i <= last + 3 {
                if self.0[i] & row != 0 {
                    last = i;
                }
                i += 1;
            }
            next = last + 1;
            let before = last_ink.is_none_or(|ink| first - ink > clear);
            last_ink = Some(last);
            let free_after =
                (last + 1..(last + 1 + clear).min(self.0.len())).all(|i| self.0[i] & row == 0);
            if !before || !free_after || last + 1 - first > widest {
                continue;
            }
            let bits = self.0[first..=last].iter().fold(0, |all, bits| all | bits);
            let (top, bottom) = (
                (bits & row).trailing_zeros(),
                u64::BITS - (bits & row).leading_zeros(),
            );
            // A mark that goes on above and below the row is a rule; the ink of other rows has a gap to it.
            let edges = (1u64 << AROUND) | (1 << (AROUND + SAMPLES - 1));
            let goes_on = bits & edges == edges;
            if !goes_on && (heights[0]..=heights[1]).contains(&((bottom - top) as f32)) {
                marks.push(Span {
                    first,
                    last,
                    top,
                    bottom,
                });
            }
        }
        marks
    }
}
