//! From a PDF's coordinates to the engine's.

use hayro::kurbo::{Affine, Point, Rect};
use maoocr_engine::geometry::{self, Quad};

/// The images of a rectangle's corners, clockwise from its upper left one, y down.
pub fn quad(transform: Affine, rect: Rect) -> Quad {
    let at = |x: f64, y: f64| {
        let p = transform * Point::new(x, y);
        geometry::Point::new(p.x as f32, p.y as f32)
    };
    Quad([
        at(rect.x0, rect.y0),
        at(rect.x1, rect.y0),
        at(rect.x1, rect.y1),
        at(rect.x0, rect.y1),
    ])
}

/// A quad with every coordinate multiplied: x by `x`, y by `y`.
pub fn scaled(quad: &Quad, x: f32, y: f32) -> Quad {
    Quad(quad.0.map(|p| geometry::Point::new(p.x * x, p.y * y)))
}

/// How much a transform stretches along x and along y.
pub fn stretch(transform: Affine) -> (f64, f64) {
    let [a, b, c, d, ..] = transform.as_coeffs();
    (a.hypot(b), c.hypot(d))
}

/// Whether it maps upright rectangles to upright rectangles: turns by quarters, mirrors, scales.
pub fn is_upright(transform: Affine) -> bool {
    let [a, b, c, d, ..] = transform.as_coeffs();
    let (x, y) = stretch(transform);
    let small = 2e-3;
    (b.abs() < small * x && c.abs() < small * y) || (a.abs() < small * x && d.abs() < small * y)
}
