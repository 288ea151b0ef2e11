//! Attention of a short sequence to itself, softmax included.

use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

use super::{empty, units};

/// Most numbers of a head that a unit keeps in registers.
pub(super) const MAX_HEAD: usize = 64;

#[derive(CubeType, CubeLaunch)]
struct Sizes {
    steps: usize,
    heads: usize,
    /// Rows of the output: batch × steps × heads.
    rows: usize,
}

/// One unit makes one head of one step. Scores are never stored: their largest and their sum are kept up to date, and
/// what was summed under an older largest is scaled down.
#[cube(launch_unchecked)]
fn attention_kernel(
    projected: &[f32],
    out: &mut [f32],
    s: Sizes,
    scale: f32,
    #[comptime] head: usize,
) {
    let row = ABSOLUTE_POS;
    if row >= s.rows {
        terminate!();
    }
    let h = row % s.heads;
    let step = row / s.heads;
    let batch = step / s.steps;
    let width = s.heads * head;
    let query_at = step * 3 * width + h * head;
    let mut query = Array::<f32>::new(head);
    let mut sums = Array::<f32>::new(head);
    #[unroll]
    for i in 0..head {
        query[i] = projected[query_at + i] * scale;
        sums[i] = 0.0f32;
    }
    let mut largest = f32::new(-1.0e30);
    let mut total = 0.0f32;
    for other in 0..s.steps {
        let key_at = (batch * s.steps + other) * 3 * width + width + h * head;
        let value_at = key_at + width;
        let mut score = 0.0f32;
        #[unroll]
        for i in 0..head {
            score += query[i] * projected[key_at + i];
        }
        let higher = max(largest, score);
        let older = (largest - higher).exp();
        let weight = (score - higher).exp();
        largest = higher;
        total = total * older + weight;
        #[unroll]
        for i in 0..head {
            sums[i] = sums[i] * older + weight * projected[value_at + i];
        }
    }
    #[unroll]
    for i in 0..head {
        out[row * head + i] = sums[i] / total;
    }
}

/// `softmax(scale · q · kᵀ) · v` for each head. `projected` holds q, k and v of each step side by side, contiguous:
/// `[N, T, 3, heads, head]`. Makes `[N, T, heads, head]`.
pub(super) fn attention(
    projected: &CubeTensor,
    [n, steps, heads, head]: [usize; 4],
    scale: f32,
) -> CubeTensor {
    let made = empty(projected, [n, steps, heads, head]);
    let rows = n * steps * heads;
    let (count, dim) = units(&made, rows);
    // SAFETY: the kernel checks its row, and every other index follows from the sizes.
    unsafe {
        attention_kernel::launch_unchecked(
            &made.client,
            count,
            dim,
            projected.clone().into_buffer_arg(),
            made.clone().into_buffer_arg(),
            SizesLaunch::new(steps, heads, rows),
            scale,
            head,
        );
    }
    made
}
