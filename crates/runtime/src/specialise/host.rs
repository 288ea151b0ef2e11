//! Arithmetic on shapes and indices, which is done here and not by an executor.

use std::sync::Arc;

use super::infer::infer;
use super::operands::{At, axis, slices};
use super::window::split;
use crate::RuntimeError;
use crate::graph::{Constant, Data, Graph, Node, Op};

/// Shapes and indices have a handful of elements; a file that grows them is hostile.
const MAX_HOST_ELEMENTS: usize = 1 << 16;

/// The node's value, where the host can tell it.
pub(super) fn fold<'a>(node: &Node, at: &At<'a>) -> Result<Option<Constant>, String> {
    let Some((shape, first)) = at(0) else {
        return Ok(None);
    };
    if node.op == Op::Shape {
        return Ok(Some(Constant::ints(
            shape.iter().map(|&d| d as i64).collect(),
        )));
    }
    let Some(first) = first else { return Ok(None) };
    let ints = |index: usize| at(index).and_then(|(_, c)| c).and_then(Constant::as_i64);
    let viewed = |shape: Vec<usize>| {
        Some(Constant {
            shape,
            data: first.data.clone(),
        })
    };
    Ok(match &node.op {
        Op::Identity => Some(first.clone()),
        Op::Integers => first.as_i64().map(|_| first.clone()),
        Op::Split { .. } if shape.len() == 1 => {
            let Some(data) = first.as_i64() else {
                return Ok(None);
            };
            let [start, end, _] = split(node, at)?.0[0];
            Some(Constant::ints(data[start..end].to_vec()))
        }
        Op::Reshape { .. } | Op::Squeeze(_) | Op::Unsqueeze(_) => {
            match infer(node, at, &[shape])? {
                (Op::View(_) | Op::Identity, shape) => viewed(shape),
                _ => None,
            }
        }
        Op::Gather(along) if shape.len() == 1 => {
            axis(*along, 1)?;
            let (Some(data), Some((index_shape, _)), Some(indices)) =
                (first.as_i64(), at(1), ints(1))
            else {
                return Ok(None);
            };
            if indices.len() > MAX_HOST_ELEMENTS {
                return Err("too many integers".into());
            }
            let picked = indices
                .iter()
                .map(|&i| {
                    let i = if i < 0 { i + data.len() as i64 } else { i };
                    usize::try_from(i).ok().and_then(|i| data.get(i)).copied()
                })
                .collect::<Option<Vec<_>>>()
                .ok_or("an index outside the tensor")?;
            Some(Constant {
                shape: index_shape.to_vec(),
                data: Data::I64(picked.into()),
            })
        }
        Op::Slice if shape.len() == 1 => {
            let Some(data) = first.as_i64() else {
                return Ok(None);
            };
            let [start, end, step] = slices(at)?[0];
            Some(Constant::ints(
                data[start..end.max(start)]
                    .iter()
                    .step_by(step)
                    .copied()
                    .collect(),
            ))
        }
        Op::Concat(along) if shape.len() == 1 => {
            axis(*along, 1)?;
            let mut joined = Vec::new();
            for index in 0..node.inputs.len() {
                let Some(part) = ints(index) else {
                    return Ok(None);
                };
                joined.extend_from_slice(part);
                if joined.len() > MAX_HOST_ELEMENTS {
                    return Err("too many integers".into());
                }
            }
            Some(Constant::ints(joined))
        }
        Op::Binary(binary) => {
            use crate::graph::Binary as B;
            let (Some(a), Some(b), Some((other, _))) = (first.as_i64(), ints(1), at(1)) else {
                return Ok(None);
            };
            if a.len() != b.len() && a.len() != 1 && b.len() != 1 {
                return Err("integers that don't broadcast".into());
            }
            if a.is_empty() || b.is_empty() {
                return Err("no integers".into());
            }
            let n = a.len().max(b.len());
            if n > MAX_HOST_ELEMENTS {
                return Err("too many integers".into());
            }
            let data = (0..n)
                .map(|i| {
                    let (a, b) = (a[i % a.len()], b[i % b.len()]);
                    match binary {
                        B::Add => a.checked_add(b),
                        B::Sub => a.checked_sub(b),
                        B::Mul => a.checked_mul(b),
                        B::Div => a.checked_div(b),
                        B::Pow => u32::try_from(b).ok().and_then(|b| a.checked_pow(b)),
                    }
                })
                .collect::<Option<Vec<_>>>()
                .ok_or("integers overflow")?;
            let shape = if a.len() >= b.len() && shape.len() >= other.len() {
                shape
            } else {
                other
            };
            Some(Constant {
                shape: shape.to_vec(),
                data: Data::I64(Arc::from(data)),
            })
            .filter(|c| c.shape.iter().product::<usize>() == n)
        }
        _ => None,
    })
}

/// The value of a node whose operands are all constants, where the host can tell it.
pub(crate) fn fold_node(graph: &Graph, node: &Node) -> Result<Option<Constant>, RuntimeError> {
    let at = |index: usize| {
        let constant = graph.constants.get(&node.input(index)?)?;
        Some((constant.shape.as_slice(), Some(constant)))
    };
    if node
        .inputs
        .iter()
        .flatten()
        .any(|v| !graph.constants.contains_key(v))
    {
        return Ok(None);
    }
    fold(node, &at).map_err(|reason| node.unsupported(reason))
}
