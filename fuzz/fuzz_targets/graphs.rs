//! Valid models made of the fuzzer's bytes: all kernels in all sizes, under a sanitizer. A run gives the same numbers on
//! every instruction set, up to rounding.

#![no_main]

#[path = "../../crates/runtime/tests/common/file.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod file;
#[path = "../../crates/runtime/tests/common/graphs.rs"]
mod graphs;

use libfuzzer_sys::fuzz_target;
use maoocr_runtime::cpu::{CpuSession, DotIsa, Isa};
use maoocr_runtime::{Session, Tensor};

fn run(session: &CpuSession, input: &Tensor) -> Vec<Tensor> {
    pollster::block_on(session.run_all(input.clone())).expect("a valid model runs")
}

fuzz_target!(|choices: &[u8]| {
    let (onnx, shape) = graphs::graph(choices);
    let numbers = (0..shape.iter().product()).map(|i: usize| (i * 7919 % 255) as f32 / 128.0 - 1.0);
    let input = Tensor::new(shape, numbers.collect()).expect("as many numbers as it says");
    let plain = CpuSession::load_for(&onnx, Isa::SCALAR).expect("a valid model loads");
    let wanted = run(&plain, &input);
    for isa in Isa::available() {
        let session = CpuSession::load_for(&onnx, isa).expect("a valid model loads");
        for (made, wanted) in run(&session, &input).iter().zip(&wanted) {
            let most = wanted.data().iter().fold(1.0f32, |m, x| m.max(x.abs()));
            for (a, b) in made.data().iter().zip(wanted.data()) {
                assert!((a - b).abs() <= 1e-3 * most, "{a} and {b} on {}", isa.name());
            }
        }
    }
    for dot in DotIsa::available() {
        let session = CpuSession::load_int8_for(&onnx, dot).expect("a valid model loads");
        run(&session, &input);
    }
});
