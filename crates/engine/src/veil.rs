//! Light lettering over or under a page's text (watermarks, translucent stamps): where it is, and the page without it.

use crate::detect::Detected;
use crate::geometry::Quad;
use crate::imaging::Image;

/// The page is looked at with about this many samples along its longer side.
const SAMPLES: u32 = 640;
/// Tones within this distance of the most frequent one are the same, of 255.
const SAME: i32 = 8;
/// Paper is lighter than this, of 255, …
const PAPER: usize = 160;
/// … and covers at least this share of the page: photographs have no paper.
const LEAST_PAPER: f32 = 0.4;
/// A veil is darker than paper by at least this, of 255, …
const CONTRAST: usize = 14;
/// … and by at most this share of the paper's tone: what is darker is lettering itself.
const DARKEST: f32 = 0.55;
/// Its strokes take at least this share of the page.
const LEAST_VEIL: f32 = 0.004;
/// A letter of it is at least this share of the page's longer side high and wide …
const LEAST_LETTER: f32 = 0.03;
/// … and fills no more than this of the rectangle around it: bands, cells and buttons are solid.
const SOLID: f32 = 0.72;
/// At least this share of a letter's samples have only others around them: rules and frames are thin.
const THICK: f32 = 0.3;
/// At least this share of the samples at a letter's edges are text: else nothing is hidden.
const HIDES: f32 = 0.01;

/// Where light lettering lies over a page.
pub(crate) struct Veil {
    /// One sample in so many pixels each way.
    step: u32,
    columns: u32,
    /// Whether the veil covers a sample; row by row.
    covered: Vec<bool>,
    /// The brightest channel of what it leaves of white paper.
    white: u8,
}

impl Veil {
    /// Finds the veil of a page, if there is one that text lies under.
    pub(crate) fn find(page: &Image) -> Option<Self> {
        let step = (page.width.max(page.height) / SAMPLES).max(1);
        let (columns, rows) = (page.width / step, page.height / step);
        let pixels: Vec<[u8; 3]> = (0..rows)
            .flat_map(|y| (0..columns).map(move |x| (x, y)))
            .map(|(x, y)| {
                let at = ((y * step * page.width + x * step) * 3) as usize;
                [page.rgb[at], page.rgb[at + 1], page.rgb[at + 2]]
            })
            .collect();
        let greys: Vec<u8> = pixels.iter().map(grey).collect();
        let (paper, share) = most_frequent(&greys, PAPER..256)?;
        let darkest = (f32::from(paper) * (1.0 - DARKEST)) as usize;
        let lightest = usize::from(paper).saturating_sub(CONTRAST);
        if share < LEAST_PAPER || darkest >= lightest {
            return None;
        }
        let (tone, share) = most_frequent(&greys, darkest..lightest)?;
        if share < LEAST_VEIL {
            return None;
        }
        let is_tone = |&grey: &u8| (i32::from(grey) - i32::from(tone)).abs() <= SAME;
        let mask: Vec<bool> = greys.iter().map(is_tone).collect();
        let is_text: Vec<bool> = greys
            .iter()
            .map(|&grey| i32::from(grey) < i32::from(tone) - 3 * SAME)
            .collect();
        let covered = letters(&mask, &is_text, columns as usize, rows as usize);
        let count = covered.iter().filter(|&&is| is).count();
        if (count as f32) < LEAST_VEIL * covered.len() as f32 {
            return None;
        }
        let brightest: u32 = pixels
            .iter()
            .zip(&covered)
            .filter(|(_, covered)| **covered)
            .map(|(pixel, _)| u32::from(brightest(pixel)))
            .sum();
        Some(Self {
            step,
            columns,
            covered,
            white: (brightest / count as u32) as u8,
        })
    }

    /// The page in grey, with the veil as white as paper.
    pub(crate) fn lifted(&self, page: &Image) -> Image {
        let white = u32::from(self.white).saturating_sub(SAME as u32).max(1);
        let tones: Vec<u8> = (0..256u32)
            .map(|v| (v * 255 / white).min(255) as u8)
            .collect();
        let rgb = page
            .rgb
            .chunks_exact(3)
            .flat_map(|pixel| [tones[usize::from(brightest(&[pixel[0], pixel[1], pixel[2]]))]; 3])
            .collect();
        Image { rgb, ..*page }
    }

    /// Whether it touches a box.
    fn touches(&self, quad: &Quad) -> bool {
        let step = self.step as f32;
        let [x0, y0, x1, y1] = quad.bounds().map(|v| (v / step).max(0.0) as usize);
        let columns = self.columns as usize;
        self.covered
            .chunks_exact(columns.max(1))
            .skip(y0)
            .take(y1.saturating_sub(y0) + 1)
            .any(|row| {
                row[x0.min(columns)..columns.min(x1 + 1)]
                    .iter()
                    .any(|&is| is)
            })
    }

    /// What was found on the page, with the lines under the veil as they were found without it.
    pub(crate) fn parted(&self, found: Vec<Detected>, lifted: Vec<Detected>) -> Vec<Detected> {
        let mut all = found;
        for line in lifted.into_iter().filter(|line| self.touches(&line.quad)) {
            let pieces: Vec<usize> = (0..all.len())
                .filter(|&at| !all[at].veiled && is_piece(&all[at].quad, &line.quad))
                .collect();
            // Found already as it is.
            if let [at] = pieces[..]
                && all[at].quad.width() > ALREADY * line.quad.width()
            {
                continue;
            }
            for at in pieces.into_iter().rev() {
                all.swap_remove(at);
            }
            all.push(Detected {
                veiled: true,
                ..line
            });
        }
        all
    }
}

/// A line that is at least this long without the veil lifted was not hidden by it.
const ALREADY: f32 = 0.96;

/// Whether a box is a piece of a line, or the line itself.
fn is_piece(part: &Quad, line: &Quad) -> bool {
    let (thick, thin) = (
        part.height().max(line.height()),
        part.height().min(line.height()),
    );
    thin > 0.5 * thick && part.width() < 1.1 * line.width() + thick && line.contains(part.center())
}

/// BT.601.
fn grey(&[r, g, b]: &[u8; 3]) -> u8 {
    ((u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114) / 1000) as u8
}

fn brightest(&[r, g, b]: &[u8; 3]) -> u8 {
    r.max(g).max(b)
}

/// The tone that most samples have, of a range, and the share of all samples that are the same.
fn most_frequent(greys: &[u8], range: std::ops::Range<usize>) -> Option<(u8, f32)> {
    let mut counts = [0u32; 256];
    for &grey in greys {
        counts[usize::from(grey)] += 1;
    }
    let around = |tone: usize| {
        let (from, to) = (
            tone.saturating_sub(SAME as usize),
            (tone + SAME as usize).min(255),
        );
        counts[from..=to].iter().sum::<u32>()
    };
    let tone = range
        .clone()
        .max_by_key(|&tone| (counts[tone], around(tone)))?;
    Some((tone as u8, around(tone) as f32 / greys.len().max(1) as f32))
}

/// The samples of a mask that are large letters.
fn letters(mask: &[bool], is_text: &[bool], columns: usize, rows: usize) -> Vec<bool> {
    let mut covered = vec![false; mask.len()];
    let mut seen = vec![false; mask.len()];
    let least = (LEAST_LETTER * columns.max(rows) as f32).max(6.0) as usize;
    let (mut edges, mut hidden) = (0usize, 0usize);
    for start in 0..mask.len() {
        if !mask[start] || seen[start] {
            continue;
        }
        let mut members = vec![start];
        seen[start] = true;
        let mut next = 0;
        let (mut inner, mut own_edges, mut own_hidden) = (0usize, 0usize, 0usize);
        let [mut x0, mut y0, mut x1, mut y1] = [usize::MAX, usize::MAX, 0, 0];
        while let Some(&at) = members.get(next) {
            next += 1;
            let (x, y) = (at % columns, at / columns);
            (x0, y0, x1, y1) = (x0.min(x), y0.min(y), x1.max(x), y1.max(y));
            let mut surrounded = true;
            for ny in y.saturating_sub(1)..=(y + 1).min(rows - 1) {
                for nx in x.saturating_sub(1)..=(x + 1).min(columns - 1) {
                    let near = ny * columns + nx;
                    if !mask[near] {
                        surrounded = false;
                        own_edges += 1;
                        own_hidden += usize::from(is_text[near]);
                    } else if !seen[near] {
                        seen[near] = true;
                        members.push(near);
                    }
                }
            }
            inner += usize::from(surrounded);
        }
        let (width, height) = (x1 - x0 + 1, y1 - y0 + 1);
        let share = |part: usize, of: usize| part as f32 / of as f32;
        if width.min(height) >= least
            && share(members.len(), width * height) <= SOLID
            && share(inner, members.len()) >= THICK
        {
            members.iter().for_each(|&at| covered[at] = true);
            edges += own_edges;
            hidden += own_hidden;
        }
    }
    if (hidden as f32) < HIDES * edges as f32 {
        covered.fill(false);
    }
    covered
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = 600;

    /// A white page of lines of black bars, and what `tone` says of a place laid over it.
    fn page(over: impl Fn(u32, u32) -> Option<[u8; 3]>) -> Image {
        let mut rgb = Vec::new();
        for y in 0..SIZE {
            for x in 0..SIZE {
                let text = y % 40 < 8 && x % 10 < 5;
                let ground = over(x, y).unwrap_or([255; 3]);
                rgb.extend(if text { ground.map(|v| v / 5) } else { ground });
            }
        }
        Image {
            width: SIZE,
            height: SIZE,
            rgb,
        }
    }

    /// A broad slanted stroke.
    fn slanted(x: u32, y: u32) -> bool {
        (x + y).abs_diff(SIZE) < 25
    }

    #[test]
    fn a_slanted_veil_is_lifted_and_the_text_stays() {
        for tone in [[232, 172, 172], [200, 200, 200], [255, 160, 160]] {
            let covered = page(|x, y| slanted(x, y).then_some(tone));
            let veil = Veil::find(&covered).expect("a veil");
            let lifted = veil.lifted(&covered);
            for (at, pixel) in lifted.rgb.chunks_exact(3).enumerate() {
                let (x, y) = (at as u32 % SIZE, at as u32 / SIZE);
                if y % 40 < 8 && x % 10 < 5 {
                    assert!(pixel[0] < 80, "text at {x}, {y}: {pixel:?}");
                } else {
                    assert_eq!(pixel, [255; 3], "paper at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn bands_rules_and_plain_pages_are_no_veil() {
        assert!(Veil::find(&page(|_, _| None)).is_none());
        let band = |_: u32, y: u32| (200..320).contains(&y).then_some([210; 3]);
        assert!(Veil::find(&page(band)).is_none());
        let frame = |x: u32, y: u32| (x % 100 < 2 || y % 100 < 2).then_some([190; 3]);
        assert!(Veil::find(&page(frame)).is_none());
    }

    #[test]
    fn pieces_of_a_line_give_way_to_the_line() {
        let veil = Veil::find(&page(|x, y| slanted(x, y).then_some([210; 3]))).expect("a veil");
        let line = |x0, y0, x1, y1| Detected {
            quad: Quad::from_rect(x0, y0, x1, y1),
            score: 0.9,
            doubtful: false,
            veiled: false,
            column: None,
        };
        let found = vec![
            line(10.0, 200.0, 200.0, 220.0),
            line(450.0, 200.0, 590.0, 220.0),
            line(10.0, 300.0, 590.0, 320.0),
            line(10.0, 20.0, 300.0, 40.0),
        ];
        let lifted = vec![
            line(10.0, 200.0, 590.0, 220.0),
            line(10.0, 300.0, 592.0, 320.0),
            line(10.0, 20.0, 320.0, 40.0),
        ];
        let all = veil.parted(found.clone(), lifted);
        assert_eq!(all.len(), 3, "{all:?}");
        let veiled: Vec<_> = all.iter().filter(|d| d.veiled).collect();
        assert_eq!(veiled.len(), 1);
        assert_eq!(veiled[0].quad, Quad::from_rect(10.0, 200.0, 590.0, 220.0));
    }
}
