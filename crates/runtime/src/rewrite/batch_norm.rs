//! Batch normalisation after a convolution becomes part of its weights and bias.

use super::Links;
use super::bias::{Affine, fold_into};
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::BatchNorm { epsilon } = node.op else {
            continue;
        };
        let list = |i: usize| graph.floats(node.input(i)).map(<[f32]>::to_vec);
        let (Some(gamma), Some(beta), Some(mean), Some(variance)) =
            (list(1), list(2), list(3), list(4))
        else {
            continue;
        };
        // In f64: the variances of trained models come close to zero.
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(&g, &v)| f64::from(g) / (f64::from(v) + f64::from(epsilon)).sqrt())
            .collect();
        let shift = scale
            .iter()
            .zip(&beta)
            .zip(&mean)
            .map(|((&s, &b), &m)| f64::from(b) - f64::from(m) * s)
            .collect();
        let links = Links::new(graph);
        if fold_into(
            graph,
            &links,
            index,
            node.input(0),
            &Affine { scale, shift },
        ) {
            changes += 1;
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    #[test]
    fn weights_and_bias_take_it_up() {
        let mut b = Build::new();
        let x = b.conv(0, &[2.0, 3.0]);
        let lists = [[1.0, 0.5], [0.25, 0.0], [1.0, 2.0], [4.0, 1.0]].map(|l| b.constant(&[2], &l));
        b.node(
            Op::BatchNorm { epsilon: 0.0 },
            &[x, lists[0], lists[1], lists[2], lists[3]],
        );
        let graph = b.after(run);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.floats(graph.nodes[0].input(1)), Some(&[1.0, 1.5][..]));
        assert_eq!(
            graph.floats(graph.nodes[0].input(2)),
            Some(&[-0.25, -1.0][..])
        );
    }

    #[test]
    fn a_convolution_that_others_read_stays() {
        let mut b = Build::new();
        let conv = b.conv(0, &[2.0]);
        let one = b.constant(&[1], &[1.0]);
        let norm = b.node(Op::BatchNorm { epsilon: 0.0 }, &[conv, one, one, one, one]);
        b.node(Op::Binary(crate::graph::Binary::Add), &[conv, norm]);
        assert_eq!(b.after(run).nodes.len(), 3);
    }
}
