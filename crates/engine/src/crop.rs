//! Cuts a quad out of a page and makes it upright.

use fast_image_resize::FilterType;

use crate::geometry::{Point, Quad};
use crate::imaging::Image;
use crate::scale::scale;

mod placement;

pub use placement::Placement;

/// A line of text cut out of a page, reading from left to right.
#[derive(Clone, Debug)]
pub struct Strip {
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// `width × height × 3` bytes, row after row.
    pub rgb: Vec<u8>,
    /// Whether the quad stood upright and was turned a quarter counter-clockwise to lie.
    pub turned: bool,
    /// Where it stands on the page.
    pub placement: Placement,
}

impl Strip {
    /// Turns it by 180°.
    pub fn flip(&mut self) {
        let pixels = self.rgb.len() / 3;
        for i in 0..pixels / 2 {
            for c in 0..3 {
                self.rgb.swap(i * 3 + c, (pixels - 1 - i) * 3 + c);
            }
        }
        self.placement.flip();
    }
}

/// Quads at least this many times as high as wide are taken as turned or vertical lines (PaddleOCR's figure).
const TALL: f32 = 1.5;
/// Longest strip, px: a bound for hostile geometry, 400 times the recogniser's height.
const MAX_LENGTH: f32 = 19_200.0;

/// Cuts a `line` out of `page`, with a `margin` along the text and across it, as shares of its thickness. A strip much higher than `height` (px, what the recogniser wants) is reduced on the
/// way by averaging, so that its size is bounded and nothing aliases.
pub fn crop(page: &Image, line: &Quad, margin: [f32; 2], height: u32) -> Strip {
    let quad = on_pixels(&line.grown(margin[0], margin[1]));
    cut(page, line, quad, is_tall(&quad), height)
}

/// The same for a line that lies, however tall its box is: a lone narrow character.
pub fn crop_lying(page: &Image, line: &Quad, margin: [f32; 2], height: u32) -> Strip {
    let quad = on_pixels(&line.grown(margin[0], margin[1]));
    cut(page, line, quad, false, height)
}

/// Whether a box is taken for a line that stands: turned, or a column of upright characters.
fn is_tall(quad: &Quad) -> bool {
    quad.height() >= quad.width() * TALL
}

/// Cuts out `quad`, in which a `line` is.
fn cut(page: &Image, line: &Quad, quad: Quad, turned: bool, height: u32) -> Strip {
    let (mut line, mut quad) = (*line, quad);
    if turned {
        line.0.rotate_left(1);
        quad.0.rotate_left(1);
    }
    let placement = Placement::new(line, &quad);
    let (full_width, full_height) = (quad.width().max(1.0), quad.height().max(1.0));
    // Samples a side of each output pixel.
    let samples = (full_height / height.max(1) as f32)
        .floor()
        .clamp(1.0, 16.0);
    let width = (full_width / samples).round().clamp(1.0, MAX_LENGTH) as u32;
    let out_height = (full_height / samples)
        .round()
        .clamp(1.0, 4.0 * height.max(1) as f32) as u32;
    if let Some(rgb) = upright(page, &quad, turned, width, out_height) {
        return Strip {
            width,
            height: out_height,
            rgb,
            turned,
            placement,
        };
    }
    let to_page = Perspective::from_unit_square(&quad);
    let mut rgb = Vec::with_capacity(width as usize * out_height as usize * 3);
    let samples = samples as u32;
    let (columns, rows) = ((width * samples) as f32, (out_height * samples) as f32);
    for y in 0..out_height {
        for x in 0..width {
            let mut sum = [0.0f32; 3];
            for sy in 0..samples {
                for sx in 0..samples {
                    let u = ((x * samples + sx) as f32 + 0.5) / columns;
                    let v = ((y * samples + sy) as f32 + 0.5) / rows;
                    let at = to_page.apply(u, v);
                    let sample = if samples == 1 {
                        bicubic(page, at)
                    } else {
                        nearest(page, at)
                    };
                    for c in 0..3 {
                        sum[c] += sample[c];
                    }
                }
            }
            let share = 1.0 / (samples * samples) as f32;
            rgb.extend(sum.map(|v| (v * share).round().clamp(0.0, 255.0) as u8));
        }
    }
    Strip {
        width,
        height: out_height,
        rgb,
        turned,
        placement,
    }
}

/// Corners this far off, px, still make an upright rectangle.
const LEVEL: f32 = 0.05;

fn is_level(quad: &Quad) -> bool {
    let [a, b, c, d] = quad.0;
    let same = |p: f32, q: f32| (p - q).abs() <= LEVEL;
    same(a.y, b.y) && same(d.y, c.y) && same(a.x, d.x) && same(b.x, c.x)
}

/// An upright rectangle grown to whole pixels; other quads stay. Moving a picture by part of a pixel blurs it, which
/// costs small text dearly: of screenshots with characters 12 px high the tiny recogniser then reads 96.0 % of the
/// characters instead of 98.4 %.
fn on_pixels(quad: &Quad) -> Quad {
    if !is_level(quad) {
        return *quad;
    }
    let [x0, y0, x1, y1] = quad.bounds();
    // Corners that are off by the slack alone don't add a pixel.
    let (start, end) = (|v: f32| (v + LEVEL).floor(), |v: f32| (v - LEVEL).ceil());
    Quad::from_rect(start(x0), start(y0), end(x1), end(y1))
}

/// The pixels of a strip whose quad is an upright rectangle inside the page: resampled along rows and columns, which
/// is several times faster than the warp. Most lines of screenshots and scans are of this kind. `quad`, `width` and
/// `height` are those after the turn.
fn upright(page: &Image, quad: &Quad, turned: bool, width: u32, height: u32) -> Option<Vec<u8>> {
    let [a, b, c, d] = quad.0;
    let [a, c] = if turned { [d, b] } else { [a, c] };
    let within = a.x >= 0.0 && a.y >= 0.0 && c.x <= page.width as f32 && c.y <= page.height as f32;
    if !is_level(quad) || !within || c.x - a.x < 1.0 || c.y - a.y < 1.0 {
        return None;
    }
    let (w, h) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    let part = |from: f32, to: f32| (f64::from(from), f64::from(to) - f64::from(from));
    let ((left, part_width), (top, part_height)) = (part(a.x, c.x), part(a.y, c.y));
    let pixels = scale(
        &page.rgb,
        (page.width, page.height),
        Some([left, top, part_width, part_height]),
        (w, h),
        FilterType::CatmullRom,
    )
    .ok()?;
    if !turned {
        return Some(pixels);
    }
    let mut rgb = Vec::with_capacity(pixels.len());
    for y in 0..height as usize {
        for x in 0..width as usize {
            let at = (x * w as usize + (w as usize - 1 - y)) * 3;
            rgb.extend_from_slice(&pixels[at..at + 3]);
        }
    }
    Some(rgb)
}

/// A projective map from the unit square (Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989).
struct Perspective {
    m: [f32; 8],
}

impl Perspective {
    fn from_unit_square(quad: &Quad) -> Self {
        let [a, b, c, d] = quad.0;
        let (sx, sy) = (a.x - b.x + c.x - d.x, a.y - b.y + c.y - d.y);
        let (dx1, dy1, dx2, dy2) = (b.x - c.x, b.y - c.y, d.x - c.x, d.y - c.y);
        let determinant = dx1 * dy2 - dx2 * dy1;
        let (g, h) = if determinant.abs() < 1e-6 || sx.abs() + sy.abs() < 1e-3 {
            (0.0, 0.0)
        } else {
            (
                (sx * dy2 - dx2 * sy) / determinant,
                (dx1 * sy - sx * dy1) / determinant,
            )
        };
        Self {
            m: [
                b.x - a.x + g * b.x,
                d.x - a.x + h * d.x,
                a.x,
                b.y - a.y + g * b.y,
                d.y - a.y + h * d.y,
                a.y,
                g,
                h,
            ],
        }
    }

    fn apply(&self, u: f32, v: f32) -> Point {
        let [a, b, c, d, e, f, g, h] = self.m;
        let w = g * u + h * v + 1.0;
        Point::new((a * u + b * v + c) / w, (d * u + e * v + f) / w)
    }
}

fn nearest(page: &Image, at: Point) -> [f32; 3] {
    pixel(page, at.x.floor() as i64, at.y.floor() as i64)
}

/// The pixel at `x`, `y`; outside the page, the nearest one inside.
fn pixel(page: &Image, x: i64, y: i64) -> [f32; 3] {
    let x = x.clamp(0, i64::from(page.width) - 1) as usize;
    let y = y.clamp(0, i64::from(page.height) - 1) as usize;
    let at = (y * page.width as usize + x) * 3;
    [0, 1, 2].map(|c| f32::from(page.rgb[at + c]))
}

/// Catmull–Rom weights (a = −0.5 in Keys' family) of the four samples around share `t` between the middle two.
fn weights(t: f32) -> [f32; 4] {
    let (t2, t3) = (t * t, t * t * t);
    [
        -0.5 * t3 + t2 - 0.5 * t,
        1.5 * t3 - 2.5 * t2 + 1.0,
        -1.5 * t3 + 2.0 * t2 + 0.5 * t,
        0.5 * t3 - 0.5 * t2,
    ]
}

fn bicubic(page: &Image, at: Point) -> [f32; 3] {
    let (x, y) = (at.x - 0.5, at.y - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    let (wx, wy) = (weights(x - x0), weights(y - y0));
    let (x0, y0) = (x0 as i64, y0 as i64);
    let mut sum = [0.0; 3];
    if x0 >= 1 && y0 >= 1 && x0 < i64::from(page.width) - 2 && y0 < i64::from(page.height) - 2 {
        // All sixteen samples are inside: no need to hold each to the border.
        for (j, wy) in wy.iter().enumerate() {
            let at = ((y0 as usize - 1 + j) * page.width as usize + x0 as usize - 1) * 3;
            for (pixel, wx) in page.rgb[at..at + 12].chunks_exact(3).zip(wx) {
                for c in 0..3 {
                    sum[c] += f32::from(pixel[c]) * wx * wy;
                }
            }
        }
        return sum.map(|v| v.clamp(0.0, 255.0));
    }
    for (j, wy) in wy.iter().enumerate() {
        for (i, wx) in wx.iter().enumerate() {
            // A quad may reach further than numbers do.
            let (x, y) = (
                x0.saturating_add(i as i64 - 1),
                y0.saturating_add(j as i64 - 1),
            );
            let sample = pixel(page, x, y);
            for c in 0..3 {
                sum[c] += sample[c] * wx * wy;
            }
        }
    }
    sum.map(|v| v.clamp(0.0, 255.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(width: u32, height: u32) -> Image {
        let rgb = (0..width * height)
            .flat_map(|i| {
                [
                    (i % width * 3 % 256) as u8,
                    (i / width * 5 % 256) as u8,
                    (i * 7 % 256) as u8,
                ]
            })
            .collect();
        Image { width, height, rgb }
    }

    proptest! {
        #[test]
        fn an_upright_quad_is_cut_out_as_it_is(x in 0u32..40, y in 0u32..40, w in 30u32..60, h in 10u32..19) {
            let page = page(100, 100);
            let strip = crop(&page, &Quad::from_rect(x as f32, y as f32, (x + w) as f32, (y + h) as f32), [0.0; 2], 48);
            prop_assert_eq!((strip.width, strip.height, strip.turned), (w, h, false));
            for row in 0..h {
                let from = (((y + row) * 100 + x) * 3) as usize;
                let at = (row * w * 3) as usize;
                prop_assert_eq!(&strip.rgb[at..at + (w * 3) as usize], &page.rgb[from..from + (w * 3) as usize]);
            }
        }

        #[test]
        fn no_quad_is_too_strange(corners in prop::array::uniform8(-1e6f32..1e6)) {
            let [ax, ay, bx, by, cx, cy, dx, dy] = corners.map(|v| v / 5e3);
            let quad = Quad([Point::new(ax, ay), Point::new(bx, by), Point::new(cx, cy), Point::new(dx, dy)]);
            let strip = crop(&page(20, 10), &quad, [0.0; 2], 48);
            prop_assert_eq!(strip.rgb.len(), (strip.width * strip.height * 3) as usize);
        }
    }

    #[test]
    fn a_tall_quad_is_turned_so_that_its_top_comes_first() {
        let mut page = page(40, 120);
        page.rgb.fill(255);
        page.rgb[..3].fill(0);
        let strip = crop(&page, &Quad::from_rect(0.0, 0.0, 40.0, 120.0), [0.0; 2], 48);
        assert!(strip.turned);
        assert_eq!((strip.width, strip.height), (120, 40));
        // The column's top left corner is the strip's bottom left one.
        assert_eq!(strip.rgb[39 * 120 * 3], 0);
    }

    #[test]
    fn a_level_quad_is_cut_at_whole_pixels() {
        let page = page(100, 100);
        let crop = |x0, y0, x1, y1| crop(&page, &Quad::from_rect(x0, y0, x1, y1), [0.0; 2], 48);
        let (between, whole) = (crop(20.4, 30.6, 60.3, 50.2), crop(20.0, 30.0, 61.0, 51.0));
        assert_eq!((between.width, between.height), (41, 21));
        assert_eq!(between.rgb, whole.rgb);
        // What is off by rounding alone isn't a pixel more.
        assert_eq!(crop(20.01, 30.01, 60.01, 49.99).width, 40);
        // A column is turned after that.
        assert_eq!(crop(20.4, 10.6, 30.3, 50.2).width, 41);
    }

    #[test]
    fn the_short_way_and_the_warp_agree() {
        let rgb = (0..200 * 200u32)
            .flat_map(|i| {
                let wave = |v: f32| (127.0 + 100.0 * v.sin()) as u8;
                let (x, y) = ((i % 200) as f32, (i / 200) as f32);
                [wave(x / 7.0), wave(y / 9.0), wave((x + y) / 8.0)]
            })
            .collect();
        let page = Image {
            width: 200,
            height: 200,
            rgb,
        };
        for (x1, y1) in [(150.0, 60.0), (50.0, 170.0)] {
            let quad = Quad::from_rect(20.0, 30.0, x1, y1);
            let mut skew = quad;
            // Too little to see, enough to be warped.
            skew.0[0].y += LEVEL * 1.5;
            let (short, warped) = (
                crop(&page, &quad, [0.0; 2], 48),
                crop(&page, &skew, [0.0; 2], 48),
            );
            assert_eq!(
                (short.width, short.height, short.turned),
                (warped.width, warped.height, warped.turned)
            );
            let worst = short
                .rgb
                .iter()
                .zip(&warped.rgb)
                .map(|(a, b)| a.abs_diff(*b))
                .max();
            assert!(worst <= Some(4), "{worst:?}");
        }
    }

    #[test]
    fn high_strips_are_averaged_down() {
        let strip = crop(
            &page(1000, 200),
            &Quad::from_rect(0.0, 0.0, 1000.0, 200.0),
            [0.0; 2],
            48,
        );
        assert_eq!((strip.width, strip.height), (250, 50));
    }

    #[test]
    fn flipping_twice_changes_nothing() {
        let strip = crop(
            &page(60, 20),
            &Quad::from_rect(0.0, 0.0, 60.0, 20.0),
            [0.0; 2],
            48,
        );
        let mut other = strip.clone();
        other.flip();
        assert!(other.placement != strip.placement && other.rgb != strip.rgb);
        other.flip();
        assert_eq!((other.rgb, other.placement), (strip.rgb, strip.placement));
    }
}
