//! The frame in which a page's text runs to the right, and the lines' boxes in it.

use crate::document::Line;
use crate::geometry::{Point, Quad};
use crate::recognise::bidi;

/// An upright rectangle in a frame in which the page's text runs to the right.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Box {
    pub x0: f32,
    pub y0: f32,
    pub x1: f32,
    pub y1: f32,
}

impl Box {
    /// The rectangle through the middles of a quad's edges, not its corners: a box around a slightly slanting line would
    /// be higher than the line. The first edge runs from left to right.
    pub fn through(&[a, b, c, d]: &[Point; 4]) -> Self {
        let mean = |a: f32, b: f32| (a + b) / 2.0;
        let (left, right) = (mean(a.x, d.x), mean(b.x, c.x));
        let (top, bottom) = (mean(a.y, b.y), mean(d.y, c.y));
        Self {
            x0: left.min(right),
            y0: top.min(bottom),
            x1: left.max(right),
            y1: top.max(bottom),
        }
    }

    pub fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    pub fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    pub fn middle(&self) -> f32 {
        (self.y0 + self.y1) / 2.0
    }

    pub fn with(&self, other: &Self) -> Self {
        Self {
            x0: self.x0.min(other.x0),
            y0: self.y0.min(other.y0),
            x1: self.x1.max(other.x1),
            y1: self.y1.max(other.y1),
        }
    }

    /// Length of the stretch that both cover from left to right; negative is the gap between them.
    pub fn overlap_x(&self, other: &Self) -> f32 {
        self.x1.min(other.x1) - self.x0.max(other.x0)
    }

    /// Length of the stretch that both cover from top to bottom; negative is the gap between them.
    pub fn overlap_y(&self, other: &Self) -> f32 {
        self.y1.min(other.y1) - self.y0.max(other.y0)
    }
}

/// How a line lies in the page's frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lie {
    /// With the page's text.
    Level,
    /// A quarter turn clockwise: it runs down.
    Down,
    /// A quarter turn the other way: it runs up.
    Up,
}

/// A line's place after turning the page so that its text runs to the right; a page of Arabic is seen in a mirror.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    pub area: Box,
    pub lie: Lie,
    /// Of a level line that is long enough to tell: how far its text comes down per px to the right.
    pub lean: Option<f32>,
}

/// Heights that a line is long at least, for its direction to be no chance.
const LONG: f32 = 2.5;

/// Places every line. Boxes far outside the page, px, are drawn near it.
pub fn place(lines: &[Line], page_width: u32, page_height: u32) -> Vec<Placed> {
    let direction = direction(lines);
    // Lines may stick out of the page by a little, never by more than its size.
    let reach = 2.0 * (page_width as f32 + page_height as f32).clamp(1.0, 1e6);
    let (sin, cos) = direction.sin_cos();
    let leftward = lines.iter().filter(|l| bidi::runs_left(&l.text)).count() * 2 > lines.len();
    let finite = |v: f32| {
        if v.is_finite() {
            v.clamp(-reach, reach)
        } else {
            0.0
        }
    };
    lines
        .iter()
        .map(|line| {
            let corners = line.quad.0.map(|p| {
                let (x, y) = (finite(p.x), finite(p.y));
                Point::new(x * cos + y * sin, y * cos - x * sin)
            });
            let along = Quad(corners).along();
            let lie = if line.vertical {
                Lie::Level
            } else {
                lie(along)
            };
            let mut area = match lie {
                Lie::Level => Box::through(&corners),
                Lie::Down | Lie::Up => Box::through(&turned(&corners)),
            };
            let tells = lie == Lie::Level && !line.vertical && area.width() > LONG * area.height();
            let mut lean = tells.then(|| along.1 / along.0).filter(|l| l.is_finite());
            if leftward {
                (area.x0, area.x1) = (-area.x1, -area.x0);
                lean = lean.map(|lean| -lean);
            }
            Placed { area, lie, lean }
        })
        .collect()
}

/// Which way a line's text runs in the page's frame.
fn lie((dx, dy): (f32, f32)) -> Lie {
    if dy.abs() <= dx.abs() {
        Lie::Level
    } else if dy > 0.0 {
        Lie::Down
    } else {
        Lie::Up
    }
}

/// The corners renamed so that the first edge runs from left to right again.
fn turned(&[a, b, c, d]: &[Point; 4]) -> [Point; 4] {
    [d, a, b, c]
}

/// Angle of the page's text, radians clockwise from rightward: the circular median of its lines, long ones counting
/// more.
pub fn direction(lines: &[Line]) -> f32 {
    let mut angles: Vec<(f32, f32)> = lines
        .iter()
        .filter(|l| !l.vertical)
        .filter_map(|l| {
            let (dx, dy) = l.quad.along();
            let (length, height) = (l.quad.width(), l.quad.height());
            // Short boxes lean by chance.
            (length.is_finite()
                && height.is_finite()
                && length > 2.0 * height
                && (dx, dy) != (0.0, 0.0))
                .then(|| (dy.atan2(dx), length))
        })
        .collect();
    if angles.is_empty() {
        return 0.0;
    }
    // By quarter turns first: the mean of a level half and a sideways half would be neither.
    let turn = std::f32::consts::TAU;
    let quarter = |angle: f32| (angle / turn * 4.0).round().rem_euclid(4.0) as usize % 4;
    let mut weights = [0.0f32; 4];
    for &(angle, length) in &angles {
        weights[quarter(angle)] += length;
    }
    let most = (0..4)
        .max_by(|&a, &b| weights[a].total_cmp(&weights[b]).then(b.cmp(&a)))
        .unwrap_or(0);
    let around = most as f32 * turn / 4.0;
    for (angle, _) in &mut angles {
        *angle -= around;
        *angle -= (*angle / turn).round() * turn;
    }
    angles.retain(|(angle, _)| angle.abs() <= turn / 8.0);
    angles.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let half = angles.iter().map(|a| a.1).sum::<f32>() / 2.0;
    let mut sum = 0.0;
    let median = angles.iter().find(|a| {
        sum += a.1;
        sum >= half
    });
    around + median.map_or(0.0, |a| a.0)
}
