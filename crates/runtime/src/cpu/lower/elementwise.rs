//! What works on each element by itself.

use super::super::step::Step;
use super::super::view::{Matrix, View};
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Binary, Node, Op, Unary, ValueId};

impl Lowering<'_> {
    pub(super) fn activation(node: &Node) -> Option<Unary> {
        match &node.op {
            Op::Conv { activation, .. }
            | Op::ConvTranspose { activation, .. }
            | Op::Linear { activation } => *activation,
            _ => None,
        }
    }

    /// A function of each element, in place.
    pub(super) fn activate(
        &mut self,
        node: &Node,
        view: &View,
        activation: Option<Unary>,
    ) -> Result<(), RuntimeError> {
        let Some(unary) = activation else {
            return Ok(());
        };
        // A part of a concatenation lies in rows of its channels.
        let rows = match view.is_dense() {
            true => Some(Matrix {
                count: 1,
                cols: view.elements(),
                pitch: view.elements(),
            }),
            false => view.matrix(1),
        };
        let rows = rows.ok_or_else(|| node.unsupported("its operand is not in rows"))?;
        let at = self.read(view);
        self.steps.push(Step::Activate { at, rows, unary });
        Ok(())
    }

    pub(super) fn binary(
        &mut self,
        op: Binary,
        [a, b]: [(Option<ValueId>, View); 2],
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let shape = self.shapes[output].clone();
        // Not over an operand that the other one sees in another order.
        let over = [(&a, &b), (&b, &a)]
            .into_iter()
            .find(|((value, view), (_, other))| {
                value.is_some_and(|value| self.may_overwrite(value, output))
                    && view.shape == shape
                    && (view.buffer != other.buffer || view == other)
            })
            .map(|((_, view), _)| view.clone());
        let to = match over {
            Some(view) => {
                self.views.insert(output, view.clone());
                view
            }
            None => {
                let model = [&a.1, &b.1].into_iter().find(|view| view.shape == shape);
                let model = model.cloned();
                self.output(output, |buffer| match &model {
                    Some(view) => view.like(buffer),
                    None => View::row_major(buffer, &shape),
                })
            }
        };
        let axes = to.axes(&a.1.broadcast(&shape), &b.1.broadcast(&shape));
        let step = Step::Elementwise {
            op: Some(op),
            axes,
            output: self.read(&to),
            a: self.read(&a.1),
            b: self.read(&b.1),
        };
        self.steps.push(step);
        Ok(())
    }

    /// A reshape: another view, or a copy where the order of memory is another one.
    pub(super) fn reshaped(&mut self, node: &Node, to: &[usize]) -> Result<(), RuntimeError> {
        let input = self.operand(node, 0)?;
        let view = match input.reshape(to) {
            Some(view) => view,
            None => {
                let shape = input.shape.clone();
                let mut view = self.copied(&input, |b| View::row_major(b, &shape));
                view = View::row_major(view.buffer, to);
                view
            }
        };
        self.views.insert(node.output, view);
        Ok(())
    }
}
