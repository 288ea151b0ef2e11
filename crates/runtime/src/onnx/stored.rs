//! Tensors that a file states, by their names.

use super::malformed;
use super::proto::{self, bytes, field};
use super::tensor::{constant, constant_node};
use super::wire::fields;
use crate::RuntimeError;
use crate::graph::Constant;

/// The tensors of these names, in this order: initialisers and `Constant` nodes. So the weights of a part that runs
/// elsewhere, a decoder's loop for one, are read from the file of the whole network.
///
/// # Errors
/// [`RuntimeError::Malformed`] where the bytes are no model, a tensor can't be read, or no tensor has one of the names.
pub fn stored(onnx: &[u8], names: &[&str]) -> Result<Vec<Constant>, RuntimeError> {
    let mut found: Vec<Option<Constant>> = vec![None; names.len()];
    let place = |name: &str| names.iter().position(|wanted| *wanted == name);
    for field in fields(proto::Model::read(onnx)?.graph.unwrap_or_default()) {
        let field = field?;
        match field.number {
            field::GRAPH_INITIALIZER => {
                let tensor = bytes(&field)?;
                if let Some(at) = place(proto::name(tensor, field::TENSOR_NAME)?) {
                    found[at] = Some(constant(tensor)?);
                }
            }
            field::GRAPH_NODE => {
                let node = bytes(&field)?;
                if proto::name(node, field::NODE_OP)? == "Constant"
                    && let Some(at) = place(proto::name(node, field::NODE_OUTPUT)?)
                {
                    found[at] = Some(constant_node(&proto::Node::read(node)?)?);
                }
            }
            _ => {}
        }
    }
    let named = found.into_iter().zip(names);
    named
        .map(|(tensor, name)| tensor.ok_or_else(|| malformed(format!("no tensor `{name}`"))))
        .collect()
}
