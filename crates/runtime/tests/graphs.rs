//! Random graphs: this project's executor gives tract's numbers, on every instruction set, and refuses none.

#![cfg(feature = "tract")]

mod common;

use common::file::{axis, int, ints, longs, model, node};
use maoocr_runtime::cpu::{CpuSession, DotIsa, Isa};
use maoocr_runtime::tract::TractSession;
use maoocr_runtime::{Session, Tensor};
use proptest::prelude::*;

/// The largest difference, in parts of the largest magnitude.
fn off(ours: &Tensor, theirs: &Tensor) -> f32 {
    let most = theirs.data().iter().fold(1.0f32, |m, x| m.max(x.abs()));
    common::difference(ours, theirs) / most
}

fn run(session: &dyn Session, input: &Tensor) -> Result<Vec<Tensor>, TestCaseError> {
    pollster::block_on(session.run_all(input.clone()))
        .map_err(|error| TestCaseError::fail(format!("{}: {error}", session.executor())))
}

fn agree(onnx: &[u8], shape: [usize; 4]) -> Result<(), TestCaseError> {
    let input = common::noise(&shape);
    let tract = TractSession::load_plain(onnx).map_err(|e| TestCaseError::fail(e.to_string()))?;
    let theirs = run(&tract, &input)?;
    for isa in Isa::available() {
        let session = CpuSession::load_for(onnx, isa);
        let session = session.map_err(|e| TestCaseError::fail(e.to_string()))?;
        // Twice, since the second run finds the first one's values in the arena.
        for _ in 0..2 {
            let ours = run(&session, &input)?;
            prop_assert_eq!(ours.len(), theirs.len());
            for (ours, theirs) in ours.iter().zip(&theirs) {
                let off = off(ours, theirs);
                prop_assert!(off < 1e-4, "{}: {off}", session.executor());
            }
        }
        let pixels = run(&session, &common::channels_last(&input))?;
        for (pixels, theirs) in pixels.iter().zip(&theirs) {
            let off = off(pixels, theirs);
            prop_assert!(off < 1e-4, "{}, NHWC: {off}", session.executor());
        }
    }
    // Rounded to 8 bits: near, and never what memory held before.
    for dot in DotIsa::available() {
        let session = CpuSession::load_int8_for(onnx, dot);
        let session = session.map_err(|e| TestCaseError::fail(e.to_string()))?;
        for _ in 0..2 {
            for (ours, theirs) in run(&session, &input)?.iter().zip(&theirs) {
                let off = off(ours, theirs);
                prop_assert!(off < 0.2, "{}: {off}", session.executor());
            }
        }
    }
    Ok(())
}

proptest! {
    // `PROPTEST_CASES` says how many, 256 without it.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_graphs_agree_with_tract(choices in prop::collection::vec(any::<u8>(), 0..120)) {
        let (onnx, shape) = common::graphs::graph(&choices);
        agree(&onnx, shape)?;
    }
}

/// Whether its two products belong to a gate is only known when the shapes are: by then they had 8-bit weights, which a
/// gate's kernel can't take.
#[test]
fn a_gate_behind_a_reshape_stays_a_gate_in_8_bits() {
    let nodes = [
        node("Conv", &["x", "w"], "a", &[]),
        node("ReduceMean", &["a"], "m", &[ints("axes", &[2, 3])]),
        node("Reshape", &["m", "shape"], "n", &[]),
        node("Conv", &["n", "squeeze"], "s", &[]),
        node("Relu", &["s"], "r", &[]),
        node("Conv", &["r", "excite"], "e", &[]),
        node("HardSigmoid", &["e"], "g", &[]),
        node("Mul", &["a", "g"], "y", &[]),
    ];
    // Twice as large as a constant gate of one half would be: what memory held before is not near it.
    let weights = |name, dims: [usize; 4], scale| common::file::spread(name, &dims, scale);
    let constants = [
        weights("w", [40, 3, 1, 1], 3.0),
        longs("shape", &[1, 40, 1, 1]),
        weights("squeeze", [36, 40, 1, 1], 0.5),
        weights("excite", [40, 36, 1, 1], 0.5),
    ];
    agree(&model(&nodes, &constants, "y"), [1, 3, 5, 6]).unwrap();
}

/// No kernel is made for it; it still has to be made where the concatenation wants it, and activated there.
#[test]
fn a_grouped_convolution_with_relu_goes_into_a_concatenation() {
    let weights = |name, dims: [usize; 4]| common::file::spread(name, &dims, 1.0);
    let nodes = [
        node("Conv", &["x", "w"], "a", &[int("group", 2)]),
        node("Relu", &["a"], "b", &[]),
        node("Conv", &["x", "v"], "c", &[]),
        node("Concat", &["c", "b"], "y", &[axis(1)]),
    ];
    let constants = [weights("w", [6, 2, 1, 1]), weights("v", [3, 4, 1, 1])];
    agree(&model(&nodes, &constants, "y"), [2, 4, 5, 6]).unwrap();
}

/// Two linear layers over the last axis of a tensor of four, and a concatenation of its second one.
#[test]
fn linear_layers_go_into_a_concatenation_of_channels() {
    let weights = |name, dims: [usize; 2]| common::file::spread(name, &dims, 1.0);
    let nodes = [
        node("MatMul", &["x", "w"], "a", &[]),
        node("Relu", &["a"], "b", &[]),
        node("MatMul", &["b", "v"], "c", &[]),
        node("Relu", &["x"], "d", &[]),
        node("Concat", &["c", "d"], "y", &[axis(1)]),
    ];
    let constants = [weights("w", [6, 8]), weights("v", [8, 6])];
    agree(&model(&nodes, &constants, "y"), [1, 4, 5, 6]).unwrap();
}

/// What the property found once.
#[test]
fn graphs_that_were_wrong_once() {
    let found: [&[u8]; 2] = [
        // A sum of a residual's sum: one of them was left out.
        &[
            66, 0, 0, 0, 5, 168, 0, 0, 0, 6, 0, 0, 0, 0, 56, 0, 0, 0, 30, 0, 0, 20, 175, 0, 5, 0,
            10, 4,
        ],
        // tract's optimiser is wrong on this one.
        &[
            0, 144, 0, 0, 36, 71, 0, 0, 53, 0, 0, 0, 123, 0, 6, 0, 32, 5, 0, 0, 0, 0, 0, 0, 0, 0,
            46, 0, 0, 104, 101,
        ],
    ];
    for choices in found {
        let (onnx, shape) = common::graphs::graph(choices);
        agree(&onnx, shape).unwrap();
    }
}
