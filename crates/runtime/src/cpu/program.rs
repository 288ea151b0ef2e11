//! A model for one input shape: steps over places in an arena.

use std::sync::Arc;

use super::buffer::Buffer;
use super::gemm::Panels;
use super::lower::lower;
use super::step::{At, Step};
use super::view::{Matrix, View};
use super::weights::Weights;
use crate::specialise::Specialised;
use crate::{Layout, RuntimeError};

/// What a buffer is at run time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    /// The model's input.
    Input,
    /// Floats from the arena's start.
    Arena(usize),
    /// One of the program's constants.
    Constant(usize),
}

/// Classes are looked for without a softmax: these rows times these weights.
pub(super) struct Head {
    pub(super) input: At,
    pub(super) rows: Matrix,
    pub(super) weights: Arc<Panels>,
    /// Sequences and steps.
    pub(super) shape: [usize; 2],
}

impl Head {
    fn classes(&self) -> usize {
        self.weights.n()
    }

    /// Multiplications with an addition.
    pub(super) fn macs(&self) -> u64 {
        (self.rows.count * self.rows.cols * self.classes()) as u64
    }

    /// Sizes, for people.
    pub(super) fn describe(&self) -> String {
        format!(
            "{} * {}>{}",
            self.rows.count,
            self.rows.cols,
            self.classes()
        )
    }
}

/// A model compiled for one input shape and layout.
pub(super) struct Program {
    pub(super) steps: Vec<Step>,
    pub(super) places: Vec<Place>,
    pub(super) constants: Vec<Buffer>,
    /// Floats that a run needs.
    pub(super) arena: usize,
    /// In the model's order; none where only the best classes are wanted.
    pub(super) outputs: Vec<View>,
    /// Instead of the outputs, where only the best classes are wanted.
    pub(super) head: Option<Head>,
}

impl Program {
    /// Compiles a run; with `best` one that ends before the head, where the model has one.
    pub(super) fn new(
        special: &Specialised,
        layout: Layout,
        weights: &Weights,
        best: bool,
    ) -> Result<Self, RuntimeError> {
        lower(special, layout, weights, best)
    }

    pub(super) fn place(&self, at: At) -> (Place, usize) {
        (self.places[at.buffer], at.offset)
    }
}
