//! Pages that were scanned askew or turned, made straight: pixels and text alike.

use maoocr_engine::document::{Line, PageText};
use maoocr_engine::geometry::{Point, Quad};
use maoocr_engine::imaging::Image;

/// Less is not seen, degrees.
const LEAST: f32 = 0.15;
/// More is meant, degrees.
const MOST: f32 = 10.0;

/// How far a page's lines slope from level or upright, clockwise, degrees: the median of long lines; 0 where it isn't
/// worth a turn.
pub fn skew(page: &PageText) -> f32 {
    let slope = |line: &Line| {
        let [a, b, c, d] = line.quad.0;
        // The longer side says more.
        let along = if line.vertical { (a, d) } else { (a, b) };
        let other = if line.vertical { (b, c) } else { (d, c) };
        let (x, y) = (
            along.1.x - along.0.x + other.1.x - other.0.x,
            along.1.y - along.0.y + other.1.y - other.0.y,
        );
        let angle = y.atan2(x).to_degrees();
        angle - (angle / 90.0).round() * 90.0
    };
    let long = |line: &&Line| {
        let (w, h) = (line.quad.width(), line.quad.height());
        w.max(h) > 6.0 * w.min(h)
    };
    let mut slopes: Vec<f32> = page.lines.iter().filter(long).map(slope).collect();
    if slopes.len() < 3 {
        return 0.0;
    }
    slopes.sort_by(f32::total_cmp);
    let median = slopes[slopes.len() / 2];
    if (LEAST..=MOST).contains(&median.abs()) {
        median
    } else {
        0.0
    }
}

/// Turns a page clockwise by `turn`, 0, 90, 180 or 270 degrees, and back by its `skew`. What comes in at the corners is
/// white.
pub fn straightened(image: &Image, page: &PageText, turn: u16, skew: f32) -> (Image, PageText) {
    let (w, h) = (image.width, image.height);
    let (width, height) = if turn % 180 == 90 { (h, w) } else { (w, h) };
    let (sin, cos) = (f32::from(turn) - skew).to_radians().sin_cos();
    let (old, new) = (
        Point::new(w as f32 / 2.0, h as f32 / 2.0),
        Point::new(width as f32 / 2.0, height as f32 / 2.0),
    );
    // Clockwise, with y down.
    let there = |p: Point| {
        let (x, y) = (p.x - old.x, p.y - old.y);
        Point::new(x * cos - y * sin + new.x, x * sin + y * cos + new.y)
    };
    let back = |p: Point| {
        let (x, y) = (p.x - new.x, p.y - new.y);
        Point::new(x * cos + y * sin + old.x, -x * sin + y * cos + old.y)
    };
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        for x in 0..width {
            let p = back(Point::new(x as f32 + 0.5, y as f32 + 0.5));
            rgb.extend(sample(image, p.x - 0.5, p.y - 0.5));
        }
    }
    let mut page = page.clone();
    let moved = |quad: &mut Quad| quad.0 = quad.0.map(there);
    for line in &mut page.lines {
        moved(&mut line.quad);
        line.words.iter_mut().for_each(|w| moved(&mut w.quad));
    }
    page.regions.iter_mut().for_each(|r| moved(&mut r.quad));
    (page.width, page.height, page.turn) = (width, height, 0);
    let image = Image { width, height, rgb };
    (image, page)
}

/// The colour between four pixels; white outside.
fn sample(image: &Image, x: f32, y: f32) -> [u8; 3] {
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let pixel = |x: f32, y: f32| {
        let inside = x >= 0.0 && y >= 0.0 && x < image.width as f32 && y < image.height as f32;
        let at = (y as usize * image.width as usize + x as usize) * 3;
        match image.rgb.get(at..at + 3) {
            Some(p) if inside => [p[0], p[1], p[2]],
            _ => [255; 3],
        }
    };
    let (a, b) = (pixel(x0, y0), pixel(x0 + 1.0, y0));
    let (c, d) = (pixel(x0, y0 + 1.0), pixel(x0 + 1.0, y0 + 1.0));
    std::array::from_fn(|i| {
        let mix = |a: u8, b: u8, f: f32| f32::from(a) * (1.0 - f) + f32::from(b) * f;
        let (top, bottom) = (mix(a[i], b[i], fx), mix(c[i], d[i], fx));
        (top * (1.0 - fy) + bottom * fy).round() as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(slope: f32, lines: usize) -> PageText {
        let (sin, cos) = slope.to_radians().sin_cos();
        let turn = |x: f32, y: f32| Point::new(x * cos - y * sin, x * sin + y * cos);
        let line = |i: usize| {
            let y = 30.0 * i as f32;
            Line {
                text: "x".into(),
                confidence: 1.0,
                quad: Quad([
                    turn(0.0, y),
                    turn(300.0, y),
                    turn(300.0, y + 20.0),
                    turn(0.0, y + 20.0),
                ]),
                words: Vec::new(),
                vertical: false,
            }
        };
        PageText {
            index: 0,
            width: 2,
            height: 3,
            dpi: None,
            turn: 90,
            text: String::new(),
            confidence: 1.0,
            lines: (0..lines).map(line).collect(),
            regions: Vec::new(),
        }
    }

    #[test]
    fn a_slope_is_found_and_taken_back() {
        let askew = page(2.0, 5);
        assert!((skew(&askew) - 2.0).abs() < 1e-3);
        assert_eq!(skew(&page(0.05, 5)), 0.0);
        assert_eq!(skew(&page(2.0, 2)), 0.0);
        let image = Image {
            width: 2,
            height: 3,
            rgb: vec![255; 18],
        };
        let (_, straight) = straightened(&image, &askew, 0, 2.0);
        assert!(skew(&straight).abs() < 1e-3);
        let [a, b, ..] = straight.lines[0].quad.0;
        assert!((a.y - b.y).abs() < 1e-2);
    }

    #[test]
    fn quarter_turns_are_exact() {
        // Two columns, three rows; the first pixel is black.
        let mut rgb = vec![255; 18];
        rgb[..3].fill(0);
        let image = Image {
            width: 2,
            height: 3,
            rgb,
        };
        let (turned, text) = straightened(&image, &page(0.0, 0), 90, 0.0);
        assert_eq!((turned.width, turned.height, text.turn), (3, 2, 0));
        // Clockwise: it is the last of the first row now.
        assert_eq!(turned.rgb[6..9], [0; 3]);
        assert_eq!(turned.rgb.iter().filter(|v| **v == 0).count(), 3);
    }
}
