//! Constants added to a convolution's or a linear layer's result become its bias; constants multiplied with it
//! become part of its weights.

use super::Links;
use crate::graph::{Binary, Constant, Graph, Node, Op, ValueId};

/// `y * scale + shift` for each output channel.
pub(super) struct Affine {
    pub(super) scale: Vec<f64>,
    pub(super) shift: Vec<f64>,
}

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::Binary(op @ (Binary::Add | Binary::Mul)) = node.op else {
            continue;
        };
        let links = Links::new(graph);
        let (a, b) = (node.input(0), node.input(1));
        for (value, constant) in [(a, b), (b, a)] {
            let Some(layer) = links.sole(graph, value) else {
                continue;
            };
            let Some(numbers) = per_channel(graph, layer, constant) else {
                continue;
            };
            let count = numbers.len();
            let affine = match op {
                Binary::Add => Affine {
                    scale: vec![1.0; count],
                    shift: numbers,
                },
                _ => Affine {
                    scale: numbers,
                    shift: vec![0.0; count],
                },
            };
            if fold_into(graph, &links, index, value, &affine) {
                changes += 1;
                break;
            }
        }
    }
    changes
}

/// Output channels of a layer, by its weights.
fn channels(graph: &Graph, layer: &Node) -> Option<usize> {
    let shape = &graph.constants.get(&layer.input(1)?)?.shape;
    match (&layer.op, shape.as_slice()) {
        (
            Op::Conv {
                activation: None, ..
            },
            &[out, ..],
        ) => Some(out),
        (
            Op::ConvTranspose {
                activation: None,
                groups: 1,
                ..
            },
            &[_, out, ..],
        ) => Some(out),
        (Op::Linear { activation: None }, &[_, out]) => Some(out),
        _ => None,
    }
}

/// `constant` as one number for each output channel of `layer`, where it broadcasts so.
fn per_channel(graph: &Graph, layer: &Node, constant: Option<ValueId>) -> Option<Vec<f64>> {
    let channels = channels(graph, layer)?;
    let constant = graph.constants.get(&constant?)?;
    let data = constant.as_f32()?;
    let shape = constant.shape.as_slice();
    let fits = match (&layer.op, shape) {
        (_, [] | [1]) => true,
        (Op::Linear { .. }, _) => {
            // Its rank is that of its input, which is at least 2.
            shape.len() <= 2 && shape.last() == Some(&channels) && data.len() == channels
        }
        (_, &[c, 1, 1] | &[1, c, 1, 1]) => c == channels || c == 1,
        _ => false,
    };
    if !fits {
        return None;
    }
    Some(
        (0..channels)
            .map(|i| f64::from(data[i % data.len()]))
            .collect(),
    )
}

/// Replaces node `index` by the layer that makes `value`, followed by `affine`. The layer itself is left for
/// `remove_dead`. False where it does not apply.
pub(super) fn fold_into(
    graph: &mut Graph,
    links: &Links,
    index: usize,
    value: Option<ValueId>,
    affine: &Affine,
) -> bool {
    let Some(layer) = links.sole(graph, value).cloned() else {
        return false;
    };
    let Some(count) = channels(graph, &layer).filter(|&c| c == affine.scale.len()) else {
        return false;
    };
    let weights = layer.input(1).and_then(|w| graph.constants.get(&w));
    let Some((shape, data)) = weights.and_then(|w| Some((w.shape.clone(), w.as_f32()?))) else {
        return false;
    };
    let old = graph.floats(layer.input(2));
    if layer.input(2).is_some() && old.is_none_or(|b| b.len() != count) {
        return false;
    }
    let bias: Vec<f32> = (0..count)
        .map(|c| (f64::from(old.map_or(0.0, |b| b[c])) * affine.scale[c] + affine.shift[c]) as f32)
        .collect();
    let weights = if affine.scale.iter().all(|&s| s == 1.0) {
        layer.input(1)
    } else {
        // How many weights of one channel lie together: [O, ...], [I, O, ...] or [I, O].
        let run: usize = match layer.op {
            Op::Conv { .. } => shape[1..].iter().product(),
            _ => shape[2..].iter().product(),
        };
        let scaled = data
            .iter()
            .enumerate()
            .map(|(i, &w)| (f64::from(w) * affine.scale[i / run % count]) as f32)
            .collect();
        Some(graph.add_constant(Constant::f32(shape, scaled)))
    };
    let bias = graph.add_constant(Constant::f32([count], bias));
    let node = &mut graph.nodes[index];
    node.op = layer.op.clone();
    node.inputs = vec![layer.input(0), weights, Some(bias)];
    true
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    #[test]
    fn a_constant_per_channel_becomes_the_bias() {
        let mut b = Build::new();
        let x = b.conv(0, &[2.0, 3.0]);
        let c = b.constant(&[1, 2, 1, 1], &[5.0, 6.0]);
        let x = b.node(Op::Binary(Binary::Add), &[c, x]);
        let two = b.constant(&[1], &[2.0]);
        b.node(Op::Binary(Binary::Mul), &[x, two]);
        let graph = b.after(run);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.floats(graph.nodes[0].input(1)), Some(&[4.0, 6.0][..]));
        assert_eq!(
            graph.floats(graph.nodes[0].input(2)),
            Some(&[10.0, 12.0][..])
        );
    }

    #[test]
    fn a_constant_per_column_stays() {
        let mut b = Build::new();
        let x = b.conv(0, &[2.0, 3.0]);
        let c = b.constant(&[2], &[5.0, 6.0]);
        b.node(Op::Binary(Binary::Add), &[x, c]);
        assert_eq!(b.after(run).nodes.len(), 2);
    }
}
