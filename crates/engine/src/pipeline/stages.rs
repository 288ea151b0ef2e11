//! What a plan runs: its models and their constants, and each stage with them.

use std::ops::ControlFlow;
use std::sync::Arc;

use maoocr_models::manifest::{Classification, Detection, Recognition, Sureness};
use maoocr_runtime::RuntimeError;

use super::registry::{Engine, EngineError, Loaded};
use crate::crop::{self, Strip};
use crate::detect::{self, Detected, SizePolicy};
use crate::geometry::Quad;
use crate::imaging::Image;
use crate::orient::{self, Turn};
use crate::plan::Plan;
use crate::recognise::{self, Dictionary, Reading};
use crate::veil::Veil;

/// A recogniser with its constants.
pub(super) struct Reader {
    model: Arc<Loaded>,
    recognition: Recognition,
}

impl Reader {
    fn new(engine: &Engine, name: &str) -> Result<Self, EngineError> {
        let unusable = |reason| EngineError::Model {
            model: name.into(),
            reason,
        };
        let model = engine.get(name)?;
        if model.dictionary.is_none() {
            return Err(unusable("it has no dictionary"));
        }
        let recognition = model.entry.recognition.clone();
        let recognition = recognition.ok_or_else(|| unusable("it has no recognition constants"))?;
        Ok(Self { model, recognition })
    }

    /// The model's name.
    pub(super) fn name(&self) -> &str {
        &self.model.entry.name
    }

    fn dictionary(&self) -> &Dictionary {
        let dictionary = self.model.dictionary.as_ref();
        dictionary.expect("checked when the reader was made")
    }
}

/// The models and constants of one plan, held for the length of one page.
pub(super) struct Stages {
    detector: Arc<Loaded>,
    detection: Detection,
    reader: Reader,
    /// Of single scripts, for lines that the first can't read.
    others: Vec<Reader>,
    line_orientation: Option<(Arc<Loaded>, Classification)>,
    page_orientation: Option<(Arc<Loaded>, Classification)>,
    size: SizePolicy,
}

impl Stages {
    /// Takes what the plan names from the engine.
    pub(super) fn new(engine: &Engine, plan: &Plan) -> Result<Self, EngineError> {
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
        let others = plan.script_recognisers.iter();
        Ok(Self {
            detection: detector
                .entry
                .detection
                .clone()
                .ok_or_else(|| unusable(&plan.detector, "it has no detection constants"))?,
            detector,
            reader: Reader::new(engine, &plan.recogniser)?,
            others: others
                .map(|name| Reader::new(engine, name))
                .collect::<Result<_, _>>()?,
            line_orientation: classifier(&plan.line_orientation)?,
            page_orientation: classifier(&plan.page_orientation)?,
            size: SizePolicy {
                max_side: plan.max_side,
                ..SizePolicy::of(engine.device)
            },
        })
    }

    /// How the page has to be turned.
    pub(super) async fn page_turn(&self, page: &Image) -> Result<Turn, RuntimeError> {
        match &self.page_orientation {
            Some((model, constants)) => orient::page_turn(page, &*model.session, constants).await,
            None => Ok(Turn::None),
        }
    }

    /// Where the lines of a page are, and the page without its watermark, if one hides lines.
    pub(super) async fn detect(
        &self,
        page: &Image,
    ) -> Result<(Vec<Detected>, Option<Image>), RuntimeError> {
        let found = self.detect_on(page).await?;
        let Some(veil) = Veil::find(page) else {
            return Ok((found, None));
        };
        let lifted = veil.lifted(page);
        let found = veil.parted(found, self.detect_on(&lifted).await?);
        let hides = found.iter().any(|line| line.veiled);
        Ok((found, hides.then_some(lifted)))
    }

    async fn detect_on(&self, page: &Image) -> Result<Vec<Detected>, RuntimeError> {
        detect::detect(page, &*self.detector.session, &self.detection, &self.size).await
    }

    /// Turns lines that are upside down.
    pub(super) async fn orient_lines(&self, strips: &mut [&mut Strip]) -> Result<(), RuntimeError> {
        match &self.line_orientation {
            Some((model, constants)) => {
                orient::flip_upside_down(strips, &*model.session, constants).await
            }
            None => Ok(()),
        }
    }

    /// Cuts a line out of a page, with the margin that the recogniser wants.
    pub(super) fn cut(&self, page: &Image, line: &Quad) -> Strip {
        crop::crop(
            page,
            line,
            self.reader.recognition.margin,
            self.reader.recognition.height,
        )
    }

    /// Cuts a line out of a page that lies, however tall its box is.
    pub(super) fn cut_lying(&self, page: &Image, line: &Quad) -> Strip {
        crop::crop_lying(
            page,
            line,
            self.reader.recognition.margin,
            self.reader.recognition.height,
        )
    }

    /// Cuts a line out of a page without anything around it.
    pub(super) fn cut_tightly(&self, page: &Image, line: &Quad) -> Strip {
        crop::crop(page, line, [0.0; 2], self.reader.recognition.height)
    }

    /// Whether lines may be upside down.
    pub(super) fn may_be_upside_down(&self) -> bool {
        self.line_orientation.is_some()
    }

    /// How surely the recogniser must read.
    pub(super) fn sureness(&self) -> &Sureness {
        &self.reader.recognition.sureness
    }

    /// What executes the recogniser.
    pub(super) fn executor(&self) -> String {
        self.reader.model.session.executor()
    }

    /// The recognisers of single scripts.
    pub(super) fn others(&self) -> &[Reader] {
        &self.others
    }

    /// What the strips say.
    pub(super) async fn recognise(
        &self,
        strips: &[&Strip],
        on_line: &mut dyn FnMut(usize, &Reading) -> ControlFlow<()>,
    ) -> Result<Vec<Reading>, RuntimeError> {
        self.recognise_with(&self.reader, strips, on_line).await
    }

    /// What the strips say to one of the recognisers.
    pub(super) async fn recognise_with(
        &self,
        reader: &Reader,
        strips: &[&Strip],
        on_line: &mut dyn FnMut(usize, &Reading) -> ControlFlow<()>,
    ) -> Result<Vec<Reading>, RuntimeError> {
        recognise::read_strips(
            strips,
            &*reader.model.session,
            reader.dictionary(),
            &reader.recognition,
            on_line,
        )
        .await
    }
}
