//! A page of a document → its text: from its text layer where that is sound, else by reading what is seen.

mod pictures;

use std::collections::BTreeMap;

use crate::answer;
use crate::document::{self, Content, Line, PageText, Region, RegionKind};
use crate::geometry::Quad;
use crate::imaging::Image;
use crate::layer::{self, Verdict};
use crate::page::{Page, TextLayer};
use crate::pipeline::{Engine, EngineError, Observer};
use crate::plan::Plan;
use crate::structure::{self, StructureOptions};
use pictures::{cut, moved, overlap};

/// When a page's text layer is used.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LayerUse {
    /// Where it agrees with what is seen.
    #[default]
    Auto,
    /// The same, but for unseen text: what an older program read is read again.
    Painted,
    /// Wherever there is one.
    Always,
    /// Nowhere: pages are read as pictures.
    Never,
}

/// A page that was read.
pub struct Reading {
    /// What it says.
    pub text: PageText,
    /// What its text layer was found to be; [`Verdict::Sound`] means the text is from there.
    pub layer: Verdict,
    /// Whether the layer has text that is painted.
    pub painted: bool,
    /// The same as the answer for a single picture.
    pub answer: answer::Answer,
}

/// Reads the pictures of a document's pages: an [`Engine`], or one that is elsewhere.
pub trait Reader {
    /// What it answers for a picture.
    type Answer;
    /// Why it doesn't.
    type Error;

    /// Reads a picture as if it came alone; `whole` where it is all of the page.
    fn read_picture(
        &mut self,
        page: Page,
        whole: bool,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>>;

    /// Reads the lines in some quads, in px of `image`, as [`Engine::read_lines`] does.
    fn read_lines(
        &mut self,
        image: &Image,
        quads: &[Quad],
    ) -> impl Future<Output = Result<Vec<Line>, Self::Error>>;

    /// The lines of an answer, in reading order.
    fn lines(answer: &Self::Answer) -> &[Line];
}

/// A page's lines, from its text layer or from its picture.
pub struct Lines<A> {
    /// Where they are from.
    pub from: From<A>,
    /// What the text layer is.
    pub worth: Worth,
}

/// Where the lines of a page are from.
pub enum From<A> {
    /// The whole page was read as a picture.
    Picture(A),
    /// From its text layer.
    Layer {
        /// Its lines in reading order, those of its pictures among them.
        content: Content,
        /// What was read in its pictures last, where there were any with room for text.
        picture: Option<A>,
    },
}

/// What a page's text layer is worth.
#[derive(Clone, Copy, Debug)]
pub struct Worth {
    /// What it was found to be.
    pub verdict: Verdict,
    /// Whether its text is the unseen one.
    pub unseen: bool,
    /// Whether it has text that is painted.
    pub painted: bool,
}

/// Reads a page's lines: those of its text layer where it is sound, else what is seen. Without `keep_image` the page's
/// pixels are gone where they were read.
///
/// # Errors
/// Where the reader fails.
pub async fn read_lines_of_page<R: Reader>(
    reader: &mut R,
    page: &mut Page,
    layer_use: LayerUse,
    keep_image: bool,
) -> Result<Lines<R::Answer>, R::Error> {
    let worth = match &page.text_layer {
        Some(layer) => worth(reader, layer, &page.image, layer_use).await?,
        None => Worth {
            verdict: Verdict::Absent,
            unseen: false,
            painted: false,
        },
    };
    let from = match &page.text_layer {
        Some(layer) if worth.verdict == Verdict::Sound => {
            read_layer(reader, layer, worth.unseen, &page.image).await?
        }
        _ => {
            let image = if keep_image {
                page.image.clone()
            } else {
                let (width, height) = (page.image.width, page.image.height);
                let rgb = std::mem::take(&mut page.image.rgb);
                Image { width, height, rgb }
            };
            let picture = Page {
                dpi: page.dpi,
                index: page.index,
                ..Page::from(image)
            };
            From::Picture(reader.read_picture(picture, true).await?)
        }
    };
    Ok(Lines { from, worth })
}

/// Finds the regions of a page whose lines were read; `turn` is the clockwise one that makes them upright, degrees.
pub fn structured(
    page: &Page,
    lines: Vec<Line>,
    turn: u16,
    worth: Worth,
    options: &StructureOptions,
) -> PageText {
    let layer = page.text_layer.as_ref().map(|layer| trusted(layer, worth));
    PageText {
        index: page.index,
        dpi: page.dpi,
        turn,
        ..structure::analyse(&page.image, lines, layer.as_ref(), options)
    }
}

/// What a layer is worth.
async fn worth<R: Reader>(
    reader: &mut R,
    layer: &TextLayer,
    image: &Image,
    layer_use: LayerUse,
) -> Result<Worth, R::Error> {
    let painted = layer.glyphs.iter().filter(|g| g.visible).count();
    let worth = |verdict, unseen| Worth {
        verdict,
        unseen,
        painted: painted > 0,
    };
    let unseen = painted * 2 < layer.glyphs.len();
    Ok(match layer_use {
        LayerUse::Never => worth(Verdict::Absent, false),
        LayerUse::Always if layer.glyphs.iter().any(|g| !g.text.trim().is_empty()) => {
            worth(Verdict::Sound, unseen)
        }
        LayerUse::Always => worth(Verdict::Absent, false),
        LayerUse::Auto | LayerUse::Painted => match layer::sample(layer) {
            Err(verdict) => worth(verdict, unseen),
            Ok(sample) if sample.unseen && layer_use == LayerUse::Painted => {
                worth(Verdict::Poor, true)
            }
            Ok(sample) => {
                let quads: Vec<Quad> = sample.lines.iter().map(|l| l.quad).collect();
                let readings = reader.read_lines(image, &quads).await?;
                worth(layer::judge(&sample, &readings), sample.unseen)
            }
        },
    })
}

async fn read_layer<R: Reader>(
    reader: &mut R,
    layer: &TextLayer,
    unseen: bool,
    image: &Image,
) -> Result<From<R::Answer>, R::Error> {
    let mut lines = layer::lines(layer, !unseen);
    let mut picture = None;
    if !unseen {
        for area in pictures::pictures(layer, image, &lines) {
            let read = reader.read_picture(cut(image, area).into(), false).await?;
            let own = lines.clone();
            lines.extend(R::lines(&read).iter().filter_map(|line| {
                let line = moved(line.clone(), area[0] as f32, area[1] as f32);
                (!own.iter().any(|o| overlap(o, &line))).then_some(line)
            }));
            picture = Some(read);
        }
    }
    Ok(From::Layer {
        content: document::assemble(lines, image.width, image.height),
        picture,
    })
}

/// An engine as the reader of a document's pictures.
struct Here<'a> {
    engine: &'a Engine,
    plan: &'a Plan,
    observer: &'a mut dyn Observer,
}

impl Reader for Here<'_> {
    type Answer = answer::Answer;
    type Error = EngineError;

    async fn read_picture(&mut self, page: Page, _: bool) -> Result<answer::Answer, EngineError> {
        self.engine.read_page(page, self.plan, self.observer).await
    }

    async fn read_lines(
        &mut self,
        image: &Image,
        quads: &[Quad],
    ) -> Result<Vec<Line>, EngineError> {
        self.engine.read_lines(image, quads, self.plan).await
    }

    fn lines(answer: &answer::Answer) -> &[Line] {
        &answer.lines
    }
}

impl Engine {
    /// Reads a page of a document; with `structure`, its regions are found, else they are paragraphs.
    ///
    /// # Errors
    /// Where a model of the plan isn't there or fails, or the observer says stop.
    pub async fn read_document_page(
        &self,
        page: Page,
        layer_use: LayerUse,
        structure: Option<&StructureOptions>,
        plan: &Plan,
        observer: &mut dyn Observer,
    ) -> Result<Reading, EngineError> {
        let mut reader = Here {
            engine: self,
            plan,
            observer,
        };
        read_page(&mut reader, page, layer_use, structure, plan).await
    }
}

/// Reads a page of a document with whatever reads its pictures; see [`Engine::read_document_page`].
///
/// # Errors
/// Where the reader fails.
pub async fn read_page<R: Reader<Answer = answer::Answer>>(
    reader: &mut R,
    mut page: Page,
    layer_use: LayerUse,
    structure: Option<&StructureOptions>,
    plan: &Plan,
) -> Result<Reading, R::Error> {
    let began = web_time::Instant::now();
    let Lines { from, worth } =
        read_lines_of_page(reader, &mut page, layer_use, structure.is_some()).await?;
    let answer = match from {
        From::Picture(answer) => answer,
        From::Layer { content, picture } => of_layer(
            content,
            picture,
            &page.image,
            plan,
            began.elapsed().as_secs_f64(),
        ),
    };
    let text = match structure {
        Some(options) => structured(&page, answer.lines.clone(), answer.turn, worth, options),
        None => paragraphs(&answer, page.index, page.dpi),
    };
    Ok(Reading {
        text,
        layer: worth.verdict,
        painted: worth.painted,
        answer,
    })
}

/// The answer for a page whose text is from its layer.
fn of_layer(
    content: Content,
    picture: Option<answer::Answer>,
    image: &Image,
    plan: &Plan,
    seconds: f64,
) -> answer::Answer {
    let Content {
        lines,
        blocks,
        text,
        confidence,
    } = content;
    answer::Answer {
        text,
        confidence,
        processing_time: seconds,
        selected_models: picture.map_or_else(Vec::new, |read| read.selected_models),
        id: String::new(),
        width: image.width,
        height: image.height,
        turn: 0,
        device: "text layer".into(),
        language: plan.language.tag().into(),
        lines,
        blocks,
        dropped: Vec::new(),
        plan: plan.clone(),
        timings: BTreeMap::from([("text_layer", seconds)]),
    }
}

/// A layer without the characters that are not believed; its rules and pictures are what is seen.
fn trusted(layer: &TextLayer, worth: Worth) -> TextLayer {
    let mut layer = layer.clone();
    if worth.verdict == Verdict::Sound {
        layer.glyphs.retain(|g| g.visible != worth.unseen);
    } else {
        layer.glyphs.clear();
    }
    layer
}

/// What was read as paragraphs, for callers who want no more.
pub fn paragraphs(answer: &answer::Answer, index: usize, dpi: Option<f32>) -> PageText {
    let regions = answer.blocks.iter().map(|block| {
        let lines = || block.lines.iter().filter_map(|&i| answer.lines.get(i));
        let characters: f32 = lines().map(|l| l.text.chars().count() as f32).sum();
        let sum: f32 = lines()
            .map(|l| l.confidence * l.text.chars().count() as f32)
            .sum();
        Region {
            kind: RegionKind::Paragraph,
            level: None,
            quad: block.quad,
            confidence: sum / characters.max(1.0),
            lines: block.lines.clone(),
            text: lines()
                .map(|l| l.text.as_str())
                .collect::<Vec<_>>()
                .join("\n"),
            table: None,
            items: Vec::new(),
            caption: None,
            continued: false,
            picture: None,
        }
    });
    PageText {
        index,
        width: answer.width,
        height: answer.height,
        dpi,
        turn: answer.turn,
        text: answer.text.clone(),
        confidence: answer.confidence,
        regions: regions.collect(),
        lines: answer.lines.clone(),
    }
}
