//! Products of rows with constant weights: 1x1 convolutions and linear layers.

use super::super::step::{RowsAt, Step};
use super::super::view::View;
use super::super::weights::{Packed, Product};
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, Op, ValueId};

impl Lowering<'_> {
    /// One product, or two where `first` is another node than `last`.
    pub(super) fn product(
        &mut self,
        first: &Node,
        last: &Node,
        residual: Option<ValueId>,
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let chained = first.output != last.output;
        let picture = matches!(first.op, Op::Conv { .. });
        let rank = self.shapes[first.output].len();
        let inner = if picture { 1 } else { rank - 1 };
        let input_value = first.input(0);
        let input = self.operand(first, 0)?;
        let (input, rows) = self.as_rows(input, inner);
        let residual = match residual {
            Some(value) => {
                let view = self.view(value)?;
                Some((value, self.as_rows(view, inner)))
            }
            None => None,
        };
        let shape = self.shapes[output].clone();
        // A chain reads all of a row before it writes it; a product writes while it reads.
        let over = residual.as_ref().filter(|(value, (view, _))| {
            self.may_overwrite(*value, output)
                && view.buffer == self.views[value].buffer
                && (chained || view.buffer != input.buffer)
                && (view.buffer != input.buffer || input_value == Some(*value))
        });
        let to = match over {
            Some((_, (view, _))) => {
                let view = view.clone();
                self.views.insert(output, view.clone());
                view
            }
            None => self.output(output, |buffer| match picture {
                true => View::channels_last(buffer, &shape),
                false => View::row_major(buffer, &shape),
            }),
        };
        let to_rows = to
            .matrix(inner)
            .ok_or_else(|| last.unsupported("its output is not in rows"))?;
        let residual = residual.map(|(_, (view, rows))| (self.read(&view), rows.pitch));
        let rows = RowsAt {
            input: self.read(&input),
            pitch: rows.pitch,
            count: rows.count,
            output: self.read(&to),
            output_pitch: to_rows.pitch,
            residual,
        };
        let step = if chained {
            Step::Chain {
                rows,
                first: self.packed(first)?,
                between: Self::activation(first),
                second: self.packed(last)?,
                activation: Self::activation(last),
            }
        } else {
            Step::Product {
                rows,
                weights: self.packed(last)?,
                activation: Self::activation(last),
            }
        };
        self.steps.push(step);
        Ok(())
    }

    fn packed(&self, node: &Node) -> Result<Product, RuntimeError> {
        match self.weights.get(&node.output) {
            Some(Packed::Product(product)) => Ok(product.clone()),
            _ => Err(node.unsupported("its weights are not constant")),
        }
    }
}
