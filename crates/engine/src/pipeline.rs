//! The stages strung together: the straight way of a page through an [`Engine`]'s models.

mod cut;
mod lines;
mod observer;
mod registry;
mod scripts;
mod second_chance;
mod stages;
mod timer;
mod whole_picture;

pub use observer::Observer;
pub use registry::{Engine, EngineError, Loaded};
pub use timer::Clock;

use crate::answer::{Answer, Dropped};
use crate::crop::Strip;
use crate::detect::Detected;
use crate::document::{self, Line};
use crate::geometry::Quad;
use crate::imaging::{self, Image, Limits};
use crate::orient::{self, Turn};
use crate::page::{Page, Source};
use crate::plan::Plan;
use lines::Sifted;
use observer::Told;
use second_chance::Cut;
use stages::Stages;
use timer::Timer;

impl Engine {
    /// Decodes a file and reads its pages.
    ///
    /// # Errors
    /// Where the file can't be decoded, a model of the plan isn't there or fails, or the observer says stop.
    pub async fn read_file(
        &self,
        bytes: &[u8],
        limits: &Limits,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answer>, EngineError> {
        let mut source = imaging::open(bytes, limits)?;
        self.read_source(&mut *source, plan, observer).await
    }

    /// Reads the pages of any source; the first that can't be had ends it.
    ///
    /// # Errors
    /// Where a page can't be had, a model of the plan isn't there or fails, or the observer says stop.
    pub async fn read_source(
        &self,
        source: &mut dyn Source,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Answer>, EngineError> {
        let mut answers = Vec::new();
        loop {
            if observer.cancelled() {
                return Err(EngineError::Cancelled);
            }
            let began = (self.clock)();
            let Some(page) = source.next_page() else {
                break;
            };
            let page = page.map_err(|e| e.error)?;
            let decode = ((self.clock)() - began).as_secs_f64();
            let mut answer = self.read_page(page, plan, observer).await?;
            answer.timings.insert("decode", decode);
            answer.processing_time += decode;
            answers.push(answer);
        }
        Ok(answers)
    }

    /// Reads one page.
    ///
    /// # Errors
    /// Where a model of the plan isn't there or fails, or the observer says stop.
    pub async fn read_page(
        &self,
        page: Page,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Answer, EngineError> {
        let stages = Stages::new(self, plan)?;
        let mut timer = Timer::new(self.clock);
        let (width, height) = (page.image.width, page.image.height);

        let turn = stages.page_turn(&page.image).await?;
        let image = orient::rotate(page.image, turn);
        timer.lap("page_orientation");
        let mut told = Told {
            observer,
            turn,
            width,
            height,
        };
        told.check()?;

        let (found, lifted) = stages.detect(&image).await?;
        timer.lap("detect");
        told.check()?;

        let quads: Vec<Quad> = found.iter().map(|d| d.quad).collect();
        let page_of = |line: usize| match &lifted {
            Some(lifted) if found[line].veiled => lifted,
            _ => &image,
        };
        let lies = |line: usize| found[line].column.is_some();
        let mut cuts = cut::cut_lines(&stages, page_of, &quads, lies);
        let whole = whole_picture::candidate(&image, &found);
        cuts.extend(whole.map(|quad| Cut {
            strip: stages.cut_tightly(&image, &quad),
            standing: None,
        }));
        let (upright_width, upright_height) = (image.width, image.height);
        drop((image, lifted));
        told.detected(quads.iter().chain(&whole));
        timer.lap("crop");

        let mut strips: Vec<&mut Strip> = cuts.iter_mut().map(|cut| &mut cut.strip).collect();
        stages.orient_lines(&mut strips).await?;
        timer.lap("line_orientation");
        told.check()?;

        let mut reads = second_chance::read_with_retries(&stages, &cuts, &mut told).await?;
        let others = scripts::read_others(&stages, &cuts, &found, &mut reads, &mut told).await?;
        told.check()?;
        timer.lap("recognise");

        if whole.is_some() {
            let (kept, others) = whole_picture::keep_better(reads);
            others.iter().for_each(|read| told.withdrawn(read.index));
            reads = kept;
        }
        let reads = second_chance::part_stacked_digits(reads, cuts.len(), &mut told);
        let Sifted { lines, dropped } =
            lines::sift(&reads, &found, whole.is_some(), stages.sureness());
        dropped.iter().for_each(|(index, _)| told.withdrawn(*index));
        let lines = lines.into_iter().map(|(_, line)| line).collect();
        let mut content = document::assemble(lines, upright_width, upright_height);
        for line in &mut content.lines {
            line.quad = told.in_picture(&line.quad);
            for word in &mut line.words {
                word.quad = told.in_picture(&word.quad);
            }
        }
        for block in &mut content.blocks {
            block.quad = told.in_picture(&block.quad);
        }
        let dropped = dropped
            .into_iter()
            .filter(|(_, dropped)| !dropped.text.is_empty())
            .map(|(_, dropped)| Dropped {
                quad: told.in_picture(&dropped.quad),
                ..dropped
            })
            .collect();
        timer.lap("document");

        Ok(Answer {
            text: content.text,
            confidence: content.confidence,
            processing_time: timer.total(),
            selected_models: plan
                .usual_models()
                .map(String::from)
                .chain(others)
                .collect(),
            id: String::new(),
            width,
            height,
            turn: turn.degrees(),
            device: stages.executor(),
            language: plan.language.tag().into(),
            lines: content.lines,
            blocks: content.blocks,
            dropped,
            plan: plan.clone(),
            timings: timer.laps,
        })
    }

    /// Finds the lines of an upright page, in no particular order: the stage of detection alone. An example is in
    /// `examples/detect.rs`.
    ///
    /// # Errors
    /// Where a model of the plan isn't there or fails.
    pub async fn detect_lines(
        &self,
        image: &Image,
        plan: &Plan,
    ) -> Result<Vec<Detected>, EngineError> {
        Ok(Stages::new(self, plan)?.detect(image).await?.0)
    }

    /// Reads the lines in some quads (pixels of `image`, clockwise from a corner at the top left): the stages of
    /// cropping, orientation and recognition alone. Each quad gives a line, in the same order, however unsure it is; its
    /// text is empty where nothing could be read. An example is in `examples/read_lines.rs`.
    ///
    /// # Errors
    /// Where a model of the plan isn't there or fails.
    pub async fn read_lines(
        &self,
        image: &Image,
        quads: &[Quad],
        plan: &Plan,
    ) -> Result<Vec<Line>, EngineError> {
        let stages = Stages::new(self, plan)?;
        let mut cuts = cut::cut_lines(&stages, |_| image, quads, |_| false);
        let mut strips: Vec<&mut Strip> = cuts.iter_mut().map(|cut| &mut cut.strip).collect();
        stages.orient_lines(&mut strips).await?;
        let mut told = Told {
            observer: &mut (),
            turn: Turn::None,
            width: image.width,
            height: image.height,
        };
        let reads = second_chance::read_with_retries(&stages, &cuts, &mut told).await?;
        Ok(reads.iter().map(lines::line).collect())
    }
}

#[cfg(test)]
mod tests;
