//! Turns a [`Graph`] into one for an input of known shape: every value gets a shape, and arithmetic on shapes is
//! done here, on the host.

mod host;
mod infer;
mod operands;
mod window;

use crate::RuntimeError;
use crate::graph::{Constant, Graph, Op, Output, ValueId};
use crate::onnx::MAX_RANK;

use host::fold;
pub(crate) use host::fold_node;
use infer::infer;
use operands::elements;

/// A graph for one input shape. Its nodes are only those that compute: `Reshape` and its like are
/// [`Op::View`], slices are [`Op::Crop`], paddings are explicit.
#[derive(Clone, Debug)]
pub struct Specialised {
    /// Nodes and constants; [`ValueId`]s are those of the graph it was made from.
    pub graph: Graph,
    /// The shape of each value that is left, by [`ValueId`]; empty for others.
    pub shapes: Vec<Vec<usize>>,
}

/// Fixes the input's shape.
///
/// # Errors
/// [`RuntimeError::Input`] where the model can't take such an input, [`RuntimeError::Unsupported`] where a shape depends
/// on what the input holds.
pub fn specialise(graph: &Graph, input: &[usize]) -> Result<Specialised, RuntimeError> {
    let bad_input = |reason: String| RuntimeError::Input {
        shape: input.to_vec(),
        reason,
    };
    if input.is_empty() || input.len() > MAX_RANK || elements(input).is_none_or(|n| n == 0) {
        return Err(bad_input("it is empty, or too large".into()));
    }
    let mut shapes: Vec<Option<Vec<usize>>> = vec![None; graph.values];
    let mut constants = graph.constants.clone();
    for (id, constant) in &constants {
        shapes[*id] = Some(constant.shape.clone());
    }
    shapes[graph.input] = Some(input.to_vec());
    // A value that is another one under a second name.
    let mut alias: Vec<ValueId> = (0..graph.values).collect();
    let mut nodes = Vec::new();

    for node in &graph.nodes {
        let mut node = node.clone();
        for value in node.inputs.iter_mut().flatten() {
            *value = alias[*value];
        }
        let mut operands = Vec::new();
        for value in node.inputs.iter().flatten() {
            let shape = shapes[*value]
                .clone()
                .ok_or_else(|| node.unsupported("an operand has no shape"))?;
            operands.push((shape, constants.get(value)));
        }
        // The graph's own operands keep their places; a missing one is only ever optional.
        let at = |index: usize| -> Option<(&[usize], Option<&Constant>)> {
            node.input(index)?;
            let place = node.inputs[..index].iter().flatten().count();
            operands.get(place).map(|(shape, c)| (shape.as_slice(), *c))
        };
        if let Some(folded) = fold(&node, &at).map_err(|e| node.unsupported(e))? {
            shapes[node.output] = Some(folded.shape.clone());
            constants.insert(node.output, folded);
            continue;
        }
        let all: Vec<&[usize]> = operands.iter().map(|(shape, _)| shape.as_slice()).collect();
        let (op, shape) = infer(&node, &at, &all).map_err(|reason| {
            bad_input(format!(
                "node `{}` ({}): {reason}",
                node.name,
                node.op.name()
            ))
        })?;
        if shape.len() > MAX_RANK || elements(&shape).is_none_or(|n| n == 0) {
            return Err(bad_input(format!(
                "node `{}` ({}) would make {shape:?}",
                node.name,
                node.op.name()
            )));
        }
        let first = node
            .input(0)
            .ok_or_else(|| node.unsupported("no operand"))?;
        if operands
            .iter()
            .any(|(_, c)| c.is_some_and(|c| c.as_i64().is_some()))
            && !matches!(
                op,
                Op::View(_) | Op::Crop(_) | Op::Upsample(_) | Op::Nearest { .. }
            )
        {
            return Err(
                node.unsupported("integers are only supported where the host can compute them")
            );
        }
        let noop = match &op {
            Op::Identity => true,
            Op::View(to) => *to == operands[0].0,
            Op::Crop(ranges) => ranges
                .iter()
                .zip(&operands[0].0)
                .all(|(r, &size)| *r == [0, size, 1]),
            Op::Upsample(factors) => factors.iter().all(|&f| f == 1),
            _ => false,
        };
        shapes[node.output] = Some(shape);
        if noop {
            alias[node.output] = first;
            continue;
        }
        node.inputs.truncate(match op {
            Op::View(_) | Op::Crop(_) | Op::Upsample(_) | Op::Nearest { .. } => 1,
            _ => usize::MAX,
        });
        node.op = op;
        nodes.push(node);
    }

    let mut out = Graph {
        nodes,
        constants,
        input: graph.input,
        outputs: graph
            .outputs
            .iter()
            .map(|output| Output {
                value: alias[output.value],
                ..output.clone()
            })
            .collect(),
        values: graph.values,
    };
    merge_views(&mut out, &shapes);
    out.remove_dead();
    let floats = |output: &Output| match out.constants.get(&output.value) {
        Some(constant) => constant.as_f32().is_some(),
        None => true,
    };
    if let Some(output) = out.outputs.iter().find(|output| !floats(output)) {
        return Err(bad_input(format!(
            "the output `{}` is not a tensor of floats",
            output.name
        )));
    }
    Ok(Specialised {
        graph: out,
        shapes: shapes.into_iter().map(Option::unwrap_or_default).collect(),
    })
}

/// A view of a view is a view of the original.
fn merge_views(graph: &mut Graph, shapes: &[Option<Vec<usize>>]) {
    let producers = graph.producers();
    for index in 0..graph.nodes.len() {
        let Op::View(to) = &graph.nodes[index].op else {
            continue;
        };
        let to = to.clone();
        let Some(mut source) = graph.nodes[index].input(0) else {
            continue;
        };
        while let Some(producer) = producers[source] {
            let producer = &graph.nodes[producer];
            match (&producer.op, producer.input(0)) {
                (Op::View(_), Some(before)) => source = before,
                _ => break,
            }
        }
        graph.nodes[index].inputs = vec![Some(source)];
        if shapes[source].as_deref() == Some(to.as_slice()) {
            let output = graph.nodes[index].output;
            graph.replace(output, source);
        }
    }
}
