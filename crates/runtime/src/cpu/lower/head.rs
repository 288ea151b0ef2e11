//! The last layer of a recogniser, whose scores are looked at in pieces.

use super::super::jobs::{Job, Work};
use super::super::program::Head;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, Op};

impl Lowering<'_> {
    /// The linear layer that a softmax over the last axis ends the model after.
    pub(super) fn head(&self, jobs: &[Job]) -> Option<usize> {
        let [.., linear, softmax] = jobs else {
            return None;
        };
        let (
            Work::Node {
                node: linear,
                residual: None,
            },
            Work::Node { node: softmax, .. },
        ) = (linear.work, softmax.work)
        else {
            return None;
        };
        let (linear_node, softmax) = (&self.graph.nodes[linear], &self.graph.nodes[softmax]);
        let shape = &self.shapes[softmax.output];
        let fits = self.graph.sole_output() == Some(softmax.output)
            && softmax.input(0) == Some(linear_node.output)
            && matches!(softmax.op, Op::Softmax { axis: 2, .. })
            && matches!(linear_node.op, Op::Linear { activation: None })
            && shape.len() == 3
            && self.floats(linear_node).is_ok();
        fits.then_some(linear)
    }

    /// The rows and weights of which the best classes are looked for.
    pub(super) fn lower_head(&mut self, node: &Node) -> Result<Head, RuntimeError> {
        let input = self.operand(node, 0)?;
        let (view, rows) = self.as_rows(input, 2);
        let shape = &self.shapes[node.output];
        Ok(Head {
            input: self.read(&view),
            rows,
            weights: self.floats(node)?,
            shape: [shape[0], shape[1]],
        })
    }
}
