//! Products of rows with constant weights.

use super::super::buffer::Buffer;
use super::super::gemm::{Gemm, Rows, TILE};
use super::super::quant::{QuantGemm, Quantise};
use super::super::step::RowsAt;
use super::super::threads::{Shared, each, with_scratch};
use super::super::weights::Product;
use super::Run;
use crate::graph::Unary;

/// Rows of a tile through one layer.
struct Layer<'a> {
    input: *const f32,
    pitch: usize,
    m: usize,
    weights: &'a Product,
    output: *mut f32,
    output_pitch: usize,
    /// What is added, and its pitch.
    residual: Option<(*const f32, usize)>,
    activation: Option<Unary>,
}

/// Floats of scratch memory that a tile through this layer takes.
fn scratch_len(weights: &Product) -> usize {
    match weights {
        Product::Int8(panels) => (TILE * panels.row_len()).div_ceil(4),
        Product::Floats(_) => 0,
    }
}

impl Run<'_> {
    pub(super) unsafe fn product(
        &self,
        rows: &RowsAt,
        weights: &Product,
        activation: Option<Unary>,
    ) {
        let input = Shared::new(self.read(rows.input));
        let output = Shared::new(self.write(rows.output));
        let residual = Shared::new(rows.residual.map(|(at, pitch)| (self.read(at), pitch)));
        each(rows.count.div_ceil(TILE), |tile| {
            let first = tile * TILE;
            let layer = Layer {
                input: input.get().wrapping_add(first * rows.pitch),
                pitch: rows.pitch,
                m: TILE.min(rows.count - first),
                weights,
                output: output.get().wrapping_add(first * rows.output_pitch),
                output_pitch: rows.output_pitch,
                residual: residual
                    .get()
                    .map(|(at, pitch)| (at.wrapping_add(first * pitch), pitch)),
                activation,
            };
            // SAFETY: the program's sizes and places.
            with_scratch(|scratch| unsafe { self.layer(layer, scratch, 0) });
        });
    }

    pub(super) unsafe fn chain(
        &self,
        rows: &RowsAt,
        first: &Product,
        between: Option<Unary>,
        second: &Product,
        activation: Option<Unary>,
    ) {
        let input = Shared::new(self.read(rows.input));
        let output = Shared::new(self.write(rows.output));
        let residual = Shared::new(rows.residual.map(|(at, pitch)| (self.read(at), pitch)));
        let wide = first.size()[1];
        let hidden_len = TILE * wide;
        let bytes = scratch_len(first).max(scratch_len(second));
        each(rows.count.div_ceil(TILE), |tile| {
            let start = tile * TILE;
            let m = TILE.min(rows.count - start);
            with_scratch(|scratch| {
                scratch.reserve(hidden_len + bytes);
                let hidden = scratch.as_mut_ptr();
                let expand = Layer {
                    input: input.get().wrapping_add(start * rows.pitch),
                    pitch: rows.pitch,
                    m,
                    weights: first,
                    output: hidden,
                    output_pitch: wide,
                    residual: None,
                    activation: between,
                };
                let compress = Layer {
                    input: hidden,
                    pitch: wide,
                    m,
                    weights: second,
                    output: output.get().wrapping_add(start * rows.output_pitch),
                    output_pitch: rows.output_pitch,
                    residual: residual
                        .get()
                        .map(|(at, pitch)| (at.wrapping_add(start * pitch), pitch)),
                    activation,
                };
                // SAFETY: the program's sizes and places; the scratch has room for what lies between and for bytes.
                unsafe {
                    self.layer(expand, scratch, hidden_len);
                    self.layer(compress, scratch, hidden_len);
                }
            });
        });
    }

    /// One layer on one tile. `scratch` is free from `from` on.
    unsafe fn layer(&self, layer: Layer<'_>, scratch: &mut Buffer, from: usize) {
        let Layer {
            input,
            pitch,
            m,
            weights,
            output,
            output_pitch,
            residual,
            activation,
        } = layer;
        let (residual, residual_pitch) = residual.unwrap_or((std::ptr::null(), 0));
        let relu = activation == Some(Unary::Relu);
        // SAFETY: the caller's.
        unsafe {
            match weights {
                Product::Floats(panels) => self.isa.run(Gemm {
                    rows: Rows::plain(input, pitch, panels.k()),
                    m,
                    matrix: panels.matrix(),
                    c: output,
                    c_pitch: output_pitch,
                    residual,
                    residual_pitch,
                    relu,
                }),
                Product::Int8(panels) => {
                    scratch.reserve(from + scratch_len(weights));
                    let bytes: *mut u8 = scratch.as_mut_ptr().wrapping_add(from).cast();
                    let mut ranges = [[0.0; 2]; TILE];
                    panels.dot().run(Quantise {
                        rows: input,
                        pitch,
                        count: m,
                        k: panels.k(),
                        bytes,
                        ranges: &mut ranges,
                    });
                    panels.dot().run(QuantGemm {
                        bytes,
                        ranges: &ranges,
                        m,
                        weights: panels,
                        c: output,
                        c_pitch: output_pitch,
                        residual,
                        residual_pitch,
                        relu,
                    });
                }
            }
            self.activate(output, m, weights.size()[1], output_pitch, activation);
        }
    }
}
