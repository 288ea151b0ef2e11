//! A page of a document → its text: from its text layer where that is sound, else by reading what is seen.

use std::collections::BTreeMap;

use crate::answer;
use crate::document::{self, Content, Line, PageText, Region, RegionKind};
use crate::geometry::{Point, Quad};
use crate::imaging::Image;
use crate::layer::{self, Verdict};
use crate::page::{Page, TextLayer};
use crate::pipeline::{Engine, EngineError, Observer};
use crate::plan::Plan;
use crate::structure::{self, StructureOptions};

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
        for area in pictures(layer, image, &lines) {
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

/// Pictures of a page that are read at most.
const MAX_PICTURES: usize = 8;
/// Least size of a picture that may hold text, px.
const MIN_PICTURE: [u32; 2] = [48, 20];

/// Parts of a page that may hold text besides its layer's, px: x, y, width, height.
fn pictures(layer: &TextLayer, image: &Image, lines: &[Line]) -> Vec<[u32; 4]> {
    let whole = f64::from(image.width) * f64::from(image.height);
    let mut areas: Vec<[u32; 4]> = layer
        .pictures
        .iter()
        .filter_map(|quad| {
            let [x0, y0, x1, y1] = quad.bounds();
            let side = |v: f32, most: u32| v.round().clamp(0.0, most as f32) as u32;
            let (x0, y0) = (side(x0, image.width), side(y0, image.height));
            let (x1, y1) = (side(x1, image.width), side(y1, image.height));
            let (w, h) = (x1.saturating_sub(x0), y1.saturating_sub(y0));
            (w >= MIN_PICTURE[0] && h >= MIN_PICTURE[1]).then_some([x0, y0, w, h])
        })
        // A ground that the text stands on, in strips or whole.
        .filter(|[x, y, w, h]| {
            let covered: f32 = lines
                .iter()
                .filter(|line| {
                    let c = line.quad.center();
                    c.x >= *x as f32
                        && c.x <= (x + w) as f32
                        && c.y >= *y as f32
                        && c.y <= (y + h) as f32
                })
                .map(|line| line.quad.width() * line.quad.height())
                .sum();
            covered < 0.15 * *w as f32 * *h as f32
        })
        .collect();
    let area = |a: &[u32; 4]| f64::from(a[2]) * f64::from(a[3]);
    areas.sort_by(|a, b| area(b).total_cmp(&area(a)));
    areas.dedup();
    if areas.iter().map(area).sum::<f64>() > 0.6 * whole {
        return vec![[0, 0, image.width, image.height]];
    }
    areas.truncate(MAX_PICTURES);
    areas
}

fn cut(image: &Image, [x, y, w, h]: [u32; 4]) -> Image {
    let row = |y: u32| (y as usize * image.width as usize + x as usize) * 3;
    let rgb = (y..y + h)
        .flat_map(|y| &image.rgb[row(y)..row(y) + w as usize * 3])
        .copied()
        .collect();
    Image {
        width: w,
        height: h,
        rgb,
    }
}

fn moved(mut line: Line, x: f32, y: f32) -> Line {
    let shift = |quad: &mut Quad| quad.0 = quad.0.map(|p| Point::new(p.x + x, p.y + y));
    shift(&mut line.quad);
    line.words.iter_mut().for_each(|w| shift(&mut w.quad));
    line
}

/// Whether two lines are about the same place.
fn overlap(a: &Line, b: &Line) -> bool {
    let (a, b) = (a.quad.bounds(), b.quad.bounds());
    let w = a[2].min(b[2]) - a[0].max(b[0]);
    let h = a[3].min(b[3]) - a[1].max(b[1]);
    let area = |r: [f32; 4]| (r[2] - r[0]) * (r[3] - r[1]);
    w > 0.0 && h > 0.0 && w * h > 0.25 * area(a).min(area(b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(x0: f32, y0: f32, x1: f32, y1: f32) -> Line {
        Line {
            text: "x".into(),
            confidence: 1.0,
            quad: Quad::from_rect(x0, y0, x1, y1),
            words: Vec::new(),
            vertical: false,
        }
    }

    #[test]
    fn pictures_with_room_for_text_are_read_and_grounds_are_not() {
        let image = Image {
            width: 1000,
            height: 1000,
            rgb: Vec::new(),
        };
        let layer = TextLayer {
            pictures: vec![
                Quad::from_rect(100.0, 500.0, 500.0, 800.0),
                Quad::from_rect(0.0, 0.0, 10.0, 10.0),
                Quad::from_rect(100.0, 100.0, 500.0, 200.0),
            ],
            ..TextLayer::default()
        };
        // Text stands on the last one.
        let lines = [line(110.0, 110.0, 480.0, 190.0)];
        assert_eq!(pictures(&layer, &image, &lines), [[100, 500, 400, 300]]);
    }

    #[test]
    fn a_part_is_cut_where_it_is() {
        let image = Image {
            width: 3,
            height: 2,
            rgb: (0..18).collect(),
        };
        assert_eq!(cut(&image, [1, 1, 2, 1]).rgb, [12, 13, 14, 15, 16, 17]);
    }

    #[test]
    fn lines_of_the_same_place_overlap() {
        let a = line(0.0, 0.0, 100.0, 20.0);
        assert!(overlap(&a, &line(10.0, 2.0, 60.0, 18.0)));
        assert!(!overlap(&a, &line(0.0, 18.0, 100.0, 40.0)));
    }
}
