use maoocr_runtime::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let onnx = std::fs::read(&a[1]).unwrap();
    let shape: Vec<usize> = a[2].split('x').map(|s| s.parse().unwrap()).collect();
    let s = match a.get(3).map(|s| s.as_str()) {
        Some("avx2") => cpu::CpuSession::load_for(&onnx, cpu::Isa::Avx2),
        _ => cpu::CpuSession::load(&onnx),
    }
    .unwrap();
    rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build_global()
        .unwrap();
    let n: usize = shape.iter().product();
    let input = Tensor::new(
        shape.clone(),
        (0..n)
            .map(|i| ((i * 7919) % 255) as f32 / 255.0 - 0.5)
            .collect::<Vec<_>>(),
    )
    .unwrap();
    let mut total = 0.0;
    let mut by = std::collections::BTreeMap::<&str, (f64, u64)>::new();
    for c in s.profile(&input, 15).unwrap() {
        let ms = c.time.as_secs_f64() * 1e3;
        total += ms;
        let e = by.entry(c.kernel).or_default();
        e.0 += ms;
        e.1 += c.macs;
        if ms > 0.3 * (n as f64 / 1228800.0).min(1.0) {
            println!(
                "{:8.3} ms {:6.1} GF/s {} {}",
                ms,
                c.macs as f64 * 2e-6 / ms,
                c.kernel,
                c.shape
            );
        }
    }
    for (k, (ms, m)) in by {
        println!("== {k}: {ms:.2} ms {:.0} GF/s", m as f64 * 2e-6 / ms);
    }
    println!(
        "total {total:.2} ms, arena {:.1} MB",
        s.arena_len(&shape).unwrap() as f64 * 4e-6
    );
}
