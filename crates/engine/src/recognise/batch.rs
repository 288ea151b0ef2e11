//! Strips → a recogniser's inputs: widths, batches, the parts of long lines.

use maoocr_models::manifest::Recognition;
use maoocr_runtime::{RuntimeError, Tensor};

use crate::crop::Strip;
use crate::normalise::Normalise;

/// Parts of a long line begin at multiples of this, px: a network takes so many columns, or a whole share of them, to a
/// step, so what two parts share looks the same in both.
const ALIGNMENT: u32 = 32;
/// Strips longer than this at the network's height are read in parts, px. The networks were trained on up to 3200.
const MAX_WIDTH: u32 = 2560;
/// What neighbouring parts share, px: a few characters.
pub(super) const OVERLAP: u32 = 192;
/// Widths of the strips of a batch together, px: the scores of a step are up to 75 kB.
const MAX_BATCH_WIDTH: u32 = 10_240;
/// Narrowest input, px: with less context short words read worse.
const MIN_WIDTH: u32 = 64;

/// Width of the input for a strip of `width` px: few widths, so that a GPU finds lines of the same one for a batch, and
/// padding near a tenth. What is padded is not all lost: with steps of 16 or 32 px single words read worse (crops right
/// at small 81.2 and 82.4 % instead of 83.5 %).
pub(super) fn bucket(width: u32) -> u32 {
    let step = match width {
        0..=512 => 64,
        513..=1024 => 128,
        _ => 256,
    };
    width.max(MIN_WIDTH).div_ceil(step) * step
}

/// Parts `order` into runs of at most `most` strips whose inputs are equally wide. A strip that is read in parts is a
/// run of its own.
pub(super) fn batches<'a>(
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
pub(super) fn at_once(width: u32, most: usize) -> usize {
    most.min((MAX_BATCH_WIDTH / bucket(width)) as usize).max(1)
}

pub(super) fn scaled_width(strip: &Strip, height: u32) -> u32 {
    let width = u64::from(strip.width) * u64::from(height) / u64::from(strip.height.max(1));
    width.clamp(4, 64 * u64::from(MAX_WIDTH)) as u32
}

/// Ranges of a long line that are read on their own.
pub(super) fn parts(width: u32) -> Vec<(u32, u32)> {
    if width <= MAX_WIDTH {
        return vec![(0, width)];
    }
    let count = (width - OVERLAP).div_ceil(MAX_WIDTH - OVERLAP);
    let length = (width + (count - 1) * OVERLAP)
        .div_ceil(count)
        .next_multiple_of(ALIGNMENT);
    (0..count)
        .map(|i| {
            let from = i * (length - OVERLAP);
            (from, (from + length).min(width))
        })
        .collect()
}

/// `[N, 3, height, bucket]`, channels last: parts of lines at the left, zeros to their right. All have the same bucket.
pub(super) fn tensor(
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_lines_make_small_batches() {
        assert_eq!(at_once(320, 16), 16);
        assert_eq!(at_once(MAX_WIDTH, 16), 4);
        assert_eq!(at_once(MAX_WIDTH, 1), 1);
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
}
