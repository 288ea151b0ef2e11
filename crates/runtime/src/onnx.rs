//! Reads ONNX files.
//!
//! Files may be hostile: every size is checked against the bytes that are there before anything is allocated.

use std::collections::HashMap;

use prost::Message;
use proto as pb;

use crate::RuntimeError;
use crate::graph::{
    Binary, Constant, Data, Graph, Node, Op, Padding, Pool, Unary, ValueId, Window,
};

mod proto;

/// No window, stride or padding of a real model comes near this.
const MAX_EXTENT: i64 = 4096;
/// Looking for patterns takes time quadratic in this.
const MAX_NODES: usize = 4096;
/// Ranks above this occur in no model of the family, and GPU kernels are written out per rank.
pub(crate) const MAX_RANK: usize = 8;

fn malformed(reason: impl Into<String>) -> RuntimeError {
    RuntimeError::Malformed {
        reason: reason.into(),
    }
}

/// Reads an ONNX model of one input and one output.
pub fn load(onnx: &[u8]) -> Result<Graph, RuntimeError> {
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
            // Only integers are cast in these models, and all integers are i64 here; `specialise` refuses floats.
            "Identity" | "Dropout" => (Op::Identity, 1),
            _ => return Err("the operator is unknown".into()),
        })
    }
}
