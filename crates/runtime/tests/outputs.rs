//! Models of several outputs, and parts of models.

mod common;

use common::file::{Message, axis, floats, ints, longs, model, model_of, node, node_of, text};
use maoocr_runtime::cpu::CpuSession;
use maoocr_runtime::{Session, Tensor, onnx};

/// The values 0, 1, 2, … as a picture.
fn counting(shape: [usize; 4]) -> Tensor {
    let len = shape.iter().product::<usize>();
    Tensor::new(shape, (0..len).map(|i| i as f32).collect()).unwrap()
}

/// Runs a model on every executor of this build, which must agree.
fn all(onnx: &[u8], input: &Tensor) -> Vec<Tensor> {
    #[cfg(feature = "flex")]
    {
        let flex = maoocr_runtime::burn::load_flex(onnx).unwrap();
        assert_eq!(flex.outputs(), on_cpu(onnx, input).0);
        let theirs = pollster::block_on(flex.run_all(input.clone())).unwrap();
        for (ours, theirs) in on_cpu(onnx, input).1.iter().zip(&theirs) {
            assert!(common::difference(ours, theirs) < 1e-4);
        }
    }
    on_cpu(onnx, input).1
}

/// Outputs' names and values of a model on a processor.
fn on_cpu(onnx: &[u8], input: &Tensor) -> (Vec<String>, Vec<Tensor>) {
    let session = CpuSession::load(onnx).unwrap();
    let made = pollster::block_on(session.run_all(input.clone())).unwrap();
    let first = pollster::block_on(session.run(input.clone())).unwrap();
    assert_eq!(made[0], first);
    #[cfg(feature = "tract")]
    {
        let tract = maoocr_runtime::tract::TractSession::load(onnx).unwrap();
        assert_eq!(tract.outputs(), session.outputs());
        let theirs = pollster::block_on(tract.run_all(input.clone())).unwrap();
        assert_eq!(theirs.len(), made.len());
        for (ours, theirs) in made.iter().zip(&theirs) {
            assert!(common::difference(ours, theirs) < 1e-4);
        }
    }
    (session.outputs(), made)
}

#[test]
fn a_split_gives_its_parts_in_order() {
    let parts = |sizes: &[&str], attributes: &[Vec<u8>]| {
        let mut inputs = vec!["x"];
        inputs.extend(sizes);
        let nodes = [
            node_of("Split", &inputs, &["a", "b"], attributes),
            node("Relu", &["a"], "c", &[]),
        ];
        // The input's own name is no output of ours; the second part comes first.
        model_of(&nodes, &[longs("sizes", &[1, 3])], &["b", "c"])
    };
    let input = counting([1, 4, 1, 2]);
    let made = all(&parts(&["sizes"], &[axis(1)]), &input);
    assert_eq!(made[0].shape(), [1, 3, 1, 2]);
    assert_eq!(made[0].data(), [2., 3., 4., 5., 6., 7.]);
    assert_eq!(made[1].data(), [0., 1.]);
    let equal = all(&parts(&[], &[axis(-3)]), &input);
    assert_eq!(equal[0].data(), [4., 5., 6., 7.]);
}

#[test]
fn a_split_that_does_not_fit_is_an_error() {
    for (sizes, attributes) in [
        (longs("sizes", &[1, 2]), vec![axis(1)]),
        (longs("sizes", &[1, 2, 1]), vec![axis(1)]),
        (longs("sizes", &[-1, 5]), vec![axis(1)]),
        (longs("sizes", &[i64::MAX, i64::MAX]), vec![axis(1)]),
        (longs("sizes", &[0, 4]), vec![axis(1)]),
        (longs("sizes", &[1, 3]), vec![axis(4)]),
    ] {
        let nodes = [node_of("Split", &["x", "sizes"], &["a", "b"], &attributes)];
        let session = CpuSession::load(&model_of(&nodes, &[sizes], &["a", "b"])).unwrap();
        assert!(pollster::block_on(session.run_all(counting([1, 4, 1, 2]))).is_err());
    }
}

#[test]
fn an_output_may_be_the_input_of_a_later_node_or_stand_twice() {
    let nodes = [
        node("Relu", &["x"], "a", &[]),
        node("Sigmoid", &["a"], "b", &[]),
        node("Add", &["a", "b"], "c", &[]),
    ];
    let made = all(
        &model_of(&nodes, &[], &["c", "a", "x", "c"]),
        &counting([1, 2, 2, 2]),
    );
    assert_eq!(made[1].data(), [0., 1., 2., 3., 4., 5., 6., 7.]);
    assert_eq!(made[1], made[2]);
    assert_eq!(made[0], made[3]);
    assert_eq!(made[0].data()[0], 0.5);
}

#[test]
fn a_picture_is_resized_to_another_ones_size() {
    // As PaddlePaddle's exporter writes it: the sizes are made of the other picture's shape.
    let conv = [
        node("Conv", &["x", "w"], "small", &[ints("strides", &[2, 2])]),
        node("Shape", &["x"], "s", &[]),
        node("Cast", &["s"], "s32", &[to(6)]),
        node("Slice", &["s32", "two", "four"], "hw", &[]),
        node("Cast", &["hw"], "hw64", &[to(7)]),
        node("Shape", &["small"], "t", &[]),
        node("Slice", &["t", "zero", "two"], "nc", &[]),
        node("Concat", &["nc", "hw64"], "sizes", &[axis(0)]),
        node(
            "Resize",
            &["small", "", "", "sizes"],
            "y",
            &[
                text("coordinate_transformation_mode", "asymmetric"),
                text("nearest_mode", "floor"),
            ],
        ),
    ];
    let constants = [
        floats("w", &[2, 1, 1, 1]),
        longs("zero", &[0]),
        longs("two", &[2]),
        longs("four", &[4]),
    ];
    for (height, width) in [(5, 7), (4, 6), (61, 31)] {
        let made = on_cpu(
            &model(&conv, &constants, "y"),
            &counting([1, 1, height, width]),
        )
        .1;
        assert_eq!(made[0].shape(), [1, 2, height, width]);
    }
    // Burn enlarges by whole factors only, and says so.
    #[cfg(feature = "flex")]
    {
        let flex = maoocr_runtime::burn::load_flex(&model(&conv, &constants, "y")).unwrap();
        let refused = pollster::block_on(flex.run_all(counting([1, 1, 5, 7]))).unwrap_err();
        assert!(refused.to_string().contains("Resize"), "{refused}");
    }
    // 0 1 2 3 4 5 6 with steps of 2 is 0 2 4 6, and that over 7 is 0 0 2 2 4 4 6.
    let made = on_cpu(&model(&conv, &constants, "y"), &counting([1, 1, 1, 7])).1;
    let row: Vec<f32> = made[0].data()[7..].iter().map(|v| v / 0.01).collect();
    for (got, wanted) in row.iter().zip([0., 0., 2., 2., 4., 4., 6.]) {
        assert!((got - wanted).abs() < 1e-4, "{row:?}");
    }
}

fn to(kind: i64) -> Vec<u8> {
    let start = Message::default().bytes(1, b"to").int(20, 2);
    start.int(3, kind).0
}

#[test]
fn a_part_of_a_model_needs_only_what_it_reads() {
    let nodes = [
        node("Conv", &["x", "w"], "a", &[]),
        node("Relu", &["a"], "b", &[]),
        node("Mystery", &["b", "decoder"], "y", &[]),
    ];
    let file = model(
        &nodes,
        &[floats("w", &[2, 1, 1, 1]), floats("decoder", &[3, 2])],
        "y",
    );
    assert!(CpuSession::load(&file).is_err());
    let part = onnx::cut(&file, &["b", "a"]).unwrap();
    assert!(part.len() < file.len());
    let made = all(&part, &counting([1, 1, 1, 2]));
    assert_eq!(made.len(), 2);
    let session = CpuSession::load(&part).unwrap();
    assert_eq!(session.outputs(), ["b", "a"]);
    // What the part left out can still be read from the whole.
    let weights = onnx::stored(&file, &["decoder", "w"]).unwrap();
    assert_eq!(weights[0].shape, [3, 2]);
    assert!((weights[0].as_f32().unwrap()[5] - 0.05).abs() < 1e-6);
    assert_eq!(weights[1].shape, [2, 1, 1, 1]);
    assert!(onnx::stored(&part, &["decoder"]).is_err());
    let error = onnx::cut(&file, &["nowhere"]).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    for length in 0..file.len() {
        let _ = onnx::cut(&file[..length], &["b"]);
        let _ = onnx::stored(&file[..length], &["w"]);
    }
}

/// A network with a split in each of four heads.
#[test]
fn a_layout_network_gives_its_scores_and_boxes() {
    let onnx = common::model("layout-cdla");
    let made = all(&onnx, &common::noise(&[1, 3, 800, 608]));
    let shapes: Vec<&[usize]> = made.iter().map(|t| t.shape()).collect();
    let cells = [7600, 1900, 475, 130];
    for (i, &cells) in cells.iter().enumerate() {
        assert_eq!(shapes[i], [1, cells, 10]);
        assert_eq!(shapes[i + 4], [1, cells, 32]);
    }
}
