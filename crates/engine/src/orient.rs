//! Which way up: lines (0/180°) and pages (0/90/180/270°).

use fast_image_resize::FilterType;
use maoocr_models::manifest::Classification;
use maoocr_runtime::{RuntimeError, Session, Tensor};

use crate::crop::Strip;
use crate::geometry::{Point, Quad};
use crate::imaging::Image;
use crate::normalise::Normalise;
use crate::scale::scale;

/// The clockwise turn that makes a page upright.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Turn {
    /// It is upright.
    #[default]
    None,
    /// A quarter to the right.
    Right,
    /// Upside down.
    Half,
    /// A quarter to the left.
    Left,
}

impl Turn {
    /// The turn by 90, 180 or 270 degrees; none by any other.
    pub fn by(degrees: u16) -> Self {
        match degrees {
            90 => Self::Right,
            180 => Self::Half,
            270 => Self::Left,
            _ => Self::None,
        }
    }

    /// 0, 90, 180 or 270.
    pub fn degrees(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Right => 90,
            Self::Half => 180,
            Self::Left => 270,
        }
    }

    /// Where a quad of the turned page stands in the page before the turn, which was `width × height` px.
    pub fn undo(self, quad: &Quad, width: u32, height: u32) -> Quad {
        let (w, h) = (width as f32, height as f32);
        Quad(quad.0.map(|p| match self {
            Self::None => p,
            Self::Right => Point::new(p.y, h - p.x),
            Self::Half => Point::new(w - p.x, h - p.y),
            Self::Left => Point::new(w - p.y, p.x),
        }))
    }
}

/// Turns a page.
pub fn rotate(page: Image, turn: Turn) -> Image {
    let (w, h) = (page.width as usize, page.height as usize);
    if turn == Turn::None {
        return page;
    }
    let (width, height) = if turn == Turn::Half { (w, h) } else { (h, w) };
    let mut rgb = Vec::with_capacity(page.rgb.len());
    for y in 0..height {
        for x in 0..width {
            let (sx, sy) = match turn {
                Turn::None => (x, y),
                Turn::Right => (y, h - 1 - x),
                Turn::Half => (w - 1 - x, h - 1 - y),
                Turn::Left => (w - 1 - y, x),
            };
            let at = (sy * w + sx) * 3;
            rgb.extend_from_slice(&page.rgb[at..at + 3]);
        }
    }
    Image {
        width: width as u32,
        height: height as u32,
        rgb,
    }
}

/// A page is turned only when the classifier is this sure: a wrong turn costs the whole page.
const SURE: f32 = 0.9;
/// Pages with a shorter side are words and buttons, which the classifier was not trained on, px.
const MIN_PAGE_SIDE: u32 = 200;

/// Tells how a page has to be turned.
pub async fn page_turn(
    page: &Image,
    session: &dyn Session,
    constants: &Classification,
) -> Result<Turn, RuntimeError> {
    if page.width.min(page.height) < MIN_PAGE_SIDE {
        return Ok(Turn::None);
    }
    // The share of the shorter side that it saw in its training.
    let centre = constants
        .resize_short
        .map_or(1.0, |short| constants.width as f32 / short as f32);
    let side = page.width.min(page.height) as f32 * centre;
    let (left, top) = (
        (page.width as f32 - side) / 2.0,
        (page.height as f32 - side) / 2.0,
    );
    let mut input = Input::new(1, constants);
    input.push(&page.rgb, page.width, page.height, (left, top, side, side))?;
    let (label, probability) = input.classify(session).await?.remove(0);
    if probability < SURE {
        return Ok(Turn::None);
    }
    // The label is how far the page is turned clockwise.
    Ok(match constants.labels.get(label).map(String::as_str) {
        Some("90") => Turn::Left,
        Some("180") => Turn::Half,
        Some("270") => Turn::Right,
        _ => Turn::None,
    })
}

/// Lines looked at; the others follow them. A page has one direction, and each look costs as much as reading a
/// short line.
const LOOKED_AT: usize = 6;

/// With fewer votes than this a flip needs a sure one: single words and labels fool the classifier.
const FEW: usize = 4;

/// Flips strips that are upside down. Lying and turned lines are judged apart, each group by its longest lines: a
/// group is flipped as a whole when the classifier on average says so, so a doubtful line can't be turned over on
/// an upright page. Only turned lines that the classifier is sure of can differ from the others of their group.
pub async fn flip_upside_down(
    strips: &mut [&mut Strip],
    session: &dyn Session,
    constants: &Classification,
) -> Result<(), RuntimeError> {
    for turned in [false, true] {
        let mut group: Vec<usize> = (0..strips.len())
            .filter(|&i| strips[i].turned == turned)
            .collect();
        // Short strips don't vote: 692 is a word either way up.
        let votes = |i: usize| strips[i].width * 2 >= strips[i].height * 5;
        if !group.iter().any(|&i| votes(i)) {
            continue;
        }
        // Long lines say more, but the classifier sees 2:1: very long ones are squeezed to noise.
        let fitness = |s: &Strip| {
            let aspect = s.width as f32 / s.height.max(1) as f32;
            -(aspect.min(8.0) - 0.3 * (aspect - 8.0).max(0.0)) * (s.height as f32).min(48.0)
        };
        group.sort_by(|&a, &b| {
            fitness(strips[a])
                .total_cmp(&fitness(strips[b]))
                .then(a.cmp(&b))
        });
        let looked_at: Vec<usize> = group
            .iter()
            .copied()
            .filter(|&i| votes(i))
            .take(LOOKED_AT)
            .collect();
        let mut input = Input::new(looked_at.len(), constants);
        for &i in &looked_at {
            let s = &strips[i];
            input.push(
                &s.rgb,
                s.width,
                s.height,
                (0.0, 0.0, s.width as f32, s.height as f32),
            )?;
        }
        let answers = input.classify(session).await?;
        let upside_down: Vec<f32> = answers
            .iter()
            .map(
                |&(label, probability)| match constants.labels.get(label).map(String::as_str) {
                    Some("180") => probability,
                    _ => 1.0 - probability,
                },
            )
            .collect();
        let mean = upside_down.iter().sum::<f32>() / upside_down.len() as f32;
        let least = if upside_down.len() < FEW { SURE } else { 0.6 };
        let both_ways = turned
            && upside_down.iter().any(|&p| p > SURE)
            && upside_down.iter().any(|&p| p < 1.0 - SURE);
        for &i in &group {
            let seen = looked_at.iter().position(|&other| other == i);
            let flip = match seen.map(|seen| upside_down[seen]) {
                // Labels at both sides of a chart: each is believed for itself, where it is sure.
                Some(p) if both_ways && !(1.0 - SURE..=SURE).contains(&p) => p > SURE,
                _ => mean > least,
            };
            if flip {
                strips[i].flip();
            }
        }
    }
    Ok(())
}

/// A batch for a classifier.
struct Input<'a> {
    constants: &'a Classification,
    normalise: Normalise,
    data: Vec<f32>,
    count: usize,
}

impl<'a> Input<'a> {
    fn new(count: usize, constants: &'a Classification) -> Self {
        let size = (constants.width * constants.height * 3) as usize;
        Self {
            constants,
            normalise: Normalise::new(constants.channels, constants.mean, constants.std),
            data: Vec::with_capacity(count * size),
            count: 0,
        }
    }

    /// Adds a part (left, top, width, height) of an RGB picture.
    fn push(
        &mut self,
        rgb: &[u8],
        width: u32,
        height: u32,
        part: (f32, f32, f32, f32),
    ) -> Result<(), RuntimeError> {
        let (left, top, w, h) = part;
        let pixels = scale(
            rgb,
            (width, height),
            Some([left, top, w, h].map(f64::from)),
            (self.constants.width, self.constants.height),
            FilterType::Bilinear,
        )?;
        let start = self.data.len();
        self.data.resize(start + pixels.len(), 0.0);
        self.normalise.write(&pixels, &mut self.data[start..]);
        self.count += 1;
        Ok(())
    }

    /// The best label of each picture and its probability. A CPU runs pictures one by one: their number varies, and
    /// executors keep a plan for each shape.
    async fn classify(self, session: &dyn Session) -> Result<Vec<(usize, f32)>, RuntimeError> {
        let (w, h) = (
            self.constants.width as usize,
            self.constants.height as usize,
        );
        let mut answers = Vec::with_capacity(self.count);
        for pictures in self.data.chunks(3 * w * h * session.batch().max(1)) {
            let count = pictures.len() / (3 * w * h);
            let input = Tensor::channels_last([count, 3, h, w], pictures.to_vec())?;
            let output = session.run(input).await?;
            let nothing = || RuntimeError::Run {
                reason: "the classifier answered nothing".into(),
            };
            let labels = output.data().len() / count;
            if labels == 0 {
                return Err(nothing());
            }
            for scores in output.data().chunks_exact(labels) {
                let scores = scores.iter().copied().enumerate();
                let best = scores.max_by(|a, b| a.1.total_cmp(&b.1));
                answers.push(best.ok_or_else(nothing)?);
            }
        }
        Ok(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_undone() {
        let page = Image {
            width: 3,
            height: 2,
            rgb: (0..18).collect(),
        };
        for turn in [Turn::None, Turn::Right, Turn::Half, Turn::Left] {
            let turned = rotate(page.clone(), turn);
            for y in 0..turned.height {
                for x in 0..turned.width {
                    let (x, y) = (x as f32, y as f32);
                    let back = turn
                        .undo(&Quad::from_rect(x, y, x + 1.0, y + 1.0), 3, 2)
                        .bounds();
                    let from = ((back[1] as u32 * 3 + back[0] as u32) * 3) as usize;
                    let at = ((y as u32 * turned.width + x as u32) * 3) as usize;
                    assert_eq!(turned.rgb[at], page.rgb[from], "{turn:?} {x} {y}");
                }
            }
        }
    }
}
