//! Products in 8-bit integers: weights rounded once, for each output by itself; activations row by row as they come.
//!
//! A row `a` becomes `q = round((a - min) / step)` in 0..=255, a column `b` of the weights `round(b / scale)` in
//! -127..=127. Then `Σ a b ≈ step * scale * Σ q p + min * scale * Σ p`, and the last sum is known beforehand.
//!
//! `q`, `p` and `Σ q p` are the same on every instruction set.

use super::buffer::Buffer;
use super::simd::{Dot, DotIsa, DotKernel, Ints, Simd};

/// Vectors in a panel, as for floats.
const WIDTH: usize = 2;
/// Bytes that one lane of a dot product takes at once.
const GROUP: usize = 4;
/// Bytes of the numbers that a vector is rounded to, at most.
const MAX_VECTOR: usize = 32;

/// A matrix `[K, N]` in panels of two vectors' width. A panel holds, for each group of rows, the four bytes of each of
/// its columns: as many rows as there are numbers in four bytes.
#[derive(Clone)]
pub(super) struct QuantPanels {
    data: Vec<u8>,
    dot: DotIsa,
    /// What the sums of each column begin with: `offset * Σ p`, which the stored `q` lack.
    starts: Vec<i32>,
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
        dot: DotIsa,
        k: usize,
        n: usize,
        bias: Option<&[f32]>,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let (lanes, form) = (dot.isa().lanes(), dot.form());
        let padded = n.next_multiple_of(lanes);
        let numbers = GROUP / form.bytes;
        let groups = k.div_ceil(numbers);
        let mut scale = Buffer::zeros(padded);
        let mut sums = Buffer::zeros(padded);
        let mut starts = vec![0; padded];
        let mut own_bias = Buffer::zeros(padded);
        if let Some(bias) = bias {
            own_bias.as_mut_slice()[..n].copy_from_slice(bias);
        }
        let mut data = vec![0; groups * GROUP * padded];
        for (column, start) in starts.iter_mut().enumerate().take(n) {
            let largest = (0..k).map(|k| at(k, column).abs()).fold(0.0, f32::max);
            let step = if largest > 0.0 { largest / 127.0 } else { 1.0 };
            let first = column / (WIDTH * lanes) * (WIDTH * lanes);
            let width = (WIDTH * lanes).min(padded - first);
            let mut sum = 0i32;
            for row in 0..k {
                let value = (at(row, column) / step).round().clamp(-127.0, 127.0) as i16;
                sum += i32::from(value);
                let place = first * groups * GROUP
                    + row / numbers * width * GROUP
                    + (column - first) * GROUP
                    + row % numbers * form.bytes;
                // The first byte of two is that of -127..=127 as one byte.
                data[place..place + form.bytes].copy_from_slice(&value.to_le_bytes()[..form.bytes]);
            }
            scale.as_mut_slice()[column] = step;
            sums.as_mut_slice()[column] = step * sum as f32;
            *start = form.offset * sum;
        }
        Self {
            data,
            dot,
            starts,
            scale,
            sums,
            bias: own_bias,
            k,
            n,
        }
    }

    /// What they are packed for.
    pub(super) fn dot(&self) -> DotIsa {
        self.dot
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    /// Bytes of a quantised row.
    pub(super) fn row_len(&self) -> usize {
        (self.k * self.dot.form().bytes).next_multiple_of(GROUP)
    }
}

/// Rounds rows to small integers.
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
    unsafe fn run<D: Dot>(self) {
        let lanes = D::V::LANES;
        let len = (self.k * D::BYTES).next_multiple_of(GROUP);
        let whole = self.k / lanes * lanes;
        for (row, range) in self.ranges.iter_mut().enumerate().take(self.count) {
            // SAFETY: the caller's rows; both have `k` elements.
            unsafe {
                let x = self.rows.add(row * self.pitch);
                let bytes = self.bytes.add(row * len);
                let mut least = D::V::splat(f32::INFINITY);
                let mut most = D::V::splat(f32::NEG_INFINITY);
                for i in (0..whole).step_by(lanes) {
                    let v = D::V::load(x.add(i));
                    least = D::V::min(least, v);
                    most = D::V::max(most, v);
                }
                let mut most = D::V::reduce_max(most);
                let mut least = -D::V::reduce_max(D::V::sub(D::V::splat(0.0), least));
                for j in whole..self.k {
                    most = most.max(*x.add(j));
                    least = least.min(*x.add(j));
                }
                let step = ((most - least) / 255.0).max(f32::MIN_POSITIVE);
                *range = [step, least];
                // Subtracted, then multiplied: in one operation, it would be rounded otherwise where there is none.
                let (floor, factor) = (D::V::splat(least), D::V::splat(1.0 / step));
                let scaled = |v| D::V::mul(D::V::sub(v, floor), factor);
                for i in (0..whole).step_by(lanes) {
                    let v = scaled(D::V::load(x.add(i)));
                    D::store_rounded(bytes.add(i * D::BYTES), v);
                }
                if whole < self.k {
                    let v = scaled(D::V::load_first(x.add(whole), self.k - whole));
                    let mut last = [0u8; MAX_VECTOR];
                    D::store_rounded(last.as_mut_ptr(), v);
                    let rest = (self.k - whole) * D::BYTES;
                    bytes
                        .add(whole * D::BYTES)
                        .copy_from_nonoverlapping(last.as_ptr(), rest);
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
    unsafe fn run<D: Dot>(self) {
        let total = self.weights.n.div_ceil(D::V::LANES);
        let mut first = 0;
        while first < total {
            let vectors = WIDTH.min(total - first);
            // SAFETY: the caller's pointers; blocks stay within `m` rows and panels within `n` columns.
            unsafe {
                match vectors {
                    1 if D::V::REGISTERS >= 32 => self.panel::<D, 12, 1>(first),
                    1 if D::V::REGISTERS >= 16 => self.panel::<D, 6, 1>(first),
                    1 => self.panel::<D, 4, 1>(first),
                    _ if D::V::REGISTERS >= 32 => self.panel::<D, 12, 2>(first),
                    _ if D::V::REGISTERS >= 16 => self.panel::<D, 6, 2>(first),
                    _ => self.panel::<D, 4, 2>(first),
                }
            }
            first += vectors;
        }
    }
}

/// Adds the products of the rows' groups at `a` bytes with those of the panel at `b`.
#[inline(always)]
unsafe fn multiply<D: Dot, const MR: usize, const NV: usize>(
    acc: &mut [[<D::V as Ints>::I; NV]; MR],
    starts: &[*const u8; MR],
    a: usize,
    b: *const u8,
) {
    unsafe {
        let panel: [_; NV] =
            std::array::from_fn(|v| D::V::load_ints(b.add(v * D::V::LANES * GROUP).cast()));
        for r in 0..MR {
            let a = D::V::splat_int(starts[r].add(a).cast::<i32>().read_unaligned());
            for v in 0..NV {
                acc[r][v] = D::dot(acc[r][v], a, panel[v]);
            }
        }
    }
}

impl QuantGemm<'_> {
    #[inline(always)]
    unsafe fn panel<D: Dot, const TALL: usize, const NV: usize>(&self, first: usize) {
        let mut row = 0;
        unsafe {
            while row + TALL <= self.m {
                self.block::<D, TALL, NV>(row, first);
                row += TALL;
            }
            while TALL > 4 && row + 4 <= self.m {
                self.block::<D, 4, NV>(row, first);
                row += 4;
            }
            while row < self.m {
                self.block::<D, 1, NV>(row, first);
                row += 1;
            }
        }
    }

    #[inline(always)]
    unsafe fn block<D: Dot, const MR: usize, const NV: usize>(&self, row: usize, first: usize) {
        unsafe {
            let weights = self.weights;
            let lanes = D::V::LANES;
            let column = first * lanes;
            let len = weights.row_len();
            let begin: [_; NV] = std::array::from_fn(|v| {
                D::V::load_ints(weights.starts.as_ptr().add(column + v * lanes))
            });
            let mut acc = [begin; MR];
            let mut b = weights.data.as_ptr().add(column * len);
            let starts: [_; MR] = std::array::from_fn(|r| self.bytes.add((row + r) * len));
            let mut a = 0;
            while a < len {
                multiply::<D, MR, NV>(&mut acc, &starts, a, b);
                b = b.add(NV * lanes * GROUP);
                a += GROUP;
            }
            for (r, acc) in acc.iter().enumerate() {
                self.finish::<D, NV>(acc, row + r, column);
            }
        }
    }

    /// Sums of one row to floats, with all that is added to them.
    #[inline(always)]
    unsafe fn finish<D: Dot, const NV: usize>(
        &self,
        sums: &[<D::V as Ints>::I; NV],
        row: usize,
        column: usize,
    ) {
        unsafe {
            let weights = self.weights;
            let lanes = D::V::LANES;
            let [step, least] = self.ranges[row].map(|x| D::V::splat(x));
            let c = self.c.add(row * self.c_pitch + column);
            let residual = self
                .residual
                .wrapping_add(row * self.residual_pitch + column);
            for (v, &sum) in sums.iter().enumerate() {
                let at = v * lanes;
                let of =
                    |column_values: &Buffer| D::V::load(column_values.as_ptr().add(column + at));
                let mut value = D::V::mul_add(
                    D::V::mul(D::V::to_floats(sum), step),
                    of(&weights.scale),
                    D::V::mul_add(least, of(&weights.sums), of(&weights.bias)),
                );
                let n = weights.n - column - at;
                if !self.residual.is_null() {
                    let residual = residual.add(at);
                    let added = if n >= lanes {
                        D::V::load(residual)
                    } else {
                        D::V::load_first(residual, n)
                    };
                    value = D::V::add(value, added);
                }
                if self.relu {
                    value = D::V::max(value, D::V::splat(0.0));
                }
                if n >= lanes {
                    D::V::store(c.add(at), value);
                } else {
                    D::V::store_first(c.add(at), value, n);
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
        for dot in DotIsa::available() {
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
                let weights = QuantPanels::pack(dot, k, n, Some(&bias), |k, j| b[k * n + j]);
                let mut bytes = vec![0u8; m * weights.row_len()];
                let mut ranges = vec![[0.0; 2]; m];
                let mut c = vec![7.0; m * c_pitch];
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe {
                    dot.run(Quantise {
                        rows: a.as_ptr(),
                        pitch,
                        count: m,
                        k,
                        bytes: bytes.as_mut_ptr(),
                        ranges: &mut ranges,
                    });
                    dot.run(QuantGemm {
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
                    let (numbers, [step, least]) = rounded(row);
                    assert_eq!(
                        stored(&weights, &bytes, i),
                        numbers,
                        "{dot:?} {m}x{k}x{n}, row {i}"
                    );
                    for j in 0..n {
                        let largest = (0..k).map(|l| b[l * n + j].abs()).fold(0.0, f32::max);
                        let scale = largest / 127.0;
                        let mut sum = f64::from(bias[j] + residual[i * n + j]);
                        let mut exact = sum;
                        for (l, &x) in row.iter().enumerate() {
                            let w = b[l * n + j];
                            let x8 = numbers[l] as f32 * step + least;
                            sum += f64::from(x8) * f64::from((w / scale).round() * scale);
                            exact += f64::from(x) * f64::from(w);
                        }
                        let got = c[i * c_pitch + j];
                        let what = format!("{dot:?} {m}x{k}x{n}");
                        close(got, sum as f32, 1e-4, &what);
                        close(got, exact as f32, 0.02 * (k as f32).sqrt(), &what);
                    }
                    assert!(c[i * c_pitch + n..][..2].iter().all(|&x| x == 7.0));
                }
            }
        }
    }

    /// The numbers of a row by the definition, its step and its least value.
    fn rounded(row: &[f32]) -> (Vec<i32>, [f32; 2]) {
        let least = row.iter().copied().fold(f32::INFINITY, f32::min);
        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let step = ((most - least) / 255.0).max(f32::MIN_POSITIVE);
        let number = |x: &f32| ((x - least) * (1.0 / step)).round_ties_even() as i32;
        (row.iter().map(number).collect(), [step, least])
    }

    /// The numbers of row `i` as they are stored.
    fn stored(weights: &QuantPanels, bytes: &[u8], i: usize) -> Vec<i32> {
        let form = weights.dot.form();
        let (size, offset) = (form.bytes, form.offset);
        let row = &bytes[i * weights.row_len()..][..weights.k * size];
        let number = |n: &[u8]| match (n, offset) {
            (&[low, high], _) => i32::from(i16::from_le_bytes([low, high])),
            (&[byte], 0) => i32::from(byte),
            (&[byte], offset) => i32::from(byte as i8) + offset,
            _ => unreachable!("a number takes one byte or two"),
        };
        row.chunks_exact(size).map(number).collect()
    }

    /// Steps and scales of 1, so that floats show the integers: the largest products, where narrow sums would
    /// overflow, and arbitrary ones.
    #[test]
    fn sums_are_exact() {
        let random = |len: usize, seed: u64, from: f32, to: f32| -> Vec<f32> {
            let spread = |x: &f32| (from + (x + 1.0) / 2.0 * (to - from)).round();
            noise(len, seed).iter().map(spread).collect()
        };
        for dot in DotIsa::available() {
            for (m, k, n) in [(1, 8, 5), (13, 131, 70), (48, 512, 33), (7, 3, 16)] {
                for kind in 0..4 {
                    let mut a = match kind {
                        0 => random(m * k, 5, 0.0, 255.0),
                        _ => vec![255.0; m * k],
                    };
                    let mut b = match kind {
                        0 | 1 => random(k * n, 6, -127.0, 127.0),
                        2 => vec![127.0; k * n],
                        _ => vec![-127.0; k * n],
                    };
                    // Each row's numbers are 0 to 255 and each column has its largest one.
                    a.chunks_exact_mut(k).for_each(|row| {
                        row[0] = 255.0;
                        row[k / 2] = 0.0;
                    });
                    b[..n].fill(127.0);
                    let weights = QuantPanels::pack(dot, k, n, None, |k, j| b[k * n + j]);
                    let mut bytes = vec![0u8; m * weights.row_len()];
                    let mut ranges = vec![[0.0; 2]; m];
                    let mut c = vec![0.0; m * n];
                    // SAFETY: the instruction set is available, the sizes are those of the vectors.
                    unsafe {
                        dot.run(Quantise {
                            rows: a.as_ptr(),
                            pitch: k,
                            count: m,
                            k,
                            bytes: bytes.as_mut_ptr(),
                            ranges: &mut ranges,
                        });
                        dot.run(QuantGemm {
                            bytes: bytes.as_ptr(),
                            ranges: &ranges,
                            m,
                            weights: &weights,
                            c: c.as_mut_ptr(),
                            c_pitch: n,
                            residual: std::ptr::null(),
                            residual_pitch: 0,
                            relu: false,
                        });
                    }
                    assert!(ranges.iter().all(|&range| range == [1.0, 0.0]));
                    for i in 0..m {
                        for j in 0..n {
                            // Floats hold integers to 2^24, which 512 of the largest products reach not quite.
                            let products = (0..k).map(|l| (a[i * k + l] * b[l * n + j]) as i32);
                            let sum: i32 = products.sum();
                            let got = c[i * n + j];
                            assert_eq!(got, sum as f32, "{dot:?} {m}x{k}x{n} {kind}: {i}, {j}");
                        }
                    }
                }
            }
        }
    }
}
