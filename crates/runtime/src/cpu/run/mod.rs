//! Runs a program's steps: one file for each family of kernels.

mod definition;
mod gate;
mod head;
mod product;
mod window;

use super::buffer::Buffer;
use super::elementwise::Elementwise;
use super::gemm::{Gemm, Panels, Rows};
use super::math::Activate;
use super::pooling::Mean;
use super::program::{Place, Program};
use super::rows::{LayerNorm, Softmax};
use super::simd::Isa;
use super::step::{At, Step};
use super::threads::{Shared, each, with_scratch};
use super::view::View;
use crate::graph::{Padding, Unary, Window};

/// Floats of an elementwise step that are worth a task of their own.
const GRAIN: usize = 1 << 14;

/// One run: a program, its input and its arena.
pub(in crate::cpu) struct Run<'a> {
    pub(in crate::cpu) isa: Isa,
    pub(in crate::cpu) program: &'a Program,
    pub(in crate::cpu) input: &'a [f32],
    /// At least as long as the program's arena.
    pub(in crate::cpu) arena: *mut f32,
}

// SAFETY: the arena belongs to this run, and each task of a step writes a part of its own.
unsafe impl Sync for Run<'_> {}

impl Run<'_> {
    /// All steps, one after the other.
    ///
    /// # Safety
    /// The processor has `isa`, the input has the shape and layout that the program was made for, and the arena its length.
    pub(in crate::cpu) unsafe fn steps(&self) {
        for step in &self.program.steps {
            // SAFETY: the caller's.
            unsafe { self.step(step) };
        }
    }

    fn read(&self, at: At) -> *const f32 {
        let (place, offset) = self.program.place(at);
        match place {
            Place::Input => self.input.as_ptr().wrapping_add(offset),
            Place::Arena(start) => self.arena.wrapping_add(start + offset),
            Place::Constant(index) => self.program.constants[index].as_ptr().wrapping_add(offset),
        }
    }

    fn write(&self, at: At) -> *mut f32 {
        debug_assert!(matches!(self.program.place(at).0, Place::Arena(_)));
        self.read(at).cast_mut()
    }

    /// A view's first element.
    pub(in crate::cpu) fn at(&self, view: &View) -> *const f32 {
        self.read(At {
            buffer: view.buffer,
            offset: view.offset,
        })
    }

    /// One step.
    ///
    /// # Safety
    /// As for `steps`, after the steps before it.
    pub(in crate::cpu) unsafe fn step(&self, step: &Step) {
        // SAFETY: the program's sizes and places.
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
                Step::Dense {
                    pictures,
                    weights,
                    window,
                    activation,
                } => self.dense(pictures, weights, window, *activation),
                Step::Depthwise {
                    pictures,
                    weights,
                    window,
                    activation,
                } => self.depthwise(pictures, weights, window, *activation),
                Step::Transposed {
                    pictures,
                    weights,
                    window,
                    activation,
                } => self.transposed(pictures, weights, window, *activation),
                Step::Pool {
                    pictures,
                    kind,
                    window,
                } => self.pool(pictures, *kind, window),
                Step::Nearest {
                    pictures,
                    rows,
                    columns,
                } => self.nearest(pictures, rows, columns),
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
                Step::Activate { at, rows, unary } => {
                    let at = Shared::new(self.write(*at));
                    // A single row is parted by its columns.
                    let (parts, whole) = match rows.count {
                        1 => (rows.cols.div_ceil(GRAIN), rows.cols),
                        count => ((count * rows.cols / GRAIN).clamp(1, count), count),
                    };
                    each(parts, |part| {
                        let (from, to) = (whole * part / parts, whole * (part + 1) / parts);
                        let (start, count, cols) = match rows.count {
                            1 => (from, 1, to - from),
                            _ => (from * rows.pitch, to - from, rows.cols),
                        };
                        self.isa.run(Activate {
                            at: at.get().add(start),
                            rows: count,
                            cols,
                            pitch: rows.pitch,
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
                Step::ByDefinition(step) => self.by_definition(step),
            }
        }
    }

    pub(super) unsafe fn activate(
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

    /// An output of the program in the order of its axes.
    ///
    /// # Safety
    /// As for `steps`, after them.
    pub(in crate::cpu) unsafe fn output(&self, view: &View) -> Vec<f32> {
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

/// The zeros around a picture, which are explicit in a specialised graph.
fn pads(window: &Window) -> [usize; 4] {
    match window.padding {
        Padding::Explicit(pads) => pads,
        Padding::SameUpper | Padding::SameLower => [0; 4],
    }
}

/// Memory for one run.
pub(in crate::cpu) fn arena(program: &Program, kept: Option<Buffer>) -> Buffer {
    let mut arena = kept.unwrap_or_default();
    arena.reserve(program.arena);
    arena
}
