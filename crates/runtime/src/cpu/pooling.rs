//! Pools of NHWC pictures.

use super::simd::Isa;
use super::simd::{Kernel, Scalar, Simd};

/// A pool of one picture, by address.
#[derive(Clone, Copy)]
pub(super) struct Pool {
    /// The largest value rather than the mean.
    pub(super) largest: bool,
    /// The mean counts the padding.
    pub(super) count_padding: bool,
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    pub(super) dilations: [usize; 2],
    /// Above, left, below, right.
    pub(super) pads: [usize; 4],
    pub(super) input: *const f32,
    /// Height, width and channels.
    pub(super) size: [usize; 3],
    pub(super) pitch: usize,
    pub(super) row_pitch: usize,
    pub(super) output: *mut f32,
    pub(super) output_width: usize,
    pub(super) output_pitch: usize,
    pub(super) output_row_pitch: usize,
}

impl Pool {
    /// Computes row `y` of the output.
    ///
    /// # Safety
    /// The processor has `isa`, and both pictures are as large as the fields say.
    pub(super) unsafe fn row(&self, isa: Isa, y: usize) {
        let row = PoolRow { pool: *self, y };
        // SAFETY: the caller's.
        unsafe {
            if self.size[2] < isa.lanes() {
                row.run::<Scalar>();
            } else {
                isa.run(row);
            }
        }
    }
}

struct PoolRow {
    pool: Pool,
    y: usize,
}

/// The taps of a window that begins at `start` (counted from the padding's edge) which lie in `0..size`, and how many
/// lie in picture or padding.
#[inline(always)]
fn taps(
    start: usize,
    count: usize,
    step: usize,
    pad: [usize; 2],
    size: usize,
) -> (usize, usize, usize) {
    let mut inside = (count, 0, 0);
    for tap in 0..count {
        let at = start + tap * step;
        if at >= pad[0] && at < pad[0] + size {
            inside.0 = inside.0.min(tap);
            inside.1 = tap + 1;
        }
        if at < pad[0] + size + pad[1] {
            inside.2 += 1;
        }
    }
    inside
}

impl Kernel for PoolRow {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Pool {
            size: [height, width, channels],
            kernel,
            strides,
            dilations,
            pads,
            ..
        } = self.pool;
        let pool = &self.pool;
        let top = self.y * strides[0];
        let (y0, y1, rows) = taps(top, kernel[0], dilations[0], [pads[0], pads[2]], height);
        for x in 0..pool.output_width {
            let left = x * strides[1];
            let (x0, x1, columns) = taps(left, kernel[1], dilations[1], [pads[1], pads[3]], width);
            let count = if pool.count_padding {
                rows * columns
            } else {
                y1.saturating_sub(y0) * x1.saturating_sub(x0)
            };
            let share = 1.0 / count.max(1) as f32;
            let mut channel = 0;
            loop {
                // SAFETY: the taps lie in the picture. The last vector overlaps the one before it.
                unsafe {
                    let mut acc = S::splat(if pool.largest { f32::NEG_INFINITY } else { 0.0 });
                    for ky in y0..y1 {
                        for kx in x0..x1 {
                            let at = (top + ky * dilations[0] - pads[0]) * pool.row_pitch
                                + (left + kx * dilations[1] - pads[1]) * pool.pitch
                                + channel;
                            let pixel = S::load(pool.input.add(at));
                            acc = if pool.largest {
                                S::max(acc, pixel)
                            } else {
                                S::add(acc, pixel)
                            };
                        }
                    }
                    if !pool.largest {
                        acc = S::mul(acc, S::splat(share));
                    }
                    let to = self.y * pool.output_row_pitch + x * pool.output_pitch + channel;
                    S::store(pool.output.add(to), acc);
                }
                channel += S::LANES;
                if channel >= channels {
                    break;
                }
                channel = channel.min(channels - S::LANES);
            }
        }
    }
}

/// The mean of each channel over `rows * columns` pixels.
pub(super) struct Mean {
    pub(super) input: *const f32,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) pitch: usize,
    pub(super) row_pitch: usize,
    pub(super) channels: usize,
    pub(super) output: *mut f32,
}

impl Mean {
    /// # Safety
    /// The processor has `isa`, the picture is as large as the fields say, `output` has room for its channels.
    pub(super) unsafe fn all(self, isa: Isa) {
        // SAFETY: the caller's.
        unsafe {
            if self.channels < isa.lanes() {
                self.run::<Scalar>();
            } else {
                isa.run(self);
            }
        }
    }

    /// `NV` vectors of channels. Rows are summed by themselves, which keeps the rounding of a large picture small.
    #[inline(always)]
    unsafe fn channels<S: Simd, const NV: usize>(&self, channel: usize) {
        unsafe {
            let mut total = [S::splat(0.0); NV];
            for y in 0..self.rows {
                let mut sum = [S::splat(0.0); NV];
                let mut at = self.input.add(y * self.row_pitch + channel);
                for _ in 0..self.columns {
                    for (v, sum) in sum.iter_mut().enumerate() {
                        *sum = S::add(*sum, S::load(at.add(v * S::LANES)));
                    }
                    at = at.wrapping_add(self.pitch);
                }
                for (total, &sum) in total.iter_mut().zip(&sum) {
                    *total = S::add(*total, sum);
                }
            }
            let share = S::splat(1.0 / (self.rows * self.columns) as f32);
            for (v, &total) in total.iter().enumerate() {
                let to = self.output.add(channel + v * S::LANES);
                S::store(to, S::mul(total, share));
            }
        }
    }
}

impl Kernel for Mean {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut channel = 0;
        // SAFETY: the caller's. The last vector overlaps the one before it.
        unsafe {
            while channel + 4 * S::LANES <= self.channels {
                self.channels::<S, 4>(channel);
                channel += 4 * S::LANES;
            }
            while channel < self.channels {
                self.channels::<S, 1>(channel.min(self.channels - S::LANES));
                channel += S::LANES;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, noise};
    use super::*;

    #[test]
    fn agrees_with_the_definition() {
        for isa in Isa::available() {
            for (channels, kernel, strides, pads) in [
                (24, [2, 2], [1, 1], [0, 0, 1, 1]),
                (48, [3, 2], [3, 2], [0, 0, 0, 0]),
                (5, [3, 3], [2, 2], [1, 1, 1, 1]),
            ] {
                let [h, w] = [6, 14];
                let out = [
                    (h + pads[0] + pads[2] - kernel[0]) / strides[0] + 1,
                    (w + pads[1] + pads[3] - kernel[1]) / strides[1] + 1,
                ];
                let picture = noise(h * w * channels, 1);
                for (largest, count_padding) in [(true, false), (false, false), (false, true)] {
                    let mut made = vec![0.0; out[0] * out[1] * channels];
                    let pool = Pool {
                        largest,
                        count_padding,
                        kernel,
                        strides,
                        dilations: [1, 1],
                        pads,
                        input: picture.as_ptr(),
                        size: [h, w, channels],
                        pitch: channels,
                        row_pitch: w * channels,
                        output: made.as_mut_ptr(),
                        output_width: out[1],
                        output_pitch: channels,
                        output_row_pitch: out[1] * channels,
                    };
                    for y in 0..out[0] {
                        // SAFETY: the instruction set is available, the sizes are those of the vectors.
                        unsafe { pool.row(isa, y) };
                    }
                    for (index, &got) in made.iter().enumerate() {
                        let (y, x, c) = (
                            index / channels / out[1],
                            index / channels % out[1],
                            index % channels,
                        );
                        let mut seen = Vec::new();
                        for py in y * strides[0]..y * strides[0] + kernel[0] {
                            for px in x * strides[1]..x * strides[1] + kernel[1] {
                                if (pads[0]..h + pads[0]).contains(&py)
                                    && (pads[1]..w + pads[1]).contains(&px)
                                {
                                    let at = (py - pads[0]) * w + px - pads[1];
                                    seen.push(picture[at * channels + c]);
                                } else if count_padding {
                                    seen.push(0.0);
                                }
                            }
                        }
                        let wanted = if largest {
                            seen.iter().copied().fold(f32::NEG_INFINITY, f32::max)
                        } else {
                            seen.iter().sum::<f32>() / seen.len() as f32
                        };
                        close(got, wanted, 1e-6, &format!("{isa:?} {kernel:?}"));
                    }
                }
            }
        }
    }

    #[test]
    fn means_agree_with_the_definition() {
        for isa in Isa::available() {
            for channels in [3, 24, 96, 130] {
                let (rows, columns, pitch) = (5, 9, channels + 2);
                let picture = noise(rows * columns * pitch, 1);
                let mut made = vec![0.0; channels];
                let mean = Mean {
                    input: picture.as_ptr(),
                    rows,
                    columns,
                    pitch,
                    row_pitch: columns * pitch,
                    channels,
                    output: made.as_mut_ptr(),
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { mean.all(isa) };
                for (c, &got) in made.iter().enumerate() {
                    let sum: f32 = (0..rows * columns).map(|p| picture[p * pitch + c]).sum();
                    close(
                        got,
                        sum / (rows * columns) as f32,
                        1e-5,
                        &format!("{isa:?}"),
                    );
                }
            }
        }
    }
}
