//! Steps that slide a window over pictures, or pick pixels of them.

use super::super::conv::{Blocks, Conv};
use super::super::depthwise::{Depthwise, DepthwiseWeights};
use super::super::gemm::Panels;
use super::super::math::Activate;
use super::super::pooling::Pool;
use super::super::step::PicturesAt;
use super::super::threads::{Shared, each, with_scratch};
use super::{Run, pads};
use crate::graph::{self, Unary, Window};

impl Run<'_> {
    pub(super) unsafe fn dense(
        &self,
        pictures: &PicturesAt,
        weights: &Panels,
        window: &Window,
        activation: Option<Unary>,
    ) {
        let PicturesAt { from, to, .. } = pictures;
        let pads = pads(window);
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        each(from.count * to.height, |task| {
            let (n, y) = (task / to.height, task % to.height);
            let output = output.get().wrapping_add(n * to.picture_pitch);
            let conv = Conv {
                weights,
                kernel: window.kernel,
                strides: window.strides,
                pads: [pads[0], pads[1]],
                input: input.get().wrapping_add(n * from.picture_pitch),
                size: [from.height, from.width, from.channels],
                pitch: from.pitch,
                row_pitch: from.row_pitch,
                output,
                output_width: to.width,
                output_pitch: to.pitch,
                output_row_pitch: to.row_pitch,
                relu: activation == Some(Unary::Relu),
            };
            // SAFETY: the program's sizes and places.
            unsafe {
                with_scratch(|scratch| conv.row(self.isa, y, scratch));
                let row = output.wrapping_add(y * to.row_pitch);
                self.activate(row, to.width, to.channels, to.pitch, activation);
            }
        });
    }

    pub(super) unsafe fn depthwise(
        &self,
        pictures: &PicturesAt,
        weights: &DepthwiseWeights,
        window: &Window,
        activation: Option<Unary>,
    ) {
        let PicturesAt { from, to, .. } = pictures;
        let pads = pads(window);
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        each(from.count * to.height, |task| {
            let (n, y) = (task / to.height, task % to.height);
            let output = output.get().wrapping_add(n * to.picture_pitch);
            let conv = Depthwise {
                weights,
                kernel: window.kernel,
                strides: window.strides,
                pads: [pads[0], pads[1]],
                input: input.get().wrapping_add(n * from.picture_pitch),
                size: [from.height, from.width],
                pitch: from.pitch,
                row_pitch: from.row_pitch,
                output,
                output_width: to.width,
                output_pitch: to.pitch,
                output_row_pitch: to.row_pitch,
            };
            // SAFETY: the program's sizes and places.
            unsafe {
                conv.row(self.isa, y);
                if let Some(unary) = activation {
                    self.isa.run(Activate {
                        at: output.wrapping_add(y * to.row_pitch),
                        rows: to.width,
                        cols: to.channels,
                        pitch: to.pitch,
                        unary,
                    });
                }
            }
        });
    }

    pub(super) unsafe fn transposed(
        &self,
        pictures: &PicturesAt,
        weights: &Blocks,
        window: &Window,
        activation: Option<Unary>,
    ) {
        let PicturesAt { from, to, .. } = pictures;
        let kh = window.kernel[0];
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        each(from.count * from.height, |task| {
            let (n, y) = (task / from.height, task % from.height);
            let input = input
                .get()
                .wrapping_add(n * from.picture_pitch + y * from.row_pitch);
            let output = output
                .get()
                .wrapping_add(n * to.picture_pitch + y * kh * to.row_pitch);
            // SAFETY: the program's sizes and places.
            unsafe {
                weights.row(
                    self.isa,
                    (input, from.pitch, from.width),
                    (output, to.row_pitch),
                    activation == Some(Unary::Relu),
                );
                for y in 0..kh {
                    let row = output.wrapping_add(y * to.row_pitch);
                    self.activate(row, to.width, to.channels, to.pitch, activation);
                }
            }
        });
    }

    pub(super) unsafe fn pool(&self, pictures: &PicturesAt, kind: graph::Pool, window: &Window) {
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
            // SAFETY: the program's sizes and places.
            unsafe { pool.row(self.isa, task % to.height) };
        });
    }

    pub(super) unsafe fn nearest(&self, pictures: &PicturesAt, rows: &[usize], columns: &[usize]) {
        let PicturesAt { from, to, .. } = pictures;
        let (input, output) = (
            Shared::new(self.read(pictures.input)),
            Shared::new(self.write(pictures.output)),
        );
        each(from.count * to.height, |task| {
            let (n, y) = (task / to.height, task % to.height);
            // SAFETY: the program's places; the rows and columns are those of the operand.
            unsafe {
                let input = input
                    .get()
                    .add(n * from.picture_pitch + rows[y] * from.row_pitch);
                let output = output.get().add(n * to.picture_pitch + y * to.row_pitch);
                for (x, column) in columns.iter().enumerate() {
                    output
                        .add(x * to.pitch)
                        .copy_from_nonoverlapping(input.add(column * from.pitch), to.channels);
                }
            }
        });
    }
}
