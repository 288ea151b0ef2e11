//! Fragments: parts of lines that stand in one cell.

use crate::document::Line;
use crate::structure::frame::{Box, Frame};
use crate::structure::ink::Ink;

/// A part of a line between two wide gaps.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    /// Index of its line.
    pub line: usize,
    /// Its words in the frame and where their text stands in `text`.
    pub words: Vec<Word>,
    /// Around them, in the frame.
    pub area: Box,
    /// Its text.
    pub text: String,
}

/// A word of a fragment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub area: Box,
    /// Byte offset in the fragment's text.
    pub from: usize,
    /// Byte offset in the fragment's text.
    pub to: usize,
}

/// A gap between words from which they stand in different cells, line heights.
const WIDE: f32 = 1.1;

/// Splits lines at wide gaps between their words.
pub(crate) fn fragments<'a>(
    lines: impl Iterator<Item = (usize, &'a Line)>,
    frame: &Frame,
    ink: &Ink,
) -> Vec<Fragment> {
    lines
        .flat_map(|(index, line)| {
            let whole = whole(index, line, frame, ink);
            let gap = WIDE * whole.area.height();
            whole.split(|a, b| b.x0 - a.x1 > gap)
        })
        .collect()
}

fn whole(index: usize, line: &Line, frame: &Frame, ink: &Ink) -> Fragment {
    let mut words = Vec::new();
    let mut at = 0;
    for word in &line.words {
        let Some(found) = line.text[at..].find(word.text.as_str()) else {
            continue;
        };
        let (from, to) = (at + found, at + found + word.text.len());
        if word.text.is_empty() {
            continue;
        }
        words.push(Word {
            area: frame.area(&word.quad),
            from,
            to,
        });
        at = to;
    }
    let area = frame.area(&line.quad);
    settle(&mut words, &area, ink);
    if words.is_empty() {
        words.push(Word {
            area,
            from: 0,
            to: line.text.len(),
        });
    }
    let area = words
        .iter()
        .map(|w| w.area)
        .reduce(|a, b| a.with(&b))
        .map_or(area, |a| Box {
            x0: a.x0,
            x1: a.x1.max(a.x0),
            ..area
        });
    Fragment {
        line: index,
        words,
        area,
        text: line.text.clone(),
    }
}

/// Moves the edges of neighbouring words to the widest gap in the ink between them: where a recogniser sees characters
/// is known to half a character only.
fn settle(words: &mut [Word], area: &Box, ink: &Ink) {
    let inset = 0.15 * area.height();
    let (columns, rows) = ink.within(&Box {
        y0: area.y0 + inset,
        y1: area.y1 - inset,
        ..*area
    });
    let blank: Vec<bool> = columns
        .clone()
        .map(|x| rows.clone().all(|y| ink.mask[y * ink.width + x] == 0))
        .collect();
    let mut order: Vec<usize> = (0..words.len()).collect();
    order.sort_by(|&a, &b| words[a].area.x0.total_cmp(&words[b].area.x0));
    // Detected boxes are wider than the text.
    if let (Some(&first), Some(&last)) = (order.first(), order.last()) {
        let ink = |x: &usize| !blank[*x];
        if let (Some(from), Some(to)) =
            ((0..blank.len()).find(ink), (0..blank.len()).rev().find(ink))
        {
            words[first].area.x0 = (columns.start + from) as f32;
            words[last].area.x1 = (columns.start + to + 1) as f32;
        }
    }
    for pair in order.windows(2) {
        let (a, b) = (words[pair[0]].area, words[pair[1]].area);
        let at = |x: f32| (x.max(0.0) as usize).clamp(columns.start, columns.end) - columns.start;
        let (from, to) = (at((a.x0 + a.x1) / 2.0), at((b.x0 + b.x1) / 2.0));
        let mut best = (0, 0);
        let mut begin = None;
        for x in from..=to.max(from) {
            match (x < to && blank.get(x) == Some(&true), begin) {
                (true, None) => begin = Some(x),
                (false, Some(b)) => {
                    if x - b > best.1 - best.0 {
                        best = (b, x);
                    }
                    begin = None;
                }
                _ => {}
            }
        }
        if best.1 > best.0 {
            words[pair[0]].area.x1 = (columns.start + best.0) as f32;
            words[pair[1]].area.x0 = (columns.start + best.1) as f32;
        }
    }
}

impl Fragment {
    /// Its parts between words where `apart` says so.
    pub fn split(self, apart: impl Fn(&Box, &Box) -> bool) -> Vec<Self> {
        // Along the text: words of Arabic come from the right.
        let mut order: Vec<usize> = (0..self.words.len()).collect();
        order.sort_by(|&a, &b| self.words[a].area.x0.total_cmp(&self.words[b].area.x0));
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for index in order {
            let area = &self.words[index].area;
            match groups.last_mut() {
                Some(group)
                    if !group
                        .last()
                        .is_some_and(|&last| apart(&self.words[last].area, area)) =>
                {
                    group.push(index);
                }
                _ => groups.push(vec![index]),
            }
        }
        if groups.len() <= 1 {
            return vec![self];
        }
        groups
            .into_iter()
            .map(|mut group| {
                group.sort_unstable();
                let (from, to) = (
                    self.words[group[0]].from,
                    self.words[group[group.len() - 1]].to,
                );
                let words: Vec<Word> = group
                    .iter()
                    .map(|&i| Word {
                        from: self.words[i].from - from.min(self.words[i].from),
                        to: self.words[i].to - from.min(self.words[i].to),
                        ..self.words[i]
                    })
                    .collect();
                let area = words
                    .iter()
                    .map(|w| w.area)
                    .reduce(|a, b| a.with(&b))
                    .unwrap_or(self.area);
                Self {
                    line: self.line,
                    words,
                    area: Box {
                        y0: self.area.y0,
                        y1: self.area.y1,
                        ..area
                    },
                    text: self.text[from..to.max(from)].to_string(),
                }
            })
            .collect()
    }

    pub fn centre(&self) -> (f32, f32) {
        ((self.area.x0 + self.area.x1) / 2.0, self.area.middle())
    }

    /// Whether it reads as a number, a date, a sum: mostly digits.
    pub fn is_number(&self) -> bool {
        let digits = self.text.chars().filter(char::is_ascii_digit).count();
        let letters = self.text.chars().filter(|c| c.is_alphabetic()).count();
        digits > 0 && digits > letters
    }
}
