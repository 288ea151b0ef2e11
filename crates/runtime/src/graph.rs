//! A model as the executors see it: nodes in the order they run, constants on the host.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::RuntimeError;

/// Names a value of a [`Graph`]: its input, a constant or what a node makes.
pub type ValueId = usize;

/// The elements of a [`Constant`]. Shared, so that a reshape costs nothing.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// Weights.
    F32(Arc<[f32]>),
    /// Shapes, indices and every other integer type of the file.
    I64(Arc<[i64]>),
}

/// A tensor on the host whose values the file states.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Sizes of the dimensions, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many elements as the shape says.
    pub data: Data,
}

impl Constant {
    /// A tensor of floats.
    pub fn f32(shape: impl Into<Vec<usize>>, data: Vec<f32>) -> Self {
        Self {
            shape: shape.into(),
            data: Data::F32(data.into()),
        }
    }

    /// A list of integers, of rank 1.
    pub fn ints(data: Vec<i64>) -> Self {
        Self {
            shape: vec![data.len()],
            data: Data::I64(data.into()),
        }
    }

    /// The elements, where they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(data) => Some(data),
            Data::I64(_) => None,
        }
    }

    /// The elements, where they are integers.
    pub fn as_i64(&self) -> Option<&[i64]> {
        match &self.data {
            Data::I64(data) => Some(data),
            Data::F32(_) => None,
        }
    }

    /// The only element of a float tensor.
    pub fn scalar(&self) -> Option<f32> {
        match self.as_f32() {
            Some(&[value]) => Some(value),
            _ => None,
        }
    }

    /// How many elements there are.
    pub fn len(&self) -> usize {
        match &self.data {
            Data::F32(data) => data.len(),
            Data::I64(data) => data.len(),
        }
    }

    /// Whether there is no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A function of one number, applied to every element.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Unary {
    /// `max(x, 0)`
    Relu,
    /// `1 / (1 + exp(-x))`
    Sigmoid,
    /// `clamp(alpha * x + beta, 0, 1)`; alpha is 1/6 in some nodes of PP-OCR's detector and 0.2 in others.
    HardSigmoid {
        /// Slope.
        alpha: f32,
        /// Value at zero.
        beta: f32,
    },
    /// `x * clamp(alpha * x + beta, 0, 1)`
    HardSwish {
        /// Slope of the gate.
        alpha: f32,
        /// The gate's value at zero.
        beta: f32,
    },
    /// `x * sigmoid(x)`
    Silu,
    /// `0.5 * x * (1 + erf(x / sqrt(2)))`
    Gelu,
    /// The error function.
    Erf,
    /// Square root.
    Sqrt,
    /// `exp(x)`
    Exp,
    /// `clamp(x, min, max)`
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
}

/// Arithmetic on two tensors that broadcast against each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a - b`
    Sub,
    /// `a * b`
    Mul,
    /// `a / b`
    Div,
    /// `a` to the power of `b`.
    Pow,
}

/// Zeros around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// Rows above, columns left, rows below, columns right.
    Explicit([usize; 4]),
    /// So that the output has `ceil(input / stride)` rows; the odd one goes below and to the right.
    SameUpper,
    /// The same with the odd one above and to the left.
    SameLower,
}

/// How a window moves over a picture: a convolution's or a pool's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width of the window.
    pub kernel: [usize; 2],
    /// Steps down and to the right.
    pub strides: [usize; 2],
    /// Distances between the window's taps.
    pub dilations: [usize; 2],
    /// What is put around the picture.
    pub padding: Padding,
}

/// What a pool makes of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The largest value.
    Max,
    /// The mean, over the picture's own pixels or over the padding too.
    Average {
        /// Whether padding counts.
        count_include_pad: bool,
    },
}

/// What a node does. Shapes are NCHW.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// Inputs: picture, weights `[O, I/groups, kh, kw]`, bias `[O]` or none.
    Conv {
        /// Kernel, strides, padding.
        window: Window,
        /// Groups of channels that don't see each other.
        groups: usize,
        /// Applied to the result.
        activation: Option<Unary>,
    },
    /// Inputs: picture, weights `[I, O/groups, kh, kw]`, bias `[O]` or none.
    ConvTranspose {
        /// Kernel, strides, padding.
        window: Window,
        /// Rows and columns added below and to the right of the output.
        output_padding: [usize; 2],
        /// Groups of channels that don't see each other.
        groups: usize,
        /// Applied to the result.
        activation: Option<Unary>,
    },
    /// Inputs: tensor, weights `[I, O]`, bias `[O]` or none.
    Linear {
        /// Applied to the result.
        activation: Option<Unary>,
    },
    /// Inputs: tensor, scale, bias, mean, variance, each of one value per channel (axis 1).
    BatchNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Inputs: tensor, scale and bias of the size of its last axis.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// A pool over the two last axes.
    Pool {
        /// Largest or mean.
        kind: Pool,
        /// Kernel, strides, padding.
        window: Window,
    },
    /// A function of each element.
    Unary(Unary),
    /// Arithmetic on two tensors.
    Binary(Binary),
    /// Matrix product over the two last axes.
    MatMul,
    /// Over one axis, which may count from the end.
    Softmax {
        /// The axis.
        axis: i64,
        /// Whether it runs over all axes from that one on, as before version 13; only the last is supported then.
        flattened: bool,
    },
    /// Means over axes, which may count from the end.
    ReduceMean {
        /// The axes; none means all.
        axes: Vec<i64>,
        /// Whether they stay, as 1.
        keep: bool,
    },
    /// The order of the axes.
    Transpose(Vec<usize>),
    /// Joins along an axis.
    Concat(i64),
    /// Nearest neighbour (asymmetric, floor) by whole factors, as the factor of each axis.
    Upsample(Vec<usize>),
    /// Inputs: tensor, its new sizes. Nearest neighbour (asymmetric, floor): of `n` values on an axis made `m`, the one
    /// at `i` is that at `floor(i / (m / n))`.
    Resize,
    /// Repeats or drops rows and columns of a picture: which row and which column each of the new ones is. Made by
    /// `specialise`.
    Nearest {
        /// The row of the operand for each row of the output.
        rows: Vec<usize>,
        /// The column of the operand for each column of the output.
        columns: Vec<usize>,
    },
    /// Inputs: tensor, sizes of the parts or none for equal ones. One part of a tensor cut along an axis; a node of the
    /// file is one of these for each of its outputs.
    Split {
        /// The axis, which may count from the end.
        axis: i64,
        /// Which part.
        part: usize,
        /// How many there are.
        parts: usize,
    },
    /// Integers of another width: all have 64 bits here. Only the host has integers.
    Integers,
    /// Inputs: tensor, new shape, with 0 for "as before" unless `allow_zero`, and one -1.
    Reshape {
        /// Whether 0 is a size.
        allow_zero: bool,
    },
    /// Drops axes of size 1; none listed means all of them.
    Squeeze(Vec<i64>),
    /// Adds axes of size 1.
    Unsqueeze(Vec<i64>),
    /// Inputs: tensor, starts, ends, axes or none, steps or none.
    Slice,
    /// Inputs: tensor, indices along the axis.
    Gather(i64),
    /// The input's shape, a list of integers.
    Shape,
    /// Nothing.
    Identity,
    /// Takes the elements in order as a tensor of this shape. Made by `specialise`.
    View(Vec<usize>),
    /// Start, end and step along each axis. Made by `specialise`.
    Crop(Vec<[usize; 3]>),
}

impl Op {
    /// ONNX's name for it, or the nearest one.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::ConvTranspose { .. } => "ConvTranspose",
            Self::Linear { .. } => "Linear",
            Self::BatchNorm { .. } => "BatchNormalization",
            Self::LayerNorm { .. } => "LayerNormalization",
            Self::Pool {
                kind: Pool::Max, ..
            } => "MaxPool",
            Self::Pool { .. } => "AveragePool",
            Self::Unary(unary) => match unary {
                Unary::Relu => "Relu",
                Unary::Sigmoid => "Sigmoid",
                Unary::HardSigmoid { .. } => "HardSigmoid",
                Unary::HardSwish { .. } => "HardSwish",
                Unary::Silu => "Silu",
                Unary::Gelu => "Gelu",
                Unary::Erf => "Erf",
                Unary::Sqrt => "Sqrt",
                Unary::Exp => "Exp",
                Unary::Clip { .. } => "Clip",
            },
            Self::Binary(binary) => match binary {
                Binary::Add => "Add",
                Binary::Sub => "Sub",
                Binary::Mul => "Mul",
                Binary::Div => "Div",
                Binary::Pow => "Pow",
            },
            Self::MatMul => "MatMul",
            Self::Softmax { .. } => "Softmax",
            Self::ReduceMean { .. } => "ReduceMean",
            Self::Transpose(_) => "Transpose",
            Self::Concat(_) => "Concat",
            Self::Upsample(_) | Self::Resize | Self::Nearest { .. } => "Resize",
            Self::Split { .. } => "Split",
            Self::Integers => "Cast",
            Self::Reshape { .. } | Self::View(_) => "Reshape",
            Self::Squeeze(_) => "Squeeze",
            Self::Unsqueeze(_) => "Unsqueeze",
            Self::Slice | Self::Crop(_) => "Slice",
            Self::Gather(_) => "Gather",
            Self::Shape => "Shape",
            Self::Identity => "Identity",
        }
    }
}

/// One step of a model.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its name in the file, or its output's.
    pub name: String,
    /// What it does.
    pub op: Op,
    /// Its operands; `None` for one left out in the middle.
    pub inputs: Vec<Option<ValueId>>,
    /// What it makes.
    pub output: ValueId,
}

impl Node {
    /// Operand `index`, where it is there.
    pub fn input(&self, index: usize) -> Option<ValueId> {
        self.inputs.get(index).copied().flatten()
    }

    /// An error that names this node.
    pub fn unsupported(&self, reason: impl Into<String>) -> RuntimeError {
        RuntimeError::Unsupported {
            node: self.name.clone(),
            op: self.op.name().into(),
            reason: reason.into(),
        }
    }
}

/// A value that the model gives, under its name in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// The name in the file; empty in a graph that comes from none.
    pub name: String,
    /// The value.
    pub value: ValueId,
}

/// A model of one input and any number of outputs. A node's operands are made before it: the nodes run in order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    /// The steps, in order.
    pub nodes: Vec<Node>,
    /// Values the file states.
    pub constants: BTreeMap<ValueId, Constant>,
    /// The model's input.
    pub input: ValueId,
    /// What the model gives, in the file's order.
    pub outputs: Vec<Output>,
    /// How many values there are; every [`ValueId`] is smaller.
    pub values: usize,
}

impl Graph {
    /// Adds a constant.
    pub fn add_constant(&mut self, constant: Constant) -> ValueId {
        let id = self.values;
        self.values += 1;
        self.constants.insert(id, constant);
        id
    }

    /// The index of the node that makes each value.
    pub fn producers(&self) -> Vec<Option<usize>> {
        let mut producers = vec![None; self.values];
        for (index, node) in self.nodes.iter().enumerate() {
            producers[node.output] = Some(index);
        }
        producers
    }

    /// The value of a model's only output.
    pub fn sole_output(&self) -> Option<ValueId> {
        match self.outputs.as_slice() {
            [output] => Some(output.value),
            _ => None,
        }
    }

    /// The outputs' names, in the file's order.
    pub fn output_names(&self) -> Vec<String> {
        self.outputs.iter().map(|o| o.name.clone()).collect()
    }

    /// Whether the model gives this value.
    pub fn is_output(&self, value: ValueId) -> bool {
        self.outputs.iter().any(|output| output.value == value)
    }

    /// How often each value is read, an output of the model once more.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values];
        for input in self.nodes.iter().flat_map(|n| &n.inputs).flatten() {
            uses[*input] += 1;
        }
        for output in &self.outputs {
            uses[output.value] += 1;
        }
        uses
    }

    /// Makes every reader of `old` read `new`.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        for input in self.nodes.iter_mut().flat_map(|n| &mut n.inputs).flatten() {
            if *input == old {
                *input = new;
            }
        }
        for output in &mut self.outputs {
            if output.value == old {
                output.value = new;
            }
        }
    }

    /// Drops nodes and constants that nothing reads.
    pub fn remove_dead(&mut self) {
        let mut live = vec![false; self.values];
        for output in &self.outputs {
            live[output.value] = true;
        }
        for node in self.nodes.iter().rev() {
            if live[node.output] {
                for input in node.inputs.iter().flatten() {
                    live[*input] = true;
                }
            }
        }
        self.nodes.retain(|n| live[n.output]);
        self.constants.retain(|id, _| live[*id]);
    }

    /// The floats of a constant value.
    pub fn floats(&self, value: Option<ValueId>) -> Option<&[f32]> {
        self.constants.get(&value?)?.as_f32()
    }

    /// The only float of a constant value.
    pub fn scalar(&self, value: Option<ValueId>) -> Option<f32> {
        self.constants.get(&value?)?.scalar()
    }
}
