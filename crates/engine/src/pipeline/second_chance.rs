//! Reading strips, and reading again what came out badly: tall lines as columns of upright characters, others upside
//! down.

use maoocr_models::manifest::Sureness;
use maoocr_runtime::RuntimeError;

use super::observer::Told;
use super::stages::Stages;
use crate::crop::{Placement, Strip};
use crate::recognise::{self, Glyph, Reading};
use crate::vertical;

/// A reading and where it stands.
pub(super) struct Read {
    /// Among what was detected.
    pub(super) index: usize,
    pub(super) reading: Reading,
    pub(super) placement: Placement,
}

/// A tall box that holds at most so many characters if it is seen as a lying line …
const SHORT: usize = 2;
/// … which are read this surely, holds nothing else.
const SURE_SHORT: f32 = 0.8;

/// A line cut out of the page.
pub(super) struct Cut {
    pub(super) strip: Strip,
    /// The same box taken for a line that stands, where it may be either.
    pub(super) standing: Option<Strip>,
}

/// Reads what was cut out. What reads badly gets a second chance.
pub(super) async fn read_with_retries(
    stages: &Stages,
    cuts: &[Cut],
    told: &mut Told<'_>,
) -> Result<Vec<Read>, RuntimeError> {
    let strips: Vec<&Strip> = cuts.iter().map(|cut| &cut.strip).collect();
    let mut on_line = |index: usize, reading: &Reading| {
        told.line(index, &strips[index].placement.line(), reading);
        told.flow()
    };
    let readings = stages.recognise(&strips, &mut on_line).await?;
    let mut reads: Vec<Read> = readings
        .into_iter()
        .enumerate()
        .map(|(index, reading)| Read {
            index,
            reading,
            placement: strips[index].placement.clone(),
        })
        .collect();

    let sureness = stages.sureness();
    let mut others = Vec::new();
    for (read, Cut { strip, standing }) in reads.iter().zip(cuts) {
        let confidence = read.reading.confidence();
        if let Some(standing) = standing {
            let sure = confidence >= SURE_SHORT && (1..=SHORT).contains(&read.reading.len());
            if !sure {
                others.extend(vertical::row(standing).map(|row| (read.index, row)));
                others.push((read.index, standing.clone()));
            }
        } else if strip.turned
            && (confidence < sureness.turned || is_mostly_unspaced(&read.reading))
            && let Some(row) = vertical::row(strip)
        {
            others.push((read.index, row));
        } else if confidence < sureness.again && stages.may_be_upside_down() {
            others.push((read.index, flipped(strip)));
        }
    }
    retry(stages, &mut reads, others, told).await?;
    // Where a box may lie or stand, a lone character is what lies among its neighbours, whichever way it read best.
    for (read, cut) in reads.iter_mut().zip(cuts) {
        let lying = &cut.strip.placement;
        if cut.standing.is_some() && read.reading.len() == 1 && read.placement != *lying {
            read.placement = lying.clone();
            told.line(read.index, &lying.line(), &read.reading);
        }
    }
    // A turned line can run upwards or downwards whatever the others do: labels at both sides of a chart.
    let others = reads
        .iter()
        .zip(cuts)
        .filter(|(read, cut)| {
            cut.strip.turned
                && read.placement == cut.strip.placement
                && read.reading.confidence() < sureness.again
                && stages.may_be_upside_down()
        })
        .map(|(read, cut)| (read.index, flipped(&cut.strip)))
        .collect();
    retry(stages, &mut reads, others, told).await?;
    Ok(reads)
}

fn flipped(strip: &Strip) -> Strip {
    let mut strip = strip.clone();
    strip.flip();
    strip
}

/// Reads other strips of lines (by their index), and keeps of each line what reads best. Nothing where the caller said
/// stop.
async fn retry(
    stages: &Stages,
    reads: &mut [Read],
    others: Vec<(usize, Strip)>,
    told: &mut Told<'_>,
) -> Result<(), RuntimeError> {
    if others.is_empty() || told.flow().is_break() {
        return Ok(());
    }
    let strips: Vec<&Strip> = others.iter().map(|(_, strip)| strip).collect();
    let readings = stages.recognise(&strips, &mut |_, _| told.flow()).await?;
    let sureness = stages.sureness();
    for ((index, strip), reading) in others.into_iter().zip(readings) {
        if adopt(&mut reads[index], reading, strip.placement, sureness) {
            let read = &reads[index];
            told.line(index, &read.placement.line(), &read.reading);
        }
    }
    Ok(())
}

/// Takes a second reading over where it is the better one. Whether anything changed.
fn adopt(first: &mut Read, second: Reading, placement: Placement, sureness: &Sureness) -> bool {
    let column = placement.is_vertical();
    let least = first.reading.confidence() + if column { 0.0 } else { sureness.better };
    if second.confidence() > least && second.len() == 1 && second.text() == first.reading.text() {
        // A lone character that reads the same from both sides tells no direction: it stays as it was.
        first.reading = second;
        return true;
    }
    if second.confidence() > least && second.len() * 2 >= first.reading.len() {
        first.reading = second;
        first.placement = placement;
        return true;
    }
    let upright =
        column && second.confidence() > sureness.upright && is_mostly_unspaced(&first.reading);
    if upright && first.placement.clone().into_column().line() == placement.line() {
        // Both ways read well: the characters stand upright, so it is a column and no turned line.
        first.placement = std::mem::take(&mut first.placement).into_column();
        return true;
    }
    false
}

/// Parts columns of nothing but digits into rows, on pages without vertical writing: their equal pitch makes a column
/// of a table look like it. New lines are counted on from `next`.
pub(super) fn part_stacked_digits(
    reads: Vec<Read>,
    mut next: usize,
    told: &mut Told<'_>,
) -> Vec<Read> {
    let writes_vertically = reads
        .iter()
        .any(|r| r.placement.is_vertical() && is_mostly_unspaced(&r.reading));
    if writes_vertically {
        return reads;
    }
    let mut parted = Vec::with_capacity(reads.len());
    for read in reads {
        let cells = read.placement.cells();
        if cells < 2 || !is_numeric(&read.reading) {
            parted.push(read);
            continue;
        }
        told.withdrawn(read.index);
        for row in rows(&read, cells) {
            let row = Read { index: next, ..row };
            told.line(row.index, &row.placement.line(), &row.reading);
            parted.push(row);
            next += 1;
        }
    }
    parted
}

/// What stands in each cell of a column, as a line of its own.
fn rows(read: &Read, cells: usize) -> Vec<Read> {
    let row = |cell: usize| {
        let share = |v: f32| (v * cells as f32 - cell as f32).clamp(0.0, 1.0);
        let here = read.reading.glyphs.iter().filter(|g| {
            let middle = (g.start + g.end) / 2.0 * cells as f32;
            (middle as usize).min(cells - 1) == cell && !g.text.trim().is_empty()
        });
        let glyphs: Vec<Glyph> = here
            .map(|g| Glyph {
                start: share(g.start),
                end: share(g.end),
                ..g.clone()
            })
            .collect();
        let from = cell as f32 / cells as f32;
        let quad = read.placement.part(from, from + 1.0 / cells as f32);
        (!glyphs.is_empty()).then(|| Read {
            index: read.index,
            reading: Reading { glyphs },
            placement: Placement::new(quad, &quad),
        })
    };
    (0..cells).filter_map(row).collect()
}

fn is_numeric(reading: &Reading) -> bool {
    let characters = || reading.glyphs.iter().flat_map(|g| g.text.chars());
    characters().any(|c| c.is_ascii_digit())
        && characters().all(|c| c.is_ascii_digit() || c.is_whitespace() || ".,-–%".contains(c))
}

fn is_mostly_unspaced(reading: &Reading) -> bool {
    let unspaced = reading
        .glyphs
        .iter()
        .filter(|g| recognise::is_unspaced(&g.text))
        .count();
    unspaced * 2 >= reading.len().max(1)
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use maoocr_models::Manifest;
    use maoocr_runtime::{BestPath, RunFuture, Session, Tensor};

    use super::super::{Engine, Observer};
    use super::*;
    use crate::geometry::Quad;
    use crate::orient::Turn;
    use crate::plan::{self, DeviceClass, Requirements};

    pub(in super::super) fn reading(text: &str, confidence: f32) -> Reading {
        let glyphs = text.chars().map(|c| Glyph {
            text: c.to_string(),
            start: 0.0,
            end: 1.0,
            confidence,
        });
        Reading {
            glyphs: glyphs.collect(),
        }
    }

    fn read(text: &str, placement: Placement) -> Read {
        let mut reading = reading(text, 0.9);
        let count = reading.glyphs.len() as f32;
        for (index, glyph) in reading.glyphs.iter_mut().enumerate() {
            (glyph.start, glyph.end) = (index as f32 / count, (index + 1) as f32 / count);
        }
        Read {
            index: 0,
            reading,
            placement,
        }
    }

    #[test]
    fn a_column_of_digits_becomes_rows() {
        // 20 wide, 90 high, three cells.
        let mut quad = Quad::from_rect(10.0, 0.0, 30.0, 90.0);
        quad.0.rotate_left(1);
        let third = 1.0 / 3.0;
        let column = Placement::new(quad, &quad).into_row(vec![0.0, third, 2.0 * third, 1.0]);
        let mut told = Told {
            observer: &mut (),
            turn: Turn::None,
            width: 100,
            height: 100,
        };
        let rows = part_stacked_digits(vec![read("147", column.clone())], 5, &mut told);
        let seen: Vec<_> = rows
            .iter()
            .map(|r| {
                let bounds = r.placement.line().bounds().map(f32::round);
                (r.index, r.reading.text(), bounds)
            })
            .collect();
        let wanted = [
            (5, "1".to_string(), [10.0, 0.0, 30.0, 30.0]),
            (6, "4".to_string(), [10.0, 30.0, 30.0, 60.0]),
            (7, "7".to_string(), [10.0, 60.0, 30.0, 90.0]),
        ];
        assert_eq!(seen, wanted);
        // Letters, and digits on a page of vertical writing, stay what they are.
        let kept = part_stacked_digits(vec![read("BAR", column.clone())], 5, &mut told);
        assert_eq!(kept.len(), 1);
        let page = vec![read("147", column.clone()), read("山田市", column)];
        assert_eq!(part_stacked_digits(page, 5, &mut told).len(), 2);
    }

    #[test]
    fn the_better_side_is_kept() {
        let quad = Quad::from_rect(0.0, 0.0, 90.0, 20.0);
        let side = Placement::new(quad, &quad);
        let mut other = side.clone();
        other.flip();
        let adopt = |first: &mut Read, second, placement| {
            super::adopt(first, second, placement, &Sureness::default())
        };
        let mut first = read("uaain", side.clone());
        first.reading = reading("uaain", 0.6);
        assert!(!adopt(&mut first, reading("rains", 0.7), other.clone()));
        assert!(adopt(&mut first, reading("rains", 0.9), other.clone()));
        assert_eq!(
            (first.reading.text().as_str(), &first.placement),
            ("rains", &other)
        );
        // What looks the same from there stays where it was.
        let mut one = read("1", side.clone());
        one.reading = reading("1", 0.6);
        assert!(adopt(&mut one, reading("1", 0.9), other.clone()));
        assert_eq!((one.reading.confidence(), &one.placement), (0.9, &side));
        // Not for a part of it.
        assert!(!adopt(&mut first, reading("N", 1.0), side));
    }

    /// A recogniser that reads nothing, and counts how often it was asked.
    #[derive(Default)]
    struct Blind(AtomicUsize);

    impl Session for Blind {
        fn run(&self, _: Tensor) -> RunFuture<'_, Tensor> {
            unreachable!("lines are read by run_best")
        }

        fn run_best(&self, _: Tensor) -> RunFuture<'_, BestPath> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::pin(async {
                Ok(BestPath {
                    batch: 1,
                    steps: 8,
                    classes: vec![0; 8],
                    probabilities: vec![0.9; 8],
                    last_class: vec![0.0; 8],
                })
            })
        }

        fn executor(&self) -> String {
            "none".into()
        }
    }

    /// Says stop after so many lines.
    struct Impatient(usize);

    impl Observer for Impatient {
        fn line(&mut self, _: usize, _: &Quad, _: &Reading) {
            self.0 = self.0.saturating_sub(1);
        }

        fn cancelled(&mut self) -> bool {
            self.0 == 0
        }
    }

    #[test]
    fn what_was_cancelled_is_not_read_a_second_time() {
        let manifest = Manifest::built_in();
        let session = Arc::new(Blind::default());
        let engine = Engine::new(DeviceClass::Cpu);
        let plan = plan::plan(
            &Requirements::default(),
            &manifest.models.iter().collect::<Vec<_>>(),
            DeviceClass::Cpu,
        )
        .unwrap();
        for name in plan.models() {
            let entry = manifest.get(name).unwrap().clone();
            let dictionary = entry.recognition.is_some().then_some("a\nb\n");
            engine.install(entry, session.clone(), dictionary).unwrap();
        }
        let stages = Stages::new(&engine, &plan).unwrap();
        assert!(stages.may_be_upside_down());
        let strip = Strip {
            width: 96,
            height: 48,
            rgb: vec![255; 96 * 48 * 3],
            turned: false,
            placement: Placement::default(),
        };
        let asked = |lines: usize| {
            session.0.store(0, Ordering::Relaxed);
            let cut = |()| Cut {
                strip: strip.clone(),
                standing: None,
            };
            let (cuts, mut observer) = ([(); 5].map(cut), Impatient(lines));
            let mut told = Told {
                observer: &mut observer,
                turn: Turn::None,
                width: 96,
                height: 48,
            };
            pollster::block_on(read_with_retries(&stages, &cuts, &mut told))
                .map(drop)
                .unwrap();
            session.0.load(Ordering::Relaxed)
        };
        assert_eq!(asked(2), 2);
        // What reads badly is read once more, upside down.
        assert_eq!(asked(100), 10);
    }
}
