//! Layer normalisation over the last axis, spelled `(x - mean) / sqrt(mean((x - mean)^2) + e) * scale + bias`.

use super::{Links, beside_scalar, near};
use crate::graph::{Binary, Graph, Node, Op, Unary, ValueId};

pub(super) fn run(graph: &mut Graph) -> usize {
    let links = Links::new(graph);
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        if let Some((inputs, epsilon)) = find(graph, &links, index) {
            graph.nodes[index].op = Op::LayerNorm { epsilon };
            graph.nodes[index].inputs = inputs.map(Some).to_vec();
            changes += 1;
        }
    }
    changes
}

/// The operand of `node` beside a list of floats.
fn beside_list(graph: &Graph, node: &Node, op: Binary) -> Option<(ValueId, ValueId)> {
    if node.op != Op::Binary(op) {
        return None;
    }
    let (a, b) = (node.input(0)?, node.input(1)?);
    let list = |v: ValueId| {
        graph
            .constants
            .get(&v)
            .is_some_and(|c| c.shape.len() == 1 && c.as_f32().is_some())
    };
    if list(b) {
        Some((a, b))
    } else {
        list(a).then_some((b, a))
    }
}

fn mean_over_last(node: &Node) -> Option<ValueId> {
    match &node.op {
        Op::ReduceMean { axes, keep: true } if axes[..] == [-1] => node.input(0),
        _ => None,
    }
}

fn find(graph: &Graph, links: &Links, index: usize) -> Option<([ValueId; 3], f32)> {
    let (scaled, bias) = beside_list(graph, &graph.nodes[index], Binary::Add)?;
    let (quotient, scale) = beside_list(graph, links.sole(graph, Some(scaled))?, Binary::Mul)?;
    if graph.constants[&scale].shape != graph.constants[&bias].shape {
        return None;
    }
    let quotient = links
        .sole(graph, Some(quotient))
        .filter(|n| n.op == Op::Binary(Binary::Div))?;
    let centred = quotient.input(0)?;
    let root = links
        .sole(graph, quotient.input(1))
        .filter(|n| n.op == Op::Unary(Unary::Sqrt))?;
    let (variance, epsilon) = beside_scalar(graph, links.sole(graph, root.input(0))?, Binary::Add)?;
    let square = mean_over_last(links.sole(graph, Some(variance))?)?;
    let square = links.sole(graph, Some(square))?;
    let squared = match beside_scalar(graph, square, Binary::Pow) {
        Some((value, two)) => Some(value).filter(|_| near(two, 2.0)),
        None => Some(square)
            .filter(|n| n.op == Op::Binary(Binary::Mul) && n.input(0) == n.input(1))
            .and_then(|n| n.input(0)),
    }?;
    let difference = links
        .maker(graph, Some(centred))
        .filter(|n| n.op == Op::Binary(Binary::Sub))?;
    let x = difference.input(0)?;
    let mean = mean_over_last(links.maker(graph, difference.input(1))?)?;
    (squared == centred && mean == x).then_some(([x, scale, bias], epsilon))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;

    fn spelled(axis: i64) -> Graph {
        let mut b = Build::new();
        let mean = |b: &mut Build, x| {
            b.node(
                Op::ReduceMean {
                    axes: vec![axis],
                    keep: true,
                },
                &[x],
            )
        };
        let (two, epsilon) = (b.constant(&[], &[2.0]), b.constant(&[], &[1e-6]));
        let (scale, bias) = (b.constant(&[2], &[1.0, 2.0]), b.constant(&[2], &[3.0, 4.0]));
        let m = mean(&mut b, 0);
        let centred = b.node(Op::Binary(Binary::Sub), &[0, m]);
        let x = b.node(Op::Binary(Binary::Pow), &[centred, two]);
        let x = mean(&mut b, x);
        let x = b.node(Op::Binary(Binary::Add), &[x, epsilon]);
        let x = b.node(Op::Unary(Unary::Sqrt), &[x]);
        let x = b.node(Op::Binary(Binary::Div), &[centred, x]);
        let x = b.node(Op::Binary(Binary::Mul), &[x, scale]);
        b.node(Op::Binary(Binary::Add), &[x, bias]);
        b.after(run)
    }

    #[test]
    fn nine_nodes_become_one_with_their_epsilon() {
        let graph = spelled(-1);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.nodes[0].op, Op::LayerNorm { epsilon: 1e-6 });
        assert_eq!(graph.floats(graph.nodes[0].input(2)), Some(&[3.0, 4.0][..]));
    }

    #[test]
    fn over_another_axis_it_stays() {
        assert_eq!(spelled(1).nodes.len(), 9);
    }
}
