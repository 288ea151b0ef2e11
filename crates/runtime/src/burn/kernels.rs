use burn_backend::tensor::FloatTensor;
use burn_backend::{Backend, Scalar};

use super::fuse::{Limits, Step};
use super::step::{Operand, Value};
use crate::RuntimeError;
use crate::graph::Unary;

/// What the executor asks of a backend beyond Burn's own operators.
pub(super) trait Kernels: Backend {
    /// What its kernels can take together; `None` where it has none. With kernels, pictures are kept as
    /// `[N, H, W, C]` between the steps.
    const LIMITS: Option<Limits> = None;

    /// Runs a step with a kernel of its own. `None` with all operands still there where it has none for it. `shape` is
    /// the output's.
    fn run(
        _step: &Step,
        _shape: &[usize],
        _operands: &mut [Option<Operand<'_, Self>>],
    ) -> Option<Value<Self>> {
        None
    }

    /// The best class of each step of `[N, T, V]`, the lowest on a tie, its probability and the last class's, as
    /// `[N, T, 3]`. `logits` says that the scores are those before softmax.
    fn best(_scores: &FloatTensor<Self>, _logits: bool) -> Option<FloatTensor<Self>> {
        None
    }

    /// What went wrong on the device outside of any call, after which its results are not to be trusted; the reason of
    /// a read that `failed` may be told a moment later.
    async fn fault(_failed: bool) -> Option<RuntimeError> {
        None
    }
}

fn scalar(value: f32) -> Scalar {
    Scalar::Float(f64::from(value))
}

/// A function of each element.
pub(super) fn apply<B: Backend>(x: FloatTensor<B>, unary: Unary) -> FloatTensor<B> {
    match unary {
        Unary::Relu => B::relu(x),
        Unary::Sigmoid => B::sigmoid(x),
        Unary::HardSigmoid { alpha, beta } => B::hard_sigmoid(x, scalar(alpha), scalar(beta)),
        Unary::HardSwish { alpha, beta } => {
            let gate = B::hard_sigmoid(x.clone(), scalar(alpha), scalar(beta));
            B::float_mul(x, gate)
        }
        Unary::Silu => {
            let gate = B::sigmoid(x.clone());
            B::float_mul(x, gate)
        }
        Unary::Gelu => B::gelu(x),
        Unary::Erf => B::float_erf(x),
        Unary::Sqrt => B::float_sqrt(x),
        Unary::Exp => B::float_exp(x),
        Unary::Clip { min, max } => B::float_clamp(x, scalar(min), scalar(max)),
    }
}
