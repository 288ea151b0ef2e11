//! Every kernel against Burn's own operators on the CPU, in sizes that no model has.

use burn_flex::{Flex, FlexDevice};

use super::super::session::BurnSession;
use super::super::wgpu::tests::device;
use super::*;
use crate::graph::{Binary, Constant, Graph, Node, Output, Pool, ValueId};
use crate::{Session, Tensor};

fn numbers(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|i| ((i * 7919 + seed * 104_729) % 1009) as f32 / 504.5 - 1.0)
        .collect()
}

/// A graph under construction, with the input as value 0.
struct Build(Graph);

impl Build {
    fn new() -> Self {
        Self(Graph {
            values: 1,
            ..Graph::default()
        })
    }

    fn constant(&mut self, shape: &[usize]) -> ValueId {
        let seed = self.0.values;
        let data = numbers(shape.iter().product(), seed);
        self.0.add_constant(Constant::f32(shape, data))
    }

    fn node(&mut self, op: Op, inputs: &[ValueId]) -> ValueId {
        let output = self.0.values;
        self.0.values += 1;
        self.0.outputs = vec![Output {
            name: String::new(),
            value: output,
        }];
        self.0.nodes.push(Node {
            name: format!("{}", self.0.nodes.len()),
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            output,
        });
        output
    }

    fn conv(&mut self, x: ValueId, weights: [usize; 4], window: Window, groups: usize) -> ValueId {
        let (w, b) = (self.constant(&weights), self.constant(&weights[..1]));
        let op = Op::Conv {
            window,
            groups,
            activation: Some(Unary::Silu),
        };
        self.node(op, &[x, w, b])
    }

    /// A convolution of single pixels.
    fn pointwise(&mut self, x: ValueId, [out, inner]: [usize; 2]) -> ValueId {
        self.conv(x, [out, inner, 1, 1], WINDOW, 1)
    }

    /// Runs it on the GPU and with Burn's operators; how many launches it took.
    fn check(self, shape: &[usize]) -> usize {
        let input = || Tensor::new(shape, numbers(shape.iter().product(), 0)).unwrap();
        let described = format!("{:?} on {shape:?}", self.0.nodes);
        let gpu = BurnSession::<CubeBackend>::from_graph(self.0.clone(), device(), String::new());
        let reference = BurnSession::<Flex>::from_graph(self.0, FlexDevice, String::new());
        let ours = pollster::block_on(gpu.run(input())).expect(&described);
        let theirs = pollster::block_on(reference.run(input())).expect(&described);
        assert_eq!(ours.shape(), theirs.shape(), "{described}");
        for (a, b) in ours.data().iter().zip(theirs.data()) {
            // NaN must not pass.
            let near = (a - b).abs() <= 1e-4 * b.abs().max(1.0);
            assert!(near, "{a} where {b} is right: {described}");
        }
        gpu.steps(shape)
    }
}

const WINDOW: Window = Window {
    kernel: [1, 1],
    strides: [1, 1],
    dilations: [1, 1],
    padding: Padding::Explicit([0; 4]),
};

#[test]
fn layers_with_any_window() {
    let padded = |pads| Padding::Explicit(pads);
    for (weights, kernel, strides, dilations, padding, groups) in [
        (
            [10, 3, 3, 3],
            [3, 3],
            [2, 2],
            [1, 1],
            padded([1, 0, 1, 2]),
            1,
        ),
        ([4, 8, 2, 2], [2, 2], [1, 1], [1, 1], Padding::SameUpper, 1),
        (
            [5, 8, 3, 1],
            [3, 1],
            [1, 2],
            [2, 1],
            padded([2, 0, 2, 0]),
            1,
        ),
        ([12, 4, 1, 1], [1, 1], [2, 1], [1, 1], padded([0; 4]), 1),
        (
            [6, 6, 1, 1],
            [1, 1],
            [1, 1],
            [1, 1],
            padded([1, 1, 0, 0]),
            1,
        ),
        (
            [8, 1, 3, 5],
            [3, 5],
            [1, 1],
            [1, 1],
            padded([1, 2, 1, 2]),
            8,
        ),
        ([7, 1, 3, 3], [3, 3], [2, 1], [1, 2], Padding::SameLower, 7),
        ([6, 2, 3, 3], [3, 3], [1, 1], [1, 1], padded([1; 4]), 2),
    ] {
        let mut b = Build::new();
        let window = Window {
            kernel,
            strides,
            dilations,
            padding,
        };
        b.conv(0, weights, window, groups);
        b.check(&[2, weights[1] * groups, 7, 9]);
    }
}

#[test]
fn transposed_layers() {
    for (kernel, strides, out) in [
        ([2, 2], [2, 2], 6),
        ([3, 2], [3, 2], 1),
        ([3, 3], [2, 2], 4),
    ] {
        let mut b = Build::new();
        let (w, bias) = (
            b.constant(&[8, out, kernel[0], kernel[1]]),
            b.constant(&[out]),
        );
        let op = Op::ConvTranspose {
            window: Window {
                kernel,
                strides,
                ..WINDOW
            },
            output_padding: [0, 0],
            groups: 1,
            activation: Some(Unary::Sigmoid),
        };
        b.node(op, &[0, w, bias]);
        b.check(&[2, 8, 3, 5]);
    }
}

#[test]
fn linear_layers_and_norms() {
    for (inner, out) in [(8, 12), (15, 7), (130, 2)] {
        let mut b = Build::new();
        let (scale, bias) = (b.constant(&[inner]), b.constant(&[inner]));
        let x = b.node(Op::LayerNorm { epsilon: 1e-5 }, &[0, scale, bias]);
        let x = b.node(Op::LayerNorm { epsilon: 1e-3 }, &[x, scale]);
        let w = b.constant(&[inner, out]);
        let op = Op::Linear { activation: None };
        b.node(op, &[x, w]);
        b.check(&[3, 5, inner]);
    }
}

#[test]
fn softmax_over_any_axis() {
    for axis in [1, 2] {
        let mut b = Build::new();
        let op = Op::Softmax {
            axis,
            flattened: false,
        };
        b.node(op, &[0]);
        b.check(&[2, 3, 150]);
    }
}

#[test]
fn pools() {
    for kind in [
        Pool::Max,
        Pool::Average {
            count_include_pad: false,
        },
        Pool::Average {
            count_include_pad: true,
        },
    ] {
        for (kernel, strides, pads) in [
            ([2, 2], [1, 1], [0, 0, 0, 0]),
            ([3, 2], [3, 2], [0, 0, 0, 0]),
            ([3, 3], [2, 1], [1, 1, 1, 1]),
        ] {
            let mut b = Build::new();
            let window = Window {
                kernel,
                strides,
                padding: Padding::Explicit(pads),
                ..WINDOW
            };
            b.node(Op::Pool { kind, window }, &[0]);
            b.check(&[2, 6, 7, 8]);
        }
    }
}

#[test]
fn functions_of_each_element() {
    let (alpha, beta) = (0.2, 0.5);
    let (min, max) = (-0.25, 0.5);
    for unary in [
        Unary::Relu,
        Unary::Sigmoid,
        Unary::HardSigmoid { alpha, beta },
        Unary::HardSwish { alpha, beta },
        Unary::Silu,
        Unary::Gelu,
        Unary::Erf,
        Unary::Exp,
        Unary::Clip { min, max },
    ] {
        let mut b = Build::new();
        let many = b.0.add_constant(Constant::f32([1], vec![5.0]));
        let x = b.node(Op::Binary(Binary::Mul), &[0, many]);
        b.node(Op::Unary(unary), &[x]);
        b.check(&[1, 3, 5, 7]);
    }
}

#[test]
fn means_over_pictures() {
    for (keep, size) in [(true, [40, 7]), (false, [3, 100])] {
        let mut b = Build::new();
        let op = Op::ReduceMean {
            axes: vec![2, 3],
            keep,
        };
        b.node(op, &[0]);
        b.check(&[2, 70, size[0], size[1]]);
    }
}

/// The numbers of every fusion against the same graph without any, and how many steps are left of it.
#[test]
fn what_runs_together_computes_the_same() {
    // Squeeze and excite, with the picture itself added: mean, gate, blend.
    let mean = |b: &mut Build, x| {
        let op = Op::ReduceMean {
            axes: vec![2, 3],
            keep: true,
        };
        b.node(op, &[x])
    };
    let mut b = Build::new();
    let gate = mean(&mut b, 0);
    let gate = b.pointwise(gate, [3, 12]);
    let gate = b.pointwise(gate, [12, 3]);
    let product = b.node(Op::Binary(Binary::Mul), &[gate, 0]);
    b.node(Op::Binary(Binary::Add), &[product, 0]);
    assert_eq!(b.check(&[2, 12, 5, 6]), 3);

    // The same with a smaller picture added, as in a pyramid.
    let mut b = Build::new();
    let small = b.conv(
        0,
        [12, 12, 2, 2],
        Window {
            kernel: [2, 2],
            strides: [2, 3],
            ..WINDOW
        },
        1,
    );
    let gate = mean(&mut b, 0);
    let product = b.node(Op::Binary(Binary::Mul), &[0, gate]);
    let sum = b.node(Op::Binary(Binary::Add), &[0, product]);
    let large = b.node(Op::Upsample(vec![1, 1, 2, 3]), &[small]);
    b.node(Op::Binary(Binary::Add), &[large, sum]);
    assert_eq!(b.check(&[2, 12, 4, 6]), 3);

    // A block with a way around it: the sum is part of the second layer.
    let mut b = Build::new();
    let wide = b.pointwise(0, [8, 4]);
    let narrow = b.pointwise(wide, [4, 8]);
    let sum = b.node(Op::Binary(Binary::Add), &[0, narrow]);
    let around = b.conv(
        sum,
        [4, 1, 3, 3],
        Window {
            kernel: [3, 3],
            padding: Padding::Explicit([1; 4]),
            ..WINDOW
        },
        4,
    );
    let sum = b.node(Op::Binary(Binary::Add), &[around, sum]);
    // Two readers of a layer: nothing can be added on the way.
    let twice = b.pointwise(sum, [4, 4]);
    let sum = b.node(Op::Binary(Binary::Add), &[twice, sum]);
    b.node(Op::Binary(Binary::Mul), &[twice, sum]);
    assert_eq!(b.check(&[2, 4, 5, 7]), 6);

    // Joined channels, some of them enlarged, from an odd number on.
    let mut b = Build::new();
    let small = b.conv(
        0,
        [6, 4, 2, 2],
        Window {
            kernel: [2, 2],
            strides: [2, 2],
            ..WINDOW
        },
        1,
    );
    let large = b.node(Op::Upsample(vec![1, 1, 2, 2]), &[small]);
    let odd = b.pointwise(0, [3, 4]);
    let joined = b.node(Op::Concat(1), &[odd, large, 0]);
    b.node(Op::Upsample(vec![1, 1, 1, 2]), &[joined]);
    assert_eq!(b.check(&[2, 4, 4, 6]), 4);
}

#[test]
fn attention_as_exporters_spell_it() {
    let (n, steps, heads, head) = (2, 9, 3, 5);
    let width = heads * head;
    let mut b = Build::new();
    let (weights, scale) = (
        b.constant(&[width, 3 * width]),
        b.0.add_constant(Constant::f32([1], vec![0.4])),
    );
    let x = b.node(Op::Linear { activation: None }, &[0, weights]);
    let ints = |b: &mut Build, list: &[i64]| b.0.add_constant(Constant::ints(list.to_vec()));
    let shape = [0, -1, 3, heads as i64, head as i64];
    let shape = ints(&mut b, &shape);
    let x = b.node(Op::Reshape { allow_zero: false }, &[x, shape]);
    let x = b.node(Op::Transpose(vec![2, 0, 3, 1, 4]), &[x]);
    let axis = ints(&mut b, &[0]);
    let parts = [0, 1, 2].map(|part| {
        let (from, to) = (ints(&mut b, &[part]), ints(&mut b, &[part + 1]));
        let cut = b.node(Op::Slice, &[x, from, to, axis]);
        b.node(Op::Squeeze(vec![0]), &[cut])
    });
    let query = b.node(Op::Binary(Binary::Mul), &[parts[0], scale]);
    let key = b.node(Op::Transpose(vec![0, 1, 3, 2]), &[parts[1]]);
    let scores = b.node(Op::MatMul, &[query, key]);
    let softmax = Op::Softmax {
        axis: 3,
        flattened: false,
    };
    let scores = b.node(softmax, &[scores]);
    let x = b.node(Op::MatMul, &[scores, parts[2]]);
    let x = b.node(Op::Transpose(vec![0, 2, 1, 3]), &[x]);
    let shape = ints(&mut b, &[0, 0, width as i64]);
    b.node(Op::Reshape { allow_zero: false }, &[x, shape]);
    // The layer, the attention, the view.
    assert_eq!(b.check(&[n, steps, width]), 3);
}

#[test]
fn views_of_turned_tensors_need_no_copy_where_strides_suffice() {
    // [2, 5, 1, 7] over the memory of [2, 1, 7, 5].
    let (shape, strides) = ([2, 5, 1, 7], [35, 1, 35, 5]);
    assert_eq!(restride(&shape, &strides, &[2, 5, 7]), Some(vec![35, 1, 5]));
    assert_eq!(
        restride(&shape, &strides, &[1, 2, 5, 1, 7]).map(|s| s[1..3].to_vec()),
        Some(vec![35, 1])
    );
    assert_eq!(restride(&shape, &strides, &[2, 35]), None);
    assert_eq!(
        restride(&[4, 6], &[6, 1], &[2, 2, 3, 2]),
        Some(vec![12, 6, 2, 1])
    );
    assert_eq!(restride(&[4, 6], &[6, 1], &[8, 3]), Some(vec![3, 1]));
    assert_eq!(restride(&[4, 6], &[12, 1], &[24]), None);
    assert_eq!(restride(&[1, 1], &[1, 1], &[1]), Some(vec![1]));
}
