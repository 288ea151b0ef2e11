//! Points and quads in pixel coordinates: x to the right, y down, origin at the picture's top left corner.

use serde::{Deserialize, Serialize};

/// A position in a picture, px.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

impl Point {
    /// A point at `x`, `y`.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Euclidean distance, px.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// The point at share `t` of the way to `other`.
    pub fn lerp(self, other: Self, t: f32) -> Self {
        Self::new(
            self.x + (other.x - self.x) * t,
            self.y + (other.y - self.y) * t,
        )
    }
}

/// Four corners, clockwise from the top left of the text they hold (on a turned page that need not be the
/// corner nearest the picture's top left).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quad(pub [Point; 4]);

impl Quad {
    /// An upright rectangle.
    pub fn from_rect(x0: f32, y0: f32, x1: f32, y1: f32) -> Self {
        Self([
            Point::new(x0, y0),
            Point::new(x1, y0),
            Point::new(x1, y1),
            Point::new(x0, y1),
        ])
    }

    /// Length along the text: the mean of the top and bottom edges, px.
    pub fn width(&self) -> f32 {
        let [a, b, c, d] = self.0;
        (a.distance(b) + d.distance(c)) / 2.0
    }

    /// Length across the text: the mean of the left and right edges, px.
    pub fn height(&self) -> f32 {
        let [a, b, c, d] = self.0;
        (a.distance(d) + b.distance(c)) / 2.0
    }

    /// Which way the text runs: the sum of the top and bottom edges, px to the right and down.
    pub fn along(&self) -> (f32, f32) {
        let [a, b, c, d] = self.0;
        (b.x - a.x + c.x - d.x, b.y - a.y + c.y - d.y)
    }

    /// Mean of the corners.
    pub fn center(&self) -> Point {
        let (x, y) = self
            .0
            .iter()
            .fold((0.0, 0.0), |(x, y), p| (x + p.x, y + p.y));
        Point::new(x / 4.0, y / 4.0)
    }

    /// Smallest upright rectangle around it: x0, y0, x1, y1.
    pub fn bounds(&self) -> [f32; 4] {
        let mut r = [f32::MAX, f32::MAX, f32::MIN, f32::MIN];
        for p in self.0 {
            r = [r[0].min(p.x), r[1].min(p.y), r[2].max(p.x), r[3].max(p.y)];
        }
        r
    }

    /// The quad with its ends moved outwards by `along` and its long edges by `across`, both shares of its thickness.
    pub fn grown(&self, along: f32, across: f32) -> Self {
        let thickness = self.width().min(self.height());
        let (along, across) = if self.width() >= self.height() {
            (along, across)
        } else {
            (across, along)
        };
        let (u, v) = (
            thickness * along / self.width().max(1.0),
            thickness * across / self.height().max(1.0),
        );
        let [a, b, c, d] = self.slice(-u, 1.0 + u).0;
        Self([
            a.lerp(d, -v),
            b.lerp(c, -v),
            b.lerp(c, 1.0 + v),
            a.lerp(d, 1.0 + v),
        ])
    }

    /// Whether a point is in it, edges included.
    pub fn contains(&self, p: Point) -> bool {
        (0..4).all(|i| {
            let (a, b) = (self.0[i], self.0[(i + 1) % 4]);
            (b.x - a.x) * (p.y - a.y) - (b.y - a.y) * (p.x - a.x) >= 0.0
        })
    }

    /// The part between shares `from` and `to` of its width.
    pub fn slice(&self, from: f32, to: f32) -> Self {
        let [a, b, c, d] = self.0;
        Self([
            a.lerp(b, from),
            a.lerp(b, to),
            d.lerp(c, to),
            d.lerp(c, from),
        ])
    }
}

impl Serialize for Quad {
    /// `[[x, y]; 4]`, rounded to a tenth of a pixel.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenth = |v: f32| (f64::from(v) * 10.0).round() / 10.0;
        self.0
            .map(|p| [tenth(p.x), tenth(p.y)])
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Quad {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let corners = <[[f32; 2]; 4]>::deserialize(deserializer)?;
        Ok(Self(corners.map(|[x, y]| Point::new(x, y))))
    }
}
