use std::sync::{Arc, Mutex};
use std::time::Duration;

use web_time::Instant;

use super::buffer::Buffer;
use super::program::Program;
use super::run::{Run, arena};
use super::simd::{DotIsa, Isa};
use super::threads::threads;
use super::weights::{Weights, pack};
use crate::graph::Graph;
use crate::programs::Programs;
use crate::session::only;
use crate::specialise::specialise;
use crate::{BestPath, Layout, RunFuture, RuntimeError, Session, Tensor, onnx, rewrite};

/// Programs kept per session. They are small: steps and places, no weights.
const MAX_PROGRAMS: usize = 128;

/// Lines at once where several threads share the work.
const BATCH: usize = 8;

/// A model run by this project's own kernels. Weights are packed once, for the best instruction set of the processor.
pub struct CpuSession {
    graph: Graph,
    weights: Weights,
    isa: Isa,
    int8: Option<DotIsa>,
    programs: Programs<Key, Program>,
    /// Arenas that no run uses at the moment.
    arenas: Mutex<Vec<Buffer>>,
}

/// What one step of a run costs.
#[derive(Clone, Debug)]
pub struct StepCost {
    /// The kind of kernel, e.g. `depthwise`.
    pub kernel: &'static str,
    /// Sizes, for people.
    pub shape: String,
    /// Multiplications with an addition; 0 for what only moves or compares.
    pub macs: u64,
    /// The least time it took.
    pub time: Duration,
}

/// What a program depends on: the input's shape and layout, and whether only the best classes are wanted.
type Key = (Vec<usize>, Layout, bool);

impl CpuSession {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`RuntimeError::Malformed`] where the bytes are no model, [`RuntimeError::Unsupported`] for an operator that this
    /// executor does not know.
    pub fn load(onnx: &[u8]) -> Result<Self, RuntimeError> {
        Self::load_for(onnx, Isa::best())
    }

    /// Reads an ONNX file and rounds most of its weights to 8 bits. Faster on processors that multiply small integers
    /// faster than floats; what it gives is close to the exact result, not equal to it.
    ///
    /// # Errors
    /// [`RuntimeError::Device`] on other processors, else as for [`load`](Self::load).
    pub fn load_int8(onnx: &[u8]) -> Result<Self, RuntimeError> {
        let dot = DotIsa::best().ok_or_else(|| RuntimeError::Device {
            reason: format!(
                "{} here multiplies 8-bit integers no faster than floats; take cpu",
                Isa::best().name()
            ),
        })?;
        Self::make(onnx, dot.isa(), Some(dot))
    }

    /// The same for an instruction set's products.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_int8_for(onnx: &[u8], dot: DotIsa) -> Result<Self, RuntimeError> {
        Self::make(onnx, dot.isa(), Some(dot))
    }

    /// Reads an ONNX file for an instruction set.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_for(onnx: &[u8], isa: Isa) -> Result<Self, RuntimeError> {
        Self::make(onnx, isa, None)
    }

    fn make(onnx: &[u8], isa: Isa, int8: Option<DotIsa>) -> Result<Self, RuntimeError> {
        let mut graph = onnx::load(onnx)?;
        rewrite::simplify(&mut graph)?;
        let weights = pack(&mut graph, isa, int8)?;
        Ok(Self {
            graph,
            weights,
            isa,
            int8,
            programs: Programs::new(MAX_PROGRAMS),
            arenas: Mutex::default(),
        })
    }

    /// How long each step of a run takes, the least of `rounds`, in the order in which they run.
    ///
    /// # Errors
    /// [`RuntimeError::Input`] where the input does not fit the model.
    pub fn profile(&self, input: &Tensor, rounds: usize) -> Result<Vec<StepCost>, RuntimeError> {
        let program = self.program(input, true)?;
        self.with_run(input, &program, |run| {
            let mut costs: Vec<StepCost> = program
                .steps
                .iter()
                .map(|step| StepCost {
                    kernel: step.kernel(),
                    shape: step.describe(),
                    macs: step.macs(),
                    time: Duration::MAX,
                })
                .collect();
            for _ in 0..rounds {
                for (step, cost) in program.steps.iter().zip(&mut costs) {
                    let began = Instant::now();
                    // SAFETY: in order, on the program's own memory.
                    unsafe { run.step(step) };
                    cost.time = cost.time.min(began.elapsed());
                }
            }
            if let Some(head) = &program.head {
                let mut cost = StepCost {
                    kernel: "head",
                    shape: head.describe(),
                    macs: head.macs(),
                    time: Duration::MAX,
                };
                for _ in 0..rounds {
                    let began = Instant::now();
                    // SAFETY: the steps have run.
                    unsafe { run.best(head) };
                    cost.time = cost.time.min(began.elapsed());
                }
                costs.push(cost);
            }
            Ok(costs)
        })
    }

    fn program(&self, input: &Tensor, best: bool) -> Result<Arc<Program>, RuntimeError> {
        let key = (input.shape().to_vec(), input.layout(), best);
        self.programs.get_or_make(key, || {
            let special = specialise(&self.graph, input.shape())?;
            Program::new(&special, input.layout(), &self.weights, best)
        })
    }

    /// Runs a program's steps on `input` and gives what `then` makes of the result.
    fn with_run<T>(
        &self,
        input: &Tensor,
        program: &Program,
        then: impl FnOnce(&Run<'_>) -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let locked = || self.arenas.lock().unwrap_or_else(|e| e.into_inner());
        let kept = locked().pop();
        let mut memory = arena(program, kept);
        let run = Run {
            isa: self.isa,
            program,
            input: input.data(),
            arena: memory.as_mut_ptr(),
        };
        // SAFETY: the program was made for the input's shape and layout, and the arena is as long as it says.
        unsafe { run.steps() };
        let result = then(&run);
        locked().push(memory);
        result
    }

    /// The first `count` outputs.
    fn run_now(&self, input: &Tensor, count: usize) -> Result<Vec<Tensor>, RuntimeError> {
        let program = self.program(input, false)?;
        self.with_run(input, &program, |run| {
            let wanted = program.outputs.iter().take(count);
            wanted
                // SAFETY: the steps have run.
                .map(|view| Tensor::new(view.shape.clone(), unsafe { run.output(view) }))
                .collect()
        })
    }

    fn best_now(&self, input: &Tensor) -> Result<BestPath, RuntimeError> {
        let program = self.program(input, true)?;
        let Some(head) = &program.head else {
            return BestPath::from_scores(&only(self.run_now(input, 1)?)?);
        };
        self.with_run(input, &program, |run| {
            // SAFETY: the steps have run.
            let (best, last) = unsafe { run.best(head) };
            let mut path = BestPath {
                batch: head.shape[0],
                steps: head.shape[1],
                ..BestPath::default()
            };
            for (best, last) in best.iter().zip(last) {
                path.classes.push(best.class as u32);
                path.probabilities.push(1.0 / best.sum);
                path.last_class.push((last - best.max).exp() / best.sum);
            }
            Ok(path)
        })
    }
}

impl Session for CpuSession {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move { only(self.run_now(&input, 1)?) })
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move { self.run_now(&input, usize::MAX) })
    }

    fn outputs(&self) -> Vec<String> {
        self.graph.output_names()
    }

    fn run_best(&self, input: Tensor) -> RunFuture<'_, BestPath> {
        Box::pin(async move { self.best_now(&input) })
    }

    fn batch(&self) -> usize {
        // More rows in each step: threads then spend less of their time on beginnings and ends.
        if threads() > 1 { BATCH } else { 1 }
    }

    fn executor(&self) -> String {
        match self.int8 {
            Some(dot) => format!("cpu ({}, int8)", dot.name()),
            None => format!("cpu ({})", self.isa.name()),
        }
    }
}
