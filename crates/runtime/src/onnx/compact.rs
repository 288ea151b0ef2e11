//! Makes an ONNX file half as large: weights become half floats, with a `Cast` after each, so that the file stays a
//! valid model for every runtime. The arithmetic stays that of `f32`.
//!
//! It works on the bytes of the format: what it doesn't know it copies.

use half::f16;

use super::proto::{bytes, data_type, field};
use super::wire::{Value, fields, write_bytes, write_int};
use crate::RuntimeError;

/// Smaller tensors stay as they are: shapes, biases, constants of formulas.
const MIN_ELEMENTS: usize = 256;

/// `AttributeProto.AttributeType` of an integer.
const INT_ATTRIBUTE: u64 = 2;

/// Ends the names of the halves.
const SUFFIX: &str = "_f16";

/// The same model with its weights as half floats, rounded to the nearest.
///
/// # Errors
/// [`RuntimeError::Malformed`] where the bytes are not a message of the format; [`super::load`] says more about what is
/// wrong.
pub fn compact(onnx: &[u8]) -> Result<Vec<u8>, RuntimeError> {
    let mut out = Vec::with_capacity(onnx.len() / 2);
    for field in fields(onnx) {
        let field = field?;
        if field.number == field::MODEL_GRAPH {
            write_bytes(&mut out, field.number, &compact_graph(bytes(&field)?)?);
        } else {
            out.extend_from_slice(field.whole);
        }
    }
    Ok(out)
}

fn compact_graph(graph: &[u8]) -> Result<Vec<u8>, RuntimeError> {
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
    Ok(casts)
}

/// A message with halves in it, and the name that their floats had.
type Halved = (Vec<u8>, String);

fn not_text(error: std::str::Utf8Error) -> RuntimeError {
    super::malformed(error.to_string())
}

/// A `Constant` node with its tensor halved and its output renamed, and the name that the output had.
fn compact_constant(node: &[u8]) -> Result<Option<Halved>, RuntimeError> {
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
                let output = std::str::from_utf8(output).map_err(not_text)?;
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
    Ok(name.filter(|_| constant && halved).map(|name| (out, name)))
}

/// A tensor of floats as halves under its new name, and the old name; `None` for one that stays.
fn halves(tensor: &[u8]) -> Result<Option<Halved>, RuntimeError> {
    let (mut out, mut name, mut floats) = (Vec::new(), String::new(), Vec::new());
    let (mut is_float, mut readable) = (false, true);
    for field in fields(tensor) {
        let field = field?;
        match (field.number, field.value) {
            (field::TENSOR_TYPE, Value::Int(kind)) => is_float = kind == data_type::FLOAT as u64,
            (field::TENSOR_NAME, Value::Bytes(own)) => {
                name = std::str::from_utf8(own).map_err(not_text)?.to_string();
            }
            (field::TENSOR_RAW | field::TENSOR_FLOATS, value) => {
                readable &= value.floats(&mut floats).is_some();
            }
            _ => out.extend_from_slice(field.whole),
        }
    }
    if !is_float || !readable || floats.len() < MIN_ELEMENTS {
        return Ok(None);
    }
    // What is too large for a half would become infinite.
    if floats
        .iter()
        .any(|x| !x.is_finite() || x.abs() > f16::MAX.to_f32())
    {
        return Ok(None);
    }
    write_int(&mut out, field::TENSOR_TYPE, data_type::FLOAT16 as u64);
    if !name.is_empty() {
        write_bytes(
            &mut out,
            field::TENSOR_NAME,
            format!("{name}{SUFFIX}").as_bytes(),
        );
    }
    let raw: Vec<u8> = floats
        .iter()
        .flat_map(|&x| f16::from_f32(x).to_le_bytes())
        .collect();
    write_bytes(&mut out, field::TENSOR_RAW, &raw);
    Ok(Some((out, name)))
}

/// A node that makes `name` of its halves.
fn cast(out: &mut Vec<u8>, name: &str) {
    let mut attribute = Vec::new();
    write_bytes(&mut attribute, field::ATTRIBUTE_NAME, b"to");
    write_int(
        &mut attribute,
        field::ATTRIBUTE_INT,
        data_type::FLOAT as u64,
    );
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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
