//! Reads ONNX files.
//!
//! Files may be hostile: every size is checked against the bytes that are there before anything is allocated.

use std::collections::HashMap;

pub use compact::compact;
pub use cut::cut;
pub use metadata::metadata;
pub use stored::stored;

use crate::RuntimeError;
use crate::graph::{Constant, Graph, Node, Op, Output, ValueId};
use node::Reader;
use proto::field;

mod compact;
mod cut;
mod metadata;
mod node;
mod operators;
mod proto;
mod stored;
mod tensor;
mod weights;
mod wire;

/// Looking for patterns takes time quadratic in this.
const MAX_NODES: usize = 4096;
/// Nodes, their attributes, inputs and outputs, and constants together.
const MAX_PARTS: usize = 32 * MAX_NODES;
/// Outputs of a model, and of a node; a layout network has eight.
const MAX_OUTPUTS: usize = 64;
/// Ranks above this occur in no model of the family, and GPU kernels are written out per rank.
pub(crate) const MAX_RANK: usize = 8;

fn malformed(reason: impl Into<String>) -> RuntimeError {
    RuntimeError::Malformed {
        reason: reason.into(),
    }
}

/// Reads an ONNX model of one input and at least one output.
///
/// # Errors
/// [`RuntimeError::Malformed`] where the bytes are no such model; [`RuntimeError::Unsupported`], which names the node,
/// for an operator or an attribute that is not known.
pub fn load(onnx: &[u8]) -> Result<Graph, RuntimeError> {
    let mut parts = MAX_PARTS;
    count(onnx, &[field::MODEL_GRAPH, field::GRAPH_NODE], &mut parts)?;
    let model = proto::Model::read(onnx)?;
    let graph = model
        .graph
        .ok_or_else(|| malformed("there is no graph in it"))?;
    Loader::default().graph(graph, model.opset)
}

/// Counts the messages and names of a message, and of those in its fields `inner`, down from `left`. An empty constant
/// takes two bytes of a file and a hundred times as many in memory: too many are refused before they are read.
fn count(message: &[u8], inner: &[u64], left: &mut usize) -> Result<(), RuntimeError> {
    for field in wire::fields(message) {
        let field = field?;
        if let wire::Value::Bytes(bytes) = field.value {
            *left = left
                .checked_sub(1)
                .ok_or_else(|| malformed(format!("it has more than {MAX_PARTS} parts")))?;
            if let Some((first, rest)) = inner.split_first()
                && *first == field.number
            {
                count(bytes, rest, left)?;
            }
        }
    }
    Ok(())
}

#[derive(Default)]
struct Loader {
    graph: Graph,
    ids: HashMap<String, ValueId>,
}

impl Loader {
    fn define(&mut self, name: &str) -> Result<ValueId, RuntimeError> {
        let id = self.graph.values;
        if self.ids.insert(name.to_owned(), id).is_some() {
            return Err(malformed(format!("`{name}` is defined twice")));
        }
        self.graph.values += 1;
        Ok(id)
    }

    fn graph(mut self, message: &[u8], opset: i64) -> Result<Graph, RuntimeError> {
        if !proto::all(message, field::GRAPH_SPARSE_INITIALIZER)?.is_empty() {
            return Err(malformed("sparse initialisers are not supported"));
        }
        for message in proto::all(message, field::GRAPH_INITIALIZER)? {
            let id = self.define(proto::name(message, field::TENSOR_NAME)?)?;
            let constant = tensor::constant(message)?;
            self.graph.constants.insert(id, constant);
        }
        // Old files list the initialisers among the inputs.
        let mut inputs = Vec::new();
        for input in proto::all(message, field::GRAPH_INPUT)? {
            let name = proto::name(input, field::VALUE_INFO_NAME)?;
            if !self.ids.contains_key(name) {
                inputs.push(self.define(name)?);
            }
        }
        let &[input] = inputs.as_slice() else {
            return Err(malformed(format!(
                "{} inputs, where one is expected",
                inputs.len()
            )));
        };
        self.graph.input = input;
        let nodes = proto::all(message, field::GRAPH_NODE)?;
        if nodes.len() > MAX_NODES {
            return Err(malformed(format!("{} nodes", nodes.len())));
        }
        for node in nodes {
            self.node(&proto::Node::read(node)?, opset)?;
        }
        let outputs = proto::all(message, field::GRAPH_OUTPUT)?;
        if outputs.is_empty() || outputs.len() > MAX_OUTPUTS {
            return Err(malformed(format!(
                "{} outputs, where 1 to {MAX_OUTPUTS} are expected",
                outputs.len()
            )));
        }
        for output in outputs {
            let name = proto::name(output, field::VALUE_INFO_NAME)?.to_owned();
            let Some(&value) = self.ids.get(&name) else {
                return Err(malformed(format!("nothing makes the output `{name}`")));
            };
            self.graph.outputs.push(Output { name, value });
        }
        self.graph.remove_dead();
        Ok(self.graph)
    }

    fn node(&mut self, proto: &proto::Node<'_>, opset: i64) -> Result<(), RuntimeError> {
        let output = proto.outputs.first().copied().unwrap_or_default();
        let name = if proto.name.is_empty() {
            output
        } else {
            proto.name
        };
        let unsupported = |reason: String| RuntimeError::Unsupported {
            node: name.into(),
            op: proto.op.into(),
            reason,
        };
        if !matches!(proto.domain, "" | "ai.onnx") {
            return Err(unsupported(format!(
                "operators of `{}` are unknown",
                proto.domain
            )));
        }
        if output.is_empty() && proto.op != "Split" {
            return Err(unsupported("it makes nothing".into()));
        }
        let further = proto.outputs.iter().skip(1).any(|o| !o.is_empty());
        if further && proto.op != "Split" {
            return Err(unsupported("only its first output is supported".into()));
        }
        let inputs = proto
            .inputs
            .iter()
            .map(|i| match self.ids.get(*i) {
                _ if i.is_empty() => Ok(None),
                Some(&id) => Ok(Some(id)),
                // Nodes come in the order in which they run, so a cycle shows up here too.
                None => Err(unsupported(format!(
                    "it reads `{i}`, which is not made before it"
                ))),
            })
            .collect::<Result<Vec<_>, _>>()?;

        if proto.op == "Constant" {
            let value = tensor::constant_node(proto).map_err(|e| unsupported(e.to_string()))?;
            let id = self.define(output)?;
            self.graph.constants.insert(id, value);
            return Ok(());
        }
        let reader = Reader {
            graph: &self.graph,
            proto,
            inputs: &inputs,
            opset,
        };
        if proto.op == "Split" {
            let (axis, stated) = reader.split().map_err(unsupported)?;
            let sizes = match stated {
                Some(stated) => Some(self.graph.add_constant(Constant::ints(stated))),
                None => inputs.get(1).copied().flatten(),
            };
            return self.split(proto, name, [inputs[0], sizes], axis);
        }
        // How weights are stored is settled here: convolutions want constant ones.
        let stored = match proto.op {
            "DequantizeLinear" => Some(reader.dequantised().map_err(unsupported)?),
            "Cast" => reader.cast().map_err(unsupported)?,
            "Mul" => reader.scaled(),
            _ => None,
        };
        if let Some(value) = stored {
            let id = self.define(output)?;
            self.graph.constants.insert(id, value);
            return Ok(());
        }
        let (op, kept) = reader.op().map_err(unsupported)?;
        let mut inputs = inputs.clone();
        if op == Op::Resize {
            // The region of interest is for another mode, and the scales are left out where there are sizes.
            inputs = vec![inputs[0], inputs[3]];
        }
        let wanted = match &op {
            Op::Binary(_)
            | Op::MatMul
            | Op::Resize
            | Op::Reshape { .. }
            | Op::Gather(_)
            | Op::Conv { .. }
            | Op::ConvTranspose { .. } => 2,
            Op::Slice => 3,
            Op::BatchNorm { .. } => 5,
            _ => 1,
        };
        if (0..wanted).any(|i| inputs.get(i).copied().flatten().is_none()) {
            return Err(unsupported(format!("it needs {wanted} inputs")));
        }
        inputs.truncate(kept);
        let output = self.define(output)?;
        self.graph.nodes.push(Node {
            name: name.into(),
            op,
            inputs,
            output,
        });
        Ok(())
    }

    /// A `Split` as a node for each of its outputs.
    fn split(
        &mut self,
        proto: &proto::Node<'_>,
        name: &str,
        [input, sizes]: [Option<ValueId>; 2],
        axis: i64,
    ) -> Result<(), RuntimeError> {
        for (part, output) in proto.outputs.iter().enumerate() {
            if output.is_empty() {
                continue;
            }
            let output = self.define(output)?;
            self.graph.nodes.push(Node {
                name: name.into(),
                op: Op::Split {
                    axis,
                    part,
                    parts: proto.outputs.len(),
                },
                inputs: vec![input, sizes],
                output,
            });
        }
        Ok(())
    }
}
