//! The one place that knows instruction sets. A kernel is written once over [`Simd`] and compiled for each of them;
//! [`Isa::run`] enters it with the instructions switched on.

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(target_arch = "wasm32")]
mod wasm;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(super) use scalar::Scalar;

/// Vectors of `f32` and what kernels do with them.
///
/// Methods are unsafe because they use instructions that the processor may lack: they may only be called inside
/// [`Isa::run`] of the same instruction set, and pointers must be good for the lanes that are read or written.
/// Everything that takes this trait is `#[inline(always)]`, or it would be compiled without the instructions.
pub(super) trait Simd: Copy + 'static {
    /// A vector.
    type V: Copy;
    /// Floats in a vector.
    const LANES: usize;
    /// Vectors that fit into registers.
    const REGISTERS: usize;
    /// Whether products are unrolled: good where addresses are computed in instructions of their own, bad where the
    /// compiler then runs out of registers (AVX-512 ran at half its speed).
    const UNROLL: bool = false;

    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// Reads the first `n < LANES` floats, the others are zero.
    unsafe fn load_first(from: *const f32, n: usize) -> Self::V;
    /// Writes the first `n < LANES` floats.
    unsafe fn store_first(to: *mut f32, v: Self::V, n: usize);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the processor can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// The nearest whole number, for magnitudes below 2^22.
    unsafe fn round(a: Self::V) -> Self::V;
    /// `a * 2^n` for whole `n` from -126 to 127.
    unsafe fn scale(a: Self::V, n: Self::V) -> Self::V;
    unsafe fn reduce_add(a: Self::V) -> f32;
    unsafe fn reduce_max(a: Self::V) -> f32;
}

/// Dot products of bytes, for instruction sets that have them.
///
/// The same rules as for [`Simd`]; entered through [`Isa::run_dot`].
pub(super) trait Dot: Simd {
    /// A vector of 32-bit integers.
    type I: Copy;

    unsafe fn zero() -> Self::I;
    /// Four bytes for each lane.
    unsafe fn load_i8(from: *const i8) -> Self::I;
    /// The same four bytes for all lanes.
    unsafe fn splat_group(from: *const u8) -> Self::I;
    /// Adds the products of the four bytes of each lane, unsigned `a` and signed `b`.
    unsafe fn dot(acc: Self::I, a: Self::I, b: Self::I) -> Self::I;
    unsafe fn to_floats(a: Self::I) -> Self::V;
    /// Rounds to the nearest byte, 0 to 255, and writes one byte for each lane.
    unsafe fn store_bytes(to: *mut u8, v: Self::V);
}

/// A piece of work with dot products of bytes.
pub(super) trait DotKernel {
    /// Must be `#[inline(always)]`, with everything below it.
    ///
    /// # Safety
    /// The processor has the instructions of `S`, and the kernel's pointers are good.
    unsafe fn run<S: Dot>(self);
}

/// A piece of work that is compiled for each instruction set.
pub(super) trait Kernel {
    /// What it gives.
    type Output;
    /// Must be `#[inline(always)]`, with everything below it.
    ///
    /// # Safety
    /// The processor has the instructions of `S`, and the kernel's pointers are good.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

/// An instruction set of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust.
    Scalar,
    /// AVX2 with fused multiply-add, vectors of 8.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// AVX-512F, vectors of 16.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// NEON, vectors of 4.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// WebAssembly's simd128, vectors of 4.
    #[cfg(target_arch = "wasm32")]
    Simd128,
}

impl Isa {
    /// Those this processor has, the best one first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx512);
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                found.push(Self::Avx2);
            }
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self::Neon);
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        found.push(Self::Simd128);
        found.push(Self::Scalar);
        found
    }

    /// The best one this processor has.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self {
            Self::Scalar => Scalar::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => x86::Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => neon::Neon::LANES,
            #[cfg(target_arch = "wasm32")]
            Self::Simd128 => wasm::Simd128::LANES,
        }
    }

    /// Whether the processor multiplies bytes with it, several times as fast as floats.
    pub fn has_dot(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => is_x86_feature_detected!("avx512vnni"),
            _ => false,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "NEON",
            #[cfg(target_arch = "wasm32")]
            Self::Simd128 => "simd128",
        }
    }

    /// Floating-point operations in a second of one core that does nothing but multiply and add in registers. Takes a
    /// few milliseconds.
    pub fn peak(self) -> f64 {
        struct Peak(usize);
        impl Kernel for Peak {
            type Output = f32;
            #[inline(always)]
            unsafe fn run<S: Simd>(self) -> f32 {
                // SAFETY: the caller's.
                unsafe {
                    // Twelve chains hide an instruction's latency.
                    let mut sums = [S::splat(0.5); 12];
                    let (a, b) = (S::splat(0.999), S::splat(0.001));
                    for _ in 0..self.0 {
                        for sum in &mut sums {
                            *sum = S::mul_add(*sum, a, b);
                        }
                    }
                    let mut total = S::splat(0.0);
                    for sum in sums {
                        total = S::add(total, sum);
                    }
                    S::reduce_add(total)
                }
            }
        }
        let rounds = 100_000;
        let mut least = f64::INFINITY;
        for _ in 0..20 {
            let began = web_time::Instant::now();
            // SAFETY: only sets that the processor has are handed out.
            std::hint::black_box(unsafe { self.run(Peak(std::hint::black_box(rounds))) });
            least = least.min(began.elapsed().as_secs_f64());
        }
        (rounds * 12 * 2 * self.lanes()) as f64 / least
    }

    /// Runs a kernel with this instruction set.
    ///
    /// # Safety
    /// This processor has it, and the kernel's pointers are good.
    #[inline]
    pub(super) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the caller's.
        unsafe {
            match self {
                Self::Scalar => kernel.run::<Scalar>(),
                #[cfg(target_arch = "x86_64")]
                Self::Avx2 => x86::avx2(kernel),
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => x86::avx512(kernel),
                #[cfg(target_arch = "aarch64")]
                Self::Neon => kernel.run::<neon::Neon>(),
                #[cfg(target_arch = "wasm32")]
                Self::Simd128 => kernel.run::<wasm::Simd128>(),
            }
        }
    }

    /// Runs a kernel with dot products of bytes.
    ///
    /// # Safety
    /// This processor has it, `has_dot` says so, and the kernel's pointers are good.
    #[inline]
    pub(super) unsafe fn run_dot<K: DotKernel>(self, kernel: K) {
        // SAFETY: the caller's.
        unsafe {
            match self {
                #[cfg(target_arch = "x86_64")]
                Self::Avx512 => x86::avx512_vnni(kernel),
                _ => {
                    debug_assert!(false, "{self:?} has no dot products");
                    let _ = kernel;
                }
            }
        }
    }
}
