use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use web_time::Instant;

use super::buffer::Buffer;
use super::plan::Plan;
use super::run::{Run, arena};
use super::simd::{DotIsa, Isa};
use super::threads::threads;
use super::weights::{Weights, pack};
use crate::graph::Graph;
use crate::specialise::specialise;
use crate::{BestPath, Layout, RunFuture, RuntimeError, Session, Tensor, onnx, rewrite};

/// Plans kept per session. They are small: steps and places, no weights.
const MAX_PLANS: usize = 128;

/// Lines at once where several threads share the work.
const BATCH: usize = 8;

/// A model run by this project's own kernels. Weights are packed once, for the best instruction set of the processor.
pub struct CpuSession {
    graph: Graph,
    weights: Weights,
    isa: Isa,
    int8: Option<DotIsa>,
    plans: Mutex<Plans>,
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

/// What a plan depends on: the input's shape and layout, and whether only the best classes are wanted.
type Key = (Vec<usize>, Layout, bool);

#[derive(Default)]
struct Plans {
    by_input: HashMap<Key, (Arc<Plan>, u64)>,
    /// Counts uses, to know which plan was not used for the longest time.
    clock: u64,
}

impl CpuSession {
    /// Reads an ONNX file.
    pub fn load(onnx: &[u8]) -> Result<Self, RuntimeError> {
        Self::load_for(onnx, Isa::best())
    }

    /// Reads an ONNX file and rounds most of its weights to 8 bits. Faster on processors that multiply small integers
    /// faster than floats, an error on others; what it gives is close to the exact result, not equal to it.
    pub fn load_int8(onnx: &[u8]) -> Result<Self, RuntimeError> {
        let dot = DotIsa::best().ok_or_else(|| RuntimeError::Device {
            reason: format!(
                "{} here multiplies 8-bit integers no faster than floats; take cpu",
                Isa::best().name()
            ),
        })?;
        Self::make(onnx, dot.isa(), Some(dot))
    }

    /// The same for an instruction set's products, which this processor must have.
    pub fn load_int8_for(onnx: &[u8], dot: DotIsa) -> Result<Self, RuntimeError> {
        if !DotIsa::available().contains(&dot) {
            return Err(RuntimeError::Device {
                reason: format!("this processor has no {}", dot.name()),
            });
        }
        Self::make(onnx, dot.isa(), Some(dot))
    }

    /// Reads an ONNX file for an instruction set, which this processor must have.
    pub fn load_for(onnx: &[u8], isa: Isa) -> Result<Self, RuntimeError> {
        if !Isa::available().contains(&isa) {
            return Err(RuntimeError::Device {
                reason: format!("this processor has no {}", isa.name()),
            });
        }
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
            plans: Mutex::default(),
            arenas: Mutex::default(),
        })
    }

    /// How long each step of a run takes, the least of `rounds`, in the order in which they run.
    pub fn profile(&self, input: &Tensor, rounds: usize) -> Result<Vec<StepCost>, RuntimeError> {
        let plan = self.plan(input, true)?;
        self.with_run(input, &plan, |run| {
            let mut costs: Vec<StepCost> = plan
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
                for (step, cost) in plan.steps.iter().zip(&mut costs) {
                    let began = Instant::now();
                    // SAFETY: in order, on the plan's own memory.
                    unsafe { run.step(step) };
                    cost.time = cost.time.min(began.elapsed());
                }
            }
            if let Some(head) = &plan.head {
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

    fn plan(&self, input: &Tensor, best: bool) -> Result<Arc<Plan>, RuntimeError> {
        let locked = || self.plans.lock().unwrap_or_else(|e| e.into_inner());
        let key = (input.shape().to_vec(), input.layout(), best);
        {
            let mut plans = locked();
            plans.clock += 1;
            let now = plans.clock;
            if let Some((plan, used)) = plans.by_input.get_mut(&key) {
                *used = now;
                return Ok(plan.clone());
            }
        }
        let special = specialise(&self.graph, input.shape())?;
        let plan = Arc::new(Plan::new(&special, input.layout(), &self.weights, best)?);
        let mut plans = locked();
        if plans.by_input.len() >= MAX_PLANS {
            let oldest = plans.by_input.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                plans.by_input.remove(&oldest);
            }
        }
        let now = plans.clock;
        plans.by_input.insert(key, (plan.clone(), now));
        Ok(plan)
    }

    /// Runs a plan's steps on `input` and gives what `then` makes of the result.
    fn with_run<T>(
        &self,
        input: &Tensor,
        plan: &Plan,
        then: impl FnOnce(&Run<'_>) -> Result<T, RuntimeError>,
    ) -> Result<T, RuntimeError> {
        let locked = || self.arenas.lock().unwrap_or_else(|e| e.into_inner());
        let kept = locked().pop();
        let mut memory = arena(plan, kept);
        let run = Run {
            isa: self.isa,
            plan,
            input: input.data(),
            arena: memory.as_mut_ptr(),
        };
        // SAFETY: loading checked the instruction sets, the plan was made for the input's shape and layout, and the arena is as
        // long as the plan says.
        unsafe { run.steps() };
        let result = then(&run);
        locked().push(memory);
        result
    }

    fn run_now(&self, input: &Tensor) -> Result<Tensor, RuntimeError> {
        let plan = self.plan(input, false)?;
        self.with_run(input, &plan, |run| {
            // SAFETY: the steps have run.
            Tensor::new(plan.output.shape.clone(), unsafe { run.output() })
        })
    }

    fn best_now(&self, input: &Tensor) -> Result<BestPath, RuntimeError> {
        let plan = self.plan(input, true)?;
        let Some(head) = &plan.head else {
            return BestPath::from_scores(&self.run_now(input)?);
        };
        self.with_run(input, &plan, |run| {
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
        Box::pin(async move { self.run_now(&input) })
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
