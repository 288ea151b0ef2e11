//! A model for one input shape as steps over places in an arena.

use std::collections::HashMap;
use std::sync::Arc;

use super::buffer::Buffer;
use super::elementwise::Axis;
use super::fuse::{Job, Work, fuse, is_pointwise};
use super::memory::{Lifetime, arrange};
use super::view::{BufferId, Matrix, Pictures, View};
use super::weights::{Packed, Weights};
use crate::graph::{Binary, Constant, Graph, Node, Op, Padding, Pool, Unary, ValueId, Window};
use crate::specialise::Specialised;
use crate::{Layout, RuntimeError};

/// A place in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) buffer: BufferId,
    pub(super) offset: usize,
}

/// What a buffer is at run time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The model's input.
    Input,
    /// Floats from the arena's start.
    Arena(usize),
    /// One of the plan's constants.
    Constant(usize),
}

/// Rows in and rows out of a product.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowsAt {
    pub(super) input: At,
    pub(super) pitch: usize,
    pub(super) count: usize,
    pub(super) output: At,
    pub(super) output_pitch: usize,
    /// What is added, and its pitch.
    pub(super) residual: Option<(At, usize)>,
}

/// Pictures in and pictures out of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct PicturesAt {
    pub(super) input: At,
    pub(super) from: Pictures,
    pub(super) output: At,
    pub(super) to: Pictures,
}

/// One step. Activations are applied to what a step makes.
pub(super) enum Step {
    /// Rows times weights.
    Product {
        rows: RowsAt,
        weights: Arc<Packed>,
        activation: Option<Unary>,
    },
    /// Rows times weights, activated, times weights.
    Chain {
        rows: RowsAt,
        first: Arc<Packed>,
        between: Option<Unary>,
        second: Arc<Packed>,
        activation: Option<Unary>,
    },
    /// A convolution with packed weights: dense, depthwise or transposed.
    Conv {
        pictures: PicturesAt,
        weights: Arc<Packed>,
        window: Window,
        activation: Option<Unary>,
    },
    /// A pool.
    Pool {
        pictures: PicturesAt,
        kind: Pool,
        window: Window,
    },
    /// The mean of each channel.
    Mean {
        input: At,
        from: Pictures,
        output: At,
    },
    /// Squeeze and excite.
    Gate {
        pictures: PicturesAt,
        squeeze: Arc<Packed>,
        first: Option<Unary>,
        excite: Arc<Packed>,
        second: Option<Unary>,
        plus_one: bool,
    },
    /// Arithmetic on strided tensors, or a copy.
    Elementwise {
        op: Option<Binary>,
        axes: Vec<Axis>,
        output: At,
        a: At,
        b: At,
    },
    /// A function of each of `len` floats, in place.
    Activate { at: At, len: usize, unary: Unary },
    /// Each row by itself.
    LayerNorm {
        input: At,
        rows: Matrix,
        output: At,
        scale: At,
        bias: At,
        epsilon: f32,
    },
    /// Each row by itself, in place.
    Softmax { at: At, rows: Matrix },
    /// Products of matrices, one for each offset: left, right and output.
    MatMul {
        left: At,
        right: At,
        output: At,
        offsets: Vec<[usize; 3]>,
        size: [usize; 3],
        left_pitch: usize,
        right_strides: [usize; 2],
    },
    /// What no kernel is made for, by the definition: any convolution, and means over any axes.
    Slow(Slow),
}

impl Step {
    /// The kind of kernel.
    pub(super) fn kernel(&self) -> &'static str {
        match self {
            Self::Product { .. } => "1x1 or linear",
            Self::Chain { .. } => "1x1 chain",
            Self::Conv { weights, .. } => match &**weights {
                Packed::Panels(_) | Packed::Quantised(_) => "dense convolution",
                Packed::Depthwise(_) => "depthwise",
                Packed::Blocks(_) => "transposed",
            },
            Self::Pool { .. } => "pool",
            Self::Mean { .. } => "mean",
            Self::Gate { .. } => "squeeze and excite",
            Self::Elementwise { op: None, .. } => "copy",
            Self::Elementwise { .. } => "elementwise",
            Self::Activate { .. } => "activation",
            Self::LayerNorm { .. } => "layer norm",
            Self::Softmax { .. } => "softmax",
            Self::MatMul { .. } => "attention product",
            Self::Slow(_) => "slow",
        }
    }

    /// Multiplications with an addition.
    pub(super) fn macs(&self) -> u64 {
        let panels = |packed: &Packed| packed.size().iter().product::<usize>();
        let pixels = |p: &Pictures| p.count * p.height * p.width;
        let count = match self {
            Self::Product { rows, weights, .. } => rows.count * panels(weights),
            Self::Chain {
                rows,
                first,
                second,
                ..
            } => rows.count * (panels(first) + panels(second)),
            Self::Conv {
                pictures,
                weights,
                window,
                ..
            } => {
                let taps = window.kernel[0] * window.kernel[1];
                match &**weights {
                    Packed::Panels(_) | Packed::Quantised(_) => {
                        pixels(&pictures.to) * panels(weights)
                    }
                    Packed::Depthwise(_) => pixels(&pictures.to) * pictures.to.channels * taps,
                    Packed::Blocks(_) => {
                        pixels(&pictures.from)
                            * pictures.from.channels
                            * pictures.to.channels
                            * taps
                    }
                }
            }
            Self::MatMul { offsets, size, .. } => offsets.len() * size[0] * size[1] * size[2],
            _ => 0,
        };
        count as u64
    }

    /// Sizes, for people.
    pub(super) fn describe(&self) -> String {
        let inner = |packed: &Packed| packed.size().map(|n| n.to_string()).join(">");
        let size = |p: &Pictures| format!("{}x{}x{}", p.height, p.width, p.channels);
        match self {
            Self::Product { rows, weights, .. } => format!("{} * {}", rows.count, inner(weights)),
            Self::Chain {
                rows,
                first,
                second,
                ..
            } => format!("{} * {}, {}", rows.count, inner(first), inner(second)),
            Self::Conv {
                pictures, window, ..
            } => format!(
                "{} {}x{} to {}",
                size(&pictures.from),
                window.kernel[0],
                window.kernel[1],
                size(&pictures.to)
            ),
            Self::Pool { pictures, .. } | Self::Gate { pictures, .. } => size(&pictures.from),
            Self::Mean { from, .. } => size(from),
            Self::Elementwise { axes, .. } => {
                let sizes: Vec<String> = axes.iter().map(|axis| axis.size.to_string()).collect();
                sizes.join("x")
            }
            Self::Activate { len, .. } => len.to_string(),
            Self::LayerNorm { rows, .. } | Self::Softmax { rows, .. } => {
                format!("{}x{}", rows.count, rows.cols)
            }
            Self::MatMul { offsets, size, .. } => {
                format!("{} * {}x{}x{}", offsets.len(), size[0], size[1], size[2])
            }
            Self::Slow(_) => String::new(),
        }
    }
}

impl Head {
    fn classes(&self) -> usize {
        self.weights.size()[1]
    }

    /// Multiplications with an addition.
    pub(super) fn macs(&self) -> u64 {
        (self.rows.count * self.rows.cols * self.classes()) as u64
    }

    /// Sizes, for people.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} * {}>{}",
            self.rows.count,
            self.rows.cols,
            self.classes()
        )
    }
}

/// Steps that follow the definition, one number after the other.
pub(super) enum Slow {
    Conv(Box<SlowConv>),
    Mean { input: View, output: View },
}

/// Any convolution.
pub(super) struct SlowConv {
    pub(super) input: View,
    pub(super) weights: View,
    pub(super) bias: Option<View>,
    pub(super) output: View,
    pub(super) window: Window,
    pub(super) groups: usize,
    pub(super) transposed: bool,
}

/// Classes are looked for without a softmax: these rows times these weights.
pub(super) struct Head {
    pub(super) input: At,
    pub(super) rows: Matrix,
    pub(super) weights: Arc<Packed>,
    /// Sequences and steps.
    pub(super) shape: [usize; 2],
}

/// A model for one input shape.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    pub(super) places: Vec<Place>,
    pub(super) constants: Vec<Buffer>,
    /// Floats that a run needs.
    pub(super) arena: usize,
    pub(super) output: View,
    /// Instead of the output, where only the best classes are wanted.
    pub(super) head: Option<Head>,
}

impl Plan {
    /// Plans a run; with `best` one that ends before the head, where the model has one.
    pub(super) fn new(
        special: &Specialised,
        layout: Layout,
        weights: &Weights,
        best: bool,
    ) -> Result<Self, RuntimeError> {
        let jobs = fuse(&special.graph, &special.shapes, weights);
        Lowering::new(special, weights, &jobs).run(&jobs, layout, best)
    }

    pub(super) fn place(&self, at: At) -> (Place, usize) {
        (self.places[at.buffer], at.offset)
    }
}

struct BufferInfo {
    place: Place,
    life: Lifetime,
}

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
        let root = lowering.root(graph.output);
        lowering.last_use.insert(root, usize::MAX);
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
                                        | Op::Binary(_)
                                )
                            }
                            _ => true,
                        }
                });
                if strided && uses[value] == 1 {
                    lowering.targets.insert(value, (node.output, channel));
                }
                channel += special.shapes[value][1];
            }
        }
        lowering
    }

    fn root(&self, value: ValueId) -> ValueId {
        self.roots.get(&value).copied().unwrap_or(value)
    }

    fn run(mut self, jobs: &[Job], layout: Layout, best: bool) -> Result<Plan, RuntimeError> {
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
            self.lower(job)?;
        }
        self.job = body;
        let head = match self.head(jobs) {
            Some(linear) if best => Some(self.lower_head(&self.graph.nodes[linear])?),
            _ => None,
        };
        let output = match &head {
            Some(_) => View::row_major(input, &[0]),
            None => self.view(self.graph.output)?,
        };
        self.touch(output.buffer);
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
        Ok(Plan {
            steps: self.steps,
            places: self.buffers.iter().map(|b| b.place).collect(),
            constants: self.constants,
            arena,
            output,
            head,
        })
    }

    /// The linear layer that a softmax over the last axis ends the model after.
    fn head(&self, jobs: &[Job]) -> Option<usize> {
        let [.., linear, softmax] = jobs else {
            return None;
        };
        let (
            Work::Node {
                node: linear,
                residual: None,
            },
            Work::Node { node: softmax, .. },
        ) = (linear.work, softmax.work)
        else {
            return None;
        };
        let (linear_node, softmax) = (&self.graph.nodes[linear], &self.graph.nodes[softmax]);
        let shape = &self.shapes[softmax.output];
        let fits = softmax.output == self.graph.output
            && softmax.input(0) == Some(linear_node.output)
            && matches!(softmax.op, Op::Softmax { axis: 2, .. })
            && matches!(linear_node.op, Op::Linear { activation: None })
            && shape.len() == 3
            && self.weights.contains_key(&linear_node.output);
        fits.then_some(linear)
    }

    fn lower_head(&mut self, node: &Node) -> Result<Head, RuntimeError> {
        let input = self.operand(node, 0)?;
        let (view, rows) = self.as_rows(input, 2);
        let shape = &self.shapes[node.output];
        Ok(Head {
            input: self.read(&view),
            rows,
            weights: self.weights[&node.output].clone(),
            shape: [shape[0], shape[1]],
        })
    }

    // Buffers and views.

    fn buffer(&mut self, place: Place, len: usize) -> BufferId {
        self.buffers.push(BufferInfo {
            place,
            life: Lifetime {
                len,
                first: self.job,
                last: self.job,
            },
        });
        self.buffers.len() - 1
    }

    fn arena(&mut self, len: usize) -> BufferId {
        self.buffer(Place::Arena(0), len)
    }

    fn constant(&mut self, data: &[f32]) -> BufferId {
        let mut buffer = Buffer::zeros(data.len());
        buffer.as_mut_slice()[..data.len()].copy_from_slice(data);
        self.constants.push(buffer);
        self.buffer(Place::Constant(self.constants.len() - 1), data.len())
    }

    fn touch(&mut self, buffer: BufferId) {
        let life = &mut self.buffers[buffer].life;
        life.last = life.last.max(self.job);
    }

    fn read(&mut self, view: &View) -> At {
        self.touch(view.buffer);
        At {
            buffer: view.buffer,
            offset: view.offset,
        }
    }

    fn view(&mut self, value: ValueId) -> Result<View, RuntimeError> {
        if let Some(view) = self.views.get(&value) {
            return Ok(view.clone());
        }
        let unknown = || RuntimeError::Run {
            reason: format!("value {value} is read before it is made"),
        };
        let constant = self.graph.constants.get(&value).ok_or_else(unknown)?;
        let data = constant.as_f32().filter(|d| !d.is_empty());
        let buffer = self.constant(data.ok_or_else(unknown)?);
        let view = View::row_major(buffer, &constant.shape);
        self.views.insert(value, view.clone());
        Ok(view)
    }

    fn operand(&mut self, node: &Node, index: usize) -> Result<View, RuntimeError> {
        let value = node
            .input(index)
            .ok_or_else(|| node.unsupported("an operand is missing"))?;
        self.view(value)
    }

    /// Where `value` is to be made: where a concatenation wants it, else as `fresh` lays it out in a new buffer.
    fn output(&mut self, value: ValueId, fresh: impl Fn(BufferId) -> View) -> View {
        if let Some(&(whole, channel)) = self.targets.get(&value) {
            let whole = match self.views.get(&whole) {
                Some(view) => view.clone(),
                None => {
                    let shape = &self.shapes[whole];
                    let buffer = self.arena(shape.iter().product());
                    let view = View::channels_last(buffer, shape);
                    self.views.insert(whole, view.clone());
                    view
                }
            };
            let view = View {
                offset: whole.offset + channel * whole.strides[1],
                shape: self.shapes[value].clone(),
                ..whole
            };
            self.touch(view.buffer);
            self.views.insert(value, view.clone());
            return view;
        }
        let buffer = self.arena(self.shapes[value].iter().product());
        let view = fresh(buffer);
        self.views.insert(value, view.clone());
        view
    }

    /// Whether a job may write what it makes over `value`, which it reads: nothing needs it later.
    fn may_overwrite(&self, value: ValueId, output: ValueId) -> bool {
        if self.targets.contains_key(&output) || self.graph.constants.contains_key(&value) {
            return false;
        }
        let done = self.last_use.get(&self.root(value)) == Some(&self.job);
        self.views.get(&value).is_some_and(|view| {
            done && view.is_dense()
                && view.elements() == self.buffers[view.buffer].life.len
                && matches!(self.buffers[view.buffer].place, Place::Arena(_))
        })
    }

    fn copy(&mut self, from: &View, to: &View) {
        let axes = to.axes(&from.strides, &vec![0; from.strides.len()]);
        let a = self.read(from);
        let output = self.read(to);
        self.steps.push(Step::Elementwise {
            op: None,
            axes,
            output,
            a,
            b: a,
        });
    }

    fn copied(&mut self, from: &View, to: impl Fn(BufferId) -> View) -> View {
        let buffer = self.arena(from.elements());
        let to = to(buffer);
        self.copy(from, &to);
        to
    }

    /// The view as rows along `inner`, copied where its memory doesn't allow it.
    fn as_rows(&mut self, view: View, inner: usize) -> (View, Matrix) {
        if let Some(rows) = view.matrix(inner) {
            return (view, rows);
        }
        let view = self.copied(&view, |buffer| View::innermost(buffer, &view.shape, inner));
        let cols = view.shape[inner];
        let rows = Matrix {
            count: view.elements() / cols,
            cols,
            pitch: cols,
        };
        (view, rows)
    }

    fn as_pictures(&mut self, node: &Node, view: View) -> Result<(View, Pictures), RuntimeError> {
        if let Some(pictures) = view.pictures() {
            return Ok((view, pictures));
        }
        let view = self.copied(&view, |buffer| View::channels_last(buffer, &view.shape));
        let pictures = view.pictures();
        Ok((
            view,
            pictures.ok_or_else(|| node.unsupported("not a picture"))?,
        ))
    }

    // Steps.

    fn lower(&mut self, job: &Job) -> Result<(), RuntimeError> {
        match job.work {
            Work::Node { node, residual } => {
                let node = &self.graph.nodes[node];
                match (&node.op, residual) {
                    (Op::Conv { window, groups, .. }, _) if !is_pointwise(window, *groups) => {
                        self.conv(node)
                    }
                    (Op::Conv { .. } | Op::Linear { .. }, _)
                        if self.weights.contains_key(&node.output) =>
                    {
                        self.product(node, node, residual, job.output)
                    }
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

    fn packed(&self, node: &Node) -> Result<Arc<Packed>, RuntimeError> {
        let packed = self.weights.get(&node.output).cloned();
        packed.ok_or_else(|| node.unsupported("its weights are not constant"))
    }

    fn activation(node: &Node) -> Option<Unary> {
        match &node.op {
            Op::Conv { activation, .. }
            | Op::ConvTranspose { activation, .. }
            | Op::Linear { activation } => *activation,
            _ => None,
        }
    }

    /// One product, or two where `first` is another node than `last`.
    fn product(
        &mut self,
        first: &Node,
        last: &Node,
        residual: Option<ValueId>,
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let chained = first.output != last.output;
        let picture = matches!(first.op, Op::Conv { .. });
        let rank = self.shapes[first.output].len();
        let inner = if picture { 1 } else { rank - 1 };
        let input_value = first.input(0);
        let input = self.operand(first, 0)?;
        let (input, rows) = self.as_rows(input, inner);
        let residual = match residual {
            Some(value) => {
                let view = self.view(value)?;
                Some((value, self.as_rows(view, inner)))
            }
            None => None,
        };
        let shape = self.shapes[output].clone();
        // A chain reads all of a row before it writes it; a product writes while it reads.
        let over = residual.as_ref().filter(|(value, (view, _))| {
            self.may_overwrite(*value, output)
                && view.buffer == self.views[value].buffer
                && (chained || view.buffer != input.buffer)
                && (view.buffer != input.buffer || input_value == Some(*value))
        });
        let to = match over {
            Some((_, (view, _))) => {
                let view = view.clone();
                self.views.insert(output, view.clone());
                view
            }
            None => self.output(output, |buffer| match picture {
                true => View::channels_last(buffer, &shape),
                false => View::row_major(buffer, &shape),
            }),
        };
        let to_rows = to
            .matrix(inner)
            .ok_or_else(|| last.unsupported("its output is not in rows"))?;
        let residual = residual.map(|(_, (view, rows))| (self.read(&view), rows.pitch));
        let rows = RowsAt {
            input: self.read(&input),
            pitch: rows.pitch,
            count: rows.count,
            output: self.read(&to),
            output_pitch: to_rows.pitch,
            residual,
        };
        let step = if chained {
            Step::Chain {
                rows,
                first: self.packed(first)?,
                between: Self::activation(first),
                second: self.packed(last)?,
                activation: Self::activation(last),
            }
        } else {
            Step::Product {
                rows,
                weights: self.packed(last)?,
                activation: Self::activation(last),
            }
        };
        self.steps.push(step);
        Ok(())
    }

    fn conv(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let (window, groups, transposed) = match &node.op {
            Op::Conv { window, groups, .. } => (*window, *groups, false),
            Op::ConvTranspose { window, groups, .. } => (*window, *groups, true),
            _ => return Err(node.unsupported("not a convolution")),
        };
        let input = self.operand(node, 0)?;
        let shape = self.shapes[node.output].clone();
        let activation = Self::activation(node);
        let weights = self.weights.get(&node.output).cloned();
        let blocks = matches!(weights.as_deref(), Some(Packed::Blocks(_)));
        let Some(weights) =
            weights.filter(|_| !(blocks && self.targets.contains_key(&node.output)))
        else {
            let weights = self.operand(node, 1)?;
            let bias = node.input(2).map(|_| self.operand(node, 2)).transpose()?;
            if let Some(bias) = &bias
                && (bias.shape.len() != 1 || bias.shape[0] != shape[1])
            {
                return Err(node.unsupported("a bias of another size"));
            }
            let inputs = input.shape[1];
            let [kh, kw] = window.kernel;
            let wanted = match transposed {
                false => [shape[1], inputs / groups, kh, kw],
                true => [inputs, shape[1] / groups, kh, kw],
            };
            let whole = inputs.is_multiple_of(groups) && shape[1].is_multiple_of(groups);
            if weights.shape != wanted || !whole {
                return Err(node.unsupported(format!(
                    "weights of shape {:?} where {wanted:?} fits",
                    weights.shape
                )));
            }
            let output = self.output(node.output, |b| View::channels_last(b, &shape));
            for view in [Some(&input), Some(&weights), bias.as_ref()]
                .into_iter()
                .flatten()
            {
                self.touch(view.buffer);
            }
            self.steps.push(Step::Slow(Slow::Conv(Box::new(SlowConv {
                input,
                weights,
                bias,
                output: output.clone(),
                window,
                groups,
                transposed,
            }))));
            return self.activate_after(node, &output, activation);
        };
        let (input, from) = self.as_pictures(node, input)?;
        let output = self.output(node.output, |b| View::channels_last(b, &shape));
        let to = output
            .pictures()
            .ok_or_else(|| node.unsupported("its output is not a picture"))?;
        let pictures = PicturesAt {
            input: self.read(&input),
            from,
            output: self.read(&output),
            to,
        };
        self.steps.push(Step::Conv {
            pictures,
            weights,
            window,
            activation,
        });
        Ok(())
    }

    /// An activation after a slow step.
    fn activate_after(
        &mut self,
        node: &Node,
        view: &View,
        activation: Option<Unary>,
    ) -> Result<(), RuntimeError> {
        let Some(unary) = activation else {
            return Ok(());
        };
        if !view.is_dense() {
            return Err(node.unsupported("an activation on a part of a concatenation"));
        }
        let at = self.read(view);
        self.steps.push(Step::Activate {
            at,
            len: view.elements(),
            unary,
        });
        Ok(())
    }

    fn gate(
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
            squeeze: self.packed(squeeze)?,
            first: Self::activation(squeeze),
            excite: self.packed(excite)?,
            second: Self::activation(excite),
            plus_one,
        };
        self.steps.push(step);
        Ok(())
    }

    /// Repeats the pixels of the first operand: each axis that grows becomes two, the inner one of stride 0.
    fn upsample(
        &mut self,
        node: &Node,
        other: Option<ValueId>,
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let Op::Upsample(factors) = &node.op else {
            return Err(node.unsupported("not an enlargement"));
        };
        let small = self.operand(node, 0)?;
        let other_view = other.map(|value| self.view(value)).transpose()?;
        let shape = self.shapes[output].clone();
        let to = match other {
            Some(value)
                if self.may_overwrite(value, output)
                    && self.views[&value].buffer != small.buffer =>
            {
                let view = self.views[&value].clone();
                self.views.insert(output, view.clone());
                view
            }
            _ => self.output(output, |buffer| match small.pictures() {
                Some(_) => View::channels_last(buffer, &shape),
                None => View::row_major(buffer, &shape),
            }),
        };
        let mut axes = Vec::new();
        for (axis, &factor) in factors.iter().enumerate() {
            let whole = other_view.as_ref().map_or(0, |view| view.strides[axis]);
            axes.push(Axis {
                size: small.shape[axis],
                output: to.strides[axis] * factor,
                a: small.strides[axis],
                b: whole * factor,
            });
            axes.push(Axis {
                size: factor,
                output: to.strides[axis],
                a: 0,
                b: whole,
            });
        }
        let a = self.read(&small);
        let b = other_view.map_or(a, |view| self.read(&view));
        let output = self.read(&to);
        self.steps.push(Step::Elementwise {
            op: other.map(|_| Binary::Add),
            axes: super::elementwise::collapse(axes),
            output,
            a,
            b,
        });
        Ok(())
    }

    fn binary(
        &mut self,
        op: Binary,
        [a, b]: [(Option<ValueId>, View); 2],
        output: ValueId,
    ) -> Result<(), RuntimeError> {
        let shape = self.shapes[output].clone();
        // Not over an operand that the other one sees in another order.
        let over = [(&a, &b), (&b, &a)]
            .into_iter()
            .find(|((value, view), (_, other))| {
                value.is_some_and(|value| self.may_overwrite(value, output))
                    && view.shape == shape
                    && (view.buffer != other.buffer || view == other)
            })
            .map(|((_, view), _)| view.clone());
        let to = match over {
            Some(view) => {
                self.views.insert(output, view.clone());
                view
            }
            None => {
                let model = [&a.1, &b.1].into_iter().find(|view| view.shape == shape);
                let model = model.cloned();
                self.output(output, |buffer| match &model {
                    Some(view) => view.like(buffer),
                    None => View::row_major(buffer, &shape),
                })
            }
        };
        let axes = to.axes(&a.1.broadcast(&shape), &b.1.broadcast(&shape));
        let step = Step::Elementwise {
            op: Some(op),
            axes,
            output: self.read(&to),
            a: self.read(&a.1),
            b: self.read(&b.1),
        };
        self.steps.push(step);
        Ok(())
    }

    /// The first operand under the name of the node's output, in its own memory where nothing needs it later, else a
    /// copy with the axis `inner` innermost, or in its own order.
    fn in_place(&mut self, node: &Node, inner: Option<usize>) -> Result<View, RuntimeError> {
        let input = self.operand(node, 0)?;
        let usable = inner.is_none_or(|inner| input.matrix(inner).is_some());
        if let Some(value) = node.input(0)
            && usable
            && self.may_overwrite(value, node.output)
        {
            self.views.insert(node.output, input.clone());
            return Ok(input);
        }
        let to = self.output(node.output, |buffer| match inner {
            Some(inner) => View::innermost(buffer, &input.shape, inner),
            None => input.like(buffer),
        });
        self.copy(&input, &to);
        Ok(to)
    }

    fn node(&mut self, node: &Node) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        match &node.op {
            Op::Conv { .. } | Op::ConvTranspose { .. } => self.conv(node)?,
            Op::Pool { kind, window } => {
                let input = self.operand(node, 0)?;
                let (input, from) = self.as_pictures(node, input)?;
                let output = self.output(node.output, |b| View::channels_last(b, &shape));
                let to = output
                    .pictures()
                    .ok_or_else(|| node.unsupported("its output is not a picture"))?;
                let pictures = PicturesAt {
                    input: self.read(&input),
                    from,
                    output: self.read(&output),
                    to,
                };
                self.steps.push(Step::Pool {
                    pictures,
                    kind: *kind,
                    window: *window,
                });
            }
            Op::Linear { activation } => {
                // Weights that are no constant: a product of matrices.
                let (left, right) = (self.operand(node, 0)?, self.operand(node, 1)?);
                self.matmul(node, left, right)?;
                let made = self.views[&node.output].clone();
                if node.input(2).is_some() {
                    let bias = self.operand(node, 2)?;
                    let axes = made.axes(&made.strides, &bias.broadcast(&shape));
                    let step = Step::Elementwise {
                        op: Some(Binary::Add),
                        axes,
                        output: self.read(&made),
                        a: self.read(&made),
                        b: self.read(&bias),
                    };
                    self.steps.push(step);
                }
                self.activate_after(node, &made, *activation)?;
            }
            Op::MatMul => {
                let (left, right) = (self.operand(node, 0)?, self.operand(node, 1)?);
                self.matmul(node, left, right)?;
            }
            Op::BatchNorm { epsilon } => self.batch_norm(node, *epsilon)?,
            Op::LayerNorm { epsilon } => {
                let inner = shape.len() - 1;
                let input = self.operand(node, 0)?;
                let (input, rows) = self.as_rows(input, inner);
                let mut parameters = Vec::new();
                for (index, missing) in [(1, 1.0), (2, 0.0)] {
                    let view = match node.input(index) {
                        Some(value) => self.view(value)?,
                        None => {
                            let buffer = self.constant(&vec![missing; rows.cols]);
                            View::row_major(buffer, &[rows.cols])
                        }
                    };
                    if view.elements() != rows.cols || !view.is_dense() {
                        return Err(node.unsupported("parameters of another size"));
                    }
                    parameters.push(self.read(&view));
                }
                let output = self.output(node.output, |b| View::row_major(b, &shape));
                let step = Step::LayerNorm {
                    input: self.read(&input),
                    rows,
                    output: self.read(&output),
                    scale: parameters[0],
                    bias: parameters[1],
                    epsilon: *epsilon,
                };
                self.steps.push(step);
            }
            Op::Unary(unary) => {
                let view = self.in_place(node, None)?;
                self.activate_after(node, &view, Some(*unary))?;
            }
            Op::Binary(op) => {
                let a = (node.input(0), self.operand(node, 0)?);
                let b = (node.input(1), self.operand(node, 1)?);
                self.binary(*op, [a, b], node.output)?;
            }
            Op::Softmax { axis, .. } => {
                let axis = *axis as usize;
                let view = self.in_place(node, Some(axis))?;
                let rows = view
                    .matrix(axis)
                    .or_else(|| {
                        // A copy with this axis innermost is dense in another order of its axes.
                        view.is_dense().then(|| Matrix {
                            count: view.elements() / view.shape[axis],
                            cols: view.shape[axis],
                            pitch: view.shape[axis],
                        })
                    })
                    .ok_or_else(|| node.unsupported("not in rows"))?;
                let at = self.read(&view);
                self.steps.push(Step::Softmax { at, rows });
            }
            Op::ReduceMean { axes, .. } => {
                let input = self.operand(node, 0)?;
                if axes == &[2, 3] && input.pictures().is_some() && shape.len() == 4 {
                    let (input, from) = self.as_pictures(node, input)?;
                    let output = self.output(node.output, |b| View::channels_last(b, &shape));
                    let step = Step::Mean {
                        input: self.read(&input),
                        from,
                        output: self.read(&output),
                    };
                    self.steps.push(step);
                } else {
                    let mut output = self.output(node.output, |b| View::row_major(b, &shape));
                    self.touch(input.buffer);
                    // The mean's own axes, as axes of stride 0.
                    let mut strides = Vec::new();
                    let mut own = output.strides.iter().zip(&output.shape);
                    for axis in 0..input.shape.len() {
                        if axes.contains(&(axis as i64)) {
                            strides.push(0);
                            if input.shape.len() == shape.len() {
                                own.next();
                            }
                        } else {
                            strides.push(own.next().map_or(0, |(&stride, _)| stride));
                        }
                    }
                    output.strides = strides;
                    self.steps.push(Step::Slow(Slow::Mean { input, output }));
                }
            }
            Op::Concat(axis) => {
                let axis = *axis as usize;
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
            }
            Op::Upsample(_) => self.upsample(node, None, node.output)?,
            Op::View(to) => {
                let input = self.operand(node, 0)?;
                let view = match input.reshape(to) {
                    Some(view) => view,
                    None => {
                        let shape = input.shape.clone();
                        let mut view = self.copied(&input, |b| View::row_major(b, &shape));
                        view = View::row_major(view.buffer, to);
                        view
                    }
                };
                self.views.insert(node.output, view);
            }
            Op::Transpose(order) => {
                let view = self.operand(node, 0)?.transpose(order);
                self.views.insert(node.output, view);
            }
            Op::Crop(ranges) => {
                let view = self.operand(node, 0)?.crop(ranges);
                self.views.insert(node.output, view);
            }
            Op::Identity => {
                let view = self.operand(node, 0)?;
                self.views.insert(node.output, view);
            }
            Op::Reshape { .. }
            | Op::Squeeze(_)
            | Op::Unsqueeze(_)
            | Op::Slice
            | Op::Gather(_)
            | Op::Shape => return Err(node.unsupported("it is not resolved for this shape")),
        }
        Ok(())
    }

    fn matmul(&mut self, node: &Node, left: View, right: View) -> Result<(), RuntimeError> {
        let shape = self.shapes[node.output].clone();
        let rank = shape.len();
        let last = left.shape.len() - 1;
        let left = if left.shape[last] == 1 || left.strides[last] == 1 {
            left
        } else {
            let shape = left.shape.clone();
            self.copied(&left, |b| View::row_major(b, &shape))
        };
        let to = self.output(node.output, |b| View::row_major(b, &shape));
        let mut batch = shape[..rank - 2].to_vec();
        batch.extend([1, 1]);
        let ones = |view: &View| {
            let mut view = view.clone();
            let n = view.shape.len();
            view.shape[n - 2..].fill(1);
            view.broadcast(&batch)
        };
        let (a, b) = (ones(&left), ones(&right));
        let count: usize = batch.iter().product();
        let offsets = (0..count)
            .map(|index| {
                let mut at = [0; 3];
                let mut rest = index;
                for axis in (0..rank - 2).rev() {
                    let i = rest % shape[axis];
                    rest /= shape[axis];
                    at[0] += i * a[axis];
                    at[1] += i * b[axis];
                    at[2] += i * to.strides[axis];
                }
                at
            })
            .collect();
        let n = right.shape.len();
        let k = left.shape[last];
        let step = Step::MatMul {
            left: self.read(&left),
            right: self.read(&right),
            output: self.read(&to),
            offsets,
            size: [shape[rank - 2], k, shape[rank - 1]],
            left_pitch: left.strides[last - 1],
            right_strides: [right.strides[n - 2], right.strides[n - 1]],
        };
        self.steps.push(step);
        Ok(())
    }

    /// `x * factor + addend` for each channel.
    fn batch_norm(&mut self, node: &Node, epsilon: f32) -> Result<(), RuntimeError> {
        let constants: Option<Vec<&[f32]>> = (1..5)
            .map(|index| self.graph.constants.get(&node.input(index)?))
            .map(|c| c.and_then(Constant::as_f32))
            .collect();
        let channels = self.shapes[node.output][1];
        let Some(parameters) = constants.filter(|c| c.iter().all(|p| p.len() == channels)) else {
            return Err(node.unsupported("its parameters are not constant"));
        };
        let factor: Vec<f32> = (0..channels)
            .map(|c| parameters[0][c] / (parameters[3][c] + epsilon).sqrt())
            .collect();
        let addend: Vec<f32> = (0..channels)
            .map(|c| parameters[1][c] - parameters[2][c] * factor[c])
            .collect();
        let mut shape = vec![1; self.shapes[node.output].len()];
        shape[1] = channels;
        let (factor, addend) = (self.constant(&factor), self.constant(&addend));
        let (factor, addend) = (
            View::row_major(factor, &shape),
            View::row_major(addend, &shape),
        );
        let x = (node.input(0), self.operand(node, 0)?);
        self.binary(Binary::Mul, [x, (None, factor)], node.output)?;
        let made = self.views[&node.output].clone();
        let axes = made.axes(&made.strides, &addend.broadcast(&made.shape));
        let step = Step::Elementwise {
            op: Some(Binary::Add),
            axes,
            output: self.read(&made),
            a: self.read(&made),
            b: self.read(&addend),
        };
        self.steps.push(step);
        Ok(())
    }
}

/// The zeros around a picture, which are explicit in a specialised graph.
pub(super) fn pads(window: &Window) -> [usize; 4] {
    match window.padding {
        Padding::Explicit(pads) => pads,
        Padding::SameUpper | Padding::SameLower => [0; 4],
    }
}
