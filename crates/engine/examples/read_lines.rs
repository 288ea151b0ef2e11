//! Reads the upper half of a picture's lines, in boxes of the caller's choice, and puts them in reading order:
//! `cargo run --release -p maoocr-engine --example read_lines -- picture.png`.

mod common;

use maoocr_engine::document;
use maoocr_engine::geometry::Quad;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (image, engine, plan) = common::ready()?;
    let found = pollster::block_on(engine.detect_lines(&image, &plan))?;
    let half = image.height as f32 / 2.0;
    let upper: Vec<Quad> = found
        .into_iter()
        .map(|line| line.quad)
        .filter(|quad| quad.center().y < half)
        .collect();
    let lines = pollster::block_on(engine.read_lines(&image, &upper, &plan))?;
    println!(
        "{}",
        document::assemble(lines, image.width, image.height).text
    );
    Ok(())
}
