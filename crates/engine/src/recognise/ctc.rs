//! A recogniser's answer → characters: greedy CTC decoding (Graves et al., "Connectionist Temporal Classification",
//! 2006), and the seam between the parts of a long line.

use maoocr_runtime::{BestPath, RuntimeError};

use super::Dictionary;

/// A character that CTC found, before spaces are settled.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) text: String,
    /// Middle of the steps that agreed on it, px from the line's left end.
    pub(super) center: f32,
    pub(super) confidence: f32,
    /// Highest probability of a space between this character and the one before.
    pub(super) space_before: f32,
}

/// The part of a line that a sequence shows, px at the network's height.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Where it begins on the line.
    pub(super) offset: f32,
    /// Its width …
    pub(super) width: f32,
    /// … and that of the input, padding included: so many pixels are one step, divided by their number.
    pub(super) padded: f32,
}

/// Greedy CTC decoding of one sequence of a batch: equal neighbours are one character, blanks separate. Steps beyond
/// the picture are padding.
pub(super) fn decode(
    best: &BestPath,
    sequence: usize,
    dictionary: &Dictionary,
    part: Part,
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
    let Part {
        offset,
        width,
        padded,
    } = part;
    let step = padded / best.steps.max(1) as f32;
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
                let center = (at + end) as f32 / 2.0 * step;
                if center < width + step {
                    steps.push(Step {
                        text: text.to_string(),
                        center: offset + center.min(width),
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
pub(super) fn join(left: &mut Vec<Step>, right: Vec<Step>, (from, to): (f32, f32)) {
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

#[cfg(test)]
mod tests {
    use super::super::tests::{DICTIONARY, path};
    use super::*;

    fn part(offset: f32, width: f32, padded: f32) -> Part {
        Part {
            offset,
            width,
            padded,
        }
    }

    #[test]
    fn a_step_is_as_long_as_the_network_makes_it() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        // 64 px in 16 steps: 4 px each, where others take 8.
        let path = path(&[0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 2, 2]);
        let steps = decode(&path, 0, &dictionary, part(0.0, 64.0, 64.0)).unwrap();
        let places: Vec<_> = steps.iter().map(|s| s.center).collect();
        assert_eq!(places, [36.0, 60.0]);
    }

    #[test]
    fn equal_neighbours_are_one_character_and_blanks_part_them() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        let path = path(&[0, 1, 1, 0, 1, 2, 0, 0]);
        let steps = decode(&path, 0, &dictionary, part(100.0, 64.0, 64.0)).unwrap();
        let text: String = steps.iter().map(|s| s.text.as_str()).collect();
        assert_eq!(text, "aab");
        assert_eq!(steps[0].center, 100.0 + 16.0);
    }

    #[test]
    fn what_stands_in_the_padding_is_dropped() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        let steps = decode(
            &path(&[1, 0, 0, 0, 0, 0, 2, 0]),
            0,
            &dictionary,
            part(0.0, 24.0, 64.0),
        )
        .unwrap();
        assert_eq!(steps.len(), 1);
    }

    #[test]
    fn a_dictionary_of_another_model_is_an_error() {
        let dictionary = Dictionary::parse(DICTIONARY).unwrap();
        assert!(decode(&path(&[6]), 0, &dictionary, part(0.0, 8.0, 8.0)).is_err());
    }
}
