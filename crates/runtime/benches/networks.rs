//! The CPU executor's networks, beside tract's. `MAOOCR_MODELS` names the folder of models, else the user's cache.

#![allow(missing_docs, reason = "criterion's macro makes a public function")]

#[path = "../tests/common/mod.rs"]
mod common;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use maoocr_runtime::cpu::{CpuSession, DotIsa, Isa, set_threads};
use maoocr_runtime::tract::TractSession;
use maoocr_runtime::{Session, Tensor};

const CASES: &[(&str, &[usize])] = &[
    ("ppocrv6-tiny-det", &[1, 3, 640, 640]),
    ("ppocrv6-small-det", &[1, 3, 640, 640]),
    ("ppocrv6-tiny-rec", &[1, 3, 48, 320]),
    ("ppocrv6-small-rec", &[1, 3, 48, 320]),
    ("ppocrv6-small-rec", &[6, 3, 48, 640]),
];

fn run(session: &dyn Session, input: &Tensor) {
    let output = if input.shape()[2] == 48 {
        pollster::block_on(session.run_best(input.clone())).map(drop)
    } else {
        pollster::block_on(session.run(input.clone())).map(drop)
    };
    output.expect("the network runs");
}

fn networks(criterion: &mut Criterion) {
    set_threads(1);
    let mut group = criterion.benchmark_group("networks");
    group.sample_size(10);
    for &(name, shape) in CASES {
        let onnx = common::model(name);
        let input = common::channels_last(&common::noise(shape));
        let case = format!("{name} {shape:?}");
        for isa in Isa::available() {
            if isa == Isa::SCALAR {
                continue;
            }
            let session = CpuSession::load_for(&onnx, isa).expect("the processor has it");
            group.bench_with_input(BenchmarkId::new(isa.name(), &case), &input, |b, input| {
                b.iter(|| run(&session, input));
            });
        }
        for dot in DotIsa::available() {
            let session = CpuSession::load_int8_for(&onnx, dot).expect("the processor has it");
            let name = format!("{}, int8", dot.name());
            group.bench_with_input(BenchmarkId::new(name, &case), &input, |b, input| {
                b.iter(|| run(&session, input));
            });
        }
        let session = TractSession::load(&onnx).expect("tract knows it");
        group.bench_with_input(BenchmarkId::new("tract", &case), &input, |b, input| {
            b.iter(|| run(&session, input));
        });
    }
    group.finish();
}

criterion_group!(benches, networks);
criterion_main!(benches);
