//! CCITT compressions 2 (modified Huffman), 3 (T.4) and 4 (T.6), as fax servers and scanners write them.

use hayro_ccitt::{DecodeSettings, Decoder, DecoderContext, EncodingMode, decode};
use tiff::tags::Tag;

use super::super::{Format, ImagingError};
use super::directory::Stored;
use super::{Reader, error};

/// How the bilevel strips or tiles of a page are coded.
pub(super) struct Fax {
    encoding: EncodingMode,
    /// Each row starts at a byte.
    aligned: bool,
    /// The first pixel of a byte is its lowest bit.
    lowest_first: bool,
    /// What a black run stands for, which is ink only where 0 is white.
    black: bool,
    stored: Stored,
    /// Rows that the data of the chunks so far lack.
    pub missing: u64,
}

impl Fax {
    /// `None` where the page is compressed otherwise.
    pub fn of(decoder: &mut Reader<'_>) -> Result<Option<Self>, ImagingError> {
        /// Bits of the tag T4Options.
        const TWO_DIMENSIONAL: u32 = 1;
        const UNCOMPRESSED: u32 = 2;
        let mut number = |tag| decoder.find_tag_unsigned::<u32>(tag).map_err(error);
        let (encoding, aligned) = match number(Tag::Compression)? {
            Some(2) => (EncodingMode::Group3_1D, true),
            Some(3) => {
                let options = number(Tag::Unknown(292))?.unwrap_or(0);
                if options & UNCOMPRESSED != 0 {
                    return Err(ImagingError::unsupported(
                        Format::Tiff,
                        "uncompressed runs in a fax",
                    ));
                }
                let mode = if options & TWO_DIMENSIONAL != 0 {
                    EncodingMode::Group3_2D
                } else {
                    EncodingMode::Group3_1D
                };
                (mode, false)
            }
            Some(4) => (EncodingMode::Group4, false),
            _ => return Ok(None),
        };
        let lowest_first = number(Tag::FillOrder)? == Some(2);
        let black = number(Tag::PhotometricInterpretation)? != Some(0);
        Ok(Some(Self {
            encoding,
            aligned,
            lowest_first,
            black,
            stored: Stored::of(decoder)?,
            missing: 0,
        }))
    }

    /// Unpacks a strip or tile of `width` × `height` px into rows of bits, 1 for white; what is missing stays white.
    pub fn read(&mut self, file: &[u8], index: u32, (width, height): (u32, u32), out: &mut [u8]) {
        let reversed: Vec<u8>;
        let mut data = self.stored.bytes(file, index);
        if self.lowest_first {
            reversed = data.iter().map(|byte| byte.reverse_bits()).collect();
            data = &reversed;
        }
        out.fill(0xff);
        let mut rows = Rows {
            left: out.chunks_exact_mut((width as usize).div_ceil(8)),
            width,
            black: self.black,
            read: 0,
        };
        let mut context = DecoderContext::new(DecodeSettings {
            columns: width,
            rows: height,
            end_of_block: true,
            end_of_line: false,
            rows_are_byte_aligned: self.aligned,
            encoding: self.encoding,
            strict: false,
        });
        // An error leaves the rows before it, and the rest counts as missing.
        let _ = decode(data, &mut rows, &mut context);
        self.missing += u64::from(height.saturating_sub(rows.read));
    }
}

/// Rows of a chunk that are still to be read.
struct Rows<'a> {
    left: std::slice::ChunksExactMut<'a, u8>,
    width: u32,
    black: bool,
    read: u32,
}

impl Decoder for Rows<'_> {
    fn push_row(&mut self, changes: &[u32]) {
        let Some(row) = self.left.next() else {
            return;
        };
        self.read += 1;
        row.fill(if self.black { 0 } else { 0xff });
        for run in changes.chunks(2) {
            let end = run.get(1).copied().unwrap_or(self.width).min(self.width);
            flip(row, run[0] as usize, end as usize);
        }
    }
}

/// Turns over the bits from `from` up to `to`, counted from the top bit of the first byte.
fn flip(row: &mut [u8], from: usize, to: usize) {
    if from >= to {
        return;
    }
    let (first, last) = (from / 8, (to - 1) / 8);
    let head = 0xff_u8 >> (from % 8);
    let tail = 0xff_u8 << (7 - (to - 1) % 8);
    if first == last {
        row[first] ^= head & tail;
        return;
    }
    row[first] ^= head;
    for byte in &mut row[first + 1..last] {
        *byte ^= 0xff;
    }
    row[last] ^= tail;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_flip_their_bits() {
        for from in 0..24 {
            for to in from..=24 {
                let mut row = [0u8; 3];
                flip(&mut row, from, to);
                let bits: Vec<bool> = (0..24)
                    .map(|i| row[i / 8] >> (7 - i % 8) & 1 == 1)
                    .collect();
                let wanted: Vec<bool> = (0..24).map(|i| (from..to).contains(&i)).collect();
                assert_eq!(bits, wanted, "{from}..{to}");
            }
        }
    }
}
