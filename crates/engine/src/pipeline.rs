//! The stages strung together: an [`Engine`] holds loaded models and reads pages with them.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use maoocr_models::manifest::{Classification, Detection, ModelEntry, Recognition};
use maoocr_runtime::{RuntimeError, Session};

use crate::answer::Document;
use crate::crop::{self, Strip};
use crate::detect::{self, Detected, SizePolicy};
use crate::document::{self, Line, Word};
use crate::geometry::Quad;
use crate::imaging::{ImagingError, Limits, Page};
use crate::orient::{self, Turn};
use crate::plan::{self, DeviceClass, Plan, PlanError, Requirements};
use crate::recognise::{self, Dictionary, DictionaryError, Reading};
use crate::vertical;

/// Lines read with a lower mean confidence are noise: textures, ornaments, cut characters (PaddleOCR's
/// `drop_score`).
const MIN_CONFIDENCE: f32 = 0.5;
/// A character that stands alone must be read at least this surely: specks, bullets and parts of pictures look like
/// one. Alone, this takes the lines found from 92.2 to 92.4 % at tiny and from 93.3 to 93.5 % at small.
const MIN_LONE_CONFIDENCE: f32 = 0.7;

/// Why a picture could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The picture itself.
    #[error(transparent)]
    Imaging(#[from] ImagingError),
    /// No models for what was asked.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A model failed.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// A recogniser's dictionary can't be used.
    #[error("the dictionary of {model}: {source}")]
    Dictionary {
        /// The recogniser.
        model: String,
        /// What is wrong with it.
        source: DictionaryError,
    },
    /// The plan names a model that isn't loaded, or that lacks its constants.
    #[error("the model {model} can't be used: {reason}")]
    Model {
        /// Its name.
        model: String,
        /// What is missing.
        reason: &'static str,
    },
    /// The caller's [`Observer`] said stop.
    #[error("cancelled")]
    Cancelled,
}

impl EngineError {
    /// A stable word for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Imaging(e) => e.code(),
            Self::Plan(_) => "model_not_installed",
            Self::Runtime(e) => e.code(),
            Self::Dictionary { .. } | Self::Model { .. } => "model_unusable",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Hears of progress while a page is read. Every method has a default that does nothing.
pub trait Observer {
    /// Lines were found.
    fn detected(&mut self, _quads: &[Quad]) {}
    /// The line found at `index` was read; lines come in no particular order.
    fn line(&mut self, _index: usize, _quad: &Quad, _reading: &Reading) {}
    /// Asked between stages and batches; `true` ends the work with [`EngineError::Cancelled`].
    fn cancelled(&mut self) -> bool {
        false
    }
}

impl Observer for () {}

/// A model in memory.
pub struct Loaded {
    /// What the manifest says of it.
    pub entry: ModelEntry,
    /// The network.
    pub session: Arc<dyn Session>,
    /// A recogniser's characters.
    pub dictionary: Option<Dictionary>,
}

/// Tells how much time has passed since some fixed moment.
pub type Clock = fn() -> Duration;

/// Loaded models, shared by all threads. Models can be added and replaced while pages are being read: a page
/// keeps the ones it began with.
pub struct Engine {
    models: RwLock<HashMap<String, Arc<Loaded>>>,
    device: DeviceClass,
    clock: Clock,
}

impl Engine {
    /// An engine without models, timing its stages by wall clock.
    pub fn new(device: DeviceClass) -> Self {
        Self {
            models: RwLock::default(),
            device,
            clock: wall_clock,
        }
    }

    /// Times stages by another clock, such as the thread's processor time.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Adds a model, or replaces the one of the same name. A recogniser needs its dictionary's text.
    pub fn install(
        &self,
        entry: ModelEntry,
        session: Arc<dyn Session>,
        dictionary: Option<&str>,
    ) -> Result<(), EngineError> {
        let dictionary = dictionary
            .map(Dictionary::parse)
            .transpose()
            .map_err(|source| EngineError::Dictionary {
                model: entry.name.clone(),
                source,
            })?;
        let loaded = Arc::new(Loaded {
            entry,
            session,
            dictionary,
        });
        let mut models = self.models.write().unwrap_or_else(|e| e.into_inner());
        models.insert(loaded.entry.name.clone(), loaded);
        Ok(())
    }

    /// Drops a model. A page that began with it keeps it to its end.
    pub fn remove(&self, name: &str) {
        let mut models = self.models.write().unwrap_or_else(|e| e.into_inner());
        models.remove(name);
    }

    /// Whether a model of that name is loaded.
    pub fn has(&self, name: &str) -> bool {
        self.models
            .read()
            .unwrap_or_else(|e| e.into_inner())
            .contains_key(name)
    }

    /// Chooses among `installed` models for this engine's device.
    pub fn plan(
        &self,
        requirements: &Requirements,
        installed: &[&ModelEntry],
    ) -> Result<Plan, PlanError> {
        plan::plan(requirements, installed, self.device)
    }

    /// Decodes a picture and reads its pages.
    pub async fn read(
        &self,
        bytes: &[u8],
        limits: &Limits,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Document>, EngineError> {
        let mut pages = crate::imaging::pages(bytes, limits)?;
        let mut documents = Vec::new();
        loop {
            let began = (self.clock)();
            let Some(page) = pages.next().transpose()? else {
                break;
            };
            let decode = ((self.clock)() - began).as_secs_f64();
            let mut document = self.read_page(page, plan, observer).await?;
            document.timings.insert("decode", decode);
            document.processing_time += decode;
            documents.push(document);
        }
        Ok(documents)
    }

    /// Reads one page.
    pub async fn read_page(
        &self,
        page: Page,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Document, EngineError> {
        let stages = Stages::new(self, plan)?;
        let mut timer = Timer::new(self.clock);
        let (width, height) = (page.width, page.height);

        let turn = stages.page_turn(&page).await?;
        let page = orient::rotate(page, turn);
        timer.lap("page_orientation");
        check(observer)?;

        let mut found = stages.detect(&page).await?;
        timer.lap("detect");
        check(observer)?;

        let [along, across] = stages.recognition.margin;
        let mut strips: Vec<Strip> = found
            .iter()
            .map(|d| {
                crop::crop(
                    &page,
                    &d.quad.grown(along, across),
                    stages.recognition.height,
                )
            })
            .collect();
        let whole = whole_picture(&page, &found);
        let has_whole = whole.is_some();
        if let Some(line) = whole {
            strips.push(crop::crop(&page, &line.quad, stages.recognition.height));
            found.push(line);
        }
        let (page_width, page_height) = (page.width, page.height);
        drop(page);
        let in_picture = |quad: &Quad| turn.undo(quad, width, height);
        observer.detected(
            &found
                .iter()
                .map(|d| in_picture(&d.quad))
                .collect::<Vec<_>>(),
        );
        timer.lap("crop");

        stages.orient_lines(&mut strips).await?;
        timer.lap("line_orientation");
        check(observer)?;

        let quads: Vec<Quad> = found.iter().map(|d| in_picture(&d.quad)).collect();
        let mut reads = stages.read(&strips, &quads, observer).await?;
        check(observer)?;
        timer.lap("recognise");

        if has_whole {
            keep_better_of_whole(&mut reads, &found);
        }
        let mut lines: Vec<Line> = reads
            .into_iter()
            .flatten()
            .filter(|read| is_text(&read.reading, has_whole))
            .map(|read| line(&found[read.index].quad, &strips[read.index], &read))
            .collect();
        let columns: Vec<Quad> = lines
            .iter()
            .filter(|l| l.vertical)
            .map(|l| l.quad)
            .collect();
        lines.retain(|l| !tall(&l.quad) || !vertical::is_ruby(&l.quad, &columns));
        let mut content = document::assemble(lines, page_width, page_height);
        for line in &mut content.lines {
            line.quad = in_picture(&line.quad);
            for word in &mut line.words {
                word.quad = in_picture(&word.quad);
            }
        }
        for block in &mut content.blocks {
            block.quad = in_picture(&block.quad);
        }
        timer.lap("document");

        Ok(Document {
            text: content.text,
            confidence: content.confidence,
            processing_time: timer.total(),
            selected_models: plan.models().into_iter().map(String::from).collect(),
            id: String::new(),
            width,
            height,
            turn: turn.degrees(),
            device: stages.recogniser.session.executor(),
            language: plan.language.tag().into(),
            lines: content.lines,
            blocks: content.blocks,
            plan: plan.clone(),
            timings: timer.laps,
        })
    }

    fn get(&self, name: &str) -> Result<Arc<Loaded>, EngineError> {
        let models = self.models.read().unwrap_or_else(|e| e.into_inner());
        models.get(name).cloned().ok_or_else(|| EngineError::Model {
            model: name.into(),
            reason: "it isn't loaded",
        })
    }
}

fn check(observer: &mut dyn Observer) -> Result<(), EngineError> {
    if observer.cancelled() {
        return Err(EngineError::Cancelled);
    }
    Ok(())
}

fn wall_clock() -> Duration {
    use std::sync::OnceLock;
    static START: OnceLock<web_time::Instant> = OnceLock::new();
    START.get_or_init(web_time::Instant::now).elapsed()
}

/// The models and constants of one plan, held for the length of one page.
struct Stages {
    detector: Arc<Loaded>,
    detection: Detection,
    recogniser: Arc<Loaded>,
    recognition: Recognition,
    line_orientation: Option<(Arc<Loaded>, Classification)>,
    page_orientation: Option<(Arc<Loaded>, Classification)>,
    size: SizePolicy,
}

impl Stages {
    fn new(engine: &Engine, plan: &Plan) -> Result<Self, EngineError> {
        let unusable = |model: &str, reason| EngineError::Model {
            model: model.into(),
            reason,
        };
        let classifier = |name: &Option<String>| {
            name.as_deref()
                .map(|name| {
                    let model = engine.get(name)?;
                    let constants = model.entry.classification.clone();
                    let constants = constants
                        .ok_or_else(|| unusable(name, "it has no classification constants"))?;
                    Ok::<_, EngineError>((model, constants))
                })
                .transpose()
        };
        let detector = engine.get(&plan.detector)?;
        let recogniser = engine.get(&plan.recogniser)?;
        if recogniser.dictionary.is_none() {
            return Err(unusable(&plan.recogniser, "it has no dictionary"));
        }
        Ok(Self {
            detection: detector
                .entry
                .detection
                .clone()
                .ok_or_else(|| unusable(&plan.detector, "it has no detection constants"))?,
            recognition: recogniser
                .entry
                .recognition
                .clone()
                .ok_or_else(|| unusable(&plan.recogniser, "it has no recognition constants"))?,
            detector,
            recogniser,
            line_orientation: classifier(&plan.line_orientation)?,
            page_orientation: classifier(&plan.page_orientation)?,
            size: SizePolicy {
                max_side: plan.max_side,
                ..SizePolicy::of(engine.device)
            },
        })
    }

    fn dictionary(&self) -> &Dictionary {
        self.recogniser
            .dictionary
            .as_ref()
            .expect("checked when the stages were made")
    }

    async fn page_turn(&self, page: &Page) -> Result<Turn, RuntimeError> {
        match &self.page_orientation {
            Some((model, constants)) => orient::page(page, &*model.session, constants).await,
            None => Ok(Turn::None),
        }
    }

    async fn detect(&self, page: &Page) -> Result<Vec<Detected>, RuntimeError> {
        detect::detect(page, &*self.detector.session, &self.detection, &self.size).await
    }

    async fn orient_lines(&self, strips: &mut [Strip]) -> Result<(), RuntimeError> {
        match &self.line_orientation {
            Some((model, constants)) => orient::lines(strips, &*model.session, constants).await,
            None => Ok(()),
        }
    }
}

impl Stages {
    /// Reads the strips. What reads badly gets a second chance: tall lines as columns of upright characters, others
    /// upside down.
    async fn read(
        &self,
        strips: &[Strip],
        quads: &[Quad],
        observer: &mut dyn Observer,
    ) -> Result<Vec<Option<Read>>, RuntimeError> {
        let mut on_line = |index: usize, reading: &Reading| {
            observer.line(index, &quads[index], reading);
            if observer.cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let readings = self.recognise(strips, &mut on_line).await?;
        if observer.cancelled() {
            // What wasn't read yet would get its second chance otherwise.
            return Ok(Vec::new());
        }
        let mut reads: Vec<Option<Read>> = readings
            .into_iter()
            .enumerate()
            .map(|(index, reading)| {
                Some(Read {
                    index,
                    reading,
                    vertical: false,
                    flipped: false,
                })
            })
            .collect();

        let (mut others, mut retried) = (Vec::new(), Vec::new());
        for read in reads.iter().flatten() {
            let strip = &strips[read.index];
            let confidence = read.reading.confidence();
            if strip.turned
                && (confidence < SURE_TURNED || is_mostly_unspaced(&read.reading))
                && let Some(row) = vertical::row(strip)
            {
                retried.push(row.strip.clone());
                others.push((read.index, Some(row)));
            } else if confidence < DOUBTFUL && self.line_orientation.is_some() {
                let mut strip = strip.clone();
                strip.flip();
                retried.push(strip);
                others.push((read.index, None));
            }
        }
        let mut go_on = |_: usize, _: &Reading| {
            if observer.cancelled() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let readings = self.recognise(&retried, &mut go_on).await?;
        for ((index, row), reading) in others.into_iter().zip(readings) {
            let Some(first) = &mut reads[index] else {
                continue;
            };
            // A flipped reading must be clearly better: 0, 8, H, I, N, O, S, X and Z read either way.
            if row.is_some() && reading.confidence() > UPRIGHT && is_mostly_unspaced(&first.reading)
            {
                // Both ways read well: the characters stand upright, so it is a column and no turned line.
                first.vertical = true;
            }
            let least = first.reading.confidence() + if row.is_some() { 0.0 } else { 0.15 };
            if reading.confidence() > least && reading.len() * 2 >= first.reading.len() {
                first.vertical = row.is_some();
                first.flipped = row.is_none();
                first.reading = match row {
                    Some(row) => row.in_strip(reading),
                    None => reading,
                };
            }
        }
        Ok(reads)
    }

    async fn recognise(
        &self,
        strips: &[Strip],
        on_line: &mut dyn FnMut(usize, &Reading) -> ControlFlow<()>,
    ) -> Result<Vec<Reading>, RuntimeError> {
        recognise::recognise(
            strips,
            &*self.recogniser.session,
            self.dictionary(),
            &self.recognition,
            on_line,
        )
        .await
    }
}

/// Turned lines read at least this surely are taken as they are, unless they are Chinese or Japanese.
const SURE_TURNED: f32 = 0.9;
/// A turned Chinese or Japanese line whose characters, stood upright, read at least this surely is a vertical one.
const UPRIGHT: f32 = 0.6;
/// Lines read less surely than this are tried upside down.
const DOUBTFUL: f32 = 0.75;

fn is_mostly_unspaced(reading: &Reading) -> bool {
    let unspaced = reading
        .glyphs
        .iter()
        .filter(|g| recognise::is_unspaced(&g.text))
        .count();
    unspaced * 2 >= reading.len().max(1)
}

/// Heights up to this may be a single line cut out by hand, px.
const MAX_LINE_PICTURE_HEIGHT: u32 = 160;

/// The picture itself as one more candidate line, where it may be a line cut out tightly: the detector was trained
/// on text with surroundings and finds little or nothing in such pictures.
fn whole_picture(page: &Page, found: &[Detected]) -> Option<Detected> {
    let small = page.width.min(page.height) <= MAX_LINE_PICTURE_HEIGHT;
    (small && found.len() <= MAX_PARTS_OF_LINE && one_row(found)).then(|| Detected {
        quad: Quad::from_rect(0.0, 0.0, page.width as f32, page.height as f32),
        score: 0.0,
    })
}

/// A line picture falls apart into at most this many detections: characters set wide apart are each one.
const MAX_PARTS_OF_LINE: usize = 8;

fn one_row(found: &[Detected]) -> bool {
    let tops = found
        .iter()
        .map(|d| d.quad.bounds()[1])
        .fold(f32::MIN, f32::max);
    let bottoms = found
        .iter()
        .map(|d| d.quad.bounds()[3])
        .fold(f32::MAX, f32::min);
    found.is_empty() || tops < bottoms
}

/// A reading and what it was read from.
struct Read {
    /// Of the strip and its quad.
    index: usize,
    reading: Reading,
    /// Whether the strip was read as a column of upright characters.
    vertical: bool,
    /// Whether it had to be turned by 180° more than the strip is.
    flipped: bool,
}

/// Whether a reading is taken for text. A picture that is itself `one_line` hardly holds anything else.
fn is_text(reading: &Reading, one_line: bool) -> bool {
    let least = if reading.len() == 1 && !one_line {
        MIN_LONE_CONFIDENCE
    } else {
        MIN_CONFIDENCE
    };
    !reading.is_empty() && reading.confidence() >= least
}

/// Where the whole picture was read as well (it stands last), keeps it or the detected parts, whichever reads better.
fn keep_better_of_whole(reads: &mut Vec<Option<Read>>, found: &[Detected]) {
    let Some(whole) = reads.pop().flatten() else {
        return;
    };
    let mut parts: Vec<&Read> = reads.iter().flatten().collect();
    parts.sort_by(|a, b| {
        let left = |read: &Read| found[read.index].quad.bounds()[0];
        left(a).total_cmp(&left(b))
    });
    let readings = || parts.iter().map(|r| &r.reading);
    let length: usize = readings().map(Reading::len).sum();
    let score: f32 = readings().map(|r| r.confidence() * r.len() as f32).sum();
    let whole_score = whole.reading.confidence() * whole.reading.len() as f32;
    // The whole must be at least as sure, not just longer: it likes to end in a stain read as a full stop. Or it
    // says what the parts say and has letters that the detector missed.
    let sure = whole.reading.confidence() >= score / length.max(1) as f32;
    let text: String = readings().map(Reading::text).collect();
    if length == 0 || (whole_score > score && (sure || completes(&whole.reading.text(), &text))) {
        reads.clear();
        reads.push(Some(whole));
    }
}

/// Whether `whole` is `part` with letters or digits added. Spaces don't count.
fn completes(whole: &str, part: &str) -> bool {
    let mut part = part.chars().filter(|c| !c.is_whitespace()).peekable();
    let only_letters_more = whole
        .chars()
        .filter(|c| !c.is_whitespace())
        .all(|c| part.next_if_eq(&c).is_some() || c.is_alphanumeric());
    only_letters_more && part.peek().is_none()
}

/// Whether a line stands in the picture, whichever way its text runs: ruby is too short to tell.
fn tall(quad: &Quad) -> bool {
    let [x0, y0, x1, y1] = quad.bounds();
    y1 - y0 > x1 - x0
}

fn line(quad: &Quad, strip: &Strip, read: &Read) -> Line {
    // The frame the text runs in: its first corner is the text's top left. A vertical line keeps the picture's.
    let mut frame = *quad;
    if strip.turned {
        frame.0.rotate_left(1);
    }
    if strip.flipped != read.flipped {
        frame.0.rotate_left(2);
    }
    let upright = |part: Quad| {
        let mut part = part;
        if read.vertical {
            part.0.rotate_right(1);
        }
        part
    };
    let reading = &read.reading;
    let words = recognise::words(reading)
        .into_iter()
        .map(|word| {
            let glyphs = &reading.glyphs[word.glyphs];
            Word {
                text: glyphs.iter().map(|g| g.text.as_str()).collect(),
                confidence: glyphs.iter().map(|g| g.confidence).sum::<f32>()
                    / glyphs.len().max(1) as f32,
                quad: upright(frame.slice(word.start, word.end)),
            }
        })
        .collect();
    Line {
        text: reading.text(),
        confidence: reading.confidence(),
        quad: upright(frame),
        words,
        vertical: read.vertical,
    }
}

struct Timer {
    clock: Clock,
    began: Duration,
    last: Duration,
    laps: BTreeMap<&'static str, f64>,
}

impl Timer {
    fn new(clock: Clock) -> Self {
        let now = clock();
        Self {
            clock,
            began: now,
            last: now,
            laps: BTreeMap::new(),
        }
    }

    fn lap(&mut self, stage: &'static str) {
        let now = (self.clock)();
        self.laps.insert(stage, (now - self.last).as_secs_f64());
        self.last = now;
    }

    fn total(&self) -> f64 {
        (self.last - self.began).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use maoocr_models::Manifest;
    use maoocr_runtime::{BestPath, RunFuture, Tensor};

    use super::*;
    use crate::recognise::Glyph;

    fn reading(text: &str, confidence: f32) -> Reading {
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

    /// The texts kept of parts, each at an x, and of the whole picture.
    fn kept(parts: &[(&str, f32, f32)], whole: (&str, f32)) -> Vec<String> {
        let rect = |x: f32| Detected {
            quad: Quad::from_rect(x, 0.0, x + 10.0, 10.0),
            score: 1.0,
        };
        let found: Vec<Detected> = parts.iter().map(|p| rect(p.2)).chain([rect(0.0)]).collect();
        let all = parts.iter().map(|p| (p.0, p.1)).chain([whole]);
        let mut reads = all
            .enumerate()
            .map(|(index, (text, confidence))| {
                Some(Read {
                    index,
                    reading: reading(text, confidence),
                    vertical: false,
                    flipped: false,
                })
            })
            .collect();
        keep_better_of_whole(&mut reads, &found);
        reads.iter().flatten().map(|r| r.reading.text()).collect()
    }

    #[test]
    fn the_whole_picture_is_kept_where_it_reads_better() {
        assert_eq!(kept(&[], ("abc", 0.6)), ["abc"]);
        assert_eq!(kept(&[("bc", 0.8, 0.0)], ("abc", 0.9)), ["abc"]);
        assert_eq!(kept(&[("abc", 0.9, 0.0)], ("xbc", 0.8)), ["abc"]);
        // A stain at the end.
        assert_eq!(kept(&[("abc", 0.9, 0.0)], ("abc.", 0.8)), ["abc"]);
        // Letters that the detector missed; the parts come in no order.
        assert_eq!(
            kept(&[("d", 0.99, 30.0), ("b", 0.99, 10.0)], ("a b c d", 0.9)),
            ["a b c d"]
        );
        assert_eq!(
            kept(&[("d", 0.99, 10.0), ("b", 0.99, 30.0)], ("a b c d", 0.9)),
            ["d", "b"]
        );
    }

    #[test]
    fn a_lone_character_must_be_sure() {
        assert!(!is_text(&reading("O", 0.6), false));
        assert!(is_text(&reading("O", 0.6), true));
        assert!(is_text(&reading("O", 0.8), false));
        assert!(is_text(&reading("OK", 0.6), false));
        assert!(!is_text(&reading("OK", 0.4), true));
        assert!(!is_text(&Reading::default(), true));
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
        assert!(stages.line_orientation.is_some());
        let strip = Strip {
            width: 96,
            height: 48,
            rgb: vec![255; 96 * 48 * 3],
            turned: false,
            flipped: false,
        };
        let quad = Quad::from_rect(0.0, 0.0, 96.0, 48.0);
        let asked = |lines: usize| {
            session.0.store(0, Ordering::Relaxed);
            let (strips, mut observer) = (vec![strip.clone(); 5], Impatient(lines));
            pollster::block_on(stages.read(&strips, &[quad; 5], &mut observer)).unwrap();
            session.0.load(Ordering::Relaxed)
        };
        assert_eq!(asked(2), 2);
        // What reads badly is read once more, upside down.
        assert_eq!(asked(100), 10);
    }
}
