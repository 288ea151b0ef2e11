//! [`Strip`]s → characters: batches for the network, CTC decoding, words.

use std::ops::{ControlFlow, Range};

use fast_image_resize::FilterType;
use maoocr_models::manifest::Recognition;
use maoocr_runtime::{BestPath, RuntimeError, Session, Tensor};

use crate::crop::Strip;
use crate::input::Normalise;
use crate::scale::scale;

pub(crate) mod bidi;
mod spaces;

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

/// A word of a reading.
#[derive(Clone, Debug, PartialEq)]
pub struct WordRange {
    /// Its glyphs.
    pub glyphs: Range<usize>,
    /// Where it begins, as a share of the strip's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
}

/// A recogniser's classes: 0 is CTC's blank, then the dictionary's lines, then the space.
#[derive(Clone, Debug)]
pub struct Dictionary {
    characters: Vec<String>,
}

/// A dictionary that can't be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DictionaryError {
    /// There is nothing in it.
    #[error("it holds no characters")]
    Empty,
    /// A line is far too long to be a character.
    #[error("line {line} is no character: it has {bytes} bytes")]
    NotACharacter {
        /// Counted from 1.
        line: usize,
        /// Its length.
        bytes: usize,
    },
}

impl Dictionary {
    /// Reads one character a line.
    pub fn parse(text: &str) -> Result<Self, DictionaryError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let characters: Vec<String> = lines
            .map(|l| l.strip_suffix('\r').unwrap_or(l).to_string())
            .collect();
        if characters.len() < 2 {
            return Err(DictionaryError::Empty);
        }
        if let Some(line) = characters.iter().position(|c| c.len() > 64) {
            return Err(DictionaryError::NotACharacter {
                line: line + 1,
                bytes: characters[line].len(),
            });
        }
        Ok(Self { characters })
    }

    /// Classes of the network that fits: the characters, the blank and the space.
    pub fn classes(&self) -> usize {
        self.characters.len() + 2
    }

    /// What a class stands for; `None` for the blank.
    fn get(&self, class: u32) -> Option<&str> {
        match (class as usize).checked_sub(1)? {
            i if i < self.characters.len() => Some(&self.characters[i]),
            _ => Some(" "),
        }
    }
}

/// Pixels of input to a step of output.
const STEP: f32 = 8.0;
/// Strips longer than this at the network's height are read in parts, px. The networks were trained on up to 3200.
const MAX_WIDTH: u32 = 2560;
/// What neighbouring parts share, px: a few characters.
const OVERLAP: u32 = 192;
/// Widths of the strips of a batch together, px: the scores of a step are up to 75 kB.
const MAX_BATCH_WIDTH: u32 = 10_240;
/// Narrowest input, px: with less context short words read worse.
const MIN_WIDTH: u32 = 64;

/// Width of the input for a strip of `width` px: few widths, so that a GPU finds lines of the same one for a batch, and
/// padding near a tenth. What is padded is not all lost: with steps of 16 or 32 px single words read worse (crops right
/// at small 81.2 and 82.4 % instead of 83.5 %).
fn bucket(width: u32) -> u32 {
    let step = match width {
        0..=512 => 64,
        513..=1024 => 128,
        _ => 256,
    };
    width.max(MIN_WIDTH).div_ceil(step) * step
}

/// Reads strips and returns their readings in the same order. `on_line` hears of each as soon as it is read and can
/// end the work; strips not read by then have empty readings.
///
/// Strips are read by width, as many of one width at once as the session likes. On a CPU that is one: a batch of six
/// takes half as long again as six runs (tract: 204 ms against 6 × 20 ms for 48 × 320).
pub async fn recognise(
    strips: &[Strip],
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
            let strip = &strips[index];
            let pixels = scale(
                &strip.rgb,
                (strip.width, strip.height),
                None,
                (widths[index], constants.height),
                FilterType::Bilinear,
            )?;
            lines.push((pixels, widths[index]));
        }
        let read = read(&lines, session, dictionary, constants).await?;
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

/// Parts `order` into runs of at most `most` strips whose inputs are equally wide. A strip that is read in parts is a
/// run of its own.
fn batches<'a>(
    order: &'a [usize],
    widths: &'a [u32],
    most: usize,
) -> impl Iterator<Item = &'a [usize]> {
    let whole = |width: u32| (width <= MAX_WIDTH).then(|| bucket(width));
    order
        .chunk_by(move |&a, &b| whole(widths[a]).is_some() && whole(widths[a]) == whole(widths[b]))
        .flat_map(move |same| same.chunks(at_once(widths[same[0]], most)))
}

/// Strips of a width that fit a batch of at most `most`.
fn at_once(width: u32, most: usize) -> usize {
    most.min((MAX_BATCH_WIDTH / bucket(width)) as usize).max(1)
}

fn scaled_width(strip: &Strip, height: u32) -> u32 {
    let width = u64::from(strip.width) * u64::from(height) / u64::from(strip.height.max(1));
    width.clamp(4, 64 * u64::from(MAX_WIDTH)) as u32
}

/// Reads lines (pixels and width) that are already at the network's height: one of any length, or several whose inputs
/// are equally wide.
async fn read(
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
            let input = input(lines, batch, constants)?;
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
                let part = decode(&best, sequence, dictionary, from as f32, (to - from) as f32)?;
                if from == 0 {
                    read[line] = part;
                } else {
                    // It begins where the part before it still goes on.
                    join(
                        &mut read[line],
                        part,
                        (from as f32, (from + OVERLAP) as f32),
                    );
                }
            }
        }
    }
    Ok(read
        .iter()
        .zip(lines)
        .map(|(steps, (_, width))| {
            let mut reading = spaces::finish(steps, *width as f32);
            if constants.right_to_left {
                bidi::logical(&mut reading.glyphs);
            }
            reading
        })
        .collect())
}

/// Ranges of a long line that are read on their own.
fn parts(width: u32) -> Vec<(u32, u32)> {
    if width <= MAX_WIDTH {
        return vec![(0, width)];
    }
    let count = (width - OVERLAP).div_ceil(MAX_WIDTH - OVERLAP);
    // Parts begin on a whole step, so that what they share looks the same to the network.
    let length = (width + (count - 1) * OVERLAP)
        .div_ceil(count)
        .next_multiple_of(STEP as u32);
    (0..count)
        .map(|i| {
            let from = i * (length - OVERLAP);
            (from, (from + length).min(width))
        })
        .collect()
}

/// `[N, 3, height, bucket]`, channels last: parts of lines at the left, zeros to their right. All have the same bucket.
fn input(
    lines: &[(Vec<u8>, u32)],
    parts: &[(usize, (u32, u32))],
    constants: &Recognition,
) -> Result<Tensor, RuntimeError> {
    let widest = parts.iter().map(|(_, (from, to))| to - from).max();
    let (height, padded) = (
        constants.height as usize,
        bucket(widest.unwrap_or(0)) as usize,
    );
    let normalise = Normalise::new(constants.channels, [constants.mean; 3], [constants.std; 3]);
    let mut data = vec![0.0; parts.len() * 3 * height * padded];
    let pictures = data.chunks_exact_mut(3 * height * padded);
    for (picture, &(line, (from, to))) in pictures.zip(parts) {
        let (pixels, width) = &lines[line];
        for (y, row) in picture.chunks_exact_mut(3 * padded).enumerate() {
            let start = (y * *width as usize + from as usize) * 3;
            let end = (y * *width as usize + to as usize) * 3;
            normalise.write(&pixels[start..end], row);
        }
    }
    Tensor::channels_last([parts.len(), 3, height, padded], data)
}

/// A character that CTC found, before spaces are settled.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    text: String,
    /// Middle of the steps that agreed on it, px from the line's left end.
    center: f32,
    /// Length of those steps, px.
    length: f32,
    confidence: f32,
    /// Highest probability of a space between this character and the one before.
    space_before: f32,
}

/// Greedy CTC decoding of one sequence of a batch: equal neighbours are one character, blanks separate. Steps beyond
/// the picture are padding.
fn decode(
    best: &BestPath,
    sequence: usize,
    dictionary: &Dictionary,
    offset: f32,
    width: f32,
) -> Result<Vec<Step>, RuntimeError> {
    let all = sequence * best.steps..(sequence + 1) * best.steps;
    let (classes, probabilities, last_class) = (
        &best.classes[all.clone()],
        &best.probabilities[all.clone()],
        &best.last_class[all],
    );
    if let Some(&class) = classes
        .iter()
        .find(|&&c| c as usize >= dictionary.classes())
    {
        return Err(RuntimeError::Run {
            reason: format!(
                "class {class} is not in the dictionary, which has {}",
                dictionary.classes()
            ),
        });
    }
    let mut steps: Vec<Step> = Vec::new();
    let mut space = 0.0f32;
    let mut at = 0;
    while at < best.steps {
        let class = classes[at];
        let mut end = at + 1;
        while end < best.steps && classes[end] == class {
            end += 1;
        }
        match dictionary.get(class) {
            None => space = last_class[at..end].iter().copied().fold(space, f32::max),
            Some(text) => {
                let confidence = probabilities[at..end].iter().copied().fold(0.0, f32::max);
                let center = (at + end) as f32 / 2.0 * STEP;
                if center < width + STEP {
                    steps.push(Step {
                        text: text.to_string(),
                        center: offset + center.min(width),
                        length: (end - at) as f32 * STEP,
                        confidence,
                        space_before: space,
                    });
                }
                space = 0.0;
            }
        }
        at = end;
    }
    Ok(steps)
}

/// Appends the reading of the next part. In what both parts show, the seam is laid in the middle of the widest gap
/// between characters, so that a difference of a few pixels in where they stand neither loses nor doubles one.
fn join(left: &mut Vec<Step>, right: Vec<Step>, (from, to): (f32, f32)) {
    // Characters near a part's end may be cut: the seam keeps a quarter of the overlap away from both ends.
    let margin = (to - from) / 4.0;
    let mut centers: Vec<f32> = left
        .iter()
        .map(|s| s.center)
        .filter(|c| (from..=to).contains(c))
        .collect();
    centers.insert(0, from);
    centers.push(to);
    let seam = centers
        .windows(2)
        .map(|pair| (pair[1] - pair[0], (pair[0] + pair[1]) / 2.0))
        .filter(|(_, middle)| (from + margin..=to - margin).contains(middle))
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or((from + to) / 2.0, |(_, middle)| middle);
    left.retain(|s| s.center < seam);
    left.extend(right.into_iter().filter(|s| s.center >= seam));
}

/// Words of a reading: split at spaces, and between scripts where no spaces are written.
pub fn words(reading: &Reading) -> Vec<WordRange> {
    let mut words: Vec<WordRange> = Vec::new();
    let mut open = false;
    let mut before = false;
    for (index, glyph) in reading.glyphs.iter().enumerate() {
        if glyph.text.trim().is_empty() {
            open = false;
            continue;
        }
        let wide = is_unspaced(&glyph.text);
        match words.last_mut() {
            Some(word) if open && wide == before => {
                word.glyphs.end = index + 1;
                // Of writing from right to left the later glyph is further left.
                word.start = word.start.min(glyph.start);
                word.end = word.end.max(glyph.end);
            }
            _ => words.push(WordRange {
                glyphs: index..index + 1,
                start: glyph.start,
                end: glyph.end,
            }),
        }
        open = true;
        before = wide;
    }
    words
}

/// Whether a character belongs to writing without spaces between words: Han, kana, full-width forms.
pub fn is_unspaced(text: &str) -> bool {
    text.chars().next().is_some_and(|c| {
        matches!(u32::from(c),
            0x2E80..=0x2FDF | 0x3000..=0x30FF | 0x3105..=0x312F | 0x31A0..=0x31FF | 0x3220..=0x4DBF
            | 0x4E00..=0x9FFF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFFEF | 0x20000..=0x323AF)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use maoocr_models::manifest::Channels;
    use maoocr_runtime::RunFuture;

    const DICTIONARY: &str = "a\nb\nc\nd\n";

    fn path(classes: &[u32]) -> BestPath {
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
        }
    }

    #[test]
    fn dictionaries_are_checked() {
        let dictionary = Dictionary::parse("a\r\nb\r\n").unwrap();
        assert_eq!(dictionary.classes(), 4);
        assert_eq!(
            (dictionary.get(0), dictionary.get(2), dictionary.get(3)),
            (None, Some("b"), Some(" "))
        );
        assert_eq!(Dictionary::parse("").unwrap_err(), DictionaryError::Empty);
        assert!(Dictionary::parse(&format!("a\n{}", "x".repeat(100))).is_err());
    }

    #[test]
    fn equal_neighbours_are_one_character_and_blanks_part_them() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        let path = path(&[0, 1, 1, 0, 1, 2, 0, 0]);
        let steps = decode(&path, 0, &dictionary, 100.0, 64.0).unwrap();
        let text: String = steps.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(text, "aab");
        assert_eq!(steps[0].center, 100.0 + 16.0);
        assert_eq!(steps[0].length, 16.0);
    }

    #[test]
    fn what_stands_in_the_padding_is_dropped() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        let steps = decode(&path(&[1, 0, 0, 0, 0, 0, 2, 0]), 0, &dictionary, 0.0, 24.0).unwrap();
        assert_eq!(steps.len(), 1);
    }

    #[test]
    fn a_dictionary_of_another_model_is_an_error() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        assert!(decode(&path(&[6]), 0, &dictionary, 0.0, 8.0).is_err());
    }

    /// Reads strips by their colours: the mean of 8 columns names the class. Shades are 40 apart. Notes how many it is
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
            flipped: false,
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
            let readings = pollster::block_on(recognise(
                strips,
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
    fn the_widest_lines_make_small_batches() {
        assert_eq!(at_once(320, 16), 16);
        assert_eq!(at_once(MAX_WIDTH, 16), 4);
        assert_eq!(at_once(MAX_WIDTH, 1), 1);
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

    #[test]
    fn parts_cover_the_line_and_overlap() {
        for width in [1, 2560, 2561, 5000, 19_200] {
            let parts = parts(width);
            assert_eq!((parts[0].0, parts[parts.len() - 1].1), (0, width));
            for pair in parts.windows(2) {
                assert!(pair[1].0 < pair[0].1);
            }
            assert!(parts.iter().all(|p| p.1 - p.0 <= MAX_WIDTH));
        }
    }

    #[test]
    fn words_end_at_spaces_and_between_scripts() {
        let glyphs = "ab c中文d".chars().enumerate().map(|(i, c)| Glyph {
            text: c.to_string(),
            start: i as f32 / 10.0,
            end: (i + 1) as f32 / 10.0,
            confidence: 1.0,
        });
        let reading = Reading {
            glyphs: glyphs.collect(),
        };
        let ranges: Vec<_> = words(&reading).into_iter().map(|w| w.glyphs).collect();
        assert_eq!(ranges, [0..2, 3..4, 4..6, 6..7]);
    }
}
