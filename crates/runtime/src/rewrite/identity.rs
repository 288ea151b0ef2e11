//! Drops nodes that do nothing, and pairs that undo each other.

use super::Links;
use crate::graph::{Graph, Op};

pub(super) fn run(graph: &mut Graph) -> usize {
    let mut changes = 0;
    for index in 0..graph.nodes.len() {
        let links = Links::new(graph);
        let node = &graph.nodes[index];
        let Some(input) = node.input(0) else { continue };
        let before = links.maker(graph, Some(input));
        let source = match (&node.op, before.map(|b| (&b.op, b.input(0)))) {
            (Op::Identity, _) => Some(input),
            (Op::Transpose(perm), _) if perm.is_sorted() => Some(input),
            (Op::Transpose(second), Some((Op::Transpose(first), source))) => {
                let undone = first.len() == second.len()
                    && second.iter().enumerate().all(|(i, &p)| first[p] == i);
                source.filter(|_| undone)
            }
            // Listed axes only: "all of size 1" can drop more than the other adds.
            (Op::Unsqueeze(add), Some((Op::Squeeze(drop), source))) => {
                source.filter(|_| add == drop && !add.is_empty() && add.iter().all(|&a| a >= 0))
            }
            _ => None,
        };
        let output = node.output;
        if let Some(source) = source
            && source != output
            && graph.uses()[output] > 0
        {
            graph.replace(output, source);
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
    fn an_identity_at_the_output_goes() {
        let mut b = Build::new();
        let x = b.conv(0, &[1.0]);
        b.node(Op::Identity, &[x]);
        let graph = b.after(run);
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.sole_output(), Some(x));
    }

    #[test]
    fn pairs_that_undo_each_other_go_and_others_stay() {
        let mut b = Build::new();
        let x = b.node(Op::Transpose(vec![1, 2, 0]), &[0]);
        let x = b.node(Op::Transpose(vec![2, 0, 1]), &[x]);
        let x = b.node(Op::Squeeze(vec![2]), &[x]);
        b.node(Op::Unsqueeze(vec![2]), &[x]);
        assert!(b.after(run).nodes.is_empty());

        let mut b = Build::new();
        let x = b.node(Op::Transpose(vec![1, 2, 0]), &[0]);
        b.node(Op::Transpose(vec![1, 2, 0]), &[x]);
        assert_eq!(b.after(run).nodes.len(), 2);
    }
}
