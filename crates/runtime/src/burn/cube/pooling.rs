//! Pools over pictures with their channels last.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{empty, units, vector};
use crate::graph::{Pool, Window};

/// What a kernel makes of a window, each a pipeline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Largest,
    /// Over the picture's own pixels.
    Mean,
    /// Over the padding too.
    MeanWithPadding,
}

#[derive(CubeType, CubeLaunch)]
struct Geometry {
    height: usize,
    width: usize,
    out_height: usize,
    out_width: usize,
    columns: usize,
    vectors: usize,
    kernel_height: usize,
    kernel_width: usize,
    stride_y: usize,
    stride_x: usize,
    dilation_y: usize,
    dilation_x: usize,
    above: usize,
    left: usize,
}

#[cube(launch_unchecked)]
fn pool_kernel<N: Size>(
    picture: &[Vector<f32, N>],
    out: &mut [Vector<f32, N>],
    g: Geometry,
    #[comptime] kind: Kind,
) {
    let at = ABSOLUTE_POS;
    if at >= g.vectors {
        terminate!();
    }
    let column = at % g.columns;
    let pixel = at / g.columns;
    let out_x = pixel % g.out_width;
    let row = pixel / g.out_width;
    let (batch, out_y) = (row / g.out_height, row % g.out_height);
    let largest = comptime![matches!(kind, Kind::Largest)];
    let mut value = Vector::<f32, N>::new(0.0);
    if largest {
        value = Vector::new(-3.0e38);
    }
    let mut count = 0.0f32;
    for ky in 0..g.kernel_height {
        let y = out_y * g.stride_y + ky * g.dilation_y;
        for kx in 0..g.kernel_width {
            let x = out_x * g.stride_x + kx * g.dilation_x;
            if y >= g.above && x >= g.left && y < g.above + g.height && x < g.left + g.width {
                let from = (batch * g.height + (y - g.above)) * g.width + (x - g.left);
                let seen = picture[from * g.columns + column];
                if largest {
                    value = max(value, seen);
                } else {
                    value += seen;
                }
                count += 1.0f32;
            }
        }
    }
    match comptime![kind] {
        Kind::Largest => out[at] = value,
        Kind::Mean => out[at] = value / Vector::new(count),
        Kind::MeanWithPadding => {
            out[at] = value / Vector::new((g.kernel_height * g.kernel_width) as f32)
        }
    }
}

/// A pool of `[N, H, W, C]`. `pads` are the rows above and the columns to the left, `out` is the output's shape.
pub(super) fn pool(
    picture: &CubeTensor,
    kind: Pool,
    window: &Window,
    pads: [usize; 2],
    out: [usize; 4],
) -> CubeTensor {
    let [_, height, width, channels] = picture.meta.shape().dims();
    let lanes = vector(channels);
    let made = empty(picture, out);
    let vectors = out.iter().product::<usize>() / lanes;
    let (count, dim) = units(&made, vectors);
    let kind = match kind {
        Pool::Max => Kind::Largest,
        Pool::Average {
            count_include_pad: false,
        } => Kind::Mean,
        Pool::Average { .. } => Kind::MeanWithPadding,
    };
    // SAFETY: the kernel checks its place and its pixels.
    unsafe {
        pool_kernel::launch_unchecked(
            &made.client,
            count,
            dim,
            lanes,
            picture.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            GeometryLaunch::new(
                height,
                width,
                out[1],
                out[2],
                channels / lanes,
                vectors,
                window.kernel[0],
                window.kernel[1],
                window.strides[0],
                window.strides[1],
                window.dilations[0],
                window.dilations[1],
                pads[0],
                pads[1],
            ),
            kind,
        );
    }
    made
}
