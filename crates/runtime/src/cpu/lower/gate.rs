//! Squeeze and excite.

use std::sync::Arc;

use super::super::gemm::Panels;
use super::super::step::{PicturesAt, Step};
use super::super::view::View;
use super::super::weights::{Packed, Product};
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, ValueId};

impl Lowering<'_> {
    /// Squeeze and excite.
    pub(super) fn gate(
        &mut self,
        squeeze: usize,
        excite: usize,
        x: ValueId,
        plus_one: bool,
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let (squeeze, excite) = (&self.graph.nodes[squeeze], &self.graph.nodes[excite]);
        let view = self.view(x)?;
        let (view, from) = self.as_pictures(squeeze, view)?;
        let to = if self.may_overwrite(x, output) && view.buffer == self.views[&x].buffer {
            self.views.insert(output, view.clone());
            view.clone()
        } else {
            let shape = self.shapes[output].clone();
            self.output(output, |b| View::channels_last(b, &shape))
        };
        let to_pictures = to
            .pictures()
            .ok_or_else(|| excite.unsupported("its output is not a picture"))?;
        let step = Step::Gate {
            pictures: PicturesAt {
                input: self.read(&view),
                from,
                output: self.read(&to),
                to: to_pictures,
            },
            squeeze: self.floats(squeeze)?,
            first: Self::activation(squeeze),
            excite: self.floats(excite)?,
            second: Self::activation(excite),
            plus_one,
        };
        self.steps.push(step);
        Ok(())
    }

    /// The weights of a product in floats.
    pub(super) fn floats(&self, node: &Node) -> Result<Arc<Panels>, RuntimeError> {
        match self.weights.get(&node.output) {
            Some(Packed::Product(Product::Floats(panels))) => Ok(panels.clone()),
            _ => Err(node.unsupported("its weights are no packed floats")),
        }
    }
}
