//! Normalisations and softmax.

use super::super::step::Step;
use super::super::view::{Matrix, View};
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Binary, Constant, Node};

impl Lowering<'_> {
    /// Each row by itself, with a scale and a bias.
    pub(super) fn layer_norm(&mut self, node: &Node, epsilon: f32) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let inner = shape.len() - 1;
        let input = self.operand(node, 0)?;
        let (input, rows) = self.as_rows(input, inner);
        let mut parameters = Vec::new();
        for (index, missing) in [(1, 1.0), (2, 0.0)] {
            let view = match node.input(index) {
                Some(value) => self.view(value)?,
                None => {
                    let buffer = self.constant(&vec![missing; rows.cols]);
                    View::row_major(buffer, &[rows.cols])
                }
            };
            if view.elements() != rows.cols || !view.is_dense() {
                return Err(node.unsupported("parameters of another size"));
            }
            parameters.push(self.read(&view));
        }
        let output = self.output(node.output, |b| View::row_major(b, &shape));
        let step = Step::LayerNorm {
            input: self.read(&input),
            rows,
            output: self.read(&output),
            scale: parameters[0],
            bias: parameters[1],
            epsilon,
        };
        self.steps.push(step);
        Ok(())
    }

    /// Over an axis, which is brought innermost.
    pub(super) fn softmax(&mut self, node: &Node, axis: usize) -> Result<(), RuntimeError> {
        let view = self.in_place(node, Some(axis))?;
        let rows = view
            .matrix(axis)
            .or_else(|| {
                // A copy with this axis innermost is dense in another order of its axes.
                view.is_dense().then(|| Matrix {
                    count: view.elements() / view.shape[axis],
                    cols: view.shape[axis],
                    pitch: view.shape[axis],
                })
            })
            .ok_or_else(|| node.unsupported("not in rows"))?;
        let at = self.read(&view);
        self.steps.push(Step::Softmax { at, rows });
        Ok(())
    }

    /// `x * factor + addend` for each channel.
    pub(super) fn batch_norm(&mut self, node: &Node, epsilon: f32) -> Result<(), RuntimeError> {
        let constants: Option<Vec<&[f32]>> = (1..5)
            .map(|index| self.graph.constants.get(&node.input(index)?))
            .map(|c| c.and_then(Constant::as_f32))
            .collect();
        let channels = self.shapes[node.output][1];
        let Some(parameters) = constants.filter(|c| c.iter().all(|p| p.len() == channels)) else {
            return Err(node.unsupported("its parameters are not constant"));
        };
        let factor: Vec<f32> = (0..channels)
            .map(|c| parameters[0][c] / (parameters[3][c] + epsilon).sqrt())
            .collect();
        let addend: Vec<f32> = (0..channels)
            .map(|c| parameters[1][c] - parameters[2][c] * factor[c])
            .collect();
        let mut shape = vec![1; self.shapes[node.output].len()];
        shape[1] = channels;
        let (factor, addend) = (self.constant(&factor), self.constant(&addend));
        let (factor, addend) = (
            View::row_major(factor, &shape),
            View::row_major(addend, &shape),
        );
        let x = (node.input(0), self.operand(node, 0)?);
        self.binary(Binary::Mul, [x, (None, factor)], node.output)?;
        let made = self.views[&node.output].clone();
        let axes = made.axes(&made.strides, &addend.broadcast(&made.shape));
        let step = Step::Elementwise {
            op: Some(Binary::Add),
            axes,
            output: self.read(&made),
            a: self.read(&made),
            b: self.read(&addend),
        };
        self.steps.push(step);
        Ok(())
    }
}
