//! Pages that bend: a curled receipt, an open book, a sheet seen at an angle. Their text leans differently from place to
//! place, so that what stands in one row lies at different heights.

use super::frame::{Box, Placed};

/// Fewest lines that tell how a page bends.
const LINES: usize = 8;
/// Least lean, root mean square over the lines, that is worth a correction: 0.9°.
const LEAN: f32 = 0.015;
/// Most of the lines' lean, as a share of its square, that a bend may leave unexplained.
const UNEXPLAINED: f32 = 0.5;

/// Moves the lines of a bent page up and down to where they would lie if it were flat. Other pages stay as they are.
pub fn flatten(placed: &mut [Placed]) {
    let Some(bend) = Bend::of(placed) else { return };
    for line in placed {
        let down = bend.down(&line.area);
        line.area.y0 -= down;
        line.area.y1 -= down;
    }
}

/// How much the text leans at a place: `a + b·u + c·v + d·u·v`, of 1 px down per px to the right, where `u` and `v` go
/// from −1 to 1 over the text.
struct Bend {
    factors: [f64; 4],
    middle: (f32, f32),
    half: (f32, f32),
}

impl Bend {
    /// What fits the lines best, by least squares, long lines counting more; none where that explains little or there
    /// is nothing to explain.
    fn of(placed: &[Placed]) -> Option<Self> {
        let leaning = || {
            placed
                .iter()
                .filter_map(|line| line.lean.map(|lean| (&line.area, lean)))
        };
        if leaning().count() < LINES {
            return None;
        }
        let whole = leaning().map(|(area, _)| *area).reduce(|a, b| a.with(&b))?;
        let mut bend = Self {
            factors: [0.0; 4],
            middle: ((whole.x0 + whole.x1) / 2.0, whole.middle()),
            half: (
                (whole.width() / 2.0).max(1.0),
                (whole.height() / 2.0).max(1.0),
            ),
        };
        // Rows of the normal equations, with the wanted sums at their ends.
        let mut sums = [[0.0f64; 5]; 4];
        for (area, lean) in leaning() {
            let terms = bend.terms(area);
            let weight = f64::from(area.width());
            for (row, a) in sums.iter_mut().zip(terms) {
                for (sum, b) in row.iter_mut().zip(terms) {
                    *sum += weight * a * b;
                }
                row[4] += weight * a * f64::from(lean);
            }
        }
        bend.factors = solve(sums)?;
        let (mut all, mut left, mut weights) = (0.0, 0.0, 0.0);
        for (area, lean) in leaning() {
            let weight = f64::from(area.width());
            let lean = f64::from(lean);
            let rest = lean - dot(bend.factors, bend.terms(area));
            weights += weight;
            all += weight * lean * lean;
            left += weight * rest * rest;
        }
        let leans = all > weights * f64::from(LEAN * LEAN);
        (leans && left < f64::from(UNEXPLAINED) * all).then_some(bend)
    }

    /// Where an area's middle lies in the text.
    fn at(&self, area: &Box) -> (f64, f64) {
        let u = ((area.x0 + area.x1) / 2.0 - self.middle.0) / self.half.0;
        let v = (area.middle() - self.middle.1) / self.half.1;
        (f64::from(u), f64::from(v))
    }

    fn terms(&self, area: &Box) -> [f64; 4] {
        let (u, v) = self.at(area);
        [1.0, u, v, u * v]
    }

    /// How far below its place on a flat page an area lies, px: the integral of the lean from the middle of the text.
    fn down(&self, area: &Box) -> f32 {
        let (u, v) = self.at(area);
        let half = u * u / 2.0;
        let down = dot(self.factors, [u, half, u * v, half * v]) as f32;
        down * self.half.0
    }
}

fn dot(a: [f64; 4], b: [f64; 4]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Solves four equations by elimination; none where they don't determine the answer.
fn solve(mut rows: [[f64; 5]; 4]) -> Option<[f64; 4]> {
    let scale = (0..4).map(|i| rows[i][i]).fold(0.0, f64::max);
    for i in 0..4 {
        let pivot = (i..4).max_by(|&a, &b| rows[a][i].abs().total_cmp(&rows[b][i].abs()))?;
        rows.swap(i, pivot);
        let lead = rows[i];
        if lead[i].abs() <= 1e-6 * scale {
            return None;
        }
        for row in &mut rows[i + 1..] {
            let share = row[i] / lead[i];
            for (value, above) in row.iter_mut().zip(lead) {
                *value -= share * above;
            }
        }
    }
    let mut found = [0.0; 4];
    for i in (0..4).rev() {
        let known: f64 = (i + 1..4).map(|j| rows[i][j] * found[j]).sum();
        found[i] = (rows[i][4] - known) / rows[i][i];
    }
    found.iter().all(|v| v.is_finite()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Line, assemble};
    use crate::geometry::{Point, Quad};

    /// Rows of a receipt whose right edge curls: up at its head, down at its foot.
    fn curled(rows: usize) -> Vec<Line> {
        let end = rows as f32 * 40.0;
        let bent = |x: f32, y: f32| {
            let (u, v) = (x / 350.0 - 1.0, 2.0 * y / end - 1.0);
            Point::new(x, y + 30.0 * u * u * v + 8.0 * u)
        };
        let mut lines = Vec::new();
        for row in 0..rows {
            let y = row as f32 * 40.0;
            for (name, from, to) in [("a", 0.0, 300.0), ("b", 400.0, 500.0), ("c", 600.0, 700.0)] {
                lines.push(Line {
                    text: format!("{name}{row}"),
                    confidence: 0.9,
                    quad: Quad([
                        bent(from, y - 12.0),
                        bent(to, y - 12.0),
                        bent(to, y + 12.0),
                        bent(from, y + 12.0),
                    ]),
                    words: Vec::new(),
                    vertical: false,
                });
            }
        }
        lines
    }

    #[test]
    fn rows_of_a_bent_page_stay_together() {
        for rows in [6, 12, 25] {
            let text = assemble(curled(rows), 700, rows as u32 * 40).text;
            let wanted: Vec<String> = (0..rows).map(|i| format!("a{i} b{i} c{i}")).collect();
            let read: Vec<&str> = text.lines().filter(|l| !l.is_empty()).collect();
            assert_eq!(read, wanted);
        }
    }

    #[test]
    fn four_equations_are_solved() {
        let rows = [
            [2.0, 1.0, 0.0, 0.0, 4.0],
            [1.0, 3.0, 0.0, 0.0, 7.0],
            [0.0, 0.0, 0.0, 2.0, 8.0],
            [0.0, 0.0, 5.0, 0.0, 15.0],
        ];
        let found = solve(rows).unwrap();
        for (value, wanted) in found.iter().zip([1.0, 2.0, 3.0, 4.0]) {
            assert!((value - wanted).abs() < 1e-9, "{found:?}");
        }
        assert!(solve([[1.0; 5]; 4]).is_none());
    }
}
