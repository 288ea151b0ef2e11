//! The portable executor: any model tract knows, any shape.

use std::sync::Arc;

use tract_onnx::prelude::*;

use crate::programs::Programs;
use crate::session::only;
use crate::{RunFuture, RuntimeError, Session, Tensor};

/// Programs kept per session: each has its own copy of the weights. Shapes come in buckets, so this is rarely full.
const MAX_PROGRAMS: usize = 24;

/// A model run by tract. It is optimised for each input shape at its first use, and that is kept.
pub struct TractSession {
    model: InferenceModel,
    optimised: bool,
    programs: Programs<Vec<usize>, Arc<TypedSimplePlan>>,
}

impl TractSession {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// [`RuntimeError::Malformed`] where tract can't read it.
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
            optimised: true,
            programs: Programs::new(MAX_PROGRAMS),
        })
    }

    /// The same, run as the file says, step by step: a reference for tests. tract's optimiser refuses a few small graphs,
    /// and gets a few wrong.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn load_plain(onnx: &[u8]) -> Result<Self, RuntimeError> {
        Ok(Self {
            optimised: false,
            ..Self::load(onnx)?
        })
    }

    fn program(&self, shape: &[usize]) -> Result<Arc<TypedSimplePlan>, RuntimeError> {
        let kept = self.programs.get_or_make(shape.to_vec(), || {
            self.model
                .clone()
                .with_input_fact(0, f32::fact(shape).into())
                .and_then(|m| match self.optimised {
                    true => m.into_optimized(),
                    false => m.into_typed(),
                })
                .and_then(|m| m.into_runnable())
                .map_err(|e| RuntimeError::Input {
                    shape: shape.to_vec(),
                    reason: format!("{e:#}"),
                })
        })?;
        Ok(Arc::clone(&kept))
    }

    fn run_now(&self, input: Tensor) -> Result<Vec<Tensor>, RuntimeError> {
        let failed = |e: TractError| RuntimeError::Run {
            reason: format!("{e:#}"),
        };
        let input = input.into_row_major();
        let program = self.program(input.shape())?;
        let shape = input.shape().to_vec();
        let value =
            tract_onnx::prelude::Tensor::from_shape(&shape, input.data()).map_err(failed)?;
        drop(input);
        let outputs = program.run(tvec!(value.into())).map_err(failed)?;
        let read = |output: &TValue| {
            let view = output.to_plain_array_view::<f32>().map_err(failed)?;
            Tensor::new(view.shape().to_vec(), view.iter().copied().collect())
        };
        outputs.iter().map(read).collect()
    }
}

impl Session for TractSession {
    fn run(&self, input: Tensor) -> RunFuture<'_, Tensor> {
        Box::pin(async move { only(self.run_now(input)?) })
    }

    fn run_all(&self, input: Tensor) -> RunFuture<'_, Vec<Tensor>> {
        Box::pin(async move { self.run_now(input) })
    }

    fn outputs(&self) -> Vec<String> {
        let outlets = self.model.outputs.iter();
        let name = |outlet: &OutletId| match self.model.outlet_label(*outlet) {
            Some(label) => label.to_string(),
            None => self.model.node(outlet.node).name.clone(),
        };
        outlets.map(name).collect()
    }

    fn executor(&self) -> String {
        "tract".into()
    }
}
