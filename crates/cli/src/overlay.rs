//! Draws the lines and their text over the picture.

use std::path::Path;

use ab_glyph::{Font, FontVec, PxScale, ScaleFont};
use anyhow::{Context, Result, anyhow};
use image::{Rgb, RgbImage};
use maoocr_engine::answer::Answer;
use maoocr_engine::geometry::{Point, Quad};
use maoocr_engine::imaging::Image;

use crate::draft;

/// Writes `page` to a PNG file with the document's boxes drawn on it. A second picture to its right shows the text, each
/// line in its place.
pub fn draw(page: Image, document: &Answer, path: &Path) -> Result<()> {
    let (width, height) = (page.width, page.height);
    let picture = RgbImage::from_raw(width, height, page.rgb)
        .ok_or_else(|| anyhow!("the page is incomplete"))?;
    let font = font(&document.text);
    let mut canvas = RgbImage::from_pixel(
        width * if font.is_some() { 2 } else { 1 },
        height,
        Rgb([255; 3]),
    );
    image::imageops::replace(&mut canvas, &picture, 0, 0);
    for line in &document.lines {
        let colour = colour(line.confidence);
        outline(&mut canvas, &line.quad, colour, 0.0);
        if let Some(font) = &font {
            outline(&mut canvas, &line.quad, Rgb([225; 3]), width as f32);
            write(&mut canvas, font, line, width as f32);
        }
    }
    if font.is_none() {
        eprintln!("maoocr: no installed font has these characters; drawing boxes only");
    }
    let mut png = std::io::Cursor::new(Vec::new());
    canvas
        .write_to(&mut png, image::ImageFormat::Png)
        .context("can't save the overlay")?;
    Ok(draft::write(path, png.get_ref())?)
}

/// Green if the recogniser was sure, red if not.
fn colour(confidence: f32) -> Rgb<u8> {
    let sure = ((confidence - 0.5) * 2.0).clamp(0.0, 1.0);
    Rgb([(220.0 * (1.0 - sure)) as u8, (170.0 * sure) as u8, 40])
}

fn outline(canvas: &mut RgbImage, quad: &Quad, colour: Rgb<u8>, dx: f32) {
    for i in 0..4 {
        let (a, b) = (quad.0[i], quad.0[(i + 1) % 4]);
        let steps = a.distance(b).ceil().clamp(1.0, 20_000.0) as u32;
        for step in 0..=steps {
            let p = a.lerp(b, step as f32 / steps as f32);
            for (ox, oy) in [(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)] {
                put(canvas, p.x + dx + ox, p.y + oy, colour, 1.0);
            }
        }
    }
}

fn put(canvas: &mut RgbImage, x: f32, y: f32, colour: Rgb<u8>, alpha: f32) {
    if x >= 0.0 && y >= 0.0 && (x as u32) < canvas.width() && (y as u32) < canvas.height() {
        let pixel = canvas.get_pixel_mut(x as u32, y as u32);
        for c in 0..3 {
            pixel.0[c] =
                (f32::from(pixel.0[c]) * (1.0 - alpha) + f32::from(colour.0[c]) * alpha) as u8;
        }
    }
}

/// Writes the line's text along its quad, as large as fits.
fn write(canvas: &mut RgbImage, font: &FontVec, line: &maoocr_engine::document::Line, dx: f32) {
    let [a, b, _, d] = line.quad.0;
    // Along the text and across it; a vertical line is written as it stands, one character below the other.
    let (along, across) = (a.distance(b), a.distance(d));
    if !(along > 1.0 && across > 1.0) {
        return;
    }
    if line.vertical {
        let count = line.text.chars().count().max(1) as f32;
        let size = along.min(across / count);
        for (i, c) in line.text.chars().enumerate() {
            let origin = a.lerp(d, i as f32 / count);
            glyphs(canvas, font, &c.to_string(), origin, (1.0, 0.0), size, dx);
        }
        return;
    }
    let unit = font.as_scaled(PxScale::from(1.0));
    let advance: f32 = line
        .text
        .chars()
        .map(|c| unit.h_advance(unit.glyph_id(c)))
        .sum();
    // A scale counts from ascent to descent, which leaves room above and below the characters themselves.
    let size = (across * 1.15).min(along / advance.max(0.1));
    let direction = ((b.x - a.x) / along, (b.y - a.y) / along);
    glyphs(
        canvas,
        font,
        &line.text,
        a.lerp(d, 0.5 - size / across / 2.0),
        direction,
        size,
        dx,
    );
}

fn glyphs(
    canvas: &mut RgbImage,
    font: &FontVec,
    text: &str,
    origin: Point,
    direction: (f32, f32),
    size: f32,
    dx: f32,
) {
    let scaled = font.as_scaled(PxScale::from(size));
    let mut pen = 0.0;
    for c in text.chars() {
        let id = scaled.glyph_id(c);
        let glyph =
            id.with_scale_and_position(PxScale::from(size), ab_glyph::point(pen, scaled.ascent()));
        pen += scaled.h_advance(id);
        if let Some(outlined) = font.outline_glyph(glyph) {
            let bounds = outlined.px_bounds();
            outlined.draw(|x, y, coverage| {
                let (u, v) = (bounds.min.x + x as f32, bounds.min.y + y as f32);
                let px = origin.x + u * direction.0 - v * direction.1;
                let py = origin.y + u * direction.1 + v * direction.0;
                put(canvas, px + dx, py, Rgb([20, 20, 20]), coverage);
            });
        }
    }
}

/// The installed font that covers most of a text's characters, if it covers nearly all.
fn font(text: &str) -> Option<FontVec> {
    let mut fonts = fontdb::Database::new();
    fonts.load_system_fonts();
    let wanted: std::collections::BTreeSet<char> =
        text.chars().filter(|c| !c.is_whitespace()).collect();
    let missing = |font: &FontVec| wanted.iter().filter(|&&c| font.glyph_id(c).0 == 0).count();
    let (least, best) = fonts
        .faces()
        .filter(|f| {
            f.style == fontdb::Style::Normal && f.weight == fontdb::Weight::NORMAL && !f.monospaced
        })
        .filter_map(|face| {
            let font = fonts.with_face_data(face.id, |data, index| {
                FontVec::try_from_vec_and_index(data.to_vec(), index)
            })?;
            let font = font.ok()?;
            Some((missing(&font), font))
        })
        .min_by_key(|(missing, _)| *missing)?;
    (least * 10 <= wanted.len()).then_some(best)
}
