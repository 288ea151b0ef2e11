//! Functions of one number, on vectors.

use super::simd::{Kernel, Simd};
use crate::graph::Unary;

/// `exp(x)` to about one unit in the last place; 0 to 2^-126 below -87, 2^127 and more above 88.
///
/// Range reduction and polynomial after Cephes' `expf`.
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let x = S::min(S::max(x, S::splat(-87.336_54)), S::splat(88.37));
        let n = S::round(S::mul(x, S::splat(std::f32::consts::LOG2_E)));
        // ln 2 in two parts, the first of few bits, so that n times it is exact.
        let r = S::mul_add(n, S::splat(-0.693_359_4), x);
        let r = S::mul_add(n, S::splat(2.121_944_4e-4), r);
        let mut p = S::splat(1.987_569_1e-4);
        for c in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5] {
            p = S::mul_add(p, r, S::splat(c));
        }
        let p = S::mul_add(S::mul(p, r), r, S::add(r, S::splat(1.0)));
        S::scale(p, n)
    }
}

/// The error function, to 3e-7.
///
/// The rational approximation that Eigen uses for `erff`: odd of degree 13 over even of degree 8.
#[inline(always)]
pub(super) unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let x = S::min(S::max(x, S::splat(-4.0)), S::splat(4.0));
        let x2 = S::mul(x, x);
        let mut p = S::splat(-2.726_142_3e-10);
        for c in [
            2.770_681_2e-8,
            -2.101_024e-6,
            -5.692_506_4e-5,
            -7.349_906e-4,
            -2.954_6e-3,
            -1.609_603_3e-2,
        ] {
            p = S::mul_add(p, x2, S::splat(c));
        }
        let mut q = S::splat(-1.456_607_2e-5);
        for c in [
            -2.133_740_5e-4,
            -1.682_827e-3,
            -7.373_329e-3,
            -1.426_473_9e-2,
        ] {
            q = S::mul_add(q, x2, S::splat(c));
        }
        S::div(S::mul(x, p), q)
    }
}

#[inline(always)]
unsafe fn sigmoid<S: Simd>(x: S::V) -> S::V {
    unsafe {
        let one = S::splat(1.0);
        let e = exp::<S>(S::sub(S::splat(0.0), x));
        S::div(one, S::add(one, e))
    }
}

#[inline(always)]
unsafe fn hard_sigmoid<S: Simd>(x: S::V, alpha: f32, beta: f32) -> S::V {
    unsafe {
        let y = S::mul_add(x, S::splat(alpha), S::splat(beta));
        S::min(S::max(y, S::splat(0.0)), S::splat(1.0))
    }
}

/// Applies `unary` to each element of rows in place.
pub(super) struct Activate {
    pub(super) at: *mut f32,
    pub(super) rows: usize,
    pub(super) cols: usize,
    /// Floats from one row to the next.
    pub(super) pitch: usize,
    pub(super) unary: Unary,
}

impl Activate {
    #[inline(always)]
    unsafe fn each<S: Simd>(&self, f: impl Fn(S::V) -> S::V) {
        let (mut rows, mut cols) = (self.rows, self.cols);
        if self.pitch == cols {
            (rows, cols) = (1, rows * cols);
        }
        for row in 0..rows {
            // SAFETY: the caller's rows.
            unsafe {
                let at = self.at.add(row * self.pitch);
                let mut i = 0;
                while i + S::LANES <= cols {
                    S::store(at.add(i), f(S::load(at.add(i))));
                    i += S::LANES;
                }
                if i < cols {
                    let v = f(S::load_first(at.add(i), cols - i));
                    S::store_first(at.add(i), v, cols - i);
                }
            }
        }
    }
}

impl Kernel for Activate {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's. Closures are inlined here, where the instructions are switched on.
        unsafe {
            match self.unary {
                Unary::Relu => self.each::<S>(
                    #[inline(always)]
                    |x| S::max(x, S::splat(0.0)),
                ),
                Unary::Sigmoid => self.each::<S>(
                    #[inline(always)]
                    |x| sigmoid::<S>(x),
                ),
                Unary::HardSigmoid { alpha, beta } => self.each::<S>(
                    #[inline(always)]
                    |x| hard_sigmoid::<S>(x, alpha, beta),
                ),
                Unary::HardSwish { alpha, beta } => self.each::<S>(
                    #[inline(always)]
                    |x| S::mul(x, hard_sigmoid::<S>(x, alpha, beta)),
                ),
                Unary::Silu => self.each::<S>(
                    #[inline(always)]
                    |x| S::mul(x, sigmoid::<S>(x)),
                ),
                Unary::Gelu => self.each::<S>(
                    #[inline(always)]
                    |x| {
                        // Below -6 the true value is under 1e-8, but a rounding of the error function would be
                        // multiplied by x.
                        let half = S::mul(S::max(x, S::splat(-6.0)), S::splat(0.5));
                        let e = erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2)));
                        S::mul_add(half, e, half)
                    },
                ),
                Unary::Erf => self.each::<S>(
                    #[inline(always)]
                    |x| erf::<S>(x),
                ),
                Unary::Sqrt => self.each::<S>(
                    #[inline(always)]
                    |x| S::sqrt(x),
                ),
                Unary::Exp => self.each::<S>(
                    #[inline(always)]
                    |x| exp::<S>(x),
                ),
                Unary::Clip { min, max } => self.each::<S>(
                    #[inline(always)]
                    |x| S::min(S::max(x, S::splat(min)), S::splat(max)),
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::super::testing::close;
    use super::*;

    /// `erf` in double precision, from its series, which converges everywhere.
    fn reference_erf(x: f64) -> f64 {
        if x.abs() > 4.2 {
            return x.signum();
        }
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    #[test]
    fn functions_agree_with_double_precision() {
        let inputs: Vec<f32> = (-4003..4003).map(|i| i as f32 * 0.0025).collect();
        type Function = (Unary, fn(f64) -> f64, f32);
        let functions: [Function; 8] = [
            (Unary::Relu, |x| x.max(0.0), 0.0),
            (Unary::Sigmoid, |x| 1.0 / (1.0 + (-x).exp()), 2e-7),
            (Unary::Silu, |x| x / (1.0 + (-x).exp()), 4e-7),
            (Unary::Erf, reference_erf, 4e-7),
            (
                Unary::Gelu,
                |x| 0.5 * x * (1.0 + reference_erf(x / std::f64::consts::SQRT_2)),
                1e-6,
            ),
            (Unary::Exp, f64::exp, 3e-7),
            (
                Unary::HardSwish {
                    alpha: 0.2,
                    beta: 0.5,
                },
                |x| x * (0.2 * x + 0.5).clamp(0.0, 1.0),
                1e-6,
            ),
            (
                Unary::Clip {
                    min: -0.5,
                    max: 3.0,
                },
                |x| x.clamp(-0.5, 3.0),
                0.0,
            ),
        ];
        for isa in Isa::available() {
            for (unary, reference, tolerance) in functions {
                let mut values = inputs.clone();
                let kernel = Activate {
                    at: values.as_mut_ptr(),
                    rows: 1,
                    cols: values.len(),
                    pitch: values.len(),
                    unary,
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(kernel) };
                for (x, got) in inputs.iter().zip(values) {
                    let wanted = reference(f64::from(*x)) as f32;
                    close(got, wanted, tolerance, &format!("{isa:?} {unary:?}({x})"));
                }
            }
        }
    }

    #[test]
    fn extremes_stay_finite() {
        for isa in Isa::available() {
            for unary in [Unary::Sigmoid, Unary::Silu, Unary::Gelu] {
                let mut values = [-1e30, -1000.0, -100.0, 0.0, 100.0, 1000.0, 1e30f32];
                let inputs = values;
                let kernel = Activate {
                    at: values.as_mut_ptr(),
                    rows: 1,
                    cols: 7,
                    pitch: 7,
                    unary,
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(kernel) };
                for (x, got) in inputs.iter().zip(values) {
                    assert!(got.is_finite(), "{isa:?} {unary:?}({x}) = {got}");
                    if *x < -99.0 {
                        assert!(got.abs() < 1e-6, "{isa:?} {unary:?}({x}) = {got}");
                    }
                }
            }
        }
    }
}
