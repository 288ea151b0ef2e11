//! Dense convolutions as implicit GEMM, and transposed ones whose blocks don't overlap.

use super::buffer::Buffer;
use super::gemm::{Gemm, Panels, Rows, TILE};
use super::simd::Isa;

/// A convolution of one NHWC picture, by address.
#[derive(Clone, Copy)]
pub(super) struct Conv<'a> {
    /// `[kh * kw * C, O]`
    pub(super) weights: &'a Panels,
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    /// Zeros above and to the left.
    pub(super) pads: [usize; 2],
    pub(super) input: *const f32,
    /// Height, width and channels.
    pub(super) size: [usize; 3],
    /// Floats from a pixel to the next one, and from a row to the next one.
    pub(super) pitch: usize,
    pub(super) row_pitch: usize,
    pub(super) output: *mut f32,
    pub(super) output_width: usize,
    pub(super) output_pitch: usize,
    pub(super) output_row_pitch: usize,
    pub(super) relu: bool,
}

impl Conv<'_> {
    /// Computes row `y` of the output. `scratch` holds the patches of the pixels at the edges.
    ///
    /// # Safety
    /// The processor has `isa`, and both pictures are as large as the fields say.
    pub(super) unsafe fn row(&self, isa: Isa, y: usize, scratch: &mut Buffer) {
        let [height, width, channels] = self.size;
        let [kh, kw] = self.kernel;
        let stride = self.strides[1];
        let pad = self.pads[1];
        // The rows of the window that lie in the picture.
        let top = y * self.strides[0];
        let first = self.pads[0].saturating_sub(top).min(kh);
        let last = (height + self.pads[0])
            .saturating_sub(top)
            .min(kh)
            .max(first);
        let line = self
            .input
            .wrapping_add((top + first).saturating_sub(self.pads[0]) * self.row_pitch);
        // The pixels whose window lies in the row.
        let from = pad.div_ceil(stride).min(self.output_width);
        let to = match (width + pad).checked_sub(kw) {
            Some(room) => (room / stride + 1).clamp(from, self.output_width),
            None => from,
        };
        let output = self.output.wrapping_add(y * self.output_row_pitch);
        let skip = first * kw * channels;
        let gemm = |rows: Rows, x: usize, m: usize| Gemm {
            rows,
            m,
            matrix: self.weights.matrix(),
            c: output.wrapping_add(x * self.output_pitch),
            c_pitch: self.output_pitch,
            residual: std::ptr::null(),
            residual_pitch: 0,
            relu: self.relu,
        };
        // A row of the window is one run of memory where nothing lies between the pixels.
        let (run, across) = if self.pitch == channels {
            (kw * channels, 1)
        } else {
            (channels, kw)
        };
        for x in (from..to).step_by(TILE) {
            let rows = Rows {
                at: line.wrapping_add((x * stride - pad) * self.pitch),
                pitch: stride * self.pitch,
                run,
                taps: [last - first, across],
                strides: [self.row_pitch, self.pitch],
                skip,
            };
            // SAFETY: the caller's; the window of these pixels lies in the picture.
            unsafe { isa.run(gemm(rows, x, TILE.min(to - x))) };
        }
        for (begin, end) in [(0, from), (to, self.output_width)] {
            let patch = (last - first) * kw * channels;
            scratch.reserve((end - begin).min(TILE) * patch);
            for x in (begin..end).step_by(TILE) {
                let m = TILE.min(end - x);
                let patches = &mut scratch.as_mut_slice()[..m * patch];
                patches.fill(0.0);
                for (i, patch) in patches.chunks_exact_mut(patch.max(1)).enumerate() {
                    for (tap, pixel) in patch.chunks_exact_mut(channels).enumerate() {
                        let at = (x + i) * stride + tap % kw;
                        if at >= pad && at < width + pad {
                            let from = line
                                .wrapping_add(tap / kw * self.row_pitch + (at - pad) * self.pitch);
                            // SAFETY: row and pixel lie in the picture.
                            pixel.copy_from_slice(unsafe {
                                std::slice::from_raw_parts(from, channels)
                            });
                        }
                    }
                }
                let rows = Rows {
                    skip,
                    ..Rows::plain(patches.as_ptr(), patch, patch)
                };
                // SAFETY: the caller's.
                unsafe { isa.run(gemm(rows, x, m)) };
            }
        }
    }
}

/// A transposed convolution whose kernel is as large as its steps, so that each pixel makes a block of its own. For
/// each row of the block one matrix `[C, kw * O]`.
#[derive(Clone)]
pub(super) struct Blocks {
    rows: Vec<Panels>,
}

impl Blocks {
    /// From ONNX's `[C, O, kh, kw]`.
    pub(super) fn pack(
        isa: Isa,
        weights: &[f32],
        bias: Option<&[f32]>,
        [channels, outputs, kh, kw]: [usize; 4],
    ) -> Self {
        let bias: Option<Vec<f32>> = bias.map(|bias| bias.repeat(kw));
        let rows = (0..kh)
            .map(|y| {
                Panels::pack(isa, channels, kw * outputs, bias.as_deref(), |c, n| {
                    weights[((c * outputs + n % outputs) * kh + y) * kw + n / outputs]
                })
            })
            .collect();
        Self { rows }
    }

    /// The `kh` output rows that a row of the picture makes; `output` is the first of them.
    ///
    /// # Safety
    /// The processor has `isa`; there are `width` pixels of `pitch` floats at `input`, and room for `kh` rows of
    /// `row_pitch` floats at `output`.
    pub(super) unsafe fn row(
        &self,
        isa: Isa,
        (input, pitch, width): (*const f32, usize, usize),
        (output, row_pitch): (*mut f32, usize),
        relu: bool,
    ) {
        for (y, panels) in self.rows.iter().enumerate() {
            for x in (0..width).step_by(TILE) {
                let gemm = Gemm {
                    rows: Rows::plain(input.wrapping_add(x * pitch), pitch, panels.k()),
                    m: TILE.min(width - x),
                    matrix: panels.matrix(),
                    c: output.wrapping_add(y * row_pitch + x * panels.n()),
                    c_pitch: panels.n(),
                    residual: std::ptr::null(),
                    residual_pitch: 0,
                    relu,
                };
                // SAFETY: the caller's.
                unsafe { isa.run(gemm) };
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
            for (channels, outputs, [h, w], kernel, strides, pads, gap) in [
                (3, 24, [9, 21], [3, 3], [2, 2], [1, 1], 0),
                (24, 12, [8, 19], [2, 2], [1, 1], [0, 0], 0),
                (48, 24, [7, 60], [3, 3], [1, 1], [1, 1], 0),
                (5, 7, [7, 11], [3, 3], [1, 1], [1, 1], 2),
                (16, 32, [5, 9], [1, 1], [2, 1], [0, 0], 3),
                (4, 4, [2, 2], [5, 5], [1, 1], [2, 2], 0),
            ] {
                // One more zero below and to the right for the even window.
                let out = [
                    (h + pads[0] + kernel[0] / 2 - kernel[0]) / strides[0] + 1,
                    (w + pads[1] + kernel[1] / 2 - kernel[1]) / strides[1] + 1,
                ];
                let (pitch, out_pitch) = (channels + gap, outputs + 1);
                let picture = noise(h * w * pitch, 1);
                let weights = noise(outputs * channels * kernel[0] * kernel[1], 2);
                let bias = noise(outputs, 3);
                let at = |o: usize, c: usize, y: usize, x: usize| {
                    weights[((o * channels + c) * kernel[0] + y) * kernel[1] + x]
                };
                let taps = kernel[0] * kernel[1];
                let packed = Panels::pack(isa, taps * channels, outputs, Some(&bias), |k, o| {
                    let tap = k / channels;
                    at(o, k % channels, tap / kernel[1], tap % kernel[1])
                });
                let mut made = vec![7.0; out[0] * out[1] * out_pitch];
                let conv = Conv {
                    weights: &packed,
                    kernel,
                    strides,
                    pads,
                    input: picture.as_ptr(),
                    size: [h, w, channels],
                    pitch,
                    row_pitch: w * pitch,
                    output: made.as_mut_ptr(),
                    output_width: out[1],
                    output_pitch: out_pitch,
                    output_row_pitch: out[1] * out_pitch,
                    relu: false,
                };
                let mut scratch = Buffer::default();
                for y in 0..out[0] {
                    // SAFETY: the instruction set is available, the sizes are those of the vectors.
                    unsafe { conv.row(isa, y, &mut scratch) };
                }
                for (index, &got) in made.iter().enumerate() {
                    let (y, x, o) = (
                        index / out_pitch / out[1],
                        index / out_pitch % out[1],
                        index % out_pitch,
                    );
                    if o >= outputs {
                        assert_eq!(got, 7.0, "{isa:?} wrote past the pixel");
                        continue;
                    }
                    let mut sum = bias[o];
                    for ky in 0..kernel[0] {
                        for kx in 0..kernel[1] {
                            let (py, px) = (y * strides[0] + ky, x * strides[1] + kx);
                            if (pads[0]..h + pads[0]).contains(&py)
                                && (pads[1]..w + pads[1]).contains(&px)
                            {
                                for c in 0..channels {
                                    sum += picture[((py - pads[0]) * w + px - pads[1]) * pitch + c]
                                        * at(o, c, ky, kx);
                                }
                            }
                        }
                    }
                    close(got, sum, 1e-4, &format!("{isa:?} {channels} {kernel:?}"));
                }
            }
        }
    }

    #[test]
    fn blocks_agree_with_the_definition() {
        for isa in Isa::available() {
            for (channels, outputs, width, kernel) in [(24, 24, 50, [2, 2]), (5, 1, 3, [2, 3])] {
                let row = noise(channels * width, 1);
                let weights = noise(channels * outputs * kernel[0] * kernel[1], 2);
                let bias = noise(outputs, 3);
                let shape = [channels, outputs, kernel[0], kernel[1]];
                let blocks = Blocks::pack(isa, &weights, Some(&bias), shape);
                let row_pitch = width * kernel[1] * outputs;
                let mut made = vec![0.0; kernel[0] * row_pitch];
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe {
                    blocks.row(
                        isa,
                        (row.as_ptr(), channels, width),
                        (made.as_mut_ptr(), row_pitch),
                        false,
                    );
                }
                for (index, &got) in made.iter().enumerate() {
                    let (y, x, o) = (
                        index / row_pitch,
                        index % row_pitch / outputs,
                        index % outputs,
                    );
                    let sum = bias[o]
                        + (0..channels)
                            .map(|c| {
                                let w =
                                    ((c * outputs + o) * kernel[0] + y) * kernel[1] + x % kernel[1];
                                row[x / kernel[1] * channels + c] * weights[w]
                            })
                            .sum::<f32>();
                    close(got, sum, 1e-4, &format!("{isa:?}"));
                }
            }
        }
    }
}
