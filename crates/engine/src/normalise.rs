//! Pixels as networks take them.

use maoocr_models::manifest::Channels;

/// Turns 8-bit RGB pixels into a network's floats: its order of channels, `(x / 255 - mean) / std`, a pixel's channels
/// side by side.
pub(crate) struct Normalise {
    /// For each channel of the network: which one of RGB it is, and what each value becomes.
    channels: [(usize, [f32; 256]); 3],
}

impl Normalise {
    /// Means and deviations are in the network's order of channels.
    pub(crate) fn new(order: Channels, mean: [f32; 3], std: [f32; 3]) -> Self {
        let channels = [0, 1, 2].map(|index| {
            let from = match order {
                Channels::Rgb => index,
                Channels::Bgr => 2 - index,
            };
            let value = |x: usize| (x as f32 / 255.0 - mean[index]) / std[index];
            (from, std::array::from_fn(value))
        });
        Self { channels }
    }

    /// Writes the floats of `rgb`'s pixels to the start of `to`.
    pub(crate) fn write(&self, rgb: &[u8], to: &mut [f32]) {
        for (to, pixel) in to.chunks_exact_mut(3).zip(rgb.chunks_exact(3)) {
            for (to, (from, values)) in to.iter_mut().zip(&self.channels) {
                *to = values[usize::from(pixel[*from])];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_in_the_networks_order() {
        let (mean, std) = ([0.0, 0.5, 1.0], [1.0, 0.5, 0.25]);
        let rgb = [255, 0, 51, 0, 255, 255];
        let mut to = [9.0; 7];
        Normalise::new(Channels::Rgb, mean, std).write(&rgb, &mut to);
        let expected = [1.0, -1.0, (51.0 / 255.0 - 1.0) / 0.25, 0.0, 1.0, 0.0, 9.0];
        assert_eq!(to, expected);
        Normalise::new(Channels::Bgr, mean, std).write(&rgb, &mut to);
        assert_eq!(to[..3], [51.0 / 255.0, -1.0, 0.0]);
    }
}
