//! One node of a specialised graph as calls of the backend.

use burn_backend::ops::{ConvOptions, ConvTransposeOptions, PadMode};
use burn_backend::tensor::FloatTensor;
use burn_backend::{Scalar, Shape, Slice, TensorData, TensorMetadata};

use super::fuse::{Extra, Step};
use super::kernels::{Kernels, apply};
use crate::RuntimeError;
use crate::graph::{Binary, Constant, Node, Op, Padding, Pool, Window};

/// How a constant lies on the device; decided by the operator that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As in the file.
    Plain,
    /// `[O, I, kh, kw]` as `[kh, kw, I, O]`.
    Taps,
    /// `[C, 1, kh, kw]` as `[kh, kw, C]`.
    Depthwise,
    /// `[I, O, kh, kw]` as `[I, kh * kw, O]`.
    Blocks,
}

/// The form in which `step` reads its constant operand `index`.
pub(super) fn form<B: Kernels>(step: &Step, index: usize, shape: &[usize]) -> Form {
    let Some(limits) = B::LIMITS else {
        return Form::Plain;
    };
    match (&step.extra, &step.node.op, index) {
        (Extra::Gate(_), _, 1 | 3) => Form::Taps,
        (Extra::None, op @ Op::Conv { groups, .. }, 1) if (limits.layer)(op, shape) => {
            if *groups == 1 {
                Form::Taps
            } else {
                Form::Depthwise
            }
        }
        (
            Extra::None,
            Op::ConvTranspose {
                window,
                output_padding,
                groups: 1,
                ..
            },
            1,
        ) if tiles(window, *output_padding) => Form::Blocks,
        _ => Form::Plain,
    }
}

/// Whether each input pixel has a block of the output to itself.
fn tiles(window: &Window, output_padding: [usize; 2]) -> bool {
    window.kernel == window.strides
        && window.dilations == [1, 1]
        && output_padding == [0, 0]
        && window.padding == Padding::Explicit([0; 4])
}

/// Puts a constant on the device.
pub(super) fn upload<B: Kernels>(
    constant: &Constant,
    form: Form,
    device: &B::Device,
) -> Option<FloatTensor<B>> {
    let data = constant.as_f32()?;
    let shape = constant.shape.as_slice();
    let on_device = |data: Vec<f32>, shape: Vec<usize>| {
        B::float_from_data(TensorData::new(data, shape), device)
    };
    Some(match form {
        // Kernels know no rank 0.
        Form::Plain if shape.is_empty() => on_device(data.to_vec(), vec![1]),
        Form::Plain => on_device(data.to_vec(), shape.to_vec()),
        Form::Taps => {
            let (out, inner, taps) = (shape[0], shape[1], shape[2] * shape[3]);
            let mut turned = Vec::with_capacity(data.len());
            for tap in 0..taps {
                for i in 0..inner {
                    turned.extend((0..out).map(|o| data[(o * inner + i) * taps + tap]));
                }
            }
            on_device(turned, vec![shape[2], shape[3], inner, out])
        }
        Form::Depthwise => {
            let (channels, taps) = (shape[0], shape[2] * shape[3]);
            let turned = (0..taps)
                .flat_map(|t| (0..channels).map(move |c| data[c * taps + t]))
                .collect();
            on_device(turned, vec![shape[2], shape[3], channels])
        }
        Form::Blocks => {
            let (inner, out, taps) = (shape[0], shape[1], shape[2] * shape[3]);
            let mut turned = Vec::with_capacity(data.len());
            for i in 0..inner {
                for tap in 0..taps {
                    turned.extend((0..out).map(|o| data[(i * out + o) * taps + tap]));
                }
            }
            on_device(turned, vec![inner, taps, out])
        }
    })
}

/// A tensor between two steps.
#[derive(Clone)]
pub(super) struct Value<B: Kernels> {
    tensor: FloatTensor<B>,
    /// Whether it lies as `[N, H, W, C]`, though the graph calls it `[N, C, H, W]`.
    nhwc: bool,
}

impl<B: Kernels> Value<B> {
    pub(super) fn plain(tensor: FloatTensor<B>) -> Self {
        Self {
            tensor,
            nhwc: false,
        }
    }

    /// Of a tensor `[N, H, W, C]`.
    pub(super) fn picture(tensor: FloatTensor<B>) -> Self {
        Self { tensor, nhwc: true }
    }

    /// With each element changed, all of them where they are.
    pub(super) fn map(self, change: impl FnOnce(FloatTensor<B>) -> FloatTensor<B>) -> Self {
        Self {
            tensor: change(self.tensor),
            nhwc: self.nhwc,
        }
    }

    /// In the graph's order of axes.
    pub(super) fn nchw(self) -> FloatTensor<B> {
        if self.nhwc {
            let [n, h, w, c] = [0, 1, 2, 3].map(|i| self.tensor.shape()[i]);
            if c == 1 || h * w == 1 {
                return reshape::<B>(self.tensor, [n, c, h, w]);
            }
            B::float_permute(self.tensor, &[0, 3, 1, 2])
        } else {
            self.tensor
        }
    }

    /// With the channels last.
    pub(super) fn nhwc(self) -> FloatTensor<B> {
        if self.nhwc {
            self.tensor
        } else {
            B::float_permute(self.tensor, &[0, 2, 3, 1])
        }
    }
}

fn reshape<B: Kernels>(tensor: FloatTensor<B>, shape: impl Into<Vec<usize>>) -> FloatTensor<B> {
    B::float_reshape(tensor, Shape::from(shape.into()))
}

/// `tensor` with axes of size 1 in front.
fn widen<B: Kernels>(tensor: FloatTensor<B>, rank: usize) -> FloatTensor<B> {
    let shape: Vec<usize> = tensor.shape().iter().copied().collect();
    if shape.len() >= rank {
        return tensor;
    }
    let mut wide = vec![1; rank - shape.len()];
    wide.extend(shape);
    reshape::<B>(tensor, wide)
}

/// An operand: what an earlier step made, or a constant.
pub(super) enum Operand<'a, B: Kernels> {
    /// Made by an earlier step.
    Value(Value<B>),
    /// A constant on the device, and on the host.
    Constant(&'a FloatTensor<B>, &'a Constant),
}

impl<B: Kernels> Operand<'_, B> {
    pub(super) fn value(self) -> Value<B> {
        match self {
            Self::Value(value) => value,
            Self::Constant(tensor, _) => Value::plain(tensor.clone()),
        }
    }

    fn tensor(&self) -> FloatTensor<B> {
        match self {
            Self::Value(value) => value.clone().nchw(),
            Self::Constant(tensor, _) => (*tensor).clone(),
        }
    }

    pub(super) fn rank(&self) -> usize {
        match self {
            Self::Value(value) => value.tensor.rank(),
            Self::Constant(tensor, _) => tensor.rank(),
        }
    }

    fn scalar(&self) -> Option<f32> {
        match self {
            Self::Constant(_, constant) if constant.shape.len() <= 1 => constant.scalar(),
            _ => None,
        }
    }

    fn is_nhwc(&self) -> bool {
        matches!(self, Self::Value(value) if value.nhwc)
    }
}

/// Runs one step. `shape` is its output's.
pub(super) fn run<B: Kernels>(
    step: &Step,
    shape: &[usize],
    mut operands: Vec<Option<Operand<'_, B>>>,
) -> Result<Value<B>, RuntimeError> {
    if shape.is_empty() {
        return Err(step.node.unsupported("tensors of rank 0 have no kernels"));
    }
    if let Some(made) = B::run(step, shape, &mut operands) {
        return Ok(made);
    }
    let node = &step.node;
    if step.extra != Extra::None {
        return Err(node.unsupported("its operands have no kernel together"));
    }
    let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
    let first = take(0).ok_or_else(|| node.unsupported("no operand"))?;
    let second = take(1);
    let third = take(2);
    let missing = || node.unsupported("an operand is missing");
    let activate = |made, activation: &Option<_>| match activation {
        Some(unary) => apply::<B>(made, *unary),
        None => made,
    };

    Ok(match &node.op {
        Op::Conv {
            window,
            groups,
            activation,
        } => {
            let Padding::Explicit(pads) = window.padding else {
                return Err(node.unsupported("padding is not explicit"));
            };
            let options = ConvOptions {
                stride: window.strides,
                padding: [(pads[0], pads[2]), (pads[1], pads[3])],
                dilation: window.dilations,
                groups: *groups,
            };
            let weights = second.ok_or_else(missing)?.tensor();
            let bias = third.map(|b| b.tensor());
            let made = B::conv2d(first.value().nchw(), weights, bias, options);
            Value::plain(activate(made, activation))
        }
        Op::ConvTranspose {
            window,
            output_padding,
            groups,
            activation,
        } => {
            let Padding::Explicit([top, left, ..]) = window.padding else {
                return Err(node.unsupported("padding is not explicit"));
            };
            let options = ConvTransposeOptions {
                stride: window.strides,
                padding: [top, left],
                padding_out: *output_padding,
                dilation: window.dilations,
                groups: *groups,
            };
            let weights = second.ok_or_else(missing)?.tensor();
            let bias = third.map(|b| b.tensor());
            let made = B::conv_transpose2d(first.value().nchw(), weights, bias, options);
            Value::plain(activate(made, activation))
        }
        Op::Linear { activation } => {
            let weights = second.ok_or_else(missing)?.tensor();
            let [inner, out] = [0, 1].map(|i| weights.shape()[i]);
            let rows: usize = shape[..shape.len() - 1].iter().product();
            let made = B::float_matmul(
                reshape::<B>(first.value().nchw(), [1, rows, inner]),
                reshape::<B>(weights, [1, inner, out]),
            );
            let made = match third {
                Some(bias) => B::float_add(made, reshape::<B>(bias.tensor(), [1, 1, out])),
                None => made,
            };
            Value::plain(reshape::<B>(activate(made, activation), shape))
        }
        Op::BatchNorm { epsilon } => {
            let rest = [take(3), take(4)];
            let [Some(mean), Some(variance)] = rest else {
                return Err(missing());
            };
            let (scale, bias) = (second.ok_or_else(missing)?, third.ok_or_else(missing)?);
            Value::plain(B::batch_norm(
                first.value().nchw(),
                scale.tensor(),
                bias.tensor(),
                mean.tensor(),
                variance.tensor(),
                f64::from(*epsilon),
            ))
        }
        Op::LayerNorm { epsilon } => Value::plain(B::layer_norm(
            first.value().nchw(),
            second.ok_or_else(missing)?.tensor(),
            third.map(|b| b.tensor()),
            f64::from(*epsilon),
        )),
        Op::Pool { kind, window } => pool(node, first.value(), *kind, window)?,
        Op::Unary(unary) => first.value().map(|tensor| apply::<B>(tensor, *unary)),
        Op::Binary(op) => binary(*op, shape.len(), first, second.ok_or_else(missing)?),
        Op::MatMul => {
            let (a, b) = (first.tensor(), second.ok_or_else(missing)?.tensor());
            let rank = shape.len();
            let batch = |t: FloatTensor<B>| {
                let t = widen::<B>(t, rank);
                let mut to: Vec<usize> = t.shape().iter().copied().collect();
                if to[..rank - 2] == shape[..rank - 2] {
                    return t;
                }
                to[..rank - 2].copy_from_slice(&shape[..rank - 2]);
                B::float_expand(t, Shape::from(to))
            };
            Value::plain(B::float_matmul(batch(a), batch(b)))
        }
        Op::Softmax { axis, .. } => Value::plain(B::softmax(first.value().nchw(), *axis as usize)),
        Op::ReduceMean { axes, .. } => {
            let made = axes.iter().fold(first.value().nchw(), |t, &axis| {
                B::float_mean_dim(t, axis as usize)
            });
            Value::plain(reshape::<B>(made, shape))
        }
        Op::Transpose(perm) => Value::plain(B::float_permute(first.value().nchw(), perm)),
        Op::View(to) => Value::plain(reshape::<B>(first.value().nchw(), to.clone())),
        Op::Crop(ranges) => {
            let slices: Vec<Slice> = ranges
                .iter()
                .map(|&[start, end, step]| Slice {
                    start: start as isize,
                    end: Some(end as isize),
                    step: step as isize,
                })
                .collect();
            Value::plain(B::float_slice(first.value().nchw(), &slices))
        }
        Op::Upsample(factors) => Value::plain(upsample::<B>(first.value().nchw(), factors)),
        Op::Concat(axis) => {
            let mut parts = vec![first];
            parts.extend(second);
            parts.extend(third);
            for index in 3..node.inputs.len() {
                parts.extend(take(index));
            }
            let parts = parts.into_iter().map(|p| p.value().nchw()).collect();
            Value::plain(B::float_cat(parts, *axis as usize))
        }
        _ => return Err(node.unsupported("it has no executor")),
    })
}

fn binary<B: Kernels>(op: Binary, rank: usize, a: Operand<'_, B>, b: Operand<'_, B>) -> Value<B> {
    let number = match (a.scalar(), b.scalar()) {
        (_, Some(number)) => Some((a.is_nhwc(), number, false)),
        (Some(number), None) if matches!(op, Binary::Add | Binary::Mul) => {
            Some((b.is_nhwc(), number, true))
        }
        _ => None,
    };
    if let Some((nhwc, number, swapped)) = number {
        let tensor = if swapped {
            b.value().tensor
        } else {
            a.value().tensor
        };
        let number = Scalar::Float(f64::from(number));
        let tensor = match op {
            Binary::Add => B::float_add_scalar(tensor, number),
            Binary::Sub => B::float_sub_scalar(tensor, number),
            Binary::Mul => B::float_mul_scalar(tensor, number),
            Binary::Div => B::float_div_scalar(tensor, number),
            Binary::Pow => B::float_powf_scalar(tensor, number),
        };
        return Value { tensor, nhwc };
    }
    let nhwc = rank == 4 && (a.is_nhwc() || b.is_nhwc());
    let side = |operand: Operand<'_, B>| {
        let value = operand.value();
        if value.nhwc && nhwc {
            return value.tensor;
        }
        let tensor = widen::<B>(value.nchw(), rank);
        if nhwc {
            B::float_permute(tensor, &[0, 2, 3, 1])
        } else {
            tensor
        }
    };
    let (a, b) = (side(a), side(b));
    let tensor = match op {
        Binary::Add => B::float_add(a, b),
        Binary::Sub => B::float_sub(a, b),
        Binary::Mul => B::float_mul(a, b),
        Binary::Div => B::float_div(a, b),
        Binary::Pow => B::float_powf(a, b),
    };
    Value { tensor, nhwc }
}

fn pool<B: Kernels>(
    node: &Node,
    value: Value<B>,
    kind: Pool,
    window: &Window,
) -> Result<Value<B>, RuntimeError> {
    let Padding::Explicit([top, left, bottom, right]) = window.padding else {
        return Err(node.unsupported("padding is not explicit"));
    };
    let even = top == bottom && left == right;
    let mut picture = value.nchw();
    let mut padding = [top, left];
    if !even {
        let fill = match kind {
            Pool::Max => f32::MIN,
            Pool::Average {
                count_include_pad: true,
            } => 0.0,
            Pool::Average { .. } => return Err(node.unsupported("a mean with uneven padding")),
        };
        let pads = [(0, 0), (0, 0), (top, bottom), (left, right)];
        picture = B::float_pad(picture, &pads, PadMode::Constant(fill));
        padding = [0, 0];
    }
    let made = match kind {
        Pool::Max => B::max_pool2d(
            picture,
            window.kernel,
            window.strides,
            padding,
            window.dilations,
            false,
        ),
        Pool::Average { count_include_pad } => B::avg_pool2d(
            picture,
            window.kernel,
            window.strides,
            padding,
            count_include_pad,
            false,
        ),
    };
    Ok(Value::plain(made))
}

/// Repeats each element along each axis: every axis gets one of size 1 behind it, which is stretched.
fn upsample<B: Kernels>(tensor: FloatTensor<B>, factors: &[usize]) -> FloatTensor<B> {
    let sizes: Vec<usize> = tensor.shape().iter().copied().collect();
    let (mut narrow, mut wide, mut out) = (Vec::new(), Vec::new(), Vec::new());
    for (&size, &factor) in sizes.iter().zip(factors) {
        narrow.push(size);
        wide.push(size);
        if factor != 1 {
            narrow.push(1);
            wide.push(factor);
        }
        out.push(size * factor);
    }
    let stretched = B::float_expand(reshape::<B>(tensor, narrow), Shape::from(wide));
    reshape::<B>(stretched, out)
}
