//! A font without anything to see: one glyph for every character, with a box and no area.
//!
//! It is a Type 0 font with two-byte codes; a map to Unicode says what they mean. The glyph's outline is a line there
//! and back, so that viewers take its box (0 to ½ em, −.2 to .8 em) for the character's.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Advance of every character, thousandths of its size.
pub const ADVANCE: i16 = 500;
/// What the box reaches above and below the baseline, thousandths.
pub const ASCENT: i16 = 800;
pub const DESCENT: i16 = -200;
/// Its name.
pub const NAME: &str = "MaoOCRUnseen";

/// Characters → codes. Those of the Basic Multilingual Plane are their own code.
#[derive(Default)]
pub struct Encoder {
    used: BTreeMap<u16, char>,
    others: BTreeMap<char, u16>,
}

impl Encoder {
    /// The code of a character; none if there are no codes left.
    pub fn code(&mut self, c: char) -> Option<u16> {
        let code = match u16::try_from(u32::from(c)) {
            Ok(code) => code,
            Err(_) => match self.others.get(&c) {
                Some(code) => *code,
                None => {
                    // Code units of surrogates are no characters: 2048 codes that are free.
                    let code = u16::try_from(0xd800 + self.others.len()).ok();
                    let code = code.filter(|code| *code < 0xe000)?;
                    self.others.insert(c, code);
                    code
                }
            },
        };
        self.used.insert(code, c);
        Some(code)
    }

    /// Whether any character was encoded.
    pub fn is_empty(&self) -> bool {
        self.used.is_empty()
    }

    /// The map from codes to Unicode (ISO 32000-1, 9.10.3).
    pub fn to_unicode(&self) -> String {
        let mut map = String::from(PROLOGUE);
        map.push_str("1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n");
        let all: Vec<(&u16, &char)> = self.used.iter().collect();
        // At most a hundred a block.
        for block in all.chunks(100) {
            let _ = writeln!(map, "{} beginbfchar", block.len());
            for (code, c) in block {
                let _ = write!(map, "<{code:04X}> <");
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(map, "{unit:04X}");
                }
                map.push_str(">\n");
            }
            map.push_str("endbfchar\n");
        }
        map.push_str(EPILOGUE);
        map
    }
}

/// A map that says "space" for all codes of `bytes` bytes: what is drawn in such a font is never found.
pub fn all_spaces(bytes: usize) -> String {
    let mut map = String::from(PROLOGUE);
    let width = 2 * bytes;
    let most = if bytes == 1 { 0xff } else { 0xffff };
    let _ = write!(
        map,
        "1 begincodespacerange\n<{:0width$X}> <{most:0width$X}>\nendcodespacerange\n",
        0
    );
    let spaces = "<0020>".repeat(256);
    let rows: Vec<u32> = (0..=most / 256).collect();
    for block in rows.chunks(100) {
        let _ = writeln!(map, "{} beginbfrange", block.len());
        for row in block {
            let (from, to) = (row * 256, row * 256 + 255);
            let _ = writeln!(map, "<{from:0width$X}> <{to:0width$X}> [{spaces}]");
        }
        map.push_str("endbfrange\n");
    }
    map.push_str(EPILOGUE);
    map
}

const PROLOGUE: &str = "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n\
    /CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n\
    /CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n";
const EPILOGUE: &str = "endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n";

/// The map from character codes to glyphs: all to glyph 1.
pub fn cid_to_gid() -> Vec<u8> {
    [0u8, 1].repeat(0x1_0000)
}

/// The TrueType file (Apple's and Microsoft's specifications; the tables that a PDF needs).
pub fn file() -> Vec<u8> {
    let be = |values: &[i16]| -> Vec<u8> { values.iter().flat_map(|v| v.to_be_bytes()).collect() };
    // A contour of three points on a line: (0, descent), (advance, ascent), and back half way.
    let mut glyph = be(&[1, 0, DESCENT, ADVANCE, ASCENT]);
    glyph.extend(be(&[2, 0]));
    // On the curve, coordinates as words.
    glyph.extend([1, 1, 1]);
    glyph.extend(be(&[0, ADVANCE, -ADVANCE / 2]));
    glyph.extend(be(&[DESCENT, ASCENT - DESCENT, -(ASCENT - DESCENT) / 2]));
    while !glyph.len().is_multiple_of(4) {
        glyph.push(0);
    }
    let mut head = vec![0, 1, 0, 0, 0, 1, 0, 0];
    head.extend([0; 4]);
    head.extend(0x5f0f_3cf5_u32.to_be_bytes());
    // Flags, units an em, two dates.
    head.extend(be(&[0, 1000]));
    head.extend([0; 16]);
    head.extend(be(&[0, DESCENT, ADVANCE, ASCENT, 0, 8, 2, 0, 0]));
    let mut hhea = vec![0, 1, 0, 0];
    hhea.extend(be(&[
        ASCENT, DESCENT, 0, ADVANCE, 0, 0, ADVANCE, 1, 0, 0, 0, 0, 0, 0, 0, 2,
    ]));
    let mut maxp = vec![0, 1, 0, 0];
    maxp.extend(be(&[2, 3, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    let half = (glyph.len() / 2) as i16;
    let tables: [(&[u8; 4], Vec<u8>); 6] = [
        (b"glyf", glyph),
        (b"head", head),
        (b"hhea", hhea),
        (b"hmtx", be(&[ADVANCE, 0, ADVANCE, 0])),
        // Glyph 0 is empty.
        (b"loca", be(&[0, 0, half])),
        (b"maxp", maxp),
    ];
    let mut file = vec![0, 1, 0, 0];
    file.extend(be(&[6, 64, 2, 32]));
    let mut at = 12 + 16 * tables.len();
    for (tag, data) in &tables {
        file.extend(*tag);
        file.extend(sum(data).to_be_bytes());
        file.extend((at as u32).to_be_bytes());
        file.extend((data.len() as u32).to_be_bytes());
        at += data.len().next_multiple_of(4);
    }
    for (_, data) in &tables {
        file.extend(data);
        file.resize(file.len().next_multiple_of(4), 0);
    }
    // The whole file's checksum makes it so much.
    let adjustment = 0xb1b0_afba_u32.wrapping_sub(sum(&file));
    let head_at = 12 + 16 * tables.len() + tables[0].1.len();
    file[head_at + 8..head_at + 12].copy_from_slice(&adjustment.to_be_bytes());
    file
}

fn sum(data: &[u8]) -> u32 {
    data.chunks(4).fold(0, |sum, word| {
        let mut bytes = [0; 4];
        bytes[..word.len()].copy_from_slice(word);
        sum.wrapping_add(u32::from_be_bytes(bytes))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_outside_the_plane_get_codes_of_their_own() {
        let mut encoder = Encoder::default();
        assert_eq!(encoder.code('A'), Some(0x41));
        let rare = encoder.code('𠀀').unwrap();
        assert_eq!(encoder.code('𠀀'), Some(rare));
        assert_ne!(encoder.code('𠀁'), Some(rare));
        let map = encoder.to_unicode();
        assert!(map.contains("<0041> <0041>"));
        assert!(map.contains(&format!("<{rare:04X}> <D840DC00>")), "{map}");
        assert!(map.contains("3 beginbfchar"));
    }

    #[test]
    fn the_font_file_adds_up() {
        assert_eq!(sum(&file()), 0xb1b0_afba);
        assert_eq!(file().len() % 4, 0);
    }

    #[test]
    fn every_code_is_a_space() {
        let map = all_spaces(1);
        assert_eq!(map.matches("<0020>").count(), 256);
        assert_eq!(all_spaces(2).matches("<0020>").count(), 65_536);
        assert!(all_spaces(2).contains("<FF00> <FFFF>"));
    }
}
