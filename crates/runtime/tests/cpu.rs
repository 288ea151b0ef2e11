//! The project's own CPU executor against tract, on the real models.

#![cfg(feature = "tract")]

mod common;

use maoocr_runtime::cpu::{CpuSession, Isa};
use maoocr_runtime::tract::TractSession;
use maoocr_runtime::{BestPath, Session};

/// Shapes that reach every edge: odd pictures, batches, one column, and what the pipeline uses.
const SHAPES: &[(&str, &[&[usize]])] = &[
    (
        "ppocrv6-tiny-det",
        &[&[1, 3, 64, 64], &[2, 3, 32, 96], &[1, 3, 320, 256]],
    ),
    ("ppocrv6-small-det", &[&[1, 3, 64, 32], &[1, 3, 160, 224]]),
    (
        "ppocrv6-tiny-rec",
        &[&[1, 3, 48, 32], &[3, 3, 48, 120], &[1, 3, 48, 321]],
    ),
    (
        "ppocrv6-small-rec",
        &[&[1, 3, 48, 32], &[2, 3, 48, 200], &[1, 3, 48, 332]],
    ),
    ("page-orientation", &[&[1, 3, 224, 224]]),
    ("ppocrv5-line-orientation", &[&[2, 3, 80, 160]]),
];

#[test]
fn agrees_with_tract() {
    for &(name, shapes) in SHAPES {
        let onnx = common::model(name);
        let reference = TractSession::load(&onnx).unwrap();
        for isa in Isa::available() {
            let session = CpuSession::load_for(&onnx, isa).unwrap();
            for &shape in shapes {
                let input = common::noise(shape);
                let theirs = pollster::block_on(reference.run(input.clone())).unwrap();
                // Twice, since the second run finds the first one's values in the arena.
                for _ in 0..2 {
                    let ours = pollster::block_on(session.run(input.clone())).unwrap();
                    let difference = common::difference(&ours, &theirs);
                    eprintln!("{name} {shape:?} on {}: {difference:e}", session.executor());
                    assert!(difference < 1e-3, "{name} {shape:?}: {difference}");
                }
                let pixels = common::channels_last(&input);
                let planes = pollster::block_on(session.run(input.clone())).unwrap();
                assert_eq!(
                    pollster::block_on(session.run(pixels.clone())).unwrap(),
                    planes
                );
                // Taken where they are.
                let first = &session.profile(&pixels, 1).unwrap()[0];
                assert_ne!(first.kernel, "copy", "{name}");
                if theirs.shape().len() == 3 {
                    let best = pollster::block_on(session.run_best(input)).unwrap();
                    let expected = BestPath::from_scores(&theirs).unwrap();
                    assert_eq!(best.classes, expected.classes, "{name} {shape:?}");
                    assert_eq!((best.batch, best.steps), (expected.batch, expected.steps));
                    let pairs = [
                        (&best.probabilities, &expected.probabilities),
                        (&best.last_class, &expected.last_class),
                    ];
                    for (ours, theirs) in pairs {
                        assert_eq!(ours.len(), theirs.len());
                        for (a, b) in ours.iter().zip(theirs) {
                            assert!((a - b).abs() < 1e-3, "{name} {shape:?}: {a} and {b}");
                        }
                    }
                }
            }
        }
    }
}

/// Half floats keep eleven bits of each weight.
#[test]
fn compact_models_give_nearly_the_same() {
    for (name, shape, tolerance) in [
        ("ppocrv6-tiny-det", [1, 3, 64, 96], 0.02),
        ("ppocrv6-tiny-rec", [1, 3, 48, 160], 0.05),
    ] {
        let onnx = common::model(name);
        let small = maoocr_runtime::onnx::compact(&onnx).unwrap();
        assert!(
            small.len() * 100 < onnx.len() * 56,
            "{} of {}",
            small.len(),
            onnx.len()
        );
        let input = common::noise(&shape);
        let run = |onnx: &[u8]| {
            let session = CpuSession::load(onnx).unwrap();
            pollster::block_on(session.run(input.clone())).unwrap()
        };
        let (exact, halved) = (run(&onnx), run(&small));
        let difference = common::difference(&exact, &halved);
        eprintln!("{name}: {difference:e}");
        assert!(
            difference > 0.0 && difference < tolerance,
            "{name}: {difference}"
        );
        // The casts make it a model for others too.
        let theirs = TractSession::load(&small).unwrap();
        let theirs = pollster::block_on(theirs.run(input.clone())).unwrap();
        assert!(common::difference(&theirs, &halved) < 1e-3, "{name}");
    }
}

/// PP-OCRv5's recogniser carries its alphabet, which is also published as a file.
#[test]
fn a_recogniser_knows_its_alphabet() {
    let onnx = common::model("ppocrv5-mobile-rec");
    let alphabet = maoocr_runtime::onnx::metadata(&onnx, "character").unwrap();
    assert!(alphabet.lines().count() > 18_000);
    assert!(alphabet.contains("\n一\n乙\n"));
}
