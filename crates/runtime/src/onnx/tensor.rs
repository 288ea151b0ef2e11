//! Tensors of a file as constants: every float is an `f32`, every integer an `i64`.

use half::f16;

use super::proto::{self, data_type as kind};
use super::{MAX_RANK, malformed};
use crate::RuntimeError;
use crate::graph::{Constant, Data};

/// Reads a `TensorProto`.
pub(super) fn constant(message: &[u8]) -> Result<Constant, RuntimeError> {
    let tensor = proto::Tensor::read(message)?;
    let bad = |reason: String| malformed(format!("tensor `{}`: {reason}", tensor.name));
    if tensor.external {
        return Err(bad("its data is in another file".into()));
    }
    if tensor.dims.len() > MAX_RANK {
        return Err(bad(format!("rank {}", tensor.dims.len())));
    }
    let shape = tensor
        .dims
        .iter()
        .map(|&d| usize::try_from(d).ok())
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| bad(format!("shape {:?}", tensor.dims)))?;
    let count = shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .ok_or_else(|| bad(format!("shape {shape:?}")))?;
    let data = data(&tensor).map_err(bad)?;
    let constant = Constant { shape, data };
    if constant.len() != count {
        return Err(bad(format!(
            "{} elements for shape {:?}",
            constant.len(),
            constant.shape
        )));
    }
    Ok(constant)
}

fn data(tensor: &proto::Tensor<'_>) -> Result<Data, String> {
    let raw = tensor.raw;
    let listed = raw.is_empty();
    Ok(match tensor.data_type {
        kind::FLOAT if listed => Data::F32(tensor.floats.as_slice().into()),
        kind::FLOAT => Data::F32(each(raw, f32::from_le_bytes)?.collect()),
        kind::DOUBLE if listed => Data::F32(tensor.doubles.iter().map(|&v| v as f32).collect()),
        kind::DOUBLE => Data::F32(each(raw, f64::from_le_bytes)?.map(|v| v as f32).collect()),
        // In a list, each is the low half of an integer.
        kind::FLOAT16 if listed => {
            let halves = tensor.int32s.iter().map(|&v| f16::from_bits(v as u16));
            Data::F32(halves.map(f16::to_f32).collect())
        }
        kind::FLOAT16 => Data::F32(each(raw, f16::from_le_bytes)?.map(f16::to_f32).collect()),
        kind::INT64 if listed => Data::I64(tensor.int64s.as_slice().into()),
        kind::INT64 => Data::I64(each(raw, i64::from_le_bytes)?.collect()),
        kind::INT32 | kind::INT8 | kind::UINT8 | kind::BOOL if listed => {
            Data::I64(tensor.int32s.iter().map(|&v| i64::from(v as i32)).collect())
        }
        kind::INT32 => Data::I64(each(raw, i32::from_le_bytes)?.map(i64::from).collect()),
        kind::INT8 => Data::I64(raw.iter().map(|&b| i64::from(b as i8)).collect()),
        kind::UINT8 | kind::BOOL => Data::I64(raw.iter().map(|&b| i64::from(b)).collect()),
        other => return Err(format!("data type {other}")),
    })
}

/// The elements of `N` bytes each.
fn each<const N: usize, T>(
    raw: &[u8],
    read: fn([u8; N]) -> T,
) -> Result<impl Iterator<Item = T>, String> {
    match raw.as_chunks() {
        (elements, []) => Ok(elements.iter().map(move |bytes| read(*bytes))),
        _ => Err(format!("{} bytes of data", raw.len())),
    }
}

/// The value of a `Constant` node.
pub(super) fn constant_node(node: &proto::Node<'_>) -> Result<Constant, RuntimeError> {
    let attribute = node
        .attributes
        .first()
        .ok_or_else(|| malformed("a constant without a value"))?;
    match attribute.name {
        "value" => constant(attribute.tensor.ok_or_else(|| malformed("no tensor"))?),
        "value_float" => Ok(Constant::f32([], vec![attribute.float])),
        "value_floats" => Ok(Constant::f32(
            [attribute.floats.len()],
            attribute.floats.clone(),
        )),
        "value_int" => Ok(Constant {
            shape: Vec::new(),
            data: Data::I64([attribute.int].into()),
        }),
        "value_ints" => Ok(Constant::ints(attribute.ints.clone())),
        other => Err(malformed(format!(
            "constants by `{other}` are not supported"
        ))),
    }
}
