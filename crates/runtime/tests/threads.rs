//! Runs from several threads at once, and from within a pool of threads.

#![cfg(feature = "threads")]

mod common;

use common::file::{ints, longs, model, node, spread};
use maoocr_runtime::Session;
use maoocr_runtime::cpu::CpuSession;
use rayon::prelude::*;

/// A convolution and squeeze and excite, whose gate stays in scratch memory while threads multiply with it.
fn gated() -> Vec<u8> {
    let nodes = [
        node("Conv", &["x", "w"], "a", &[ints("pads", &[1, 1, 1, 1])]),
        node("GlobalAveragePool", &["a"], "m", &[]),
        node("Conv", &["m", "squeeze"], "s", &[]),
        node("Relu", &["s"], "r", &[]),
        node("Conv", &["r", "excite"], "e", &[]),
        node("HardSigmoid", &["e"], "g", &[]),
        node("Mul", &["a", "g"], "b", &[]),
        node("Reshape", &["b", "flat"], "y", &[]),
    ];
    let constants = [
        spread("w", &[16, 3, 3, 3], 1.0),
        spread("squeeze", &[4, 16, 1, 1], 1.0),
        spread("excite", &[16, 4, 1, 1], 1.0),
        longs("flat", &[0, -1]),
    ];
    model(&nodes, &constants, "y")
}

/// Whoever reads pages with `par_iter` runs sessions on rayon's threads, which take other pages' work while they wait
/// for their own.
#[test]
fn runs_within_one_pool_do_not_meet_in_scratch_memory() {
    let session = CpuSession::load(&gated()).unwrap();
    let inputs: Vec<_> = (0..64)
        .map(|i| common::noise(&[1, 3, 40 + i % 7, 33]))
        .collect();
    let alone: Vec<_> = inputs
        .iter()
        .map(|input| pollster::block_on(session.run(input.clone())).unwrap())
        .collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(4).build();
    let pool = pool.unwrap();
    for _ in 0..20 {
        let together: Vec<_> = pool.install(|| {
            let runs = inputs.par_iter();
            runs.map(|input| pollster::block_on(session.run(input.clone())).unwrap())
                .collect()
        });
        assert!(together == alone, "a run within a pool gave other numbers");
    }
}

/// What is split over threads is the same work in another order.
#[test]
fn the_number_of_threads_changes_no_number() {
    let session = CpuSession::load(&gated()).unwrap();
    let input = common::noise(&[2, 3, 57, 61]);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let pool = pool.build().unwrap();
        pool.install(|| pollster::block_on(session.run(input.clone())).unwrap())
    };
    let one = run(1);
    for threads in [2, 3, 5] {
        assert!(run(threads) == one, "{threads} threads gave other numbers");
    }
}
