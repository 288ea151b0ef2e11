//! Weights in the order in which the kernels read them, packed once when a model is loaded.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::conv::Blocks;
use super::depthwise::DepthwiseWeights;
use super::gemm::Panels;
use super::jobs::is_pointwise;
use super::quant::QuantPanels;
use super::simd::{DotIsa, Isa};
use crate::RuntimeError;
use crate::graph::{Constant, Data, Graph, Node, Op, Padding, ValueId};

/// Of a 1x1 convolution or a linear layer: a matrix that rows are multiplied with.
#[derive(Clone)]
pub(super) enum Product {
    Floats(Arc<Panels>),
    /// In 8-bit integers.
    Int8(Arc<QuantPanels>),
}

impl Product {
    /// Inputs and outputs.
    pub(super) fn size(&self) -> [usize; 2] {
        match self {
            Self::Floats(panels) => [panels.k(), panels.n()],
            Self::Int8(panels) => [panels.k(), panels.n()],
        }
    }
}

/// The weights and the bias of one node.
#[derive(Clone)]
pub(super) enum Packed {
    Product(Product),
    /// Of a dense convolution, its rows in the order (row, column, channel) of the window.
    Dense(Arc<Panels>),
    Depthwise(Arc<DepthwiseWeights>),
    /// Of a transposed convolution whose blocks don't overlap.
    Blocks(Arc<Blocks>),
}

/// By the value that the node makes.
pub(super) type Weights = HashMap<ValueId, Packed>;

/// Packs what the kernels have a form for and drops the originals, of which only the shapes are needed from then on.
///
/// With `int8`, layers that see whole pictures or lines get 8-bit weights for its products.
pub(super) fn pack(
    graph: &mut Graph,
    isa: Isa,
    int8: Option<DotIsa>,
) -> Result<Weights, RuntimeError> {
    let mut weights = Weights::new();
    let mut packed_nodes = Vec::new();
    // Values of one number for each channel: a gate's, whose layers are too small to gain anything.
    let mut vectors = HashSet::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let vector = match node.op {
            Op::ReduceMean { .. } => true,
            _ => node.input(0).is_some_and(|value| vectors.contains(&value)),
        };
        // A vector under another shape is one still, and so is what is made of it element by element.
        if vector
            && matches!(
                node.op,
                Op::ReduceMean { .. }
                    | Op::Conv { .. }
                    | Op::Linear { .. }
                    | Op::Unary(_)
                    | Op::Reshape { .. }
                    | Op::Squeeze(_)
                    | Op::Unsqueeze(_)
                    | Op::Identity
            )
        {
            vectors.insert(node.output);
        }
        // The classes decide between neighbours: the last layer stays exact.
        let last = matches!(&node.op, Op::Linear { .. }) && ends_in(graph, node);
        if let Some(packed) = pack_node(graph, node, isa, int8.filter(|_| !vector && !last))? {
            weights.insert(node.output, packed);
            packed_nodes.push(index);
        }
    }
    let mut readers: HashMap<ValueId, usize> = HashMap::new();
    for value in graph.nodes.iter().flat_map(|n| n.inputs.iter().flatten()) {
        *readers.entry(*value).or_default() += 1;
    }
    let mut packed_uses: HashMap<ValueId, usize> = HashMap::new();
    for &index in &packed_nodes {
        for value in graph.nodes[index].inputs[1..].iter().flatten() {
            *packed_uses.entry(*value).or_default() += 1;
        }
    }
    for (value, uses) in packed_uses {
        if readers.get(&value) == Some(&uses)
            && let Some(constant) = graph.constants.get_mut(&value)
        {
            constant.data = Data::F32(Arc::new([]));
        }
    }
    Ok(weights)
}

/// Whether the model's output is this node's, or a softmax of it.
fn ends_in(graph: &Graph, node: &Node) -> bool {
    graph.is_output(node.output)
        || graph.nodes.iter().any(|n| {
            graph.is_output(n.output)
                && matches!(n.op, Op::Softmax { .. })
                && n.input(0) == Some(node.output)
        })
}

fn pack_node(
    graph: &Graph,
    node: &Node,
    isa: Isa,
    int8: Option<DotIsa>,
) -> Result<Option<Packed>, RuntimeError> {
    let constant = |index: usize| -> Option<&Constant> { graph.constants.get(&node.input(index)?) };
    let Some((weights, shape)) = constant(1).and_then(|c| Some((c.as_f32()?, &c.shape))) else {
        return Ok(None);
    };
    if weights.is_empty() || weights.len() != shape.iter().product::<usize>() {
        return Ok(None);
    }
    if node.input(2).is_some() && constant(2).and_then(Constant::as_f32).is_none() {
        return Ok(None);
    }
    let bias = constant(2).and_then(Constant::as_f32);
    let with_bias = |outputs: usize| match bias {
        Some(bias) if bias.len() != outputs => {
            Err(node.unsupported(format!("a bias of {} for {outputs} outputs", bias.len())))
        }
        _ => Ok(bias),
    };
    Ok(match (&node.op, &shape[..]) {
        (Op::Linear { .. }, &[inner, outputs]) => {
            let bias = with_bias(outputs)?;
            let at = |k: usize, n: usize| weights[k * outputs + n];
            Some(Packed::Product(product(
                isa,
                int8,
                [inner, outputs],
                bias,
                at,
            )))
        }
        (Op::Conv { window, groups, .. }, &[outputs, inner, kh, kw])
            if window.dilations == [1, 1] && window.kernel == [kh, kw] =>
        {
            let bias = with_bias(outputs)?;
            if is_pointwise(window, *groups) {
                let at = |k: usize, n: usize| weights[n * inner + k];
                Some(Packed::Product(product(
                    isa,
                    int8,
                    [inner, outputs],
                    bias,
                    at,
                )))
            } else if *groups == 1 {
                let panels = Panels::pack(isa, kh * kw * inner, outputs, bias, |k, n| {
                    weights[(n * inner + k % inner) * kh * kw + k / inner]
                });
                Some(Packed::Dense(Arc::new(panels)))
            } else if *groups == outputs && inner == 1 {
                let packed = DepthwiseWeights::pack(weights, bias, outputs);
                Some(Packed::Depthwise(Arc::new(packed)))
            } else {
                None
            }
        }
        (
            Op::ConvTranspose {
                window,
                output_padding: [0, 0],
                groups: 1,
                ..
            },
            &[inner, outputs, kh, kw],
        ) if window.kernel == [kh, kw]
            && window.strides == window.kernel
            && window.dilations == [1, 1]
            && window.padding == Padding::Explicit([0; 4]) =>
        {
            let bias = with_bias(outputs)?;
            let blocks = Blocks::pack(isa, weights, bias, [inner, outputs, kh, kw]);
            Some(Packed::Blocks(Arc::new(blocks)))
        }
        _ => None,
    })
}

/// Layers with fewer inputs or outputs gain less from bytes than rounding their rows costs.
const MIN_QUANTISED: usize = 32;

fn product(
    isa: Isa,
    int8: Option<DotIsa>,
    [inner, outputs]: [usize; 2],
    bias: Option<&[f32]>,
    at: impl Fn(usize, usize) -> f32,
) -> Product {
    match int8 {
        Some(dot) if inner >= MIN_QUANTISED && outputs >= MIN_QUANTISED => {
            Product::Int8(Arc::new(QuantPanels::pack(dot, inner, outputs, bias, at)))
        }
        _ => Product::Floats(Arc::new(Panels::pack(isa, inner, outputs, bias, at))),
    }
}
