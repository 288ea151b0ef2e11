//! How long work usually takes.

use std::time::Duration;

/// Moving averages over about eight pictures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usual {
    /// Seconds per megapixel.
    pub pace: f64,
    /// Megapixels per picture.
    pub size: f64,
}

impl Usual {
    /// Seconds per picture.
    pub fn time(self) -> Duration {
        Duration::try_from_secs_f64(self.pace * self.size).unwrap_or(Duration::MAX)
    }

    /// Learns from a picture that was read to its end.
    pub fn learn(&mut self, took: Duration, megapixels: f64) {
        // A tiny picture takes a time of its own, whatever its size.
        let size = megapixels.max(0.1);
        let pace = took.as_secs_f64() / size;
        if self.size == 0.0 {
            *self = Self { pace, size };
        } else {
            self.pace += (pace - self.pace) / 8.0;
            self.size += (size - self.size) / 8.0;
        }
    }
}

/// The time that work takes which is divided among threads.
pub fn share(each: Duration, count: usize, workers: usize) -> Duration {
    let seconds = each.as_secs_f64() * count as f64 / workers as f64;
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_large_page_does_not_make_small_ones_seem_slow() {
        let mut usual = Usual::default();
        for _ in 0..20 {
            usual.learn(Duration::from_millis(100), 1.0);
        }
        usual.learn(Duration::from_secs(5), 50.0);
        assert!((usual.pace - 0.1).abs() < 1e-9);
        assert!(usual.time() < Duration::from_secs(1), "{:?}", usual.time());
    }
}
