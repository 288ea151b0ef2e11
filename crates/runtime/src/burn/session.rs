use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use burn_backend::tensor::FloatTensor;
use burn_backend::{DType, ExecutionError, FloatDType, IntDType, Slice, TensorData};

use super::fuse::{Extra, Step, fuse};
use super::kernels::Kernels;
use super::step::{self, Form, Operand, Value};
use crate::graph::{Constant, Graph, Op, ValueId};
use crate::programs::Programs;
use crate::specialise::{Specialised, specialise};
use crate::{BestPath, Layout, RunFuture, RuntimeError, Session, Tensor, onnx, rewrite};

/// Programs kept per session. Shapes come in buckets, so this is rarely full.
const MAX_PROGRAMS: usize = 64;

/// Lines of text a GPU reads at once: a small picture leaves most of it without work.
const GPU_BATCH: usize = 16;

type Weights<B> = HashMap<(ValueId, Form), FloatTensor<B>>;

/// A model run by Burn on the backend `B`. Its weights are on the device from the start.
#[allow(
    private_bounds,
    reason = "what the executor asks of a backend is its own affair"
)]
pub struct BurnSession<B: Kernels> {
    graph: Graph,
    weights: Weights<B>,
    device: B::Device,
    name: String,
    programs: Programs<Vec<usize>, Program<B>>,
}

/// A model compiled for one input shape.
struct Program<B: Kernels> {
    special: Specialised,
    steps: Vec<Step>,
    /// Values that no later step than this one reads.
    freed: Vec<Vec<ValueId>>,
    /// Constants that only this shape has.
    extra: Weights<B>,
}

#[allow(
    private_bounds,
    reason = "what the executor asks of a backend is its own affair"
)]
impl<B: Kernels> BurnSession<B> {
    /// Reads an ONNX file and puts its weights on `device`. `name` is what `executor` says.
    pub fn load(onnx: &[u8], device: B::Device, name: String) -> Result<Self, RuntimeError> {
        let mut graph = onnx::load(onnx)?;
        rewrite::simplify(&mut graph)?;
        Ok(Self::from_graph(graph, device, name))
    }

    pub(super) fn from_graph(graph: Graph, device: B::Device, name: String) -> Self {
        let mut weights = Weights::<B>::new();
        let steps: Vec<Step> = graph.nodes.iter().cloned().map(Step::plain).collect();
        upload::<B>(&steps, &graph.constants, &mut weights, None, &device);
        Self {
            graph,
            weights,
            device,
            name,
            programs: Programs::new(MAX_PROGRAMS),
        }
    }

    /// How many steps a run on an input of this shape has.
    #[cfg(test)]
    pub(super) fn steps(&self, shape: &[usize]) -> usize {
        self.program(shape).map_or(0, |program| program.steps.len())
    }

    fn program(&self, shape: &[usize]) -> Result<Arc<Program<B>>, RuntimeError> {
        self.programs
            .get_or_make(shape.to_vec(), || self.compile(shape))
    }

    fn compile(&self, shape: &[usize]) -> Result<Program<B>, RuntimeError> {
        let special = specialise(&self.graph, shape)?;
        let steps = match B::LIMITS {
            Some(limits) => fuse(&special, &limits),
            None => special
                .graph
                .nodes
                .iter()
                .cloned()
                .map(Step::plain)
                .collect(),
        };
        let mut extra = Weights::<B>::new();
        upload::<B>(
            &steps,
            &special.graph.constants,
            &mut extra,
            Some(&self.weights),
            &self.device,
        );
        let mut last = vec![None; special.graph.values];
        for (index, step) in steps.iter().enumerate() {
            for value in step.node.inputs.iter().flatten() {
                last[*value] = Some(index);
            }
        }
        for output in &special.graph.outputs {
            last[output.value] = None;
        }
        let mut freed = vec![Vec::new(); steps.len()];
        for (value, index) in last.iter().enumerate() {
            if let Some(index) = index {
                freed[*index].push(value);
            }
        }
        Ok(Program {
            special,
            steps,
            freed,
            extra,
        })
    }

    /// Queues a run of the program's first `steps` steps, those that make `outputs`; nothing is waited for.
    fn enqueue(
        &self,
        program: &Program<B>,
        input: Tensor,
        (steps, outputs): (usize, Vec<ValueId>),
    ) -> Result<Vec<FloatTensor<B>>, RuntimeError> {
        let graph = &program.special.graph;
        let mut values: Vec<Option<Value<B>>> = vec![None; graph.values];
        values[graph.input] = Some(self.put(input));
        for (index, step) in program.steps[..steps].iter().enumerate() {
            let node = &step.node;
            let mut operands = Vec::with_capacity(node.inputs.len());
            let frees = &program.freed[index];
            for (place, input) in node.inputs.iter().enumerate() {
                operands.push(match *input {
                    None => None,
                    Some(id) => Some(match graph.constants.get(&id) {
                        Some(constant) => {
                            let key = (id, step::form::<B>(step, place, &constant.shape));
                            let tensor = self.weights.get(&key).or_else(|| program.extra.get(&key));
                            Operand::Constant(
                                tensor.ok_or_else(|| {
                                    node.unsupported("an operand is no tensor of floats")
                                })?,
                                constant,
                            )
                        }
                        // Moved where nobody reads it again, so that the backend may work in place.
                        None => {
                            let again = node.inputs[place + 1..].contains(&Some(id));
                            let value = if frees.contains(&id) && !again {
                                values[id].take()
                            } else {
                                values[id].clone()
                            };
                            Operand::Value(
                                value.ok_or_else(|| {
                                    node.unsupported("an operand is not made yet")
                                })?,
                            )
                        }
                    }),
                });
            }
            let made = step::run(step, &program.special.shapes[node.output], operands)?;
            values[node.output] = Some(made);
        }
        let made = outputs.into_iter().map(|output| match &values[output] {
            Some(value) => Ok(value.clone().nchw()),
            None => Err(RuntimeError::Run {
                reason: "the model's output is a constant".into(),
            }),
        });
        made.collect()
    }

    /// The same for one output.
    fn enqueue_one(
        &self,
        program: &Program<B>,
        input: Tensor,
        (steps, output): (usize, ValueId),
    ) -> Result<FloatTensor<B>, RuntimeError> {
        let mut made = self.enqueue(program, input, (steps, vec![output]))?;
        made.pop().ok_or_else(no_output)
    }

    /// Puts the input on the device, as it lies where the kernels take it so.
    fn put(&self, input: Tensor) -> Value<B> {
        let put = |shape: Vec<usize>, data: Vec<f32>| {
            B::float_from_data(TensorData::new(data, shape), &self.device)
        };
        match (input.layout(), input.shape()) {
            (Layout::ChannelsLast, &[n, c, h, w]) if B::LIMITS.is_some() => {
                Value::picture(put(vec![n, h, w, c], input.into_data()))
            }
            _ => {
                let input = input.into_row_major();
                Value::plain(put(input.shape().to_vec(), input.into_data()))
            }
        }
    }

    async fn read(tensor: FloatTensor<B>) -> Result<Tensor, RuntimeError> {
        let failed = |reason: String| RuntimeError::Run { reason };
        let data = B::float_into_data(tensor).await;
        if let Some(fault) = B::fault(data.is_err()).await {
            return Err(fault);
        }
        let data = data.map_err(|e| match e {
            ExecutionError::DevicePoisoned { reason } => RuntimeError::Lost { reason },
            e => failed(format!("{e:?}")),
        })?;
        let shape: Vec<usize> = data.shape().iter().copied().collect();
        let data = data
            .convert_dtype(DType::F32)
            .try_into_vec::<f32>()
            .map_err(|e| failed(format!("{e:?}")))?;
        Tensor::new(shape, data)
    }
}

fn no_output() -> RuntimeError {
    RuntimeError::Run {
        reason: "the model has no output".into(),
    }
}

/// Uploads what the steps read and `have` lacks.
fn upload<B: Kernels>(
    steps: &[Step],
    constants: &BTreeMap<ValueId, Constant>,
    to: &mut Weights<B>,
    have: Option<&Weights<B>>,
    device: &B::Device,
) {
    for step in steps {
        for (place, id) in step.node.inputs.iter().enumerate() {
            let Some((id, constant)) = id.and_then(|id| Some((id, constants.get(&id)?))) else {
                continue;
            };
            let key = (id, step::form::<B>(step, place, &constant.shape));
            if constant.is_empty()
                || to.contains_key(&key)
                || have.is_some_and(|h| h.contains_key(&key))
            {
                continue;
            }
            if let Some(tensor) = step::upload::<B>(constant, key.1, device) {
                to.insert(key, tensor);
            }
        }
    }
}

/// The best class of each step, its probability and the last class's, as `[N, T, 3]`.
fn best_of<B: Kernels>(
    scores: FloatTensor<B>,
    [batch, steps, classes]: [usize; 3],
) -> FloatTensor<B> {
    let best = B::float_argmax(scores.clone(), 2, IntDType::I32);
    let probability = B::float_max_dim(scores.clone(), 2);
    let range = |start: usize, end: usize| Slice {
        start: start as isize,
        end: Some(end as isize),
        step: 1,
    };
    let last = B::float_slice(
        scores,
        &[
            range(0, batch),
            range(0, steps),
            range(classes - 1, classes),
        ],
    );
    // Floats count exactly to 2^24, far beyond any alphabet; so one read brings all three.
    let best = B::int_into_float(best, FloatDType::F32);
    B::float_cat(vec![best, probability, last], 2)
}

impl<B: Kernels> Program<B> {
    /// Where a run ends: after so many steps, with the first output.
    fn end(&self) -> Result<(usize, ValueId), RuntimeError> {
        let first = self.special.graph.outputs.first().ok_or_else(no_output)?;
        Ok((self.steps.len(), first.value))
    }

    /// The same for a run whose best classes are all that is wanted: softmax doesn't change which they are.
    fn end_before_softmax(&self) -> Option<(usize, ValueId)> {
        let (last, before) = self.steps.split_last()?;
        let rank = self.special.shapes[last.node.output].len() as i64;
        let softmax = matches!(last.node.op, Op::Softmax { axis, .. } if axis + 1 == rank)
            && last.extra == Extra::None
            && self.special.graph.sole_output() == Some(last.node.output);
        Some((before.len(), last.node.input(0)?)).filter(|_| softmax)
    }
}

impl<B: Kernels> Session for BurnSession<B> {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move {
            let program = self.program(input.shape())?;
            Self::read(self.enqueue_one(&program, input, program.end()?)?).await
        })
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move {
            let program = self.program(input.shape())?;
            let outputs = program
                .special
                .graph
                .outputs
                .iter()
                .map(|o| o.value)
                .collect();
            let mut read = Vec::new();
            for output in self.enqueue(&program, input, (program.steps.len(), outputs))? {
                read.push(Self::read(output).await?);
            }
            Ok(read)
        })
    }

    fn outputs(&self) -> Vec<String> {
        self.graph.output_names()
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move {
            let program = self.program(input.shape())?;
            let end = program.end()?;
            let shape = &program.special.shapes[end.1];
            let &[batch, steps, classes] = shape.as_slice() else {
                return Err(RuntimeError::Run {
                    reason: format!("expected scores of shape [N, T, V], got {shape:?}"),
                });
            };
            let early = program.end_before_softmax().filter(|_| B::LIMITS.is_some());
            let scores = self.enqueue_one(&program, input, early.unwrap_or(end))?;
            let best = match B::best(&scores, early.is_some()) {
                Some(best) => best,
                None => {
                    let scores = match early {
                        Some(_) => B::softmax(scores, 2),
                        None => scores,
                    };
                    best_of::<B>(scores, [batch, steps, classes])
                }
            };
            let read = Self::read(best).await?;
            let mut path = BestPath {
                batch,
                steps,
                ..BestPath::default()
            };
            for step in read.data().chunks_exact(3) {
                path.classes.push(step[0] as u32);
                path.probabilities.push(step[1]);
                path.last_class.push(step[2]);
            }
            Ok(path)
        })
    }

    fn batch(&self) -> usize {
        // With kernels it is a GPU.
        if B::LIMITS.is_some() { GPU_BATCH } else { 1 }
    }

    fn executor(&self) -> String {
        self.name.clone()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Equal scores near and far apart, in more classes than one workgroup looks at.
    pub(in crate::burn) fn ties_go_to_the_lowest_class<B: Kernels>(device: &B::Device) {
        let classes = 7000;
        let mut scores = vec![0.0f32; 3 * classes];
        for (step, tied) in [[5, 6], [3, 6999], [1024, 4096]].iter().enumerate() {
            for class in tied {
                scores[step * classes + class] = 0.5;
            }
        }
        for logits in [false, true] {
            let data = TensorData::new(scores.clone(), vec![1, 3, classes]);
            let tensor = B::float_from_data(data, device);
            let best =
                B::best(&tensor, logits).unwrap_or_else(|| best_of::<B>(tensor, [1, 3, classes]));
            let best = pollster::block_on(BurnSession::<B>::read(best)).unwrap();
            let found: Vec<f32> = best.data().chunks_exact(3).map(|s| s[0]).collect();
            assert_eq!(found, [5.0, 3.0, 1024.0]);
        }
    }

    #[cfg(feature = "flex")]
    #[test]
    fn ties_on_flex() {
        ties_go_to_the_lowest_class::<burn_flex::Flex>(&burn_flex::FlexDevice);
    }
}
