//! A matrix product with constant weights is a linear layer; the bias pass gives it its bias.

use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let weights = node.input(1).and_then(|w| graph.constants.get(&w));
        if node.op == Op::MatMul
            && weights.is_some_and(|w| w.shape.len() == 2 && !w.is_empty() && w.as_f32().is_some())
            && node
                .input(0)
                .is_some_and(|x| !graph.constants.contains_key(&x))
        {
            graph.nodes[index].op = Op::Linear { activation: None };
            changes += 1;
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::Binary;

    #[test]
    fn product_and_sum_become_one_layer() {
        let mut b = Build::new();
        let (w, c) = (
            b.constant(&[1, 2], &[1.0, 2.0]),
            b.constant(&[2], &[3.0, 4.0]),
        );
        let x = b.node(Op::MatMul, &[0, w]);
        b.node(Op::Binary(Binary::Add), &[x, c]);
        let graph = b.after(|g| run(g) + super::super::bias::run(g));
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, Op::Linear { activation: None });
        assert_eq!(graph.floats(graph.nodes[0].input(2)), Some(&[3.0, 4.0][..]));
    }

    #[test]
    fn a_product_of_two_activations_stays() {
        let mut b = Build::new();
        b.node(Op::MatMul, &[0, 0]);
        assert_eq!(b.after(run).nodes[0].op, Op::MatMul);
    }
}
