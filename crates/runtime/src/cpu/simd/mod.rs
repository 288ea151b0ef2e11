//! The one place that knows instruction sets. A kernel is written once over [`Simd`] and compiled for each of them;
//! [`Isa::run`] enters it with the instructions switched on.

#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
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

/// Vectors of 32-bit integers beside the floats. The same rules as for [`Simd`].
pub(super) trait Ints: Simd {
    /// A vector of as many lanes.
    type I: Copy;

    /// The pointer need not be aligned.
    unsafe fn load_ints(from: *const i32) -> Self::I;
    unsafe fn splat_int(x: i32) -> Self::I;
    unsafe fn to_floats(a: Self::I) -> Self::V;
}

/// Dot products of small integers: unsigned numbers of 8 bits with signed ones.
///
/// A number takes [`Dot::BYTES`] bytes, and each lane of a vector holds four bytes, a group of numbers. The sums are
/// exact, so all instruction sets get the same. The same rules as for [`Simd`]; entered through [`DotIsa::run`].
pub(super) trait Dot: Copy + 'static {
    /// The vectors.
    type V: Ints;
    /// Bytes of a number: 1, or 2 where only wider ones are multiplied exactly.
    const BYTES: usize;
    /// What is taken off the unsigned numbers to store them: 128 where both sides are signed.
    const OFFSET: i32 = 0;

    /// Adds the products of each lane's groups: `a` as `store_rounded` writes them, signed `b`.
    unsafe fn dot(
        acc: <Self::V as Ints>::I,
        a: <Self::V as Ints>::I,
        b: <Self::V as Ints>::I,
    ) -> <Self::V as Ints>::I;
    /// Rounds to the nearest number from 0 to 255, of two the even one, and writes a number for each lane.
    unsafe fn store_rounded(to: *mut u8, v: <Self::V as Simd>::V);
}

/// A piece of work with dot products of small integers.
pub(super) trait DotKernel {
    /// Must be `#[inline(always)]`, with everything below it.
    ///
    /// # Safety
    /// The processor has the instructions of `D`, and the kernel's pointers are good.
    unsafe fn run<D: Dot>(self);
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

/// An instruction set of this processor. Only detection makes one, so whoever has one may run its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Isa(Set);

/// Those of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Set {
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
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

impl Isa {
    /// Plain Rust, which every processor runs.
    pub const SCALAR: Self = Self(Set::Scalar);

    /// Those this processor has, the best one first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        // What `x86` switches on for each.
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            if is_x86_feature_detected!("avx512f") {
                found.push(Self(Set::Avx512));
            }
            found.push(Self(Set::Avx2));
        }
        #[cfg(target_arch = "aarch64")]
        found.push(Self(Set::Neon));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        found.push(Self(Set::Simd128));
        found.push(Self::SCALAR);
        found
    }

    /// The best one this processor has.
    pub fn best() -> Self {
        Self::available()[0]
    }

    /// Floats in a vector.
    pub fn lanes(self) -> usize {
        match self.0 {
            Set::Scalar => Scalar::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => x86::Avx2::LANES,
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => x86::Avx512::LANES,
            #[cfg(target_arch = "aarch64")]
            Set::Neon => neon::Neon::LANES,
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Set::Simd128 => wasm::Simd128::LANES,
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self.0 {
            Set::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Set::Neon => "NEON",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Set::Simd128 if wasm::RELAXED => "relaxed simd128",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            Set::Simd128 => "simd128",
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
            // SAFETY: the kernel has no pointers.
            std::hint::black_box(unsafe { self.run(Peak(std::hint::black_box(rounds))) });
            least = least.min(began.elapsed().as_secs_f64());
        }
        (rounds * 12 * 2 * self.lanes()) as f64 / least
    }

    /// Runs a kernel with this instruction set.
    ///
    /// # Safety
    /// The kernel's pointers are good. That this processor has the instructions, `self` proves.
    #[inline]
    pub(super) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the caller's.
        unsafe {
            match self.0 {
                Set::Scalar => kernel.run::<Scalar>(),
                #[cfg(target_arch = "x86_64")]
                Set::Avx2 => x86::avx2(kernel),
                #[cfg(target_arch = "x86_64")]
                Set::Avx512 => x86::avx512(kernel),
                #[cfg(target_arch = "aarch64")]
                Set::Neon => kernel.run::<neon::Neon>(),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                Set::Simd128 => kernel.run::<wasm::Simd128>(),
            }
        }
    }
}

/// An instruction set's products of small integers, for the instruction sets where these are faster than floats.
/// Only detection makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DotIsa(DotSet);

/// Those of this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum DotSet {
    /// AVX-512 VNNI.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    /// AVX-VNNI, the same for vectors of 8.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX2. Its products of bytes saturate, so numbers take 16 bits.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// NEON's `sdot`, which processors have from Armv8.2 on.
    #[cfg(target_arch = "aarch64")]
    NeonDotprod,
    /// WebAssembly's simd128, with numbers of 16 bits.
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    Simd128,
}

impl DotIsa {
    /// Those this processor has, the best one first.
    pub fn available() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let isas = Isa::available();
            if isas.contains(&Isa(Set::Avx512)) && is_x86_feature_detected!("avx512vnni") {
                found.push(Self(DotSet::Avx512Vnni));
            }
            if isas.contains(&Isa(Set::Avx2)) {
                if is_x86_feature_detected!("avxvnni") {
                    found.push(Self(DotSet::AvxVnni));
                }
                found.push(Self(DotSet::Avx2));
            }
        }
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            found.push(Self(DotSet::NeonDotprod));
        }
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        found.push(Self(DotSet::Simd128));
        found
    }

    /// The one that goes with the best instruction set for floats; none where that is as fast with floats.
    pub fn best() -> Option<Self> {
        Self::available()
            .into_iter()
            .find(|dot| dot.isa() == Isa::best())
    }

    /// The instruction set for what stays in floats.
    pub fn isa(self) -> Isa {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            DotSet::Avx512Vnni => Isa(Set::Avx512),
            #[cfg(target_arch = "x86_64")]
            DotSet::AvxVnni | DotSet::Avx2 => Isa(Set::Avx2),
            #[cfg(target_arch = "aarch64")]
            DotSet::NeonDotprod => Isa(Set::Neon),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            DotSet::Simd128 => Isa(Set::Simd128),
        }
    }

    /// For people.
    pub fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            DotSet::Avx512Vnni => "AVX-512 VNNI",
            #[cfg(target_arch = "x86_64")]
            DotSet::AvxVnni => "AVX-VNNI",
            #[cfg(target_arch = "x86_64")]
            DotSet::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            DotSet::NeonDotprod => "NEON dotprod",
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            DotSet::Simd128 => "simd128",
        }
    }

    /// How numbers are stored.
    pub(super) fn form(self) -> DotForm {
        fn of<D: Dot>() -> DotForm {
            DotForm {
                bytes: D::BYTES,
                offset: D::OFFSET,
            }
        }
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            DotSet::Avx512Vnni => of::<x86::Avx512Vnni>(),
            #[cfg(target_arch = "x86_64")]
            DotSet::AvxVnni => of::<x86::AvxVnni>(),
            #[cfg(target_arch = "x86_64")]
            DotSet::Avx2 => of::<x86::Avx2Madd>(),
            #[cfg(target_arch = "aarch64")]
            DotSet::NeonDotprod => of::<neon::Dotprod>(),
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            DotSet::Simd128 => of::<wasm::Simd128>(),
        }
    }

    /// Runs a kernel.
    ///
    /// # Safety
    /// The kernel's pointers are good. That this processor has the instructions, `self` proves.
    #[inline]
    pub(super) unsafe fn run<K: DotKernel>(self, kernel: K) {
        // On a processor without any there is no value of this type.
        let _ = &kernel;
        // SAFETY: the caller's.
        unsafe {
            match self.0 {
                #[cfg(target_arch = "x86_64")]
                DotSet::Avx512Vnni => x86::avx512_vnni(kernel),
                #[cfg(target_arch = "x86_64")]
                DotSet::AvxVnni => x86::avx_vnni(kernel),
                #[cfg(target_arch = "x86_64")]
                DotSet::Avx2 => x86::avx2_madd(kernel),
                #[cfg(target_arch = "aarch64")]
                DotSet::NeonDotprod => neon::dotprod(kernel),
                #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
                DotSet::Simd128 => kernel.run::<wasm::Simd128>(),
            }
        }
    }
}

/// How the numbers of a [`Dot`] are stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct DotForm {
    /// [`Dot::BYTES`].
    pub(super) bytes: usize,
    /// [`Dot::OFFSET`].
    pub(super) offset: i32,
}
