//! Pictures on a page with a text layer: which may hold text, and what was read in them, on the page.

use crate::document::Line;
use crate::geometry::{Point, Quad};
use crate::imaging::Image;
use crate::page::TextLayer;

/// Pictures of a page that are read at most.
const MAX_PICTURES: usize = 8;
/// Least size of a picture that may hold text, px.
const MIN_PICTURE: [u32; 2] = [48, 20];

/// Parts of a page that may hold text besides its layer's, px: x, y, width, height.
pub(super) fn pictures(layer: &TextLayer, image: &Image, lines: &[Line]) -> Vec<[u32; 4]> {
    let whole = f64::from(image.width) * f64::from(image.height);
    let mut areas: Vec<[u32; 4]> = layer
        .pictures
        .iter()
        .filter_map(|quad| {
            let [x0, y0, x1, y1] = quad.bounds();
            let side = |v: f32, most: u32| v.round().clamp(0.0, most as f32) as u32;
            let (x0, y0) = (side(x0, image.width), side(y0, image.height));
            let (x1, y1) = (side(x1, image.width), side(y1, image.height));
            let (w, h) = (x1.saturating_sub(x0), y1.saturating_sub(y0));
            (w >= MIN_PICTURE[0] && h >= MIN_PICTURE[1]).then_some([x0, y0, w, h])
        })
        // A ground that the text stands on, in strips or whole.
        .filter(|[x, y, w, h]| {
            let covered: f32 = lines
                .iter()
                .filter(|line| {
                    let c = line.quad.center();
                    c.x >= *x as f32
                        && c.x <= (x + w) as f32
                        && c.y >= *y as f32
                        && c.y <= (y + h) as f32
                })
                .map(|line| line.quad.width() * line.quad.height())
                .sum();
            covered < 0.15 * *w as f32 * *h as f32
        })
        .collect();
    let area = |a: &[u32; 4]| f64::from(a[2]) * f64::from(a[3]);
    areas.sort_by(|a, b| area(b).total_cmp(&area(a)));
    areas.dedup();
    if areas.iter().map(area).sum::<f64>() > 0.6 * whole {
        return vec![[0, 0, image.width, image.height]];
    }
    areas.truncate(MAX_PICTURES);
    areas
}

pub(super) fn cut(image: &Image, [x, y, w, h]: [u32; 4]) -> Image {
    let row = |y: u32| (y as usize * image.width as usize + x as usize) * 3;
    let rgb = (y..y + h)
        .flat_map(|y| &image.rgb[row(y)..row(y) + w as usize * 3])
        .copied()
        .collect();
    Image {
        width: w,
        height: h,
        rgb,
    }
}

pub(super) fn moved(mut line: Line, x: f32, y: f32) -> Line {
    let shift = |quad: &mut Quad| quad.0 = quad.0.map(|p| Point::new(p.x + x, p.y + y));
    shift(&mut line.quad);
    line.words.iter_mut().for_each(|w| shift(&mut w.quad));
    line
}

/// Whether two lines are about the same place.
pub(super) fn overlap(a: &Line, b: &Line) -> bool {
    let (a, b) = (a.quad.bounds(), b.quad.bounds());
    let w = a[2].min(b[2]) - a[0].max(b[0]);
    let h = a[3].min(b[3]) - a[1].max(b[1]);
    let area = |r: [f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    w > 0.0 && h > 0.0 && w * h > 0.25 * area(a).min(area(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(x0: f32, y0: f32, x1: f32, y1: f32) -> Line {
        Line {
            text: "x".into(),
            confidence: 1.0,
            quad: Quad::from_rect(x0, y0, x1, y1),
            words: Vec::new(),
            vertical: false,
        }
    }

    #[test]
    fn pictures_with_room_for_text_are_read_and_grounds_are_not() {
        let image = Image {
            width: 1000,
            height: 1000,
            rgb: Vec::new(),
        };
        let layer = TextLayer {
            pictures: vec![
                Quad::from_rect(100.0, 500.0, 500.0, 800.0),
                Quad::from_rect(0.0, 0.0, 10.0, 10.0),
                Quad::from_rect(100.0, 100.0, 500.0, 200.0),
            ],
            ..TextLayer::default()
        };
        // Text stands on the last one.
        let lines = [line(110.0, 110.0, 480.0, 190.0)];
        assert_eq!(pictures(&layer, &image, &lines), [[100, 500, 400, 300]]);
    }

    #[test]
    fn a_part_is_cut_where_it_is() {
        let image = Image {
            width: 3,
            height: 2,
            rgb: (0..18).collect(),
        };
        assert_eq!(cut(&image, [1, 1, 2, 1]).rgb, [12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn lines_of_the_same_place_overlap() {
        let a = line(0.0, 0.0, 100.0, 20.0);
        assert!(overlap(&a, &line(10.0, 2.0, 60.0, 18.0)));
        assert!(!overlap(&a, &line(0.0, 18.0, 100.0, 40.0)));
    }
}
