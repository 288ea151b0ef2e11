//! [`Strip`](crate::crop::Strip)s → characters.

/// One character of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Glyph {
    /// The character (or the several that one class of the dictionary stands for).
    pub text: String,
    /// Where it begins, as a share of the strip's width.
    pub start: f32,
    /// Where it ends.
    pub end: f32,
    /// The recogniser's probability, 0 to 1.
    pub confidence: f32,
}

/// What a strip says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// In reading order; spaces are glyphs too.
    pub glyphs: Vec<Glyph>,
}

impl Reading {
    /// The line's text.
    pub fn text(&self) -> String {
        self.glyphs.iter().map(|g| g.text.as_str()).collect()
    }

    /// Mean of the characters' confidences; 0 for an empty line.
    pub fn confidence(&self) -> f32 {
        if self.glyphs.is_empty() {
            return 0.0;
        }
        self.glyphs.iter().map(|g| g.confidence).sum::<f32>() / self.glyphs.len() as f32
    }
}
