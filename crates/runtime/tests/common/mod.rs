//! What the tests share: model files, models made for a test, and pictures made of noise.

#![allow(dead_code, reason = "each test file uses a part of it")]

pub mod file;
pub mod graphs;

use std::path::PathBuf;

use maoocr_runtime::Tensor;

/// The bytes of a model. Where it is missing, the test fails: a test that read nothing has shown nothing.
pub fn model(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("MAOOCR_MODELS").map(PathBuf::from);
    let folder = folder.unwrap_or_else(|| {
        let home = std::env::var_os("HOME").expect("MAOOCR_MODELS or HOME says where models are");
        PathBuf::from(home).join(".cache/maoocr/models")
    });
    let path = folder.join(format!("{name}.onnx"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; `maoocr models pull {name}` gets it",
            path.display()
        )
    })
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
