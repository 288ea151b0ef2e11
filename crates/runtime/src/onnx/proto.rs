//! As much of [ONNX's format](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto) as is read here; whatever else a
//! file holds is skipped. Names and raw data are borrowed from the file.

use super::malformed;
use super::wire::{Field, Value, fields};
use crate::RuntimeError;

/// Numbers of fields, by their message.
pub mod field {
    pub const MODEL_GRAPH: u64 = 7;
    pub const MODEL_OPSET: u64 = 8;
    pub const MODEL_METADATA: u64 = 14;
    pub const METADATA_KEY: u64 = 1;
    pub const METADATA_VALUE: u64 = 2;
    pub const OPSET_DOMAIN: u64 = 1;
    pub const OPSET_VERSION: u64 = 2;
    pub const GRAPH_NODE: u64 = 1;
    pub const GRAPH_INITIALIZER: u64 = 5;
    pub const GRAPH_INPUT: u64 = 11;
    pub const GRAPH_OUTPUT: u64 = 12;
    pub const GRAPH_VALUE_INFO: u64 = 13;
    pub const GRAPH_SPARSE_INITIALIZER: u64 = 15;
    pub const VALUE_INFO_NAME: u64 = 1;
    pub const NODE_INPUT: u64 = 1;
    pub const NODE_OUTPUT: u64 = 2;
    pub const NODE_NAME: u64 = 3;
    pub const NODE_OP: u64 = 4;
    pub const NODE_ATTRIBUTE: u64 = 5;
    pub const NODE_DOMAIN: u64 = 7;
    pub const ATTRIBUTE_NAME: u64 = 1;
    pub const ATTRIBUTE_FLOAT: u64 = 2;
    pub const ATTRIBUTE_INT: u64 = 3;
    pub const ATTRIBUTE_TEXT: u64 = 4;
    pub const ATTRIBUTE_TENSOR: u64 = 5;
    pub const ATTRIBUTE_GRAPH: u64 = 6;
    pub const ATTRIBUTE_FLOATS: u64 = 7;
    pub const ATTRIBUTE_INTS: u64 = 8;
    pub const ATTRIBUTE_GRAPHS: u64 = 11;
    pub const ATTRIBUTE_TYPE: u64 = 20;
    pub const TENSOR_DIMS: u64 = 1;
    pub const TENSOR_TYPE: u64 = 2;
    pub const TENSOR_FLOATS: u64 = 4;
    pub const TENSOR_INT32S: u64 = 5;
    pub const TENSOR_INT64S: u64 = 7;
    pub const TENSOR_NAME: u64 = 8;
    pub const TENSOR_RAW: u64 = 9;
    pub const TENSOR_DOUBLES: u64 = 10;
    pub const TENSOR_EXTERNAL: u64 = 13;
    pub const TENSOR_LOCATION: u64 = 14;
}

/// What a tensor holds, `TensorProto.DataType`.
pub mod data_type {
    pub const FLOAT: i64 = 1;
    pub const UINT8: i64 = 2;
    pub const INT8: i64 = 3;
    pub const INT32: i64 = 6;
    pub const INT64: i64 = 7;
    pub const BOOL: i64 = 9;
    pub const FLOAT16: i64 = 10;
    pub const DOUBLE: i64 = 11;
}

/// A value that the decoder wants of another kind than the file has.
fn wrong(field: &Field<'_>) -> RuntimeError {
    malformed(format!("field {} is of another kind", field.number))
}

fn int(field: &Field<'_>) -> Result<i64, RuntimeError> {
    field.value.int().ok_or_else(|| wrong(field))
}

fn text<'a>(field: &Field<'a>) -> Result<&'a str, RuntimeError> {
    field.value.text().ok_or_else(|| wrong(field))
}

/// The bytes of a field: text or a message.
pub fn bytes<'a>(field: &Field<'a>) -> Result<&'a [u8], RuntimeError> {
    field.value.bytes().ok_or_else(|| wrong(field))
}

/// The messages and texts in the fields `number` of a message.
pub fn all(message: &[u8], number: u64) -> Result<Vec<&[u8]>, RuntimeError> {
    let mut found = Vec::new();
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            found.push(bytes(&field)?);
        }
    }
    Ok(found)
}

/// The text in the last field `number` of a message; empty where there is none.
pub fn name(message: &[u8], number: u64) -> Result<&str, RuntimeError> {
    let mut found = "";
    for field in fields(message) {
        let field = field?;
        if field.number == number {
            found = text(&field)?;
        }
    }
    Ok(found)
}

/// A file.
#[derive(Default)]
pub struct Model<'a> {
    pub graph: Option<&'a [u8]>,
    /// Version of the standard operators.
    pub opset: i64,
}

impl<'a> Model<'a> {
    pub fn read(message: &'a [u8]) -> Result<Self, RuntimeError> {
        let mut model = Self {
            graph: None,
            opset: 1,
        };
        for field in fields(message) {
            let field = field?;
            match field.number {
                field::MODEL_GRAPH => model.graph = Some(bytes(&field)?),
                field::MODEL_OPSET => {
                    let set = bytes(&field)?;
                    let mut version = 0;
                    for part in fields(set) {
                        let part = part?;
                        if part.number == field::OPSET_VERSION {
                            version = int(&part)?;
                        }
                    }
                    if matches!(name(set, field::OPSET_DOMAIN)?, "" | "ai.onnx") {
                        model.opset = version;
                    }
                }
                _ => {}
            }
        }
        Ok(model)
    }
}

/// A node, its attributes among it.
#[derive(Default)]
pub struct Node<'a> {
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub name: &'a str,
    pub op: &'a str,
    pub domain: &'a str,
    pub attributes: Vec<Attribute<'a>>,
}

impl<'a> Node<'a> {
    pub fn read(message: &'a [u8]) -> Result<Self, RuntimeError> {
        let mut node = Self::default();
        for field in fields(message) {
            let field = field?;
            match field.number {
                field::NODE_INPUT => node.inputs.push(text(&field)?),
                field::NODE_OUTPUT => node.outputs.push(text(&field)?),
                field::NODE_NAME => node.name = text(&field)?,
                field::NODE_OP => node.op = text(&field)?,
                field::NODE_DOMAIN => node.domain = text(&field)?,
                field::NODE_ATTRIBUTE => {
                    node.attributes.push(Attribute::read(bytes(&field)?)?);
                }
                _ => {}
            }
        }
        Ok(node)
    }
}

/// An attribute of a node; which of the values counts, its name says.
#[derive(Default)]
pub struct Attribute<'a> {
    pub name: &'a str,
    pub float: f32,
    pub int: i64,
    pub text: &'a [u8],
    pub tensor: Option<&'a [u8]>,
    pub floats: Vec<f32>,
    pub ints: Vec<i64>,
}

impl<'a> Attribute<'a> {
    fn read(message: &'a [u8]) -> Result<Self, RuntimeError> {
        let mut attribute = Self::default();
        for field in fields(message) {
            let field = field?;
            let kind = || wrong(&field);
            match field.number {
                field::ATTRIBUTE_NAME => attribute.name = text(&field)?,
                field::ATTRIBUTE_FLOAT => match field.value {
                    Value::Fixed32(value) => attribute.float = f32::from_le_bytes(value),
                    _ => return Err(kind()),
                },
                field::ATTRIBUTE_INT => attribute.int = int(&field)?,
                field::ATTRIBUTE_TEXT => attribute.text = bytes(&field)?,
                field::ATTRIBUTE_TENSOR => attribute.tensor = Some(bytes(&field)?),
                field::ATTRIBUTE_FLOATS => {
                    field.value.floats(&mut attribute.floats).ok_or_else(kind)?;
                }
                field::ATTRIBUTE_INTS => {
                    field.value.ints(&mut attribute.ints).ok_or_else(kind)?;
                }
                _ => {}
            }
        }
        Ok(attribute)
    }
}

/// A tensor: its elements are in one of the lists or in `raw`.
#[derive(Default)]
pub struct Tensor<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub floats: Vec<f32>,
    pub int32s: Vec<i64>,
    pub int64s: Vec<i64>,
    pub doubles: Vec<f64>,
    pub raw: &'a [u8],
    /// Whether its data is in another file.
    pub external: bool,
}

impl<'a> Tensor<'a> {
    pub fn read(message: &'a [u8]) -> Result<Self, RuntimeError> {
        let mut tensor = Self::default();
        for field in fields(message) {
            let field = field?;
            let kind = || wrong(&field);
            match field.number {
                field::TENSOR_NAME => tensor.name = text(&field)?,
                field::TENSOR_DIMS => field.value.ints(&mut tensor.dims).ok_or_else(kind)?,
                field::TENSOR_TYPE => tensor.data_type = int(&field)?,
                field::TENSOR_FLOATS => field.value.floats(&mut tensor.floats).ok_or_else(kind)?,
                field::TENSOR_INT32S => field.value.ints(&mut tensor.int32s).ok_or_else(kind)?,
                field::TENSOR_INT64S => field.value.ints(&mut tensor.int64s).ok_or_else(kind)?,
                field::TENSOR_DOUBLES => {
                    field.value.doubles(&mut tensor.doubles).ok_or_else(kind)?;
                }
                field::TENSOR_RAW => tensor.raw = bytes(&field)?,
                field::TENSOR_EXTERNAL => tensor.external = true,
                field::TENSOR_LOCATION => tensor.external |= int(&field)? == 1,
                _ => {}
            }
        }
        Ok(tensor)
    }
}
