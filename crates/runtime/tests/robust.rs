//! Files that are damaged, or made to harm: the loader says so and does not panic.

mod common;

use common::file::{Message, axis, floats, ints, longs, model, node, tensor, text};
use maoocr_runtime::cpu::CpuSession;
use maoocr_runtime::{RuntimeError, Session, onnx, rewrite, specialise};
use proptest::prelude::*;

/// A little of everything: convolutions, a pool, shape arithmetic, a linear layer.
fn small() -> Vec<u8> {
    let nodes = [
        node(
            "Conv",
            &["x", "w"],
            "a",
            &[ints("pads", &[1, 1, 1, 1]), ints("strides", &[2, 2])],
        ),
        node("Add", &["a", "bias"], "b", &[]),
        node("Relu", &["b"], "c", &[]),
        node(
            "MaxPool",
            &["c"],
            "d",
            &[ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])],
        ),
        node(
            "Resize",
            &["d", "", "scales"],
            "e",
            &[
                text("coordinate_transformation_mode", "asymmetric"),
                text("nearest_mode", "floor"),
            ],
        ),
        node("Concat", &["c", "e"], "f", &[axis(1)]),
        node("Shape", &["f"], "g", &[]),
        node("Slice", &["g", "zero", "two"], "h", &[]),
        node("Concat", &["h", "minus"], "i", &[axis(0)]),
        node("Reshape", &["f", "i"], "j", &[]),
        node("Transpose", &["j"], "k", &[ints("perm", &[0, 2, 1])]),
        node("MatMul", &["k", "m"], "l", &[]),
        node("Softmax", &["l"], "y", &[]),
    ];
    let constants = [
        floats("w", &[4, 3, 3, 3]),
        floats("bias", &[1, 4, 1, 1]),
        tensor(
            "scales",
            1,
            &[4],
            &[1.0f32, 1.0, 2.0, 2.0].map(f32::to_le_bytes).concat(),
        ),
        longs("zero", &[0]),
        longs("two", &[2]),
        longs("minus", &[-1]),
        floats("m", &[8, 5]),
    ];
    model(&nodes, &constants, "y")
}

/// Loads, rewrites, fixes the shape and runs what is left on the CPU's executors, where it is small.
fn whole_way(onnx: &[u8]) -> Result<Vec<usize>, RuntimeError> {
    let mut graph = onnx::load(onnx)?;
    rewrite::simplify(&mut graph)?;
    let special = specialise::specialise(&graph, &[1, 3, 16, 16])?;
    let small = special
        .shapes
        .iter()
        .all(|s| s.iter().product::<usize>() < 1 << 16);
    if !small {
        return Ok(special.shapes[special.graph.outputs[0].value].clone());
    }
    let input = common::noise(&[1, 3, 16, 16]);
    let session = CpuSession::load(onnx)?;
    let made = pollster::block_on(session.run(input.clone()))?;
    // A model without scores of classes says so.
    let _ = pollster::block_on(session.run_best(input.clone()));
    #[cfg(feature = "flex")]
    {
        let session = maoocr_runtime::burn::load_flex(onnx)?;
        let other = pollster::block_on(session.run(input))?;
        assert_eq!(made.shape(), other.shape());
    }
    Ok(made.shape().to_vec())
}

#[test]
fn the_file_itself_is_fine() {
    assert_eq!(whole_way(&small()).unwrap(), [1, 64, 5]);
    #[cfg(feature = "tract")]
    {
        use maoocr_runtime::tract::TractSession;
        let run = |session: &dyn Session| {
            pollster::block_on(session.run(common::noise(&[1, 3, 16, 16]))).unwrap()
        };
        let theirs = run(&TractSession::load(&small()).unwrap());
        let ours = run(&CpuSession::load(&small()).unwrap());
        assert!(common::difference(&ours, &theirs) < 1e-5);
        #[cfg(feature = "flex")]
        {
            let flex = run(&maoocr_runtime::burn::load_flex(&small()).unwrap());
            assert!(common::difference(&flex, &theirs) < 1e-5);
        }
    }
}

#[test]
fn every_truncation_is_an_error() {
    let file = small();
    for length in 0..file.len() {
        assert!(whole_way(&file[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn hostile_files_are_errors_that_name_the_place() {
    let conv = |attributes: &[Vec<u8>]| node("Conv", &["x", "w"], "y", attributes);
    let w = floats("w", &[4, 3, 3, 3]);
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        (
            "a cycle",
            model(
                &[
                    node("Add", &["x", "b"], "a", &[]),
                    node("Relu", &["a"], "b", &[]),
                ],
                &[],
                "b",
            ),
            "`a`",
        ),
        (
            "a missing input",
            model(&[node("Relu", &["nowhere"], "y", &[])], &[], "y"),
            "nowhere",
        ),
        ("a missing output", model(&[], &[], "y"), "`y`"),
        (
            "two makers",
            model(
                &[
                    node("Relu", &["x"], "y", &[]),
                    node("Relu", &["x"], "y", &[]),
                ],
                &[],
                "y",
            ),
            "twice",
        ),
        (
            "an unknown operator",
            model(&[node("Mystery", &["x"], "y", &[])], &[], "y"),
            "Mystery",
        ),
        (
            "huge dimensions",
            model(
                &[conv(&[])],
                &[tensor("w", 1, &[1 << 40, 1 << 40, 3, 3], &[0; 4])],
                "y",
            ),
            "`w`",
        ),
        (
            "a negative dimension",
            model(
                &[conv(&[])],
                &[tensor("w", 1, &[-4, 3, 3, 3], &[0; 4])],
                "y",
            ),
            "`w`",
        ),
        (
            "too few bytes",
            model(&[conv(&[])], &[tensor("w", 1, &[4, 3, 3, 3], &[0; 8])], "y"),
            "`w`",
        ),
        (
            "external data",
            model(&[conv(&[])], &[Message(w.clone()).int(14, 1).0], "y"),
            "another file",
        ),
        (
            "a stride of 0",
            model(
                &[conv(&[ints("strides", &[0, 1])])],
                std::slice::from_ref(&w),
                "y",
            ),
            "strides",
        ),
        (
            "huge padding",
            model(
                &[conv(&[ints("pads", &[1 << 40; 4])])],
                std::slice::from_ref(&w),
                "y",
            ),
            "pads",
        ),
        (
            "a wrong perm",
            model(
                &[node(
                    "Transpose",
                    &["x"],
                    "y",
                    &[ints("perm", &[0, 0, 1, 2])],
                )],
                &[],
                "y",
            ),
            "perm",
        ),
        (
            "a wrong rank",
            model(
                &[node("Transpose", &["x"], "y", &[ints("perm", &[1, 0])])],
                &[],
                "y",
            ),
            "`y`",
        ),
    ];
    for (what, file, named) in cases {
        let error = whole_way(&file).expect_err(what).to_string();
        assert!(error.contains(named), "{what}: {error}");
    }
}

#[test]
fn crowds_of_empty_messages_are_refused_before_they_are_read() {
    for field in [1u64, 5, 11, 12] {
        let graph = [(field << 3 | 2) as u8, 0].repeat(1_000_000);
        let file = Message::default().bytes(7, &graph).0;
        let error = whole_way(&file).unwrap_err().to_string();
        assert!(error.contains("parts"), "{error}");
    }
    // A node's inputs.
    let node = [1 << 3 | 2, 0].repeat(1_000_000);
    let graph = Message::default().bytes(1, &node).0;
    let file = Message::default().bytes(7, &graph).0;
    assert!(whole_way(&file).unwrap_err().to_string().contains("parts"));
}

#[test]
fn doubling_does_not_fill_the_memory() {
    let mut nodes = vec![node("Shape", &["x"], "v0", &[])];
    for i in 0..60 {
        let (from, to) = (format!("v{i}"), format!("v{}", i + 1));
        let axis = axis(0);
        nodes.push(node("Concat", &[&from, &from], &to, &[axis]));
    }
    nodes.push(node("Reshape", &["x", "v60"], "y", &[]));
    assert!(whole_way(&model(&nodes, &[], "y")).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_bytes_do_not_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let mut file = small();
        for (place, byte) in flips {
            let place = place.index(file.len());
            file[place] = byte;
        }
        let _ = whole_way(&file);
    }

    #[test]
    fn lost_and_repeated_bytes_do_not_panic(from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>(), repeat in any::<bool>()) {
        let file = small();
        let (from, to) = (from.index(file.len()), to.index(file.len()));
        let damaged = if repeat {
            [&file[..from], &file[to.min(from)..]].concat()
        } else {
            [&file[..from.min(to)], &file[from.max(to)..]].concat()
        };
        let _ = whole_way(&damaged);
    }

    #[test]
    fn noise_is_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(whole_way(&bytes).is_err());
    }
}

/// A convolution whose weights are stored as integers, a scale for each output channel.
fn stored_as_integers(scale: &[u8], scales: i64, axis_of: i64) -> Vec<u8> {
    let weights = tensor("q", 3, &[2, 1, 1, 2], &[1, 0xff, 0x80, 100]);
    let scale = tensor("s", 1, &[scales], scale);
    let zero = tensor("z", 3, &[2], &[0, 0x80]);
    model(
        &[
            node("DequantizeLinear", &["q", "s", "z"], "w", &[axis(axis_of)]),
            node("Conv", &["x", "w"], "y", &[]),
        ],
        &[weights, scale, zero],
        "y",
    )
}

fn little(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn stored_integers_are_read_as_the_floats_they_stand_for() {
    for axis_of in [0, -4] {
        let file = stored_as_integers(&little(&[0.5, 0.25]), 2, axis_of);
        let graph = onnx::load(&file).unwrap();
        assert_eq!(graph.nodes.len(), 1);
        let weights = graph.floats(graph.nodes[0].input(1)).unwrap();
        assert_eq!(weights, [0.5, -0.5, 0.0, 57.0]);
    }
}

/// The same without the operator made for it: cast and multiplied.
#[test]
fn stored_integers_may_be_cast_and_scaled() {
    let to = Message::default().bytes(1, b"to").int(20, 2).int(3, 1).0;
    let file = model(
        &[
            node("Cast", &["q"], "f", &[to]),
            node("Mul", &["f", "s"], "w", &[]),
            node("Conv", &["x", "w"], "y", &[]),
        ],
        &[
            tensor("q", 3, &[2, 1, 1, 2], &[1, 0xff, 0x80, 100]),
            tensor("s", 1, &[2, 1, 1, 1], &little(&[0.5, 0.25])),
        ],
        "y",
    );
    let graph = onnx::load(&file).unwrap();
    let weights = graph.floats(graph.nodes[0].input(1)).unwrap();
    assert_eq!(weights, [0.5, -0.5, -32.0, 25.0]);
}

#[test]
fn a_scale_that_does_not_fit_is_an_error() {
    for file in [
        stored_as_integers(&little(&[0.5; 3]), 3, 0),
        stored_as_integers(&little(&[0.5; 2]), 2, 1),
        stored_as_integers(&little(&[0.5; 2]), 2, 4),
        stored_as_integers(&little(&[0.5]), 1, 0),
    ] {
        let error = onnx::load(&file).unwrap_err().to_string();
        assert!(error.contains("DequantizeLinear"), "{error}");
    }
}

#[test]
fn half_floats_are_read_as_floats() {
    // 1.0, -2.0, the smallest and the largest.
    let half = tensor(
        "h",
        10,
        &[2, 1, 1, 2],
        &[0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0xff, 0x7b],
    );
    let to = |kind: i64| {
        let start = Message::default().bytes(1, b"to").int(20, 2);
        start.int(3, kind).0
    };
    let file = |kind| {
        model(
            &[
                node("Cast", &["h"], "w", &[to(kind)]),
                node("Conv", &["x", "w"], "y", &[]),
            ],
            std::slice::from_ref(&half),
            "y",
        )
    };
    let graph = onnx::load(&file(1)).map(|mut graph| {
        rewrite::simplify(&mut graph).unwrap();
        graph
    });
    let graph = graph.unwrap();
    let weights = graph.floats(graph.nodes[0].input(1)).unwrap();
    assert_eq!(weights, [1.0, -2.0, 2f32.powi(-24), 65504.0]);
    assert!(onnx::load(&file(10)).is_err());
}
