//! A function of each element after a convolution or a linear layer becomes part of it.

use super::Links;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let links = Links::new(graph);
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::Unary(unary) = node.op else { continue };
        let Some(layer) = links.sole(graph, node.input(0)) else {
            continue;
        };
        let mut op = layer.op.clone();
        match &mut op {
            Op::Conv { activation, .. }
            | Op::ConvTranspose { activation, .. }
            | Op::Linear { activation }
                if activation.is_none() =>
            {
                *activation = Some(unary);
            }
            _ => continue,
        }
        let inputs = layer.inputs.clone();
        graph.nodes[index].op = op;
        graph.nodes[index].inputs = inputs;
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
    fn the_first_function_joins_and_the_second_stays() {
        let mut b = Build::new();
        let x = b.conv(0, &[2.0]);
        let x = b.node(Op::Unary(Unary::Relu), &[x]);
        b.node(Op::Unary(Unary::Sigmoid), &[x]);
        let graph = b.after(run);
        assert_eq!(graph.nodes.len(), 2);
        assert!(matches!(
            graph.nodes[0].op,
            Op::Conv {
                activation: Some(Unary::Relu),
                ..
            }
        ));
    }
}
