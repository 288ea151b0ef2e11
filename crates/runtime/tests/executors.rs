//! Burn's executors against tract, on the real models at small shapes.

#![cfg(all(feature = "flex", feature = "tract"))]

mod common;

use std::sync::Arc;

use maoocr_runtime::burn::{Adapter, adapters, load_flex, load_gpu};
use maoocr_runtime::tract::TractSession;
use maoocr_runtime::{BestPath, Session};

type Load<'a> = &'a dyn Fn(&[u8]) -> Arc<dyn Session>;

fn flex(onnx: &[u8]) -> Arc<dyn Session> {
    let session = load_flex(onnx).unwrap();
    Arc::new(session)
}

/// The first adapter, software ones too.
fn adapter() -> Adapter {
    let found = adapters().into_iter().next();
    found.expect("a wgpu adapter; `cargo xtask setup` installs one in software")
}

/// Runs a model here and with tract; the largest difference.
fn compare(name: &str, shape: &[usize], load: Load<'_>, bound: f32) {
    let onnx = common::model(name);
    let input = common::noise(shape);
    let session = load(&onnx);
    let ours = pollster::block_on(session.run(input.clone())).unwrap();
    let reference = TractSession::load(&onnx).unwrap();
    let theirs = pollster::block_on(reference.run(input.clone())).unwrap();
    let difference = common::difference(&ours, &theirs);
    eprintln!(
        "{name} {shape:?} on {}: max abs difference {difference:e}",
        session.executor()
    );
    assert!(difference < bound, "{name} {shape:?}: {difference}");
    let pixels = common::channels_last(&input);
    let executors: [&dyn Session; 2] = [&*session, &reference];
    for (executor, planes) in executors.into_iter().zip([&ours, &theirs]) {
        let made = pollster::block_on(executor.run(pixels.clone())).unwrap();
        let difference = common::difference(&made, planes);
        assert!(difference < 1e-5, "{name} {shape:?}, NHWC: {difference}");
    }
}

/// Greedy decoding's needs from the device against those from the whole output.
fn compare_best(name: &str, shape: &[usize], load: Load<'_>) {
    let onnx = common::model(name);
    let input = common::noise(shape);
    let session = load(&onnx);
    let whole = pollster::block_on(session.run(input.clone())).unwrap();
    let expected = BestPath::from_scores(&whole).unwrap();
    let best = pollster::block_on(session.run_best(input)).unwrap();
    assert_eq!(
        (best.batch, best.steps, &best.classes),
        (expected.batch, expected.steps, &expected.classes)
    );
    // The sum below each probability may be taken in another order.
    let near = |a: &[f32], b: &[f32]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5)
    };
    assert!(near(&best.probabilities, &expected.probabilities));
    assert!(near(&best.last_class, &expected.last_class));
}

#[test]
fn flex_agrees_on_detection() {
    compare("ppocrv6-tiny-det", &[1, 3, 64, 64], &flex, 1e-3);
    compare("ppocrv6-tiny-det", &[2, 3, 32, 96], &flex, 1e-3);
    compare("ppocrv6-small-det", &[1, 3, 64, 32], &flex, 1e-3);
}

#[test]
fn flex_agrees_on_recognition() {
    compare("ppocrv6-tiny-rec", &[1, 3, 48, 64], &flex, 1e-3);
    compare("ppocrv6-tiny-rec", &[3, 3, 48, 72], &flex, 1e-3);
    compare("ppocrv6-small-rec", &[2, 3, 48, 64], &flex, 1e-3);
    compare_best("ppocrv6-tiny-rec", &[2, 3, 48, 64], &flex);
}

#[test]
fn flex_agrees_on_the_other_models() {
    compare("ppocrv5-line-orientation", &[2, 3, 80, 160], &flex, 1e-3);
    compare("page-orientation", &[1, 3, 224, 224], &flex, 1e-3);
    compare("ppocrv5-mobile-det", &[1, 3, 64, 64], &flex, 1e-3);
    compare("ppocrv5-mobile-rec", &[1, 3, 48, 64], &flex, 1e-3);
}

#[test]
fn the_gpu_agrees_on_detection() {
    let adapter = adapter();
    let load = |onnx: &[u8]| load_gpu(onnx, &adapter).unwrap();
    compare("ppocrv6-tiny-det", &[1, 3, 64, 64], &load, 1e-3);
    compare("ppocrv6-tiny-det", &[2, 3, 32, 96], &load, 1e-3);
    compare("ppocrv5-mobile-det", &[1, 3, 64, 64], &load, 1e-3);
}

#[test]
fn the_gpu_agrees_on_the_other_models() {
    let adapter = adapter();
    let load = |onnx: &[u8]| load_gpu(onnx, &adapter).unwrap();
    compare("ppocrv5-line-orientation", &[2, 3, 80, 160], &load, 1e-3);
    compare("page-orientation", &[1, 3, 224, 224], &load, 1e-3);
    compare("ppocrv5-mobile-rec", &[2, 3, 48, 64], &load, 1e-3);
}

#[test]
fn the_gpu_agrees_on_recognition() {
    let adapter = adapter();
    let load = |onnx: &[u8]| load_gpu(onnx, &adapter).unwrap();
    compare("ppocrv6-tiny-rec", &[2, 3, 48, 64], &load, 1e-3);
    compare_best("ppocrv6-tiny-rec", &[2, 3, 48, 64], &load);
}

#[test]
fn the_gpu_agrees_on_attention() {
    let adapter = adapter();
    let load = |onnx: &[u8]| load_gpu(onnx, &adapter).unwrap();
    compare("ppocrv6-small-rec", &[1, 3, 48, 64], &load, 1e-3);
    compare_best("ppocrv6-small-rec", &[2, 3, 48, 72], &load);
}
