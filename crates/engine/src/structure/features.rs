//! Features: what is measured of lines and blocks before anything is decided.

use super::blocks::{Block, Margin};
use super::frame::{Box, Frame};
use super::ink::{DARK, Ink, LIGHT};
use super::rules::Rules;
use super::wording::{self, SECTIONS, is_caption, mathematical, note_mark, numbering, wordy};
use crate::document::Line;
use crate::page::TextLayer;
use crate::recognise::is_unspaced;

/// What a line looks like.
#[derive(Clone, Copy, Debug, Default)]
pub struct LineMeasure {
    /// Stroke width against the page's usual; 1 where it can't be measured. Detected heights of short lines vary too much
    /// to divide by them.
    pub bold: f32,
    /// 1 where all characters seem equally wide, else 0.
    pub pitch: f32,
    /// Whether a dot stands before it that the recogniser left out.
    pub bullet: bool,
    /// Whether it is surely text.
    pub confident: bool,
}

/// Measures lines in the page's ink.
pub fn lines(
    lines: &[Line],
    areas: &[Box],
    ink: &Ink,
    layer: Option<&TextLayer>,
    frame: &Frame,
) -> Vec<LineMeasure> {
    let strokes: Vec<f32> = areas.iter().map(|a| stroke(ink, a)).collect();
    // By script: ideographs have more and thinner strokes.
    let wide = |l: &Line| {
        let count = l
            .text
            .chars()
            .filter(|c| is_unspaced(c.encode_utf8(&mut [0; 4])))
            .count();
        count * 2 > l.text.chars().count()
    };
    let usual = |ideographs: bool| {
        let mut all: Vec<(f32, usize)> = (0..lines.len())
            .filter(|&i| strokes[i] > 0.0 && wide(&lines[i]) == ideographs)
            .map(|i| (strokes[i], lines[i].text.chars().count()))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        let half = all.iter().map(|a| a.1).sum::<usize>() / 2;
        let mut sum = 0;
        all.iter()
            .find(|a| {
                sum += a.1;
                sum >= half
            })
            .map_or(0.0, |a| a.0)
    };
    let (latin, ideographic) = (usual(false), usual(true));
    (0..lines.len())
        .map(|i| {
            let line = &lines[i];
            let usual = if wide(line) { ideographic } else { latin };
            let bold = match stated(layer, line) {
                Some(true) => 1.5,
                Some(false) => 1.0,
                None if usual > 0.0 && strokes[i] > 0.0 => strokes[i] / usual,
                None => 1.0,
            };
            LineMeasure {
                bold,
                pitch: if monospaced(line, areas[i].height(), frame) {
                    1.0
                } else {
                    0.0
                },
                bullet: !line.vertical && bullet(ink, &areas[i], areas),
                confident: line.confidence > 0.6 && line.text.chars().count() > 1,
            }
        })
        .collect()
}

/// Whether a text layer says that a line is bold: most of the characters under it are.
fn stated(layer: Option<&TextLayer>, line: &Line) -> Option<bool> {
    let layer = layer?;
    let [x0, y0, x1, y1] = line.quad.bounds();
    let (mut bold, mut all) = (0, 0);
    for glyph in &layer.glyphs {
        let c = glyph.quad.center();
        if glyph.visible && c.x > x0 && c.x < x1 && c.y > y0 && c.y < y1 {
            all += 1;
            bold += usize::from(layer.fonts.get(glyph.font).is_some_and(|f| f.bold));
        }
    }
    (all > 0).then_some(bold * 2 > all)
}

/// Mean length of the short runs of ink along a line: its stroke width, px.
fn stroke(ink: &Ink, area: &Box) -> f32 {
    let (columns, rows) = ink.within(area);
    let inset = rows.len() / 5;
    let most = (rows.len() as f32 * 0.35).max(3.0) as usize;
    let mut sums = [(0usize, 0usize); 2];
    for y in (rows.start + inset)..rows.end.saturating_sub(inset) {
        let row = &ink.mask[y * ink.width..(y + 1) * ink.width];
        for (kind, sum) in [DARK, LIGHT].into_iter().zip(&mut sums) {
            let mut run = 0;
            for x in columns.clone().chain(std::iter::once(columns.end)) {
                if x < columns.end && row[x] == kind {
                    run += 1;
                } else {
                    if run > 0 && run <= most {
                        sum.0 += run;
                        sum.1 += 1;
                    }
                    run = 0;
                }
            }
        }
    }
    let (length, count) = if sums[0].0 >= sums[1].0 {
        sums[0]
    } else {
        sums[1]
    };
    if count < 4 {
        0.0
    } else {
        length as f32 / count as f32
    }
}

/// Whether the words of a line are as long as the number of their characters says.
fn monospaced(line: &Line, height: f32, frame: &Frame) -> bool {
    let text = &line.text;
    if text
        .chars()
        .any(|c| is_unspaced(c.encode_utf8(&mut [0; 4])))
        || text.chars().count() < 6
    {
        return false;
    }
    let width = frame.area(&line.quad).width() / text.chars().count() as f32;
    // Monospaced characters are 0.6 em wide; a detected line is some 1.1 em high.
    let signs = signs(text);
    (width > 0.42 * height && width < 0.72 * height && signs >= 0.1)
        || (width > 0.46 * height && width < 0.68 * height && signs >= 0.05)
}

/// Share of characters that program text has and prose hasn't.
fn signs(text: &str) -> f32 {
    let count = text
        .chars()
        .filter(|c| "=_{}[]<>$#;|\\/@~^*&\"'`()+".contains(*c))
        .count();
    count as f32 / text.chars().count().max(1) as f32
}

/// Whether a dot or square stands before a line's first letter, alone: left of its box or at the begin of it.
fn bullet(ink: &Ink, area: &Box, areas: &[Box]) -> bool {
    let h = area.height();
    let mut from = area.x0 - 1.9 * h;
    for other in areas {
        if other.x1 <= area.x0 + 0.1 * h && other.x1 > from && other.overlap_y(area) > 0.3 * h {
            from = other.x1;
        }
    }
    let window = Box {
        x0: from.max(0.0),
        x1: area.x0 + 1.6 * h,
        ..*area
    };
    let (columns, rows) = ink.within(&window);
    // A single pixel is a speck.
    let filled = |x: usize| {
        rows.clone()
            .filter(|&y| ink.mask[y * ink.width + x] != 0)
            .nth(1)
            .is_some()
    };
    // The first stretch of columns with ink, and where the next one begins.
    let Some(x0) = columns.clone().find(|&x| filled(x)) else {
        return false;
    };
    let Some(end) = (x0..columns.end).find(|&x| !filled(x)) else {
        return false;
    };
    let Some(next) = (end..columns.end).find(|&x| filled(x)) else {
        return false;
    };
    let (mut y0, mut y1, mut count) = (usize::MAX, 0, 0usize);
    for y in rows.clone() {
        for x in x0..end {
            if ink.mask[y * ink.width + x] != 0 {
                y0 = y0.min(y);
                y1 = y1.max(y);
                count += 1;
            }
        }
    }
    let (w, t) = ((end - x0) as f32, (y1 + 1 - y0) as f32);
    let middle = (y0 + y1) as f32 / 2.0;
    // Small, filled, at the height of the letters' middle, and well before the text.
    count >= 4
        && w > 0.12 * h
        && w < 0.42 * h
        && t > 0.12 * h
        && t < 0.42 * h
        && w < 1.6 * t
        && t < 1.6 * w
        && count as f32 > 0.6 * w * t
        && (middle - area.middle()).abs() < 0.2 * h
        && (next - end) as f32 > 0.28 * h
        && x0 > columns.start
}

/// What is known of a block before it is decided what it is. Lengths are in heights of the page's usual line.
#[derive(Clone, Debug, Default)]
pub struct BlockFeatures {
    pub table: bool,
    pub figure: bool,
    pub margin: Margin,
    /// Rows of text.
    pub rows: usize,
    /// Characters.
    pub characters: usize,
    /// Height of its lines against the page's usual.
    pub size: f32,
    /// Stroke width against the page's usual.
    pub bold: f32,
    /// Whether it stands in the middle of its column, with room on both sides.
    pub centred: bool,
    /// Distance from its column's left edge.
    pub indent: f32,
    /// Gap to the block above in its column; large where there is none.
    pub above: f32,
    /// Gap to the block below.
    pub below: f32,
    /// Place of its middle on the page, 0 at the top, 1 at the bottom.
    pub place: f32,
    /// Whether it begins with a list mark.
    pub marker: bool,
    /// How deep the number before it goes: 1 for `2 Methods`, 2 for `2.1 Data`, `第一条`, `Chapter 3`; 0 for none.
    pub numbering: u8,
    /// Whether it is a word that heads a section by convention.
    pub section_word: bool,
    /// Whether it begins as captions do: `Table 3`, `图1`.
    pub caption: bool,
    /// Whether it begins as footnotes do: with a raised number or mark.
    pub note_mark: bool,
    /// Whether a short rule stands above it.
    pub ruled_above: bool,
    /// Whether it ends as sentences do.
    pub sentence: bool,
    /// Whether it begins with a small letter.
    pub small_letter: bool,
    /// Share of capitals among letters that have case.
    pub capitals: f32,
    /// Share of monospaced rows.
    pub monospaced: f32,
    /// Share of characters that formulas are made of.
    pub mathematical: f32,
    /// Letters in words of at least three.
    pub wordy: f32,
    /// Mean confidence of its characters.
    pub confidence: f32,
    /// Whether the text before it stops in mid-sentence in another column.
    pub goes_on: bool,
    /// Whether it is one short row with a longer paragraph close below.
    pub leads: bool,
    /// Whether it is a page's number.
    pub number: bool,
    /// Whether there is a table or figure next to it.
    pub near_solid: bool,
    /// Height of its lines, px.
    pub height: f32,
}

/// Describes blocks in reading order.
pub fn blocks(
    blocks: &[Block],
    lines: &[Line],
    areas: &[Box],
    measured: &[LineMeasure],
    rules: &Rules,
    frame: &Frame,
) -> Vec<BlockFeatures> {
    let usual = usual_height(blocks, lines, areas);
    (0..blocks.len())
        .map(|i| {
            let block = &blocks[i];
            let own: Vec<usize> = block.rows.iter().flatten().copied().collect();
            let text: String = own
                .iter()
                .map(|&l| lines[l].text.as_str())
                .collect::<Vec<_>>()
                .join(" ");
            let text = text.trim();
            let characters = text.chars().count();
            let weighted = |f: &dyn Fn(usize) -> f32| {
                let sum: usize = own.iter().map(|&l| lines[l].text.chars().count()).sum();
                own.iter()
                    .map(|&l| f(l) * lines[l].text.chars().count() as f32)
                    .sum::<f32>()
                    / sum.max(1) as f32
            };
            let (left, right) = block.sides;
            let width = (right - left).max(1.0);
            let room = (block.area.x0 - left, right - block.area.x1);
            let gap = |other: Option<&Block>, up: bool| {
                other
                    .filter(|o| o.column == block.column && o.margin == block.margin)
                    .map_or(9.0, |o| {
                        let d = if up {
                            block.area.y0 - o.area.y1
                        } else {
                            o.area.y0 - block.area.y1
                        };
                        d / usual
                    })
            };
            let before = i.checked_sub(1).map(|b| &blocks[b]);
            let after = blocks.get(i + 1);
            let cased = text
                .chars()
                .filter(|c| c.is_lowercase() || c.is_uppercase())
                .count();
            let lower = text.to_lowercase();
            let bare = lower.trim_matches(|c: char| !c.is_alphanumeric());
            let numbered = numbering(text);
            let head = text
                .trim_start_matches(|c: char| c.is_ascii_digit() || ".、 ".contains(c))
                .to_lowercase();
            let head = head
                .trim_matches(|c: char| !c.is_alphanumeric())
                .to_string();
            let solid = |b: Option<&Block>| b.is_some_and(|b| !b.is_text());
            BlockFeatures {
                table: block.table.is_some(),
                figure: block.figure,
                margin: block.margin,
                rows: block.rows.len(),
                characters,
                size: block.height / usual,
                bold: weighted(&|l| measured[l].bold),
                centred: (room.0 - room.1).abs() < 1.5 * usual && room.0 > 1.2 * usual,
                indent: room.0 / usual,
                above: gap(before, true),
                below: gap(after, false),
                place: block.area.middle() / frame.height.max(1) as f32,
                marker: !block.starts.is_empty(),
                numbering: numbered,
                section_word: SECTIONS.contains(&bare) || SECTIONS.contains(&head.as_str()),
                caption: is_caption(&lower),
                note_mark: note_mark(text),
                ruled_above: rules.level.iter().any(|s| {
                    let d = block.area.y0 - s.middle();
                    d > -0.3 * usual
                        && d < 1.6 * usual
                        && (s.from - left).abs() < 2.0 * usual
                        && (s.length() < 0.7 * width || block.area.y0 > 0.7 * frame.height as f32)
                }),
                sentence: wording::sentence_ends(text),
                small_letter: text.chars().next().is_some_and(char::is_lowercase),
                capitals: text.chars().filter(|c| c.is_uppercase()).count() as f32
                    / cased.max(1) as f32,
                monospaced: if text.starts_with("$ ") {
                    1.0
                } else {
                    weighted(&|l| measured[l].pitch)
                },
                mathematical: mathematical(text),
                wordy: wordy(text),
                confidence: weighted(&|l| lines[l].confidence),
                goes_on: before.is_some_and(|b| {
                    b.is_text() && b.column != block.column && b.margin == block.margin && {
                        let last = b.rows.iter().flatten().next_back();
                        last.is_some_and(|&l| !wording::sentence_ends(&lines[l].text))
                            && (b.height / block.height - 1.0).abs() < 0.15
                    }
                }) && text
                    .chars()
                    .next()
                    .is_some_and(|c| !c.is_uppercase() && !c.is_ascii_digit()),
                leads: block.rows.len() == 1
                    && block.area.width() < 0.7 * width
                    && !text.ends_with([',', '，', '、', '-'])
                    && after.is_some_and(|a| a.is_text() && a.rows.len() >= 2)
                    && gap(after, false) < 1.2,
                number: wording::page_number(text),
                near_solid: solid(before) || solid(after),
                height: block.height,
            }
        })
        .collect()
}

/// The height of most text, px.
fn usual_height(blocks: &[Block], lines: &[Line], areas: &[Box]) -> f32 {
    let mut heights: Vec<(f32, usize)> = blocks
        .iter()
        .filter(|b| b.is_text())
        .flat_map(|b| b.rows.iter().flatten())
        .map(|&l| {
            (
                areas[l].height().min(areas[l].width().max(1.0)),
                lines[l].text.chars().count(),
            )
        })
        .collect();
    heights.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = heights.iter().map(|h| h.1).sum::<usize>() / 2;
    let mut sum = 0;
    heights
        .iter()
        .find(|h| {
            sum += h.1;
            sum >= half
        })
        .map_or(20.0, |h| h.0)
        .max(1.0)
}
