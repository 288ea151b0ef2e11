//! Ink: what is darker than its surroundings, or lighter on a dark ground.

use super::frame::{Box, Grey};

/// Dark on light.
pub const DARK: u8 = 1;
/// Light on dark.
pub const LIGHT: u8 = 2;

/// Which pixels are ink.
pub struct Ink {
    /// px
    pub width: usize,
    /// px
    pub height: usize,
    /// [`DARK`], [`LIGHT`] or 0, row after row.
    pub mask: Vec<u8>,
}

/// Least difference from the surroundings, shades.
const CONTRAST: i32 = 20;
/// How much more than the noise between neighbouring pixels.
const OVER_NOISE: i32 = 4;

impl Ink {
    /// Compares each pixel with the mean of a square around it (Bradley and Roth 2007), `radius` px to each side.
    pub fn of(grey: &Grey, radius: usize) -> Self {
        let (w, h) = (grey.width, grey.height);
        let contrast = CONTRAST.max(OVER_NOISE * noise(grey));
        let light = Ground::of(grey);
        let mut mask = vec![0u8; w * h];
        // Sums of columns over the rows of the window, then running sums along the row.
        let mut columns = vec![0i32; w];
        let row = |y: usize| &grey.pixels[y * w..(y + 1) * w];
        let reach = radius.min(h);
        for y in 0..reach {
            columns
                .iter_mut()
                .zip(row(y))
                .for_each(|(c, &p)| *c += i32::from(p));
        }
        for y in 0..h {
            if y + radius < h {
                columns
                    .iter_mut()
                    .zip(row(y + radius))
                    .for_each(|(c, &p)| *c += i32::from(p));
            }
            if y > radius {
                columns
                    .iter_mut()
                    .zip(row(y - radius - 1))
                    .for_each(|(c, &p)| *c -= i32::from(p));
            }
            let rows = ((y + radius).min(h - 1) - y.saturating_sub(radius) + 1) as i32;
            let mut sum: i32 = columns.iter().take(radius.min(w)).sum();
            for x in 0..w {
                if x + radius < w {
                    sum += columns[x + radius];
                }
                if x > radius {
                    sum -= columns[x - radius - 1];
                }
                let across = ((x + radius).min(w - 1) - x.saturating_sub(radius) + 1) as i32;
                let mean = sum / (rows * across);
                let value = i32::from(grey.pixels[y * w + x]);
                // Around light letters a dark ground is darker than the mean.
                mask[y * w + x] = match light.is_dark(x, y) {
                    true if value > mean + contrast => LIGHT,
                    false if value < mean - contrast => DARK,
                    _ => 0,
                };
            }
        }
        Self {
            width: w,
            height: h,
            mask,
        }
    }

    /// Columns and rows that a box covers.
    pub fn within(&self, area: &Box) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let clip = |v: f32, most: usize| (v.max(0.0) as usize).min(most);
        let x0 = clip(area.x0.round(), self.width);
        let y0 = clip(area.y0.round(), self.height);
        (
            x0..clip(area.x1.round(), self.width).max(x0),
            y0..clip(area.y1.round(), self.height).max(y0),
        )
    }
}

/// Where the ground is dark and what stands on it light.
struct Ground {
    across: usize,
    dark: Vec<bool>,
}

/// Side of the squares in which the ground is told from what stands on it, px.
const SQUARE: usize = 32;

impl Ground {
    fn of(grey: &Grey) -> Self {
        let across = grey.width.div_ceil(SQUARE).max(1);
        let down = grey.height.div_ceil(SQUARE).max(1);
        let mut dark = vec![false; across * down];
        for (i, dark) in dark.iter_mut().enumerate() {
            let (x0, y0) = ((i % across) * SQUARE, (i / across) * SQUARE);
            let mut counts = [0usize; 256];
            let mut all = 0;
            for y in (y0..(y0 + SQUARE).min(grey.height)).step_by(2) {
                for x in (x0..(x0 + SQUARE).min(grey.width)).step_by(2) {
                    counts[usize::from(grey.pixels[y * grey.width + x])] += 1;
                    all += 1;
                }
            }
            let quantile = |share: f32| {
                let mut sum = 0;
                counts
                    .iter()
                    .position(|c| {
                        sum += c;
                        sum as f32 > share * all as f32
                    })
                    .unwrap_or(255) as i32
            };
            let (low, middle, high) = (quantile(0.03), quantile(0.5), quantile(0.97));
            *dark = middle < 150 && high - middle > (middle - low).max(10) * 5 / 4;
        }
        Self { across, dark }
    }

    fn is_dark(&self, x: usize, y: usize) -> bool {
        self.dark
            .get(y / SQUARE * self.across + x / SQUARE)
            .is_some_and(|d| *d)
    }
}

/// Typical difference between neighbouring pixels: the median over a sample, shades.
fn noise(grey: &Grey) -> i32 {
    let mut counts = [0usize; 256];
    let mut all = 0;
    for row in grey.pixels.chunks(grey.width.max(1)).step_by(7) {
        for pair in row.windows(2).step_by(3) {
            counts[usize::from(pair[0].abs_diff(pair[1]))] += 1;
            all += 1;
        }
    }
    let mut sum = 0;
    counts
        .iter()
        .position(|c| {
            sum += c;
            sum * 2 > all
        })
        .unwrap_or(0) as i32
}
