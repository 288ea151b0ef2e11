//! Steps of a specialised graph for a GPU: what has a kernel together becomes one.

use crate::graph::{Binary, Node, Op, Padding, Unary, ValueId, Window};
use crate::specialise::Specialised;

/// One launch, or one call of the backend.
pub(super) struct Step {
    /// What it does, where `extra` doesn't say otherwise. Layers may have a fourth operand, added to their result.
    pub(super) node: Node,
    pub(super) extra: Extra,
}

/// Steps that no node of a graph is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Extra {
    None,
    /// Two layers over one pixel. Operands: picture, weights, bias, weights, bias.
    Gate([Option<Unary>; 2]),
    /// `x * gate (+ x) (+ other)`. Operands: x, gate `[N, C, 1, 1]` or none, other or none.
    Blend {
        /// Whether the gate adds to x.
        keep: bool,
        /// By which `other` is enlarged, down and across.
        factors: [usize; 2],
    },
    /// Joined channels. Operands: the parts; each is enlarged by its factors.
    Joined(Vec<[usize; 2]>),
    /// Attention of a sequence to itself. Operand: `[N, T, 3 * heads * head]`; the sizes are N, T, heads, head.
    Attention {
        scale: f32,
        sizes: [usize; 4],
    },
}

impl Step {
    pub(super) fn plain(node: Node) -> Self {
        Self {
            node,
            extra: Extra::None,
        }
    }
}

/// What a kernel can take, as the backend says.
pub(super) struct Limits {
    /// Whether a layer with weights of this shape has a kernel.
    pub(super) layer: fn(&Op, &[usize]) -> bool,
    /// Most channels of a gate, outer and inner.
    pub(super) gate: [usize; 2],
    /// Most numbers of a head.
    pub(super) head: usize,
}

/// The steps of `special`, in an order in which they can run.
pub(super) fn fuse(special: &Specialised, limits: &Limits) -> Vec<Step> {
    let mut fuser = Fuser {
        special,
        limits,
        steps: special
            .graph
            .nodes
            .iter()
            .map(|n| Some(Step::plain(n.clone())))
            .collect(),
    };
    for pass in [
        Fuser::attention,
        Fuser::gate,
        Fuser::scale,
        Fuser::keep,
        Fuser::add_enlarged,
        Fuser::add_to_layer,
        Fuser::add,
        Fuser::join,
    ] {
        for index in 0..fuser.steps.len() {
            pass(&mut fuser, index);
        }
    }
    fuser.steps.into_iter().flatten().collect()
}

struct Fuser<'a> {
    special: &'a Specialised,
    limits: &'a Limits,
    /// `None` where a step became part of a later one.
    steps: Vec<Option<Step>>,
}

impl Fuser<'_> {
    fn shape(&self, value: ValueId) -> &[usize] {
        &self.special.shapes[value]
    }

    fn is_constant(&self, value: ValueId) -> bool {
        self.special.graph.constants.contains_key(&value)
    }

    /// The node at `index`, where nothing has been done to it yet.
    fn node(&self, index: usize) -> Option<&Node> {
        let step = self.steps[index].as_ref()?;
        (step.extra == Extra::None).then_some(&step.node)
    }

    /// The step that makes `value`.
    fn maker(&self, value: ValueId) -> Option<usize> {
        self.steps
            .iter()
            .position(|s| s.as_ref().is_some_and(|s| s.node.output == value))
    }

    /// The step that makes `value`, where only one operand of one other step reads it.
    fn sole(&self, value: ValueId) -> Option<usize> {
        let uses = self
            .steps
            .iter()
            .flatten()
            .flat_map(|s| &s.node.inputs)
            .filter(|i| **i == Some(value))
            .count();
        (uses == 1 && !self.special.graph.is_output(value))
            .then(|| self.maker(value))
            .flatten()
    }

    /// Both operands of an operator on two different values that are no constants: no launch may bind one twice.
    fn pair(&self, index: usize, op: Binary) -> Option<[ValueId; 2]> {
        let node = self.node(index).filter(|n| n.op == Op::Binary(op))?;
        let pair = [node.input(0)?, node.input(1)?];
        let fits = pair[0] != pair[1] && pair.iter().all(|&v| !self.is_constant(v));
        fits.then_some(pair)
    }

    fn become_step(&mut self, index: usize, op: Op, inputs: Vec<Option<ValueId>>, extra: Extra) {
        if let Some(step) = &mut self.steps[index] {
            step.node.op = op;
            step.node.inputs = inputs;
            step.extra = extra;
        }
    }

    /// Two layers over a picture of one pixel.
    fn gate(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let wide = fuser.node(index)?;
            let narrow_at = fuser.sole(wide.input(0)?)?;
            let narrow = fuser.node(narrow_at)?;
            let (input, middle) = (narrow.input(0)?, narrow.output);
            let fits = fuser.shape(input).get(1)? <= &fuser.limits.gate[0]
                && fuser.shape(middle).get(1)? <= &fuser.limits.gate[1]
                && fuser.shape(wide.output).get(1) == fuser.shape(input).get(1)
                && fuser.shape(input).get(2..) == Some(&[1, 1]);
            let functions = [pixel(narrow)?, pixel(wide)?];
            let mut inputs = narrow.inputs.get(..3)?.to_vec();
            inputs.extend(wide.inputs.get(1..3)?);
            (fits && inputs.iter().all(Option::is_some)).then_some((
                narrow_at,
                wide.op.clone(),
                inputs,
                functions,
            ))
        };
        if let Some((narrow, op, inputs, functions)) = found(self) {
            self.steps[narrow] = None;
            self.become_step(index, op, inputs, Extra::Gate(functions));
        }
    }

    /// A picture times a number for each of its channels.
    fn scale(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let [a, b] = fuser.pair(index, Binary::Mul)?;
            [(a, b), (b, a)].into_iter().find(|&(x, gate)| {
                let (x, gate) = (fuser.shape(x), fuser.shape(gate));
                x.len() == 4 && gate.len() == 4 && x[..2] == gate[..2] && gate[2..] == [1, 1]
            })
        };
        if let Some((x, gate)) = found(self) {
            let extra = Extra::Blend {
                keep: false,
                factors: [1, 1],
            };
            let inputs = vec![Some(x), Some(gate), None];
            self.become_step(index, Op::Binary(Binary::Mul), inputs, extra);
        }
    }

    /// The blend that makes `value` for one reader only, while nothing is added to it yet and `other` may be.
    fn blend(&self, value: ValueId, other: Option<ValueId>) -> Option<usize> {
        let index = self.sole(value)?;
        let step = self.steps[index].as_ref()?;
        let fits = matches!(step.extra, Extra::Blend { .. })
            && step.node.input(2).is_none()
            && (other.is_none() || step.node.input(0) != other);
        fits.then_some(index)
    }

    /// `x + x * gate`
    fn keep(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let [a, b] = fuser.pair(index, Binary::Add)?;
            [(a, b), (b, a)].into_iter().find_map(|(x, product)| {
                let at = fuser.blend(product, None)?;
                let inputs = &fuser.steps[at].as_ref()?.node.inputs;
                (inputs[0] == Some(x)).then(|| (at, inputs.clone()))
            })
        };
        if let Some((product, inputs)) = found(self) {
            self.steps[product] = None;
            let extra = Extra::Blend {
                keep: true,
                factors: [1, 1],
            };
            self.become_step(index, Op::Binary(Binary::Add), inputs, extra);
        }
    }

    /// A picture, or a blend, and another one that is enlarged to its size.
    fn add_enlarged(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let pair = fuser.pair(index, Binary::Add)?;
            let [a, b] = pair;
            if fuser.shape(a) != fuser.shape(b) {
                return None;
            }
            [(a, b), (b, a)].into_iter().find_map(|(x, large)| {
                let at = fuser.sole(large)?;
                let node = fuser.node(at)?;
                Some((x, at, node.input(0)?, enlarges(node)?))
            })
        };
        let Some((x, enlarging, other, factors)) = found(self) else {
            return;
        };
        let (mut keep, mut inputs) = (false, vec![Some(x), None, None]);
        if let Some(at) = self.blend(x, Some(other))
            && let Some(step) = self.steps[at].take()
        {
            keep = matches!(step.extra, Extra::Blend { keep: true, .. });
            inputs = step.node.inputs;
        }
        inputs[2] = Some(other);
        self.steps[enlarging] = None;
        self.become_step(
            index,
            Op::Binary(Binary::Add),
            inputs,
            Extra::Blend { keep, factors },
        );
    }

    /// A layer and something that is added to its result.
    fn add_to_layer(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let [a, b] = fuser.pair(index, Binary::Add)?;
            if fuser.shape(a) != fuser.shape(b) {
                return None;
            }
            // Of two layers the later one.
            let mut sides = [(a, b), (b, a)];
            sides.sort_by_key(|&(layer, _)| std::cmp::Reverse(fuser.maker(layer)));
            sides.into_iter().find_map(|(layer, other)| {
                let at = fuser.sole(layer)?;
                let node = fuser.node(at)?;
                let weights = node.input(1)?;
                let fits = fuser.is_constant(weights)
                    && (fuser.limits.layer)(&node.op, fuser.shape(weights))
                    && node.input(3).is_none()
                    && (node.input(0) != Some(other) || is_depthwise(&node.op));
                let mut inputs = node.inputs.clone();
                inputs.resize(3, None);
                inputs.push(Some(other));
                fits.then(|| (at, node.op.clone(), inputs))
            })
        };
        if let Some((layer, op, inputs)) = found(self) {
            self.steps[layer] = None;
            self.become_step(index, op, inputs, Extra::None);
        }
    }

    /// Any other two tensors of the same shape.
    fn add(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let [a, b] = fuser.pair(index, Binary::Add)?;
            (fuser.shape(a) == fuser.shape(b)).then_some([a, b])
        };
        let Some([a, b]) = found(self) else { return };
        let (mut keep, mut inputs) = (false, vec![Some(a), None, Some(b)]);
        if let Some((at, other)) = [(a, b), (b, a)]
            .into_iter()
            .find_map(|(x, other)| Some((self.blend(x, Some(other))?, other)))
            && let Some(step) = self.steps[at].take()
        {
            keep = matches!(step.extra, Extra::Blend { keep: true, .. });
            inputs = step.node.inputs;
            inputs[2] = Some(other);
        }
        let extra = Extra::Blend {
            keep,
            factors: [1, 1],
        };
        self.become_step(index, Op::Binary(Binary::Add), inputs, extra);
    }

    /// Joined channels of pictures, some of them enlarged just for that; and what is enlarged for something else.
    fn join(&mut self, index: usize) {
        let Some(node) = self.node(index) else { return };
        if let Some(factors) = enlarges(node) {
            // Unless a later step takes it up.
            let waits = self.sole(node.output).is_some()
                && self.steps.iter().flatten().any(|s| {
                    s.node.op == Op::Concat(1) && s.node.inputs.contains(&Some(node.output))
                });
            if !waits {
                let (op, inputs) = (node.op.clone(), node.inputs[..1].to_vec());
                self.become_step(index, op, inputs, Extra::Joined(vec![factors]));
            }
            return;
        }
        if node.op != Op::Concat(1) || self.shape(node.output).len() != 4 {
            return;
        }
        let (mut inputs, mut factors, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        for &part in node.inputs.iter().flatten() {
            if self.is_constant(part) {
                return;
            }
            let large = self
                .sole(part)
                .and_then(|at| Some((at, self.node(at)?)))
                .and_then(|(at, node)| Some((at, node.input(0)?, enlarges(node)?)));
            match large {
                Some((at, small, by)) => {
                    taken.push(at);
                    inputs.push(Some(small));
                    factors.push(by);
                }
                None => {
                    inputs.push(Some(part));
                    factors.push([1, 1]);
                }
            }
        }
        for at in taken {
            self.steps[at] = None;
        }
        self.become_step(index, Op::Concat(1), inputs, Extra::Joined(factors));
    }

    /// `softmax(scale * q * kᵀ) * v`, as exporters spell it: one layer makes `[N, T, 3, heads, head]`, which is
    /// turned and cut in three.
    fn attention(&mut self, index: usize) {
        let found = |fuser: &Self| {
            let mut gone = Vec::new();
            // Goes back over what only serves the next step.
            let mut back = |value: ValueId| -> Option<Node> {
                let at = fuser.sole(value)?;
                gone.push(at);
                fuser.node(at).cloned()
            };
            let product = fuser.node(index).filter(|n| n.op == Op::MatMul)?;
            let weights = back(product.input(0)?)?;
            let scores = match weights.op {
                Op::Softmax { axis: 3, .. } => back(weights.input(0)?)?,
                _ => return None,
            };
            if scores.op != Op::MatMul {
                return None;
            }
            let scaled = back(scores.input(0)?)?;
            let (query, scale) = match scaled.op {
                Op::Binary(Binary::Mul) => {
                    let scale = fuser.special.graph.scalar(scaled.input(1))?;
                    (scaled.input(0)?, scale)
                }
                _ => return None,
            };
            let key = back(scores.input(1)?).filter(|n| n.op == Op::Transpose(vec![0, 1, 3, 2]))?;
            let mut whole = None;
            for (part, value) in [query, key.input(0)?, product.input(1)?]
                .into_iter()
                .enumerate()
            {
                let view = back(value).filter(|n| matches!(n.op, Op::View(_)))?;
                let cut = back(view.input(0)?)?;
                let Op::Crop(ranges) = &cut.op else {
                    return None;
                };
                let rest = fuser.shape(cut.input(0)?);
                let whole_rest = ranges[1..]
                    .iter()
                    .zip(&rest[1..])
                    .all(|(r, &s)| *r == [0, s, 1]);
                if ranges[0] != [part, part + 1, 1] || !whole_rest {
                    return None;
                }
                if whole.is_some_and(|w| w != cut.input(0)) {
                    return None;
                }
                whole = Some(cut.input(0));
            }
            let turned_at = fuser.maker(whole??)?;
            let turned = fuser.node(turned_at)?;
            let view = fuser.sole(turned.input(0)?)?;
            gone.extend([turned_at, view]);
            let made = fuser.node(view).filter(|n| matches!(n.op, Op::View(_)))?;
            let &[n, steps, 3, heads, head] = fuser.shape(made.output) else {
                return None;
            };
            let fits = turned.op == Op::Transpose(vec![2, 0, 3, 1, 4])
                && head <= fuser.limits.head
                && fuser.shape(product.output) == [n, heads, steps, head];
            // What follows puts the heads of a step side by side again, which is how they are made here.
            let reader = fuser.steps.iter().flatten().find(|s| {
                s.node.op == Op::Transpose(vec![0, 2, 1, 3])
                    && s.node.input(0) == Some(product.output)
            })?;
            let reader = fuser.maker(reader.node.output)?;
            fuser.sole(product.output)?;
            gone.push(index);
            fits.then_some((gone, reader, made.input(0)?, scale, [n, steps, heads, head]))
        };
        if let Some((gone, reader, projected, scale, sizes)) = found(self) {
            for at in gone {
                self.steps[at] = None;
            }
            self.become_step(
                reader,
                Op::MatMul,
                vec![Some(projected)],
                Extra::Attention { scale, sizes },
            );
        }
    }
}

/// Whether a layer that has a kernel is the one that can add the picture it reads.
fn is_depthwise(op: &Op) -> bool {
    matches!(op, Op::Conv { groups, .. } if *groups > 1)
}

/// The activation of a layer over single pixels.
fn pixel(node: &Node) -> Option<Option<Unary>> {
    match &node.op {
        Op::Conv {
            window:
                Window {
                    kernel: [1, 1],
                    strides: [1, 1],
                    padding: Padding::Explicit([0, 0, 0, 0]),
                    ..
                },
            groups: 1,
            activation,
        } if node.input(3).is_none() => Some(*activation),
        _ => None,
    }
}

/// By how much a node enlarges a picture, down and across.
fn enlarges(node: &Node) -> Option<[usize; 2]> {
    match &node.op {
        Op::Upsample(factors) => match factors[..] {
            [1, 1, y, x] => Some([y, x]),
            _ => None,
        },
        _ => None,
    }
}
