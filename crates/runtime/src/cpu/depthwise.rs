//! Depthwise convolution of NHWC pictures, straight from memory: a vector of channels at a time, several neighbouring
//! pixels at once, so that what is loaded serves each of them.

use super::buffer::Buffer;
use super::simd::{Isa, Kernel, Scalar, Simd};

/// Weights `[kh * kw, C]` and a bias `[C]`.
#[derive(Clone)]
pub(super) struct DepthwiseWeights {
    taps: Buffer,
    bias: Buffer,
    channels: usize,
}

impl DepthwiseWeights {
    /// From ONNX's `[C, 1, kh, kw]`.
    pub(super) fn pack(weights: &[f32], bias: Option<&[f32]>, channels: usize) -> Self {
        let taps = weights.len() / channels;
        let mut packed = Buffer::zeros(weights.len());
        for (index, value) in packed.as_mut_slice()[..weights.len()]
            .iter_mut()
            .enumerate()
        {
            *value = weights[(index % channels) * taps + index / channels];
        }
        let mut padded = Buffer::zeros(channels);
        if let Some(bias) = bias {
            padded.as_mut_slice()[..channels].copy_from_slice(bias);
        }
        Self {
            taps: packed,
            bias: padded,
            channels,
        }
    }
}

/// One row of the output.
pub(super) struct DepthwiseRow {
    /// The picture's first row that the window touches.
    input: *const f32,
    /// Floats from a pixel to the next one, and from a row to the next one.
    pitch: usize,
    row_pitch: usize,
    /// Pixels in a row of the picture.
    width: usize,
    weights: *const f32,
    bias: *const f32,
    channels: usize,
    /// Rows of the window that lie in the picture: the first one, and how many.
    rows: [usize; 2],
    /// Columns of the window.
    columns: usize,
    stride: usize,
    /// Zeros to the left.
    pad: usize,
    output: *mut f32,
    output_pitch: usize,
    output_width: usize,
}

/// A depthwise convolution of one picture, by address.
#[derive(Clone, Copy)]
pub(super) struct Depthwise<'a> {
    pub(super) weights: &'a DepthwiseWeights,
    pub(super) kernel: [usize; 2],
    pub(super) strides: [usize; 2],
    /// Zeros above and to the left.
    pub(super) pads: [usize; 2],
    pub(super) input: *const f32,
    /// Height and width.
    pub(super) size: [usize; 2],
    pub(super) pitch: usize,
    pub(super) row_pitch: usize,
    pub(super) output: *mut f32,
    pub(super) output_width: usize,
    pub(super) output_pitch: usize,
    pub(super) output_row_pitch: usize,
}

impl Depthwise<'_> {
    /// Computes row `y` of the output.
    ///
    /// # Safety
    /// The processor has `isa`, and both pictures are as large as the fields say.
    pub(super) unsafe fn row(&self, isa: Isa, y: usize) {
        let top = y * self.strides[0];
        let first = self.pads[0].saturating_sub(top).min(self.kernel[0]);
        let last = (self.size[0] + self.pads[0])
            .saturating_sub(top)
            .min(self.kernel[0]);
        let line = (top + first).saturating_sub(self.pads[0]);
        let row = DepthwiseRow {
            // A window that lies wholly in the padding reads nothing.
            input: self.input.wrapping_add(line * self.row_pitch),
            pitch: self.pitch,
            row_pitch: self.row_pitch,
            width: self.size[1],
            weights: self.weights.taps.as_ptr(),
            bias: self.weights.bias.as_ptr(),
            channels: self.weights.channels,
            rows: [first, last.saturating_sub(first)],
            columns: self.kernel[1],
            stride: self.strides[1],
            pad: self.pads[1],
            output: self.output.wrapping_add(y * self.output_row_pitch),
            output_pitch: self.output_pitch,
            output_width: self.output_width,
        };
        // SAFETY: the caller's. Fewer channels than a vector has lanes go one by one.
        unsafe {
            if self.weights.channels < isa.lanes() {
                row.run::<Scalar>();
            } else {
                isa.run(row);
            }
        }
    }
}

impl Kernel for DepthwiseRow {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // Output pixels whose window lies in the row.
        let from = self.pad.div_ceil(self.stride).min(self.output_width);
        let to = match (self.width + self.pad).checked_sub(self.columns) {
            Some(room) => (room / self.stride + 1).clamp(from, self.output_width),
            None => from,
        };
        let mut channel = 0;
        loop {
            // SAFETY: the caller's pictures. The last vector overlaps the one before it and writes the same again.
            unsafe {
                for x in (0..from).chain(to..self.output_width) {
                    self.edge::<S>(x, channel);
                }
                match (self.columns, self.stride) {
                    (3, 1) => self.inside::<S, 3, 1>(from, to, channel),
                    (3, 2) => self.inside::<S, 3, 2>(from, to, channel),
                    (5, 1) => self.inside::<S, 5, 1>(from, to, channel),
                    (7, 1) => self.inside::<S, 7, 1>(from, to, channel),
                    _ => {
                        for x in from..to {
                            self.edge::<S>(x, channel);
                        }
                    }
                }
            }
            channel += S::LANES;
            if channel >= self.channels {
                return;
            }
            channel = channel.min(self.channels - S::LANES);
        }
    }
}

impl DepthwiseRow {
    /// One pixel, its window cut where it leaves the row.
    #[inline(always)]
    unsafe fn edge<S: Simd>(&self, x: usize, channel: usize) {
        unsafe {
            let left = x * self.stride;
            let mut acc = S::load(self.bias.add(channel));
            for y in 0..self.rows[1] {
                let row = self.input.add(y * self.row_pitch + channel);
                let weights = self
                    .weights
                    .add((self.rows[0] + y) * self.columns * self.channels + channel);
                for k in 0..self.columns {
                    let at = left + k;
                    if at >= self.pad && at < self.width + self.pad {
                        let pixel = S::load(row.add((at - self.pad) * self.pitch));
                        acc = S::mul_add(pixel, S::load(weights.add(k * self.channels)), acc);
                    }
                }
            }
            S::store(self.output.add(x * self.output_pitch + channel), acc);
        }
    }

    /// Pixels whose window lies in the row.
    #[inline(always)]
    unsafe fn inside<S: Simd, const K: usize, const STRIDE: usize>(
        &self,
        from: usize,
        to: usize,
        channel: usize,
    ) {
        let mut x = from;
        unsafe {
            if S::REGISTERS >= 32 {
                while x + 8 <= to {
                    self.pixels::<S, K, STRIDE, 8>(x, channel);
                    x += 8;
                }
            }
            while x + 4 <= to {
                self.pixels::<S, K, STRIDE, 4>(x, channel);
                x += 4;
            }
            while x < to {
                self.pixels::<S, K, STRIDE, 1>(x, channel);
                x += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn pixels<S: Simd, const K: usize, const STRIDE: usize, const P: usize>(
        &self,
        x: usize,
        channel: usize,
    ) {
        unsafe {
            let mut acc = [S::load(self.bias.add(channel)); P];
            for y in 0..self.rows[1] {
                let row = self
                    .input
                    .add(y * self.row_pitch + (x * STRIDE - self.pad) * self.pitch + channel);
                let weights = self
                    .weights
                    .add((self.rows[0] + y) * K * self.channels + channel);
                let mut taps = [S::splat(0.0); K];
                for (k, tap) in taps.iter_mut().enumerate() {
                    *tap = S::load(weights.add(k * self.channels));
                }
                for j in 0..(P - 1) * STRIDE + K {
                    let pixel = S::load(row.add(j * self.pitch));
                    for (p, acc) in acc.iter_mut().enumerate() {
                        if j >= p * STRIDE && j - p * STRIDE < K {
                            *acc = S::mul_add(pixel, taps[j - p * STRIDE], *acc);
                        }
                    }
                }
            }
            for (p, &acc) in acc.iter().enumerate() {
                S::store(self.output.add((x + p) * self.output_pitch + channel), acc);
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
            for (channels, [h, w], kernel, strides, pads) in [
                (24, [9, 21], [3, 3], [1, 1], [1, 1]),
                (48, [8, 19], [3, 3], [2, 2], [1, 1]),
                (20, [7, 30], [3, 3], [2, 1], [1, 1]),
                (96, [11, 13], [7, 7], [1, 1], [3, 3]),
                (64, [6, 17], [5, 5], [1, 1], [2, 2]),
                (16, [6, 17], [5, 5], [2, 2], [2, 2]),
                (120, [1, 40], [1, 7], [1, 1], [0, 3]),
                (160, [1, 3], [1, 5], [1, 1], [0, 2]),
                (5, [4, 4], [3, 3], [1, 1], [1, 1]),
                (32, [2, 2], [7, 7], [1, 1], [3, 3]),
            ] {
                let out = [
                    (h + 2 * pads[0] - kernel[0]) / strides[0] + 1,
                    (w + 2 * pads[1] - kernel[1]) / strides[1] + 1,
                ];
                let (pitch, out_pitch) = (channels + 3, channels + 1);
                let picture = noise(h * w * pitch, 1);
                let weights = noise(channels * kernel[0] * kernel[1], 2);
                let bias = noise(channels, 3);
                let packed = DepthwiseWeights::pack(&weights, Some(&bias), channels);
                let mut made = vec![7.0; out[0] * out[1] * out_pitch];
                let conv = Depthwise {
                    weights: &packed,
                    kernel,
                    strides,
                    pads,
                    input: picture.as_ptr(),
                    size: [h, w],
                    pitch,
                    row_pitch: w * pitch,
                    output: made.as_mut_ptr(),
                    output_width: out[1],
                    output_pitch: out_pitch,
                    output_row_pitch: out[1] * out_pitch,
                };
                for y in 0..out[0] {
                    // SAFETY: the instruction set is available, the sizes are those of the vectors.
                    unsafe { conv.row(isa, y) };
                }
                for (index, &got) in made.iter().enumerate() {
                    let (y, x, c) = (
                        index / out_pitch / out[1],
                        index / out_pitch % out[1],
                        index % out_pitch,
                    );
                    if c >= channels {
                        assert_eq!(got, 7.0, "{isa:?} wrote past the pixel");
                        continue;
                    }
                    let mut sum = bias[c];
                    for ky in 0..kernel[0] {
                        for kx in 0..kernel[1] {
                            let (py, px) = (y * strides[0] + ky, x * strides[1] + kx);
                            if (pads[0]..h + pads[0]).contains(&py)
                                && (pads[1]..w + pads[1]).contains(&px)
                            {
                                sum += picture[((py - pads[0]) * w + px - pads[1]) * pitch + c]
                                    * weights[(c * kernel[0] + ky) * kernel[1] + kx];
                            }
                        }
                    }
                    close(got, sum, 1e-5, &format!("{isa:?} {channels} {kernel:?}"));
                }
            }
        }
    }
}
