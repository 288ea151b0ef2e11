//! What works on rows: normalisation, softmax, and the best class of each step.

use super::math::exp;
use super::simd::{Kernel, Simd};

/// `(x - mean) / sqrt(variance + epsilon) * scale + bias` over each row.
pub(super) struct LayerNorm {
    pub(super) input: *const f32,
    pub(super) pitch: usize,
    pub(super) output: *mut f32,
    pub(super) output_pitch: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) scale: *const f32,
    pub(super) bias: *const f32,
    pub(super) epsilon: f32,
}

impl Kernel for LayerNorm {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let cols = self.cols;
        for row in 0..self.rows {
            // SAFETY: the caller's rows.
            unsafe {
                let x = self.input.add(row * self.pitch);
                let to = self.output.add(row * self.output_pitch);
                let mut sum = S::splat(0.0);
                let mut i = 0;
                while i < cols {
                    sum = S::add(sum, load::<S>(x, i, cols));
                    i += S::LANES;
                }
                let mean = S::reduce_add(sum) / cols as f32;
                let mut squares = 0.0;
                let mut sum = S::splat(0.0);
                i = 0;
                while i + S::LANES <= cols {
                    let d = S::sub(S::load(x.add(i)), S::splat(mean));
                    sum = S::mul_add(d, d, sum);
                    i += S::LANES;
                }
                while i < cols {
                    squares += (*x.add(i) - mean) * (*x.add(i) - mean);
                    i += 1;
                }
                let variance = (S::reduce_add(sum) + squares) / cols as f32;
                let factor = 1.0 / (variance + self.epsilon).sqrt();
                i = 0;
                while i < cols {
                    let d = S::sub(load::<S>(x, i, cols), S::splat(mean));
                    let scale = S::mul(load::<S>(self.scale, i, cols), S::splat(factor));
                    let y = S::mul_add(d, scale, load::<S>(self.bias, i, cols));
                    store::<S>(to, i, cols, y);
                    i += S::LANES;
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn load<S: Simd>(from: *const f32, i: usize, len: usize) -> S::V {
    unsafe {
        if i + S::LANES <= len {
            S::load(from.add(i))
        } else {
            S::load_first(from.add(i), len - i)
        }
    }
}

#[inline(always)]
unsafe fn store<S: Simd>(to: *mut f32, i: usize, len: usize, v: S::V) {
    unsafe {
        if i + S::LANES <= len {
            S::store(to.add(i), v);
        } else {
            S::store_first(to.add(i), v, len - i);
        }
    }
}

#[inline(always)]
unsafe fn largest<S: Simd>(x: *const f32, len: usize) -> f32 {
    unsafe {
        let mut max = S::splat(f32::NEG_INFINITY);
        let mut i = 0;
        while i + S::LANES <= len {
            max = S::max(max, S::load(x.add(i)));
            i += S::LANES;
        }
        let mut max = S::reduce_max(max);
        while i < len {
            max = max.max(*x.add(i));
            i += 1;
        }
        max
    }
}

/// Softmax over each row, in place.
pub(super) struct Softmax {
    pub(super) at: *mut f32,
    pub(super) pitch: usize,
    pub(super) rows: usize,
    pub(super) cols: usize,
}

impl Kernel for Softmax {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for row in 0..self.rows {
            // SAFETY: the caller's rows.
            unsafe {
                let x = self.at.add(row * self.pitch);
                let max = S::splat(largest::<S>(x, self.cols));
                let mut sum = S::splat(0.0);
                let mut rest = 0.0;
                let mut i = 0;
                while i < self.cols {
                    let e = exp::<S>(S::sub(load::<S>(x, i, self.cols), max));
                    store::<S>(x, i, self.cols, e);
                    if i + S::LANES <= self.cols {
                        sum = S::add(sum, e);
                    } else {
                        for j in i..self.cols {
                            rest += *x.add(j);
                        }
                    }
                    i += S::LANES;
                }
                let share = S::splat(1.0 / (S::reduce_add(sum) + rest));
                i = 0;
                while i < self.cols {
                    store::<S>(x, i, self.cols, S::mul(load::<S>(x, i, self.cols), share));
                    i += S::LANES;
                }
            }
        }
    }
}

/// What is known of a step after some of its classes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Best {
    pub(super) class: usize,
    /// Its score before the softmax.
    pub(super) max: f32,
    /// The sum of `exp(score - max)`.
    pub(super) sum: f32,
}

impl Best {
    pub(super) const NONE: Self = Self {
        class: 0,
        max: f32::NEG_INFINITY,
        sum: 0.0,
    };

    /// What is known after the classes of both, `later` being the higher ones.
    pub(super) fn and(self, later: Self) -> Self {
        let (best, other) = if later.max > self.max {
            (later, self)
        } else {
            (self, later)
        };
        if other.sum == 0.0 {
            return best;
        }
        Self {
            sum: best.sum + other.sum * (other.max - best.max).exp(),
            ..best
        }
    }
}

/// The best of the scores of classes `first ..`, row by row; what was known before is in `best`.
pub(super) struct Look<'a> {
    pub(super) scores: *const f32,
    pub(super) pitch: usize,
    pub(super) cols: usize,
    pub(super) first: usize,
    pub(super) best: &'a mut [Best],
}

impl Kernel for Look<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (row, best) in self.best.iter_mut().enumerate() {
            // SAFETY: the caller's rows.
            unsafe {
                let x = self.scores.add(row * self.pitch);
                let max = largest::<S>(x, self.cols);
                let mut here = Best { max, ..Best::NONE };
                if max > best.max {
                    // The lowest class of equal scores.
                    let place = (0..self.cols).find(|&i| *x.add(i) == max);
                    here.class = self.first + place.unwrap_or(0);
                }
                let mut sum = S::splat(0.0);
                let mut i = 0;
                while i + S::LANES <= self.cols {
                    sum = S::add(sum, exp::<S>(S::sub(S::load(x.add(i)), S::splat(max))));
                    i += S::LANES;
                }
                here.sum = S::reduce_add(sum);
                while i < self.cols {
                    here.sum += (*x.add(i) - max).exp();
                    i += 1;
                }
                *best = best.and(here);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::super::testing::{close, noise};
    use super::*;

    #[test]
    fn layer_norm_agrees_with_the_definition() {
        for isa in Isa::available() {
            for cols in [1, 15, 16, 120, 131] {
                let rows = 3;
                let x = noise(rows * cols, 1);
                let (scale, bias) = (noise(cols, 2), noise(cols, 3));
                let mut made = vec![0.0; rows * cols];
                let kernel = LayerNorm {
                    input: x.as_ptr(),
                    pitch: cols,
                    output: made.as_mut_ptr(),
                    output_pitch: cols,
                    rows,
                    cols,
                    scale: scale.as_ptr(),
                    bias: bias.as_ptr(),
                    epsilon: 1e-5,
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(kernel) };
                for (row, made) in made.chunks_exact(cols).enumerate() {
                    let x = &x[row * cols..][..cols];
                    let mean = x.iter().sum::<f32>() / cols as f32;
                    let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f32>() / cols as f32;
                    for (i, &got) in made.iter().enumerate() {
                        let wanted = (x[i] - mean) / (variance + 1e-5).sqrt() * scale[i] + bias[i];
                        close(got, wanted, 1e-4, &format!("{isa:?} {cols}"));
                    }
                }
            }
        }
    }

    #[test]
    fn softmax_and_the_best_class_agree_with_the_definition() {
        for isa in Isa::available() {
            for cols in [2, 16, 40, 1003] {
                let rows = 4;
                let scores: Vec<f32> = noise(rows * cols, 7).iter().map(|x| x * 9.0).collect();
                let mut made = scores.clone();
                let kernel = Softmax {
                    at: made.as_mut_ptr(),
                    pitch: cols,
                    rows,
                    cols,
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(kernel) };
                // In two parts, as a head of many classes is looked at.
                let mut best = vec![Best::NONE; rows];
                let split = cols / 2;
                for (first, cols_here) in [(0, split), (split, cols - split)] {
                    let look = Look {
                        scores: scores[first..].as_ptr(),
                        pitch: cols,
                        cols: cols_here,
                        first,
                        best: &mut best,
                    };
                    // SAFETY: as above.
                    unsafe { isa.run(look) };
                }
                for row in 0..rows {
                    let x = &scores[row * cols..][..cols];
                    let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                    let sum: f32 = x.iter().map(|x| (x - max).exp()).sum();
                    for (i, x) in x.iter().enumerate() {
                        let wanted = (x - max).exp() / sum;
                        close(
                            made[row * cols + i],
                            wanted,
                            1e-5,
                            &format!("{isa:?} {cols}"),
                        );
                    }
                    let class = x.iter().position(|&x| x == max);
                    assert_eq!(Some(best[row].class), class, "{isa:?}");
                    close(1.0 / best[row].sum, 1.0 / sum, 1e-5, &format!("{isa:?}"));
                }
            }
        }
    }

    #[test]
    fn the_lowest_of_equal_classes_wins() {
        for isa in Isa::available() {
            let mut scores = vec![0.0f32; 64];
            (scores[5], scores[40], scores[63]) = (1.0, 1.0, 1.0);
            let mut best = [Best::NONE];
            for first in [0, 32] {
                let look = Look {
                    scores: scores[first..].as_ptr(),
                    pitch: 64,
                    cols: 32,
                    first,
                    best: &mut best,
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(look) };
            }
            assert_eq!(best[0].class, 5, "{isa:?}");
        }
    }
}
