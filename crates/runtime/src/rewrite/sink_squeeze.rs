//! Moves `Squeeze` of a spatial axis behind what works on each element or channel, so that the batch
//! normalisation or activation meets its convolution, and the `Unsqueeze` further down cancels it.

use super::Links;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let links = Links::new(graph);
        let node = &graph.nodes[index];
        if !matches!(node.op, Op::Unary(_) | Op::BatchNorm { .. }) {
            continue;
        }
        let Some(squeeze) = links.sole(graph, node.input(0)) else {
            continue;
        };
        let Op::Squeeze(axes) = &squeeze.op else {
            continue;
        };
        // Behind the channels, so that axis 1 stays axis 1.
        if axes.is_empty() || axes.iter().any(|&a| a < 2) {
            continue;
        }
        let Some(earlier) = node.input(0).and_then(|v| links.producers[v]) else {
            continue;
        };
        let (squeezed, source) = (squeeze.op.clone(), squeeze.input(0));
        let between = squeeze.output;
        let (op, mut inputs) = (node.op.clone(), node.inputs.clone());
        inputs[0] = source;
        graph.nodes[earlier].op = op;
        graph.nodes[earlier].inputs = inputs;
        graph.nodes[index].op = squeezed;
        graph.nodes[index].inputs = vec![Some(between)];
        changes += 1;
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::Unary;

    #[test]
    fn the_function_comes_first() {
        let mut b = Build::new();
        let x = b.node(Op::Squeeze(vec![2]), &[0]);
        b.node(Op::Unary(Unary::Relu), &[x]);
        let graph = b.after(run);
        assert_eq!(graph.nodes[0].op, Op::Unary(Unary::Relu));
        assert_eq!(graph.nodes[1].op, Op::Squeeze(vec![2]));
    }

    #[test]
    fn an_axis_before_the_channels_stays() {
        let mut b = Build::new();
        let x = b.node(Op::Squeeze(vec![0]), &[0]);
        b.node(Op::Unary(Unary::Relu), &[x]);
        assert_eq!(b.after(run).nodes[0].op, Op::Squeeze(vec![0]));
    }
}
