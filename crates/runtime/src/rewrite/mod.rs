//! Rewrites of a graph that keep what it computes and make it shorter. Each pass has a file and knows one pattern.

mod activation;
mod batch_norm;
mod bias;
mod fold_constants;
mod gates;
mod gelu;
mod identity;
mod layer_norm;
mod linear;
mod sink_squeeze;

use crate::RuntimeError;
use crate::graph::{Binary, Graph, Node, Op, ValueId};

/// A rewrite; says how many times it applied.
type Pass = fn(&mut Graph) -> usize;

/// In this order, until nothing changes: a pass sees what the ones before it made.
const PASSES: &[(&str, Pass)] = &[
    ("identity", identity::run),
    ("gelu", gelu::run),
    ("layer norm", layer_norm::run),
    ("gates", gates::run),
    ("batch norm", batch_norm::run),
    ("linear", linear::run),
    ("bias", bias::run),
    ("sink squeeze", sink_squeeze::run),
    ("activation", activation::run),
];

/// Applies every pass until none applies any more.
///
/// # Errors
/// [`RuntimeError::Unsupported`], which names the node, where arithmetic on constants can't be done.
pub fn simplify(graph: &mut Graph) -> Result<(), RuntimeError> {
    fold_constants::run(graph)?;
    // Each application removes a node or moves one down, so this ends; the bound is for a mistake in a pass.
    for _ in 0..64 {
        let mut changes = 0;
        for (_, pass) in PASSES {
            changes += pass(graph);
            graph.remove_dead();
        }
        if changes == 0 {
            break;
        }
    }
    Ok(())
}

/// What passes ask of a graph: who makes a value, and whether anything else reads it.
struct Links {
    producers: Vec<Option<usize>>,
    uses: Vec<usize>,
}

impl Links {
    fn new(graph: &Graph) -> Self {
        Self {
            producers: graph.producers(),
            uses: graph.uses(),
        }
    }

    /// The node that makes `value`.
    fn maker<'a>(&self, graph: &'a Graph, value: Option<ValueId>) -> Option<&'a Node> {
        Some(&graph.nodes[self.producers[value?]?])
    }

    /// The node that makes `value`, where nobody else reads it.
    fn sole<'a>(&self, graph: &'a Graph, value: Option<ValueId>) -> Option<&'a Node> {
        self.maker(graph, value)
            .filter(|n| self.uses[n.output] == 1)
    }
}

/// The operand of `node` that is not the constant number beside it.
fn beside_scalar(graph: &Graph, node: &Node, op: Binary) -> Option<(ValueId, f32)> {
    if node.op != Op::Binary(op) {
        return None;
    }
    let (a, b) = (node.input(0)?, node.input(1)?);
    if let Some(scalar) = small_scalar(graph, b) {
        return Some((a, scalar));
    }
    match op {
        Binary::Add | Binary::Mul => Some((b, small_scalar(graph, a)?)),
        _ => None,
    }
}

/// A constant of one element and of a rank that can't widen the other operand's.
fn small_scalar(graph: &Graph, value: ValueId) -> Option<f32> {
    let constant = graph.constants.get(&value)?;
    if constant.shape.len() > 1 {
        return None;
    }
    constant.scalar()
}

/// Whether two constants of a file are the same number, up to the last bits.
fn near(a: f32, b: f32) -> bool {
    (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::*;
    use crate::graph::{Constant, Output, Padding, Window};

    /// Builds graphs by hand.
    pub(crate) struct Build(pub Graph);

    impl Build {
        pub(crate) fn new() -> Self {
            Self(Graph {
                values: 1,
                ..Graph::default()
            })
        }

        pub(crate) fn constant(&mut self, shape: &[usize], data: &[f32]) -> ValueId {
            self.0.add_constant(Constant::f32(shape, data.to_vec()))
        }

        pub(crate) fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
            let output = self.0.values;
            self.0.values += 1;
            self.0.nodes.push(Node {
                name: format!("n{output}"),
                op,
                inputs: inputs.iter().copied().map(Some).collect(),
                output,
            });
            self.0.outputs = vec![Output {
                name: String::new(),
                value: output,
            }];
            output
        }

        /// A 1x1 convolution from one channel to as many as there are weights.
        pub(crate) fn conv(&mut self, input: ValueId, weights: &[f32]) -> ValueId {
            let weights = self.constant(&[weights.len(), 1, 1, 1], weights);
            let op = Op::Conv {
                window: Window {
                    kernel: [1, 1],
                    strides: [1, 1],
                    dilations: [1, 1],
                    padding: Padding::Explicit([0; 4]),
                },
                groups: 1,
                activation: None,
            };
            self.node(op, &[input, weights])
        }

        pub(crate) fn after(mut self, pass: Pass) -> Graph {
            pass(&mut self.0);
            self.0.remove_dead();
            self.0
        }
    }
}
