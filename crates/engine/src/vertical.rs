//! Vertical Chinese and Japanese: a column of upright characters laid out as a row.
//!
//! A tall line is turned before it is read, so the characters of vertical writing lie on their side, which the
//! recognisers read badly. [`row`] cuts such a strip between its characters, turns each back and puts them side by
//! side.

use crate::crop::Strip;
use crate::document::Line;

/// Character pitches tried, as shares of the strip's height: detections are a little thicker than the characters.
const PITCHES: [f32; 8] = [0.62, 0.7, 0.78, 0.86, 0.94, 1.02, 1.1, 1.2];
/// How far a cell's length may be from the pitch, as a share of it.
const SLACK: f32 = 0.3;
/// Weight of a cell's squared deviation from the pitch against the ink its cut goes through.
const DEVIATION: f32 = 3.0;

/// Lays the characters of a turned strip out as a row: each in a square cell as high as the strip. `None` where it is
/// too short to hold two.
pub fn row(turned: &Strip) -> Option<Strip> {
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
        let Placed { scale, left, top } = placed(turned, pair[0], length, &background);
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
    let cuts = cuts.into_iter().map(|c| c as f32 / width as f32).collect();
    Some(Strip {
        width: (height * cells) as u32,
        height: height as u32,
        rgb,
        turned: false,
        placement: turned.placement.clone().into_row(cuts),
    })
}

/// A sign no larger than this share of a cell …
const SMALL: f32 = 0.45;
/// … is written this far from the left and lower edges of a cell in a row.
const SIGN_EDGE: f32 = 0.1;
/// A sample is ink if its channels together differ by this from the background.
const INK: u16 = 120;

/// How a cell is drawn in its square.
struct Placed {
    scale: f32,
    left: f32,
    top: f32,
}

/// Where the character between `start` and `start + length` of a turned strip is drawn. Characters set wide apart keep
/// their size. Full stops and commas stand in the upper right of their cells in columns, and in the lower left in rows.
fn placed(turned: &Strip, start: usize, length: usize, background: &[u8; 3]) -> Placed {
    let side = turned.height as usize;
    let size = side as f32;
    let (mut x0, mut y0, mut x1, mut y1) = (side, length, 0, 0);
    let margin = side / 10;
    for across in margin..side - margin {
        for along in 0..length {
            let at = (across * turned.width as usize + start + along) * 3;
            let differs = (0..3)
                .map(|c| u16::from(turned.rgb[at + c].abs_diff(background[c])))
                .sum::<u16>();
            if differs >= INK {
                let x = side - 1 - across;
                (x0, x1) = (x0.min(x), x1.max(x + 1));
                (y0, y1) = (y0.min(along), y1.max(along + 1));
            }
        }
    }
    let centred = |scale: f32| Placed {
        scale,
        left: size * (1.0 - scale) / 2.0,
        top: (size - length as f32 * scale) / 2.0,
    };
    if x0 >= x1 {
        return centred((size / length as f32).min(1.0));
    }
    let (wide, high) = ((x1 - x0) as f32, (y1 - y0) as f32);
    let upper_right =
        x0 as f32 + wide / 2.0 > size * 0.55 && y0 as f32 + high / 2.0 < length as f32 * 0.5;
    if wide.max(high) <= SMALL * size && upper_right {
        return Placed {
            scale: 1.0,
            left: SIGN_EDGE * size - x0 as f32,
            top: (1.0 - SIGN_EDGE) * size - y1 as f32,
        };
    }
    if length > side && high <= size {
        // Only the blank around it is cut off.
        let middle = (y0 + y1) as f32 / 2.0;
        return Placed {
            scale: 1.0,
            left: 0.0,
            top: (size / 2.0 - middle).clamp(size - length as f32, 0.0),
        };
    }
    centred((size / length as f32).min(1.0))
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
/// At most so many signs of ruby say how one character is pronounced.
const LONGEST_RUBY: usize = 5;
/// Ruby is small: what is read less surely may be ruby that the recogniser has no signs for.
const ILLEGIBLE: f32 = 0.8;

/// Whether a vertical line is ruby (furigana, bopomofo): thin, close to the right of a thicker vertical line, beside it
/// for most of its length, and saying how ideographs are pronounced that stand there. It is no text of its own, unlike
/// a narrow column of other text beside a title.
pub fn is_ruby(line: &Line, columns: &[Line]) -> bool {
    let [x0, y0, x1, y1] = line.quad.bounds();
    let signs = line.text.chars().filter(|c| !c.is_whitespace());
    let phonetic = signs.clone().all(is_phonetic);
    columns.iter().any(|base| {
        let [bx0, by0, bx1, by1] = base.quad.bounds();
        let thickness = bx1 - bx0;
        let beside = y1.min(by1) - y0.max(by0);
        let gap = x0 - bx1;
        let adjoins = x1 - x0 < RUBY * thickness
            && beside > 0.7 * (y1 - y0)
            && gap > -0.4 * thickness
            && gap < 0.4 * thickness;
        // The characters of the base that it stands beside.
        let count = base.text.chars().count() as f32;
        let place = |y: f32| ((y - by0) / (by1 - by0).max(1.0) * count).clamp(0.0, count);
        let (from, to) = (place(y0).floor() as usize, place(y1).ceil() as usize);
        let beside = base.text.chars().skip(from).take(to.saturating_sub(from));
        let ideographs = beside.filter(|c| is_ideograph(*c)).count();
        let annotates = signs.clone().count() <= LONGEST_RUBY * ideographs;
        adjoins && annotates && (phonetic || line.confidence < ILLEGIBLE)
    })
}

/// Kana and bopomofo.
fn is_phonetic(c: char) -> bool {
    matches!(u32::from(c), 0x3040..=0x30FF | 0x3105..=0x312F | 0x31A0..=0x31BF | 0x31F0..=0x31FF | 0xFF66..=0xFF9F)
        || matches!(c, 'ˊ' | 'ˇ' | 'ˋ' | '˙')
}

fn is_ideograph(c: char) -> bool {
    matches!(u32::from(c), 0x3005 | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0x20000..=0x323AF)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::Placement;
    use crate::geometry::Quad;

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
            placement: Placement::default(),
        }
    }

    #[test]
    fn cells_are_cut_between_characters() {
        for (count, pitch) in [(2, 48), (5, 44), (9, 36)] {
            let row = row(&column(count, pitch, 30)).unwrap();
            assert_eq!(row.placement.cells(), count, "{count} × {pitch}");
            assert_eq!(row.width as usize, count * 48);
        }
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
        let at = (24 * row.width as usize + 4) * 3;
        assert_eq!(row.rgb[at..at + 3], [255, 0, 0]);
    }

    fn vertical(text: &str, x0: f32, y0: f32, x1: f32, y1: f32) -> Line {
        Line {
            text: text.into(),
            confidence: 0.95,
            quad: Quad::from_rect(x0, y0, x1, y1),
            words: Vec::new(),
            vertical: true,
        }
    }

    #[test]
    fn ruby_is_told_from_columns() {
        let base = vertical("東京都に行く", 100.0, 0.0, 130.0, 200.0);
        let column = vertical("昨日の話だ", 140.0, 0.0, 170.0, 200.0);
        let both = [base.clone(), column.clone()];
        let ruby = |text| vertical(text, 128.0, 5.0, 142.0, 65.0);
        assert!(is_ruby(&ruby("とうきょう"), &both));
        // The recogniser has no kana.
        let illegible = Line {
            confidence: 0.6,
            ..ruby("E53")
        };
        assert!(is_ruby(&illegible, &both));
        // Columns, also narrow ones beside a title, and kana beside kana.
        for other in [
            base.clone(),
            column.clone(),
            vertical("とうきょう", 185.0, 5.0, 199.0, 65.0),
            ruby("山田太郎著"),
            vertical("にゆく", 128.0, 110.0, 142.0, 195.0),
        ] {
            let kana = vertical("東京都へいきました", 100.0, 0.0, 130.0, 200.0);
            assert!(!is_ruby(&other, &[kana, column.clone()]), "{}", other.text);
        }
        assert!(!is_ruby(&ruby("山田太郎著"), &both));
    }

    #[test]
    fn short_strips_are_left_alone() {
        assert!(row(&column(1, 48, 30)).is_none());
    }
}
