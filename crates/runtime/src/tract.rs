//! The portable executor: any model tract knows, any shape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tract_onnx::prelude::*;

use crate::{RunFuture, RuntimeError, Session, Tensor};

/// Plans kept per session; the least recently made one goes first. Shapes come in buckets, so this is rarely full.
const MAX_PLANS: usize = 24;

type Plan = Arc<TypedSimplePlan>;

/// A model run by tract. A plan is optimised for each input shape at its first use and kept.
pub struct TractSession {
    model: InferenceModel,
    plans: Mutex<PlanCache>,
}

#[derive(Default)]
struct PlanCache {
    by_shape: HashMap<Vec<usize>, Plan>,
    made: Vec<Vec<usize>>,
}

impl TractSession {
    /// Reads an ONNX file.
    pub fn load(onnx: &[u8]) -> Result<Self, RuntimeError> {
        let model = tract_onnx::onnx()
            .with_ignore_value_info(true)
            .with_ignore_output_shapes(true)
            .model_for_read(&mut &*onnx)
            .map_err(|e| RuntimeError::Malformed {
                reason: format!("{e:#}"),
            })?;
        Ok(Self {
            model,
            plans: Mutex::default(),
        })
    }

    fn plan(&self, shape: &[usize]) -> Result<Plan, RuntimeError> {
        if let Some(plan) = self
            .plans
            .lock()
            .unwrap_or_else(|e| e.into_inner())
            .by_shape
            .get(shape)
        {
            return Ok(plan.clone());
        }
        // Made outside the lock: it takes up to a second, and two threads that make the same one do no harm.
        let plan: Plan = self
            .model
            .clone()
            .with_input_fact(0, f32::fact(shape).into())
            .and_then(|m| m.into_optimized())
            .and_then(|m| m.into_runnable())
            .map_err(|e| RuntimeError::Input {
                shape: shape.to_vec(),
                reason: format!("{e:#}"),
            })?;
        let mut plans = self.plans.lock().unwrap_or_else(|e| e.into_inner());
        if plans.made.len() >= MAX_PLANS {
            let oldest = plans.made.remove(0);
            plans.by_shape.remove(&oldest);
        }
        if plans
            .by_shape
            .insert(shape.to_vec(), plan.clone())
            .is_none()
        {
            plans.made.push(shape.to_vec());
        }
        Ok(plan)
    }

    fn run_now(&self, input: Tensor) -> Result<Tensor, RuntimeError> {
        let failed = |e: TractError| RuntimeError::Run {
            reason: format!("{e:#}"),
        };
        let input = input.into_row_major();
        let plan = self.plan(input.shape())?;
        let shape = input.shape().to_vec();
        let value =
            tract_onnx::prelude::Tensor::from_shape(&shape, input.data()).map_err(failed)?;
        drop(input);
        let mut outputs = plan.run(tvec!(value.into())).map_err(failed)?;
        let output = outputs.swap_remove(0);
        let view = output.to_plain_array_view::<f32>().map_err(failed)?;
        Tensor::new(view.shape().to_vec(), view.iter().copied().collect())
    }
}

impl Session for TractSession {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move { self.run_now(input) })
    }

    fn executor(&self) -> String {
        "tract".into()
    }
}
