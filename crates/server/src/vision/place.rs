//! Where the regions of a vision model stand: the lines that the engine has read on the same page say it.

use std::collections::HashMap;

use maoocr_engine::document::{Line, Region};
use maoocr_engine::geometry::Quad;

/// Share of a line's pairs of characters that a region must have to hold it.
const ALIKE: f32 = 0.6;
/// Share of the triples that the engine has read surely which the model's answer must have. Of pairs, other texts of the
/// same language have many.
const SHARED: f32 = 0.25;
/// Triples that say enough about an answer.
const ENOUGH: usize = 40;
/// The same line so often in a row is a model that repeats itself.
const REPEATS: usize = 30;
/// Most comparisons of a line with a region; a page has some thousands.
const COMPARISONS: usize = 500_000;

/// Runs of two or three letters and digits, counted.
struct Runs(HashMap<[char; 3], u32>);

impl Runs {
    fn pairs(text: &str) -> Self {
        Self::of(text, 2)
    }

    fn triples(text: &str) -> Self {
        Self::of(text, 3)
    }

    fn of(text: &str, length: usize) -> Self {
        let letters = text.chars().filter(|c| c.is_alphanumeric());
        let letters: Vec<char> = letters.flat_map(char::to_lowercase).collect();
        let mut runs = HashMap::new();
        let run = |at: &[char]| [0, 1, 2].map(|i| at.get(i).copied().unwrap_or('\0'));
        for window in letters.windows(length) {
            *runs.entry(run(window)).or_default() += 1;
        }
        // A single letter has no pair.
        if !letters.is_empty() && letters.len() < length {
            runs.insert(run(&letters), 1);
        }
        Self(runs)
    }

    fn count(&self) -> usize {
        self.0.values().map(|&n| n as usize).sum()
    }

    /// Share of these that others have, too.
    fn shared(&self, with: &Self) -> f32 {
        let both = self
            .0
            .iter()
            .map(|(pair, &n)| n.min(with.0.get(pair).copied().unwrap_or(0)));
        let both: u32 = both.sum();
        both as f32 / (self.count() as f32).max(1.0)
    }
}

/// Whether an answer can't be what the page says: it repeats itself, or has little of what was surely read there.
pub fn is_unlike(answer: &str, lines: &[Line]) -> bool {
    let mut last = "";
    let mut run = 0;
    for line in answer.lines().map(str::trim) {
        if !line.chars().any(char::is_alphanumeric) {
            continue;
        }
        run = if line == last { run + 1 } else { 1 };
        if run >= REPEATS {
            return true;
        }
        last = line;
    }
    let sure = lines.iter().filter(|line| line.confidence >= 0.9);
    let sure = Runs::triples(
        &sure
            .map(|line| line.text.as_str())
            .collect::<Vec<_>>()
            .join(" "),
    );
    sure.count() >= ENOUGH && sure.shared(&Runs::triples(answer)) < SHARED
}

/// Gives each line to the region that says the same, and each region the box around its lines. Lines that the model has
/// left out go with the line before them.
pub fn place(regions: &mut [Region], lines: &[Line]) {
    if regions.is_empty() {
        return;
    }
    let texts: Vec<Runs> = regions
        .iter()
        .map(|region| Runs::pairs(&region.text))
        .collect();
    let comparable = lines.len().saturating_mul(regions.len()) <= COMPARISONS;
    let mut last = 0;
    let mut boxes: Vec<Option<[f32; 4]>> = vec![None; regions.len()];
    for (index, line) in lines.iter().enumerate() {
        let pairs = Runs::pairs(&line.text);
        // Of several that are as like it, the one that follows the line before.
        let best = comparable
            .then(|| {
                let from_here = (last..texts.len()).chain(0..last);
                from_here
                    .map(|region| (region, pairs.shared(&texts[region])))
                    .fold(
                        None,
                        |best: Option<(usize, f32)>, (region, share)| match best {
                            Some((_, most)) if most >= share => best,
                            _ => Some((region, share)),
                        },
                    )
            })
            .flatten()
            .filter(|(_, share)| *share >= ALIKE);
        if let Some((region, _)) = best {
            last = region;
            let [x0, y0, x1, y1] = line.quad.bounds();
            let area = boxes[region].get_or_insert([x0, y0, x1, y1]);
            *area = [
                area[0].min(x0),
                area[1].min(y0),
                area[2].max(x1),
                area[3].max(y1),
            ];
        }
        regions[last].lines.push(index);
    }
    for (region, area) in regions.iter_mut().zip(boxes) {
        let Some([x0, y0, x1, y1]) = area else {
            continue;
        };
        region.quad = Quad::from_rect(x0, y0, x1, y1);
        for cell in region.table.iter_mut().flat_map(|table| &mut table.cells) {
            cell.quad = region.quad;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::markdown::regions;

    fn line(text: &str, y: f32) -> Line {
        Line {
            text: text.into(),
            confidence: 0.95,
            quad: Quad::from_rect(10.0, y, 90.0, y + 10.0),
            words: Vec::new(),
            vertical: false,
        }
    }

    #[test]
    fn regions_stand_where_their_lines_do() {
        let page = Quad::from_rect(0.0, 0.0, 100.0, 100.0);
        let mut regions = regions(
            "# Invoice 7\n\nPay by Friday\nor later\n\nfar away words",
            page,
        );
        let lines = [
            line("lnvoice 7", 5.0),
            line("a stamp", 12.0),
            line("Pay by Friday", 20.0),
            line("or later", 35.0),
        ];
        place(&mut regions, &lines);
        let held: Vec<_> = regions.iter().map(|r| r.lines.clone()).collect();
        assert_eq!(held, [vec![0, 1], vec![2, 3], vec![]]);
        assert_eq!(regions[0].quad.bounds(), [10.0, 5.0, 90.0, 15.0]);
        assert_eq!(regions[1].quad.bounds(), [10.0, 20.0, 90.0, 45.0]);
        assert_eq!(regions[2].quad.bounds(), page.bounds());
    }

    #[test]
    fn another_text_or_a_loop_is_no_answer() {
        let text = "The quick brown fox jumps over the lazy dog and runs away from the farm";
        let lines = [line(text, 0.0)];
        assert!(!is_unlike(&text.replace("quick", "QUICK"), &lines));
        let other = "These are other words of the same language, which have nothing to do with what is shown here";
        assert!(is_unlike(other, &lines));
        assert!(is_unlike(
            "I'm sorry, but I can't see any image. Please upload it.",
            &lines
        ));
        assert!(is_unlike(
            &format!("{text}\n{}", "so it goes\n".repeat(40)),
            &lines
        ));
        // What was read unsurely, or hardly at all, says nothing.
        assert!(!is_unlike("Ganz etwas anderes", &[line("fox", 0.0)]));
        let unsure = Line {
            confidence: 0.5,
            ..line(text, 0.0)
        };
        assert!(!is_unlike("Ganz etwas anderes", &[unsure]));
    }
}
