//! Bytes that claim to be an ONNX file: loaded, compiled and run, they end in numbers or in an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maoocr_runtime::cpu::CpuSession;
use maoocr_runtime::{Session, Tensor, onnx, rewrite, specialise};

const INPUT: [usize; 4] = [1, 3, 16, 16];

fuzz_target!(|file: &[u8]| {
    let _ = onnx::metadata(file, "character");
    let _ = onnx::cut(file, &["y", "a"]);
    let _ = onnx::stored(file, &["w"]);
    let loaded = onnx::load(file);
    if let Ok(small) = onnx::compact(file)
        && loaded.is_ok()
    {
        // Weights too large for a half stay, so a model stays one.
        assert!(onnx::load(&small).is_ok());
    }
    let Ok(mut graph) = loaded else { return };
    if rewrite::simplify(&mut graph).is_err() {
        return;
    }
    let Ok(special) = specialise::specialise(&graph, &INPUT) else {
        return;
    };
    // What is large is refused elsewhere, by the memory it takes.
    let elements = |shape: &Vec<usize>| shape.iter().product::<usize>();
    if special.shapes.iter().map(elements).max() > Some(1 << 14) {
        return;
    }
    let Ok(session) = CpuSession::load(file) else {
        return;
    };
    let numbers = (0..INPUT.iter().product()).map(|i: usize| (i % 255) as f32 / 128.0 - 1.0);
    let input = Tensor::new(INPUT, numbers.collect()).expect("as many numbers as it says");
    let made = pollster::block_on(session.run_all(input.clone()));
    let _ = pollster::block_on(session.run_best(input));
    if let Ok(made) = made {
        assert_eq!(made.len(), session.outputs().len());
    }
});
