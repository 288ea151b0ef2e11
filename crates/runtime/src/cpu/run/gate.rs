//! Squeeze and excite.

use super::super::elementwise::{Axis, Elementwise};
use super::super::gemm::{Gemm, Panels, Rows};
use super::super::pooling::Mean;
use super::super::step::PicturesAt;
use super::super::threads::{Shared, each, with_scratch};
use super::Run;
use crate::graph::{Binary, Unary};

impl Run<'_> {
    pub(super) unsafe fn gate(
        &self,
        pictures: &PicturesAt,
        [squeeze, excite]: [&Panels; 2],
        activations: [Option<Unary>; 2],
        plus_one: bool,
    ) {
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
                // SAFETY: the program's sizes and places; the scratch has room for all three.
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
                    // SAFETY: the program's sizes and places.
                    unsafe { self.isa.run(kernel) };
                });
            });
        }
    }
}
