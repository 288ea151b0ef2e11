//! Concatenations, whose parts are made in their place where that is possible.

use std::collections::HashMap;

use super::super::jobs::{Job, Work};
use super::super::view::View;
use super::Lowering;
use crate::RuntimeError;
use crate::graph::{Node, Op, ValueId};
use crate::specialise::Specialised;

/// Values that are made where a concatenation of channels wants them: which one, and from which channel on.
pub(super) fn targets(special: &Specialised, jobs: &[Job]) -> HashMap<ValueId, (ValueId, usize)> {
    let graph = &special.graph;
    let mut targets = HashMap::new();
    let uses = graph.uses();
    for job in jobs {
        let Work::Node { node, .. } = job.work else {
            continue;
        };
        let node = &graph.nodes[node];
        if !matches!(node.op, Op::Concat(1)) || special.shapes[node.output].len() != 4 {
            continue;
        }
        let mut channel = 0;
        for &value in node.inputs.iter().flatten() {
            let strided = jobs.iter().any(|j| {
                j.output == value
                    && match j.work {
                        Work::Node { node, .. } => {
                            matches!(
                                graph.nodes[node].op,
                                Op::Conv { .. }
                                    | Op::Pool { .. }
                                    | Op::Upsample(_)
                                    | Op::Nearest { .. }
                                    | Op::Binary(_)
                            )
                        }
                        // The products of linear layers lie in rows, not in pixels.
                        Work::Chain { first, .. } => {
                            matches!(graph.nodes[first].op, Op::Conv { .. })
                        }
                        Work::Gate { .. } | Work::UpsampleAdd { .. } => true,
                    }
            });
            if strided && uses[value] == 1 {
                targets.insert(value, (node.output, channel));
            }
            channel += special.shapes[value][1];
        }
    }
    targets
}

impl Lowering<'_> {
    /// Joins parts: those that were not made in their place are copied there.
    pub(super) fn concat(&mut self, node: &Node, axis: usize) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let whole = match self.views.get(&node.output) {
            Some(view) => view.clone(),
            None => self.output(node.output, |buffer| match shape.len() {
                4 => View::channels_last(buffer, &shape),
                _ => View::row_major(buffer, &shape),
            }),
        };
        let mut start = 0;
        for value in node.inputs.iter().flatten() {
            let part = self.view(*value)?;
            if self.targets.get(value).map(|t| t.0) != Some(node.output) {
                let mut to = whole.clone();
                to.offset += start * whole.strides[axis];
                to.shape = part.shape.clone();
                self.copy(&part, &to);
            }
            start += part.shape[axis];
        }
        Ok(())
    }
}
