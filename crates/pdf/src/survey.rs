//! The first walk over a page: what it says, what is drawn on it, and what drawing it would cost.
//!
//! Coordinates are points of the page as displayed: origin at the top left of its crop box, y down, turned as `/Rotate`
//! says.

mod cost;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

use hayro::hayro_interpret::font::{Glyph, GlyphRun};
use hayro::hayro_interpret::hayro_cmap::{BfString, WritingMode};
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Device, DrawMode, DrawProps, Image, ImageDrawProps, Paint, SoftMask,
};
use hayro::kurbo::{Affine, BezPath, PathEl, Point, Rect, Shape};
use maoocr_engine::geometry::Quad;
use maoocr_engine::imaging::ImagingError;
use maoocr_engine::page::{LayerGlyph, Rule, TextLayer};
use web_time::{Duration, Instant};

use crate::bounds;
use crate::fonts::Fonts;
use crate::geometry;
use crate::source::Options;

/// Characters of a page that are kept; a page of a dictionary has some 10,000.
const MAX_GLYPHS: usize = 500_000;
/// Rules of a page that are kept.
const MAX_RULES: usize = 20_000;
/// Thickest stroke that is taken for a rule, points.
const MAX_RULE_THICKNESS: f64 = 4.0;
/// Shortest stroke that is taken for a rule, points.
const MIN_RULE_LENGTH: f64 = 5.0;
/// A glyph's box reaches so far above and below its baseline, thousandths of its size. Most text faces' ascent and
/// descent lie within five of these (Times 891 and 216, Helvetica 905 and 212, both with leading of 100 or more).
const ASCENT: f64 = 800.0;
const DESCENT: f64 = -210.0;

/// A raster picture on the page.
#[derive(Clone, Copy, Debug)]
pub struct Placed {
    /// From its pixels to the page, points.
    pub transform: Affine,
    /// px
    pub width: u32,
    /// px
    pub height: u32,
    /// Whether what it covers can be seen through it.
    pub translucent: bool,
    /// Whether it paints one colour through a mask, as bilevel scans often do.
    pub stencil: bool,
}

impl Placed {
    /// Where it stands on the page, points.
    pub fn rect(&self) -> Rect {
        let area = Rect::new(0.0, 0.0, f64::from(self.width), f64::from(self.height));
        self.transform.transform_rect_bbox(area)
    }

    /// Its pixels a point, the mean of both directions.
    pub fn density(&self) -> f64 {
        let (x, y) = geometry::stretch(self.transform);
        2.0 / (x + y).max(f64::MIN_POSITIVE)
    }
}

/// What a page holds.
#[derive(Default)]
pub struct Findings {
    /// In points.
    pub layer: TextLayer,
    /// In the order in which they are drawn.
    pub placed: Vec<Placed>,
    /// Whether anything but pictures and a white ground is painted.
    pub marked: bool,
    /// What is painted, in areas of the whole page; a group that is put together apart counts as one.
    pub painted: f64,
    /// Length of all edges that are drawn, points.
    pub edges: f64,
    /// Textures of patterns, which are made for each use, square points.
    pub textures: f64,
    /// Soft masks, each as large as the page.
    pub masks: u64,
}

/// Why a survey ended early; thrown through the interpreter, which has no other way to be stopped.
pub struct Stop(pub ImagingError);

/// The device that surveys.
pub struct Survey<'l> {
    options: &'l Options,
    /// Of the page, square points.
    area: f64,
    deadline: Option<(Instant, f64)>,
    operations: u64,
    fonts: Fonts,
    known: HashMap<u64, usize>,
    /// Of open transparency groups: whether they let the ground through.
    groups: Vec<bool>,
    /// Bounds of the open clips.
    clips: Vec<Rect>,
    /// How deep in patterns, masks and drawn characters: what they show counts, but isn't told.
    depth: usize,
    /// Masks that were seen: each is drawn once.
    masks: HashSet<u128>,
    findings: Findings,
}

impl<'l> Survey<'l> {
    /// A survey of a page of that size, points.
    pub fn new(options: &'l Options, size: (f64, f64), fonts: Fonts) -> Self {
        let after = |s| (Instant::now() + Duration::from_secs_f64(s), s);
        let deadline = options.seconds.map(after);
        Self {
            options,
            area: (size.0 * size.1).max(1.0),
            deadline,
            operations: 0,
            fonts,
            known: HashMap::new(),
            groups: Vec::new(),
            clips: vec![Rect::new(0.0, 0.0, size.0, size.1)],
            depth: 0,
            masks: HashSet::new(),
            findings: Findings::default(),
        }
    }

    /// What was found.
    pub fn finish(self) -> Findings {
        self.findings
    }

    fn step(&mut self, cost: u64) {
        self.operations = self.operations.saturating_add(cost);
        let most = self.options.steps;
        if self.operations > most {
            stop(too_many_steps(most));
        }
        if self.operations % 256 < cost
            && let Some((at, seconds)) = self.deadline
            && Instant::now() > at
        {
            stop(too_slow(seconds));
        }
    }

    fn translucent(&self) -> bool {
        self.groups.iter().any(|g| *g)
    }

    fn clip(&self) -> Rect {
        self.clips.last().copied().unwrap_or_default()
    }

    /// Text below `area` is out of sight from now on.
    fn cover(&mut self, area: Rect) {
        for glyph in &mut self.findings.layer.glyphs {
            let c = glyph.quad.center();
            if glyph.visible && area.contains(Point::new(f64::from(c.x), f64::from(c.y))) {
                glyph.visible = false;
            }
        }
    }

    fn rule(&mut self, from: Point, to: Point, thickness: f64) {
        let length = (to - from).hypot();
        if length < MIN_RULE_LENGTH.max(2.0 * thickness)
            || thickness > MAX_RULE_THICKNESS
            || self.findings.layer.rules.len() >= MAX_RULES
        {
            return;
        }
        let clip = self.clip().inflate(2.0, 2.0);
        let inside =
            |p: Point| Point::new(p.x.clamp(clip.x0, clip.x1), p.y.clamp(clip.y0, clip.y1));
        let (a, b) = (inside(from), inside(to));
        if (b - a).hypot() < MIN_RULE_LENGTH {
            return;
        }
        let (a, b) = if a.x + a.y <= b.x + b.y {
            (a, b)
        } else {
            (b, a)
        };
        self.findings.layer.rules.push(Rule {
            from: [a.x as f32, a.y as f32],
            to: [b.x as f32, b.y as f32],
            thickness: thickness as f32,
        });
    }

    fn rule_of(&mut self, area: Rect) {
        let (w, h) = (area.width(), area.height());
        let c = area.center();
        if h <= w {
            self.rule(Point::new(area.x0, c.y), Point::new(area.x1, c.y), h);
        } else {
            self.rule(Point::new(c.x, area.y0), Point::new(c.x, area.y1), w);
        }
    }

    fn strokes(&mut self, path: &BezPath, transform: Affine, width: f64) {
        let thickness = width * {
            let (x, y) = geometry::stretch(transform);
            (x + y) / 2.0
        };
        let (mut start, mut at) = (Point::ZERO, Point::ZERO);
        for element in path.elements() {
            match *element {
                PathEl::MoveTo(p) => {
                    at = transform * p;
                    start = at;
                }
                PathEl::LineTo(p) => {
                    let to = transform * p;
                    if is_level(at, to) {
                        self.rule(at, to, thickness);
                    }
                    at = to;
                }
                PathEl::ClosePath => {
                    if is_level(at, start) {
                        self.rule(at, start, thickness);
                    }
                    at = start;
                }
                PathEl::QuadTo(_, p) | PathEl::CurveTo(_, _, p) => at = transform * p,
            }
        }
    }

    /// Thin rectangles among the parts of a filled path.
    fn bars(&mut self, path: &BezPath, transform: Affine) {
        let mut part: Vec<Point> = Vec::new();
        let mut curved = false;
        for element in path.elements().iter().chain([&PathEl::MoveTo(Point::ZERO)]) {
            match *element {
                PathEl::MoveTo(p) => {
                    if !curved && (4..=5).contains(&part.len()) {
                        let area = bounds_of(&part);
                        if area.width().min(area.height()) <= MAX_RULE_THICKNESS {
                            self.rule_of(area);
                        }
                    }
                    part.clear();
                    curved = false;
                    part.push(transform * p);
                }
                PathEl::LineTo(p) => part.push(transform * p),
                PathEl::ClosePath => {}
                _ => curved = true,
            }
        }
    }

    fn paint(&mut self, path: &BezPath, props: &DrawProps<'_>, mode: &DrawMode) {
        if matches!(mode, DrawMode::Invisible) {
            return;
        }
        let area = props.transform.transform_rect_bbox(path.bounding_box());
        let seen = area.inflate(0.1, 0.1).intersect(self.clip());
        if seen.width() <= 0.0 || seen.height() <= 0.0 {
            return;
        }
        self.findings.painted += seen.area() / self.area;
        let (alpha, white) = match &props.paint {
            Paint::Color(color) => {
                let [r, g, b, a] = color.to_rgba().to_rgba8();
                (a, r > 250 && g > 250 && b > 250)
            }
            Paint::Pattern(_) => (254, false),
        };
        if alpha == 0 {
            return;
        }
        if !white || !self.findings.placed.is_empty() || !self.findings.layer.glyphs.is_empty() {
            self.findings.marked = true;
        }
        match mode {
            DrawMode::Fill(_) => self.bars(path, props.transform),
            DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) => {
                self.strokes(path, props.transform, f64::from(stroke.line_width));
            }
            DrawMode::Invisible => {}
        }
        let filled = matches!(mode, DrawMode::Fill(_) | DrawMode::FillAndStroke(..));
        let opaque = alpha == 255
            && !self.translucent()
            && props.soft_mask.is_none()
            && props.blend_mode == BlendMode::Normal;
        if filled && opaque && is_rectangle(path) && geometry::is_upright(props.transform) {
            self.cover(seen);
        }
    }
}

impl<'a> Device<'a> for Survey<'_> {
    fn draw_path(&mut self, path: &BezPath, props: DrawProps<'a>, draw_mode: &DrawMode) {
        self.step(1 + path.elements().len() as u64 / 64);
        if matches!(draw_mode, DrawMode::Invisible) {
            return;
        }
        self.mask(props.soft_mask.as_ref());
        self.trace(path, props.transform, draw_mode);
        let area = props.transform.transform_rect_bbox(path.bounding_box());
        let is_stroke = matches!(draw_mode, DrawMode::Stroke(_));
        self.pattern(&props.paint, area, is_stroke);
        if self.depth == 0 {
            self.paint(path, &props, draw_mode);
        } else {
            self.findings.painted += (area.area() / self.area).min(1.0);
        }
    }

    fn push_clip_path(&mut self, clip_path: &ClipPath) {
        self.step(1 + clip_path.path.elements().len() as u64 / 64);
        let area = clip_path.path.bounding_box();
        self.clips.push(self.clip().intersect(area));
    }

    fn push_transparency_group(
        &mut self,
        opacity: f32,
        mask: Option<SoftMask<'a>>,
        blend_mode: BlendMode,
    ) {
        self.step(1);
        self.findings.painted += 1.0;
        self.mask(mask.as_ref());
        self.groups
            .push(opacity < 0.999 || mask.is_some() || blend_mode != BlendMode::Normal);
    }

    fn draw_glyph_run(&mut self, run: &GlyphRun<'_, 'a>, props: DrawProps<'a>, mode: &DrawMode) {
        self.step(run.glyphs().len() as u64);
        self.mask(props.soft_mask.as_ref());
        if !matches!(mode, DrawMode::Invisible) {
            for glyph in run.glyphs() {
                self.draw_glyph(glyph, &props, mode);
            }
        }
        if self.depth > 0 {
            return;
        }
        let mut visible = !matches!(mode, DrawMode::Invisible);
        if let Paint::Color(color) = &props.paint {
            visible &= color.to_rgba().to_rgba8()[3] > 0;
        }
        let (key, name) = self.fonts.of(run.glyphs());
        let fonts = &mut self.findings.layer.fonts;
        let font = *self.known.entry(key).or_insert_with(|| {
            fonts.push(name.unwrap_or_default());
            fonts.len() - 1
        });
        let vertical = run.writing_mode() == WritingMode::Vertical;
        let clip = self.clip();
        for glyph in run.glyphs() {
            if self.findings.layer.glyphs.len() >= MAX_GLYPHS {
                return;
            }
            let transform = props.transform * glyph.transform();
            let advance = match &**glyph {
                Glyph::Outline(g) => g.advance_width(),
                Glyph::Type3(g) => g.advance_width(),
            };
            let width = match advance {
                Some(width) if !vertical && width > 0.0 => f64::from(width),
                Some(_) if !vertical => 0.0,
                _ => 1000.0,
            };
            let quad = geometry::quad(transform, Rect::new(0.0, ASCENT, width, DESCENT));
            let center = quad.center();
            if !center.x.is_finite()
                || !center.y.is_finite()
                || !clip.contains(Point::new(f64::from(center.x), f64::from(center.y)))
            {
                continue;
            }
            let text = match glyph.as_unicode() {
                Some(BfString::Char(c)) => String::from(c),
                Some(BfString::String(s)) => s,
                None => String::new(),
            };
            let (_, size) = geometry::stretch(transform);
            self.findings.layer.glyphs.push(LayerGlyph {
                text: text.replace(['\0', '\u{feff}'], ""),
                quad,
                size: (size * 1000.0) as f32,
                font,
                visible,
            });
            if visible {
                self.findings.marked = true;
            }
        }
    }

    fn draw_image(&mut self, image: Image<'a, '_>, props: ImageDrawProps<'a>) {
        self.step(1);
        let (width, height) = (image.width(), image.height());
        let (stream, stencil) = match &image {
            Image::Stencil(s) => (s.stream(), true),
            Image::Raster(r) => (r.stream(), false),
        };
        if let Err(error) = bounds::picture(stream, (width, height), &self.options.limits) {
            stop(error);
        }
        // Decoding it is work, however small it is drawn.
        self.step(u64::from(width) * u64::from(height) / 4096);
        self.mask(props.soft_mask.as_ref());
        if self.depth > 0 {
            return;
        }
        let masked = [&b"SMask"[..], b"Mask", b"SMaskInData"]
            .iter()
            .any(|key| stream.dict().contains_key(key));
        let translucent = stencil
            || masked
            || self.translucent()
            || props.soft_mask.is_some()
            || props.blend_mode != BlendMode::Normal;
        let placed = Placed {
            transform: props.transform,
            width,
            height,
            translucent,
            stencil,
        };
        let area = placed.rect().intersect(self.clip());
        if area.width() <= 0.0 || area.height() <= 0.0 {
            return;
        }
        if !translucent {
            self.cover(area);
        }
        self.findings.painted += area.area() / self.area;
        self.findings.layer.pictures.push(quad_of(area));
        self.findings.placed.push(placed);
    }

    fn pop_clip(&mut self) {
        if self.clips.len() > 1 {
            self.clips.pop();
        }
    }

    fn pop_transparency_group(&mut self) {
        self.groups.pop();
    }
}

/// The error of a page that has too much to draw.
pub fn too_many_steps(most: u64) -> ImagingError {
    ImagingError::TooComplex {
        what: format!("the page is drawn in more than {most} steps"),
    }
}

/// The error of a page that isn't drawn in time.
pub fn too_slow(seconds: f64) -> ImagingError {
    ImagingError::TooComplex {
        what: format!("drawing the page takes longer than {seconds} s"),
    }
}

thread_local! {
    /// Why the last page ended early.
    static STOPPED: RefCell<Option<ImagingError>> = const { RefCell::new(None) };
}

/// Why a page of this thread ended early, asked once. WebAssembly doesn't unwind: there a page that is too much ends in a
/// trap, and whoever catches that asks here.
pub fn stopped() -> Option<ImagingError> {
    STOPPED.take()
}

fn stop(error: ImagingError) -> ! {
    STOPPED.set(Some(error.clone()));
    std::panic::resume_unwind(Box::new(Stop(error)))
}

fn quad_of(area: Rect) -> Quad {
    Quad::from_rect(
        area.x0 as f32,
        area.y0 as f32,
        area.x1 as f32,
        area.y1 as f32,
    )
}

fn bounds_of(points: &[Point]) -> Rect {
    let first = points.first().copied().unwrap_or_default();
    points
        .iter()
        .fold(Rect::from_points(first, first), |r, p| r.union_pt(*p))
}

/// Runs across or down the page.
fn is_level(a: Point, b: Point) -> bool {
    let d = b - a;
    d.x.abs().min(d.y.abs()) <= 0.01 * d.x.abs().max(d.y.abs())
}

fn is_rectangle(path: &BezPath) -> bool {
    let mut corners = Vec::new();
    for element in path.elements() {
        match *element {
            PathEl::MoveTo(p) | PathEl::LineTo(p) => corners.push(p),
            PathEl::ClosePath => {}
            _ => return false,
        }
    }
    (4..=5).contains(&corners.len()) && corners.windows(2).all(|pair| is_level(pair[0], pair[1]))
}
