//! A page on its way into the pipeline, and where pages come from.

use std::ops::RangeInclusive;
use std::str::FromStr;

use crate::geometry::Quad;
use crate::imaging::{Image, ImagingError};

/// One page of a file: what is seen on it, and what the file itself says about its text.
#[derive(Clone, Debug)]
pub struct Page {
    /// What a person sees.
    pub image: Image,
    /// Position in the file, from 0.
    pub index: usize,
    /// Resolution of `image`, pixels an inch, where the file states one that can be believed.
    pub dpi: Option<f32>,
    /// The text that a born-digital page carries, and the lines drawn on it.
    pub text_layer: Option<TextLayer>,
}

impl From<Image> for Page {
    /// A picture that comes alone.
    fn from(image: Image) -> Self {
        Self {
            image,
            index: 0,
            dpi: None,
            text_layer: None,
        }
    }
}

/// Yields the pages of a file one at a time, so that only one of them is in memory.
///
/// Limits are checked before anything is decoded or rasterised.
pub trait Source {
    /// How many pages there are, where the format says so.
    fn count(&self) -> Option<usize>;

    /// The next page; `None` after the last one.
    ///
    /// # Errors
    /// Where [`PageError::index`] is set, only that page is lost and the next call yields the one after it; otherwise
    /// nothing follows.
    fn next_page(&mut self) -> Option<Result<Page, PageError>>;
}

/// Why a page, or the rest of a file, can't be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct PageError {
    /// The page that is lost, from 0; none where the rest of the file is.
    pub index: Option<usize>,
    /// Why.
    pub error: ImagingError,
}

impl std::fmt::Display for PageError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.index {
            Some(index) => write!(f, "page {}: {}", index + 1, self.error),
            None => self.error.fmt(f),
        }
    }
}

/// Page numbers from 1, as in `1-3,7,10-`.
#[derive(Clone, Debug, PartialEq)]
pub struct PageRanges(Vec<RangeInclusive<usize>>);

impl PageRanges {
    /// Single pages by their positions from 0.
    pub fn of(indices: impl IntoIterator<Item = usize>) -> Self {
        let numbers = indices.into_iter().map(|index| index.saturating_add(1));
        Self(numbers.map(|number| number..=number).collect())
    }

    /// Ranges of positions from 0.
    pub fn of_ranges(ranges: impl IntoIterator<Item = RangeInclusive<usize>>) -> Self {
        let numbers = ranges.into_iter().map(|range| {
            let (from, to) = range.into_inner();
            from.saturating_add(1)..=to.saturating_add(1)
        });
        Self(numbers.collect())
    }

    /// The largest page number among them that is beyond `count`, if one is named.
    pub fn beyond(&self, count: usize) -> Option<usize> {
        let ends = self.0.iter().map(|r| *r.end());
        ends.filter(|&end| end > count && end < usize::MAX).max()
    }

    /// The last page number among them; the largest number there is where they are open.
    pub fn last(&self) -> usize {
        self.0.iter().map(|r| *r.end()).max().unwrap_or(0)
    }

    /// The ranges that begin beyond `count`, as people write them. One that merely ends there isn't among them: `1-10` is
    /// all of a shorter file.
    pub fn absent(&self, count: usize) -> Option<String> {
        let beyond = self.0.iter().filter(|r| *r.start() > count);
        let written = beyond.map(|r| match (*r.start(), *r.end()) {
            (from, usize::MAX) => format!("{from}-"),
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from}-{to}"),
        });
        let written: Vec<String> = written.collect();
        (!written.is_empty()).then(|| written.join(", "))
    }

    /// Whether a page number is among them.
    pub fn holds(&self, number: usize) -> bool {
        self.0.iter().any(|r| r.contains(&number))
    }

    /// Positions from 0 of the pages chosen of `count`, in the order of the file.
    pub fn chosen(&self, count: usize) -> Vec<usize> {
        (0..count).filter(|index| self.holds(index + 1)).collect()
    }
}

impl FromStr for PageRanges {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no list of pages such as 1-3,7,10-");
        let number = |n: &str| match n.trim().parse::<usize>() {
            Ok(0) => Err("pages are counted from 1".into()),
            Ok(n) => Ok(n),
            Err(_) => Err(wrong()),
        };
        let range = |part: &str| match part.split_once('-') {
            None => number(part).map(|n| n..=n),
            Some((from, "")) => Ok(number(from)?..=usize::MAX),
            Some((from, to)) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to {
                    return Err(format!("`{part}` runs backwards: write {to}-{from}"));
                }
                Ok(from..=to)
            }
        };
        text.split(',')
            .map(range)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

/// What a page of a PDF says in text and strokes, in the pixels of the page's image.
#[derive(Clone, Debug, Default)]
pub struct TextLayer {
    /// Characters in the order of the content stream.
    pub glyphs: Vec<LayerGlyph>,
    /// The fonts that [`LayerGlyph::font`] points to.
    pub fonts: Vec<Font>,
    /// Straight strokes and the edges of filled rectangles thin enough to be strokes.
    pub rules: Vec<Rule>,
    /// Where raster pictures stand.
    pub pictures: Vec<Quad>,
}

/// A character of a text layer.
#[derive(Clone, Debug)]
pub struct LayerGlyph {
    /// Its Unicode text, mostly one character; empty where the font has no map to Unicode.
    pub text: String,
    /// Its advance width by the font's ascent and descent, px; clockwise from the character's own top left.
    pub quad: Quad,
    /// Font size, px.
    pub size: f32,
    /// Index into [`TextLayer::fonts`].
    pub font: usize,
    /// Whether it is painted: text of rendering mode 3 is not.
    pub visible: bool,
}

/// A font of a text layer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Font {
    /// Its PostScript name without the subset's prefix.
    pub name: String,
    /// Bold, by its flags, weight or name.
    pub bold: bool,
    /// Italic or oblique.
    pub italic: bool,
    /// All characters are equally wide.
    pub monospaced: bool,
    /// Strokes end in serifs.
    pub serif: bool,
}

/// A straight stroke that may frame or divide: a table's rule, the line above footnotes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// Left or upper end: x, y, px.
    pub from: [f32; 2],
    /// Right or lower end: x, y, px.
    pub to: [f32; 2],
    /// Stroke width, px.
    pub thickness: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read() {
        let ranges: PageRanges = "1-3,7, 10-".parse().unwrap();
        assert_eq!(ranges.chosen(12), [0, 1, 2, 6, 9, 10, 11]);
        for wrong in ["", "0", "3-1", "a", "1,,2", "-3", "1-2-3"] {
            assert!(wrong.parse::<PageRanges>().is_err(), "{wrong}");
        }
        let backwards = "1,3-2".parse::<PageRanges>().unwrap_err();
        assert_eq!(backwards, "`3-2` runs backwards: write 2-3");
    }

    #[test]
    fn pages_that_are_not_there_are_named() {
        let ranges: PageRanges = "2,4-9,12-13,15,20-".parse().unwrap();
        assert_eq!(ranges.absent(7).as_deref(), Some("12-13, 15, 20-"));
        assert_eq!(ranges.absent(20), None);
        let few: PageRanges = "2,9".parse().unwrap();
        assert_eq!((few.absent(3).as_deref(), few.last()), (Some("9"), 9));
    }
}
