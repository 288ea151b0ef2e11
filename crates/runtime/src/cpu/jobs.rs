//! Groups of nodes that one step of the executor does together: a job.

use super::weights::{Packed, Product, Weights};
use crate::graph::{Binary, Graph, Node, Op, Padding, Unary, ValueId, Window};

/// What one step does. Nodes are named by their index in the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// A node by itself, or a product with an addition after it.
    Node {
        node: usize,
        /// Added to the result.
        residual: Option<ValueId>,
    },
    /// Two 1x1 convolutions or linear layers, one after the other: what lies between them never leaves the cache.
    Chain {
        first: usize,
        second: usize,
        /// Added to the result.
        residual: Option<ValueId>,
    },
    /// Squeeze and excite: `x` times a gate for each channel, made of the channels' means by two 1x1 convolutions.
    Gate {
        squeeze: usize,
        excite: usize,
        x: ValueId,
        /// Whether `x` is added once more.
        plus_one: bool,
    },
    /// An enlargement and another picture.
    UpsampleAdd { upsample: usize, other: ValueId },
}

/// A step and the value it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Job {
    pub(super) work: Work,
    pub(super) output: ValueId,
}

impl Job {
    /// The values it reads that are not weights.
    pub(super) fn reads(&self, graph: &Graph) -> Vec<ValueId> {
        let operand = |node: usize| graph.nodes[node].input(0);
        match self.work {
            Work::Node { node, residual } => {
                let all = graph.nodes[node].inputs.iter().flatten().copied();
                all.chain(residual).collect()
            }
            Work::Chain {
                first, residual, ..
            } => operand(first).into_iter().chain(residual).collect(),
            Work::Gate { x, .. } => vec![x],
            Work::UpsampleAdd { upsample, other } => {
                operand(upsample).into_iter().chain([other]).collect()
            }
        }
    }
}

/// Whether a window looks at one pixel at a time.
pub(super) fn is_pointwise(window: &Window, groups: usize) -> bool {
    groups == 1
        && window.kernel == [1, 1]
        && window.strides == [1, 1]
        && window.padding == Padding::Explicit([0; 4])
}

struct Links<'a> {
    graph: &'a Graph,
    producers: Vec<Option<usize>>,
    uses: Vec<usize>,
    shapes: &'a [Vec<usize>],
    weights: &'a Weights,
}

impl Links<'_> {
    /// The node that makes `value`, where nobody else reads it.
    fn sole(&self, value: ValueId) -> Option<usize> {
        let maker = self.producers[value]?;
        (self.uses[value] == 1).then_some(maker)
    }

    fn node(&self, index: usize) -> &Node {
        &self.graph.nodes[index]
    }

    /// The activation of a product that works on rows: a 1x1 convolution or a linear layer with packed weights.
    fn product(&self, index: usize) -> Option<Option<Unary>> {
        let node = self.node(index);
        match (&node.op, self.weights.get(&node.output)?) {
            (Op::Conv { activation, .. } | Op::Linear { activation }, Packed::Product(_)) => {
                Some(*activation)
            }
            _ => None,
        }
    }

    /// Whether it is a 1x1 convolution in floats. Whether a layer belongs to a gate may only be known when shapes are,
    /// after its weights were rounded; a gate's kernel has no use for those.
    fn is_exact_conv(&self, index: usize) -> bool {
        let weights = self.weights.get(&self.node(index).output);
        self.is_conv(index) && matches!(weights, Some(Packed::Product(Product::Floats(_))))
    }

    /// A linear layer sees the last axis, a convolution the channels.
    fn is_conv(&self, index: usize) -> bool {
        matches!(self.node(index).op, Op::Conv { .. })
    }

    fn binary(&self, index: usize, op: Binary) -> Option<[ValueId; 2]> {
        let node = self.node(index);
        if node.op != Op::Binary(op) {
            return None;
        }
        Some([node.input(0)?, node.input(1)?])
    }

    /// Whether the model's output is this node's, after a softmax.
    fn is_head(&self, index: usize) -> bool {
        let last = self.graph.sole_output().and_then(|v| self.producers[v]);
        last.map(|n| self.node(n)).is_some_and(|n| {
            matches!(n.op, Op::Softmax { .. }) && n.input(0) == Some(self.node(index).output)
        })
    }

    /// Squeeze and excite ending in the product `index`: its parts but for `plus_one`.
    fn gate(&self, index: usize) -> Option<[usize; 4]> {
        let [a, b] = self.binary(index, Binary::Mul)?;
        [(a, b), (b, a)].into_iter().find_map(|(x, gate)| {
            let excite = self.sole(gate)?;
            let squeeze = self.sole(self.node(excite).input(0)?)?;
            if !self.is_exact_conv(excite) || !self.is_exact_conv(squeeze) {
                return None;
            }
            let mean = self.sole(self.node(squeeze).input(0)?)?;
            let of_picture = match &self.node(mean).op {
                Op::ReduceMean { axes, keep: true } => axes == &[2, 3],
                _ => false,
            };
            let fits = of_picture
                && self.node(mean).input(0) == Some(x)
                && self.shapes[x].len() == 4
                && self.shapes[gate][1] == self.shapes[x][1];
            fits.then_some([mean, squeeze, excite, x])
        })
    }
}

/// The jobs of a specialised graph, in an order in which each has what it reads.
pub(super) fn jobs(graph: &Graph, shapes: &[Vec<usize>], weights: &Weights) -> Vec<Job> {
    let links = Links {
        graph,
        producers: graph.producers(),
        uses: graph.uses(),
        shapes,
        weights,
    };
    // What a node's step is, where it is more than the node, and which nodes are part of another one's.
    let mut works: Vec<Option<Work>> = vec![None; graph.nodes.len()];
    let mut taken = vec![false; graph.nodes.len()];
    // Gates first: their two products would pass for a chain.
    for (index, work) in works.iter_mut().enumerate() {
        if let Some([mean, squeeze, excite, x]) = links.gate(index)
            && ![mean, squeeze, excite].iter().any(|&n| taken[n])
        {
            for part in [mean, squeeze, excite] {
                taken[part] = true;
            }
            *work = Some(Work::Gate {
                squeeze,
                excite,
                x,
                plus_one: false,
            });
        }
    }
    for index in 0..graph.nodes.len() {
        if works[index].is_some() {
            continue;
        }
        if let Some(operands) = links.binary(index, Binary::Add) {
            let [a, b] = operands;
            for (made, other) in [(a, b), (b, a)] {
                if shapes[made] != shapes[other] || graph.constants.contains_key(&other) {
                    continue;
                }
                let Some(maker) = links.sole(made).filter(|&n| !taken[n]) else {
                    continue;
                };
                let work = match (&links.node(maker).op, works[maker]) {
                    (
                        _,
                        Some(Work::Gate {
                            squeeze,
                            excite,
                            x,
                            plus_one: false,
                        }),
                    ) if x == other => Some(Work::Gate {
                        squeeze,
                        excite,
                        x,
                        plus_one: true,
                    }),
                    (
                        _,
                        Some(Work::Chain {
                            first,
                            second,
                            residual: None,
                        }),
                    ) if links.product(second) == Some(None) => Some(Work::Chain {
                        first,
                        second,
                        residual: Some(other),
                    }),
                    (_, None) if links.product(maker) == Some(None) => Some(Work::Node {
                        node: maker,
                        residual: Some(other),
                    }),
                    (Op::Upsample(_), None) => Some(Work::UpsampleAdd {
                        upsample: maker,
                        other,
                    }),
                    _ => None,
                };
                if work.is_some() {
                    taken[maker] = true;
                    works[index] = work;
                    break;
                }
            }
            continue;
        }
        // Not the head: its product is as wide as the alphabet and is looked at in pieces.
        if links.product(index).is_some()
            && let Some(input) = links.node(index).input(0)
            && let Some(first) = links.sole(input)
            && !taken[first]
            && works[first].is_none()
            && links.product(first).is_some()
            && links.is_conv(first) == links.is_conv(index)
            && !links.is_head(index)
        {
            taken[first] = true;
            works[index] = Some(Work::Chain {
                first,
                second: index,
                residual: None,
            });
        }
    }
    (0..graph.nodes.len())
        .filter(|&index| !taken[index])
        .map(|index| Job {
            work: works[index].unwrap_or(Work::Node {
                node: index,
                residual: None,
            }),
            output: graph.nodes[index].output,
        })
        .collect()
}
