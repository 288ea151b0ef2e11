//! Pixels of a page: the resolution it deserves, and the scan it is, where it is one.

use hayro::hayro_interpret::font::GlyphRun;
use hayro::hayro_interpret::{
    BlendMode, ClipPath, Context, Device, DrawMode, DrawProps, ImageData, ImageDrawProps,
    InterpreterCache, InterpreterSettings, LumaData, Paint, SoftMask, interpret_page,
};
use hayro::hayro_interpret::{Image as Drawn, TransformExt};
use hayro::hayro_syntax::page::Page;
use hayro::kurbo::{Affine, BezPath, Point, Rect};
use hayro::vello_cpu::color::palette::css::WHITE;
use hayro::vello_cpu::{Pixmap, RasterizerSettings, RenderContext, Resources, TargetInit};
use hayro::{RenderCache, RenderSettings, render_into};
use maoocr_engine::imaging::{Image, ImagingError, Limits};

use crate::geometry;
use crate::survey::{Findings, Placed};

/// Points of an inch.
pub const POINTS: f64 = 72.0;
/// Resolutions that a page is drawn at, pixels an inch.
const MIN_DPI: f64 = 150.0;
const MAX_DPI: f64 = 300.0;
/// Size at which the smallest text of a page is drawn, px an em; its lines are then about as high as the recogniser's
/// input.
const EM: f64 = 28.0;
/// Below this a page is too large to be read at all, pixels an inch.
const LEAST_DPI: f64 = 36.0;
/// Pixels of a page that is drawn rather than taken; more cost time and memory and show no more.
const MAX_DRAWN: f64 = 40e6;

/// Length of all edges of a page that is drawn, px: each 4 px take some 24 bytes.
const MAX_EDGES: f64 = 80e6;
/// Pixels that are painted on it, one over the other.
const MAX_PAINTED: f64 = 10e9;

/// Pixels a point, across and down.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    pub x: f64,
    pub y: f64,
}

/// How a page becomes a picture.
#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// The pixels of its scan are taken as they are.
    Taken((u32, u32)),
    /// It is drawn.
    Drawn((u32, u32)),
}

impl Way {
    /// Width and height, px.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Taken(size) | Self::Drawn(size) => size,
        }
    }

    /// Whether it is nothing but a scan.
    pub fn is_scan(self) -> bool {
        matches!(self, Self::Taken(_))
    }
}

/// How a page becomes a picture, and how large, before it does.
pub fn way(
    page: &Page<'_>,
    findings: &Findings,
    limits: &Limits,
) -> Result<(Way, Scale), ImagingError> {
    let (width, height) = page.render_dimensions();
    let (width, height) = (f64::from(width), f64::from(height));
    let scale = |(w, h): (u32, u32)| Scale {
        x: f64::from(w) / width,
        y: f64::from(h) / height,
    };
    if let Some(density) = scan(findings, (width, height)) {
        let size = pixels((width, height), density);
        if check(size, 3 + 4, limits).is_ok() {
            return Ok((Way::Taken(size), scale(size)));
        }
    }
    let most = (limits.max_pixels as f64).min(MAX_DRAWN);
    let fits = (most / (width * height))
        .sqrt()
        .min(60_000.0 / width.max(height));
    let density = (dpi(findings, (width, height)) / POINTS).min(fits);
    if density < LEAST_DPI / POINTS {
        let at_least = pixels((width, height), LEAST_DPI / POINTS);
        return Err(ImagingError::TooManyPixels {
            width: at_least.0,
            height: at_least.1,
            limit: limits.max_pixels,
        });
    }
    let size = pixels((width, height), density);
    check(size, 3 + 4 + 4 + findings.masks, limits)?;
    affordable(findings, size, density, limits)?;
    Ok((Way::Drawn(size), scale(size)))
}

/// The page as a picture.
pub fn raster<'a>(
    page: &'a Page<'a>,
    findings: &Findings,
    limits: &Limits,
) -> Result<(Image, Scale), ImagingError> {
    let (way, scale) = way(page, findings, limits)?;
    let image = match way {
        Way::Taken(size) => paste(page, size, scale),
        Way::Drawn(size) => draw(page, size, scale),
    };
    Ok((image, scale))
}

/// The renderer keeps all shapes until the page is complete, and can't be stopped: what it would take is found out before.
fn affordable(
    findings: &Findings,
    size: (u32, u32),
    density: f64,
    limits: &Limits,
) -> Result<(), ImagingError> {
    let textures = findings.textures * density * density * 4.0;
    if textures > limits.max_memory as f64 {
        return Err(ImagingError::OutOfMemory {
            needed: Some(textures as u64),
        });
    }
    let painted = findings.painted * f64::from(size.0) * f64::from(size.1);
    // Asked this way round, what is no number is too much.
    let fits = findings.edges * density <= MAX_EDGES && painted <= MAX_PAINTED;
    match fits {
        true => Ok(()),
        false => Err(ImagingError::TooComplex {
            what: "the page's shapes are too many and too large to draw".into(),
        }),
    }
}

fn pixels(size: (f64, f64), density: f64) -> (u32, u32) {
    let side = |points: f64| (points * density).round().max(1.0) as u32;
    (side(size.0), side(size.1))
}

fn check(size: (u32, u32), per_pixel: u64, limits: &Limits) -> Result<(), ImagingError> {
    let pixels = u64::from(size.0) * u64::from(size.1);
    if pixels > limits.max_pixels {
        return Err(ImagingError::TooManyPixels {
            width: size.0,
            height: size.1,
            limit: limits.max_pixels,
        });
    }
    if pixels * per_pixel > limits.max_memory {
        return Err(ImagingError::OutOfMemory {
            needed: Some(pixels * per_pixel),
        });
    }
    Ok(())
}

/// Pixels a point of a page that is nothing but a scan, in one picture or in strips.
fn scan(findings: &Findings, page: (f64, f64)) -> Option<f64> {
    let first = findings.placed.first()?;
    let density = first.density();
    let alike = |a: f64, b: f64| (a / b - 1.0).abs() < 0.02;
    let fits = |placed: &Placed| {
        let (x, y) = geometry::stretch(placed.transform);
        geometry::is_upright(placed.transform)
            && alike(x, y)
            && alike(placed.density(), density)
            && (placed.stencil || !placed.translucent)
    };
    let covered: f64 = findings
        .placed
        .iter()
        .map(|p| {
            p.rect()
                .intersect(Rect::new(0.0, 0.0, page.0, page.1))
                .area()
        })
        .sum();
    let is_scan = !findings.marked
        && covered >= 0.5 * page.0 * page.1
        && findings.placed.iter().all(fits)
        && density * POINTS >= LEAST_DPI;
    is_scan.then_some(density)
}

/// The resolution to draw a page at: that of its pictures, or what its smallest text needs.
fn dpi(findings: &Findings, page: (f64, f64)) -> f64 {
    let pictures = findings
        .placed
        .iter()
        .filter(|p| p.rect().area() >= 0.02 * page.0 * page.1)
        .map(|p| p.density() * POINTS)
        .fold(0.0, f64::max);
    let mut sizes: Vec<f32> = findings
        .layer
        .glyphs
        .iter()
        .filter(|g| g.visible && g.size >= 3.0)
        .map(|g| g.size)
        .collect();
    sizes.sort_by(f32::total_cmp);
    // A tenth of the page's text may be smaller: indices and the like.
    let text = sizes
        .get(sizes.len() / 10)
        .map_or(0.0, |size| EM / f64::from(*size) * POINTS);
    pictures.max(text).clamp(MIN_DPI, MAX_DPI)
}

fn transform(page: &Page<'_>, scale: Scale) -> Affine {
    Affine::scale_non_uniform(scale.x, scale.y) * page.initial_transform(true).to_kurbo()
}

fn draw<'a>(page: &'a Page<'a>, (width, height): (u32, u32), scale: Scale) -> Image {
    // Both sides are at most 60,000.
    let mut context = RenderContext::new(width as u16, height as u16);
    render_into(
        page,
        &RenderCache::new(),
        &InterpreterSettings::default(),
        &RenderSettings {
            hinting: false,
            ..RenderSettings::default()
        },
        &mut context,
        transform(page, scale),
    );
    context.flush();
    let mut pixmap = Pixmap::new(width as u16, height as u16);
    context.render_with(
        &mut pixmap,
        &mut Resources::default(),
        RasterizerSettings {
            target_init: TargetInit::Clear(WHITE),
            ..Default::default()
        },
    );
    drop(context);
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for pixel in pixmap.data() {
        rgb.extend([pixel.r, pixel.g, pixel.b]);
    }
    Image { width, height, rgb }
}

/// Copies the pictures' pixels to where they stand.
fn paste<'a>(page: &'a Page<'a>, (width, height): (u32, u32), scale: Scale) -> Image {
    let mut canvas = Canvas {
        image: Image {
            width,
            height,
            rgb: vec![255; width as usize * height as usize * 3],
        },
    };
    let target = Rect::new(0.0, 0.0, f64::from(width), f64::from(height));
    let cache = InterpreterCache::new();
    let mut context = Context::new(
        transform(page, scale),
        target,
        &cache,
        page.xref(),
        InterpreterSettings::default(),
    );
    interpret_page(page, &mut context, &mut canvas);
    canvas.image
}

struct Canvas {
    image: Image,
}

impl Canvas {
    /// Fills where a picture of that size stands; `at` is its colour at one of its pixels, or none.
    fn fill(
        &mut self,
        to_page: Affine,
        size: (u32, u32),
        at: impl Fn(usize, usize) -> Option<[u8; 3]>,
    ) {
        let area = Rect::new(0.0, 0.0, f64::from(size.0), f64::from(size.1));
        let (width, height) = (f64::from(self.image.width), f64::from(self.image.height));
        let seen = to_page
            .transform_rect_bbox(area)
            .intersect(Rect::new(0.0, 0.0, width, height));
        if to_page.determinant().abs() < 1e-9 || seen.is_zero_area() {
            return;
        }
        let back = to_page.inverse();
        let columns = seen.x0.round() as usize..seen.x1.round() as usize;
        for y in seen.y0.round() as usize..seen.y1.round() as usize {
            let row = y * self.image.width as usize * 3;
            for x in columns.clone() {
                let p = back * Point::new(x as f64 + 0.5, y as f64 + 0.5);
                let place = |v: f64, most: u32| (v.max(0.0) as usize).min(most as usize - 1);
                if let Some(colour) = at(place(p.x, size.0), place(p.y, size.1)) {
                    self.image.rgb[row + x * 3..row + x * 3 + 3].copy_from_slice(&colour);
                }
            }
        }
    }
}

impl<'a> Device<'a> for Canvas {
    fn draw_image(&mut self, image: Drawn<'a, '_>, props: ImageDrawProps<'a>) {
        let correct = |factors: (f32, f32)| {
            props.transform * Affine::scale_non_uniform(factors.0.into(), factors.1.into())
        };
        match image {
            Drawn::Raster(raster) => raster.with_rgba(
                |data, _| match data {
                    ImageData::Rgb(d) => {
                        let transform = correct(d.scale_factors);
                        self.fill(transform, (d.width, d.height), |x, y| {
                            let at = (y * d.width as usize + x) * 3;
                            d.data.get(at..at + 3)?.try_into().ok()
                        });
                    }
                    ImageData::Luma(d) => {
                        let transform = correct(d.scale_factors);
                        self.fill(transform, (d.width, d.height), |x, y| {
                            Some([luma(&d, x, y)?; 3])
                        });
                    }
                },
                None,
            ),
            Drawn::Stencil(stencil) => stencil.with_stencil(
                |d, paint| {
                    let colour = match paint {
                        Paint::Color(c) => c.to_rgba().to_rgba8(),
                        Paint::Pattern(_) => [0, 0, 0, 255],
                    };
                    let transform = correct(d.scale_factors);
                    self.fill(transform, (d.width, d.height), |x, y| {
                        (luma(&d, x, y)? >= 128).then_some([colour[0], colour[1], colour[2]])
                    });
                },
                None,
            ),
        }
    }

    fn draw_path(&mut self, _: &BezPath, _: DrawProps<'a>, _: &DrawMode) {}
    fn push_clip_path(&mut self, _: &ClipPath) {}
    fn push_transparency_group(&mut self, _: f32, _: Option<SoftMask<'a>>, _: BlendMode) {}
    fn draw_glyph_run(&mut self, _: &GlyphRun<'_, 'a>, _: DrawProps<'a>, _: &DrawMode) {}
    fn pop_clip(&mut self) {}
    fn pop_transparency_group(&mut self) {}
}

fn luma(data: &LumaData, x: usize, y: usize) -> Option<u8> {
    data.data.get(y * data.width as usize + x).copied()
}
