//! What no kernel is made for, one number after the other.

use super::super::step::{AnyConv, ByDefinition};
use super::super::view::View;
use super::{Run, pads};

impl Run<'_> {
    pub(super) unsafe fn by_definition(&self, step: &ByDefinition) {
        // SAFETY: the program's sizes and places.
        unsafe {
            match step {
                ByDefinition::Conv(conv) => self.any_conv(conv),
                ByDefinition::Mean { input, output } => {
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
    unsafe fn any_conv(&self, conv: &AnyConv) {
        let AnyConv {
            input,
            weights,
            bias,
            output,
            window,
            groups,
            transposed,
        } = conv;
        // SAFETY: the program's sizes and places.
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
}
