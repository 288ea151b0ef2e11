//! What the tests share: model files where there are any, and pictures made of noise.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;

use maoocr_runtime::Tensor;

/// The bytes of a model, or `None` with a printed reason.
pub fn model(name: &str) -> Option<Vec<u8>> {
    let folder = std::env::var_os("MAOOCR_MODELS")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/maoocr/models")))?;
    let path = folder.join(format!("{name}.onnx"));
    match std::fs::read(&path) {
        Ok(bytes) => Some(bytes),
        Err(e) => {
            eprintln!("skipped: {}: {e}", path.display());
            None
        }
    }
}

/// Values between -1 and 1 that are the same on every machine.
pub fn noise(shape: &[usize]) -> Tensor {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let data = (0..shape.iter().product::<usize>())
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::new(shape, data).expect("as many values as the shape says")
}

/// The same pictures with their channels side by side.
pub fn channels_last(planes: &Tensor) -> Tensor {
    let &[n, c, h, w] = planes.shape() else {
        panic!("{:?} are no pictures", planes.shape());
    };
    let at = |i: usize| {
        let (picture, pixel, channel) = (i / (c * h * w), i / c % (h * w), i % c);
        planes.data()[(picture * c + channel) * h * w + pixel]
    };
    let data = (0..n * c * h * w).map(at).collect();
    Tensor::channels_last([n, c, h, w], data).expect("as many values")
}

/// The largest difference between two tensors of one shape.
pub fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.data()
        .iter()
        .zip(b.data())
        // NaN must not pass.
        .map(|(a, b)| {
            if (a - b).is_nan() {
                f32::INFINITY
            } else {
                (a - b).abs()
            }
        })
        .fold(0.0, f32::max)
}
