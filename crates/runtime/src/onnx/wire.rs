//! Protobuf's [wire format](https://protobuf.dev/programming-guides/encoding/), field by field, without a schema.

/// What a field holds.
pub enum Value<'a> {
    Int(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// One field of a message.
pub struct Field<'a> {
    pub number: u64,
    pub value: Value<'a>,
    /// With its key.
    pub whole: &'a [u8],
}

/// The fields of a message in order; `None` once where it is broken.
pub fn fields(message: &[u8]) -> impl Iterator<Item = Option<Field<'_>>> {
    let mut rest = message;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(rest);
        rest = field.as_ref().map_or(&[], |f| &rest[f.whole.len()..]);
        Some(field)
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
        wire @ (1 | 5) => {
            at += if wire == 1 { 8 } else { 4 };
            bytes.get(..at)?;
            Value::Fixed
        }
        2 => {
            let (len, size) = varint(&bytes[at..])?;
            let start = at + size;
            at = start.checked_add(usize::try_from(len).ok()?)?;
            Value::Bytes(bytes.get(start..at)?)
        }
        _ => return None,
    };
    Some(Field {
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
