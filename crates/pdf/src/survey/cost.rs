//! What drawing a page would cost beside its own operators: what is drawn by itself each time it is used (patterns, masks,
//! characters that are drawings), dashes, edges, textures.

use hayro::hayro_interpret::font::{Glyph, PositionedGlyph};
use hayro::hayro_interpret::pattern::Pattern;
use hayro::hayro_interpret::{CacheKey, DrawMode, DrawProps, Paint, SoftMask, StrokeProps};
use hayro::kurbo::{Affine, BezPath, PathEl, Point, Rect, Shape};

use super::Survey;

/// Length of a glyph's outline, in its size; an ornate capital's.
const OUTLINE: f64 = 8.0;

impl Survey<'_> {
    /// Walks over what is drawn by itself each time it is used.
    fn apart(&mut self, draw: impl FnOnce(&mut Self)) {
        self.depth += 1;
        draw(self);
        self.depth -= 1;
    }

    pub(super) fn mask(&mut self, mask: Option<&SoftMask<'_>>) {
        if let Some(mask) = mask
            && self.masks.insert(mask.cache_key())
        {
            self.findings.masks += 1;
            self.findings.painted += 1.0;
            self.apart(|survey| mask.interpret(survey));
        }
    }

    /// Counts what drawing a pattern's cell over and over takes, for an area in points.
    pub(super) fn pattern(&mut self, paint: &Paint<'_>, area: Rect, is_stroke: bool) {
        let Paint::Pattern(pattern) = paint else {
            return;
        };
        let Pattern::Tiling(tiling) = &**pattern else {
            return;
        };
        let seen = tiling.matrix.inverse().transform_rect_bbox(area);
        let axis = |cell: f64, step: f32, visible: f64| {
            let step = f64::from(step.abs()).max(f64::MIN_POSITIVE);
            // A cell that repeats is put together from those that overlap; one that doesn't is drawn where it is seen.
            let copies = match visible >= step {
                true => cell / step,
                false => (visible + cell) / step,
            };
            (copies.max(0.0) + 1.0, step.min(visible))
        };
        let (across, width) = axis(tiling.bbox.width(), tiling.x_step, seen.width());
        let (down, height) = axis(tiling.bbox.height(), tiling.y_step, seen.height());
        self.findings.textures += width * height * tiling.matrix.determinant().abs();
        let copies = across * down;
        // Saturates.
        self.step(copies as u64);
        let before = (self.operations, self.findings.edges, self.findings.painted);
        self.apart(|survey| {
            tiling.interpret(survey, tiling.matrix, is_stroke);
        });
        let more = (self.operations - before.0) as f64 * (copies - 1.0);
        self.findings.edges += (self.findings.edges - before.1) * (copies - 1.0);
        self.findings.painted += (self.findings.painted - before.2) * (copies - 1.0);
        self.step(more as u64);
    }

    /// Counts the edges of a path, and the dashes of its strokes, which are cut up before anything is drawn.
    pub(super) fn trace(&mut self, path: &BezPath, transform: Affine, mode: &DrawMode) {
        if let DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) = mode {
            self.step(dashes(stroke, length(path, Affine::IDENTITY)));
        }
        let edges = match mode {
            DrawMode::Fill(_) => 1.0,
            DrawMode::Stroke(_) => 2.0,
            DrawMode::FillAndStroke(..) => 3.0,
            DrawMode::Invisible => 0.0,
        };
        let page = self.clips.first().copied().unwrap_or_default();
        let bounds = transform.transform_rect_bbox(path.bounding_box());
        let within = bounds.inflate(0.1, 0.1).intersect(page);
        if self.depth == 0 && (within.width() <= 0.0 || within.height() <= 0.0) {
            return;
        }
        // What lies outside the page isn't drawn.
        let share = match self.depth {
            0 => ((within.width() + within.height()) / (bounds.width() + bounds.height()).max(0.2))
                .min(1.0),
            _ => 1.0,
        };
        self.findings.edges += edges * share * length(path, transform);
    }

    pub(super) fn draw_glyph<'a>(
        &mut self,
        glyph: &PositionedGlyph<'a>,
        props: &DrawProps<'a>,
        mode: &DrawMode,
    ) {
        if let Glyph::Type3(drawn) = &**glyph {
            let own = glyph.transform();
            return self
                .apart(|survey| drawn.interpret(survey, props.transform, own, &props.paint));
        }
        let em = Rect::new(0.0, 0.0, 1000.0, 1000.0);
        let size = |transform: Affine| transform.transform_rect_bbox(em).width();
        if let DrawMode::Stroke(stroke) | DrawMode::FillAndStroke(_, stroke) = mode {
            self.step(dashes(stroke, OUTLINE * size(glyph.transform())));
        }
        let to_page = props.transform * glyph.transform();
        self.findings.edges += OUTLINE * size(to_page).min(self.area.sqrt());
        let area = to_page.transform_rect_bbox(em);
        self.pattern(&props.paint, area, !matches!(mode, DrawMode::Fill(_)));
    }
}

/// Length of a path's segments, of curves that of their control points, which is no shorter.
fn length(path: &BezPath, transform: Affine) -> f64 {
    let (mut start, mut at, mut length) = (Point::ZERO, Point::ZERO, 0.0);
    let mut to = |at: &mut Point, points: &[Point]| {
        for point in points {
            let point = transform * *point;
            length += at.distance(point);
            *at = point;
        }
    };
    for element in path.elements() {
        match *element {
            PathEl::MoveTo(p) => {
                at = transform * p;
                start = p;
            }
            PathEl::LineTo(p) => to(&mut at, &[p]),
            PathEl::QuadTo(a, p) => to(&mut at, &[a, p]),
            PathEl::CurveTo(a, b, p) => to(&mut at, &[a, b, p]),
            PathEl::ClosePath => to(&mut at, &[start]),
        }
    }
    length
}

/// Into how many pieces a stroke of that length is cut.
fn dashes(stroke: &StrokeProps, length: f64) -> u64 {
    let period: f64 = stroke.dash_array.iter().map(|dash| f64::from(*dash)).sum();
    match period > 0.0 {
        // Saturates.
        true => (length / period * stroke.dash_array.len() as f64) as u64,
        false => 0,
    }
}
