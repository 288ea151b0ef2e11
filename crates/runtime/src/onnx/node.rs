//! What a node states: attributes, operands, windows.

use super::{MAX_OUTPUTS, proto};
use crate::graph::{Constant, Graph, Padding, ValueId, Window};

/// No window, stride or padding of a real model comes near this.
const MAX_EXTENT: i64 = 4096;

/// Reads one node's operator and attributes.
pub(super) struct Reader<'a> {
    pub(super) graph: &'a Graph,
    pub(super) proto: &'a proto::Node<'a>,
    pub(super) inputs: &'a [Option<ValueId>],
    pub(super) opset: i64,
}

impl Reader<'_> {
    pub(super) fn attribute(&self, name: &str) -> Option<&proto::Attribute<'_>> {
        self.proto.attributes.iter().find(|a| a.name == name)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |a| a.int)
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |a| a.float)
    }

    pub(super) fn text(&self, name: &str, default: &'static str) -> String {
        self.attribute(name).map_or(default.into(), |a| {
            String::from_utf8_lossy(a.text).into_owned()
        })
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attribute(name).map(|a| a.ints.as_slice())
    }

    pub(super) fn constant(&self, index: usize) -> Option<&Constant> {
        self.graph
            .constants
            .get(&self.inputs.get(index).copied().flatten()?)
    }

    /// The axis of a `Split` and the sizes of its parts, where an attribute states them.
    pub(super) fn split(&self) -> Result<(i64, Option<Vec<i64>>), String> {
        if self.inputs.first().copied().flatten().is_none() {
            return Err("it needs an input".into());
        }
        let parts = self.proto.outputs.len();
        if parts > MAX_OUTPUTS {
            return Err(format!("{parts} parts"));
        }
        let stated = self.ints("split").map(<[i64]>::to_vec);
        if self.int("num_outputs", parts as i64) != parts as i64 {
            return Err(format!("num_outputs for {parts} outputs"));
        }
        Ok((self.int("axis", 0), stated))
    }

    /// Stored floats times their scale, which has the same rank.
    pub(super) fn scaled(&self) -> Option<Constant> {
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
    pub(super) fn axes(&self, index: usize) -> Result<Vec<i64>, String> {
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

    pub(super) fn extents<const N: usize>(
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

    pub(super) fn window(&self, kernel: Option<[usize; 2]>) -> Result<Window, String> {
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

    pub(super) fn weight_kernel(&self) -> Result<([usize; 4], [usize; 2]), String> {
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

    pub(super) fn bias(&self, channels: usize) -> Result<(), String> {
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

    pub(super) fn groups(&self) -> Result<usize, String> {
        let group = self.int("group", 1);
        usize::try_from(group)
            .ok()
            .filter(|&g| g > 0)
            .ok_or_else(|| format!("group {group}"))
    }
}
