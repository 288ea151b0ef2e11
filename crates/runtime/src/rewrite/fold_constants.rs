//! Constants under another shape: exporters reshape biases with nodes.

use crate::RuntimeError;
use crate::graph::{Graph, Op};
use crate::specialise::fold_node;

pub(super) fn run(graph: &mut Graph) -> Result<(), RuntimeError> {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        if matches!(
            node.op,
            Op::Identity | Op::Reshape { .. } | Op::Squeeze(_) | Op::Unsqueeze(_)
        ) && let Some(constant) = fold_node(graph, node)?
        {
            let output = node.output;
            graph.constants.insert(output, constant);
        }
    }
    let constants = &graph.constants;
    graph.nodes.retain(|n| !constants.contains_key(&n.output));
    graph.remove_dead();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Binary, Constant};

    #[test]
    fn a_reshaped_bias_is_a_constant() {
        let mut b = Build::new();
        let bias = b.constant(&[2], &[1.0, 2.0]);
        let shape = b.0.add_constant(Constant::ints(vec![1, -1, 1, 1]));
        let bias = b.node(Op::Reshape { allow_zero: false }, &[bias, shape]);
        b.node(Op::Binary(Binary::Add), &[0, bias]);
        let mut graph = b.0;
        run(&mut graph).unwrap();
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.constants[&bias].shape, [1, 2, 1, 1]);
    }
}
