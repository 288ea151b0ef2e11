//! This project's own CPU executor: one NHWC layout through the network, weights packed once, kernels written over a
//! small SIMD abstraction, one arena per run.

mod buffer;
mod conv;
mod depthwise;
mod elementwise;
mod gemm;
mod jobs;
mod lower;
mod math;
mod memory;
mod pooling;
mod program;
mod quant;
mod rows;
mod run;
mod session;
mod simd;
mod step;
mod threads;
mod view;
mod weights;

pub use session::{CpuSession, StepCost};
pub use simd::{DotIsa, Isa};
pub use threads::set_threads;

#[cfg(test)]
mod testing {
    /// Values between -1 and 1 that are the same on every machine.
    pub(super) fn noise(len: usize, seed: u64) -> Vec<f32> {
        let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (seed << 17);
        (0..len)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
            })
            .collect()
    }

    /// Fails unless the numbers agree; what is not a number never does.
    #[track_caller]
    pub(super) fn close(got: f32, wanted: f32, tolerance: f32, what: &str) {
        let difference = (got - wanted).abs();
        assert!(
            difference <= tolerance * wanted.abs().max(1.0),
            "{what}: {got} instead of {wanted}"
        );
    }
}
