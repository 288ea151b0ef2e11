//! What each operator makes of its operands' shapes.

use super::operands::{At, axis, broadcast, elements, picture, slices};
use super::window::{resize, slide, split};
use crate::graph::{Constant, Node, Op, Padding};
use crate::onnx::MAX_RANK;

/// The operator for these shapes, and its output's shape.
pub(super) fn infer<'a>(
    node: &Node,
    at: &At<'a>,
    all: &[&[usize]],
) -> Result<(Op, Vec<usize>), String> {
    let (shape, _) = at(0).ok_or("no operand")?;
    let rank = shape.len();
    let second = || {
        at(1)
            .map(|(shape, _)| shape)
            .ok_or_else(|| "one operand only".to_string())
    };
    let ints = |index: usize| {
        at(index)
            .and_then(|(_, c)| c)
            .and_then(Constant::as_i64)
            .ok_or_else(|| "it depends on the picture's content".to_string())
    };
    let size = |[_, _, h, w]: [usize; 4]| [h, w];
    Ok(match node.op.clone() {
        Op::Conv {
            mut window,
            groups,
            activation,
        } => {
            let input = picture(shape)?;
            let [out, inner, ..] = picture(second()?)?;
            if inner.checked_mul(groups) != Some(input[1]) {
                return Err(format!(
                    "{} channels, {} expected",
                    input[1],
                    inner.saturating_mul(groups)
                ));
            }
            let (pads, [h, w]) = slide(&window, size(input))?;
            window.padding = Padding::Explicit(pads);
            let op = Op::Conv {
                window,
                groups,
                activation,
            };
            (op, vec![input[0], out, h, w])
        }
        Op::ConvTranspose {
            window,
            output_padding,
            groups,
            ..
        } => {
            let input = picture(shape)?;
            let [inner, out, ..] = picture(second()?)?;
            if inner != input[1] {
                return Err(format!("{} channels, {inner} expected", input[1]));
            }
            let Padding::Explicit(pads) = window.padding else {
                return Err("automatic padding".into());
            };
            let mut sizes = [0; 2];
            for i in 0..2 {
                sizes[i] = (input[i + 2] - 1)
                    .checked_mul(window.strides[i])
                    .and_then(|s| s.checked_add(window.dilations[i] * (window.kernel[i] - 1) + 1))
                    .and_then(|s| s.checked_add(output_padding[i]))
                    .and_then(|s| s.checked_sub(pads[i] + pads[i + 2]))
                    .ok_or("more padding than output")?;
            }
            let out = out.checked_mul(groups).ok_or("too many channels")?;
            (node.op.clone(), vec![input[0], out, sizes[0], sizes[1]])
        }
        Op::Pool { kind, mut window } => {
            let input = picture(shape)?;
            let (pads, [h, w]) = slide(&window, size(input))?;
            // Windows that see nothing but padding have no mean and no largest value.
            if pads[0].max(pads[2]) >= window.kernel[0] || pads[1].max(pads[3]) >= window.kernel[1]
            {
                return Err("more padding than window".into());
            }
            window.padding = Padding::Explicit(pads);
            (Op::Pool { kind, window }, vec![input[0], input[1], h, w])
        }
        Op::BatchNorm { .. } => {
            let channels: usize = second()?.iter().product();
            if rank < 2 || shape[1] != channels {
                return Err(format!("{shape:?} with parameters for {channels} channels"));
            }
            (node.op.clone(), shape.to_vec())
        }
        Op::LayerNorm { .. } => {
            for i in 1..3 {
                if let Some((parameters, _)) = at(i)
                    && parameters.iter().product::<usize>() != shape.last().copied().unwrap_or(0)
                {
                    return Err(format!("parameters of {parameters:?} for {shape:?}"));
                }
            }
            (node.op.clone(), shape.to_vec())
        }
        Op::Linear { .. } => {
            let &[inner, out] = second()? else {
                return Err("weights of another rank".into());
            };
            if rank < 2 || shape[rank - 1] != inner {
                return Err(format!("{shape:?}, where the last size should be {inner}"));
            }
            let mut to = shape.to_vec();
            to[rank - 1] = out;
            (node.op.clone(), to)
        }
        Op::MatMul => {
            let other = second()?;
            if rank < 2 || other.len() < 2 {
                return Err("vectors are not supported".into());
            }
            let (m, k) = (shape[rank - 2], shape[rank - 1]);
            let (k2, n) = (other[other.len() - 2], other[other.len() - 1]);
            if k != k2 {
                return Err(format!("{shape:?} times {other:?}"));
            }
            let mut to = broadcast(&shape[..rank - 2], &other[..other.len() - 2])?;
            to.extend([m, n]);
            (Op::MatMul, to)
        }
        Op::Unary(_) => (node.op.clone(), shape.to_vec()),
        Op::Binary(_) => (node.op.clone(), broadcast(shape, second()?)?),
        Op::Softmax {
            axis: along,
            flattened,
        } => {
            let along = axis(along, rank)?;
            if flattened && along + 1 != rank {
                return Err(format!("over the axes from {along} on of {shape:?}"));
            }
            let op = Op::Softmax {
                axis: along as i64,
                flattened: false,
            };
            (op, shape.to_vec())
        }
        Op::ReduceMean { axes, keep } => {
            let axes = if axes.is_empty() {
                (0..rank as i64).collect()
            } else {
                axes
            };
            let mut over = axes
                .iter()
                .map(|&a| axis(a, rank))
                .collect::<Result<Vec<_>, _>>()?;
            over.sort_unstable();
            over.dedup();
            let to = shape
                .iter()
                .enumerate()
                .filter(|(i, _)| keep || !over.contains(i))
                .map(|(i, &d)| if over.contains(&i) { 1 } else { d })
                .collect::<Vec<_>>();
            if to.is_empty() {
                // GPU kernels know no rank 0.
                return Err("a scalar".into());
            }
            let axes = over.iter().map(|&a| a as i64).collect();
            (Op::ReduceMean { axes, keep }, to)
        }
        Op::Transpose(perm) => {
            if perm.len() != rank {
                return Err(format!("{perm:?} for {shape:?}"));
            }
            let to: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            // Moving axes of size 1 moves no element.
            let moved: Vec<usize> = perm.iter().copied().filter(|&p| shape[p] != 1).collect();
            if moved.is_sorted() {
                (Op::View(to.clone()), to)
            } else {
                (Op::Transpose(perm), to)
            }
        }
        Op::Concat(along) => {
            let along = axis(along, rank)?;
            let mut to = shape.to_vec();
            for part in &all[1..] {
                let fits =
                    part.len() == rank && (0..rank).all(|i| i == along || part[i] == shape[i]);
                if !fits {
                    return Err(format!("{shape:?} beside {part:?}"));
                }
                to[along] = to[along].checked_add(part[along]).ok_or("too large")?;
            }
            (Op::Concat(along as i64), to)
        }
        Op::Upsample(factors) => {
            if factors.len() != rank {
                return Err(format!("{factors:?} for {shape:?}"));
            }
            let to = shape
                .iter()
                .zip(&factors)
                .map(|(&d, &f)| d.checked_mul(f))
                .collect::<Option<_>>()
                .ok_or("too large")?;
            (Op::Upsample(factors), to)
        }
        Op::Reshape { allow_zero } => {
            let wanted = ints(1)?;
            let total: usize = elements(shape).ok_or("too large")?;
            let mut open = None;
            let mut to = Vec::new();
            for (i, &d) in wanted.iter().enumerate() {
                to.push(match d {
                    0 if !allow_zero => *shape.get(i).ok_or("a 0 beyond the rank")?,
                    -1 if open.is_none() => {
                        open = Some(i);
                        1
                    }
                    d => usize::try_from(d).map_err(|_| format!("shape {wanted:?}"))?,
                });
            }
            let rest = elements(&to).ok_or("too large")?;
            if let Some(open) = open {
                if rest == 0 || !total.is_multiple_of(rest) {
                    return Err(format!("{shape:?} as {wanted:?}"));
                }
                to[open] = total / rest;
            } else if rest != total {
                return Err(format!("{shape:?} as {wanted:?}"));
            }
            (Op::View(to.clone()), to)
        }
        Op::Squeeze(axes) => {
            let drop = if axes.is_empty() {
                (0..rank).filter(|&i| shape[i] == 1).collect()
            } else {
                axes.iter()
                    .map(|&a| axis(a, rank))
                    .collect::<Result<Vec<_>, _>>()?
            };
            if drop.iter().any(|&i| shape[i] != 1) {
                return Err(format!("axes {axes:?} of {shape:?}"));
            }
            let to: Vec<usize> = (0..rank)
                .filter(|i| !drop.contains(i))
                .map(|i| shape[i])
                .collect();
            (Op::View(to.clone()), to)
        }
        Op::Unsqueeze(axes) => {
            if axes.len() + rank > MAX_RANK {
                return Err(format!("axes {axes:?}"));
            }
            let full = rank + axes.len();
            let new = axes
                .iter()
                .map(|&a| axis(a, full))
                .collect::<Result<Vec<_>, _>>()?;
            let mut old = shape.iter();
            let to: Vec<usize> = (0..full)
                .filter_map(|i| {
                    if new.contains(&i) {
                        Some(1)
                    } else {
                        old.next().copied()
                    }
                })
                .collect();
            if to.len() != full {
                return Err(format!("axes {axes:?}"));
            }
            (Op::View(to.clone()), to)
        }
        Op::Slice => {
            let ranges = slices(at)?;
            let to = ranges
                .iter()
                .map(|[s, e, step]| e.saturating_sub(*s).div_ceil(*step))
                .collect();
            (Op::Crop(ranges), to)
        }
        Op::Split { .. } => {
            let (ranges, to) = split(node, at)?;
            (Op::Crop(ranges), to)
        }
        Op::Resize => resize(shape, ints(1)?)?,
        Op::Identity => (Op::Identity, shape.to_vec()),
        Op::Gather(_)
        | Op::Shape
        | Op::Integers
        | Op::View(_)
        | Op::Crop(_)
        | Op::Nearest { .. } => {
            return Err("only supported on integers that the host knows".into());
        }
    })
}
