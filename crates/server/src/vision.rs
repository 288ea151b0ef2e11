//! Pages that a document-vision model reads, which another server runs (vLLM, SGLang, llama.cpp). The engine reads each
//! page, too: its lines say where things stand, and are the answer where the model fails.

mod breaker;
mod client;
mod config;
mod markdown;
mod place;
mod table;

use std::time::Duration;

use futures_util::future::join_all;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder};
use maoocr_engine::document::PageText;
use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::Image;
use maoocr_engine::orient::{Turn, rotate};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use utoipa::ToSchema;

pub use config::VisionConfig;

use crate::document::ReadPage;
use crate::metrics;
use crate::serve::ServeError;
use breaker::Breaker;
use client::{Asker, Fault};

/// JPEG quality of the pictures that are sent.
const QUALITY: u8 = 92;
/// Of a deadline, what is left for the rest.
const REST: Duration = Duration::from_millis(300);

/// The model, and whether it works.
pub struct Vision {
    asker: Asker,
    breaker: Breaker,
    places: Semaphore,
    timeout: Duration,
    side: u32,
}

/// What became of a page that a vision model was planned for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct VisionRead {
    /// Name of the model.
    pub model: String,
    /// Whether `text` and `blocks` are from it. `lines` are always from the other models.
    pub used: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub reason: Option<String>,
    /// Tokens of the request, where its server counts them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub prompt_tokens: Option<u64>,
    /// Tokens of its answer, likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    pub completion_tokens: Option<u64>,
}

/// A page's picture on its way to the model, not larger than it takes.
pub struct Sight(Image);

impl Sight {
    /// Of a page, with a longer side of `side` px at most; none if it can't be scaled.
    pub fn of(image: &Image, side: u32) -> Option<Self> {
        image.within(side).ok().map(Self)
    }

    /// As a JPEG, upright after this clockwise turn in degrees.
    pub fn into_jpeg(self, turn: u16) -> Option<Vec<u8>> {
        let Image { width, height, rgb } = rotate(self.0, Turn::by(turn));
        let mut jpeg = Vec::new();
        let encoder = JpegEncoder::new_with_quality(&mut jpeg, QUALITY);
        let encoded = encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8);
        encoded.ok().map(|()| jpeg)
    }
}

impl Vision {
    /// The model of the configuration, if it has one.
    ///
    /// # Errors
    /// The options are wrong, or the HTTP client can't be created.
    pub fn new(config: &VisionConfig) -> Result<Option<Self>, ServeError> {
        let Some((url, model)) = config.target()? else {
            return Ok(None);
        };
        metrics::vision_works(true);
        Ok(Some(Self {
            asker: Asker::new(config, url, model)?,
            breaker: Breaker::new(config.pause),
            places: Semaphore::new(config.concurrency.into()),
            timeout: config.timeout,
            side: config.side,
        }))
    }

    /// Its name.
    pub fn model(&self) -> &str {
        &self.asker.model
    }

    /// Longer side of the pictures that it is sent, px.
    pub fn side(&self) -> u32 {
        self.side
    }

    /// Whether it is asked now: it didn't fail several times in a row.
    pub fn works(&self) -> bool {
        self.breaker.is_closed()
    }

    /// What its answers depend on besides the page, for the cache's key.
    pub fn fingerprint(&self) -> String {
        format!("{} {}", self.asker.fingerprint(), self.side)
    }

    /// Has it read the pages that have a picture for it, `left` at most; whether it read all of them.
    pub async fn read(&self, pages: &mut [ReadPage], left: Option<Duration>) -> bool {
        let end = left.map(|left| Instant::now() + left.saturating_sub(REST));
        let all = join_all(pages.iter_mut().map(|page| self.page(page, end))).await;
        all.into_iter().all(|read| read)
    }

    async fn page(&self, page: &mut ReadPage, end: Option<Instant>) -> bool {
        let Some(jpeg) = page.sight.take() else {
            return true;
        };
        let began = Instant::now();
        let read = self.ask(&jpeg, page, end).await;
        let seconds = began.elapsed().as_secs_f64();
        metrics::vision(read.as_ref().err().map_or("read", Fault::code), seconds);
        page.answer.processing_time += seconds;
        page.answer.timings.insert("vision", seconds);
        let mut told = VisionRead {
            model: self.model().into(),
            used: read.is_ok(),
            reason: None,
            prompt_tokens: None,
            completion_tokens: None,
        };
        match read {
            Ok((text, [prompt, completion])) => {
                metrics::vision_tokens(prompt, completion);
                page.answer.selected_models.push(told.model.clone());
                page.answer.text.clone_from(&text.text);
                page.text = Some(text);
                told.prompt_tokens = Some(prompt).filter(|n| *n > 0);
                told.completion_tokens = Some(completion).filter(|n| *n > 0);
            }
            Err(fault) => {
                tracing::warn!(model = told.model, %fault, "a page was read without the vision model");
                let reason = format!("read without {}: {fault}", told.model);
                page.answer.plan.reasons.push(reason);
                told.reason = Some(fault.to_string());
            }
        }
        let used = told.used;
        page.vision = Some(told);
        used
    }

    async fn ask(
        &self,
        jpeg: &[u8],
        page: &ReadPage,
        end: Option<Instant>,
    ) -> Result<(PageText, [u64; 2]), Fault> {
        // Before and after the wait: of those that wait, most needn't find out what the first did.
        if self.breaker.pass().is_none() {
            return Err(Fault::Open);
        }
        let place = self.places.acquire();
        let place = match end {
            Some(end) => tokio::time::timeout_at(end, place)
                .await
                .map_err(|_| Fault::Busy)?,
            None => place.await,
        };
        let _place = place.map_err(|_| Fault::Busy)?;
        // The wait for the pages before it is not the model's time.
        let own = Instant::now() + self.timeout;
        let end = end.map_or(own, |end| end.min(own));
        let pass = self.breaker.pass().ok_or(Fault::Open)?;
        let said = match self.asker.ask(jpeg, end).await {
            Ok(said) => {
                pass.succeeded();
                metrics::vision_works(true);
                said
            }
            Err(fault) if fault.is_of_page() => {
                // It did answer.
                pass.succeeded();
                return Err(fault);
            }
            Err(fault) => {
                if pass.failed() {
                    metrics::vision_works(false);
                }
                return Err(fault);
            }
        };
        let answer = &page.answer;
        if place::is_unlike(&said.text, &answer.lines) {
            return Err(Fault::Unlike);
        }
        let text = page_text(&said.text, page).ok_or(Fault::Empty)?;
        Ok((text, said.tokens))
    }
}

/// The page as the model says it, with the engine's lines.
fn page_text(markdown: &str, page: &ReadPage) -> Option<PageText> {
    let answer = &page.answer;
    // With regions, lines have the order of these.
    let lines = page.text.as_ref().map_or(&answer.lines, |text| &text.lines);
    let area = Quad::from_rect(0.0, 0.0, answer.width as f32, answer.height as f32);
    let mut regions = markdown::regions(markdown, area);
    place::place(&mut regions, lines);
    let texts: Vec<&str> = regions.iter().map(|region| region.text.as_str()).collect();
    let text = texts.join("\n\n");
    (!text.is_empty()).then(|| PageText {
        index: page.index,
        width: answer.width,
        height: answer.height,
        dpi: page.text.as_ref().and_then(|text| text.dpi),
        turn: answer.turn,
        text,
        confidence: answer.confidence,
        lines: lines.clone(),
        regions,
    })
}
