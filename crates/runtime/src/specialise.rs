//! Turns a [`Graph`] into one for an input of known shape: every value gets a shape, and arithmetic on shapes is
//! done here, on the host.

use std::sync::Arc;

use crate::RuntimeError;
use crate::graph::{Constant, Data, Graph, Node, Op, Padding, ValueId, Window};
use crate::onnx::MAX_RANK;

/// A value of more elements (2 GiB of floats) is a hostile file's or a mistake.
const MAX_ELEMENTS: usize = 1 << 29;
/// Shapes and indices have a handful of elements; a file that grows them is hostile.
const MAX_HOST_ELEMENTS: usize = 1 << 16;

/// A graph for one input shape. Its nodes are only those that compute: `Reshape` and its like are
/// [`Op::View`], slices are [`Op::Crop`], paddings are explicit.
#[derive(Clone, Debug)]
pub struct Specialised {
    /// Nodes and constants; [`ValueId`]s are those of the graph it was made from.
    pub graph: Graph,
    /// The shape of each value that is left, by [`ValueId`]; empty for others.
    pub shapes: Vec<Vec<usize>>,
}

/// Fixes the input's shape.
pub fn specialise(graph: &Graph, input: &[usize]) -> Result<Specialised, RuntimeError> {
    let bad_input = |reason: String| RuntimeError::Input {
        shape: input.to_vec(),
        reason,
    };
    if input.is_empty() || input.len() > MAX_RANK || elements(input).is_none_or(|n| n == 0) {
        return Err(bad_input("it is empty, or too large".into()));
    }
    let mut shapes: Vec<Option<Vec<usize>>> = vec![None; graph.values];
    let mut constants = graph.constants.clone();
    for (id, constant) in &constants {
        shapes[*id] = Some(constant.shape.clone());
    }
    shapes[graph.input] = Some(input.to_vec());
    // A value that is another one under a second name.
    let mut alias: Vec<ValueId> = (0..graph.values).collect();
    let mut nodes = Vec::new();

    for node in &graph.nodes {
        let mut node = node.clone();
        for value in node.inputs.iter_mut().flatten() {
            *value = alias[*value];
        }
        let mut operands = Vec::new();
        for value in node.inputs.iter().flatten() {
            let shape = shapes[*value]
                .clone()
                .ok_or_else(|| node.unsupported("an operand has no shape"))?;
            operands.push((shape, constants.get(value)));
        }
        // The graph's own operands keep their places; a missing one is only ever optional.
        let at = |index: usize| -> Option<(&[usize], Option<&Constant>)> {
            node.input(index)?;
            let place = node.inputs[..index].iter().flatten().count();
            operands.get(place).map(|(shape, c)| (shape.as_slice(), *c))
        };
        if let Some(folded) = fold(&node, &at).map_err(|e| node.unsupported(e))? {
            shapes[node.output] = Some(folded.shape.clone());
            constants.insert(node.output, folded);
            continue;
        }
        let all: Vec<&[usize]> = operands.iter().map(|(shape, _)| shape.as_slice()).collect();
        let (op, shape) = infer(&node, &at, &all).map_err(|reason| {
            bad_input(format!(
                "node `{}` ({}): {reason}",
                node.name,
                node.op.name()
            ))
        })?;
        if shape.len() > MAX_RANK || elements(&shape).is_none_or(|n| n == 0) {
            return Err(bad_input(format!(
                "node `{}` ({}) would make {shape:?}",
                node.name,
                node.op.name()
            )));
        }
        let first = node
            .input(0)
            .ok_or_else(|| node.unsupported("no operand"))?;
        if operands
            .iter()
            .any(|(_, c)| c.is_some_and(|c| c.as_i64().is_some()))
            && !matches!(op, Op::View(_) | Op::Crop(_))
        {
            return Err(
                node.unsupported("integers are only supported where the host can compute them")
            );
        }
        let noop = match &op {
            Op::Identity => true,
            Op::View(to) => *to == operands[0].0,
            Op::Crop(ranges) => ranges
                .iter()
                .zip(&operands[0].0)
                .all(|(r, &size)| *r == [0, size, 1]),
            Op::Upsample(factors) => factors.iter().all(|&f| f == 1),
            _ => false,
        };
        shapes[node.output] = Some(shape);
        if noop {
            alias[node.output] = first;
            continue;
        }
        node.inputs.truncate(match op {
            Op::View(_) | Op::Crop(_) => 1,
            _ => usize::MAX,
        });
        node.op = op;
        nodes.push(node);
    }

    let mut out = Graph {
        nodes,
        constants,
        input: graph.input,
        output: alias[graph.output],
        values: graph.values,
    };
    merge_views(&mut out, &shapes);
    out.remove_dead();
    if out
        .constants
        .get(&out.output)
        .is_some_and(|c| c.as_f32().is_none())
    {
        return Err(bad_input("the output is not a tensor of floats".into()));
    }
    Ok(Specialised {
        graph: out,
        shapes: shapes.into_iter().map(Option::unwrap_or_default).collect(),
    })
}

/// A view of a view is a view of the original.
fn merge_views(graph: &mut Graph, shapes: &[Option<Vec<usize>>]) {
    let producers = graph.producers();
    for index in 0..graph.nodes.len() {
        let Op::View(to) = &graph.nodes[index].op else {
            continue;
        };
        let to = to.clone();
        let Some(mut source) = graph.nodes[index].input(0) else {
            continue;
        };
        while let Some(producer) = producers[source] {
            let producer = &graph.nodes[producer];
            match (&producer.op, producer.input(0)) {
                (Op::View(_), Some(before)) => source = before,
                _ => break,
            }
        }
        graph.nodes[index].inputs = vec![Some(source)];
        if shapes[source].as_deref() == Some(to.as_slice()) {
            let output = graph.nodes[index].output;
            graph.replace(output, source);
        }
    }
}

fn elements(shape: &[usize]) -> Option<usize> {
    shape
        .iter()
        .try_fold(1usize, |n, &d| n.checked_mul(d))
        .filter(|&n| n <= MAX_ELEMENTS)
}

/// `axis` counted from the front.
fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let rank_i = rank as i64;
    if !(-rank_i..rank_i).contains(&axis) {
        return Err(format!("axis {axis} of a tensor of rank {rank}"));
    }
    Ok(if axis < 0 { axis + rank_i } else { axis } as usize)
}

type At<'a> = dyn Fn(usize) -> Option<(&'a [usize], Option<&'a Constant>)> + 'a;

/// The node's value, where the host can tell it.
fn fold<'a>(node: &Node, at: &At<'a>) -> Result<Option<Constant>, String> {
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

/// Start, end and step of `Slice` along every axis of its operand.
fn slices<'a>(at: &At<'a>) -> Result<Vec<[usize; 3]>, String> {
    let (shape, _) = at(0).ok_or("no operand")?;
    let list = |index: usize| -> Result<Option<&'a [i64]>, String> {
        match at(index) {
            None => Ok(None),
            Some((_, c)) => Ok(Some(
                c.and_then(Constant::as_i64)
                    .ok_or("its bounds are not constant")?,
            )),
        }
    };
    let starts = list(1)?.ok_or("no starts")?;
    let ends = list(2)?.ok_or("no ends")?;
    let axes = list(3)?;
    let steps = list(4)?;
    let mut ranges: Vec<[usize; 3]> = shape.iter().map(|&d| [0, d, 1]).collect();
    if ends.len() != starts.len()
        || axes.is_some_and(|a| a.len() != starts.len())
        || steps.is_some_and(|s| s.len() != starts.len())
        || starts.len() > shape.len()
    {
        return Err("bounds of different lengths".into());
    }
    for (i, (&start, &end)) in starts.iter().zip(ends).enumerate() {
        let along = axis(axes.map_or(i as i64, |a| a[i]), shape.len())?;
        let size = shape[along] as i64;
        let step = steps.map_or(1, |s| s[i]);
        if !(1..=i64::from(u32::MAX)).contains(&step) {
            return Err(format!("a step of {step}"));
        }
        let clamp =
            |v: i64| (if v < 0 { v.saturating_add(size) } else { v }).clamp(0, size) as usize;
        ranges[along] = [clamp(start), clamp(end), step as usize];
    }
    Ok(ranges)
}

/// The padding of a window over `[height, width]`, and the size of what it makes.
pub(crate) fn slide(window: &Window, size: [usize; 2]) -> Result<([usize; 4], [usize; 2]), String> {
    let mut pads = [0; 4];
    let mut out = [0; 2];
    for i in 0..2 {
        let reach = window.dilations[i]
            .checked_mul(window.kernel[i] - 1)
            .and_then(|r| r.checked_add(1))
            .ok_or("too large a window")?;
        let stride = window.strides[i];
        let (before, after) = match window.padding {
            Padding::Explicit(p) => (p[i], p[i + 2]),
            same => {
                let wanted = (size[i].div_ceil(stride).saturating_sub(1) * stride + reach)
                    .saturating_sub(size[i]);
                let less = wanted / 2;
                if same == Padding::SameUpper {
                    (less, wanted - less)
                } else {
                    (wanted - less, less)
                }
            }
        };
        let padded = size[i].saturating_add(before).saturating_add(after);
        if padded < reach {
            return Err(format!("a window of {reach} over {padded} pixels"));
        }
        (pads[i], pads[i + 2]) = (before, after);
        out[i] = (padded - reach) / stride + 1;
    }
    Ok((pads, out))
}

fn picture(shape: &[usize]) -> Result<[usize; 4], String> {
    shape
        .try_into()
        .map_err(|_| format!("a tensor of shape {shape:?} where a picture is needed"))
}

fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let at = |s: &[usize], i: usize| {
        if i + s.len() >= rank {
            s[i + s.len() - rank]
        } else {
            1
        }
    };
    (0..rank)
        .map(|i| match (at(a, i), at(b, i)) {
            (x, y) if x == y => Ok(x),
            (1, y) => Ok(y),
            (x, 1) => Ok(x),
            _ => Err(format!("shapes {a:?} and {b:?} don't broadcast")),
        })
        .collect()
}

/// The operator for these shapes, and its output's shape.
fn infer<'a>(node: &Node, at: &At<'a>, all: &[&[usize]]) -> Result<(Op, Vec<usize>), String> {
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
        Op::Identity => (Op::Identity, shape.to_vec()),
        Op::Gather(_) | Op::Shape | Op::View(_) | Op::Crop(_) => {
            return Err("only supported on integers that the host knows".into());
        }
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
