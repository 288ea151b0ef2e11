//! The chain of directories, walked before the decoder does.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use tiff::decoder::ChunkType;
use tiff::tags::Tag;

use super::super::{Format, ImagingError, Limits};
use super::{Reader, error};

/// Colours that the decoder refuses, though it could read their samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colours {
    /// Indices into a palette.
    Palette,
    /// CIE L*a*b* with signed a* and b* (photometric 8) or with shifted ones (9).
    Lab { signed: bool },
}

/// What the chain of directories says.
pub(super) struct Directories<'a> {
    /// The file, mended where the decoder would refuse what it could read.
    pub bytes: Cow<'a, [u8]>,
    /// Colours of the pages, by where their directory stands.
    pub colours: BTreeMap<u64, Colours>,
    /// Pages: directories but for thumbnails and masks. Unknown where the chain breaks off.
    pub pages: Option<usize>,
}

/// How many directories of a file are visited: thumbnails and masks do not count as pages, but take time.
pub(super) fn most(limits: &Limits) -> usize {
    limits.max_pages.saturating_mul(4)
}

/// Thumbnails and transparency masks of another page, by the tag NewSubfileType.
pub(super) const fn is_auxiliary(kind: u32) -> bool {
    kind & 0b101 != 0
}

impl<'a> Directories<'a> {
    /// Walks the chain. In a copy of the file, palette pages are declared grey and L*a*b* ones RGB, since the decoder
    /// reads the samples of those; and a chain that bites its tail ends there. Other damage is left for the decoder
    /// to report.
    ///
    /// # Errors
    /// The directories overlap: 64 MiB could otherwise claim hundreds of directories of millions of entries each.
    pub fn scan(bytes: &'a [u8], limits: &Limits) -> Result<Self, ImagingError> {
        const NEW_SUBFILE_TYPE: u64 = 254;
        const PHOTOMETRIC: u64 = 262;
        const BLACK_IS_ZERO: u8 = 1;
        const RGB: u8 = 2;

        let mut found = Self {
            bytes: Cow::Borrowed(bytes),
            colours: BTreeMap::new(),
            pages: None,
        };
        let little = bytes.starts_with(b"II");
        let big = bytes.get(if little { 2 } else { 3 }) == Some(&43);
        let number = |at: usize, len: usize| -> Option<u64> {
            let field = bytes.get(at..at.checked_add(len)?)?;
            let fold = |n: u64, byte: &u8| n << 8 | u64::from(*byte);
            Some(if little {
                field.iter().rev().fold(0, fold)
            } else {
                field.iter().fold(0, fold)
            })
        };
        // Lengths of an offset, of a count of entries, of an entry, and where its value stands.
        let (offset, count, entry, value) = if big { (8, 8, 20, 12) } else { (4, 2, 12, 8) };
        let mut seen = BTreeSet::new();
        let mut link = offset;
        let mut pages = 0;
        let mut claimed = 0;
        loop {
            let Some(directory) = number(link, offset) else {
                return Ok(found);
            };
            if directory == 0 {
                break;
            }
            // More than will be visited.
            if seen.len() > most(limits) {
                return Ok(found);
            }
            if !seen.insert(directory) {
                found.bytes.to_mut()[link..link + offset].fill(0);
                break;
            }
            let Some((first, end)) = usize::try_from(directory).ok().and_then(|start| {
                let entries = usize::try_from(number(start, count)?).ok()?;
                let first = start.checked_add(count)?;
                let end = first.checked_add(entries.checked_mul(entry)?)?;
                (end <= bytes.len()).then_some((first, end))
            }) else {
                return Ok(found);
            };
            claimed += end - first;
            if claimed > bytes.len() {
                return Err(ImagingError::malformed(
                    Format::Tiff,
                    "its directories overlap",
                ));
            }
            let mut auxiliary = false;
            for at in (first..end).step_by(entry) {
                let photometric = match number(at, 2) {
                    Some(NEW_SUBFILE_TYPE) => {
                        let kind = number(at + value, 4).unwrap_or(0);
                        auxiliary = is_auxiliary(kind as u32);
                        continue;
                    }
                    Some(PHOTOMETRIC) => number(at + value, 2),
                    _ => continue,
                };
                let (colours, declared) = match photometric {
                    Some(3) => (Colours::Palette, BLACK_IS_ZERO),
                    Some(8) => (Colours::Lab { signed: true }, RGB),
                    Some(9) => (Colours::Lab { signed: false }, RGB),
                    _ => continue,
                };
                found.colours.insert(directory, colours);
                found.bytes.to_mut()[at + value + usize::from(!little)] = declared;
            }
            pages += usize::from(seen.len() == 1 || !auxiliary);
            link = end;
        }
        found.pages = Some(pages);
        Ok(found)
    }
}

/// Where the strips or tiles of a page stand in the file.
pub(super) struct Stored {
    offsets: Vec<u64>,
    lengths: Vec<u64>,
}

impl Stored {
    pub fn of(decoder: &mut Reader<'_>) -> Result<Self, ImagingError> {
        let (offsets, lengths) = match decoder.get_chunk_type() {
            ChunkType::Strip => (Tag::StripOffsets, Tag::StripByteCounts),
            ChunkType::Tile => (Tag::TileOffsets, Tag::TileByteCounts),
        };
        let mut numbers = |tag| {
            let found = decoder.find_tag_unsigned_vec::<u64>(tag).map_err(error)?;
            Ok::<_, ImagingError>(found.unwrap_or_default())
        };
        Ok(Self {
            offsets: numbers(offsets)?,
            lengths: numbers(lengths)?,
        })
    }

    /// The bytes of one of them; fewer where the file ends before.
    pub fn bytes<'f>(&self, file: &'f [u8], chunk: u32) -> &'f [u8] {
        let field = |list: &[u64]| {
            let value = list.get(chunk as usize).copied();
            value.and_then(|v| usize::try_from(v).ok()).unwrap_or(0)
        };
        let (start, length) = (field(&self.offsets), field(&self.lengths));
        file.get(start..start.saturating_add(length).min(file.len()))
            .unwrap_or_default()
    }
}
