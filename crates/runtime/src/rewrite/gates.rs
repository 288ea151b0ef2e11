//! `x * sigmoid(x)` is SiLU, `x * hard_sigmoid(x)` is hard-swish.

use super::Links;
use crate::graph::{Binary, Graph, Op, Unary, ValueId};

pub(super) fn run(graph: &mut Graph) -> usize {
    let links = Links::new(graph);
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some((x, unary)) = find(graph, &links, index) {
            graph.nodes[index].op = Op::Unary(unary);
            graph.nodes[index].inputs = vec![Some(x)];
            changes += 1;
        }
    }
    changes
}

fn find(graph: &Graph, links: &Links, index: usize) -> Option<(ValueId, Unary)> {
    let node = &graph.nodes[index];
    if node.op != Op::Binary(Binary::Mul) {
        return None;
    }
    let (a, b) = (node.input(0)?, node.input(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let gate = links
            .sole(graph, Some(gate))
            .filter(|g| g.input(0) == Some(x))?;
        match gate.op {
            Op::Unary(Unary::Sigmoid) => Some((x, Unary::Silu)),
            Op::Unary(Unary::HardSigmoid { alpha, beta }) => {
                Some((x, Unary::HardSwish { alpha, beta }))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    #[test]
    fn the_gate_keeps_its_own_slope() {
        for alpha in [1.0 / 6.0, 0.2] {
            let mut b = Build::new();
            let gate = b.node(Op::Unary(Unary::HardSigmoid { alpha, beta: 0.5 }), &[0]);
            b.node(Op::Binary(Binary::Mul), &[gate, 0]);
            let graph = b.after(run);
            assert_eq!(graph.nodes.len(), 1);
            assert_eq!(
                graph.nodes[0].op,
                Op::Unary(Unary::HardSwish { alpha, beta: 0.5 })
            );
        }
    }

    #[test]
    fn a_gate_on_something_else_stays() {
        let mut b = Build::new();
        let other = b.conv(0, &[1.0]);
        let gate = b.node(Op::Unary(Unary::Sigmoid), &[other]);
        b.node(Op::Binary(Binary::Mul), &[0, gate]);
        assert_eq!(b.after(run).nodes.len(), 3);
    }
}
