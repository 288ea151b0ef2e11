//! Pools and means.

use super::super::step::{ByDefinition, PicturesAt, Step};
use super::super::view::View;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, Pool, Window};

impl Lowering<'_> {
    /// A pool over windows.
    pub(super) fn pool(
        &mut self,
        node: &Node,
        kind: Pool,
        window: Window,
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
        self.steps.push(Step::Pool {
            pictures,
            kind,
            window,
        });
        Ok(())
    }

    /// Means over axes, with a kernel for those of whole pictures.
    pub(super) fn mean(&mut self, node: &Node, axes: &[i64]) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let input = self.operand(node, 0)?;
        if axes == [2, 3] && input.pictures().is_some() && shape.len() == 4 {
            let (input, from) = self.as_pictures(node, input)?;
            let output = self.output(node.output, |b| View::channels_last(b, &shape));
            let step = Step::Mean {
                input: self.read(&input),
                from,
                output: self.read(&output),
            };
            self.steps.push(step);
        } else {
            let mut output = self.output(node.output, |b| View::row_major(b, &shape));
            self.touch(input.buffer);
            // The mean's own axes, as axes of stride 0.
            let mut strides = Vec::new();
            let mut own = output.strides.iter().zip(&output.shape);
            for axis in 0..input.shape.len() {
                if axes.contains(&(axis as i64)) {
                    strides.push(0);
                    if input.shape.len() == shape.len() {
                        own.next();
                    }
                } else {
                    strides.push(own.next().map_or(0, |(&stride, _)| stride));
                }
            }
            output.strides = strides;
            self.steps
                .push(Step::ByDefinition(ByDefinition::Mean { input, output }));
        }
        Ok(())
    }
}
