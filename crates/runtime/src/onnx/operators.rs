//! The operators that are known.

use super::MAX_RANK;
use super::node::Reader;
use super::proto::data_type;
use crate::graph::{Binary, Constant, Op, Padding, Pool, Unary};

impl Reader<'_> {
    /// The operator, and how many of the inputs it still needs.
    pub(super) fn op(&self) -> Result<(Op, usize), String> {
        let all = usize::MAX;
        Ok(match self.proto.op {
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
                let kind = if self.proto.op == "MaxPool" {
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
                    if (transformation.as_str(), rounding.as_str()) != ("asymmetric", "floor") {
                        return Err(format!("sizes with {transformation}, {rounding}"));
                    }
                    return Ok((Op::Resize, all));
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
            "Cast" => match self.int("to", 0) {
                data_type::INT32 | data_type::INT64 => (Op::Integers, 1),
                to => return Err(format!("casting to data type {to} is not supported")),
            },
            "Identity" | "Dropout" => (Op::Identity, 1),
            _ => return Err("the operator is unknown".into()),
        })
    }
}
