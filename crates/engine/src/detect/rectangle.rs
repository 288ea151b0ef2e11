//! Rectangles around points, and DB's way of growing them.

use crate::geometry::{Point, Quad};

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

/// Grows a rectangle by DB's unclip distance, area × ratio / perimeter, on every side. The smallest rectangle
/// around the rounded offset polygon that DB's authors take is this one.
pub fn unclip(rectangle: &Quad, ratio: f32) -> Quad {
    let (w, h) = (rectangle.width(), rectangle.height());
    offset(
        rectangle,
        w * h * ratio / (2.0 * (w + h)).max(f32::MIN_POSITIVE),
    )
}

/// Grows a rectangle by a distance on every side.
pub(super) fn offset(rectangle: &Quad, distance: f32) -> Quad {
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
    use proptest::prelude::*;

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
    }
}
