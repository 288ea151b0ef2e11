//! Functions of one number, as the last thing a kernel does before it writes.

use cubecl::prelude::*;

use crate::graph::Unary;

/// Which function; part of a kernel, so that each choice is a pipeline of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Function {
    None,
    Relu,
    Sigmoid,
    HardSigmoid,
    HardSwish,
    Silu,
    Gelu,
    Erf,
    Sqrt,
    Exp,
    Clip,
}

/// A function and its numbers, which are no part of the pipeline.
#[derive(CubeType, CubeLaunch)]
pub(super) struct Activation {
    first: f32,
    second: f32,
    #[cube(comptime)]
    function: Function,
}

pub(super) fn activation(unary: Option<Unary>) -> ActivationLaunch {
    let (function, first, second) = match unary {
        None => (Function::None, 0.0, 0.0),
        Some(Unary::Relu) => (Function::Relu, 0.0, 0.0),
        Some(Unary::Sigmoid) => (Function::Sigmoid, 0.0, 0.0),
        Some(Unary::HardSigmoid { alpha, beta }) => (Function::HardSigmoid, alpha, beta),
        Some(Unary::HardSwish { alpha, beta }) => (Function::HardSwish, alpha, beta),
        Some(Unary::Silu) => (Function::Silu, 0.0, 0.0),
        Some(Unary::Gelu) => (Function::Gelu, 0.0, 0.0),
        Some(Unary::Erf) => (Function::Erf, 0.0, 0.0),
        Some(Unary::Sqrt) => (Function::Sqrt, 0.0, 0.0),
        Some(Unary::Exp) => (Function::Exp, 0.0, 0.0),
        Some(Unary::Clip { min, max }) => (Function::Clip, min, max),
    };
    ActivationLaunch::new(first, second, function)
}

#[cube]
fn sigmoid<N: Size>(x: Vector<f32, N>) -> Vector<f32, N> {
    // exp(80) is finite, so that no infinity has to be divided by: WGSL promises nothing about those.
    let power = min(-x, Vector::new(80.0));
    Vector::new(1.0) / (Vector::new(1.0) + power.exp())
}

#[cube]
fn gate<N: Size>(x: Vector<f32, N>, slope: f32, middle: f32) -> Vector<f32, N> {
    clamp(
        x * Vector::new(slope) + Vector::new(middle),
        Vector::new(0.0),
        Vector::new(1.0),
    )
}

#[cube]
pub(super) fn activate<N: Size>(x: Vector<f32, N>, activation: &Activation) -> Vector<f32, N> {
    match comptime![activation.function] {
        Function::None => x,
        Function::Relu => max(x, Vector::new(0.0)),
        Function::Sigmoid => sigmoid(x),
        Function::HardSigmoid => gate(x, activation.first, activation.second),
        Function::HardSwish => x * gate(x, activation.first, activation.second),
        Function::Silu => x * sigmoid(x),
        Function::Gelu => {
            let half = x * Vector::new(0.5);
            half + half * (x * Vector::new(comptime![std::f32::consts::FRAC_1_SQRT_2])).erf()
        }
        Function::Erf => x.erf(),
        Function::Sqrt => x.sqrt(),
        Function::Exp => x.exp(),
        Function::Clip => clamp(
            x,
            Vector::new(activation.first),
            Vector::new(activation.second),
        ),
    }
}
