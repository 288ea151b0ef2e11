//! Reads ONNX files.
//!
//! Files may be hostile: every size is checked against the bytes that are there before anything is allocated.

use std::collections::HashMap;

pub use compact::compact;
pub use metadata::metadata;
use prost::Message;
use proto as pb;

use crate::RuntimeError;
use crate::graph::{
    Binary, Constant, Data, Graph, Node, Op, Padding, Pool, Unary, ValueId, Window,
};

mod compact;
mod metadata;
mod proto;
mod wire;

/// No window, stride or padding of a real model comes near this.
const MAX_EXTENT: i64 = 4096;
/// Looking for patterns takes time quadratic in this.
const MAX_NODES: usize = 4096;
/// Nodes, their attributes, inputs and outputs, and constants together.
const MAX_PARTS: usize = 32 * MAX_NODES;
/// Ranks above this occur in no model of the family, and GPU kernels are written out per rank.
pub(crate) const MAX_RANK: usize = 8;

fn malformed(reason: impl Into<String>) -> RuntimeError {
    RuntimeError::Malformed {
        reason: reason.into(),
    }
}

/// Reads an ONNX model of one input and one output.
pub fn load(onnx: &[u8]) -> Result<Graph, RuntimeError> {
    let mut parts = MAX_PARTS;
    count(onnx, &[GRAPH, NODE], &mut parts)?;
    let model = pb::ModelProto::decode(onnx).map_err(|e| malformed(e.to_string()))?;
    let opset = model
        .opset_import
        .iter()
        .find(|o| o.domain.is_empty() || o.domain == "ai.onnx")
        .map_or(1, |o| o.version);
    let graph = model
        .graph
        .ok_or_else(|| malformed("there is no graph in it"))?;
    Loader::default().graph(graph, opset)
}

/// Number of a model's field that holds its graph, and of a graph's that holds a node.
const GRAPH: u64 = 7;
const NODE: u64 = 1;

/// Counts the messages and names of a message, and of those in its fields `inner`, down from `left`. An empty constant
/// takes two bytes of a file and a hundred times as many in memory: too many are refused before they are read.
fn count(message: &[u8], inner: &[u64], left: &mut usize) -> Result<(), RuntimeError> {
    // What is broken, the decoder will say.
    for field in wire::fields(message).flatten() {
        if let wire::Value::Bytes(bytes) = field.value {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| malformed(format!("it has more than {MAX_PARTS} parts")))?;
            if let Some((first, rest)) = inner.split_first()
                && *first == field.number
            {
                count(bytes, rest, left)?;
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Loader {
    graph: Graph,
    ids: HashMap<String, ValueId>,
}

impl Loader {
    fn define(&mut self, name: &str) -> Result<ValueId, RuntimeError> {
        let id = self.graph.values;
        if self.ids.insert(name.to_owned(), id).is_some() {
            return Err(malformed(format!("`{name}` is defined twice")));
        }
        self.graph.values += 1;
        Ok(id)
    }

    fn graph(mut self, proto: pb::GraphProto, opset: i64) -> Result<Graph, RuntimeError> {
        if !proto.sparse_initializer.is_empty() {
            return Err(malformed("sparse initialisers are not supported"));
        }
        for tensor in proto.initializer {
            let id = self.define(&tensor.name)?;
            let constant = constant(tensor)?;
            self.graph.constants.insert(id, constant);
        }
        // Old files list the initialisers among the inputs.
        let mut inputs = Vec::new();
        for input in &proto.input {
            if !self.ids.contains_key(&input.name) {
                inputs.push(self.define(&input.name)?);
            }
        }
        let &[input] = inputs.as_slice() else {
            return Err(malformed(format!(
                "{} inputs, where one is expected",
                inputs.len()
            )));
        };
        self.graph.input = input;
        if proto.node.len() > MAX_NODES {
            return Err(malformed(format!("{} nodes", proto.node.len())));
        }
        for node in proto.node {
            self.node(node, opset)?;
        }
        let [output] = proto.output.as_slice() else {
            return Err(malformed(format!(
                "{} outputs, where one is expected",
                proto.output.len()
            )));
        };
        self.graph.output = *self
            .ids
            .get(&output.name)
            .ok_or_else(|| malformed(format!("nothing makes the output `{}`", output.name)))?;
        self.graph.remove_dead();
        Ok(self.graph)
    }

    fn node(&mut self, proto: pb::NodeProto, opset: i64) -> Result<(), RuntimeError> {
        let output = proto.output.first().cloned().unwrap_or_default();
        let name = if proto.name.is_empty() {
            output.clone()
        } else {
            proto.name.clone()
        };
        let unsupported = |reason: String| RuntimeError::Unsupported {
            node: name.clone(),
            op: proto.op_type.clone(),
            reason,
        };
        if !(proto.domain.is_empty() || proto.domain == "ai.onnx") {
            return Err(unsupported(format!(
                "operators of `{}` are unknown",
                proto.domain
            )));
        }
        if output.is_empty() {
            return Err(unsupported("it makes nothing".into()));
        }
        if proto.output.iter().skip(1).any(|o| !o.is_empty()) {
            return Err(unsupported("only its first output is supported".into()));
        }
        let inputs = proto
            .input
            .iter()
            .map(|i| match self.ids.get(i) {
                _ if i.is_empty() => Ok(None),
                Some(&id) => Ok(Some(id)),
                // Nodes come in the order in which they run, so a cycle shows up here too.
                None => Err(unsupported(format!(
                    "it reads `{i}`, which is not made before it"
                ))),
            })
            .collect::<Result<Vec<_>, _>>()?;

        if proto.op_type == "Constant" {
            let value = constant_node(&proto).map_err(|e| unsupported(e.to_string()))?;
            let id = self.define(&output)?;
            self.graph.constants.insert(id, value);
            return Ok(());
        }
        let reader = Reader {
            graph: &self.graph,
            proto: &proto,
            inputs: &inputs,
            opset,
        };
        // How weights are stored is settled here: convolutions want constant ones.
        let stored = match proto.op_type.as_str() {
            "DequantizeLinear" => Some(reader.dequantised().map_err(unsupported)?),
            "Cast" => Some(reader.cast().map_err(unsupported)?),
            "Mul" => reader.scaled(),
            _ => None,
        };
        if let Some(value) = stored {
            let id = self.define(&output)?;
            self.graph.constants.insert(id, value);
            return Ok(());
        }
        let (op, kept) = reader.op().map_err(unsupported)?;
        let wanted = match &op {
            Op::Binary(_)
            | Op::MatMul
            | Op::Reshape { .. }
            | Op::Gather(_)
            | Op::Conv { .. }
            | Op::ConvTranspose { .. } => 2,
            Op::Slice => 3,
            Op::BatchNorm { .. } => 5,
            _ => 1,
        };
        if (0..wanted).any(|i| inputs.get(i).copied().flatten().is_none()) {
            return Err(unsupported(format!("it needs {wanted} inputs")));
        }
        let mut inputs = inputs.clone();
        inputs.truncate(kept);
        let output = self.define(&output)?;
        self.graph.nodes.push(Node {
            name,
            op,
            inputs,
            output,
        });
        Ok(())
    }
}

fn constant_node(proto: &pb::NodeProto) -> Result<Constant, RuntimeError> {
    let attribute = proto
        .attribute
        .first()
        .ok_or_else(|| malformed("a constant without a value"))?;
    match attribute.name.as_str() {
        "value" => constant(attribute.t.clone().ok_or_else(|| malformed("no tensor"))?),
        "value_float" => Ok(Constant::f32([], vec![attribute.f])),
        "value_floats" => Ok(Constant::f32(
            [attribute.floats.len()],
            attribute.floats.clone(),
        )),
        "value_int" => Ok(Constant {
            shape: Vec::new(),
            data: Data::I64([attribute.i].into()),
        }),
        "value_ints" => Ok(Constant::ints(attribute.ints.clone())),
        other => Err(malformed(format!(
            "constants by `{other}` are not supported"
        ))),
    }
}

fn constant(tensor: pb::TensorProto) -> Result<Constant, RuntimeError> {
    use pb::data_type as kind;

    let bad = |reason: String| malformed(format!("tensor `{}`: {reason}", tensor.name));
    if tensor.data_location == Some(1) || !tensor.external_data.is_empty() {
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
    let raw = &tensor.raw_data;
    macro_rules! read {
        ($list:ident, $size:literal, $from:expr) => {
            if raw.is_empty() {
                tensor.$list.iter().map(|&v| v as _).collect()
            } else if raw.chunks_exact($size).remainder().is_empty() {
                raw.chunks_exact($size).map($from).collect()
            } else {
                return Err(bad(format!("{} bytes of data", raw.len())));
            }
        };
    }
    let data = match tensor.data_type {
        kind::FLOAT => Data::F32(read!(float_data, 4, |b| f32::from_le_bytes([
            b[0], b[1], b[2], b[3]
        ]))),
        kind::DOUBLE => Data::F32(read!(double_data, 8, |b| f64::from_le_bytes([
            b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
        ]) as f32)),
        // Without raw bytes, each is the low half of an integer.
        kind::FLOAT16 if raw.is_empty() => {
            Data::F32(tensor.int32_data.iter().map(|&v| half(v as u16)).collect())
        }
        kind::FLOAT16 => Data::F32(read!(float_data, 2, |b| half(u16::from_le_bytes([
            b[0], b[1]
        ])))),
        kind::INT64 => Data::I64(read!(int64_data, 8, |b| i64::from_le_bytes([
            b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]
        ]))),
        kind::INT32 => Data::I64(read!(int32_data, 4, |b| i64::from(i32::from_le_bytes([
            b[0], b[1], b[2], b[3]
        ])))),
        kind::INT8 => Data::I64(read!(int32_data, 1, |b: &[u8]| i64::from(b[0] as i8))),
        kind::UINT8 | kind::BOOL => Data::I64(read!(int32_data, 1, |b: &[u8]| i64::from(b[0]))),
        other => return Err(bad(format!("data type {other}"))),
    };
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

/// A half float (1 bit of sign, 5 of exponent, 10 of fraction) as an `f32`, which holds each of them.
fn half(bits: u16) -> f32 {
    let sign = u32::from(bits >> 15) << 31;
    let (exponent, fraction) = (u32::from(bits >> 10 & 31), u32::from(bits & 1023));
    match exponent {
        // Steps of 2^-24 around zero.
        0 => f32::from_bits(sign | (fraction as f32 / 16_777_216.0).to_bits()),
        31 => f32::from_bits(sign | 0xff << 23 | fraction << 13),
        _ => f32::from_bits(sign | (exponent + 112) << 23 | fraction << 13),
    }
}

/// Reads one node's operator and attributes.
struct Reader<'a> {
    graph: &'a Graph,
    proto: &'a pb::NodeProto,
    inputs: &'a [Option<ValueId>],
    opset: i64,
}

impl Reader<'_> {
    fn attribute(&self, name: &str) -> Option<&pb::AttributeProto> {
        self.proto.attribute.iter().find(|a| a.name == name)
    }

    fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.i)
    }

    fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.f)
    }

    fn text(&self, name: &str, default: &'static str) -> String {
        self.attribute(name).map_or(default.into(), |a| {
            String::from_utf8_lossy(&a.s).into_owned()
        })
    }

    fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    fn constant(&self, index: usize) -> Option<&Constant> {
        self.graph
            .constants
            .get(&self.inputs.get(index).copied().flatten()?)
    }

    /// The floats that stored integers stand for: `(x - zero point) * scale`, one for all or one for each index along an
    /// axis. Files are smaller by it; the arithmetic stays that of floats.
    fn dequantised(&self) -> Result<Constant, String> {
        let stored = self
            .constant(0)
            .ok_or("only stored weights are supported")?;
        let values = stored.as_i64().ok_or("its weights are floats already")?;
        let scale = self.constant(1).ok_or("its scale is not constant")?;
        let scales = scale.as_f32().ok_or("its scale is no float")?;
        let zeros = match (self.inputs.get(2).copied().flatten(), self.constant(2)) {
            (None, _) => None,
            (Some(_), zero) => Some(
                zero.and_then(Constant::as_i64)
                    .filter(|z| z.len() == scales.len())
                    .ok_or("its zero point is not constant, or not as long as its scale")?,
            ),
        };
        if self.int("block_size", 0) != 0 {
            return Err("blocks are not supported".into());
        }
        // How many values lie between two that differ by one along the axis.
        let run = if scale.shape.is_empty() || scale.shape == [1] {
            stored.len().max(1)
        } else {
            let rank = stored.shape.len() as i64;
            let axis = self.int("axis", 1);
            let axis = if axis < 0 { axis + rank } else { axis };
            let along = usize::try_from(axis)
                .ok()
                .filter(|&a| a < stored.shape.len());
            let along = along.ok_or_else(|| format!("axis {axis}"))?;
            if scale.shape != [stored.shape[along]] || scales.is_empty() {
                return Err(format!("a scale of shape {:?}", scale.shape));
            }
            stored.shape[along + 1..].iter().product::<usize>().max(1)
        };
        let data = values
            .iter()
            .enumerate()
            .map(|(i, &value)| {
                let at = i / run % scales.len();
                value.saturating_sub(zeros.map_or(0, |z| z[at])) as f32 * scales[at]
            })
            .collect();
        Ok(Constant::f32(stored.shape.clone(), data))
    }

    /// Stored numbers as floats: all of them are `f32` here, whatever the file stores.
    fn cast(&self) -> Result<Constant, String> {
        let (Some(stored), 1) = (self.constant(0), self.int("to", 0)) else {
            return Err("only stored numbers can be cast, and to f32".into());
        };
        Ok(match stored.as_i64() {
            Some(values) => {
                let floats = values.iter().map(|&v| v as f32).collect();
                Constant::f32(stored.shape.clone(), floats)
            }
            None => stored.clone(),
        })
    }

    /// Stored floats times their scale, which has the same rank.
    fn scaled(&self) -> Option<Constant> {
        let (stored, scale) = (self.constant(0)?, self.constant(1)?);
        let (values, scales) = (stored.as_f32()?, scale.as_f32()?);
        let fits = stored.shape.len() == scale.shape.len()
            && stored
                .shape
                .iter()
                .zip(&scale.shape)
                .all(|(&d, &s)| s == d || s == 1);
        if !fits {
            return None;
        }
        let data = values.iter().enumerate().map(|(i, &value)| {
            let (mut rest, mut at, mut step) = (i, 0, 1);
            for (&d, &s) in stored.shape.iter().zip(&scale.shape).rev() {
                at += if s == 1 { 0 } else { rest % d * step };
                rest /= d;
                step *= s;
            }
            value * scales[at]
        });
        Some(Constant::f32(stored.shape.clone(), data.collect()))
    }

    /// Axes, an attribute up to some version of the operator and an input after it.
    fn axes(&self, index: usize) -> Result<Vec<i64>, String> {
        if let Some(axes) = self.ints("axes") {
            return Ok(axes.to_vec());
        }
        if self.inputs.get(index).copied().flatten().is_none() {
            return Ok(Vec::new());
        }
        self.constant(index)
            .and_then(Constant::as_i64)
            .map(<[i64]>::to_vec)
            .ok_or_else(|| "its axes are not constant".into())
    }

    fn extents<const N: usize>(
        &self,
        name: &str,
        least: i64,
        default: usize,
    ) -> Result<[usize; N], String> {
        let Some(values) = self.ints(name).filter(|v| !v.is_empty()) else {
            return Ok([default; N]);
        };
        if values.len() != N || values.iter().any(|v| !(least..=MAX_EXTENT).contains(v)) {
            return Err(format!("{name} {values:?}"));
        }
        Ok(std::array::from_fn(|i| values[i] as usize))
    }

    fn window(&self, kernel: Option<[usize; 2]>) -> Result<Window, String> {
        let stated = self.extents::<2>("kernel_shape", 1, 0)?;
        let kernel = match kernel {
            Some(kernel) if stated != [0, 0] && stated != kernel => {
                return Err(format!("kernel_shape {stated:?} for weights of {kernel:?}"));
            }
            Some(kernel) => kernel,
            None if stated == [0, 0] => return Err("no kernel_shape".into()),
            None => stated,
        };
        if kernel.iter().any(|&k| k == 0 || k as i64 > MAX_EXTENT) {
            return Err(format!("a kernel of {kernel:?}"));
        }
        let padding = match self.text("auto_pad", "NOTSET").as_str() {
            "NOTSET" | "" => Padding::Explicit(self.extents("pads", 0, 0)?),
            "VALID" => Padding::Explicit([0; 4]),
            "SAME_UPPER" => Padding::SameUpper,
            "SAME_LOWER" => Padding::SameLower,
            other => return Err(format!("auto_pad {other}")),
        };
        Ok(Window {
            kernel,
            strides: self.extents("strides", 1, 1)?,
            dilations: self.extents("dilations", 1, 1)?,
            padding,
        })
    }

    fn weight_kernel(&self) -> Result<([usize; 4], [usize; 2]), String> {
        // The rewrites and the executor both want weights that don't depend on the input.
        let weight = self.constant(1).ok_or("its weights are not constant")?;
        let &[a, b, h, w] = weight.shape.as_slice() else {
            return Err(format!(
                "weights of shape {:?}; only 2-D is supported",
                weight.shape
            ));
        };
        if weight.as_f32().is_none() {
            return Err("weights that are not floats".into());
        }
        if weight.is_empty() {
            return Err(format!("weights of shape {:?}", weight.shape));
        }
        Ok(([a, b, h, w], [h, w]))
    }

    fn bias(&self, channels: usize) -> Result<(), String> {
        if self.inputs.get(2).copied().flatten().is_none() {
            return Ok(());
        }
        match self.constant(2) {
            Some(bias) if bias.as_f32().is_some() && bias.shape == [channels] => Ok(()),
            Some(bias) => Err(format!(
                "a bias of shape {:?} for {channels} channels",
                bias.shape
            )),
            None => Err("its bias is not constant".into()),
        }
    }

    fn groups(&self) -> Result<usize, String> {
        let group = self.int("group", 1);
        usize::try_from(group)
            .ok()
            .filter(|&g| g > 0)
            .ok_or_else(|| format!("group {group}"))
    }

    /// The operator, and how many of the inputs it still needs.
    fn op(&self) -> Result<(Op, usize), String> {
        let all = usize::MAX;
        Ok(match self.proto.op_type.as_str() {
            "Conv" => {
                let ([out, ..], kernel) = self.weight_kernel()?;
                let groups = self.groups()?;
                if out % groups != 0 {
                    return Err(format!("{out} channels in {groups} groups"));
                }
                self.bias(out)?;
                let window = self.window(Some(kernel))?;
                (
                    Op::Conv {
                        window,
                        groups,
                        activation: None,
                    },
                    3,
                )
            }
            "ConvTranspose" => {
                let ([input, out, ..], kernel) = self.weight_kernel()?;
                let groups = self.groups()?;
                if input % groups != 0 {
                    return Err(format!("{input} channels in {groups} groups"));
                }
                self.bias(out.checked_mul(groups).ok_or("too many channels")?)?;
                if self.ints("output_shape").is_some() {
                    return Err("output_shape is not supported".into());
                }
                let window = self.window(Some(kernel))?;
                let Padding::Explicit([top, left, bottom, right]) = window.padding else {
                    return Err("auto_pad is not supported here".into());
                };
                if top != bottom || left != right {
                    return Err("uneven padding is not supported here".into());
                }
                let output_padding = self.extents("output_padding", 0, 0)?;
                (
                    Op::ConvTranspose {
                        window,
                        output_padding,
                        groups,
                        activation: None,
                    },
                    3,
                )
            }
            "BatchNormalization" => {
                if self.int("training_mode", 0) != 0 {
                    return Err("training mode".into());
                }
                let count = self.constant(1).map(Constant::len);
                for i in 1..5 {
                    if self
                        .constant(i)
                        .and_then(Constant::as_f32)
                        .map(<[f32]>::len)
                        != count
                        || count.is_none()
                    {
                        return Err("its parameters are not constant, or differ in size".into());
                    }
                }
                let epsilon = self.float("epsilon", 1e-5);
                (Op::BatchNorm { epsilon }, 5)
            }
            "LayerNormalization" => {
                if self.int("axis", -1) != -1 {
                    return Err("only the last axis is supported".into());
                }
                if self.constant(1).is_none()
                    || self
                        .inputs
                        .get(2)
                        .copied()
                        .flatten()
                        .is_some_and(|_| self.constant(2).is_none())
                {
                    return Err("its parameters are not constant".into());
                }
                let epsilon = self.float("epsilon", 1e-5);
                (Op::LayerNorm { epsilon }, 3)
            }
            "MaxPool" | "AveragePool" => {
                if self.int("ceil_mode", 0) != 0 {
                    return Err("ceil_mode is not supported".into());
                }
                let kind = if self.proto.op_type == "MaxPool" {
                    Pool::Max
                } else {
                    Pool::Average {
                        count_include_pad: self.int("count_include_pad", 0) != 0,
                    }
                };
                let window = self.window(None)?;
                if kind != Pool::Max && window.dilations != [1, 1] {
                    return Err("dilations are not supported here".into());
                }
                (Op::Pool { kind, window }, 1)
            }
            "GlobalAveragePool" => (
                Op::ReduceMean {
                    axes: vec![2, 3],
                    keep: true,
                },
                1,
            ),
            "ReduceMean" => (
                Op::ReduceMean {
                    axes: self.axes(1)?,
                    keep: self.int("keepdims", 1) != 0,
                },
                1,
            ),
            "Relu" => (Op::Unary(Unary::Relu), 1),
            "Sigmoid" => (Op::Unary(Unary::Sigmoid), 1),
            "HardSigmoid" => {
                let (alpha, beta) = (self.float("alpha", 0.2), self.float("beta", 0.5));
                (Op::Unary(Unary::HardSigmoid { alpha, beta }), 1)
            }
            "HardSwish" => (
                Op::Unary(Unary::HardSwish {
                    alpha: 1.0 / 6.0,
                    beta: 0.5,
                }),
                1,
            ),
            "Erf" => (Op::Unary(Unary::Erf), 1),
            "Sqrt" => (Op::Unary(Unary::Sqrt), 1),
            "Exp" => (Op::Unary(Unary::Exp), 1),
            "Clip" => {
                let bound = |index: usize, name: &str, default: f32| {
                    if self.opset < 11 {
                        return Ok(self.float(name, default));
                    }
                    match self.inputs.get(index).copied().flatten() {
                        None => Ok(default),
                        Some(_) => self
                            .constant(index)
                            .and_then(Constant::scalar)
                            .ok_or("its bounds are not constant"),
                    }
                };
                let (min, max) = (bound(1, "min", f32::MIN)?, bound(2, "max", f32::MAX)?);
                (Op::Unary(Unary::Clip { min, max }), 1)
            }
            "Add" => (Op::Binary(Binary::Add), 2),
            "Sub" => (Op::Binary(Binary::Sub), 2),
            "Mul" => (Op::Binary(Binary::Mul), 2),
            "Div" => (Op::Binary(Binary::Div), 2),
            "Pow" => (Op::Binary(Binary::Pow), 2),
            "MatMul" => (Op::MatMul, 2),
            "Softmax" => {
                let flattened = self.opset < 13;
                let axis = self.int("axis", if flattened { 1 } else { -1 });
                (Op::Softmax { axis, flattened }, 1)
            }
            "Transpose" => {
                let perm = self.ints("perm").ok_or("no perm")?;
                let mut sorted: Vec<_> = perm.to_vec();
                sorted.sort_unstable();
                if perm.len() > MAX_RANK || sorted.iter().enumerate().any(|(i, &p)| p != i as i64) {
                    return Err(format!("perm {perm:?}"));
                }
                (Op::Transpose(perm.iter().map(|&p| p as usize).collect()), 1)
            }
            "Concat" => (Op::Concat(self.int("axis", 0)), all),
            "Resize" => {
                let mode = self.text("mode", "nearest");
                let transformation = self.text("coordinate_transformation_mode", "half_pixel");
                let rounding = self.text("nearest_mode", "round_prefer_floor");
                // With whole factors, half_pixel + round_prefer_floor picks the same pixels.
                let alike = matches!(
                    (transformation.as_str(), rounding.as_str()),
                    ("asymmetric", "floor")
                        | ("half_pixel", "round_prefer_floor" | "round_prefer_ceil")
                );
                if mode != "nearest" || !alike {
                    return Err(format!("{mode}, {transformation}, {rounding}"));
                }
                if self.inputs.get(3).copied().flatten().is_some() {
                    return Err("sizes are not supported, only scales".into());
                }
                let scales = self
                    .constant(2)
                    .and_then(Constant::as_f32)
                    .ok_or("its scales are not constant")?;
                if scales.len() > MAX_RANK
                    || scales
                        .iter()
                        .any(|&s| !(1.0..=64.0).contains(&s) || s.fract() != 0.0)
                {
                    return Err(format!("scales {scales:?}"));
                }
                (
                    Op::Upsample(scales.iter().map(|&s| s as usize).collect()),
                    1,
                )
            }
            "Reshape" => {
                let allow_zero = self.int("allowzero", 0) != 0;
                (Op::Reshape { allow_zero }, 2)
            }
            "Squeeze" => (Op::Squeeze(self.axes(1)?), 1),
            "Unsqueeze" => (Op::Unsqueeze(self.axes(1)?), 1),
            "Slice" => {
                if self.opset < 10 {
                    return Err("attributes of version 1 are not supported".into());
                }
                (Op::Slice, 5)
            }
            "Gather" => (Op::Gather(self.int("axis", 0)), 2),
            "Shape" => {
                if self.int("start", 0) != 0 || self.attribute("end").is_some() {
                    return Err("start and end are not supported".into());
                }
                (Op::Shape, 1)
            }
            "Identity" | "Dropout" => (Op::Identity, 1),
            _ => return Err("the operator is unknown".into()),
        })
    }
}
