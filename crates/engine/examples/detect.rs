//! Prints where the lines of a picture are: `cargo run --release -p maoocr-engine --example detect -- picture.png`.

mod common;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (image, engine, plan) = common::ready()?;
    for line in pollster::block_on(engine.detect_lines(&image, &plan))? {
        let [x0, y0, x1, y1] = line.quad.bounds().map(f32::round);
        println!("{x0} {y0} {x1} {y1}, {:.0} %", line.score * 100.0);
    }
    Ok(())
}
