//! [`Strip`]s → characters: batches for the network, CTC decoding, words.

use std::ops::ControlFlow;

use fast_image_resize::FilterType;
use maoocr_models::manifest::Recognition;
use maoocr_runtime::{RuntimeError, Session};

use crate::crop::Strip;
use crate::scale::scale;

mod batch;
pub(crate) mod bidi;
mod ctc;
mod dictionary;
mod joined;
mod minus;
mod spaces;
mod words;

use batch::{OVERLAP, at_once, batches, bucket, parts, scaled_width, tensor};
use ctc::{Part, Step};
pub use dictionary::{Dictionary, DictionaryError};
pub use words::{WordRange, is_unspaced, words};

/// One character of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    /// The character (or the several that one class of the dictionary stands for).
    pub text: String,
    /// Where it begins, as a share of the strip's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
    /// The recogniser's probability, 0 to 1.
    pub confidence: f32,
}

/// What a strip says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In reading order, which for Arabic is from right to left; spaces are glyphs too.
    pub glyphs: Vec<Glyph>,
}

impl Reading {
    /// The line's text.
    pub fn text(&self) -> String {
        self.glyphs.iter().map(|g| g.text.as_str()).collect()
    }

    /// Mean of the characters' confidences; 0 for an empty line.
    pub fn confidence(&self) -> f32 {
        if self.glyphs.is_empty() {
            return 0.0;
        }
        self.glyphs.iter().map(|g| g.confidence).sum::<f32>() / self.glyphs.len() as f32
    }

    /// Characters that are not spaces.
    pub fn len(&self) -> usize {
        self.glyphs
            .iter()
            .filter(|g| !g.text.trim().is_empty())
            .count()
    }

    /// Whether there is nothing but spaces.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Reads strips and returns their readings in the same order. `on_line` hears of each as soon as it is read and can
/// end the work; strips not read by then have empty readings.
///
/// Strips are read by width, as many of one width at once as the session likes. On a CPU that is one: a batch of six
/// takes half as long again as six runs (tract: 204 ms against 6 × 20 ms for 48 × 320).
pub async fn read_strips(
    strips: &[&Strip],
    session: &dyn Session,
    dictionary: &Dictionary,
    constants: &Recognition,
    on_line: &mut dyn FnMut(usize, &Reading) -> ControlFlow<()>,
) -> Result<Vec<Reading>, RuntimeError> {
    let mut readings = vec![Reading::default(); strips.len()];
    let widths: Vec<u32> = strips
        .iter()
        .map(|s| scaled_width(s, constants.height))
        .collect();
    let mut order: Vec<usize> = (0..strips.len())
        .filter(|&i| strips[i].width > 0 && strips[i].height > 0)
        .collect();
    order.sort_by_key(|&i| widths[i]);
    for batch in batches(&order, &widths, session.batch()) {
        let mut lines = Vec::with_capacity(batch.len());
        for &index in batch {
            let strip = strips[index];
            let pixels = scale(
                &strip.rgb,
                (strip.width, strip.height),
                None,
                (widths[index], constants.height),
                FilterType::Bilinear,
            )?;
            lines.push((pixels, widths[index]));
        }
        let read = read_scaled(&lines, session, dictionary, constants).await?;
        let mut ended = false;
        for (&index, reading) in batch.iter().zip(read) {
            readings[index] = reading;
            ended |= !ended && on_line(index, &readings[index]).is_break();
        }
        if ended {
            break;
        }
    }
    Ok(readings)
}

/// Reads lines (pixels and width) that are already at the network's height: one of any length, or several whose inputs
/// are equally wide.
async fn read_scaled(
    lines: &[(Vec<u8>, u32)],
    session: &dyn Session,
    dictionary: &Dictionary,
    constants: &Recognition,
) -> Result<Vec<Reading>, RuntimeError> {
    let mut read: Vec<Vec<Step>> = vec![Vec::new(); lines.len()];
    let pieces: Vec<(usize, (u32, u32))> = (0..lines.len())
        .flat_map(|line| parts(lines[line].1).into_iter().map(move |p| (line, p)))
        .collect();
    let length = |&(_, (from, to)): &(usize, (u32, u32))| bucket(to - from);
    for same in pieces.chunk_by(|a, b| length(a) == length(b)) {
        for batch in same.chunks(at_once(length(&same[0]), session.batch())) {
            let input = tensor(lines, batch, constants)?;
            let best = session.run_best(input).await?;
            if best.batch != batch.len() || best.classes.len() != best.batch * best.steps {
                return Err(RuntimeError::Run {
                    reason: format!(
                        "the recogniser answered {} sequences for {} lines",
                        best.batch,
                        batch.len()
                    ),
                });
            }
            for (sequence, &(line, (from, to))) in batch.iter().enumerate() {
                let place = Part {
                    offset: from as f32,
                    width: (to - from) as f32,
                    padded: length(&same[0]) as f32,
                };
                let part = ctc::decode(&best, sequence, dictionary, place)?;
                if from == 0 {
                    read[line] = part;
                } else {
                    // It begins where the part before it still goes on.
                    ctc::join(
                        &mut read[line],
                        part,
                        (from as f32, (from + OVERLAP) as f32),
                    );
                }
            }
        }
    }
    Ok(read
        .into_iter()
        .zip(lines)
        .map(|(steps, (_, width))| {
            let steps = joined::part_joined(steps);
            let mut reading = spaces::finish(&steps, *width as f32, &constants.spaces);
            minus::restore(&mut reading.glyphs);
            if constants.right_to_left {
                bidi::logical(&mut reading.glyphs);
            }
            reading
        })
        .collect())
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::crop::Placement;
    use maoocr_models::manifest::Channels;
    use maoocr_runtime::{BestPath, RunFuture, Tensor};

    pub(super) const DICTIONARY: &str = "a\nb\nc\nd\n";

    pub(super) fn path(classes: &[u32]) -> BestPath {
        BestPath {
            batch: 1,
            steps: classes.len(),
            classes: classes.to_vec(),
            probabilities: vec![0.9; classes.len()],
            last_class: vec![0.0; classes.len()],
        }
    }

    fn constants() -> Recognition {
        Recognition {
            channels: Channels::Bgr,
            height: 48,
            mean: 0.5,
            std: 0.5,
            margin: [0.0; 2],
            right_to_left: false,
            sureness: Default::default(),
            spaces: Default::default(),
        }
    }
    /// given at once.
    struct Shades {
        batch: usize,
        runs: std::sync::Mutex<Vec<usize>>,
    }

    impl Session for Shades {
        fn run(&self, _: Tensor) -> RunFuture<'_, Tensor> {
            unreachable!("the recogniser asks for the best path")
        }

        fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
            let &[batch, channels, height, width] = input.shape() else {
                unreachable!("a batch of pictures")
            };
            self.runs.lock().unwrap().push(batch);
            let mut classes = Vec::new();
            let input = input.into_row_major();
            for picture in input.data().chunks_exact(channels * height * width) {
                let row = &picture[24 * width..25 * width];
                let shades = row.chunks_exact(8).map(|c| {
                    ((c.iter().sum::<f32>() / 8.0 + 1.0) * 127.5 / 40.0).round() as u32 % 5
                });
                // The padding is grey, which is no class.
                classes.extend(shades.map(|c| if c == 3 { 0 } else { c }));
            }
            let mut path = path(&classes);
            (path.batch, path.steps) = (batch, classes.len() / batch);
            Box::pin(async move { Ok(path) })
        }

        fn batch(&self) -> usize {
            self.batch
        }

        fn executor(&self) -> String {
            "shades".into()
        }
    }

    fn strip(classes: &[u8]) -> Strip {
        let width = classes.len() * 16;
        let row: Vec<u8> = classes.iter().flat_map(|c| [c * 40; 48]).collect();
        Strip {
            width: width as u32,
            height: 48,
            rgb: row.repeat(48),
            turned: false,
            placement: Placement::default(),
        }
    }

    /// The texts, the same however many lines are read at once, and the batches of the session that takes four.
    fn read_in_batches(strips: &[Strip]) -> (Vec<String>, Vec<usize>) {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        let read = |batch: usize| {
            let session = Shades {
                batch,
                runs: Default::default(),
            };
            let mut heard = Vec::new();
            let readings = pollster::block_on(read_strips(
                &strips.iter().collect::<Vec<_>>(),
                &session,
                &dictionary,
                &constants(),
                &mut |index, _| {
                    heard.push(index);
                    ControlFlow::Continue(())
                },
            ))
            .unwrap();
            heard.sort_unstable();
            assert_eq!(heard, (0..strips.len()).collect::<Vec<_>>());
            let texts: Vec<String> = readings.iter().map(Reading::text).collect();
            (texts, session.runs.into_inner().unwrap())
        };
        let (alone, runs) = read(1);
        assert!(runs.iter().all(|&n| n == 1));
        let (together, runs) = read(4);
        assert_eq!(alone, together);
        (together, runs)
    }

    fn read_all(strips: &[Strip]) -> Vec<String> {
        read_in_batches(strips).0
    }

    #[test]
    fn lines_of_one_width_are_read_together() {
        // Five of 64 px, two of 192 px, in no order; the longer ones fill a batch of their own.
        let strips: Vec<Strip> = [1u8, 2, 4, 1, 2]
            .map(|c| strip(&[c, 0, c]))
            .into_iter()
            .chain([2u8, 4].map(|c| strip(&[c, 0, 1, 0, c, 0, 2, 0, c, 0])))
            .collect();
        let mixed: Vec<Strip> = [5, 0, 6, 1, 2, 3, 4].map(|i| strips[i].clone()).into();
        let (texts, runs) = read_in_batches(&mixed);
        assert_eq!(texts, ["babbb", "aa", "dadbd", "bb", "dd", "aa", "bb"]);
        assert_eq!(runs, [4, 1, 2]);
    }

    #[test]
    fn every_strip_gets_its_own_reading() {
        let strips = [
            strip(&[1, 0, 2, 0, 4]),
            strip(&[2]),
            strip(&[0, 4, 0, 1, 0, 1, 0, 2, 0]),
        ];
        assert_eq!(read_all(&strips), ["abd", "b", "daab"]);
    }

    #[test]
    fn long_lines_lose_and_double_nothing() {
        let pattern = [1u8, 0, 2, 0, 4, 0, 2, 0];
        for repeats in [30, 41, 60, 100] {
            let wanted = "abdb".repeat(repeats);
            assert_eq!(
                read_all(&[strip(&pattern.repeat(repeats))]),
                [wanted],
                "{repeats}"
            );
        }
    }
}
