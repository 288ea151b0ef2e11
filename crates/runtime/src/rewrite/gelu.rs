//! GELU as exporters spell it: `x * (erf(x / sqrt(2)) + 1) * 0.5`.

use super::{Links, beside_scalar, near};
use crate::graph::{Binary, Graph, Op, Unary, ValueId};

pub(super) fn run(graph: &mut Graph) -> usize {
    let links = Links::new(graph);
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some(x) = find(graph, &links, index) {
            graph.nodes[index].op = Op::Unary(Unary::Gelu);
            graph.nodes[index].inputs = vec![Some(x)];
            changes += 1;
        }
    }
    changes
}

fn find(graph: &Graph, links: &Links, index: usize) -> Option<ValueId> {
    let (product, half) = beside_scalar(graph, &graph.nodes[index], Binary::Mul)?;
    let product = links.sole(graph, Some(product))?;
    if !near(half, 0.5) || product.op != Op::Binary(Binary::Mul) {
        return None;
    }
    let (a, b) = (product.input(0)?, product.input(1)?);
    [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
        let (erf, one) = beside_scalar(graph, links.sole(graph, Some(gate))?, Binary::Add)?;
        let erf = links
            .sole(graph, Some(erf))
            .filter(|n| n.op == Op::Unary(Unary::Erf))?;
        let scaled = links.sole(graph, erf.input(0))?;
        let (of, factor) = beside_scalar(graph, scaled, Binary::Div)
            .or_else(|| beside_scalar(graph, scaled, Binary::Mul).map(|(x, f)| (x, 1.0 / f)))?;
        (of == x && near(one, 1.0) && near(factor, std::f32::consts::SQRT_2)).then_some(x)
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    fn spelled(half: f32) -> Graph {
        let mut b = Build::new();
        let root = b.constant(&[], &[std::f32::consts::SQRT_2]);
        let one = b.constant(&[], &[1.0]);
        let half = b.constant(&[], &[half]);
        let x = b.node(Op::Binary(Binary::Div), &[0, root]);
        let x = b.node(Op::Unary(Unary::Erf), &[x]);
        let x = b.node(Op::Binary(Binary::Add), &[x, one]);
        let x = b.node(Op::Binary(Binary::Mul), &[0, x]);
        b.node(Op::Binary(Binary::Mul), &[x, half]);
        b.after(run)
    }

    #[test]
    fn five_nodes_become_one() {
        let graph = spelled(0.5);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, Op::Unary(Unary::Gelu));
    }

    #[test]
    fn another_factor_is_no_gelu() {
        assert_eq!(spelled(0.6).nodes.len(), 5);
    }
}
