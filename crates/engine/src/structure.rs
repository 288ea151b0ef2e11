//! Structure: from the lines of a page to its regions.
//!
//! [`frame`] turns the page upright, [`ink`] and [`rules`] look at its picture, [`crate::table`] and [`figures`] find
//! what isn't running text, [`blocks`] makes paragraphs of the rest, [`features`] describes them and [`decide`] says
//! what they are. [`flow`] joins lines into text, [`pages`] what crosses pages. Features and decisions are kept apart, so
//! that a network can take the decisions over.

use std::sync::Arc;

use crate::document::{Line, PageText, Picture, Region, RegionKind};
use crate::imaging::Image;
use crate::page::TextLayer;
use crate::table;

mod blocks;
mod decide;
mod features;
mod figures;
pub(crate) mod flow;
pub(crate) mod frame;
pub(crate) mod ink;
mod lists;
mod margins;
mod pages;
mod rows;
pub(crate) mod rules;
mod wording;

pub use pages::join_pages;

use blocks::Block;
use frame::{Box, Frame};
use ink::Ink;
use rules::Rules;

/// What the caller wants of the structure.
#[derive(Clone, Debug)]
pub struct StructureOptions {
    /// Keep the pictures of figures and formulas as PNG files.
    pub pictures: bool,
    /// The picture is one table and nothing else. Where it isn't said, a picture that is cut closely around a table is
    /// seen to be one.
    pub whole_table: bool,
}

impl Default for StructureOptions {
    fn default() -> Self {
        Self {
            pictures: true,
            whole_table: false,
        }
    }
}

/// Finds the regions of a page: what each part is, in reading order.
///
/// `lines` may come in any order, their boxes in the pixels of `image`. `layer` is what the file itself says of the page;
/// its rules are taken instead of those in the picture. The answer's index, resolution and turn are left at 0 for the
/// caller to fill in.
pub fn analyse(
    image: &Image,
    lines: Vec<Line>,
    layer: Option<&TextLayer>,
    options: &StructureOptions,
) -> PageText {
    let frame = Frame::new(image.width, image.height, &lines);
    let areas: Vec<Box> = lines.iter().map(|l| frame.area(&l.quad)).collect();
    let text_height = text_height(&lines, &areas);
    let grey = frame.grey(image);
    let ink = Ink::of(&grey, (0.8 * text_height).clamp(8.0, 40.0) as usize);
    let rules = match layer {
        Some(layer) if !layer.rules.is_empty() => {
            let scale = frame.scale();
            Rules::stated(
                layer.rules.iter().map(|r| crate::page::Rule {
                    from: frame.enter_pair(r.from),
                    to: frame.enter_pair(r.to),
                    thickness: r.thickness * scale,
                }),
                text_height,
            )
        }
        _ => Rules::find(&ink, text_height).outside(&areas),
    };
    let measured = features::lines(&lines, &areas, &ink, layer, &frame);

    // What isn't running text.
    let fragments = table::fragments(
        lines.iter().enumerate().filter(|(_, l)| !l.vertical),
        &frame,
        &ink,
    );
    let whole = options.whole_table || table::fills(&fragments, &rules, &frame, text_height);
    let tables = if whole {
        let filling = table::whole(&fragments, &rules, &frame, text_height);
        filling.into_iter().collect()
    } else {
        table::find(&fragments, &rules, &frame, text_height)
    };
    let mut owner: Vec<Option<usize>> = vec![None; lines.len()];
    let mut solids: Vec<Block> = Vec::new();
    for found in tables {
        for &line in &found.lines {
            owner[line] = Some(solids.len());
        }
        solids.push(Block::table(found));
    }
    let taken: Vec<Box> = solids.iter().map(|s| s.area).collect();
    for area in figures::find(&grey, &areas, &measured, &taken, text_height) {
        let inside: Vec<usize> = (0..lines.len())
            .filter(|&i| owner[i].is_none() && within(&areas[i], &area))
            .collect();
        for &line in &inside {
            owner[line] = Some(solids.len());
        }
        solids.push(Block::figure(area, inside));
    }

    let level: Vec<usize> = (0..lines.len()).filter(|&i| owner[i].is_none()).collect();
    let blocks = blocks::make(
        &lines,
        &areas,
        &measured,
        &level,
        solids,
        text_height,
        &frame,
        &rules,
    );
    let described = features::blocks(&blocks, &lines, &areas, &measured, &rules, &frame);
    let decisions = decide::decide(&described);
    let (blocks, decisions) = blocks::merge(blocks, decisions, text_height);
    assemble(image, lines, blocks, &decisions, &frame, options)
}

pub(crate) use wording::{has_marker, length};

/// Whether most of a line lies in an area.
fn within(line: &Box, area: &Box) -> bool {
    let shared = line.overlap_x(area).max(0.0) * line.overlap_y(area).max(0.0);
    shared >= 0.6 * (line.width() * line.height()).max(1.0)
}

/// Median height of the lines, long ones counting more, px.
fn text_height(lines: &[Line], areas: &[Box]) -> f32 {
    let mut heights: Vec<(f32, usize)> = lines
        .iter()
        .zip(areas)
        .filter(|(l, a)| !l.vertical && a.width() > a.height())
        .map(|(l, a)| (a.height(), l.text.chars().count()))
        .collect();
    heights.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = heights.iter().map(|h| h.1).sum::<usize>() / 2;
    let mut sum = 0;
    heights
        .iter()
        .find(|h| {
            sum += h.1;
            sum >= half
        })
        .map_or(20.0, |h| h.0)
        .clamp(6.0, 200.0)
}

/// Puts the page together: lines in the order of their regions, and the regions with their text.
fn assemble(
    image: &Image,
    lines: Vec<Line>,
    blocks: Vec<Block>,
    decisions: &[decide::Decision],
    frame: &Frame,
    options: &StructureOptions,
) -> PageText {
    let mut given: Vec<Option<Line>> = lines.into_iter().map(Some).collect();
    let mut page = PageText {
        index: 0,
        width: image.width,
        height: image.height,
        dpi: None,
        turn: 0,
        text: String::new(),
        confidence: 0.0,
        lines: Vec::new(),
        regions: Vec::new(),
    };
    let mut weight = 0.0;
    for (block, decision) in blocks.into_iter().zip(decisions) {
        let rows: Vec<Vec<&Line>> = block
            .rows
            .iter()
            .map(|row| row.iter().filter_map(|&i| given[i].as_ref()).collect())
            .collect();
        let texts: Vec<String> = rows
            .iter()
            .map(|row| {
                let parts: Vec<&str> = row.iter().map(|l| l.text.trim()).collect();
                flow::side_by_side(&parts)
            })
            .collect();
        let mut places = vec![Vec::new(); block.rows.len()];
        for (row, places) in block.rows.iter().zip(&mut places) {
            for &i in row {
                if let Some(line) = given[i].take() {
                    let characters = line.text.chars().count() as f32;
                    page.confidence += line.confidence * characters;
                    weight += characters;
                    places.push(page.lines.len());
                    page.lines.push(line);
                }
            }
        }
        let items = if decision.kind == RegionKind::List {
            lists::items(&texts, &block, &places)
        } else {
            Vec::new()
        };
        let text = match decision.kind {
            RegionKind::Code => lists::indented(&texts, &block),
            RegionKind::List => items
                .iter()
                .map(|i| format!("{} {}", i.marker, i.text).trim().to_string())
                .collect::<Vec<_>>()
                .join("\n"),
            RegionKind::Table => block.table.as_ref().map_or_else(String::new, table_text),
            RegionKind::Figure => texts.join("\n"),
            _ if block.broken => texts.join("\n"),
            _ => flow::join(&texts),
        };
        let picture = (options.pictures && is_picture(decision.kind))
            .then(|| cut(image, &frame.quad(&block.area)))
            .flatten()
            .map(Arc::new);
        page.regions.push(Region {
            kind: decision.kind,
            level: decision.level,
            quad: frame.quad(&block.area),
            confidence: decision.confidence,
            lines: places.into_iter().flatten().collect(),
            text,
            table: block.table,
            items,
            caption: None,
            continued: decision.continued,
            picture,
        });
    }
    if weight > 0.0 {
        page.confidence /= weight;
    }
    captions(&mut page);
    page.text = page
        .regions
        .iter()
        .map(|r| r.text.as_str())
        .filter(|t| !t.is_empty())
        .collect::<Vec<_>>()
        .join("\n\n");
    page
}

/// The rows of a table, cells side by side.
fn table_text(table: &crate::document::Table) -> String {
    let mut rows = vec![Vec::new(); table.rows];
    for cell in &table.cells {
        if !cell.text.is_empty() {
            rows[cell.row].push(cell.text.replace('\n', " "));
        }
    }
    let rows: Vec<String> = rows.into_iter().map(|r| r.join(" ")).collect();
    rows.join("\n")
}

/// Gives captions to the nearest table or figure beside them in the order.
fn captions(page: &mut PageText) {
    let kinds: Vec<RegionKind> = page.regions.iter().map(|r| r.kind).collect();
    let owns = |i: usize| matches!(kinds.get(i), Some(RegionKind::Figure | RegionKind::Table));
    for (i, kind) in kinds.iter().enumerate() {
        if *kind != RegionKind::Caption {
            continue;
        }
        let middle = |i: usize| page.regions[i].quad.center();
        let near = [i.checked_sub(1), Some(i + 1)]
            .into_iter()
            .flatten()
            .filter(|&n| owns(n) && page.regions[n].caption.is_none())
            .min_by(|&a, &b| {
                middle(a)
                    .distance(middle(i))
                    .total_cmp(&middle(b).distance(middle(i)))
            });
        if let Some(near) = near {
            page.regions[near].caption = Some(i);
        }
    }
}

/// Whether what a region looks like says more than its text.
fn is_picture(kind: RegionKind) -> bool {
    matches!(kind, RegionKind::Figure | RegionKind::Formula)
}

/// Whether a page has regions with pictures.
pub fn has_pictures(page: &PageText) -> bool {
    page.regions.iter().any(|region| is_picture(region.kind))
}

/// Cuts the pictures of a page's regions out of its image, as [`StructureOptions::pictures`] does.
pub fn cut_pictures(page: &mut PageText, image: &Image) {
    for region in &mut page.regions {
        if is_picture(region.kind) {
            region.picture = cut(image, &region.quad).map(Arc::new);
        }
    }
}

/// Most pixels of a cut-out.
const MAX_PICTURE: u64 = 16_000_000;

/// The upright part of the page around a quad, as a PNG file; `None` where it is empty or too large.
pub fn cut(image: &Image, quad: &crate::geometry::Quad) -> Option<Picture> {
    let [x0, y0, x1, y1] = quad.bounds();
    let clip = |v: f32, most: u32| (v.max(0.0) as u32).min(most);
    let (x0, y0) = (
        clip(x0.floor(), image.width),
        clip(y0.floor(), image.height),
    );
    let (x1, y1) = (clip(x1.ceil(), image.width), clip(y1.ceil(), image.height));
    let (width, height) = (x1.checked_sub(x0)?, y1.checked_sub(y0)?);
    if width == 0 || height == 0 || u64::from(width) * u64::from(height) > MAX_PICTURE {
        return None;
    }
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in y0..y1 {
        let from = (y as usize * image.width as usize + x0 as usize) * 3;
        rgb.extend_from_slice(&image.rgb[from..from + width as usize * 3]);
    }
    let mut png = Vec::new();
    let mut encoder = png::Encoder::new(&mut png, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.write_header().ok()?.write_image_data(&rgb).ok()?;
    Some(Picture { width, height, png })
}

#[cfg(test)]
mod tests;
