//! Makes an ONNX file half as large: weights become half floats, with a `Cast` after each, so that the file stays a
//! valid model for every runtime. The arithmetic stays that of `f32`.
//!
//! It works on the bytes of the format: what it doesn't know it copies.

use super::wire::{Value, fields, write_bytes, write_int};
use crate::RuntimeError;

/// Smaller tensors stay as they are: shapes, biases, constants of formulas.
const MIN_ELEMENTS: usize = 256;

/// Field numbers of the messages that are looked into.
mod field {
    pub const MODEL_GRAPH: u64 = 7;
    pub const GRAPH_NODE: u64 = 1;
    pub const GRAPH_INITIALIZER: u64 = 5;
    pub const NODE_INPUT: u64 = 1;
    pub const NODE_OUTPUT: u64 = 2;
    pub const NODE_NAME: u64 = 3;
    pub const NODE_OP: u64 = 4;
    pub const NODE_ATTRIBUTE: u64 = 5;
    pub const ATTRIBUTE_NAME: u64 = 1;
    pub const ATTRIBUTE_INT: u64 = 3;
    pub const ATTRIBUTE_TENSOR: u64 = 5;
    pub const ATTRIBUTE_TYPE: u64 = 20;
    pub const TENSOR_TYPE: u64 = 2;
    pub const TENSOR_FLOATS: u64 = 4;
    pub const TENSOR_NAME: u64 = 8;
    pub const TENSOR_RAW: u64 = 9;
}

/// `TensorProto.DataType` and `AttributeProto.AttributeType`.
const FLOAT: u64 = 1;
const FLOAT16: u64 = 10;
const INT_ATTRIBUTE: u64 = 2;

/// Ends the names of the halves.
const SUFFIX: &str = "_f16";

/// The same model with its weights as half floats, rounded to the nearest.
///
/// An error where the bytes are not a message of the format; [`super::load`] says more about what is wrong.
pub fn compact(onnx: &[u8]) -> Result<Vec<u8>, RuntimeError> {
    let broken = || RuntimeError::Malformed {
        reason: "the file ends within a field, or a field has no known form".into(),
    };
    let mut out = Vec::with_capacity(onnx.len() / 2);
    for field in fields(onnx) {
        let field = field.ok_or_else(broken)?;
        match field.value {
            Value::Bytes(graph) if field.number == field::MODEL_GRAPH => {
                let graph = compact_graph(graph).ok_or_else(broken)?;
                write_bytes(&mut out, field.number, &graph);
            }
            _ => out.extend_from_slice(field.whole),
        }
    }
    Ok(out)
}

fn compact_graph(graph: &[u8]) -> Option<Vec<u8>> {
    let mut nodes = Vec::new();
    let mut rest = Vec::new();
    let mut casts = Vec::new();
    for field in fields(graph) {
        let field = field?;
        match (field.number, field.value) {
            (field::GRAPH_INITIALIZER, Value::Bytes(tensor)) => {
                match halves(tensor)? {
                    Some((halved, name)) => {
                        write_bytes(&mut rest, field.number, &halved);
                        cast(&mut casts, &name);
                    }
                    None => rest.extend_from_slice(field.whole),
                };
            }
            (field::GRAPH_NODE, Value::Bytes(node)) => match compact_constant(node)? {
                Some((halved, name)) => {
                    write_bytes(&mut nodes, field.number, &halved);
                    cast(&mut nodes, &name);
                }
                None => nodes.extend_from_slice(field.whole),
            },
            _ => rest.extend_from_slice(field.whole),
        }
    }
    // Initialisers are there before any node, so their casts may come first.
    casts.extend(nodes);
    casts.extend(rest);
    Some(casts)
}

/// A `Constant` node with its tensor halved and its output renamed, and the name that the output had.
fn compact_constant(node: &[u8]) -> Option<Option<(Vec<u8>, String)>> {
    let (mut out, mut name, mut halved) = (Vec::new(), None, false);
    let mut constant = false;
    for field in fields(node) {
        let field = field?;
        match (field.number, field.value) {
            (field::NODE_OP, Value::Bytes(op)) => {
                constant = op == b"Constant";
                out.extend_from_slice(field.whole);
            }
            (field::NODE_OUTPUT, Value::Bytes(output)) => {
                let output = std::str::from_utf8(output).ok()?;
                write_bytes(
                    &mut out,
                    field.number,
                    format!("{output}{SUFFIX}").as_bytes(),
                );
                name = Some(output.to_string());
            }
            (field::NODE_ATTRIBUTE, Value::Bytes(attribute)) => {
                let mut inner = Vec::new();
                for part in fields(attribute) {
                    let part = part?;
                    match (part.number, part.value) {
                        (field::ATTRIBUTE_TENSOR, Value::Bytes(tensor)) => match halves(tensor)? {
                            Some((tensor, _)) => {
                                write_bytes(&mut inner, part.number, &tensor);
                                halved = true;
                            }
                            None => inner.extend_from_slice(part.whole),
                        },
                        _ => inner.extend_from_slice(part.whole),
                    }
                }
                write_bytes(&mut out, field.number, &inner);
            }
            _ => out.extend_from_slice(field.whole),
        }
    }
    Some(name.filter(|_| constant && halved).map(|name| (out, name)))
}

/// A tensor of floats as halves under its new name, and the old name; `None` inside for one that stays.
fn halves(tensor: &[u8]) -> Option<Option<(Vec<u8>, String)>> {
    let (mut out, mut name, mut floats) = (Vec::new(), String::new(), Vec::new());
    let mut is_float = false;
    for field in fields(tensor) {
        let field = field?;
        match (field.number, field.value) {
            (field::TENSOR_TYPE, Value::Int(kind)) => is_float = kind == FLOAT,
            (field::TENSOR_NAME, Value::Bytes(own)) => {
                name = std::str::from_utf8(own).ok()?.to_string();
            }
            (field::TENSOR_RAW | field::TENSOR_FLOATS, Value::Bytes(raw)) => {
                let values = raw.chunks_exact(4);
                floats.extend(values.map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
            }
            _ => out.extend_from_slice(field.whole),
        }
    }
    if !is_float || floats.len() < MIN_ELEMENTS {
        return Some(None);
    }
    // What is too large for a half would become infinite.
    if floats.iter().any(|x| !x.is_finite() || x.abs() > 65_504.0) {
        return Some(None);
    }
    write_int(&mut out, field::TENSOR_TYPE, FLOAT16);
    if !name.is_empty() {
        write_bytes(
            &mut out,
            field::TENSOR_NAME,
            format!("{name}{SUFFIX}").as_bytes(),
        );
    }
    let raw: Vec<u8> = floats.iter().flat_map(|&x| half(x).to_le_bytes()).collect();
    write_bytes(&mut out, field::TENSOR_RAW, &raw);
    Some(Some((out, name)))
}

/// A node that makes `name` of its halves.
fn cast(out: &mut Vec<u8>, name: &str) {
    let mut attribute = Vec::new();
    write_bytes(&mut attribute, field::ATTRIBUTE_NAME, b"to");
    write_int(&mut attribute, field::ATTRIBUTE_INT, FLOAT);
    write_int(&mut attribute, field::ATTRIBUTE_TYPE, INT_ATTRIBUTE);
    let mut node = Vec::new();
    let halved = format!("{name}{SUFFIX}");
    write_bytes(&mut node, field::NODE_INPUT, halved.as_bytes());
    write_bytes(&mut node, field::NODE_OUTPUT, name.as_bytes());
    write_bytes(
        &mut node,
        field::NODE_NAME,
        format!("{halved}_cast").as_bytes(),
    );
    write_bytes(&mut node, field::NODE_OP, b"Cast");
    write_bytes(&mut node, field::NODE_ATTRIBUTE, &attribute);
    write_bytes(out, field::GRAPH_NODE, &node);
}

/// The nearest half float, the even one of two as near. `x` is finite and not too large.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    // Below 2^-14 halves are multiples of 2^-24.
    if magnitude < 0x3880_0000 {
        let steps = f32::from_bits(magnitude) * 16_777_216.0;
        return sign | steps.round_ties_even() as u16;
    }
    let rounded = magnitude + 0xfff + (magnitude >> 13 & 1);
    sign | ((rounded - 0x3800_0000) >> 13) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn halves_are_the_nearest() {
        let cases = [
            (0.0, 0x0000),
            (-0.0, 0x8000),
            (1.0, 0x3c00),
            (-2.0, 0xc000),
            (65_504.0, 0x7bff),
            // The smallest normal one, the smallest, and half of that, which goes to the even 0.
            (6.103_515_6e-5, 0x0400),
            (5.960_464_5e-8, 0x0001),
            (2.980_232_2e-8, 0x0000),
            // In the middle between 1 and its neighbour, and a little above.
            (1.000_488_3, 0x3c00),
            (1.000_488_4, 0x3c01),
            // Rounding carries into the exponent.
            (1.999_9, 0x4000),
        ];
        for (x, wanted) in cases {
            assert_eq!(half(x), wanted, "{x}");
        }
    }

    #[test]
    fn what_it_does_not_know_is_copied() {
        let mut model = Vec::new();
        write_int(&mut model, 1, 8);
        write_bytes(&mut model, 2, b"someone");
        assert_eq!(compact(&model).unwrap(), model);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_message_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = compact(&bytes);
            let mut model = Vec::new();
            write_bytes(&mut model, field::MODEL_GRAPH, &bytes);
            let _ = compact(&model);
        }
    }
}
