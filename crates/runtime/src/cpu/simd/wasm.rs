//! WebAssembly's simd128. It has no fused multiply-add; with relaxed SIMD, which makes a module of its own since engines
//! that lack it refuse the whole, there is one on processors that have it.

use core::arch::wasm32::*;

use super::{Dot, Ints, Simd};

/// Whether this build is one with relaxed SIMD.
pub(super) const RELAXED: bool = cfg!(target_feature = "relaxed-simd");

#[derive(Clone, Copy)]
pub(super) struct Simd128;

impl Simd for Simd128 {
    type V = v128;
    const LANES: usize = 4;
    // Engines on x86-64 have 16, and want the numbers that are multiplied in some of them beside the sums.
    const REGISTERS: usize = 12;

    #[inline(always)]
    unsafe fn splat(x: f32) -> v128 {
        f32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: v128) {
        unsafe { v128_store(to.cast(), v) }
    }
    #[inline(always)]
    unsafe fn load_first(from: *const f32, n: usize) -> v128 {
        let mut lanes = [0.0f32; 4];
        unsafe {
            core::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), n);
            v128_load(lanes.as_ptr().cast())
        }
    }
    #[inline(always)]
    unsafe fn store_first(to: *mut f32, v: v128, n: usize) {
        let mut lanes = [0.0f32; 4];
        unsafe {
            v128_store(lanes.as_mut_ptr().cast(), v);
            core::ptr::copy_nonoverlapping(lanes.as_ptr(), to, n);
        }
    }
    #[inline(always)]
    unsafe fn add(a: v128, b: v128) -> v128 {
        f32x4_add(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: v128, b: v128) -> v128 {
        f32x4_sub(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: v128, b: v128) -> v128 {
        f32x4_mul(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: v128, b: v128) -> v128 {
        f32x4_div(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: v128, b: v128) -> v128 {
        f32x4_pmin(b, a)
    }
    #[inline(always)]
    unsafe fn max(a: v128, b: v128) -> v128 {
        f32x4_pmax(b, a)
    }
    #[inline(always)]
    unsafe fn mul_add(a: v128, b: v128, c: v128) -> v128 {
        #[cfg(target_feature = "relaxed-simd")]
        return f32x4_relaxed_madd(a, b, c);
        #[cfg(not(target_feature = "relaxed-simd"))]
        f32x4_add(f32x4_mul(a, b), c)
    }
    #[inline(always)]
    unsafe fn sqrt(a: v128) -> v128 {
        f32x4_sqrt(a)
    }
    #[inline(always)]
    unsafe fn round(a: v128) -> v128 {
        f32x4_nearest(a)
    }
    #[inline(always)]
    unsafe fn scale(a: v128, n: v128) -> v128 {
        let n = i32x4_add(truncate(n), i32x4_splat(127));
        f32x4_mul(a, i32x4_shl(n, 23))
    }
    #[inline(always)]
    unsafe fn reduce_add(a: v128) -> f32 {
        let a = f32x4_add(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(a) + f32x4_extract_lane::<1>(a)
    }
    #[inline(always)]
    unsafe fn reduce_max(a: v128) -> f32 {
        let a = f32x4_pmax(a, i32x4_shuffle::<2, 3, 0, 1>(a, a));
        f32x4_extract_lane::<0>(a).max(f32x4_extract_lane::<1>(a))
    }
}

/// To integers, for values that fit. Relaxed, it is one instruction on x86-64 instead of seven.
#[inline(always)]
fn truncate(v: v128) -> v128 {
    #[cfg(target_feature = "relaxed-simd")]
    return i32x4_relaxed_trunc_f32x4(v);
    #[cfg(not(target_feature = "relaxed-simd"))]
    i32x4_trunc_sat_f32x4(v)
}

impl Ints for Simd128 {
    type I = v128;

    #[inline(always)]
    unsafe fn load_ints(from: *const i32) -> v128 {
        unsafe { v128_load(from.cast()) }
    }
    #[inline(always)]
    unsafe fn splat_int(x: i32) -> v128 {
        i32x4_splat(x)
    }
    #[inline(always)]
    unsafe fn to_floats(a: v128) -> v128 {
        f32x4_convert_i32x4(a)
    }
}

/// Numbers of 16 bits. Relaxed SIMD's products of bytes are exact for 7 bits only, and a module with them is refused
/// whole where they aren't known.
impl Dot for Simd128 {
    type V = Self;
    const BYTES: usize = 2;

    #[inline(always)]
    unsafe fn dot(acc: v128, a: v128, b: v128) -> v128 {
        i32x4_add(acc, i32x4_dot_i16x8(a, b))
    }
    #[inline(always)]
    unsafe fn store_rounded(to: *mut u8, v: v128) {
        let v = f32x4_pmin(f32x4_splat(255.0), f32x4_pmax(f32x4_splat(0.0), v));
        let v = truncate(f32x4_nearest(v));
        unsafe { v128_store64_lane::<0>(i16x8_narrow_i32x4(v, v), to.cast()) };
    }
}
