//! Turns a graph for one shape into a program: one file for each kind of step.
//!
//! Values become views of buffers. Transposes, slices and most reshapes are only other views; what is made is laid out
//! with its channels innermost, parts of a concatenation where they belong in the whole, and over what nobody needs
//! any more where that is possible.

mod buffers;
mod concat;
mod convolution;
mod elementwise;
mod gate;
mod head;
mod matmul;
mod normalise;
mod pooling;
mod product;
mod resize;

use std::collections::HashMap;

use super::buffer::Buffer;
use super::jobs::{Job, Work, jobs};
use super::memory::{Lifetime, arrange};
use super::program::{Place, Program};
use super::step::Step;
use super::view::View;
use super::weights::{Packed, Weights};
use crate::graph::{Graph, Node, Op, ValueId};
use crate::specialise::Specialised;
use crate::{Layout, RuntimeError};

/// Compiles a run; with `best` one that ends before the head, where the model has one.
pub(super) fn lower(
    special: &Specialised,
    layout: Layout,
    weights: &Weights,
    best: bool,
) -> Result<Program, RuntimeError> {
    let jobs = jobs(&special.graph, &special.shapes, weights);
    Lowering::new(special, weights, &jobs).run(&jobs, layout, best)
}

struct BufferInfo {
    place: Place,
    life: Lifetime,
}

/// What is known while a graph becomes a program.
struct Lowering<'a> {
    graph: &'a Graph,
    shapes: &'a [Vec<usize>],
    weights: &'a Weights,
    nodes: HashMap<ValueId, usize>,
    views: HashMap<ValueId, View>,
    buffers: Vec<BufferInfo>,
    constants: Vec<Buffer>,
    steps: Vec<Step>,
    /// The last job that reads a value or one that lies in the same memory.
    last_use: HashMap<ValueId, usize>,
    /// The value whose memory a value lies in.
    roots: HashMap<ValueId, ValueId>,
    /// Values that are made where a concatenation wants them: which one, and the channel.
    targets: HashMap<ValueId, (ValueId, usize)>,
    job: usize,
}

impl<'a> Lowering<'a> {
    fn new(special: &'a Specialised, weights: &'a Weights, jobs: &[Job]) -> Self {
        let graph = &special.graph;
        let mut lowering = Self {
            graph,
            shapes: &special.shapes,
            weights,
            nodes: HashMap::new(),
            views: HashMap::new(),
            buffers: Vec::new(),
            constants: Vec::new(),
            steps: Vec::new(),
            last_use: HashMap::new(),
            roots: HashMap::new(),
            targets: HashMap::new(),
            job: 0,
        };
        for (index, node) in graph.nodes.iter().enumerate() {
            lowering.nodes.insert(node.output, index);
        }
        for job in jobs {
            if let Work::Node { node, .. } = job.work
                && let node = &graph.nodes[node]
                && matches!(
                    node.op,
                    Op::View(_) | Op::Transpose(_) | Op::Crop(_) | Op::Identity
                )
                && let Some(source) = node.input(0)
            {
                let root = lowering.root(source);
                lowering.roots.insert(job.output, root);
            }
        }
        for (index, job) in jobs.iter().enumerate() {
            for value in job.reads(graph) {
                let root = lowering.root(value);
                lowering.last_use.insert(root, index);
            }
        }
        for output in &graph.outputs {
            let root = lowering.root(output.value);
            lowering.last_use.insert(root, usize::MAX);
        }
        lowering.targets = concat::targets(special, jobs);
        lowering
    }

    fn root(&self, value: ValueId) -> ValueId {
        self.roots.get(&value).copied().unwrap_or(value)
    }

    fn run(mut self, jobs: &[Job], layout: Layout, best: bool) -> Result<Program, RuntimeError> {
        let input = self.buffer(Place::Input, 0);
        let shape = &self.shapes[self.graph.input];
        let view = match layout {
            Layout::RowMajor => View::row_major(input, shape),
            Layout::ChannelsLast => View::channels_last(input, shape),
        };
        self.views.insert(self.graph.input, view);
        let body = match self.head(jobs) {
            Some(_) if best => jobs.len() - 2,
            _ => jobs.len(),
        };
        for (index, job) in jobs[..body].iter().enumerate() {
            self.job = index;
            self.job(job)?;
        }
        self.job = body;
        let head = match self.head(jobs) {
            Some(linear) if best => Some(self.lower_head(&self.graph.nodes[linear])?),
            _ => None,
        };
        let mut outputs = Vec::new();
        if head.is_none() {
            for output in &self.graph.outputs {
                let view = self.view(output.value)?;
                self.touch(view.buffer);
                outputs.push(view);
            }
        }
        let mut arena_buffers = Vec::new();
        let mut lifetimes = Vec::new();
        for (index, buffer) in self.buffers.iter().enumerate() {
            if let Place::Arena(_) = buffer.place {
                arena_buffers.push(index);
                lifetimes.push(buffer.life);
            }
        }
        let (offsets, arena) = arrange(&lifetimes);
        for (index, offset) in arena_buffers.into_iter().zip(offsets) {
            self.buffers[index].place = Place::Arena(offset);
        }
        Ok(Program {
            steps: self.steps,
            places: self.buffers.iter().map(|b| b.place).collect(),
            constants: self.constants,
            arena,
            outputs,
            head,
        })
    }

    fn job(&mut self, job: &Job) -> Result<(), RuntimeError> {
        match job.work {
            Work::Node { node, residual } => {
                let node = &self.graph.nodes[node];
                match self.weights.get(&node.output) {
                    Some(Packed::Product(_)) => self.product(node, node, residual, job.output),
                    _ => self.node(node),
                }
            }
            Work::Chain {
                first,
                second,
                residual,
            } => {
                let (first, second) = (&self.graph.nodes[first], &self.graph.nodes[second]);
                self.product(first, second, residual, job.output)
            }
            Work::Gate {
                squeeze,
                excite,
                x,
                plus_one,
            } => self.gate(squeeze, excite, x, plus_one, job.output),
            Work::UpsampleAdd { upsample, other } => {
                let node = &self.graph.nodes[upsample];
                self.upsample(node, Some(other), job.output)
            }
        }
    }

    fn node(&mut self, node: &Node) -> Result<(), RuntimeError> {
        match &node.op {
            Op::Conv { .. } | Op::ConvTranspose { .. } => self.conv(node),
            Op::Pool { kind, window } => self.pool(node, *kind, *window),
            Op::Linear { activation } => self.linear(node, *activation),
            Op::MatMul => {
                let (left, right) = (self.operand(node, 0)?, self.operand(node, 1)?);
                self.matmul(node, left, right)
            }
            Op::BatchNorm { epsilon } => self.batch_norm(node, *epsilon),
            Op::LayerNorm { epsilon } => self.layer_norm(node, *epsilon),
            Op::Unary(unary) => {
                let view = self.in_place(node, None)?;
                self.activate(node, &view, Some(*unary))
            }
            Op::Binary(op) => {
                let a = (node.input(0), self.operand(node, 0)?);
                let b = (node.input(1), self.operand(node, 1)?);
                self.binary(*op, [a, b], node.output)
            }
            Op::Softmax { axis, .. } => self.softmax(node, *axis as usize),
            Op::ReduceMean { axes, .. } => self.mean(node, axes),
            Op::Concat(axis) => self.concat(node, *axis as usize),
            Op::Upsample(_) => self.upsample(node, None, node.output),
            Op::Nearest { rows, columns } => self.nearest(node, rows, columns),
            Op::View(to) => self.reshaped(node, to),
            Op::Transpose(order) => {
                let view = self.operand(node, 0)?.transpose(order);
                self.is(node, view)
            }
            Op::Crop(ranges) => {
                let view = self.operand(node, 0)?.crop(ranges);
                self.is(node, view)
            }
            Op::Identity => {
                let view = self.operand(node, 0)?;
                self.is(node, view)
            }
            Op::Reshape { .. }
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Slice
            | Op::Split { .. }
            | Op::Resize
            | Op::Integers
            | Op::Gather(_)
            | Op::Shape => Err(node.unsupported("it is not resolved for this shape")),
        }
    }

    /// The node's output is this view of memory that is there already.
    fn is(&mut self, node: &Node, view: View) -> Result<(), RuntimeError> {
        self.views.insert(node.output, view);
        Ok(())
    }
}
