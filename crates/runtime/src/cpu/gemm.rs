//! Matrix product with the right-hand side packed beforehand, the work horse of every convolution here.
//!
//! A row of the left-hand side may lie in pieces (*taps*): a convolution's patch is a few runs of the picture's
//! memory, so it is read where it lies and never copied (an implicit GEMM).

use super::buffer::Buffer;
use super::simd::{Isa, Kernel, Simd};

/// Rows of a tile: enough to reuse a panel of weights, few enough that a tile of the widest layer stays in L2.
/// A multiple of every block height below.
pub(super) const TILE: usize = 48;

/// Vectors in a panel. Twelve rows by two vectors fill AVX-512's registers with accumulators, six by two AVX2's; three
/// or four vectors were slower, since the compiler then spills. In a browser four by two is the most that does not: its
/// compiler puts all loads of a loop's body first, for which reason nothing is unrolled either.
const WIDTH: usize = 2;

/// A matrix `[K, N]` in panels of two vectors' width: panel after panel, each `[K, width]`, the last one of one vector
/// where their number is odd, missing columns zero.
#[derive(Clone)]
pub(super) struct Panels {
    data: Buffer,
    bias: Option<Buffer>,
    k: usize,
    n: usize,
    /// Floats of a vector.
    lanes: usize,
}

impl Panels {
    /// Packs the matrix whose element in row `k` and column `n` is `at(k, n)`.
    pub(super) fn pack(
        isa: Isa,
        k: usize,
        n: usize,
        bias: Option<&[f32]>,
        at: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let mut panels = Self::empty(isa, k, n);
        if let Some(bias) = bias {
            let mut padded = Buffer::zeros(n.next_multiple_of(panels.lanes));
            padded.as_mut_slice()[..n].copy_from_slice(bias);
            panels.bias = Some(padded);
        }
        let mut data = Buffer::zeros(k * n.next_multiple_of(panels.lanes));
        panels.fill(data.as_mut_slice(), at);
        panels.data = data;
        panels
    }

    /// The layout without the memory.
    pub(super) fn empty(isa: Isa, k: usize, n: usize) -> Self {
        let lanes = isa.lanes();
        Self {
            data: Buffer::default(),
            bias: None,
            k,
            n,
            lanes,
        }
    }

    /// Floats of a packed matrix.
    pub(super) fn len(&self) -> usize {
        self.k * self.n.next_multiple_of(self.lanes)
    }

    /// Writes the packed matrix into `data`.
    pub(super) fn fill(&self, data: &mut [f32], at: impl Fn(usize, usize) -> f32) {
        let wide = WIDTH * self.lanes;
        let mut rest = data;
        for first in (0..self.n).step_by(wide) {
            let width = wide.min(self.n.next_multiple_of(self.lanes) - first);
            let (panel, after) = rest.split_at_mut(self.k * width);
            for (k, row) in panel.chunks_exact_mut(width).enumerate() {
                for (column, value) in row.iter_mut().enumerate() {
                    let n = first + column;
                    *value = if n < self.n { at(k, n) } else { 0.0 };
                }
            }
            rest = after;
        }
    }

    pub(super) fn k(&self) -> usize {
        self.k
    }

    pub(super) fn n(&self) -> usize {
        self.n
    }

    pub(super) fn matrix(&self) -> Matrix {
        Matrix {
            data: self.data.as_ptr(),
            bias: self.bias.as_ref().map_or(std::ptr::null(), Buffer::as_ptr),
            k: self.k,
            n: self.n,
        }
    }

    /// The columns from `first` on, which must begin a panel.
    pub(super) fn columns(&self, first: usize, count: usize) -> Matrix {
        debug_assert_eq!(first % (WIDTH * self.lanes), 0);
        let whole = self.matrix();
        Matrix {
            data: whole.data.wrapping_add(first * self.k),
            bias: if whole.bias.is_null() {
                whole.bias
            } else {
                whole.bias.wrapping_add(first)
            },
            n: count,
            ..whole
        }
    }

    /// The layout over memory that `fill` wrote.
    pub(super) fn over(&self, data: *const f32) -> Matrix {
        Matrix {
            data,
            ..self.matrix()
        }
    }
}

/// A packed right-hand side, by address.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    data: *const f32,
    /// Null for none; padded to whole vectors.
    bias: *const f32,
    k: usize,
    n: usize,
}

/// Where the left-hand side lies. Row `r` begins at `at + r * pitch` and consists of `taps[0] * taps[1]` runs of
/// `run` floats; run `(y, x)` begins `y * strides[0] + x * strides[1]` floats further on. A plain matrix has one tap.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub(super) at: *const f32,
    pub(super) pitch: usize,
    pub(super) run: usize,
    pub(super) taps: [usize; 2],
    pub(super) strides: [usize; 2],
    /// Rows of the right-hand side to pass over: the taps above the picture.
    pub(super) skip: usize,
}

impl Rows {
    /// A plain matrix.
    pub(super) fn plain(at: *const f32, pitch: usize, run: usize) -> Self {
        Self {
            at,
            pitch,
            run,
            taps: [1, 1],
            strides: [0, 0],
            skip: 0,
        }
    }
}

/// Adds column `k` of the left-hand side times the panel's row at `b`.
#[inline(always)]
unsafe fn multiply<S: Simd, const MR: usize, const NV: usize>(
    acc: &mut [[S::V; NV]; MR],
    starts: &[*const f32; MR],
    k: usize,
    b: *const f32,
) {
    unsafe {
        let mut panel = [S::splat(0.0); NV];
        for (v, panel) in panel.iter_mut().enumerate() {
            *panel = S::load(b.add(v * S::LANES));
        }
        for r in 0..MR {
            let a = S::splat(*starts[r].add(k));
            for v in 0..NV {
                acc[r][v] = S::mul_add(a, panel[v], acc[r][v]);
            }
        }
    }
}

/// `c = rows * matrix + bias + residual`, then `max(c, 0)` where asked for.
pub(super) struct Gemm {
    pub(super) rows: Rows,
    pub(super) m: usize,
    pub(super) matrix: Matrix,
    pub(super) c: *mut f32,
    pub(super) c_pitch: usize,
    /// Added; null for none. It may be `c` itself.
    pub(super) residual: *const f32,
    pub(super) residual_pitch: usize,
    pub(super) relu: bool,
}

impl Kernel for Gemm {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let total = self.matrix.n.div_ceil(S::LANES);
        let mut first = 0;
        while first < total {
            let vectors = WIDTH.min(total - first);
            // SAFETY: the caller's pointers; blocks stay within `m` rows and panels within `n` columns.
            unsafe {
                match vectors {
                    1 if S::REGISTERS >= 32 => self.panel::<S, 12, 8, 1>(first),
                    1 if S::REGISTERS >= 16 => self.panel::<S, 6, 4, 1>(first),
                    1 => self.panel::<S, 4, 2, 1>(first),
                    _ if S::REGISTERS >= 32 => self.panel::<S, 12, 8, 2>(first),
                    _ if S::REGISTERS >= 16 => self.panel::<S, 6, 4, 2>(first),
                    _ => self.panel::<S, 4, 2, 2>(first),
                }
            }
            first += vectors;
        }
    }
}

impl Gemm {
    /// All rows of the columns that begin at vector `first`: in blocks of `TALL`, what is left in halves.
    #[inline(always)]
    unsafe fn panel<S: Simd, const TALL: usize, const HALF: usize, const NV: usize>(
        &self,
        first: usize,
    ) {
        let mut row = 0;
        unsafe {
            while row + TALL <= self.m {
                self.block::<S, TALL, NV>(row, first);
                row += TALL;
            }
            if row + HALF <= self.m {
                self.block::<S, HALF, NV>(row, first);
                row += HALF;
            }
            if HALF > 4 && row + 4 <= self.m {
                self.block::<S, 4, NV>(row, first);
                row += 4;
            }
            if HALF > 2 && row + 2 <= self.m {
                self.block::<S, 2, NV>(row, first);
                row += 2;
            }
            while row < self.m {
                self.block::<S, 1, NV>(row, first);
                row += 1;
            }
        }
    }

    /// `MR` rows by `NV` vectors, accumulated in registers.
    #[inline(always)]
    unsafe fn block<S: Simd, const MR: usize, const NV: usize>(&self, row: usize, first: usize) {
        unsafe {
            let matrix = &self.matrix;
            let column = first * S::LANES;
            let mut acc = [[S::splat(0.0); NV]; MR];
            if !matrix.bias.is_null() {
                for v in 0..NV {
                    let bias = S::load(matrix.bias.add(column + v * S::LANES));
                    for acc in &mut acc {
                        acc[v] = bias;
                    }
                }
            }
            let mut b = matrix
                .data
                .add(column * matrix.k + self.rows.skip * NV * S::LANES);
            for y in 0..self.rows.taps[0] {
                for x in 0..self.rows.taps[1] {
                    let a = self.rows.at.add(
                        row * self.rows.pitch + y * self.rows.strides[0] + x * self.rows.strides[1],
                    );
                    let mut starts = [a; MR];
                    for (r, start) in starts.iter_mut().enumerate() {
                        *start = a.add(r * self.rows.pitch);
                    }
                    let mut k = 0;
                    while k < self.rows.run {
                        multiply::<S, MR, NV>(&mut acc, &starts, k, b);
                        b = b.add(NV * S::LANES);
                        k += 1;
                    }
                }
            }
            let whole = column + NV * S::LANES <= matrix.n;
            let floor = S::splat(0.0);
            for (r, acc) in acc.iter().enumerate() {
                let c = self.c.add((row + r) * self.c_pitch + column);
                let residual = self
                    .residual
                    .wrapping_add((row + r) * self.residual_pitch + column);
                for (v, &acc) in acc.iter().enumerate() {
                    let mut value = acc;
                    let at = v * S::LANES;
                    if whole || v + 1 < NV {
                        if !self.residual.is_null() {
                            value = S::add(value, S::load(residual.add(at)));
                        }
                        if self.relu {
                            value = S::max(value, floor);
                        }
                        S::store(c.add(at), value);
                    } else {
                        let n = matrix.n - column - at;
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

    /// Every instruction set, every block height and tail, a bias, a residual and a pitch of each side.
    #[test]
    fn agrees_with_the_definition() {
        for isa in Isa::available() {
            for (m, k, n) in [
                (1, 1, 1),
                (3, 7, 12),
                (13, 24, 24),
                (48, 48, 48),
                (23, 96, 96),
                (29, 40, 120),
                (17, 33, 50),
                (5, 768, 384),
                (31, 3, 7),
                (12, 80, 65),
            ] {
                let (a_pitch, c_pitch, r_pitch) = (k + 3, n + 5, n + 1);
                let a = noise(m * a_pitch, 1);
                let b = noise(k * n, 2);
                let bias = noise(n, 3);
                let residual = noise(m * r_pitch, 4);
                let panels = Panels::pack(isa, k, n, Some(&bias), |k, j| b[k * n + j]);
                for (relu, with_residual) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let mut c = vec![7.0; m * c_pitch];
                    let gemm = Gemm {
                        rows: Rows::plain(a.as_ptr(), a_pitch, k),
                        m,
                        matrix: panels.matrix(),
                        c: c.as_mut_ptr(),
                        c_pitch,
                        residual: if with_residual {
                            residual.as_ptr()
                        } else {
                            std::ptr::null()
                        },
                        residual_pitch: r_pitch,
                        relu,
                    };
                    // SAFETY: the instruction set is available, the sizes are those of the vectors.
                    unsafe { isa.run(gemm) };
                    for i in 0..m {
                        for j in 0..c_pitch {
                            let got = c[i * c_pitch + j];
                            if j >= n {
                                assert_eq!(got, 7.0, "{isa:?} wrote past the row");
                                continue;
                            }
                            let mut sum = f64::from(bias[j]);
                            for l in 0..k {
                                sum += f64::from(a[i * a_pitch + l]) * f64::from(b[l * n + j]);
                            }
                            if with_residual {
                                sum += f64::from(residual[i * r_pitch + j]);
                            }
                            if relu {
                                sum = sum.max(0.0);
                            }
                            close(got, sum as f32, 1e-4, &format!("{isa:?} {m}x{k}x{n}"));
                        }
                    }
                }
            }
        }
    }
}
