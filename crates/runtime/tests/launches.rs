//! How many kernels a run launches on a GPU, and how many pipelines shapes add.

#![cfg(feature = "burn")]

mod common;

use maoocr_runtime::burn::{adapters, load_gpu};
use maoocr_runtime::launches::Watch;

#[test]
fn runs_launch_a_bounded_number_of_kernels() {
    let adapter = adapters()
        .into_iter()
        .next()
        .expect("a wgpu adapter; cargo xtask setup installs one");
    for (name, shape, best, bound) in [
        ("ppocrv6-tiny-det", [1, 3, 64, 64], false, 150),
        ("ppocrv6-small-det", [1, 3, 64, 64], false, 150),
        ("ppocrv6-tiny-rec", [1, 3, 48, 64], true, 80),
        ("ppocrv6-small-rec", [1, 3, 48, 64], true, 150),
        ("ppocrv5-line-orientation", [1, 3, 80, 160], false, 80),
        ("page-orientation", [1, 3, 224, 224], false, 80),
    ] {
        let Some(onnx) = common::model(name) else {
            continue;
        };
        let session = load_gpu(&onnx, &adapter).unwrap();
        let watch = Watch::new();
        if best {
            pollster::block_on(session.run_best(common::noise(&shape))).unwrap();
        } else {
            pollster::block_on(session.run(common::noise(&shape))).unwrap();
        }
        let launched = watch.finish();
        eprintln!(
            "{name}: {} launches, {} pipelines",
            launched.count(),
            launched.pipelines.len()
        );
        for (kernel, count) in &launched.kernels {
            eprintln!("  {count:4} {kernel}");
        }
    }
}
