//! The part of a model that makes named values.

use std::collections::{HashMap, HashSet};

use super::malformed;
use super::proto::{all, bytes, field};
use super::wire::{fields, write_bytes};
use crate::RuntimeError;

/// Graphs within graphs that are followed; real models have two.
const MAX_DEPTH: usize = 8;

/// The same model with the values named `outputs` as its outputs, in this order, and without the nodes and initialisers
/// that they don't need. What an exporter wrote around a network, or a loop that no executor knows, can be left out so.
///
/// # Errors
/// [`RuntimeError::Malformed`] where the bytes are no model, or nothing in it makes one of the values.
pub fn cut(onnx: &[u8], outputs: &[&str]) -> Result<Vec<u8>, RuntimeError> {
    let mut out = Vec::with_capacity(onnx.len());
    let mut found = false;
    for field in fields(onnx) {
        let field = field?;
        if field.number == field::MODEL_GRAPH {
            found = true;
            write_bytes(&mut out, field.number, &cut_graph(bytes(&field)?, outputs)?);
        } else {
            out.extend_from_slice(field.whole);
        }
    }
    if !found {
        return Err(malformed("there is no graph in it"));
    }
    Ok(out)
}

fn cut_graph(graph: &[u8], outputs: &[&str]) -> Result<Vec<u8>, RuntimeError> {
    let mut nodes = Vec::new();
    let mut makers: HashMap<&[u8], usize> = HashMap::new();
    let mut initialisers: HashSet<&[u8]> = HashSet::new();
    let mut described: HashMap<&[u8], &[u8]> = HashMap::new();
    for field in fields(graph) {
        let field = field?;
        match field.number {
            field::GRAPH_NODE => {
                let node = bytes(&field)?;
                for output in all(node, field::NODE_OUTPUT)? {
                    makers.insert(output, nodes.len());
                }
                nodes.push(node);
            }
            field::GRAPH_INITIALIZER => {
                initialisers.extend(all(bytes(&field)?, field::TENSOR_NAME)?);
            }
            field::GRAPH_OUTPUT | field::GRAPH_VALUE_INFO => {
                let info = bytes(&field)?;
                for name in all(info, field::VALUE_INFO_NAME)? {
                    described.insert(name, info);
                }
            }
            _ => {}
        }
    }
    let mut open: Vec<&[u8]> = Vec::new();
    for name in outputs {
        let bytes = name.as_bytes();
        if !makers.contains_key(bytes) && !initialisers.contains(bytes) {
            return Err(malformed(format!("nothing makes `{name}`")));
        }
        open.push(bytes);
    }
    let mut needed: HashSet<&[u8]> = HashSet::new();
    let mut kept = vec![false; nodes.len()];
    while let Some(name) = open.pop() {
        if needed.insert(name)
            && let Some(&maker) = makers.get(name)
            && !std::mem::replace(&mut kept[maker], true)
        {
            add_read(nodes[maker], MAX_DEPTH, &mut open)?;
        }
    }

    let mut out = Vec::with_capacity(graph.len());
    let mut kept = kept.into_iter();
    for field in fields(graph) {
        let field = field?;
        let keep = match field.number {
            field::GRAPH_NODE => kept.next() == Some(true),
            field::GRAPH_INITIALIZER => {
                let names = all(bytes(&field)?, field::TENSOR_NAME)?;
                names.iter().any(|name| needed.contains(name))
            }
            field::GRAPH_OUTPUT => false,
            _ => true,
        };
        if keep {
            out.extend_from_slice(field.whole);
        }
    }
    for name in outputs {
        match described.get(name.as_bytes()) {
            Some(info) => write_bytes(&mut out, field::GRAPH_OUTPUT, info),
            None => {
                let mut info = Vec::new();
                write_bytes(&mut info, field::VALUE_INFO_NAME, name.as_bytes());
                write_bytes(&mut out, field::GRAPH_OUTPUT, &info);
            }
        }
    }
    Ok(out)
}

/// Adds the names that a node reads, the graphs in its attributes included: a loop's body sees the values around it.
fn add_read<'a>(node: &'a [u8], depth: usize, to: &mut Vec<&'a [u8]>) -> Result<(), RuntimeError> {
    if depth == 0 {
        return Err(malformed("graphs within graphs, too deep"));
    }
    to.extend(all(node, field::NODE_INPUT)?);
    for attribute in all(node, field::NODE_ATTRIBUTE)? {
        for number in [field::ATTRIBUTE_GRAPH, field::ATTRIBUTE_GRAPHS] {
            for graph in all(attribute, number)? {
                for output in all(graph, field::GRAPH_OUTPUT)? {
                    to.extend(all(output, field::VALUE_INFO_NAME)?);
                }
                for inner in all(graph, field::GRAPH_NODE)? {
                    add_read(inner, depth - 1, to)?;
                }
            }
        }
    }
    Ok(())
}
