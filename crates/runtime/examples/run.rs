//! Runs an ONNX model on noise and says what came out and how long it took.
//!
//! ```text
//! cargo run --release -p maoocr-runtime --no-default-features --features threads --example run -- \
//!     ~/.cache/maoocr/models/ppocrv6-tiny-det.onnx 1,3,320,320 cpu
//! ```

use std::error::Error;
use std::time::Instant;

use maoocr_runtime::{Device, Tensor};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(shape)) = (arguments.next(), arguments.next()) else {
        return Err("usage: run MODEL.onnx N,C,H,W [DEVICE]".into());
    };
    let shape: Vec<usize> = shape.split(',').map(str::parse).collect::<Result<_, _>>()?;
    let device = Device::parse(&arguments.next().unwrap_or_else(|| "auto".into()))?;

    let session = device.load(&std::fs::read(path)?)?;
    println!("on {}", session.executor());
    if let Some(reason) = session.fallback() {
        println!("since {reason}");
    }
    let count = shape.iter().product::<usize>();
    let values = (0..count).map(|i| (i * 7919 % 255) as f32 / 127.5 - 1.0);
    let input = Tensor::new(shape, values.collect())?;
    // The first run of a shape compiles the model for it.
    for round in ["first", "second"] {
        let began = Instant::now();
        let outputs = pollster::block_on(session.run_all(input.clone()))?;
        println!("{round} run: {:.1?}", began.elapsed());
        for (name, output) in session.outputs().iter().zip(&outputs) {
            let start = &output.data()[..output.data().len().min(4)];
            println!("  {name} {:?}: {start:?} …", output.shape());
        }
    }
    Ok(())
}
