//! Kernels of this project for GPUs, in CubeCL: one launch for what Burn's operators take several for.
//!
//! Pictures lie as `[N, H, W, C]`. Sizes that depend on the picture are arguments, never part of a kernel: a new size
//! compiles nothing. Channels are a model's own, so the width of the vectors they are read in may be.

mod activation;
mod attention;
mod blend;
mod conv;
mod pooling;
mod reduce;

use burn_backend::ops::FloatTensorOps;
use burn_backend::{FloatDType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use cubecl::calculate_cube_count_elemwise;
use cubecl::prelude::*;
use cubecl::zspace::Strides;

use self::blend::Blend;
use self::conv::Layer;
use super::fuse::{Extra, Limits, Step};
use super::kernels::Kernels;
use super::step::{Operand, Value};
use crate::graph::{Op, Padding, Unary, Window};

/// Units of a cube whose units work alone.
const CUBE: u32 = 64;
/// Most cubes along one axis of a launch.
const MAX_CUBES: usize = 65_535;

fn empty(like: &CubeTensor, shape: impl Into<Vec<usize>>) -> CubeTensor {
    CubeBackend::float_empty(Shape::from(shape.into()), &like.device, FloatDType::F32)
}

/// How many numbers are read at once, where rows have this many.
fn vector(size: usize) -> usize {
    match size {
        s if s.is_multiple_of(4) => 4,
        s if s.is_multiple_of(2) => 2,
        _ => 1,
    }
}

/// Cubes for units that work alone.
fn units(of: &CubeTensor, count: usize) -> (CubeCount, CubeDim) {
    let dim = CubeDim::new_1d(CUBE);
    (calculate_cube_count_elemwise(&of.client, count, dim), dim)
}

/// A cube for each row; there are at most [`MAX_CUBES`].
fn cubes(rows: usize) -> CubeCount {
    CubeCount::Static(rows as u32, 1, 1)
}

/// A buffer that a kernel does without where there is none. It is never stood in for by another one of the same launch:
/// browsers refuse a buffer that is bound twice.
fn optional<A>(tensor: Option<&CubeTensor>) -> A
where
    A: From<Option<BufferArg>>,
{
    tensor.map(|t| t.clone().into_buffer_arg()).into()
}

fn sizes(tensor: &CubeTensor) -> Vec<usize> {
    tensor.meta.shape().iter().copied().collect()
}

fn reshape(tensor: CubeTensor, shape: impl Into<Vec<usize>>) -> CubeTensor {
    CubeBackend::float_reshape(tensor, Shape::from(shape.into()))
}

/// Whether a convolution has a kernel here.
fn takes(op: &Op, weights: &[usize]) -> bool {
    match op {
        Op::Conv { groups, .. } => *groups == 1 || (weights[0] == *groups && weights[1] == 1),
        Op::Linear { .. } => true,
        _ => false,
    }
}

impl Kernels for CubeBackend {
    const LIMITS: Option<Limits> = Some(Limits {
        layer: takes,
        gate: reduce::MAX_GATE,
        head: attention::MAX_HEAD,
    });

    fn run(
        step: &Step,
        shape: &[usize],
        operands: &mut [Option<Operand<'_, Self>>],
    ) -> Option<Value<Self>> {
        run(step, shape, operands)
    }

    fn best(scores: &CubeTensor, logits: bool) -> Option<CubeTensor> {
        let [n, steps, _] = scores.meta.shape().dims();
        (n * steps <= MAX_CUBES).then(|| reduce::best(&into_contiguous(scores.clone()), logits))
    }

    #[cfg(target_family = "wasm")]
    async fn fault(failed: bool) -> Option<crate::RuntimeError> {
        super::wgpu::fault(failed).await
    }
}

type Taken<'a> = Option<Operand<'a, CubeBackend>>;

/// An operand as a contiguous picture with its channels last.
fn picture(operand: Taken<'_>) -> Option<CubeTensor> {
    let tensor = operand?.value().nhwc();
    let [_, height, width, channels] = tensor.meta.shape().dims();
    let pixels = height * width;
    let is_turned = tensor.meta.strides()[..] == [channels * pixels, width, 1, pixels];
    Some(if is_turned && channels > 1 && pixels > 1 {
        blend::turn(&tensor)
    } else {
        into_contiguous(tensor)
    })
}

/// An operand in the graph's order of axes, contiguous.
fn plain(operand: Taken<'_>) -> Option<CubeTensor> {
    Some(into_contiguous(operand?.value().nchw()))
}

/// Runs a step; `None`, with the operands still there, where there is no kernel for it.
fn run(
    step: &Step,
    shape: &[usize],
    operands: &mut [Option<Operand<'_, CubeBackend>>],
) -> Option<Value<CubeBackend>> {
    let node = &step.node;
    let rank_of = |operands: &[Option<Operand<'_, CubeBackend>>], i: usize| {
        operands.get(i).and_then(Option::as_ref).map(Operand::rank)
    };
    match &step.extra {
        Extra::None => {}
        Extra::Gate(functions) => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let mean = picture(take(0))?;
            let [a, b, c, d] = [1, 2, 3, 4].map(|i| plain(take(i)));
            let (narrow, wide) = ([a?, b?], [c?, d?]);
            return Some(Value::picture(reduce::gate(
                &mean,
                [&narrow[0], &narrow[1]],
                [&wide[0], &wide[1]],
                *functions,
            )));
        }
        Extra::Blend { keep, factors } => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let (x, gate, other) = (take(0)?, take(1), take(2));
            if shape.len() == 4 {
                let (x, gate, other) = (picture(Some(x))?, picture(gate), picture(other));
                let blend = Blend {
                    picture: &x,
                    gate: gate.as_ref().map(|g| (g, *keep)),
                    other: other.as_ref().map(|o| (o, *factors)),
                    activation: None,
                };
                return Some(Value::picture(blend.run()));
            }
            let (x, other) = (plain(Some(x))?, plain(other));
            let blend = Blend {
                picture: &x,
                gate: None,
                other: other.as_ref().map(|o| (o, [1, 1])),
                activation: None,
            };
            return Some(Value::plain(blend.run()));
        }
        Extra::Joined(factors) => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let parts: Option<Vec<_>> = factors
                .iter()
                .enumerate()
                .map(|(i, f)| Some((picture(take(i))?, *f)))
                .collect();
            let joined = blend::join(&parts?, [shape[0], shape[2], shape[3]]);
            return Some(Value::picture(joined));
        }
        Extra::Attention { scale, sizes } => {
            return Some(Value::plain(attention::attention(
                &plain(operands[0].take())?,
                *sizes,
                *scale,
            )));
        }
    }
    let rows = || {
        shape[..shape.len().saturating_sub(1)]
            .iter()
            .product::<usize>()
    };
    match &node.op {
        Op::Conv {
            window,
            groups,
            activation,
        } => {
            let Padding::Explicit([above, left, ..]) = window.padding else {
                return None;
            };
            if !matches!(operands.get(1), Some(Some(Operand::Constant(_, c))) if takes(&node.op, &c.shape))
            {
                return None;
            }
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let (x, weights) = (picture(take(0))?, take(1)?.value().nchw());
            // The picture itself is added by the kernel that reads it: no launch may bind it twice.
            let keep = node.input(3).is_some() && node.input(3) == node.input(0);
            let (bias, residual) = (plain(take(2)), picture(take(3).filter(|_| !keep)));
            let layer = Layer {
                picture: &x,
                weights: &weights,
                bias: bias.as_ref(),
                residual: residual.as_ref(),
                activation: *activation,
            };
            let out = [shape[0], shape[2], shape[3], shape[1]];
            Some(Value::picture(if *groups == 1 {
                conv::dense(&layer, window, [above, left], out)
            } else {
                conv::depthwise(&layer, window, [above, left], out, keep)
            }))
        }
        Op::ConvTranspose {
            window, activation, ..
        } if rank_of(operands, 1) == Some(3) => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let (x, weights, bias) = (picture(take(0))?, plain(take(1))?, plain(take(2)));
            let layer = Layer {
                picture: &x,
                weights: &weights,
                // The bias has one value per output channel, columns are channels of each place of the block.
                bias: bias.as_ref(),
                residual: None,
                activation: *activation,
            };
            Some(Value::picture(conv::blocks(&layer, window, shape[1])))
        }
        Op::Linear { activation } => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let (x, weights) = (plain(take(0))?, plain(take(1))?);
            let (bias, residual) = (plain(take(2)), plain(take(3)));
            let inner = *sizes(&x).last()?;
            let out = [1, 1, rows(), *shape.last()?];
            let x = reshape(x, [1, 1, rows(), inner]);
            let layer = Layer {
                picture: &x,
                weights: &weights,
                bias: bias.as_ref(),
                residual: residual.as_ref(),
                activation: *activation,
            };
            let one = Window {
                kernel: [1, 1],
                strides: [1, 1],
                dilations: [1, 1],
                padding: Padding::Explicit([0; 4]),
            };
            let made = conv::dense(&layer, &one, [0, 0], out);
            Some(Value::plain(reshape(made, shape)))
        }
        Op::LayerNorm { epsilon } if rows() <= MAX_CUBES => {
            let mut take = |index: usize| operands.get_mut(index).and_then(Option::take);
            let (x, scale, bias) = (plain(take(0))?, plain(take(1))?, plain(take(2)));
            Some(Value::plain(reduce::layer_norm(
                &x,
                &scale,
                bias.as_ref(),
                *epsilon,
            )))
        }
        Op::Softmax { axis, .. } if *axis as usize + 1 == shape.len() && rows() <= MAX_CUBES => {
            Some(Value::plain(reduce::softmax(&plain(operands[0].take())?)))
        }
        Op::ReduceMean { axes, .. }
            if axes[..] == [2, 3] && rank_of(operands, 0) == Some(4) && shape[0] <= MAX_CUBES =>
        {
            let mean = reduce::mean(&picture(operands[0].take())?);
            Some(if shape.len() == 4 {
                Value::picture(mean)
            } else {
                Value::plain(reshape(mean, shape))
            })
        }
        Op::Pool { kind, window } => {
            let Padding::Explicit([above, left, ..]) = window.padding else {
                return None;
            };
            let out = [shape[0], shape[2], shape[3], shape[1]];
            let x = picture(operands[0].take())?;
            Some(Value::picture(pooling::pool(
                &x,
                *kind,
                window,
                [above, left],
                out,
            )))
        }
        Op::View(to) => {
            let mut tensor = operands[0].take()?.value().nchw();
            match restride(&sizes(&tensor), tensor.meta.strides(), to) {
                Some(strides) => {
                    tensor.meta.shape = Shape::from(to.clone());
                    tensor.meta.strides = Strides::new(&strides);
                }
                None => tensor = reshape(tensor, to.clone()),
            }
            Some(Value::plain(tensor))
        }
        Op::Unary(unary) => {
            let value = operands[0].take()?.value();
            Some(value.map(|tensor| elementwise(tensor, *unary)))
        }
        _ => None,
    }
}

/// The strides of the same elements, in the same order, under another shape; `None` where no strides reach them.
/// Burn copies in some of these cases.
fn restride(shape: &[usize], strides: &[usize], to: &[usize]) -> Option<Vec<usize>> {
    let old: Vec<(usize, usize)> = shape
        .iter()
        .copied()
        .zip(strides.iter().copied())
        .filter(|&(size, _)| size != 1)
        .collect();
    let mut new = vec![1; to.len()];
    // From the innermost axis out, groups of axes that hold as many elements on both sides.
    let (mut before, mut after) = (old.len(), to.len());
    while before > 0 {
        before -= 1;
        let (mut held, mut stride) = old[before];
        let (inner, mut reach) = (stride, held * stride);
        let mut made = 1;
        let mut next = inner;
        while made < held {
            after = after.checked_sub(1)?;
            made *= to[after];
            new[after] = next;
            next *= to[after];
            while held < made {
                before = before.checked_sub(1)?;
                let (size, outer) = old[before];
                // An axis further out continues this one where it begins at its end.
                if outer != reach {
                    return None;
                }
                held *= size;
                stride = outer;
                reach = stride * size;
            }
        }
        if made != held {
            return None;
        }
    }
    to[..after].iter().all(|&size| size == 1).then_some(new)
}

fn elementwise(tensor: CubeTensor, unary: Unary) -> CubeTensor {
    Blend {
        picture: &into_contiguous(tensor),
        gate: None,
        other: None,
        activation: Some(unary),
    }
    .run()
}

#[cfg(all(test, feature = "flex"))]
mod tests;
