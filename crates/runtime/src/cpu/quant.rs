//! Products in 8-bit integers: weights rounded once, for each output by itself; activations row by row as they come.
//!
//! A row `a` becomes `q = round((a - min) / step)` in 0..=255, a column `b` of the weights `round(b / scale)` in
//! -127..=127. Then `Σ a b ≈ step * scale * Σ q p + min * scale * Σ p`, and the last sum is known beforehand.

use super::buffer::Buffer;
use super::simd::{Dot, DotKernel, Isa};

/// Vectors in a panel, as for floats.
const WIDTH: usize = 2;
/// Bytes that one lane of a dot product takes at once.
const GROUP: usize = 4;

/// A matrix `[K, N]` in panels of two vectors' width. A panel holds, for each group of four rows, the four bytes of
/// each of its columns.
#[derive(Clone)]
pub(super) struct QuantPanels {
    data: Vec<i8>,
    scale: Buffer,
    /// `scale * Σ p` of each column.
    sums: Buffer,
    bias: Buffer,
    k: usize,
    n: usize,
}

impl QuantPanels {
    /// Rounds and packs the matrix whose element in row `k` and column `n` is `at(k, n)`.
    pub(super) fn pack(
        isa: Isa,
        k: usize,
        n: usize,
        bias: Option<&[f32]>,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let lanes = isa.lanes();
        let padded = n.next_multiple_of(lanes);
        let groups = k.div_ceil(GROUP);
        let mut scale = Buffer::zeros(padded);
        let mut sums = Buffer::zeros(padded);
        let mut own_bias = Buffer::zeros(padded);
        if let Some(bias) = bias {
            own_bias.as_mut_slice()[..n].copy_from_slice(bias);
        }
        let mut data = vec![0; groups * GROUP * padded];
        for column in 0..n {
            let largest = (0..k).map(|k| at(k, column).abs()).fold(0.0, f32::max);
            let step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            let first = column / (WIDTH * lanes) * (WIDTH * lanes);
            let width = (WIDTH * lanes).min(padded - first);
            let mut sum = 0i32;
            for row in 0..k {
                let value = (at(row, column) / step).round().clamp(-127.0, 127.0) as i8;
                sum += i32::from(value);
                let place = first * groups * GROUP
                    + row / GROUP * width * GROUP
                    + (column - first) * GROUP
                    + row % GROUP;
                data[place] = value;
            }
            scale.as_mut_slice()[column] = step;
            sums.as_mut_slice()[column] = step * sum as f32;
        }
        Self {
            data,
            scale,
            sums,
            bias: own_bias,
            k,
            n,
        }
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Bytes of a quantised row.
    pub(super) fn row_len(&self) -> usize {
        self.k.next_multiple_of(GROUP)
    }
}

/// Rounds rows to bytes.
pub(super) struct Quantise<'a> {
    pub(super) rows: *const f32,
    pub(super) pitch: usize,
    pub(super) count: usize,
    pub(super) k: usize,
    /// `count` rows of whole groups; what is beyond `k` is left as it is and meets weights of 0.
    pub(super) bytes: *mut u8,
    /// Step and least value of each row.
    pub(super) ranges: &'a mut [[f32; 2]],
}

impl DotKernel for Quantise<'_> {
    #[inline(always)]
    unsafe fn run<S: Dot>(self) {
        let len = self.k.next_multiple_of(GROUP);
        for (row, range) in self.ranges.iter_mut().enumerate().take(self.count) {
            // SAFETY: the caller's rows; both have `k` elements.
            unsafe {
                let x = self.rows.add(row * self.pitch);
                let bytes = self.bytes.add(row * len);
                let (mut least, mut most) = (S::splat(f32::INFINITY), S::splat(f32::NEG_INFINITY));
                let mut i = 0;
                while i + S::LANES <= self.k {
                    let v = S::load(x.add(i));
                    least = S::min(least, v);
                    most = S::max(most, v);
                    i += S::LANES;
                }
                let mut most = S::reduce_max(most);
                let mut least = -S::reduce_max(S::sub(S::splat(0.0), least));
                for j in i..self.k {
                    most = most.max(*x.add(j));
                    least = least.min(*x.add(j));
                }
                let step = ((most - least) / 255.0).max(f32::MIN_POSITIVE);
                *range = [step, least];
                let (factor, offset) = (S::splat(1.0 / step), S::splat(-least / step));
                i = 0;
                while i + S::LANES <= self.k {
                    let v = S::mul_add(S::load(x.add(i)), factor, offset);
                    S::store_bytes(bytes.add(i), v);
                    i += S::LANES;
                }
                for j in i..self.k {
                    *bytes.add(j) = ((*x.add(j) - least) / step).round() as u8;
                }
            }
        }
    }
}

/// `c = rows * weights + bias + residual`, then `max(c, 0)` where asked for.
pub(super) struct QuantGemm<'a> {
    /// As `Quantise` leaves them.
    pub(super) bytes: *const u8,
    pub(super) ranges: &'a [[f32; 2]],
    pub(super) m: usize,
    pub(super) weights: &'a QuantPanels,
    pub(super) c: *mut f32,
    pub(super) c_pitch: usize,
    /// Added; null for none. It may be `c` itself.
    pub(super) residual: *const f32,
    pub(super) residual_pitch: usize,
    pub(super) relu: bool,
}

impl DotKernel for QuantGemm<'_> {
    #[inline(always)]
    unsafe fn run<S: Dot>(self) {
        let total = self.weights.n.div_ceil(S::LANES);
        let mut first = 0;
        while first < total {
            // SAFETY: the caller's pointers; blocks stay within `m` rows and panels within `n` columns.
            unsafe {
                if first + WIDTH <= total {
                    self.panel::<S, WIDTH>(first);
                } else {
                    self.panel::<S, 1>(first);
                }
            }
            first += WIDTH;
        }
    }
}

impl QuantGemm<'_> {
    #[inline(always)]
    unsafe fn panel<S: Dot, const NV: usize>(&self, first: usize) {
        let mut row = 0;
        unsafe {
            while row + 12 <= self.m {
                self.block::<S, 12, NV>(row, first);
                row += 12;
            }
            while row + 4 <= self.m {
                self.block::<S, 4, NV>(row, first);
                row += 4;
            }
            while row < self.m {
                self.block::<S, 1, NV>(row, first);
                row += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn block<S: Dot, const MR: usize, const NV: usize>(&self, row: usize, first: usize) {
        unsafe {
            let weights = self.weights;
            let column = first * S::LANES;
            let groups = weights.k.div_ceil(GROUP);
            let len = groups * GROUP;
            let mut acc = [[S::zero(); NV]; MR];
            let mut b = weights.data.as_ptr().add(column * len);
            let mut starts = [self.bytes; MR];
            for (r, start) in starts.iter_mut().enumerate() {
                *start = self.bytes.add((row + r) * len);
            }
            for group in 0..groups {
                let mut panel = [S::zero(); NV];
                for (v, panel) in panel.iter_mut().enumerate() {
                    *panel = S::load_i8(b.add(v * S::LANES * GROUP));
                }
                for r in 0..MR {
                    let a = S::splat_group(starts[r].add(group * GROUP));
                    for v in 0..NV {
                        acc[r][v] = S::dot(acc[r][v], a, panel[v]);
                    }
                }
                b = b.add(NV * S::LANES * GROUP);
            }
            let floor = S::splat(0.0);
            for (r, acc) in acc.iter().enumerate() {
                let [step, least] = self.ranges[row + r];
                let (step, least) = (S::splat(step), S::splat(least));
                let c = self.c.add((row + r) * self.c_pitch + column);
                let residual = self
                    .residual
                    .wrapping_add((row + r) * self.residual_pitch + column);
                for (v, &acc) in acc.iter().enumerate() {
                    let at = v * S::LANES;
                    let scale = S::load(weights.scale.as_ptr().add(column + at));
                    let sums = S::load(weights.sums.as_ptr().add(column + at));
                    let bias = S::load(weights.bias.as_ptr().add(column + at));
                    let mut value = S::mul_add(
                        S::mul(S::to_floats(acc), step),
                        scale,
                        S::mul_add(least, sums, bias),
                    );
                    let n = weights.n - column - at;
                    if n >= S::LANES {
                        if !self.residual.is_null() {
                            value = S::add(value, S::load(residual.add(at)));
                        }
                        if self.relu {
                            value = S::max(value, floor);
                        }
                        S::store(c.add(at), value);
                    } else {
                        if !self.residual.is_null() {
                            value = S::add(value, S::load_first(residual.add(at), n));
                        }
                        if self.relu {
                            value = S::max(value, floor);
                        }
                        S::store_first(c.add(at), value, n);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{close, noise};
    use super::*;

    #[test]
    fn agrees_with_rounded_numbers() {
        for isa in Isa::available().into_iter().filter(|isa| isa.has_dot()) {
            for (m, k, n) in [
                (1, 4, 16),
                (13, 96, 192),
                (5, 33, 50),
                (48, 120, 97),
                (7, 1, 1),
            ] {
                let (pitch, c_pitch) = (k + 3, n + 2);
                let a = noise(m * pitch, 1);
                let b = noise(k * n, 2);
                let bias = noise(n, 3);
                let residual = noise(m * n, 4);
                let weights = QuantPanels::pack(isa, k, n, Some(&bias), |k, j| b[k * n + j]);
                let mut bytes = vec![0u8; m * weights.row_len()];
                let mut ranges = vec![[0.0; 2]; m];
                let mut c = vec![7.0; m * c_pitch];
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe {
                    isa.run_dot(Quantise {
                        rows: a.as_ptr(),
                        pitch,
                        count: m,
                        k,
                        bytes: bytes.as_mut_ptr(),
                        ranges: &mut ranges,
                    });
                    isa.run_dot(QuantGemm {
                        bytes: bytes.as_ptr(),
                        ranges: &ranges,
                        m,
                        weights: &weights,
                        c: c.as_mut_ptr(),
                        c_pitch,
                        residual: residual.as_ptr(),
                        residual_pitch: n,
                        relu: false,
                    });
                }
                for i in 0..m {
                    let row = &a[i * pitch..][..k];
                    let least = row.iter().copied().fold(f32::INFINITY, f32::min);
                    let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let step = ((most - least) / 255.0).max(f32::MIN_POSITIVE);
                    for j in 0..n {
                        let largest = (0..k).map(|l| b[l * n + j].abs()).fold(0.0, f32::max);
                        let scale = largest / 127.0;
                        let mut sum = f64::from(bias[j] + residual[i * n + j]);
                        let mut exact = sum;
                        for (l, &x) in row.iter().enumerate() {
                            let w = b[l * n + j];
                            let x8 = ((x - least) / step).round() * step + least;
                            sum += f64::from(x8) * f64::from((w / scale).round() * scale);
                            exact += f64::from(x) * f64::from(w);
                        }
                        let got = c[i * c_pitch + j];
                        // A value in the middle between two steps may fall either way.
                        let what = format!("{isa:?} {m}x{k}x{n}");
                        close(got, sum as f32, 0.02, &what);
                        close(got, exact as f32, 0.02 * (k as f32).sqrt(), &what);
                    }
                    assert!(c[i * c_pitch + n..][..2].iter().all(|&x| x == 7.0));
                }
            }
        }
    }
}
