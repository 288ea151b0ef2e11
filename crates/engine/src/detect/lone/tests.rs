use super::*;

const ROW: f32 = 30.0;

fn detected(quad: Quad) -> Detected {
    Detected {
        quad,
        score: 0.9,
        doubtful: false,
        veiled: false,
        column: None,
    }
}

/// A white page, turned by an angle around its corner.
struct Page {
    image: Image,
    found: Vec<Detected>,
    angle: f32,
}

impl Page {
    /// Five lines from x = 100 to 300, in boxes 20 px high.
    fn new(angle: f32) -> Self {
        let mut page = Self {
            image: Image {
                width: 400,
                height: 300,
                rgb: vec![255; 400 * 300 * 3],
            },
            found: Vec::new(),
            angle,
        };
        for row in 0..5 {
            let y = Self::middle(row);
            let letters = (0..33).map(|i| 102.0 + 6.0 * i as f32);
            for x in letters {
                page.draw(x, y - 6.0, x + 3.0, y + 6.0);
            }
            page.find(100.0, y - 10.0, 300.0, y + 10.0);
        }
        page
    }

    fn middle(row: usize) -> f32 {
        50.0 + ROW * row as f32
    }

    fn turned(&self, x: f32, y: f32) -> Point {
        let (sin, cos) = self.angle.sin_cos();
        Point::new(x * cos - y * sin, x * sin + y * cos)
    }

    fn draw(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
        let (mut y, step) = (y0, 0.5);
        while y < y1 {
            let mut x = x0;
            while x < x1 {
                let p = self.turned(x, y);
                let at = (p.y as usize * 400 + p.x as usize) * 3;
                self.image.rgb[at..at + 3].fill(0);
                x += step;
            }
            y += step;
        }
    }

    fn find(&mut self, x0: f32, y0: f32, x1: f32, y1: f32) {
        let corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)];
        let quad = Quad(corners.map(|(x, y)| self.turned(x, y)));
        self.found.push(detected(quad));
    }

    /// A narrow mark in the middle of each of some rows.
    fn marks(&mut self, x: f32, height: f32, rows: std::ops::Range<usize>) {
        for row in rows {
            let y = Self::middle(row);
            self.draw(x, y - height / 2.0, x + 3.0, y + height / 2.0);
        }
    }

    /// The boxes that are added.
    fn columns(&self) -> Vec<Detected> {
        let mut all = self.found.clone();
        add_columns(&self.image, &mut all);
        all.split_off(self.found.len())
    }
}

#[test]
fn a_column_of_narrow_characters_is_found() {
    for angle in [0.0, 0.08] {
        let mut page = Page::new(angle);
        page.marks(60.0, 12.0, 0..5);
        page.marks(330.0, 12.0, 1..4);
        let found = page.columns();
        assert_eq!(found.len(), 8, "at {angle}");
        for one in &found {
            let bounds = one.quad.bounds();
            let column = if bounds[0] < 200.0 { 60.0 } else { 330.0 };
            let row = (0..5).find(|&row| {
                let middle = page.turned(column + 1.5, Page::middle(row));
                one.quad.center().distance(middle) < 2.0
            });
            assert!(row.is_some(), "{bounds:?}");
            assert!((15.0..19.0).contains(&one.quad.height()), "{bounds:?}");
            assert!((6.0..14.0).contains(&one.quad.width()), "{bounds:?}");
        }
        let of = |left: bool| {
            let mut numbers: Vec<_> = found
                .iter()
                .filter(|d| (d.quad.center().x < 200.0) == left)
                .map(|d| d.column)
                .collect();
            numbers.dedup();
            numbers
        };
        assert_eq!((of(true).len(), of(false).len()), (1, 1));
        assert_ne!(of(true), of(false));
    }
}

#[test]
fn what_the_detector_saw_of_a_column_counts() {
    let mut page = Page::new(0.0);
    page.marks(60.0, 12.0, 1..3);
    assert_eq!(page.columns().len(), 0);
    let y = Page::middle(0);
    page.draw(50.0, y - 6.0, 72.0, y + 6.0);
    page.find(48.0, y - 10.0, 74.0, y + 10.0);
    let found = page.columns();
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|d| d.quad.center().y > y + 20.0));
}

#[test]
fn rules_specks_and_parts_of_words_are_no_characters() {
    let mut page = Page::new(0.0);
    // A rule over all rows, bullets, a scattered column, a picture, and ends of the lines themselves.
    page.draw(40.0, 10.0, 42.0, 290.0);
    page.marks(70.0, 4.0, 0..5);
    for row in 0..5 {
        page.marks(320.0 + 11.0 * row as f32, 12.0, row..row + 1);
    }
    page.draw(10.0, 40.0, 34.0, 250.0);
    page.marks(91.0, 12.0, 0..5);
    assert_eq!(page.columns().len(), 0);
}

/// A hairline between columns of text, which a photo breaks up: pieces in the rows are as dark as ink.
#[test]
fn pieces_of_a_rule_are_no_characters() {
    for faint in [120, 190] {
        let mut page = Page::new(0.0);
        for y in 20..280 {
            let at = (y * 400 + 60) * 3;
            page.image.rgb[at..at + 3].fill(faint);
        }
        page.marks(60.0, 12.0, 0..5);
        assert_eq!(page.columns().len(), 0, "{faint}");
    }
}
