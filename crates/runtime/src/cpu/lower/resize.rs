//! Pictures made larger or smaller.

use super::super::elementwise::{Axis, collapse};
use super::super::step::{PicturesAt, Step};
use super::super::view::View;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Binary, Node, Op, ValueId};

impl Lowering<'_> {
    /// Repeats the pixels of the first operand: each axis that grows becomes two, the inner one of stride 0.
    pub(super) fn upsample(
        &mut self,
        node: &Node,
        other: Option<ValueId>,
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let Op::Upsample(factors) = &node.op else {
            return Err(node.unsupported("not an enlargement"));
        };
        let small = self.operand(node, 0)?;
        let other_view = other.map(|value| self.view(value)).transpose()?;
        let shape = self.shapes[output].clone();
        let to = match other {
            Some(value)
                if self.may_overwrite(value, output)
                    && self.views[&value].buffer != small.buffer =>
            {
                let view = self.views[&value].clone();
                self.views.insert(output, view.clone());
                view
            }
            _ => self.output(output, |buffer| match small.pictures() {
                Some(_) => View::channels_last(buffer, &shape),
                None => View::row_major(buffer, &shape),
            }),
        };
        let mut axes = Vec::new();
        for (axis, &factor) in factors.iter().enumerate() {
            let whole = other_view.as_ref().map_or(0, |view| view.strides[axis]);
            axes.push(Axis {
                size: small.shape[axis],
                output: to.strides[axis] * factor,
                a: small.strides[axis],
                b: whole * factor,
            });
            axes.push(Axis {
                size: factor,
                output: to.strides[axis],
                a: 0,
                b: whole,
            });
        }
        let a = self.read(&small);
        let b = other_view.map_or(a, |view| self.read(&view));
        let output = self.read(&to);
        self.steps.push(Step::Elementwise {
            op: other.map(|_| Binary::Add),
            axes: collapse(axes),
            output,
            a,
            b,
        });
        Ok(())
    }

    /// Picks rows and columns.
    pub(super) fn nearest(
        &mut self,
        node: &Node,
        rows: &[usize],
        columns: &[usize],
    ) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let input = self.operand(node, 0)?;
        let (input, from) = self.as_pictures(node, input)?;
        let output = self.output(node.output, |b| View::channels_last(b, &shape));
        let to = output
            .pictures()
            .ok_or_else(|| node.unsupported("its output is not a picture"))?;
        let pictures = PicturesAt {
            input: self.read(&input),
            from,
            output: self.read(&output),
            to,
        };
        self.steps.push(Step::Nearest {
            pictures,
            rows: rows.to_vec(),
            columns: columns.to_vec(),
        });
        Ok(())
    }
}
