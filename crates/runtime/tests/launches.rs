//! How many kernels a run launches on a GPU, and that shapes add no pipelines.

#![cfg(feature = "burn")]

mod common;

use std::collections::BTreeSet;

use maoocr_runtime::burn::{adapters, load_gpu};
use maoocr_runtime::launches::{Launched, Watch};

/// One test for both, since a watch counts for the whole process.
#[test]
fn launches_and_pipelines_are_bounded() {
    let found = adapters().into_iter().next();
    let adapter = found.expect("a wgpu adapter; `cargo xtask setup` installs one in software");
    for (name, best, bound, shapes) in [
        (
            "ppocrv6-tiny-det",
            false,
            105,
            [[1, 3, 64, 64], [2, 3, 96, 32]],
        ),
        (
            "ppocrv6-small-det",
            false,
            105,
            [[1, 3, 64, 64], [1, 3, 32, 96]],
        ),
        (
            "ppocrv6-tiny-rec",
            true,
            44,
            [[1, 3, 48, 64], [3, 3, 48, 136]],
        ),
        (
            "ppocrv6-small-rec",
            true,
            83,
            [[1, 3, 48, 64], [2, 3, 48, 136]],
        ),
        (
            "ppocrv5-line-orientation",
            false,
            38,
            [[1, 3, 80, 160], [2, 3, 80, 160]],
        ),
        (
            "page-orientation",
            false,
            38,
            [[1, 3, 224, 224], [1, 3, 224, 224]],
        ),
    ] {
        let onnx = common::model(name);
        let session = load_gpu(&onnx, &adapter).unwrap();
        let mut pipelines = BTreeSet::new();
        for (index, shape) in shapes.iter().enumerate() {
            let watch = Watch::new();
            // As the pipeline lays it out.
            let input = common::channels_last(&common::noise(shape));
            if best {
                pollster::block_on(session.run_best(input)).unwrap();
            } else {
                pollster::block_on(session.run(input)).unwrap();
            }
            let launched: Launched = watch.finish();
            let (launches, all) = (launched.count(), &launched.kernels);
            eprintln!("{name} {shape:?}: {launches} launches, {all:?}");
            assert!(launches > 0, "nothing was counted");
            assert!(launches <= bound, "{name}: {launches} launches");
            if index == 0 {
                pipelines = launched.pipelines;
            } else {
                let new = launched.pipelines.difference(&pipelines).count();
                assert_eq!(
                    new, 0,
                    "{name} {shape:?}: pipelines that the first shape had not"
                );
            }
        }
    }
}
