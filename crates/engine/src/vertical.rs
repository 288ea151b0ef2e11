//! Vertical Chinese and Japanese: a column of upright characters laid out as a row.
//!
//! A tall line is turned before it is read, so the characters of vertical writing lie on their side, which the
//! recognisers read badly. [`row`] cuts such a strip between its characters, turns each back and puts them side by
//! side; [`Row::in_strip`] tells where a reading of the row stands in the strip.

use crate::crop::Strip;
use crate::geometry::Quad;
use crate::recognise::Reading;

/// Characters of a column side by side, each in a square cell as high as the strip.
pub struct Row {
    /// The row, to be recognised.
    pub strip: Strip,
    /// Where the cells begin in the turned strip, and where the last one ends, as shares of its width.
    cuts: Vec<f32>,
}

impl Row {
    /// Moves a reading of the row to where its characters stand in the turned strip.
    pub fn in_strip(&self, reading: Reading) -> Reading {
        let cells = (self.cuts.len() - 1) as f32;
        let place = |share: f32| {
            let cell = (share * cells).clamp(0.0, cells);
            let index = (cell as usize).min(self.cuts.len() - 2);
            let (from, to) = (self.cuts[index], self.cuts[index + 1]);
            from + (to - from) * (cell - index as f32)
        };
        let mut reading = reading;
        for glyph in &mut reading.glyphs {
            (glyph.start, glyph.end) = (place(glyph.start), place(glyph.end));
        }
        reading
    }
}

/// Character pitches tried, as shares of the strip's height: detections are a little thicker than the characters.
const PITCHES: [f32; 8] = [0.62, 0.7, 0.78, 0.86, 0.94, 1.02, 1.1, 1.2];
/// How far a cell's length may be from the pitch, as a share of it.
const SLACK: f32 = 0.3;
/// Weight of a cell's squared deviation from the pitch against the ink its cut goes through.
const DEVIATION: f32 = 3.0;

/// Lays the characters of a turned strip out as a row; `None` where it is too short to hold two.
pub fn row(turned: &Strip) -> Option<Row> {
    let (width, height) = (turned.width as usize, turned.height as usize);
    if height < 8 || width < height * 5 / 4 || width > height * 200 {
        return None;
    }
    let ink = ink(turned);
    let cuts = PITCHES
        .iter()
        .filter_map(|pitch| cut(&ink, pitch * height as f32))
        .min_by(|a, b| a.0.total_cmp(&b.0))?
        .1;
    let cells = cuts.len() - 1;
    let background = background(turned);
    let mut rgb: Vec<u8> = background.repeat(height * height * cells);
    for (index, pair) in cuts.windows(2).enumerate() {
        let length = pair[1] - pair[0];
        // A cell longer than the strip is thick is shrunk, a shorter one centred.
        let scale = (height as f32 / length as f32).min(1.0);
        let (cell_width, cell_height) = (height as f32 * scale, length as f32 * scale);
        let (left, top) = (
            (height as f32 - cell_width) / 2.0,
            (height as f32 - cell_height) / 2.0,
        );
        for y in 0..height {
            let along = (y as f32 + 0.5 - top) / scale - 0.5;
            if along < -0.5 || along > length as f32 - 0.5 {
                continue;
            }
            for x in 0..height {
                let across = (x as f32 + 0.5 - left) / scale - 0.5;
                if across < -0.5 || across > height as f32 - 0.5 {
                    continue;
                }
                // The strip was turned a quarter counter-clockwise: its left end was the column's top, and its
                // bottom edge the column's left.
                let sample = bilinear(turned, pair[0] as f32 + along, (height - 1) as f32 - across);
                let at = (y * height * cells + index * height + x) * 3;
                rgb[at..at + 3].copy_from_slice(&sample);
            }
        }
    }
    Some(Row {
        strip: Strip {
            width: (height * cells) as u32,
            height: height as u32,
            rgb,
            turned: false,
            flipped: false,
        },
        cuts: cuts.into_iter().map(|c| c as f32 / width as f32).collect(),
    })
}

/// How much of each column of the strip is drawn on: mean difference from the background, 1 = the strip's mean.
fn ink(strip: &Strip) -> Vec<f32> {
    let (width, height) = (strip.width as usize, strip.height as usize);
    let background = background(strip);
    let mut ink = vec![0.0f32; width];
    // The outermost tenth holds ruby, neighbours and borders rather than the characters.
    let margin = height / 10;
    for y in margin..height - margin {
        for (x, sum) in ink.iter_mut().enumerate() {
            let at = (y * width + x) * 3;
            *sum += (0..3)
                .map(|c| f32::from(strip.rgb[at + c].abs_diff(background[c])))
                .sum::<f32>();
        }
    }
    let mean = ink.iter().sum::<f32>() / width as f32;
    ink.iter_mut().for_each(|v| *v /= mean.max(1.0));
    ink
}

/// Median colour of the strip's border.
fn background(strip: &Strip) -> [u8; 3] {
    let (width, height) = (strip.width as usize, strip.height as usize);
    let border: Vec<usize> = (0..width)
        .chain((height - 1) * width..height * width)
        .collect();
    [0, 1, 2].map(|c| {
        let mut values: Vec<u8> = border.iter().map(|p| strip.rgb[p * 3 + c]).collect();
        values.sort_unstable();
        values[values.len() / 2]
    })
}

/// The cuts, ends included, that go through the least ink while keeping near a pitch (px), and their mean cost.
fn cut(ink: &[f32], pitch: f32) -> Option<(f32, Vec<usize>)> {
    let width = ink.len();
    let (shortest, longest) = (
        (pitch * (1.0 - SLACK)) as usize,
        (pitch * (1.0 + SLACK)) as usize,
    );
    let mut best = vec![(f32::INFINITY, 0usize, 0usize); width + 1];
    best[0] = (0.0, 0, 0);
    for end in shortest.max(1)..=width {
        let through = if end == width {
            0.0
        } else {
            ink[end] + ink[end - 1]
        };
        for length in shortest.max(1)..=longest.min(end) {
            let before = best[end - length];
            let deviation = (length as f32 - pitch) / pitch;
            let cost = before.0 + through + DEVIATION * deviation * deviation;
            if cost < best[end].0 {
                best[end] = (cost, end - length, before.2 + 1);
            }
        }
    }
    let (cost, _, cells) = best[width];
    if !cost.is_finite() || cells < 2 {
        return None;
    }
    let mut cuts = vec![width];
    while let Some(&at) = cuts.last()
        && at > 0
    {
        cuts.push(best[at].1);
    }
    cuts.reverse();
    Some((cost / cells as f32, cuts))
}

fn bilinear(strip: &Strip, x: f32, y: f32) -> [u8; 3] {
    let (x, y) = (
        x.clamp(0.0, (strip.width - 1) as f32),
        y.clamp(0.0, (strip.height - 1) as f32),
    );
    let (x0, y0) = (x as usize, y as usize);
    let (x1, y1) = (
        (x0 + 1).min(strip.width as usize - 1),
        (y0 + 1).min(strip.height as usize - 1),
    );
    let (fx, fy) = (x - x0 as f32, y - y0 as f32);
    let at =
        |x: usize, y: usize, c: usize| f32::from(strip.rgb[(y * strip.width as usize + x) * 3 + c]);
    [0, 1, 2].map(|c| {
        let top = at(x0, y0, c) * (1.0 - fx) + at(x1, y0, c) * fx;
        let bottom = at(x0, y1, c) * (1.0 - fx) + at(x1, y1, c) * fx;
        (top * (1.0 - fy) + bottom * fy).round() as u8
    })
}

/// Ruby is at most this share of its base text's thickness.
const RUBY: f32 = 0.7;

/// Whether a vertical line is ruby (furigana): thin, close to the right of a thicker vertical line and beside it for
/// most of its length. It repeats that line's sound and is no text of its own.
pub fn is_ruby(line: &Quad, others: &[Quad]) -> bool {
    let [x0, y0, x1, y1] = line.bounds();
    others.iter().any(|base| {
        let [bx0, by0, bx1, by1] = base.bounds();
        let thickness = bx1 - bx0;
        let beside = y1.min(by1) - y0.max(by0);
        let gap = x0 - bx1;
        x1 - x0 < RUBY * thickness
            && beside > 0.7 * (y1 - y0)
            && gap > -0.4 * thickness
            && gap < 0.4 * thickness
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recognise::Glyph;

    /// A turned column of black squares, `pitch` apart, on white.
    fn column(count: usize, pitch: usize, size: usize) -> Strip {
        let (width, height) = (count * pitch, 48usize);
        let mut rgb = vec![255; width * height * 3];
        for square in 0..count {
            for y in (height - size) / 2..(height + size) / 2 {
                for x in 0..size {
                    let at = (y * width + square * pitch + (pitch - size) / 2 + x) * 3;
                    rgb[at..at + 3].fill(0);
                }
            }
        }
        Strip {
            width: width as u32,
            height: height as u32,
            rgb,
            turned: true,
            flipped: false,
        }
    }

    #[test]
    fn cells_are_cut_between_characters() {
        for (count, pitch) in [(2, 48), (5, 44), (9, 36)] {
            let row = row(&column(count, pitch, 30)).unwrap();
            assert_eq!(row.cuts.len() - 1, count, "{count} × {pitch}");
            assert_eq!(row.strip.width as usize, count * 48);
        }
    }

    #[test]
    fn readings_go_back_to_the_strip() {
        let row = row(&column(4, 40, 30)).unwrap();
        let glyph = Glyph {
            text: "字".into(),
            start: 0.25,
            end: 0.5,
            confidence: 1.0,
        };
        let reading = row.in_strip(Reading {
            glyphs: vec![glyph],
        });
        assert!((reading.glyphs[0].start - 0.25).abs() < 0.06);
        assert!((reading.glyphs[0].end - 0.5).abs() < 0.06);
    }

    #[test]
    fn the_top_of_the_column_comes_first_and_upright() {
        // In the column: a mark at the left edge of the first character. Turned, it is at the bottom left.
        let mut strip = column(3, 48, 20);
        for y in 40..48 {
            for x in 14..34 {
                let at = (y * strip.width as usize + x) * 3;
                strip.rgb[at..at + 3].copy_from_slice(&[255, 0, 0]);
            }
        }
        let row = row(&strip).unwrap();
        let at = (24 * row.strip.width as usize + 4) * 3;
        assert_eq!(row.strip.rgb[at..at + 3], [255, 0, 0]);
    }

    #[test]
    fn ruby_is_told_from_columns() {
        let base = Quad::from_rect(100.0, 0.0, 130.0, 200.0);
        let ruby = Quad::from_rect(128.0, 20.0, 142.0, 80.0);
        let column = Quad::from_rect(140.0, 0.0, 170.0, 200.0);
        let far = Quad::from_rect(185.0, 20.0, 199.0, 80.0);
        assert!(is_ruby(&ruby, &[base, column]));
        for other in [base, column, far] {
            assert!(!is_ruby(&other, &[base, column]));
        }
    }

    #[test]
    fn short_strips_are_left_alone() {
        assert!(row(&column(1, 48, 30)).is_none());
    }
}
