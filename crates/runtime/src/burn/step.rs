//! One node of a specialised graph as calls of the backend.

use burn_backend::ops::{ConvOptions, ConvTransposeOptions, PadMode};
use burn_backend::tensor::FloatTensor;
use burn_backend::{Scalar, Shape, Slice, TensorData, TensorMetadata};

use super::kernels::{DepthwiseWindow, Kernels, apply};
use crate::RuntimeError;
use crate::graph::{Binary, Constant, Node, Op, Padding, Pool, Window};

/// How a constant lies on the device; decided by the operator that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Form {
    /// As in the file.
    Plain,
    /// `[O, I, 1, 1]` as the matrix `[1, I, O]`.
    Pointwise,
    /// `[C, 1, kh, kw]` with the channels innermost: `[kh, kw, C]`.
    Depthwise,
    /// `[O, I, kh, kw]` over the memory of `[O, kh, kw, I]`, which is what the kernel wants.
    ChannelsLast,
    /// `[I, O, kh, kw]` as the matrix `[1, I, kh * kw * O]`.
    Scatter,
    /// `[I, O]` as the matrix `[1, I, O]`.
    Matrix,
}

/// The form in which `node` reads its constant operand `index`.
pub(super) fn form<B: Kernels>(node: &Node, index: usize, shape: &[usize]) -> Form {
    match (&node.op, index) {
        (Op::Linear { .. }, 1) => Form::Matrix,
        (Op::Conv { window, groups, .. }, 1) if B::NHWC => {
            if is_pointwise(window, *groups) {
                Form::Pointwise
            } else if *groups > 1 && shape[0] == *groups && shape[1] == 1 {
                Form::Depthwise
            } else {
                Form::ChannelsLast
            }
        }
        (
            Op::ConvTranspose {
                window,
                output_padding,
                groups: 1,
                ..
            },
            1,
        ) if B::NHWC && tiles(window, *output_padding) => Form::Scatter,
        _ => Form::Plain,
    }
}

fn is_pointwise(window: &Window, groups: usize) -> bool {
    groups == 1
        && window.kernel == [1, 1]
        && window.strides == [1, 1]
        && matches!(
            window.padding,
            Padding::Explicit([0, 0, 0, 0]) | Padding::SameUpper | Padding::SameLower
        )
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
    // [a, b, ..rest] with b innermost.
    let second_last = |rest: usize| -> Vec<f32> {
        let (a, b) = (shape[0], shape[1]);
        let mut out = Vec::with_capacity(data.len());
        for i in 0..a {
            for k in 0..rest {
                out.extend((0..b).map(|j| data[(i * b + j) * rest + k]));
            }
        }
        out
    };
    Some(match form {
        // Kernels know no rank 0.
        Form::Plain if shape.is_empty() => on_device(data.to_vec(), vec![1]),
        Form::Plain => on_device(data.to_vec(), shape.to_vec()),
        Form::Matrix => on_device(data.to_vec(), vec![1, shape[0], shape[1]]),
        Form::Pointwise => {
            let (out, inner) = (shape[0], shape[1]);
            let turned = (0..inner)
                .flat_map(|i| (0..out).map(move |o| data[o * inner + i]))
                .collect();
            on_device(turned, vec![1, inner, out])
        }
        Form::Depthwise => {
            let (channels, taps) = (shape[0], shape[2] * shape[3]);
            let turned = (0..taps)
                .flat_map(|t| (0..channels).map(move |c| data[c * taps + t]))
                .collect();
            on_device(turned, vec![shape[2], shape[3], channels])
        }
        Form::ChannelsLast => {
            let turned = on_device(
                second_last(shape[2] * shape[3]),
                vec![shape[0], shape[2], shape[3], shape[1]],
            );
            B::float_permute(turned, &[0, 3, 1, 2])
        }
        Form::Scatter => {
            let taps = shape[2] * shape[3];
            on_device(second_last(taps), vec![1, shape[0], taps * shape[1]])
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

    fn picture(tensor: FloatTensor<B>) -> Self {
        Self { tensor, nhwc: true }
    }

    /// In the graph's order of axes.
    pub(super) fn nchw(self) -> FloatTensor<B> {
        if self.nhwc {
            B::float_permute(self.tensor, &[0, 3, 1, 2])
        } else {
            self.tensor
        }
    }

    /// With the channels last.
    fn nhwc(self) -> FloatTensor<B> {
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
    fn value(self) -> Value<B> {
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

/// Runs one node. `shape` is its output's.
pub(super) fn run<B: Kernels>(
    node: &Node,
    shape: &[usize],
    mut operands: Vec<Option<Operand<'_, B>>>,
) -> Result<Value<B>, RuntimeError> {
    let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
    let first = take(0).ok_or_else(|| node.unsupported("no operand"))?;
    let second = take(1);
    let third = take(2);
    let missing = || node.unsupported("an operand is missing");

    Ok(match &node.op {
        Op::Conv {
            window,
            groups,
            activation,
        } => {
            let weights = second.ok_or_else(missing)?.tensor();
            let bias = third.map(|b| b.tensor());
            let Padding::Explicit(pads) = window.padding else {
                return Err(node.unsupported("padding is not explicit"));
            };
            let padding = [(pads[0], pads[2]), (pads[1], pads[3])];
            let options = ConvOptions {
                stride: window.strides,
                padding,
                dilation: window.dilations,
                groups: *groups,
            };
            if !B::NHWC {
                let made = B::conv2d(first.value().nchw(), weights, bias, options);
                let made = match activation {
                    Some(unary) => apply::<B>(made, *unary),
                    None => made,
                };
                return Ok(Value::plain(made));
            }
            let picture = first.value().nhwc();
            let [n, out, h, w] = [shape[0], shape[1], shape[2], shape[3]];
            if weights.rank() == 3 && *groups == 1 {
                let inner = picture.shape()[3];
                let rows = reshape::<B>(picture, [1, n * h * w, inner]);
                let made = B::epilogue(B::float_matmul(rows, weights), bias.as_ref(), *activation);
                return Ok(Value::picture(reshape::<B>(made, [n, h, w, out])));
            }
            let made = if weights.rank() == 3 {
                let window = DepthwiseWindow {
                    kernel: window.kernel,
                    strides: window.strides,
                    padding,
                    dilations: window.dilations,
                };
                if let Some(made) = B::depthwise(&picture, &weights, &window) {
                    B::epilogue(made, bias.as_ref(), *activation)
                } else {
                    let channels = weights.shape()[2];
                    let weights = B::float_permute(weights, &[2, 0, 1]);
                    let weights =
                        reshape::<B>(weights, [channels, 1, window.kernel[0], window.kernel[1]]);
                    let picture = B::float_permute(picture, &[0, 3, 1, 2]);
                    let made = B::conv2d(picture, weights, bias, options);
                    B::epilogue(B::float_permute(made, &[0, 2, 3, 1]), None, *activation)
                }
            } else {
                let picture = B::float_permute(picture, &[0, 3, 1, 2]);
                let made = B::conv2d(picture, weights, bias, options);
                B::epilogue(B::float_permute(made, &[0, 2, 3, 1]), None, *activation)
            };
            Value::picture(made)
        }
        Op::ConvTranspose {
            window,
            output_padding,
            groups,
            activation,
        } => {
            let weights = second.ok_or_else(missing)?.tensor();
            let bias = third.map(|b| b.tensor());
            if weights.rank() == 3 {
                // Each pixel times the weights is its block of the output; the rest is putting them in place.
                let picture = first.value().nhwc();
                let [n, h, w, inner] = [0, 1, 2, 3].map(|i| picture.shape()[i]);
                let [kh, kw] = window.kernel;
                let out = shape[1];
                let rows = reshape::<B>(picture, [1, n * h * w, inner]);
                let blocks = reshape::<B>(B::float_matmul(rows, weights), [n, h, w, kh, kw, out]);
                let placed = reshape::<B>(
                    B::float_permute(blocks, &[0, 1, 3, 2, 4, 5]),
                    [n, h * kh, w * kw, out],
                );
                return Ok(Value::picture(B::epilogue(
                    placed,
                    bias.as_ref(),
                    *activation,
                )));
            }
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
            let made = B::conv_transpose2d(first.value().nchw(), weights, bias, options);
            Value::plain(match activation {
                Some(unary) => apply::<B>(made, *unary),
                None => made,
            })
        }
        Op::Linear { activation } => {
            let weights = second.ok_or_else(missing)?.tensor();
            let bias = third.map(|b| b.tensor());
            let input = first.value().nchw();
            let inner = weights.shape()[1];
            let rows: usize = shape[..shape.len() - 1].iter().product();
            let made = B::float_matmul(reshape::<B>(input, [1, rows, inner]), weights);
            let made = B::epilogue(made, bias.as_ref(), *activation);
            Value::plain(reshape::<B>(made, shape))
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
        Op::Unary(unary) => {
            let value = first.value();
            Value {
                tensor: B::epilogue(value.tensor, None, Some(*unary)),
                nhwc: value.nhwc,
            }
        }
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
            let value = first.value();
            let made = if axes[..] == [2, 3] && value.tensor.rank() == 4 {
                // Both at once: their order doesn't matter and they lie together.
                let nhwc = value.nhwc;
                let sizes: Vec<usize> = value.tensor.shape().iter().copied().collect();
                if nhwc {
                    let flat =
                        reshape::<B>(value.tensor, [sizes[0], sizes[1] * sizes[2], sizes[3]]);
                    let mean = B::float_mean_dim(flat, 1);
                    if shape.len() == 4 {
                        return Ok(Value::picture(reshape::<B>(
                            mean,
                            [sizes[0], 1, 1, sizes[3]],
                        )));
                    }
                    mean
                } else {
                    let flat =
                        reshape::<B>(value.tensor, [sizes[0], sizes[1], sizes[2] * sizes[3]]);
                    B::float_mean_dim(flat, 2)
                }
            } else {
                axes.iter()
                    .fold(value.nchw(), |t, &axis| B::float_mean_dim(t, axis as usize))
            };
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
        Op::Upsample(factors) => {
            let value = first.value();
            let nhwc = value.nhwc;
            let factors = if nhwc {
                vec![factors[0], factors[2], factors[3], factors[1]]
            } else {
                factors.clone()
            };
            Value {
                tensor: upsample::<B>(value.tensor, &factors),
                nhwc,
            }
        }
        Op::Concat(axis) => {
            let mut parts = vec![first];
            parts.extend(second);
            parts.extend(third);
            for index in 3..node.inputs.len() {
                parts.extend(take(index));
            }
            let nhwc = shape.len() == 4 && parts.iter().any(Operand::is_nhwc);
            let axis = if nhwc {
                [0, 3, 1, 2][*axis as usize]
            } else {
                *axis as usize
            };
            let parts = parts
                .into_iter()
                .map(|p| {
                    if nhwc {
                        p.value().nhwc()
                    } else {
                        p.value().nchw()
                    }
                })
                .collect();
            Value {
                tensor: B::float_cat(parts, axis),
                nhwc,
            }
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
    Ok(if B::NHWC {
        // Pools make NHWC and return a view of it, so this undoes a view.
        Value::picture(B::float_permute(made, &[0, 2, 3, 1]))
    } else {
        Value::plain(made)
    })
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
