//! Which font a run of glyphs is in.
//!
//! The interpreter hands out the font files of TrueType and CID fonts, not of Type 1 fonts. Those are told apart by
//! their widths: the font dictionaries of the page are known, and so are the run's codes and advances.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use hayro::hayro_interpret::font::{Glyph, PositionedGlyph};
use hayro::hayro_syntax::object::dict::keys::{
    BASE_FONT, FIRST_CHAR, FLAGS, FONT_DESC, RESOURCES, SUBTYPE, WIDTHS,
};
use hayro::hayro_syntax::object::{Array, Dict, Name, Stream};
use hayro::hayro_syntax::page::Resources;
use maoocr_engine::page::Font;

/// Fonts of a page at most that are looked at.
const MAX_FONTS: usize = 256;

/// The simple fonts of a page by their widths.
#[derive(Default)]
pub struct Fonts {
    simple: Vec<Simple>,
    /// The last one that fitted is tried first: runs follow each other in the same font.
    last: usize,
    named: HashMap<u128, u64>,
}

struct Simple {
    font: Font,
    first: u32,
    widths: Vec<f32>,
}

impl Fonts {
    /// Reads the font dictionaries of a page's resources, and of the forms in them.
    pub fn of_page(resources: &Resources<'_>) -> Self {
        let mut fonts = Self::default();
        fonts.collect(resources, 0);
        fonts
    }

    fn collect(&mut self, resources: &Resources<'_>, depth: usize) {
        for key in resources.fonts.keys() {
            if self.simple.len() >= MAX_FONTS {
                return;
            }
            if let Some(dict) = resources.fonts.get::<Dict<'_>>(&*key) {
                self.simple.extend(Simple::of(&dict));
            }
        }
        if depth >= 3 {
            return;
        }
        for key in resources.x_objects.keys().take(MAX_FONTS) {
            let form = resources.x_objects.get::<Stream<'_>>(&*key);
            if let Some(inner) = form.and_then(|f| f.dict().get::<Dict<'_>>(RESOURCES)) {
                self.collect(&Resources::new(inner), depth + 1);
            }
        }
    }

    /// A number for the font of a run, and what is known of it.
    pub fn of(&mut self, run: &[PositionedGlyph<'_>]) -> (u64, Option<Font>) {
        let outlines = || {
            run.iter().filter_map(|g| match &**g {
                Glyph::Outline(g) => Some(g),
                Glyph::Type3(_) => None,
            })
        };
        let Some(first) = outlines().next() else {
            return (0, None);
        };
        if let Some(data) = first.font_data() {
            let name = bare(data.postscript_name.as_deref().unwrap_or(""));
            let lower = name.to_lowercase();
            let font = Font {
                bold: data.weight.is_some_and(|w| w >= 600) || is_bold(&lower),
                italic: data.is_italic || is_italic(&lower),
                monospaced: data.is_monospace || is_monospaced(&lower),
                serif: data.is_serif,
                name,
            };
            let next = self.named.len() as u64;
            let key = data.cache_key ^ u128::from(hash(&font.name));
            return (
                (1 << 32) + *self.named.entry(key).or_insert(next),
                Some(font),
            );
        }
        let fits = |simple: &Simple| {
            outlines().take(16).all(|glyph| {
                let width = glyph
                    .char_code()
                    .checked_sub(simple.first)
                    .and_then(|i| simple.widths.get(i as usize));
                match (width, glyph.advance_width()) {
                    (Some(wanted), Some(is)) => (wanted - is).abs() < 0.5,
                    _ => false,
                }
            })
        };
        let mut order = std::iter::once(self.last).chain(0..self.simple.len());
        let found = order.find(|&i| self.simple.get(i).is_some_and(fits));
        match found {
            Some(index) => {
                self.last = index;
                (1 + index as u64, Some(self.simple[index].font.clone()))
            }
            None => (0, None),
        }
    }
}

impl Simple {
    fn of(dict: &Dict<'_>) -> Option<Self> {
        let subtype = dict.get::<Name<'_>>(SUBTYPE)?;
        if !matches!(&*subtype, b"Type1" | b"MMType1") {
            return None;
        }
        let name = bare(dict.get::<Name<'_>>(BASE_FONT)?.as_str());
        let lower = name.to_lowercase();
        let descriptor = dict.get::<Dict<'_>>(FONT_DESC).unwrap_or_else(Dict::empty);
        // Bits 1, 2, 7 and 19 of a font descriptor's flags (ISO 32000-2, table 121).
        let flags = descriptor.get::<u32>(FLAGS).unwrap_or(0);
        let font = Font {
            bold: flags & 1 << 18 != 0 || is_bold(&lower),
            italic: flags & 1 << 6 != 0 || is_italic(&lower),
            monospaced: flags & 1 != 0 || is_monospaced(&lower),
            serif: flags & 1 << 1 != 0,
            name,
        };
        let widths = dict.get::<Array<'_>>(WIDTHS)?.iter::<f32>().take(256);
        Some(Self {
            font,
            first: dict.get::<u32>(FIRST_CHAR).unwrap_or(0),
            widths: widths.collect(),
        })
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Without the six letters and plus sign of a subset.
fn bare(name: &str) -> String {
    match name.split_once('+') {
        Some((tag, rest)) if tag.len() == 6 && tag.bytes().all(|b| b.is_ascii_uppercase()) => rest,
        _ => name,
    }
    .to_string()
}

fn is_bold(lower: &str) -> bool {
    ["bold", "black", "heavy", "demi", "cmbx", "sfbx", "-bd"]
        .iter()
        .any(|part| lower.contains(part))
}

fn is_italic(lower: &str) -> bool {
    [
        "italic", "oblique", "slanted", "cmti", "cmsl", "cmmi", "sfti",
    ]
    .iter()
    .any(|part| lower.contains(part))
}

fn is_monospaced(lower: &str) -> bool {
    ["mono", "courier", "typewriter", "cmtt", "consol", "sftt"]
        .iter()
        .any(|part| lower.contains(part))
}
