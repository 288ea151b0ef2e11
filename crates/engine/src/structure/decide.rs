//! Decisions: what a block is, from its features alone. A network can take this module's place.

use super::blocks::Margin;
use super::features::BlockFeatures;
use crate::document::RegionKind;

/// What a block is.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    pub kind: RegionKind,
    /// Of a heading, 1 to 6.
    pub level: Option<u8>,
    /// 0 to 1.
    pub confidence: f32,
    /// Whether it goes on from the block before it.
    pub continued: bool,
}

/// Decides all blocks of a page, in reading order.
pub fn decide(blocks: &[BlockFeatures]) -> Vec<Decision> {
    let mut out: Vec<Decision> = blocks.iter().map(one).collect();
    title(blocks, &mut out);
    levels(blocks, &mut out);
    out
}

fn one(f: &BlockFeatures) -> Decision {
    let made = |kind, confidence| Decision {
        kind,
        level: None,
        confidence,
        continued: false,
    };
    if f.table {
        return made(RegionKind::Table, 0.9);
    }
    if f.figure {
        return made(RegionKind::Figure, 0.8);
    }
    match f.margin {
        Margin::Top | Margin::Bottom if f.number => return made(RegionKind::PageNumber, 0.9),
        Margin::Top => return made(RegionKind::Header, 0.85),
        Margin::Bottom => return made(RegionKind::Footer, 0.85),
        Margin::Body => {}
    }
    if f.caption && (f.near_solid || f.size < 0.97 || f.centred) && f.rows <= 6 {
        return made(RegionKind::Caption, if f.near_solid { 0.9 } else { 0.7 });
    }
    if f.place > 0.55
        && f.size < 1.0
        && (f.note_mark || f.ruled_above)
        && ((f.ruled_above && f.size < 0.98) || (f.size < 0.9 && f.below > 8.0))
    {
        return made(RegionKind::Footnote, 0.8);
    }
    let symbols = f.mathematical > 0.2 || f.confidence < 0.8;
    let formula = f.wordy < 0.35 && symbols && f.indent > 1.2 && f.rows <= 4;
    if formula && !f.marker && !f.sentence && !f.number {
        return made(RegionKind::Formula, 0.6);
    }
    if f.monospaced > 0.6 {
        return made(RegionKind::Code, 0.7);
    }
    let heading = heading(f);
    if heading >= 1.0 {
        return made(RegionKind::Heading, (0.4 + 0.3 * heading).min(0.95));
    }
    if f.marker {
        return made(RegionKind::List, 0.85);
    }
    Decision {
        continued: f.goes_on,
        ..made(RegionKind::Paragraph, 0.8)
    }
}

/// How much speaks for a heading; 1 is enough.
pub fn heading(f: &BlockFeatures) -> f32 {
    if f.characters < 2 || f.rows > 4 || f.wordy < 0.3 {
        return 0.0;
    }
    let ramp = |v: f32, from: f32, to: f32| ((v - from) / (to - from)).clamp(0.0, 1.0);
    let mut score = 1.3 * ramp(f.size, 1.06, 1.35) + 1.15 * ramp(f.bold, 1.08, 1.3);
    if f.numbering > 0 && f.rows <= 2 {
        score += 0.35;
    }
    if f.section_word {
        score += 0.6;
    }
    if f.capitals > 0.8 && f.characters >= 5 {
        score += 0.35;
    }
    if f.above > f.below + 0.25 {
        score += 0.25;
    }
    if f.above > 0.7 {
        score += 0.1;
    }
    if f.leads {
        score += 0.35;
    }
    // Names below a title are large, but light.
    if f.bold < 1.08 && f.numbering == 0 && !f.section_word {
        score -= 0.5;
    }
    score -= 0.25 * f.rows.saturating_sub(1) as f32;
    if f.sentence && f.numbering == 0 {
        score -= 0.7;
    }
    if f.small_letter {
        score -= 0.6;
    }
    if f.characters > 90 {
        score -= 0.8;
    }
    if f.marker && f.numbering == 0 {
        score -= 0.8;
    }
    score
}

/// The page's title: the largest heading near its top, clearly larger than the next.
fn title(blocks: &[BlockFeatures], out: &mut [Decision]) {
    let headings = || (0..out.len()).filter(|&i| out[i].kind == RegionKind::Heading);
    let Some(largest) = headings().max_by(|&a, &b| blocks[a].height.total_cmp(&blocks[b].height))
    else {
        return;
    };
    let next = headings()
        .filter(|&i| i != largest)
        .map(|i| blocks[i].height)
        .fold(0.0, f32::max);
    let f = &blocks[largest];
    let first = headings().next() == Some(largest);
    let ahead = if first { 1.0 } else { 1.15 };
    if f.place < 0.4 && f.size > 1.25 && f.height >= ahead * next && f.numbering == 0 {
        out[largest].kind = RegionKind::Title;
    }
}

/// Levels of headings: by their numbers where they have some, else by size.
fn levels(blocks: &[BlockFeatures], out: &mut [Decision]) {
    let titled = out.iter().any(|d| d.kind == RegionKind::Title);
    let base = if titled { 2 } else { 1 };
    let mut sizes: Vec<f32> = (0..out.len())
        .filter(|&i| out[i].kind == RegionKind::Heading)
        .map(|i| blocks[i].height)
        .collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    sizes.dedup_by(|a, b| *a > 0.88 * *b);
    for (block, decision) in blocks.iter().zip(out) {
        if decision.kind != RegionKind::Heading {
            continue;
        }
        let rank = sizes.iter().filter(|s| **s * 0.88 > block.height).count() as u8;
        let level = if block.numbering > 1 {
            base + block.numbering - 1
        } else {
            base + rank
        };
        decision.level = Some(level.clamp(1, 6));
    }
}
