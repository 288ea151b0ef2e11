//! Lines that the general recogniser can't read, read by those of single scripts.

use maoocr_runtime::RuntimeError;

use super::observer::Told;
use super::second_chance::{Cut, Read};
use super::stages::{Reader, Stages};
use crate::crop::Strip;
use crate::detect::Detected;
use crate::recognise::Reading;

/// Lines that decide whether a page is written in a script.
const SAMPLE: usize = 4;
/// They must be read this surely, on average …
const SURE: f32 = 0.85;
/// … and so much more surely than by the general recogniser.
const BETTER: f32 = 0.15;
/// Lines that the general recogniser reads at least this surely are its own.
const OWN: f32 = 0.85;
/// What the detector doubts more than this is hardly text.
const TEXT: f32 = 0.6;

/// Reads again what is written in other scripts. Returns the names of the recognisers that read some line.
pub(super) async fn read_others(
    stages: &Stages,
    cuts: &[Cut],
    found: &[Detected],
    reads: &mut [Read],
    told: &mut Told<'_>,
) -> Result<Vec<String>, RuntimeError> {
    let mut used = Vec::new();
    for reader in stages.others() {
        let mut foreign = foreign(reads, found);
        if foreign.is_empty() || told.flow().is_break() {
            break;
        }
        // Long lines first: they say most.
        foreign.sort_by_key(|&at| std::cmp::Reverse(cuts[reads[at].index].strip.width));
        let sample = &foreign[..foreign.len().min(SAMPLE)];
        let readings = read(stages, reader, cuts, reads, sample, told).await?;
        if !is_written(&readings, sample, reads) {
            continue;
        }
        let rest = &foreign[sample.len()..];
        let more = read(stages, reader, cuts, reads, rest, told).await?;
        let mut any = false;
        for (&at, reading) in foreign.iter().zip(readings.into_iter().chain(more)) {
            let first = &mut reads[at];
            if reading.confidence() < first.reading.confidence() + BETTER || !is_foreign(&reading) {
                continue;
            }
            let placement = &cuts[first.index].strip.placement;
            told.line(first.index, &placement.line(), &reading);
            first.placement = placement.clone();
            first.reading = reading;
            any = true;
        }
        if any {
            used.push(reader.name().to_string());
        }
    }
    Ok(used)
}

/// Which lines the general recogniser can't read, though they are text.
fn foreign(reads: &[Read], found: &[Detected]) -> Vec<usize> {
    let is = |&at: &usize| {
        let read: &Read = &reads[at];
        let detected = found.get(read.index);
        read.reading.confidence() < OWN && detected.is_some_and(|d| d.score >= TEXT && !d.doubtful)
    };
    (0..reads.len()).filter(is).collect()
}

async fn read(
    stages: &Stages,
    reader: &Reader,
    cuts: &[Cut],
    reads: &[Read],
    lines: &[usize],
    told: &mut Told<'_>,
) -> Result<Vec<Reading>, RuntimeError> {
    let strips: Vec<&Strip> = lines
        .iter()
        .map(|&at| &cuts[reads[at].index].strip)
        .collect();
    stages
        .recognise_with(reader, &strips, &mut |_, _| told.flow())
        .await
}

/// Whether the sampled lines are written in the script of what read them.
fn is_written(readings: &[Reading], sample: &[usize], reads: &[Read]) -> bool {
    let mean = |sum: f32| sum / sample.len() as f32;
    let sure = mean(readings.iter().map(Reading::confidence).sum());
    let before = mean(
        sample
            .iter()
            .map(|&at| reads[at].reading.confidence())
            .sum(),
    );
    let foreign = readings.iter().filter(|r| is_foreign(r)).count();
    sure >= SURE && sure >= before + BETTER && foreign * 2 > sample.len()
}

/// Whether most letters are of a script that no general recogniser knows.
fn is_foreign(reading: &Reading) -> bool {
    let letters = || reading.glyphs.iter().flat_map(|g| g.text.chars());
    let all = letters().filter(|c| c.is_alphabetic()).count();
    let foreign = letters().filter(|c| is_foreign_letter(*c)).count();
    foreign > 0 && foreign * 2 > all
}

/// Letters from Greek to Georgian and beyond, and Hangul: all but Latin, kana and ideographs (Unicode's blocks).
fn is_foreign_letter(c: char) -> bool {
    let beyond = matches!(c, '\u{370}'..='\u{1dff}' | '\u{1f00}'..='\u{1fff}' | '\u{ac00}'..='\u{d7ff}' | '\u{fb50}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}');
    beyond && (c.is_alphabetic() || !c.is_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::super::second_chance::tests::reading;
    use super::*;

    #[test]
    fn letters_of_other_scripts_are_told_from_what_the_general_recognisers_know() {
        for text in [
            "Москва",
            "서울 2024",
            "ΑΘΗΝΑ",
            "กรุงเทพ",
            "नमस्ते",
            "مرحبا",
            "Iphone 15 сегодня",
        ] {
            assert!(is_foreign(&reading(text, 0.9)), "{text}");
        }
        for text in [
            "Moskva",
            "北京",
            "とうきょう",
            "1234",
            "São Paulo",
            "µm Ω",
            "",
            "iPhone — лл",
        ] {
            let kept = text == "µm Ω";
            assert!(!is_foreign(&reading(text, 0.9)) || kept, "{text}");
        }
    }
}
