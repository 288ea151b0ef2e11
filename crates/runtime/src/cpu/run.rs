//! Executes a plan's steps.

use super::buffer::Buffer;
use super::conv::Conv;
use super::depthwise::Depthwise;
use super::elementwise::{Axis, Elementwise};
use super::gemm::{Gemm, Panels, Rows, TILE};
use super::math::Activate;
use super::plan::{At, Head, PicturesAt, Place, Plan, RowsAt, Slow, SlowConv, Step, pads};
use super::pool::{Mean, Pool};
use super::quant::{QuantGemm, Quantise};
use super::rows::{Best, LayerNorm, Look, Softmax};
use super::simd::Isa;
use super::threads::{Shared, each, with_scratch};
use super::view::View;
use super::weights::Packed;
use crate::graph::{self, Binary, Unary, Window};

/// Scores that are looked at in one go; with the rows of a line they stay in L2.
const HEAD_COLUMNS: usize = 512;
/// Floats of an elementwise step that are worth a task of their own.
const GRAIN: usize = 1 << 14;

/// Rows of a tile through one layer.
struct Layer<'a> {
    input: *const f32,
    pitch: usize,
    m: usize,
    weights: &'a Packed,
    output: *mut f32,
    output_pitch: usize,
    /// What is added, and its pitch.
    residual: Option<(*const f32, usize)>,
    activation: Option<Unary>,
}

/// Floats of scratch memory that a tile through this layer takes.
fn scratch_len(weights: &Packed) -> usize {
    match weights {
        Packed::Quantised(panels) => (TILE * panels.row_len()).div_ceil(4),
        _ => 0,
    }
}

/// One run: a plan, its input and its arena.
pub(super) struct Run<'a> {
    pub(super) isa: Isa,
    pub(super) plan: &'a Plan,
    pub(super) input: &'a [f32],
    /// At least as long as the plan's arena.
    pub(super) arena: *mut f32,
}

// SAFETY: the arena belongs to this run, and each task of a step writes a part of its own.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    /// All steps, one after the other.
    ///
    /// # Safety
    /// The processor has `isa`, the input has the shape and layout that the plan was made for, and the arena its length.
    pub(super) unsafe fn steps(&self) {
        for step in &self.plan.steps {
            // SAFETY: the caller's.
            unsafe { self.step(step) };
        }
    }

    fn read(&self, at: At) -> *const f32 {
        let (place, offset) = self.plan.place(at);
        match place {
            Place::Input => self.input.as_ptr().wrapping_add(offset),
            Place::Arena(start) => self.arena.wrapping_add(start + offset),
            Place::Constant(index) => self.plan.constants[index].as_ptr().wrapping_add(offset),
        }
    }

    fn write(&self, at: At) -> *mut f32 {
        debug_assert!(matches!(self.plan.place(at).0, Place::Arena(_)));
        self.read(at).cast_mut()
    }

    /// A view's first element.
    pub(super) fn at(&self, view: &View) -> *const f32 {
        self.read(At {
            buffer: view.buffer,
            offset: view.offset,
        })
    }

    /// One step.
    ///
    /// # Safety
    /// As for `steps`, after the steps before it.
    pub(super) unsafe fn step(&self, step: &Step) {
        // SAFETY: the plan's sizes and places.
        unsafe {
            match step {
                Step::Product {
                    rows,
                    weights,
                    activation,
                } => self.product(rows, weights, *activation),
                Step::Chain {
                    rows,
                    first,
                    between,
                    second,
                    activation,
                } => self.chain(rows, first, *between, second, *activation),
                Step::Conv {
                    pictures,
                    weights,
                    window,
                    activation,
                } => self.conv(pictures, weights, window, *activation),
                Step::Pool {
                    pictures,
                    kind,
                    window,
                } => self.pool(pictures, *kind, window),
                Step::Mean {
                    input,
                    from,
                    output,
                } => {
                    for n in 0..from.count {
                        let mean = Mean {
                            input: self.read(*input).add(n * from.picture_pitch),
                            rows: from.height,
                            columns: from.width,
                            pitch: from.pitch,
                            row_pitch: from.row_pitch,
                            channels: from.channels,
                            output: self.write(*output).add(n * from.channels),
                        };
                        mean.all(self.isa);
                    }
                }
                Step::Gate {
                    pictures,
                    squeeze,
                    first,
                    excite,
                    second,
                    plus_one,
                } => self.gate(pictures, [squeeze, excite], [*first, *second], *plus_one),
                Step::Elementwise {
                    op,
                    axes,
                    output,
                    a,
                    b,
                } => {
                    let (output, a, b) = (
                        Shared::new(self.write(*output)),
                        Shared::new(self.read(*a)),
                        Shared::new(self.read(*b)),
                    );
                    let first = axes[0].size;
                    let floats: usize = axes.iter().map(|axis| axis.size).product();
                    let tasks = (floats / GRAIN).clamp(1, first);
                    each(tasks, |task| {
                        self.isa.run(Elementwise {
                            op: *op,
                            axes,
                            from: first * task / tasks,
                            to: first * (task + 1) / tasks,
                            output: output.get(),
                            a: a.get(),
                            b: b.get(),
                        });
                    });
                }
                Step::Activate { at, len, unary } => {
                    let at = Shared::new(self.write(*at));
                    each(len.div_ceil(GRAIN), |task| {
                        let start = task * GRAIN;
                        let cols = GRAIN.min(len - start);
                        self.isa.run(Activate {
                            at: at.get().add(start),
                            rows: 1,
                            cols,
                            pitch: cols,
                            unary: *unary,
                        });
                    });
                }
                Step::LayerNorm {
                    input,
                    rows,
                    output,
                    scale,
                    bias,
                    epsilon,
                } => self.isa.run(LayerNorm {
                    input: self.read(*input),
                    pitch: rows.pitch,
                    output: self.write(*output),
                    output_pitch: rows.cols,
                    rows: rows.count,
                    cols: rows.cols,
                    scale: self.read(*scale),
                    bias: self.read(*bias),
                    epsilon: *epsilon,
                }),
                Step::Softmax { at, rows } => {
                    let at = Shared::new(self.write(*at));
                    let tasks = (rows.count * rows.cols / GRAIN).clamp(1, rows.count);
                    each(tasks, |task| {
                        let from = rows.count * task / tasks;
                        self.isa.run(Softmax {
                            at: at.get().add(from * rows.pitch),
                            pitch: rows.pitch,
                            rows: rows.count * (task + 1) / tasks - from,
                            cols: rows.cols,
                        });
                    });
                }
                Step::MatMul {
                    left,
                    right,
                    output,
                    offsets,
                    size,
                    left_pitch,
                    right_strides,
                } => {
                    let (left, right, output) = (
                        Shared::new(self.read(*left)),
                        Shared::new(self.read(*right)),
                        Shared::new(self.write(*output)),
                    );
                    let [m, k, n] = *size;
                    let panels = Panels::empty(self.isa, k, n);
                    each(offsets.len(), |task| {
                        let [a, b, c] = offsets[task];
                        let right = right.get().add(b);
                        with_scratch(|scratch| {
                            scratch.reserve(panels.len());
                            panels.fill(&mut scratch.as_mut_slice()[..panels.len()], |k, n| {
                                *right.add(k * right_strides[0] + n * right_strides[1])
                            });
                            self.isa.run(Gemm {
                                rows: Rows::plain(left.get().add(a), *left_pitch, k),
                                m,
                                matrix: panels.over(scratch.as_ptr()),
                                c: output.get().add(c),
                                c_pitch: n,
                                residual: std::ptr::null(),
                                residual_pitch: 0,
                                relu: false,
                            });
                        });
                    });
                }
                Step::Slow(slow) => self.slow(slow),
            }
        }
    }

    unsafe fn activate(
        &self,
        at: *mut f32,
        rows: usize,
        cols: usize,
        pitch: usize,
        activation: Option<Unary>,
    ) {
        // What the product has done itself.
        if let Some(unary) = activation.filter(|a| *a != Unary::Relu) {
            let kernel = Activate {
                at,
                rows,
                cols,
                pitch,
                unary,
            };
            // SAFETY: the caller's.
            unsafe { self.isa.run(kernel) };
        }
    }

    unsafe fn product(&self, rows: &RowsAt, weights: &Packed, activation: Option<Unary>) {
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
            // SAFETY: the plan's sizes and places.
            with_scratch(|scratch| unsafe { self.layer(layer, scratch, 0) });
        });
    }

    unsafe fn chain(
        &self,
        rows: &RowsAt,
        first: &Packed,
        between: Option<Unary>,
        second: &Packed,
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
                // SAFETY: the plan's sizes and places; the scratch has room for what lies between and for bytes.
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
                Packed::Panels(panels) => self.isa.run(Gemm {
                    rows: Rows::plain(input, pitch, panels.k()),
                    m,
                    matrix: panels.matrix(),
                    c: output,
                    c_pitch: output_pitch,
                    residual,
                    residual_pitch,
                    relu,
                }),
                Packed::Quantised(panels) => {
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
                Packed::Depthwise(_) | Packed::Blocks(_) => {}
            }
            self.activate(output, m, weights.size()[1], output_pitch, activation);
        }
    }

    unsafe fn conv(
        &self,
        pictures: &PicturesAt,
        weights: &Packed,
        window: &Window,
        activation: Option<Unary>,
    ) {
        let PicturesAt { from, to, .. } = pictures;
        let pads = pads(window);
        let relu = activation == Some(Unary::Relu);
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        let rows = if matches!(weights, Packed::Blocks(_)) {
            from.height
        } else {
            to.height
        };
        each(from.count * rows, |task| {
            let (n, y) = (task / rows, task % rows);
            let input = input.get().wrapping_add(n * from.picture_pitch);
            let output = output.get().wrapping_add(n * to.picture_pitch);
            let mut made = (y, 1);
            // SAFETY: the plan's sizes and places.
            unsafe {
                match weights {
                    Packed::Panels(panels) => {
                        let conv = Conv {
                            weights: panels,
                            kernel: window.kernel,
                            strides: window.strides,
                            pads: [pads[0], pads[1]],
                            input,
                            size: [from.height, from.width, from.channels],
                            pitch: from.pitch,
                            row_pitch: from.row_pitch,
                            output,
                            output_width: to.width,
                            output_pitch: to.pitch,
                            output_row_pitch: to.row_pitch,
                            relu,
                        };
                        with_scratch(|scratch| conv.row(self.isa, y, scratch));
                    }
                    // Only products of rows are.
                    Packed::Quantised(_) => {}
                    Packed::Depthwise(weights) => {
                        let conv = Depthwise {
                            weights,
                            kernel: window.kernel,
                            strides: window.strides,
                            pads: [pads[0], pads[1]],
                            input,
                            size: [from.height, from.width],
                            pitch: from.pitch,
                            row_pitch: from.row_pitch,
                            output,
                            output_width: to.width,
                            output_pitch: to.pitch,
                            output_row_pitch: to.row_pitch,
                        };
                        conv.row(self.isa, y);
                    }
                    Packed::Blocks(blocks) => {
                        let kh = window.kernel[0];
                        blocks.row(
                            self.isa,
                            (
                                input.wrapping_add(y * from.row_pitch),
                                from.pitch,
                                from.width,
                            ),
                            (output.wrapping_add(y * kh * to.row_pitch), to.row_pitch),
                            relu,
                        );
                        made = (y * kh, kh);
                    }
                }
                for y in made.0..made.0 + made.1 {
                    let row = output.wrapping_add(y * to.row_pitch);
                    if relu && matches!(weights, Packed::Depthwise(_)) {
                        self.isa.run(Activate {
                            at: row,
                            rows: to.width,
                            cols: to.channels,
                            pitch: to.pitch,
                            unary: Unary::Relu,
                        });
                    }
                    self.activate(row, to.width, to.channels, to.pitch, activation);
                }
            }
        });
    }

    unsafe fn pool(&self, pictures: &PicturesAt, kind: graph::Pool, window: &Window) {
        let PicturesAt { from, to, .. } = pictures;
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        each(from.count * to.height, |task| {
            let n = task / to.height;
            let pool = Pool {
                largest: kind == graph::Pool::Max,
                count_padding: kind
                    == graph::Pool::Average {
                        count_include_pad: true,
                    },
                kernel: window.kernel,
                strides: window.strides,
                dilations: window.dilations,
                pads: pads(window),
                input: input.get().wrapping_add(n * from.picture_pitch),
                size: [from.height, from.width, from.channels],
                pitch: from.pitch,
                row_pitch: from.row_pitch,
                output: output.get().wrapping_add(n * to.picture_pitch),
                output_width: to.width,
                output_pitch: to.pitch,
                output_row_pitch: to.row_pitch,
            };
            // SAFETY: the plan's sizes and places.
            unsafe { pool.row(self.isa, task % to.height) };
        });
    }

    unsafe fn gate(
        &self,
        pictures: &PicturesAt,
        [squeeze, excite]: [&Packed; 2],
        activations: [Option<Unary>; 2],
        plus_one: bool,
    ) {
        let (Packed::Panels(squeeze), Packed::Panels(excite)) = (squeeze, excite) else {
            return;
        };
        let PicturesAt { from, to, .. } = pictures;
        let channels = from.channels;
        for n in 0..from.count {
            let input = self
                .read(pictures.input)
                .wrapping_add(n * from.picture_pitch);
            let output = self
                .write(pictures.output)
                .wrapping_add(n * to.picture_pitch);
            with_scratch(|scratch| {
                // Whole vectors each.
                let (wide, narrow) = (
                    channels.next_multiple_of(16),
                    squeeze.n().next_multiple_of(16),
                );
                scratch.reserve(2 * wide + narrow);
                let means = scratch.as_mut_ptr();
                let (hidden, gate) = (means.wrapping_add(wide), means.wrapping_add(wide + narrow));
                let mean = Mean {
                    input,
                    rows: from.height,
                    columns: from.width,
                    pitch: from.pitch,
                    row_pitch: from.row_pitch,
                    channels,
                    output: means,
                };
                let product = |panels: &Panels, at: *const f32, c: *mut f32, relu: bool| Gemm {
                    rows: Rows::plain(at, panels.k(), panels.k()),
                    m: 1,
                    matrix: panels.matrix(),
                    c,
                    c_pitch: panels.n(),
                    residual: std::ptr::null(),
                    residual_pitch: 0,
                    relu,
                };
                // SAFETY: the plan's sizes and places; the scratch has room for all three.
                unsafe {
                    mean.all(self.isa);
                    let relu = activations.map(|a| a == Some(Unary::Relu));
                    self.isa.run(product(squeeze, means, hidden, relu[0]));
                    self.activate(hidden, 1, squeeze.n(), squeeze.n(), activations[0]);
                    self.isa.run(product(excite, hidden, gate, relu[1]));
                    self.activate(gate, 1, channels, channels, activations[1]);
                    if plus_one {
                        for c in 0..channels {
                            *gate.add(c) += 1.0;
                        }
                    }
                }
                let (input, output, gate) = (
                    Shared::new(input),
                    Shared::new(output),
                    Shared::new(gate.cast_const()),
                );
                let axes = [
                    Axis {
                        size: from.width,
                        output: to.pitch,
                        a: from.pitch,
                        b: 0,
                    },
                    Axis {
                        size: channels,
                        output: 1,
                        a: 1,
                        b: 1,
                    },
                ];
                each(from.height, |y| {
                    let kernel = Elementwise {
                        op: Some(Binary::Mul),
                        axes: &axes,
                        from: 0,
                        to: axes[0].size,
                        output: output.get().wrapping_add(y * to.row_pitch),
                        a: input.get().wrapping_add(y * from.row_pitch),
                        b: gate.get(),
                    };
                    // SAFETY: the plan's sizes and places.
                    unsafe { self.isa.run(kernel) };
                });
            });
        }
    }

    /// The best class of each step, and the score of the last class.
    ///
    /// # Safety
    /// As for `steps`, after them.
    pub(super) unsafe fn best(&self, head: &Head) -> (Vec<Best>, Vec<f32>) {
        let Packed::Panels(panels) = &*head.weights else {
            return (Vec::new(), Vec::new());
        };
        let rows = head.rows;
        let input = Shared::new(self.read(head.input));
        let chunks: Vec<(Vec<Best>, Vec<f32>)> = {
            let slots: Vec<_> = (0..panels.n().div_ceil(HEAD_COLUMNS))
                .map(|_| std::sync::OnceLock::new())
                .collect();
            each(slots.len(), |chunk| {
                let first = chunk * HEAD_COLUMNS;
                let cols = HEAD_COLUMNS.min(panels.n() - first);
                let mut best = vec![Best::NONE; rows.count];
                let mut last = Vec::new();
                with_scratch(|scratch| {
                    scratch.reserve(rows.count * cols);
                    let scores = scratch.as_mut_ptr();
                    let gemm = Gemm {
                        rows: Rows::plain(input.get(), rows.pitch, panels.k()),
                        m: rows.count,
                        matrix: panels.columns(first, cols),
                        c: scores,
                        c_pitch: cols,
                        residual: std::ptr::null(),
                        residual_pitch: 0,
                        relu: false,
                    };
                    // SAFETY: the plan's sizes and places; the scratch has room for the scores.
                    unsafe {
                        self.isa.run(gemm);
                        self.isa.run(Look {
                            scores,
                            pitch: cols,
                            cols,
                            first,
                            best: &mut best,
                        });
                        if first + cols == panels.n() {
                            last = (0..rows.count)
                                .map(|row| *scores.add(row * cols + cols - 1))
                                .collect();
                        }
                    }
                });
                // Each slot is set by its own task, once.
                let _ = slots[chunk].set((best, last));
            });
            slots.into_iter().filter_map(|s| s.into_inner()).collect()
        };
        let mut all = vec![Best::NONE; rows.count];
        let mut last = Vec::new();
        for (best, scores) in chunks {
            for (all, best) in all.iter_mut().zip(best) {
                *all = all.and(best);
            }
            last = scores;
        }
        (all, last)
    }

    unsafe fn slow(&self, slow: &Slow) {
        // SAFETY: the plan's sizes and places.
        unsafe {
            match slow {
                Slow::Conv(conv) => self.slow_conv(conv),
                Slow::Mean { input, output } => {
                    let (x, y) = (self.at(input), self.at(output).cast_mut());
                    let places: usize = output.shape.iter().product();
                    let share = places as f32 / input.elements() as f32;
                    // The output's own memory is dense.
                    for i in 0..places {
                        *y.add(i) = 0.0;
                    }
                    for index in 0..input.elements() {
                        let (mut rest, mut from, mut to) = (index, 0, 0);
                        for axis in (0..input.shape.len()).rev() {
                            let i = rest % input.shape[axis];
                            rest /= input.shape[axis];
                            from += i * input.strides[axis];
                            to += i * output.strides[axis];
                        }
                        *y.add(to) += *x.add(from) * share;
                    }
                }
            }
        }
    }

    /// A convolution by the definition.
    unsafe fn slow_conv(&self, conv: &SlowConv) {
        let SlowConv {
            input,
            weights,
            bias,
            output,
            window,
            groups,
            transposed,
        } = conv;
        // SAFETY: the plan's sizes and places.
        unsafe {
            let (x, w) = (self.at(input), self.at(weights));
            let bias = bias.as_ref().map(|b| (self.at(b), b.strides[0]));
            let y = self.at(output).cast_mut();
            let inputs = input.shape[1] / groups;
            let outputs = output.shape[1] / groups;
            let pads = pads(window);
            let index = |view: &View, at: [usize; 4]| -> usize {
                at.iter().zip(&view.strides).map(|(i, s)| i * s).sum()
            };
            for n in 0..output.shape[0] {
                for o in 0..output.shape[1] {
                    let group = o / outputs;
                    for oy in 0..output.shape[2] {
                        for ox in 0..output.shape[3] {
                            let mut sum = bias.map_or(0.0, |(b, s)| *b.add(o * s));
                            for ky in 0..window.kernel[0] {
                                for kx in 0..window.kernel[1] {
                                    let [Some(iy), Some(ix)] =
                                        [(0, oy, ky, input.shape[2]), (1, ox, kx, input.shape[3])]
                                            .map(|(d, o, k, size)| {
                                                let k = k * window.dilations[d];
                                                let stride = window.strides[d];
                                                let at = if *transposed {
                                                    let at = (o + pads[d]).checked_sub(k)?;
                                                    (at % stride == 0).then_some(at / stride)?
                                                } else {
                                                    (o * stride + k).checked_sub(pads[d])?
                                                };
                                                (at < size).then_some(at)
                                            })
                                    else {
                                        continue;
                                    };
                                    for c in 0..inputs {
                                        let channel = group * inputs + c;
                                        let at = if *transposed {
                                            [channel, o % outputs, ky, kx]
                                        } else {
                                            [o, c, ky, kx]
                                        };
                                        sum += *x.add(index(input, [n, channel, iy, ix]))
                                            * *w.add(index(weights, at));
                                    }
                                }
                            }
                            *y.add(index(output, [n, o, oy, ox])) = sum;
                        }
                    }
                }
            }
        }
    }

    /// The output in the order of its axes.
    ///
    /// # Safety
    /// As for `steps`, after them.
    pub(super) unsafe fn output(&self) -> Vec<f32> {
        let view = &self.plan.output;
        let len = view.elements();
        let from = self.at(view);
        if view.strides == View::row_major(0, &view.shape).strides {
            // SAFETY: the view lies in its buffer.
            return unsafe { std::slice::from_raw_parts(from, len) }.to_vec();
        }
        let mut to = vec![0.0; len];
        let target = View::row_major(0, &view.shape);
        let axes = target.axes(&view.strides, &vec![0; view.strides.len()]);
        let kernel = Elementwise {
            op: None,
            axes: &axes,
            from: 0,
            to: axes[0].size,
            output: to.as_mut_ptr(),
            a: from,
            b: from,
        };
        // SAFETY: the view lies in its buffer, and `to` has as many elements.
        unsafe { self.isa.run(kernel) };
        to
    }
}

/// Memory for one run.
pub(super) fn arena(plan: &Plan, kept: Option<Buffer>) -> Buffer {
    let mut arena = kept.unwrap_or_default();
    arena.reserve(plan.arena);
    arena
}
