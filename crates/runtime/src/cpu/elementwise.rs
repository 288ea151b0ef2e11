//! Arithmetic and copies over strided tensors: broadcasts, transposes and enlargements are strides here.

use super::simd::{Kernel, Simd};
use crate::graph::Binary;

/// One axis: its size, and the floats from one element to the next of the output, the first and the second operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Axis {
    pub(super) size: usize,
    pub(super) output: usize,
    pub(super) a: usize,
    pub(super) b: usize,
}

/// Puts the output's axes in the order of memory, drops those of size 1 and joins those that are one run in all three.
pub(super) fn collapse(mut axes: Vec<Axis>) -> Vec<Axis> {
    axes.retain(|axis| axis.size != 1);
    axes.sort_by_key(|axis| std::cmp::Reverse(axis.output));
    let mut joined: Vec<Axis> = Vec::new();
    for axis in axes {
        match joined.last_mut() {
            Some(outer)
                if outer.output == axis.output * axis.size
                    && outer.a == axis.a * axis.size
                    && outer.b == axis.b * axis.size =>
            {
                outer.size *= axis.size;
                (outer.output, outer.a, outer.b) = (axis.output, axis.a, axis.b);
            }
            _ => joined.push(axis),
        }
    }
    // A short innermost axis costs more in loops than the steps of the one around it do.
    if let [.., outer, inner] = &mut joined[..]
        && inner.size < 8
        && outer.size > inner.size
        && (inner.a, inner.b) != (1, 1)
    {
        std::mem::swap(outer, inner);
    }
    if joined.is_empty() {
        joined.push(Axis {
            size: 1,
            output: 1,
            a: 1,
            b: 1,
        });
    }
    joined
}

/// `output = a op b`, or a copy of `a` for no operation.
pub(super) struct Elementwise<'a> {
    pub(super) op: Option<Binary>,
    /// As `collapse` gives them; never empty.
    pub(super) axes: &'a [Axis],
    /// The part of the first axis to work on.
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) output: *mut f32,
    pub(super) a: *const f32,
    pub(super) b: *const f32,
}

impl Kernel for Elementwise<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the caller's. Closures are inlined here, where the instructions are switched on.
        unsafe {
            match self.op {
                None => self.each::<S>(
                    #[inline(always)]
                    |a, _| a,
                    #[inline(always)]
                    |a, _| a,
                ),
                Some(Binary::Add) => self.each::<S>(
                    #[inline(always)]
                    |a, b| S::add(a, b),
                    #[inline(always)]
                    |a, b| a + b,
                ),
                Some(Binary::Sub) => self.each::<S>(
                    #[inline(always)]
                    |a, b| S::sub(a, b),
                    #[inline(always)]
                    |a, b| a - b,
                ),
                Some(Binary::Mul) => self.each::<S>(
                    #[inline(always)]
                    |a, b| S::mul(a, b),
                    #[inline(always)]
                    |a, b| a * b,
                ),
                Some(Binary::Div) => self.each::<S>(
                    #[inline(always)]
                    |a, b| S::div(a, b),
                    #[inline(always)]
                    |a, b| a / b,
                ),
                Some(Binary::Pow) => self.odometer(
                    #[inline(always)]
                    |output, a, b, inner| {
                        for i in 0..inner.size {
                            *output.add(i * inner.output) =
                                (*a.add(i * inner.a)).powf(*b.add(i * inner.b));
                        }
                    },
                ),
            }
        }
    }
}

impl Elementwise<'_> {
    #[inline(always)]
    unsafe fn each<S: Simd>(
        &self,
        vector: impl Fn(S::V, S::V) -> S::V,
        scalar: impl Fn(f32, f32) -> f32,
    ) {
        unsafe {
            self.odometer(
                #[inline(always)]
                |output, a, b, inner| {
                    let n = inner.size;
                    let mut i = 0;
                    if inner.output == 1 && inner.a <= 1 && inner.b <= 1 {
                        let mut va = S::splat(*a);
                        let mut vb = S::splat(*b);
                        while i + S::LANES <= n {
                            if inner.a == 1 {
                                va = S::load(a.add(i));
                            }
                            if inner.b == 1 {
                                vb = S::load(b.add(i));
                            }
                            S::store(output.add(i), vector(va, vb));
                            i += S::LANES;
                        }
                    }
                    while i < n {
                        *output.add(i * inner.output) =
                            scalar(*a.add(i * inner.a), *b.add(i * inner.b));
                        i += 1;
                    }
                },
            );
        }
    }

    /// Calls `inner` for each run along the innermost axis.
    #[inline(always)]
    unsafe fn odometer(&self, inner: impl Fn(*mut f32, *const f32, *const f32, Axis)) {
        let mut first = self.axes[0];
        first.size = self.to - self.from;
        let (mut output, mut a, mut b) = (
            self.output.wrapping_add(self.from * first.output),
            self.a.wrapping_add(self.from * first.a),
            self.b.wrapping_add(self.from * first.b),
        );
        let last = self.axes.len() - 1;
        if last == 0 {
            return inner(output, a, b, first);
        }
        let mut counts = [0usize; MAX_AXES];
        loop {
            inner(output, a, b, self.axes[last]);
            let mut axis = last - 1;
            loop {
                let here = if axis == 0 { first } else { self.axes[axis] };
                counts[axis] += 1;
                output = output.wrapping_add(here.output);
                a = a.wrapping_add(here.a);
                b = b.wrapping_add(here.b);
                if counts[axis] < here.size {
                    break;
                }
                counts[axis] = 0;
                output = output.wrapping_sub(here.output * here.size);
                a = a.wrapping_sub(here.a * here.size);
                b = b.wrapping_sub(here.b * here.size);
                if axis == 0 {
                    return;
                }
                axis -= 1;
            }
        }
    }
}

/// An enlargement makes two axes of each.
const MAX_AXES: usize = 2 * crate::onnx::MAX_RANK;

#[cfg(test)]
mod tests {
    use super::super::simd::Isa;
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn a_broadcast_and_a_transpose() {
        // [2, 5, 19] over (a: transposed, b: one value for each of the last axis).
        let a = noise(2 * 5 * 19, 1);
        let b = noise(19, 2);
        for isa in Isa::available() {
            for op in [
                None,
                Some(Binary::Mul),
                Some(Binary::Sub),
                Some(Binary::Pow),
            ] {
                let mut made = vec![0.0; 2 * 5 * 19];
                let axes = collapse(vec![
                    Axis {
                        size: 2,
                        output: 95,
                        a: 1,
                        b: 0,
                    },
                    Axis {
                        size: 5,
                        output: 19,
                        a: 2,
                        b: 0,
                    },
                    Axis {
                        size: 19,
                        output: 1,
                        a: 10,
                        b: 1,
                    },
                ]);
                let kernel = Elementwise {
                    op,
                    axes: &axes,
                    from: 0,
                    to: axes[0].size,
                    output: made.as_mut_ptr(),
                    a: a.as_ptr(),
                    b: b.as_ptr(),
                };
                // SAFETY: the instruction set is available, the sizes are those of the vectors.
                unsafe { isa.run(kernel) };
                for (index, &got) in made.iter().enumerate() {
                    let (i, j, k) = (index / 95, index / 19 % 5, index % 19);
                    let (x, y) = (a[i + 2 * j + 10 * k], b[k]);
                    let wanted = match op {
                        None => x,
                        Some(Binary::Mul) => x * y,
                        Some(Binary::Sub) => x - y,
                        _ => x.powf(y),
                    };
                    assert!(
                        got == wanted || got.is_nan() && wanted.is_nan(),
                        "{isa:?} {op:?}: {got} instead of {wanted}"
                    );
                }
            }
        }
    }

    #[test]
    fn axes_join_where_memory_does() {
        let axis = |size, output, a, b| Axis { size, output, a, b };
        let dense = collapse(vec![axis(4, 1, 1, 1), axis(1, 9, 9, 9), axis(30, 4, 4, 4)]);
        assert_eq!(dense, [axis(120, 1, 1, 1)]);
        let gate = collapse(vec![axis(30, 4, 4, 0), axis(16, 1, 1, 1)]);
        assert_eq!(gate.len(), 2);
        assert_eq!(collapse(vec![]).len(), 1);
    }
}
