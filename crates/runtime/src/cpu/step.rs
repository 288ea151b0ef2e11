//! One step of a program, and where it finds what it reads.

use std::sync::Arc;

use super::conv::Blocks;
use super::depthwise::DepthwiseWeights;
use super::elementwise::Axis;
use super::gemm::Panels;
use super::view::{BufferId, Matrix, Pictures, View};
use super::weights::Product;
use crate::graph::{Binary, Pool, Unary, Window};

/// A place in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) buffer: BufferId,
    pub(super) offset: usize,
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
        weights: Product,
        activation: Option<Unary>,
    },
    /// Rows times weights, activated, times weights.
    Chain {
        rows: RowsAt,
        first: Product,
        between: Option<Unary>,
        second: Product,
        activation: Option<Unary>,
    },
    /// A convolution whose outputs see all channels.
    Dense {
        pictures: PicturesAt,
        weights: Arc<Panels>,
        window: Window,
        activation: Option<Unary>,
    },
    /// A convolution of each channel by itself.
    Depthwise {
        pictures: PicturesAt,
        weights: Arc<DepthwiseWeights>,
        window: Window,
        activation: Option<Unary>,
    },
    /// A transposed convolution whose blocks don't overlap.
    Transposed {
        pictures: PicturesAt,
        weights: Arc<Blocks>,
        window: Window,
        activation: Option<Unary>,
    },
    /// A pool.
    Pool {
        pictures: PicturesAt,
        kind: Pool,
        window: Window,
    },
    /// Pixels picked by row and by column.
    Nearest {
        pictures: PicturesAt,
        rows: Vec<usize>,
        columns: Vec<usize>,
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
        squeeze: Arc<Panels>,
        first: Option<Unary>,
        excite: Arc<Panels>,
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
    /// A function of each float, in place.
    Activate { at: At, rows: Matrix, unary: Unary },
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
    ByDefinition(ByDefinition),
}

impl Step {
    /// The kind of kernel.
    pub(super) fn kernel(&self) -> &'static str {
        match self {
            Self::Product { .. } => "1x1 or linear",
            Self::Chain { .. } => "1x1 chain",
            Self::Dense { .. } => "dense convolution",
            Self::Depthwise { .. } => "depthwise",
            Self::Transposed { .. } => "transposed",
            Self::Pool { .. } => "pool",
            Self::Nearest { .. } => "resize",
            Self::Mean { .. } => "mean",
            Self::Gate { .. } => "squeeze and excite",
            Self::Elementwise { op: None, .. } => "copy",
            Self::Elementwise { .. } => "elementwise",
            Self::Activate { .. } => "activation",
            Self::LayerNorm { .. } => "layer norm",
            Self::Softmax { .. } => "softmax",
            Self::MatMul { .. } => "attention product",
            Self::ByDefinition(_) => "by definition",
        }
    }

    /// Multiplications with an addition.
    pub(super) fn macs(&self) -> u64 {
        let product = |weights: &Product| weights.size().iter().product::<usize>();
        let pixels = |p: &Pictures| p.count * p.height * p.width;
        let taps = |window: &Window| window.kernel[0] * window.kernel[1];
        let count = match self {
            Self::Product { rows, weights, .. } => rows.count * product(weights),
            Self::Chain {
                rows,
                first,
                second,
                ..
            } => rows.count * (product(first) + product(second)),
            Self::Dense {
                pictures, weights, ..
            } => pixels(&pictures.to) * weights.k() * weights.n(),
            Self::Depthwise {
                pictures, window, ..
            } => pixels(&pictures.to) * pictures.to.channels * taps(window),
            Self::Transposed {
                pictures, window, ..
            } => {
                let PicturesAt { from, to, .. } = pictures;
                pixels(from) * from.channels * to.channels * taps(window)
            }
            Self::MatMul { offsets, size, .. } => offsets.len() * size[0] * size[1] * size[2],
            _ => 0,
        };
        count as u64
    }

    /// Sizes, for people.
    pub(super) fn describe(&self) -> String {
        let inner = |weights: &Product| weights.size().map(|n| n.to_string()).join(">");
        let size = |p: &Pictures| format!("{}x{}x{}", p.height, p.width, p.channels);
        match self {
            Self::Product { rows, weights, .. } => format!("{} * {}", rows.count, inner(weights)),
            Self::Chain {
                rows,
                first,
                second,
                ..
            } => format!("{} * {}, {}", rows.count, inner(first), inner(second)),
            Self::Dense {
                pictures, window, ..
            }
            | Self::Depthwise {
                pictures, window, ..
            }
            | Self::Transposed {
                pictures, window, ..
            } => format!(
                "{} {}x{} to {}",
                size(&pictures.from),
                window.kernel[0],
                window.kernel[1],
                size(&pictures.to)
            ),
            Self::Pool { pictures, .. }
            | Self::Gate { pictures, .. }
            | Self::Nearest { pictures, .. } => size(&pictures.from),
            Self::Mean { from, .. } => size(from),
            Self::Elementwise { axes, .. } => {
                let sizes: Vec<String> = axes.iter().map(|axis| axis.size.to_string()).collect();
                sizes.join("x")
            }
            Self::Activate { rows, .. }
            | Self::LayerNorm { rows, .. }
            | Self::Softmax { rows, .. } => {
                format!("{}x{}", rows.count, rows.cols)
            }
            Self::MatMul { offsets, size, .. } => {
                format!("{} * {}x{}x{}", offsets.len(), size[0], size[1], size[2])
            }
            Self::ByDefinition(_) => String::new(),
        }
    }
}

/// Steps that follow the definition, one number after the other.
pub(super) enum ByDefinition {
    Conv(Box<AnyConv>),
    Mean { input: View, output: View },
}

/// Any convolution.
pub(super) struct AnyConv {
    pub(super) input: View,
    pub(super) weights: View,
    pub(super) bias: Option<View>,
    pub(super) output: View,
    pub(super) window: Window,
    pub(super) groups: usize,
    pub(super) transposed: bool,
}
