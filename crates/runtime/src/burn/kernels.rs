use burn_backend::tensor::FloatTensor;
use burn_backend::{Backend, Scalar, Shape, TensorMetadata};

use crate::graph::Unary;

/// What the executor asks of a backend beyond Burn's own operators, with fallbacks made of those.
pub(crate) trait Kernels: Backend {
    /// Whether pictures are kept as `[N, H, W, C]` between the steps.
    const NHWC: bool;

    /// A depthwise convolution of an `[N, H, W, C]` picture with weights `[kh, kw, C]`, without a bias; `None`
    /// where the backend has no kernel for it.
    fn depthwise(
        _picture: &FloatTensor<Self>,
        _weights: &FloatTensor<Self>,
        _window: &DepthwiseWindow,
    ) -> Option<FloatTensor<Self>> {
        None
    }

    /// Adds a bias along the last axis and applies an activation.
    fn epilogue(
        tensor: FloatTensor<Self>,
        bias: Option<&FloatTensor<Self>>,
        activation: Option<Unary>,
    ) -> FloatTensor<Self> {
        let tensor = match bias {
            Some(bias) => {
                let mut shape = vec![1; tensor.rank()];
                let channels = bias.shape()[0];
                if let Some(last) = shape.last_mut() {
                    *last = channels;
                }
                Self::float_add(
                    tensor,
                    Self::float_reshape(bias.clone(), Shape::from(shape)),
                )
            }
            None => tensor,
        };
        match activation {
            Some(unary) => apply::<Self>(tensor, unary),
            None => tensor,
        }
    }
}

/// Where a depthwise convolution looks, as (rows, columns).
pub(crate) struct DepthwiseWindow {
    pub(crate) kernel: [usize; 2],
    pub(crate) strides: [usize; 2],
    pub(crate) padding: [(usize, usize); 2],
    pub(crate) dilations: [usize; 2],
}

fn scalar(value: f32) -> Scalar {
    Scalar::Float(f64::from(value))
}

/// A function of each element.
pub(crate) fn apply<B: Backend>(x: FloatTensor<B>, unary: Unary) -> FloatTensor<B> {
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
