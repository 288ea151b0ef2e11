//! Protobuf's [wire format](https://protobuf.dev/programming-guides/encoding/), field by field, without a schema.
//!
//! What is read is borrowed from the file: nothing a file claims is allocated before it is there.

use crate::RuntimeError;

/// What a field holds.
#[derive(Clone, Copy)]
pub enum Value<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Fixed32([u8; 4]),
    Fixed64([u8; 8]),
}

/// One field of a message.
pub struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// With its key.
    pub whole: &'a [u8],
}

/// The fields of a message in order; an error, the last item, where it is broken.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Result<Field<'_>, RuntimeError>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(rest);
        rest = field.as_ref().map_or(&[], |f| &rest[f.whole.len()..]);
        Some(field.ok_or_else(|| RuntimeError::Malformed {
            reason: "it ends within a field, or a field has no known form".into(),
        }))
    })
}

fn field(bytes: &[u8]) -> Option<Field<'_>> {
    let (key, mut at) = varint(bytes)?;
    let value = match key & 7 {
        0 => {
            let (value, len) = varint(&bytes[at..])?;
            at += len;
            Value::Int(value)
        }
        1 => {
            let value = bytes.get(at..)?.first_chunk()?;
            at += 8;
            Value::Fixed64(*value)
        }
        2 => {
            let (len, size) = varint(&bytes[at..])?;
            let start = at + size;
            at = start.checked_add(usize::try_from(len).ok()?)?;
            Value::Bytes(bytes.get(start..at)?)
        }
        5 => {
            let value = bytes.get(at..)?.first_chunk()?;
            at += 4;
            Value::Fixed32(*value)
        }
        _ => return None,
    };
    // A field's number is at least 1.
    (key >> 3 != 0).then_some(Field {
        number: key >> 3,
        value,
        whole: &bytes[..at],
    })
}

/// A number in groups of seven bits, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f) << (7 * index);
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

impl<'a> Value<'a> {
    /// A number; `None` for another kind of field.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(value as i64),
            _ => None,
        }
    }

    /// Bytes, text or a message; `None` for another kind of field.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A text; `None` for another kind of field, or one that is not UTF-8.
    pub fn text(self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Adds the numbers of a repeated field, which stand alone or packed.
    pub fn ints(self, to: &mut Vec<i64>) -> Option<()> {
        match self {
            Self::Int(value) => to.push(value as i64),
            Self::Bytes(mut packed) => {
                while !packed.is_empty() {
                    let (value, len) = varint(packed)?;
                    to.push(value as i64);
                    packed = &packed[len..];
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Adds the floats of a repeated field, which stand alone or packed.
    pub fn floats(self, to: &mut Vec<f32>) -> Option<()> {
        match self {
            Self::Fixed32(value) => to.push(f32::from_le_bytes(value)),
            Self::Bytes(packed) => {
                let (values, []) = packed.as_chunks() else {
                    return None;
                };
                to.extend(values.iter().map(|v| f32::from_le_bytes(*v)));
            }
            _ => return None,
        }
        Some(())
    }

    /// Adds the doubles of a repeated field, which stand alone or packed.
    pub fn doubles(self, to: &mut Vec<f64>) -> Option<()> {
        match self {
            Self::Fixed64(value) => to.push(f64::from_le_bytes(value)),
            Self::Bytes(packed) => {
                let (values, []) = packed.as_chunks() else {
                    return None;
                };
                to.extend(values.iter().map(|v| f64::from_le_bytes(*v)));
            }
            _ => return None,
        }
        Some(())
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Adds a field that holds a number.
pub fn write_int(out: &mut Vec<u8>, number: u64, value: u64) {
    write_varint(out, number << 3);
    write_varint(out, value);
}

/// Adds a field that holds bytes, text or a message.
pub fn write_bytes(out: &mut Vec<u8>, number: u64, bytes: &[u8]) {
    write_varint(out, number << 3 | 2);
    write_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_numbers_stand_alone_or_packed() {
        let mut message = Vec::new();
        write_int(&mut message, 1, 5);
        write_bytes(&mut message, 1, &[3, 0x96, 0x01]);
        // -2 takes ten bytes.
        write_int(&mut message, 1, -2i64 as u64);
        let mut ints = Vec::new();
        for field in fields(&message) {
            field.unwrap().value.ints(&mut ints).unwrap();
        }
        assert_eq!(ints, [5, 3, 150, -2]);

        let mut floats = Vec::new();
        Value::Fixed32(1.5f32.to_le_bytes())
            .floats(&mut floats)
            .unwrap();
        let packed = [2.5f32, -1.0].map(f32::to_le_bytes).concat();
        Value::Bytes(&packed).floats(&mut floats).unwrap();
        assert_eq!(floats, [1.5, 2.5, -1.0]);
        assert!(Value::Bytes(&packed[1..]).floats(&mut floats).is_none());
        assert!(Value::Bytes(&[0x80]).ints(&mut ints).is_none());
    }

    #[test]
    fn a_broken_field_is_the_last() {
        // Cut short, without a number, of a kind that is no more, and a number of eleven bytes.
        for broken in [
            &[0x0a, 5, 1][..],
            &[0x02, 0],
            &[0x0b],
            &[0xff; 11],
            &[0x0d, 1, 2],
        ] {
            let mut message = Vec::new();
            write_int(&mut message, 1, 1);
            message.extend_from_slice(broken);
            let read: Vec<_> = fields(&message).map(|f| f.is_ok()).collect();
            assert_eq!(read, [true, false], "{broken:?}");
        }
    }
}
