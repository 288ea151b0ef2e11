//! Does a layer agree with what is seen?

use super::lines;
use crate::document::Line;
use crate::page::TextLayer;

/// Lines of a font that are compared.
const LINES_A_FONT: usize = 3;
/// Fonts that are compared, those with the most text first.
const FONTS: usize = 4;
/// Share of characters without a meaning at which a layer is of no use.
const MISSING: f32 = 0.05;
/// Readings less sure than this say nothing about a layer.
const SURE: f32 = 0.85;
/// A font whose lines agree less than this has a map that lies; a wrong map agrees to hardly any.
const LIE: f32 = 0.6;
/// Agreement of a layer that is painted.
const PAINTED: f32 = 0.85;
/// Agreement of a layer that lies unseen over a scan: what another program read there.
const UNSEEN: f32 = 0.94;

/// Lines to look at, and what follows without a look.
pub struct Sample {
    /// Lines of the layer whose places are to be read.
    pub lines: Vec<Line>,
    /// Whether the layer is unseen text over a scan.
    pub unseen: bool,
    /// The font of each line.
    fonts: Vec<usize>,
}

/// What a layer is worth.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// There is no text in it.
    Absent,
    /// It says what is seen.
    Sound,
    /// It is painted but means something else.
    Lies,
    /// It lies unseen over a scan and is worse than reading the scan again.
    Poor,
}

/// Picks lines of a layer to be compared; a verdict where none is needed.
pub fn sample(layer: &TextLayer) -> Result<Sample, Verdict> {
    let written = || {
        let glyphs = layer.glyphs.iter();
        glyphs.filter(|g| g.text.is_empty() || !g.text.chars().all(char::is_whitespace))
    };
    let painted = written().filter(|g| g.visible).count();
    let unseen = written().count() - painted;
    if painted + unseen == 0 {
        return Err(Verdict::Absent);
    }
    let is_unseen = unseen > painted;
    let of_layer = || written().filter(|g| g.visible != is_unseen);
    let count = of_layer().count();
    let senseless = of_layer()
        .filter(|g| !g.text.chars().any(has_meaning))
        .count();
    let worthless = if is_unseen {
        Verdict::Poor
    } else {
        Verdict::Lies
    };
    if senseless as f32 > MISSING * count as f32 {
        return Err(worthless);
    }
    let mut by_font: Vec<(usize, usize)> = Vec::new();
    for glyph in of_layer() {
        match by_font.iter_mut().find(|(font, _)| *font == glyph.font) {
            Some((_, n)) => *n += 1,
            None => by_font.push((glyph.font, 1)),
        }
    }
    by_font.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let mut sample = Sample {
        lines: Vec::new(),
        unseen: is_unseen,
        fonts: Vec::new(),
    };
    for (font, n) in by_font.into_iter().take(FONTS) {
        if n * 20 < count {
            break;
        }
        let part = TextLayer {
            glyphs: of_layer().filter(|g| g.font == font).cloned().collect(),
            ..TextLayer::default()
        };
        let mut candidates: Vec<Line> = lines(&part, false)
            .into_iter()
            .filter(|l| l.quad.height() >= 6.0)
            .collect();
        // Long lines say more; up to 40 characters, not to favour one part of the page.
        candidates.sort_by_key(|l| std::cmp::Reverse(l.text.chars().count().min(40)));
        candidates.truncate(LINES_A_FONT * 4);
        let wanted = if is_unseen {
            2 * LINES_A_FONT
        } else {
            LINES_A_FONT
        };
        let step = (candidates.len() / wanted).max(1);
        for line in candidates.into_iter().step_by(step).take(wanted) {
            sample.fonts.push(font);
            sample.lines.push(line);
        }
    }
    if sample.lines.is_empty() {
        return Err(worthless);
    }
    Ok(sample)
}

/// Compares the sampled lines with their `readings`, which come in the same order.
pub fn judge(sample: &Sample, readings: &[Line]) -> Verdict {
    let worthless = if sample.unseen {
        Verdict::Poor
    } else {
        Verdict::Lies
    };
    let mut fonts: Vec<(usize, Vec<f32>)> = Vec::new();
    let mut all = Vec::new();
    let mut unsure = 0;
    for ((line, font), reading) in sample.lines.iter().zip(&sample.fonts).zip(readings) {
        if reading.confidence < SURE || reading.text.is_empty() {
            unsure += 1;
            continue;
        }
        let agreement = agreement(&line.text, &reading.text);
        all.push(agreement);
        match fonts.iter_mut().find(|(f, _)| f == font) {
            Some((_, of_font)) => of_font.push(agreement),
            None => fonts.push((*font, vec![agreement])),
        }
    }
    if all.is_empty() {
        // Nothing was read surely: a script that the models don't know, or nothing to see below unseen text.
        return if sample.unseen && unsure > 0 {
            worthless
        } else {
            Verdict::Sound
        };
    }
    let mean = |of: &[f32]| of.iter().sum::<f32>() / of.len() as f32;
    let least = if sample.unseen { UNSEEN } else { PAINTED };
    let lies = fonts
        .iter()
        .any(|(_, of)| of.iter().all(|a| *a < LIE) && of.len() > 1);
    if lies || mean(&all) < least {
        worthless
    } else {
        Verdict::Sound
    }
}

fn has_meaning(c: char) -> bool {
    let private = matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{fffd}');
    !private && (c.is_whitespace() || !c.is_control())
}

/// How far two texts agree, 0 to 1: one less the edit distance over the longer length. Case, spaces and punctuation,
/// of which fonts have many kinds, don't count.
fn agreement(a: &str, b: &str) -> f32 {
    let plain = |text: &str| -> Vec<char> {
        text.chars()
            .filter(|c| c.is_alphanumeric())
            .flat_map(char::to_lowercase)
            .collect()
    };
    let (a, b) = (plain(a), plain(b));
    let longer = a.len().max(b.len());
    if longer == 0 {
        return 1.0;
    }
    1.0 - distance(&a, &b) as f32 / longer as f32
}

/// Edit distance of Levenshtein, row by row.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut corner = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = corner + usize::from(x != y);
            corner = row[j + 1];
            row[j + 1] = replaced.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Quad;
    use crate::page::LayerGlyph;

    const TEXT: &str = "The port authority resumed dredging";

    fn layer(text: &str, font: usize, y: f32, visible: bool) -> TextLayer {
        let glyphs = text.chars().enumerate().map(|(i, c)| LayerGlyph {
            text: c.to_string(),
            quad: Quad::from_rect(5.0 * i as f32, y, 5.0 * i as f32 + 5.0, y + 10.0),
            size: 10.0,
            font,
            visible,
        });
        TextLayer {
            glyphs: glyphs.collect(),
            ..TextLayer::default()
        }
    }

    fn reading(text: &str, confidence: f32) -> Line {
        Line {
            text: text.into(),
            confidence,
            quad: Quad::from_rect(0.0, 0.0, 1.0, 1.0),
            words: Vec::new(),
            vertical: false,
        }
    }

    fn verdict(layer: &TextLayer, seen: &str) -> Verdict {
        match sample(layer) {
            Ok(s) => judge(&s, &vec![reading(seen, 0.99); s.lines.len()]),
            Err(verdict) => verdict,
        }
    }

    #[test]
    fn what_agrees_is_sound() {
        assert_eq!(verdict(&layer(TEXT, 0, 0.0, true), TEXT), Verdict::Sound);
        assert_eq!(verdict(&layer(TEXT, 0, 0.0, false), TEXT), Verdict::Sound);
        let punctuated = "the port-authority „resumed“ dredging.";
        assert_eq!(
            verdict(&layer(TEXT, 0, 0.0, true), punctuated),
            Verdict::Sound
        );
        assert_eq!(verdict(&TextLayer::default(), TEXT), Verdict::Absent);
    }

    #[test]
    fn a_shifted_map_lies() {
        let shifted: String = TEXT.chars().map(|c| char::from(c as u8 + 1)).collect();
        assert_eq!(verdict(&layer(&shifted, 0, 0.0, true), TEXT), Verdict::Lies);
    }

    #[test]
    fn a_missing_map_lies() {
        let mut bare = layer(TEXT, 0, 0.0, true);
        bare.glyphs
            .iter_mut()
            .step_by(4)
            .for_each(|g| g.text.clear());
        assert_eq!(sample(&bare).err(), Some(Verdict::Lies));
    }

    #[test]
    fn one_lying_font_among_several_is_enough() {
        let shifted: String = TEXT.chars().map(|c| char::from(c as u8 + 1)).collect();
        let mut both = TextLayer::default();
        for i in 0..6 {
            let y = 20.0 * i as f32;
            both.glyphs.extend(layer(TEXT, 0, y, true).glyphs);
        }
        for i in 0..2 {
            let y = 200.0 + 20.0 * i as f32;
            both.glyphs.extend(layer(&shifted, 1, y, true).glyphs);
        }
        assert_eq!(verdict(&both, TEXT), Verdict::Lies);
    }

    #[test]
    fn a_poor_older_reading_is_read_again() {
        let poor = "Tbe p0rt authority resumed drcdging";
        assert_eq!(verdict(&layer(poor, 0, 0.0, false), TEXT), Verdict::Poor);
        // Painted text is not what somebody read: it may differ as much by what we misread.
        assert_eq!(verdict(&layer(poor, 0, 0.0, true), TEXT), Verdict::Sound);
    }

    #[test]
    fn what_cannot_be_read_says_nothing() {
        let s = sample(&layer(TEXT, 0, 0.0, true)).ok().unwrap();
        assert_eq!(judge(&s, &[reading("???", 0.4)]), Verdict::Sound);
    }

    #[test]
    fn distances() {
        let chars = |s: &str| s.chars().collect::<Vec<_>>();
        assert_eq!(distance(&chars("kitten"), &chars("sitting")), 3);
        assert_eq!(distance(&[], &chars("abc")), 3);
    }
}
