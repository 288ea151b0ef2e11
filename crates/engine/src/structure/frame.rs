//! The upright frame of a page: its text level, its size within bounds, in shades of grey.

use crate::document::{Line, order};
use crate::geometry::{Point, Quad};
use crate::imaging::Image;

/// Most pixels that are looked at; larger pages are scaled down. At 4 million an A4 page has 200 pixels an inch, where a
/// hairline is still one pixel wide.
const MAX_PIXELS: f32 = 4e6;
/// Pages that lean by less than this are taken as they are, radians: a pixel over a line of 1,000.
const LEVEL: f32 = 0.001;

pub use order::Box;

/// How the page's pixels map to the frame's.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    sin: f32,
    cos: f32,
    scale: f32,
    origin: Point,
    /// Size of the frame, px.
    pub width: usize,
    /// Size of the frame, px.
    pub height: usize,
}

impl Frame {
    /// A frame in which these lines run to the right.
    pub fn new(width: u32, height: u32, lines: &[Line]) -> Self {
        let direction = order::direction(lines);
        let direction = if direction.abs() < LEVEL {
            0.0
        } else {
            direction
        };
        let (w, h) = (width.max(1) as f32, height.max(1) as f32);
        let scale = (MAX_PIXELS / (w * h)).sqrt().min(1.0);
        let (sin, cos) = direction.sin_cos();
        let mut frame = Self {
            sin,
            cos,
            scale,
            origin: Point::default(),
            width: 0,
            height: 0,
        };
        let [x0, y0, x1, y1] = Quad(
            [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)].map(|(x, y)| frame.enter(Point::new(x, y))),
        )
        .bounds();
        frame.origin = Point::new(x0, y0);
        frame.width = ((x1 - x0).round() as usize).max(1);
        frame.height = ((y1 - y0).round() as usize).max(1);
        frame
    }

    /// From the page into the frame.
    pub fn enter(&self, p: Point) -> Point {
        Point::new(
            (p.x * self.cos + p.y * self.sin) * self.scale - self.origin.x,
            (p.y * self.cos - p.x * self.sin) * self.scale - self.origin.y,
        )
    }

    /// From the frame onto the page.
    pub fn leave(&self, p: Point) -> Point {
        let (x, y) = (
            (p.x + self.origin.x) / self.scale,
            (p.y + self.origin.y) / self.scale,
        );
        Point::new(x * self.cos - y * self.sin, x * self.sin + y * self.cos)
    }

    /// Pixels of the frame for a pixel of the page.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// A place given as x and y.
    pub fn enter_pair(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let p = self.enter(Point::new(x, y));
        [p.x, p.y]
    }

    /// The rectangle through the middles of a quad's edges.
    pub fn area(&self, quad: &Quad) -> Box {
        let limit = 2.0 * (self.width + self.height) as f32;
        let corners = quad.0.map(|p| {
            let p = self.enter(p);
            let finite = |v: f32| {
                if v.is_finite() {
                    v.clamp(-limit, limit)
                } else {
                    0.0
                }
            };
            Point::new(finite(p.x), finite(p.y))
        });
        let (right, down) = Quad(corners).along();
        let [a, b, c, d] = corners;
        if down.abs() > right.abs() {
            Box::through(&[d, a, b, c])
        } else {
            Box::through(&corners)
        }
    }

    /// A rectangle of the frame on the page.
    pub fn quad(&self, area: &Box) -> Quad {
        Quad(
            [
                (area.x0, area.y0),
                (area.x1, area.y0),
                (area.x1, area.y1),
                (area.x0, area.y1),
            ]
            .map(|(x, y)| self.leave(Point::new(x, y))),
        )
    }

    /// The page in the frame, shades of grey; white outside the page.
    pub fn grey(&self, image: &Image) -> Grey {
        let (w, h) = (image.width as usize, image.height as usize);
        let luma = |x: usize, y: usize| {
            let i = (y * w + x) * 3;
            // Rec. 601, in 256ths.
            let [r, g, b] = [image.rgb[i], image.rgb[i + 1], image.rgb[i + 2]].map(u32::from);
            (77 * r + 150 * g + 29 * b) >> 8
        };
        let mut pixels = vec![255u8; self.width * self.height];
        if w == 0 || h == 0 {
            return Grey {
                width: self.width,
                height: self.height,
                pixels,
            };
        }
        let straight = self.sin == 0.0 && self.cos > 0.0 && self.scale == 1.0;
        for y in 0..self.height {
            let row = &mut pixels[y * self.width..(y + 1) * self.width];
            if straight {
                for (x, pixel) in row.iter_mut().enumerate().take(w) {
                    *pixel = luma(x, y.min(h - 1)) as u8;
                }
                continue;
            }
            let start = self.leave(Point::new(0.5, y as f32 + 0.5));
            let (dx, dy) = (self.cos / self.scale, self.sin / self.scale);
            for (x, pixel) in row.iter_mut().enumerate() {
                let (px, py) = (start.x + dx * x as f32 - 0.5, start.y + dy * x as f32 - 0.5);
                if px < -0.5 || py < -0.5 || px > w as f32 - 0.5 || py > h as f32 - 0.5 {
                    continue;
                }
                let (px, py) = (px.clamp(0.0, (w - 1) as f32), py.clamp(0.0, (h - 1) as f32));
                let (ix, iy) = (px as usize, py as usize);
                let (fx, fy) = ((px.fract() * 16.0) as u32, (py.fract() * 16.0) as u32);
                let (jx, jy) = ((ix + 1).min(w - 1), (iy + 1).min(h - 1));
                let top = luma(ix, iy) * (16 - fx) + luma(jx, iy) * fx;
                let bottom = luma(ix, jy) * (16 - fx) + luma(jx, jy) * fx;
                *pixel = ((top * (16 - fy) + bottom * fy) >> 8) as u8;
            }
        }
        Grey {
            width: self.width,
            height: self.height,
            pixels,
        }
    }
}

/// A picture in shades of grey.
pub struct Grey {
    /// px
    pub width: usize,
    /// px
    pub height: usize,
    /// Row after row.
    pub pixels: Vec<u8>,
}
