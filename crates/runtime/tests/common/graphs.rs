//! Models made of bytes: each byte is a choice, so that a property test and a fuzzer can both make them and shrink them.
//! All of them are valid; what an executor makes of one is comparable.

use super::file::{float, int, ints, longs, model_of, node, node_of, spread, tensor, text};

/// The choices, 0 when they are used up.
struct Choices<'a>(std::slice::Iter<'a, u8>);

impl Choices<'_> {
    fn of(&mut self, count: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % count
    }
}

/// A picture that was made: its name and its size.
#[derive(Clone)]
struct Picture {
    name: String,
    shape: [usize; 4],
}

struct Build<'a> {
    choices: Choices<'a>,
    nodes: Vec<Vec<u8>>,
    constants: Vec<Vec<u8>>,
    made: Vec<Picture>,
}

/// Values of a picture, at most.
const MAX_ELEMENTS: usize = 1 << 12;
/// Steps of a model, at most.
const MAX_STEPS: usize = 14;

/// A model and the shape of its input.
pub fn graph(choices: &[u8]) -> (Vec<u8>, [usize; 4]) {
    let mut build = Build {
        choices: Choices(choices.iter()),
        nodes: Vec::new(),
        constants: Vec::new(),
        made: Vec::new(),
    };
    let input = [
        1 + build.choices.of(2),
        [1, 3, 4, 8][build.choices.of(4)],
        1 + build.choices.of(11),
        1 + build.choices.of(13),
    ];
    build.made.push(Picture {
        name: "x".into(),
        shape: input,
    });
    let steps = 1 + build.choices.of(MAX_STEPS);
    for _ in 0..steps {
        build.step();
    }
    let last = build.last();
    let tail = build.tail(&last);
    let mut outputs = vec![tail.as_str()];
    // What is made on the way is often overwritten, unless it is given too.
    let other = build.any();
    if build.choices.of(3) == 0 && other.name != "x" {
        outputs.push(&other.name);
    }
    (model_of(&build.nodes, &build.constants, &outputs), input)
}

impl Build<'_> {
    fn last(&self) -> Picture {
        self.made.last().expect("the input").clone()
    }

    /// The last value, mostly.
    fn any(&mut self) -> Picture {
        let back = [0, 0, 0, 1, 2, 3][self.choices.of(6)];
        self.made[self.made.len().saturating_sub(1 + back)].clone()
    }

    fn fresh(&self) -> String {
        format!("v{}", self.nodes.len())
    }

    fn weights(&mut self, dims: &[usize]) -> String {
        let name = format!("w{}", self.constants.len());
        let inputs = dims.iter().skip(1).product::<usize>().max(1);
        let scale = 1.5 / (inputs as f32).sqrt();
        self.constants.push(spread(&name, dims, scale));
        name
    }

    /// Adds a node that makes a picture, unless that would be too large.
    fn add(
        &mut self,
        op: &str,
        inputs: &[&str],
        shape: [usize; 4],
        attributes: &[Vec<u8>],
    ) -> bool {
        if shape.contains(&0) || shape.iter().product::<usize>() > MAX_ELEMENTS {
            return false;
        }
        let name = self.fresh();
        self.nodes.push(node(op, inputs, &name, attributes));
        self.made.push(Picture { name, shape });
        true
    }

    fn step(&mut self) {
        match self.choices.of(16) {
            0..=2 => self.convolution(),
            3 | 4 => self.function(),
            5 => self.sum(),
            6 => self.gate(),
            7 => self.join(),
            8 => self.pool(),
            9 => self.enlarge(),
            10 => self.split(),
            11 => self.transposed(),
            12 => self.normalise(),
            13 => self.resize(),
            14 => self.pointwise_pair(),
            _ => self.turn(),
        }
    }

    fn convolution(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let kernel = [[1, 1], [3, 3], [1, 3], [5, 2], [3, 1]][self.choices.of(5)];
        let strides = [[1, 1], [2, 2], [1, 2]][self.choices.of(3)];
        let dilation = [1, 1, 1, 2][self.choices.of(4)];
        let groups = match self.choices.of(4) {
            0 => c,
            1 if c % 2 == 0 => 2,
            _ => 1,
        };
        let out = groups * [1, 2, 3, 8][self.choices.of(4)];
        let out = if groups == c && self.choices.of(2) == 0 {
            c
        } else {
            out
        };
        let pad = [0, 1][self.choices.of(2)];
        let size = |d: usize, i: usize| {
            let reach = dilation * (kernel[i] - 1) + 1;
            (d + 2 * pad)
                .checked_sub(reach)
                .map_or(0, |rest| rest / strides[i] + 1)
        };
        let weights = self.weights(&[out, c / groups, kernel[0], kernel[1]]);
        let bias = self.weights(&[out]);
        let mut inputs = vec![x.name.as_str(), &weights];
        if self.choices.of(2) == 0 {
            inputs.push(&bias);
        }
        let pads = [pad as i64; 4];
        let attributes = [
            ints("pads", &pads),
            ints("strides", &strides.map(|s| s as i64)),
            ints("dilations", &[dilation as i64; 2]),
            int("group", groups as i64),
        ];
        self.add(
            "Conv",
            &inputs,
            [n, out, size(h, 0), size(w, 1)],
            &attributes,
        );
    }

    fn function(&mut self) {
        let x = self.any();
        let op = ["Relu", "Sigmoid", "HardSigmoid", "HardSwish", "Erf"][self.choices.of(5)];
        self.add(op, &[&x.name], x.shape, &[]);
    }

    fn sum(&mut self) {
        let x = self.any();
        let alike = self.made.iter().filter(|p| p.shape == x.shape);
        let alike: Vec<Picture> = alike.cloned().collect();
        let other = alike[self.choices.of(alike.len())].clone();
        let op = ["Add", "Add", "Mul", "Sub"][self.choices.of(4)];
        self.add(op, &[&x.name, &other.name], x.shape, &[]);
    }

    /// Squeeze and excite, with its means under another shape at times.
    fn gate(&mut self) {
        let x = self.any();
        let [n, c, ..] = x.shape;
        let narrow = [2, 40][self.choices.of(2)];
        let small = [n, c, 1, 1];
        if !self.add("GlobalAveragePool", &[&x.name], small, &[]) {
            return;
        }
        if self.choices.of(2) == 0 {
            let mean = self.last();
            let shape = format!("s{}", self.constants.len());
            self.constants.push(longs(&shape, &small.map(|d| d as i64)));
            self.add("Reshape", &[&mean.name, &shape], small, &[]);
        }
        let mean = self.last();
        let squeeze = self.weights(&[narrow, c, 1, 1]);
        self.add("Conv", &[&mean.name, &squeeze], [n, narrow, 1, 1], &[]);
        let hidden = self.last();
        self.add("Relu", &[&hidden.name], hidden.shape, &[]);
        let hidden = self.last();
        let excite = self.weights(&[c, narrow, 1, 1]);
        self.add("Conv", &[&hidden.name, &excite], small, &[]);
        let gate = self.last();
        self.add("HardSigmoid", &[&gate.name], small, &[]);
        let gate = self.last();
        if self.add("Mul", &[&x.name, &gate.name], x.shape, &[]) && self.choices.of(3) == 0 {
            let gated = self.last();
            self.add("Add", &[&gated.name, &x.name], x.shape, &[]);
        }
    }

    fn join(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let fits = |p: &&Picture| [p.shape[0], p.shape[2], p.shape[3]] == [n, h, w];
        let others: Vec<Picture> = self.made.iter().filter(fits).cloned().collect();
        let other = others[self.choices.of(others.len())].clone();
        let shape = [n, c + other.shape[1], h, w];
        self.add("Concat", &[&x.name, &other.name], shape, &[int("axis", 1)]);
    }

    fn pool(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let (op, pad) =
            [("MaxPool", 0), ("AveragePool", 0), ("AveragePool", 1)][self.choices.of(3)];
        let size = |d: usize| (d + 2 * pad).checked_sub(2).map_or(0, |rest| rest / 2 + 1);
        let attributes = [
            ints("kernel_shape", &[2, 2]),
            ints("strides", &[2, 2]),
            ints("pads", &[pad as i64; 4]),
            int("count_include_pad", self.choices.of(2) as i64),
        ];
        self.add(op, &[&x.name], [n, c, size(h), size(w)], &attributes);
    }

    /// By whole factors, then added to what has that size, at times.
    fn enlarge(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let [a, b] = [[2, 2], [1, 3]][self.choices.of(2)];
        let scales = format!("s{}", self.constants.len());
        let values = [1.0, 1.0, a as f32, b as f32];
        let raw = values.map(f32::to_le_bytes).concat();
        self.constants.push(tensor(&scales, 1, &[4], &raw));
        let inputs = [x.name.as_str(), "", &scales];
        let shape = [n, c, h * a, w * b];
        if self.add("Resize", &inputs, shape, &nearest()) && self.choices.of(2) == 0 {
            let large = self.last();
            let alike = self.made.iter().find(|p| p.shape == shape).cloned();
            let other = alike.expect("itself");
            self.add("Add", &[&large.name, &other.name], shape, &[]);
        }
    }

    /// To sizes that are no multiples.
    fn resize(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let [h, w] = [h + self.choices.of(4), (w * 2).saturating_sub(1).max(1)];
        let sizes = format!("s{}", self.constants.len());
        let shape = [n, c, h, w];
        self.constants.push(longs(&sizes, &shape.map(|d| d as i64)));
        self.add("Resize", &[&x.name, "", "", &sizes], shape, &nearest());
    }

    fn split(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        if c < 2 {
            return;
        }
        let first = 1 + self.choices.of(c - 1);
        let sizes = format!("s{}", self.constants.len());
        self.constants
            .push(longs(&sizes, &[first as i64, (c - first) as i64]));
        let (a, b) = (self.fresh(), format!("{}b", self.fresh()));
        self.nodes.push(node_of(
            "Split",
            &[&x.name, &sizes],
            &[&a, &b],
            &[int("axis", 1)],
        ));
        for (name, channels) in [(a, first), (b, c - first)] {
            self.made.push(Picture {
                name,
                shape: [n, channels, h, w],
            });
        }
    }

    fn transposed(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let out = [1, 4][self.choices.of(2)];
        // Blocks that touch, and such as overlap.
        let (kernel, stride) = [(2, 2), (3, 2)][self.choices.of(2)];
        let weights = self.weights(&[c, out, kernel, kernel]);
        let size = |d: usize| (d - 1) * stride + kernel;
        self.add(
            "ConvTranspose",
            &[&x.name, &weights],
            [n, out, size(h), size(w)],
            &[ints("strides", &[stride as i64; 2])],
        );
    }

    fn normalise(&mut self) {
        let x = self.any();
        let c = x.shape[1];
        let (scale, bias, mean) = (self.weights(&[c]), self.weights(&[c]), self.weights(&[c]));
        let variance = format!("w{}", self.constants.len());
        let raw: Vec<u8> = (0..c)
            .flat_map(|i| (0.5 + i as f32 * 0.1).to_le_bytes())
            .collect();
        self.constants.push(tensor(&variance, 1, &[c as i64], &raw));
        let inputs = [x.name.as_str(), &scale, &bias, &mean, &variance];
        let epsilon = float("epsilon", 1e-5);
        self.add("BatchNormalization", &inputs, x.shape, &[epsilon]);
    }

    /// Two products, what lies between them seen by nobody else.
    fn pointwise_pair(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let wide = [8, 33][self.choices.of(2)];
        let (first, second) = (
            self.weights(&[wide, c, 1, 1]),
            self.weights(&[c, wide, 1, 1]),
        );
        if !self.add("Conv", &[&x.name, &first], [n, wide, h, w], &[]) {
            return;
        }
        let hidden = self.last();
        self.add("Relu", &[&hidden.name], hidden.shape, &[]);
        let hidden = self.last();
        self.add("Conv", &[&hidden.name, &second], x.shape, &[]);
        if self.choices.of(2) == 0 {
            let made = self.last();
            self.add("Add", &[&made.name, &x.name], x.shape, &[]);
        }
    }

    /// Rows and columns change places.
    fn turn(&mut self) {
        let x = self.any();
        let [n, c, h, w] = x.shape;
        let perm = ints("perm", &[0, 1, 3, 2]);
        self.add("Transpose", &[&x.name], [n, c, w, h], &[perm]);
    }

    /// What a network ends in: nothing more, or tokens, products of them, and probabilities.
    fn tail(&mut self, x: &Picture) -> String {
        let [n, c, h, w] = x.shape;
        let kind = self.choices.of(4);
        if kind < 2 {
            return x.name.clone();
        }
        self.constants
            .push(longs("tokens", &[n as i64, c as i64, (h * w) as i64]));
        self.nodes
            .push(node("Reshape", &[&x.name, "tokens"], "t0", &[]));
        let perm = ints("perm", &[0, 2, 1]);
        self.nodes.push(node("Transpose", &["t0"], "t1", &[perm]));
        if kind == 2 {
            // Attention: tokens with each other.
            self.nodes.push(node("MatMul", &["t1", "t0"], "t2", &[]));
            self.nodes.push(node("Softmax", &["t2"], "t3", &[]));
            self.nodes.push(node("MatMul", &["t3", "t1"], "t4", &[]));
            return "t4".into();
        }
        let weights = self.weights(&[c, 37]);
        let bias = self.weights(&[37]);
        self.nodes
            .push(node("MatMul", &["t1", &weights], "t2", &[]));
        self.nodes.push(node("Add", &["t2", &bias], "t3", &[]));
        self.nodes.push(node("Softmax", &["t3"], "t4", &[]));
        "t4".into()
    }
}

fn nearest() -> [Vec<u8>; 3] {
    [
        text("mode", "nearest"),
        text("coordinate_transformation_mode", "asymmetric"),
        text("nearest_mode", "floor"),
    ]
}
