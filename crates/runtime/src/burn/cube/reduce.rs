//! Kernels whose units work together on one result: means, norms, gates, the best class.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::activation::{Activation, activate, activation};
use super::{cubes, empty, optional, vector};
use crate::graph::Unary;

/// Vectors of channels that a cube of [`mean_kernel`] takes together, and the units that share each.
const MEAN_COLUMNS: usize = 8;
const MEAN_ROWS: usize = 16;

#[cube(launch_unchecked)]
fn mean_kernel<N: Size>(
    picture: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    pixels: usize,
    columns: usize,
) {
    let column = CUBE_POS_X as usize * MEAN_COLUMNS + UNIT_POS_X as usize;
    let batch = CUBE_POS_Y as usize;
    let row = UNIT_POS_Y as usize;
    let mut sums = Shared::<[Vector<f32, N>]>::new_slice(MEAN_COLUMNS * MEAN_ROWS);
    let mut sum = Vector::<f32, N>::new(0.0);
    if column < columns {
        let mut pixel = row;
        while pixel < pixels {
            sum += picture[(batch * pixels + pixel) * columns + column];
            pixel += MEAN_ROWS;
        }
    }
    sums[row * MEAN_COLUMNS + UNIT_POS_X as usize] = sum;
    sync_cube();
    if row == 0 && column < columns {
        #[unroll]
        for other in 1..MEAN_ROWS {
            sum += sums[other * MEAN_COLUMNS + UNIT_POS_X as usize];
        }
        out[batch * columns + column] = sum / Vector::new(pixels as f32);
    }
}

/// The mean of each channel of `[N, H, W, C]`, as `[N, 1, 1, C]`.
pub(super) fn mean(picture: &CubeTensor) -> CubeTensor {
    let [n, height, width, channels] = picture.meta.shape().dims();
    let lanes = vector(channels);
    let columns = channels / lanes;
    let made = empty(picture, [n, 1, 1, channels]);
    // SAFETY: the kernel checks its column; its rows follow from the sizes.
    unsafe {
        mean_kernel::launch_unchecked(
            &made.client,
            CubeCount::Static(columns.div_ceil(MEAN_COLUMNS) as u32, n as u32, 1),
            CubeDim::new_2d(MEAN_COLUMNS as u32, MEAN_ROWS as u32),
            lanes,
            picture.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            height * width,
            columns,
        );
    }
    made
}

/// Units of a cube that shares a row or a picture.
const UNITS: usize = 64;
/// Most channels, outer and inner, of a gate that one cube computes.
pub(super) const MAX_GATE: [usize; 2] = [1024, 512];

#[cube(launch_unchecked)]
fn gate_kernel(
    mean: &[f32],
    narrow: &[f32],
    narrow_bias: &[f32],
    wide: &[f32],
    wide_bias: &[f32],
    out: &mut [f32],
    channels: usize,
    inner: usize,
    squeeze: Activation,
    excite: Activation,
) {
    let first = UNIT_POS as usize;
    let batch = CUBE_POS_X as usize;
    let mut means = Shared::<[f32]>::new_slice(comptime![MAX_GATE[0]]);
    let mut middle = Shared::<[f32]>::new_slice(comptime![MAX_GATE[1]]);
    let mut at = first;
    while at < channels {
        means[at] = mean[batch * channels + at];
        at += UNITS;
    }
    sync_cube();
    at = first;
    while at < inner {
        let mut sum = narrow_bias[at];
        for c in 0..channels {
            sum += means[c] * narrow[c * inner + at];
        }
        middle[at] = one(sum, &squeeze);
        at += UNITS;
    }
    sync_cube();
    at = first;
    while at < channels {
        let mut sum = wide_bias[at];
        for c in 0..inner {
            sum += middle[c] * wide[c * channels + at];
        }
        out[batch * channels + at] = one(sum, &excite);
        at += UNITS;
    }
}

#[cube]
fn one(x: f32, function: &Activation) -> f32 {
    let made = activate(Vector::<f32, Const<1>>::new(x), function);
    made.extract(0usize)
}

/// Two layers over the means of a picture's channels: `[N, 1, 1, C]` → `[N, 1, 1, C]`, by way of the fewer channels
/// of `narrow`. Weights are `[I, O]`.
pub(super) fn gate(
    mean: &CubeTensor,
    narrow: [&CubeTensor; 2],
    wide: [&CubeTensor; 2],
    functions: [Option<Unary>; 2],
) -> CubeTensor {
    let [n, _, _, channels] = mean.meta.shape().dims();
    let inner = narrow[1].meta.shape()[0];
    let made = empty(mean, [n, 1, 1, channels]);
    // SAFETY: every index follows from the sizes, which the caller keeps within `MAX_GATE`.
    unsafe {
        gate_kernel::launch_unchecked(
            &made.client,
            CubeCount::Static(n as u32, 1, 1),
            CubeDim::new_1d(UNITS as u32),
            mean.clone().into_buffer_arg(),
            narrow[0].clone().into_buffer_arg(),
            narrow[1].clone().into_buffer_arg(),
            wide[0].clone().into_buffer_arg(),
            wide[1].clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            channels,
            inner,
            activation(functions[0]),
            activation(functions[1]),
        );
    }
    made
}

/// What the units of a cube bring together: every one of them gets the sum.
#[cube]
fn sum_of(value: f32, shared: &mut Shared<[f32]>) -> f32 {
    sync_cube();
    shared[UNIT_POS as usize] = value;
    sync_cube();
    let mut sum = 0.0f32;
    for i in 0..UNITS {
        sum += shared[i];
    }
    sum
}

#[cube(launch_unchecked)]
fn layer_norm_kernel(
    rows: &[f32],
    scale: &[f32],
    bias: ComptimeOption<&[f32]>,
    out: &mut [f32],
    size: usize,
    epsilon: f32,
) {
    let first = UNIT_POS as usize;
    let start = CUBE_POS * size;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let mut part = 0.0f32;
    let mut at = first;
    while at < size {
        part += rows[start + at];
        at += UNITS;
    }
    let mean = sum_of(part, &mut shared) / size as f32;
    part = 0.0f32;
    at = first;
    while at < size {
        let off = rows[start + at] - mean;
        part += off * off;
        at += UNITS;
    }
    let variance = sum_of(part, &mut shared) / size as f32;
    let factor = 1.0f32 / (variance + epsilon).sqrt();
    at = first;
    while at < size {
        let made = (rows[start + at] - mean) * factor * scale[at];
        #[comptime]
        if let ComptimeOption::Some(bias) = &bias {
            out[start + at] = made + bias[at];
        } else {
            out[start + at] = made;
        }
        at += UNITS;
    }
}

/// Layer normalisation over the last axis of a contiguous tensor.
pub(super) fn layer_norm(
    tensor: &CubeTensor,
    scale: &CubeTensor,
    bias: Option<&CubeTensor>,
    epsilon: f32,
) -> CubeTensor {
    let shape: Vec<usize> = tensor.meta.shape().iter().copied().collect();
    let size = shape[shape.len() - 1];
    let rows: usize = shape[..shape.len() - 1].iter().product();
    let made = empty(tensor, shape);
    // SAFETY: a cube for each row, and indices within it.
    unsafe {
        layer_norm_kernel::launch_unchecked(
            &made.client,
            cubes(rows),
            CubeDim::new_1d(UNITS as u32),
            tensor.clone().into_buffer_arg(),
            scale.clone().into_buffer_arg(),
            optional(bias),
            made.clone().into_buffer_arg(),
            size,
            epsilon,
        );
    }
    made
}

#[cube(launch_unchecked)]
fn softmax_kernel(rows: &[f32], out: &mut [f32], size: usize) {
    let first = UNIT_POS as usize;
    let start = CUBE_POS * size;
    let mut shared = Shared::<[f32]>::new_slice(UNITS);
    let mut largest = rows[start];
    let mut at = first;
    while at < size {
        largest = max(largest, rows[start + at]);
        at += UNITS;
    }
    shared[first] = largest;
    sync_cube();
    for i in 0..UNITS {
        largest = max(largest, shared[i]);
    }
    let mut part = 0.0f32;
    at = first;
    while at < size {
        part += (rows[start + at] - largest).exp();
        at += UNITS;
    }
    let sum = sum_of(part, &mut shared);
    at = first;
    while at < size {
        out[start + at] = (rows[start + at] - largest).exp() / sum;
        at += UNITS;
    }
}

/// Softmax over the last axis of a contiguous tensor.
pub(super) fn softmax(tensor: &CubeTensor) -> CubeTensor {
    let shape: Vec<usize> = tensor.meta.shape().iter().copied().collect();
    let size = shape[shape.len() - 1];
    let rows: usize = shape[..shape.len() - 1].iter().product();
    let made = empty(tensor, shape);
    // SAFETY: a cube for each row, and indices within it.
    unsafe {
        softmax_kernel::launch_unchecked(
            &made.client,
            cubes(rows),
            CubeDim::new_1d(UNITS as u32),
            tensor.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            size,
        );
    }
    made
}

#[cube(launch_unchecked)]
fn best_kernel(rows: &[f32], out: &mut [f32], size: usize, #[comptime] logits: bool) {
    let first = UNIT_POS as usize;
    let row = CUBE_POS;
    let start = row * size;
    let mut largest_of = Shared::<[f32]>::new_slice(UNITS);
    let mut class_of = Shared::<[u32]>::new_slice(UNITS);
    let mut sum_of = Shared::<[f32]>::new_slice(UNITS);
    // A unit without a class of its own looks at the first one, which changes nothing: `best` is compared with it.
    let mut best = select(first < size, first, 0);
    let mut largest = rows[start + best];
    let mut sum = select(first < size, 1.0f32, 0.0f32);
    let mut at = first + UNITS;
    while at < size {
        let value = rows[start + at];
        if value > largest {
            if logits {
                sum = sum * (largest - value).exp() + 1.0f32;
            }
            largest = value;
            best = at;
        } else if logits {
            sum += (value - largest).exp();
        }
        at += UNITS;
    }
    largest_of[first] = largest;
    class_of[first] = best as u32;
    sum_of[first] = sum;
    sync_cube();
    if first == 0 {
        for i in 1..UNITS {
            let other = largest_of[i];
            let class = class_of[i] as usize;
            if other > largest || (other == largest && class < best) {
                best = class;
            }
            if logits {
                let higher = max(largest, other);
                sum = sum * (largest - higher).exp() + sum_of[i] * (other - higher).exp();
            }
            largest = max(largest, other);
        }
        let last = rows[start + size - 1];
        out[row * 3] = best as f32;
        if logits {
            out[row * 3 + 1] = 1.0f32 / sum;
            out[row * 3 + 2] = (last - largest).exp() / sum;
        } else {
            out[row * 3 + 1] = largest;
            out[row * 3 + 2] = last;
        }
    }
}

/// The best class of each row of a contiguous `[N, T, V]`, the lowest on a tie, its probability and the last class's:
/// `[N, T, 3]`. `logits` are the scores before softmax, which then is done here, for these two.
pub(super) fn best(scores: &CubeTensor, logits: bool) -> CubeTensor {
    let [n, steps, classes] = scores.meta.shape().dims();
    let made = empty(scores, [n, steps, 3]);
    // SAFETY: a cube for each row, and indices within it.
    unsafe {
        best_kernel::launch_unchecked(
            &made.client,
            cubes(n * steps),
            CubeDim::new_1d(UNITS as u32),
            scores.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            classes,
            logits,
        );
    }
    made
}
