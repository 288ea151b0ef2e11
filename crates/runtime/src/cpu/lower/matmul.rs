//! Products of matrices that are both made in the run.

use super::super::step::Step;
use super::super::view::View;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Binary, Node, Unary};

impl Lowering<'_> {
    /// A linear layer whose weights are no constant: a product of matrices.
    pub(super) fn linear(
        &mut self,
        node: &Node,
        activation: Option<Unary>,
    ) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let (left, right) = (self.operand(node, 0)?, self.operand(node, 1)?);
        self.matmul(node, left, right)?;
        let made = self.views[&node.output].clone();
        if node.input(2).is_some() {
            let bias = self.operand(node, 2)?;
            let axes = made.axes(&made.strides, &bias.broadcast(&shape));
            let step = Step::Elementwise {
                op: Some(Binary::Add),
                axes,
                output: self.read(&made),
                a: self.read(&made),
                b: self.read(&bias),
            };
            self.steps.push(step);
        }
        self.activate(node, &made, activation)?;
        Ok(())
    }

    /// Products over the two last axes, one for each place in the others.
    pub(super) fn matmul(
        &mut self,
        node: &Node,
        left: View,
        right: View,
    ) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let rank = shape.len();
        let last = left.shape.len() - 1;
        let left = if left.shape[last] == 1 || left.strides[last] == 1 {
            left
        } else {
            let shape = left.shape.clone();
            self.copied(&left, |b| View::row_major(b, &shape))
        };
        let to = self.output(node.output, |b| View::row_major(b, &shape));
        let mut batch = shape[..rank - 2].to_vec();
        batch.extend([1, 1]);
        let ones = |view: &View| {
            let mut view = view.clone();
            let n = view.shape.len();
            view.shape[n - 2..].fill(1);
            view.broadcast(&batch)
        };
        let (a, b) = (ones(&left), ones(&right));
        let count: usize = batch.iter().product();
        let offsets = (0..count)
            .map(|index| {
                let mut at = [0; 3];
                let mut rest = index;
                for axis in (0..rank - 2).rev() {
                    let i = rest % shape[axis];
                    rest /= shape[axis];
                    at[0] += i * a[axis];
                    at[1] += i * b[axis];
                    at[2] += i * to.strides[axis];
                }
                at
            })
            .collect();
        let n = right.shape.len();
        let k = left.shape[last];
        let step = Step::MatMul {
            left: self.read(&left),
            right: self.read(&right),
            output: self.read(&to),
            offsets,
            size: [shape[rank - 2], k, shape[rank - 1]],
            left_pitch: left.strides[last - 1],
            right_strides: [right.strides[n - 2], right.strides[n - 1]],
        };
        self.steps.push(step);
        Ok(())
    }
}
