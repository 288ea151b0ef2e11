//! Convolutions and linear layers over pictures with their channels last, bias, activation and sum included.
//!
//! Sizes of pictures are arguments and no part of the kernels, so that every size runs on the same pipelines.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::activation::{Activation, activate, activation};
use super::{empty, optional, units, vector};
use crate::graph::{Unary, Window};

/// Output pixels of one unit: they share what it reads of the weights.
const PIXELS: usize = 4;

/// What a kernel does, each combination a pipeline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct With {
    /// The window is one pixel, so output pixels are input pixels.
    pointwise: bool,
    /// Each input pixel makes a block of output pixels.
    blocks: bool,
}

#[derive(CubeType, CubeLaunch)]
struct Geometry {
    height: usize,
    width: usize,
    channels: usize,
    out_height: usize,
    out_width: usize,
    /// Pixels of the output, of the whole batch.
    pixels: usize,
    /// Vectors of one output pixel.
    columns: usize,
    kernel_height: usize,
    kernel_width: usize,
    stride_y: usize,
    stride_x: usize,
    dilation_y: usize,
    dilation_x: usize,
    above: usize,
    left: usize,
}

/// Where pixel `index` of the output begins to look, with the padding still in it: `(batch, y, x)`.
#[cube]
fn corner(index: usize, g: &Geometry) -> (usize, usize, usize) {
    let x = index % g.out_width;
    let rest = index / g.out_width;
    (
        rest / g.out_height,
        (rest % g.out_height) * g.stride_y,
        x * g.stride_x,
    )
}

/// A pixel's place in the picture under one tap, and whether it is inside.
#[cube]
fn tap(batch: usize, y: usize, x: usize, g: &Geometry) -> (usize, bool) {
    let inside = y >= g.above && x >= g.left && y < g.above + g.height && x < g.left + g.width;
    let at = (batch * g.height + (y - g.above)) * g.width + (x - g.left);
    (select(inside, at, 0), inside)
}

/// What a sum begins with.
#[cube]
fn bias_of<N: Size>(bias: &ComptimeOption<&[Vector<f32, N>]>, at: usize) -> Vector<f32, N> {
    #[comptime]
    if let ComptimeOption::Some(bias) = bias {
        bias[at]
    } else {
        Vector::new(0.0)
    }
}

#[cube]
fn with_residual<N: Size>(
    made: Vector<f32, N>,
    residual: &ComptimeOption<&[Vector<f32, N>]>,
    at: usize,
) -> Vector<f32, N> {
    #[comptime]
    if let ComptimeOption::Some(residual) = residual {
        made + residual[at]
    } else {
        made
    }
}

#[cube(launch_unchecked)]
fn dense_kernel<I: Size, O: Size>(
    picture: &[Vector<f32, I>],
    weights: &[Vector<f32, O>],
    bias: ComptimeOption<&[Vector<f32, O>]>,
    residual: ComptimeOption<&[Vector<f32, O>]>,
    out: &mut [Vector<f32, O>],
    g: Geometry,
    function: Activation,
    #[comptime] with: With,
) {
    let column = ABSOLUTE_POS % g.columns;
    let first = ABSOLUTE_POS / g.columns * PIXELS;
    if first >= g.pixels {
        terminate!();
    }
    let mut sums = Array::<Vector<f32, O>>::new(PIXELS);
    // The columns of a block are the channels of each of its places.
    let channel = if with.blocks {
        column % (g.columns / (g.kernel_height * g.kernel_width))
    } else {
        column
    };
    let start = bias_of(&bias, channel);
    #[unroll]
    for i in 0..PIXELS {
        sums[i] = start;
    }
    let lanes = I::value().comptime();
    let depth = g.channels / lanes;
    let last = g.pixels - 1;
    if with.pointwise {
        for c in 0..depth {
            let mut seen = Array::<Vector<f32, I>>::new(PIXELS);
            #[unroll]
            for i in 0..PIXELS {
                seen[i] = picture[min(first + i, last) * depth + c];
            }
            #[unroll]
            for k in 0..lanes {
                let weight = weights[(c * lanes + k) * g.columns + column];
                #[unroll]
                for i in 0..PIXELS {
                    sums[i] += Vector::new(seen[i].extract(k)) * weight;
                }
            }
        }
    } else {
        for ky in 0..g.kernel_height {
            for kx in 0..g.kernel_width {
                let mut places = Array::<usize>::new(PIXELS);
                let mut masks = Array::<f32>::new(PIXELS);
                #[unroll]
                for i in 0..PIXELS {
                    let (batch, y, x) = corner(min(first + i, last), &g);
                    let (at, inside) = tap(batch, y + ky * g.dilation_y, x + kx * g.dilation_x, &g);
                    places[i] = at * depth;
                    masks[i] = select(inside, 1.0, 0.0);
                }
                let row = (ky * g.kernel_width + kx) * g.channels;
                for c in 0..depth {
                    let mut seen = Array::<Vector<f32, I>>::new(PIXELS);
                    #[unroll]
                    for i in 0..PIXELS {
                        seen[i] = picture[places[i] + c] * Vector::new(masks[i]);
                    }
                    #[unroll]
                    for k in 0..lanes {
                        let weight = weights[(row + c * lanes + k) * g.columns + column];
                        #[unroll]
                        for i in 0..PIXELS {
                            sums[i] += Vector::new(seen[i].extract(k)) * weight;
                        }
                    }
                }
            }
        }
    }
    #[unroll]
    for i in 0..PIXELS {
        if first + i < g.pixels {
            let mut at = (first + i) * g.columns + column;
            if with.blocks {
                // A pixel's columns are a block of kernel_height × kernel_width pixels.
                let outputs = g.columns / (g.kernel_height * g.kernel_width);
                let (batch, y, x) = corner(first + i, &g);
                let place = column / outputs;
                let row = (batch * g.out_height + y) * g.kernel_height + place / g.kernel_width;
                let pixel = (row * g.out_width + x) * g.kernel_width + place % g.kernel_width;
                at = pixel * outputs + column % outputs;
            }
            out[at] = with_residual(activate(sums[i], &function), &residual, at);
        }
    }
}

#[cube(launch_unchecked)]
fn depthwise_kernel<N: Size>(
    picture: &[Vector<f32, N>],
    weights: &[Vector<f32, N>],
    bias: ComptimeOption<&[Vector<f32, N>]>,
    residual: ComptimeOption<&[Vector<f32, N>]>,
    out: &mut [Vector<f32, N>],
    g: Geometry,
    function: Activation,
    #[comptime] keep: bool,
) {
    let column = ABSOLUTE_POS % g.columns;
    let pixel = ABSOLUTE_POS / g.columns;
    if pixel >= g.pixels {
        terminate!();
    }
    let mut sum = bias_of(&bias, column);
    let (batch, y, x) = corner(pixel, &g);
    for ky in 0..g.kernel_height {
        for kx in 0..g.kernel_width {
            let (at, inside) = tap(batch, y + ky * g.dilation_y, x + kx * g.dilation_x, &g);
            if inside {
                sum += picture[at * g.columns + column]
                    * weights[(ky * g.kernel_width + kx) * g.columns + column];
            }
        }
    }
    let at = pixel * g.columns + column;
    let mut made = with_residual(activate(sum, &function), &residual, at);
    if keep {
        made += picture[at];
    }
    out[at] = made;
}

/// What a layer reads; every tensor contiguous, pictures as `[N, H, W, C]`.
pub(super) struct Layer<'a> {
    pub(super) picture: &'a CubeTensor,
    pub(super) weights: &'a CubeTensor,
    pub(super) bias: Option<&'a CubeTensor>,
    /// Added last; of the output's shape.
    pub(super) residual: Option<&'a CubeTensor>,
    pub(super) activation: Option<Unary>,
}

/// `[n, h, w]` of the output and the window of a layer.
fn geometry(
    picture: [usize; 4],
    out: [usize; 3],
    columns: usize,
    window: &Window,
    pads: [usize; 2],
) -> GeometryLaunch {
    let [_, height, width, channels] = picture;
    let [batch, out_height, out_width] = out;
    GeometryLaunch::new(
        height,
        width,
        channels,
        out_height,
        out_width,
        batch * out_height * out_width,
        columns,
        window.kernel[0],
        window.kernel[1],
        window.strides[0],
        window.strides[1],
        window.dilations[0],
        window.dilations[1],
        pads[0],
        pads[1],
    )
}

/// A convolution whose every output channel sees every input channel. `weights` are `[kh, kw, I, O]`, `pads` the
/// rows above and the columns to the left, `out` the shape `[N, H, W, O]` of the output.
pub(super) fn dense(
    layer: &Layer<'_>,
    window: &Window,
    pads: [usize; 2],
    out: [usize; 4],
) -> CubeTensor {
    let picture: [usize; 4] = layer.picture.meta.shape().dims();
    let pointwise = window.kernel == [1, 1] && window.strides == [1, 1] && picture[..3] == out[..3];
    let lanes = vector(out[3]);
    let made = empty(layer.picture, out);
    launch_dense(
        layer,
        geometry(
            picture,
            [out[0], out[1], out[2]],
            out[3] / lanes,
            window,
            pads,
        ),
        out[0] * out[1] * out[2],
        out[3] / lanes,
        lanes,
        With {
            pointwise,
            blocks: false,
        },
        &made,
    );
    made
}

/// A transposed convolution whose blocks don't overlap: stride and kernel are the same. `weights` are
/// `[I, kh, kw, O]`, `outputs` is `O`.
pub(super) fn blocks(layer: &Layer<'_>, window: &Window, outputs: usize) -> CubeTensor {
    let picture: [usize; 4] = layer.picture.meta.shape().dims();
    let [batch, height, width, _] = picture;
    let [kh, kw] = window.kernel;
    let lanes = vector(outputs);
    let columns = kh * kw * outputs / lanes;
    let made = empty(layer.picture, [batch, height * kh, width * kw, outputs]);
    let one = Window {
        strides: [1, 1],
        ..*window
    };
    launch_dense(
        layer,
        geometry(picture, [batch, height, width], columns, &one, [0, 0]),
        batch * height * width,
        columns,
        lanes,
        With {
            pointwise: true,
            blocks: true,
        },
        &made,
    );
    made
}

fn launch_dense(
    layer: &Layer<'_>,
    geometry: GeometryLaunch,
    pixels: usize,
    columns: usize,
    lanes: usize,
    with: With,
    made: &CubeTensor,
) {
    let channels = layer.picture.meta.shape()[3];
    let (count, dim) = units(made, pixels.div_ceil(PIXELS) * columns);
    // SAFETY: the kernel checks its pixel, and every other index follows from the geometry.
    unsafe {
        dense_kernel::launch_unchecked(
            &made.client,
            count,
            dim,
            vector(channels),
            lanes,
            layer.picture.clone().into_buffer_arg(),
            layer.weights.clone().into_buffer_arg(),
            optional(layer.bias),
            optional(layer.residual),
            made.clone().into_buffer_arg(),
            geometry,
            activation(layer.activation),
            with,
        );
    }
}

/// A convolution of each channel on its own. `weights` are `[kh, kw, C]`; the rest is as for [`dense`]. With `keep` the
/// picture itself, which then has the output's shape, is added to the result.
pub(super) fn depthwise(
    layer: &Layer<'_>,
    window: &Window,
    pads: [usize; 2],
    out: [usize; 4],
    keep: bool,
) -> CubeTensor {
    let picture: [usize; 4] = layer.picture.meta.shape().dims();
    let lanes = vector(out[3]);
    let made = empty(layer.picture, out);
    let columns = out[3] / lanes;
    let (count, dim) = units(&made, out[0] * out[1] * out[2] * columns);
    // SAFETY: as above.
    unsafe {
        depthwise_kernel::launch_unchecked(
            &made.client,
            count,
            dim,
            lanes,
            layer.picture.clone().into_buffer_arg(),
            layer.weights.clone().into_buffer_arg(),
            optional(layer.bias),
            optional(layer.residual),
            made.clone().into_buffer_arg(),
            geometry(picture, [out[0], out[1], out[2]], columns, window, pads),
            activation(layer.activation),
            keep,
        );
    }
    made
}
