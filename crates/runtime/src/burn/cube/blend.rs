//! What happens to each element of a picture on its own: gates, sums, enlargement, joining, functions.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::activation::{Activation, activate, activation};
use super::{empty, optional, units, vector};
use crate::graph::Unary;

/// What a kernel does, each combination a pipeline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct With {
    /// The gate adds to the picture instead of replacing it.
    keep: bool,
    /// The other picture is smaller.
    enlarged: bool,
}

/// Sizes of a picture `[N, height, width, columns]`, the last in vectors.
#[derive(CubeType, CubeLaunch)]
struct Sizes {
    height: usize,
    width: usize,
    columns: usize,
    vectors: usize,
    /// How many pixels of the output, down and across, one of the smaller picture fills.
    factor_y: usize,
    factor_x: usize,
}

/// Where pixel `pixel` of a picture lies in the one it was enlarged from.
#[cube]
fn shrunk(pixel: usize, s: &Sizes) -> usize {
    let x = pixel % s.width;
    let row = pixel / s.width;
    let (batch, y) = (row / s.height, row % s.height);
    (batch * (s.height / s.factor_y) + y / s.factor_y) * (s.width / s.factor_x) + x / s.factor_x
}

#[cube(launch_unchecked)]
fn blend_kernel<N: Size>(
    picture: &[Vector<f32, N>],
    gate: ComptimeOption<&[Vector<f32, N>]>,
    other: ComptimeOption<&[Vector<f32, N>]>,
    out: &mut [Vector<f32, N>],
    s: Sizes,
    function: Activation,
    #[comptime] with: With,
) {
    let at = ABSOLUTE_POS;
    if at >= s.vectors {
        terminate!();
    }
    let mut value = picture[at];
    let column = at % s.columns;
    let pixel = at / s.columns;
    #[comptime]
    if let ComptimeOption::Some(gate) = &gate {
        let gated = value * gate[pixel / (s.height * s.width) * s.columns + column];
        if with.keep {
            value += gated;
        } else {
            value = gated;
        }
    }
    #[comptime]
    if let ComptimeOption::Some(other) = &other {
        if with.enlarged {
            value += other[shrunk(pixel, &s) * s.columns + column];
        } else {
            value += other[at];
        }
    }
    out[at] = activate(value, &function);
}

/// `activation(picture * gate [+ picture] + other)`, whichever of these there are.
pub(super) struct Blend<'a> {
    /// `[N, H, W, C]`; the other shapes with as many elements do as well, where there is no gate.
    pub(super) picture: &'a CubeTensor,
    /// `[N, 1, 1, C]`, and whether the picture itself is added to its product with it.
    pub(super) gate: Option<(&'a CubeTensor, bool)>,
    /// `[N, H / y, W / x, C]` with the factors `[y, x]`.
    pub(super) other: Option<(&'a CubeTensor, [usize; 2])>,
    pub(super) activation: Option<Unary>,
}

impl Blend<'_> {
    pub(super) fn run(&self) -> CubeTensor {
        let shape: Vec<usize> = self.picture.meta.shape().iter().copied().collect();
        let elements: usize = shape.iter().product();
        let [height, width, channels] = match shape[..] {
            [_, height, width, channels] => [height, width, channels],
            _ => [1, 1, elements],
        };
        let lanes = vector(channels);
        let made = empty(self.picture, shape);
        let factors = self.other.map_or([1, 1], |(_, factors)| factors);
        let (count, dim) = units(&made, elements / lanes);
        // SAFETY: the kernel checks its place, and every other index follows from the sizes.
        unsafe {
            blend_kernel::launch_unchecked(
                &made.client,
                count,
                dim,
                lanes,
                self.picture.clone().into_buffer_arg(),
                optional(self.gate.map(|(gate, _)| gate)),
                optional(self.other.map(|(other, _)| other)),
                made.clone().into_buffer_arg(),
                SizesLaunch::new(
                    height,
                    width,
                    channels / lanes,
                    elements / lanes,
                    factors[0],
                    factors[1],
                ),
                activation(self.activation),
                With {
                    keep: self.gate.is_some_and(|(_, keep)| keep),
                    enlarged: factors != [1, 1],
                },
            );
        }
        made
    }
}

#[cube(launch_unchecked)]
fn place_kernel<N: Size>(
    part: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    s: Sizes,
    first: usize,
    all_columns: usize,
) {
    let at = ABSOLUTE_POS;
    if at >= s.vectors {
        terminate!();
    }
    let column = at % s.columns;
    let pixel = at / s.columns;
    out[pixel * all_columns + first + column] = part[shrunk(pixel, &s) * s.columns + column];
}

/// Joins pictures along their channels, each enlarged by its factors `[y, x]` to `[n, height, width]`.
pub(super) fn join(
    parts: &[(CubeTensor, [usize; 2])],
    [n, height, width]: [usize; 3],
) -> CubeTensor {
    let channels = |t: &CubeTensor| t.meta.shape()[3];
    let all: usize = parts.iter().map(|(t, _)| channels(t)).sum();
    // One for all: each part has to begin and end on a whole vector.
    let lanes = parts
        .iter()
        .map(|(t, _)| vector(channels(t)))
        .min()
        .unwrap_or(1);
    let made = empty(&parts[0].0, [n, height, width, all]);
    let mut first = 0;
    for (part, factors) in parts {
        let columns = channels(part) / lanes;
        let vectors = n * height * width * columns;
        let (count, dim) = units(&made, vectors);
        // SAFETY: as above.
        unsafe {
            place_kernel::launch_unchecked(
                &made.client,
                count,
                dim,
                lanes,
                part.clone().into_buffer_arg(),
                made.clone().into_buffer_arg(),
                SizesLaunch::new(height, width, columns, vectors, factors[0], factors[1]),
                first,
                all / lanes,
            );
        }
        first += columns;
    }
    made
}

#[cube(launch_unchecked)]
fn turn_kernel(planes: &[f32], out: &mut [f32], pixels: usize, channels: usize, elements: usize) {
    let at = ABSOLUTE_POS;
    if at >= elements {
        terminate!();
    }
    let pixel = at / channels;
    let (batch, place) = (pixel / pixels, pixel % pixels);
    out[at] = planes[(batch * channels + at % channels) * pixels + place];
}

/// `[N, H, W, C]` of what lies as `[N, C, H, W]`. `turned` is that under the axes of the result.
pub(super) fn turn(turned: &CubeTensor) -> CubeTensor {
    let [n, height, width, channels] = turned.meta.shape().dims();
    let made = empty(turned, [n, height, width, channels]);
    let elements = n * height * width * channels;
    let (count, dim) = units(&made, elements);
    // SAFETY: the kernel checks its place, and every other index follows from the sizes.
    unsafe {
        turn_kernel::launch_unchecked(
            &made.client,
            count,
            dim,
            turned.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            height * width,
            channels,
            elements,
        );
    }
    made
}
