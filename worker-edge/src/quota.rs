//! How often somebody may call: a token bucket for each key and address, the same as the server's.

use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A bucket that fills evenly.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
pub struct Bucket {
    /// Requests that may come now.
    tokens: f64,
    /// When that was, ms.
    at: u64,
}

impl Bucket {
    /// A full one. A sixth of a minute's requests may come at once.
    pub fn full(rate: u32, now: u64) -> Self {
        Self {
            tokens: burst(rate),
            at: now,
        }
    }

    /// Takes one token; else says how many milliseconds until there is one.
    pub fn take(&mut self, rate: u32, now: u64) -> Result<(), u64> {
        let per_ms = f64::from(rate) / 60_000.0;
        let filled = self.tokens + now.saturating_sub(self.at) as f64 * per_ms;
        self.tokens = filled.min(burst(rate));
        self.at = now.max(self.at);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(((1.0 - self.tokens) / per_ms).ceil() as u64)
    }
}

/// Whether an empty bucket takes longer to fill than an object in memory is sure to live.
pub fn is_slow(rate: u32) -> bool {
    burst(rate) / f64::from(rate) > 10.0 / 60.0
}

fn burst(rate: u32) -> f64 {
    f64::from((rate / 6).max(1))
}

/// The problem of somebody who called too often; none where there is nothing to wait for, ms.
pub fn refusal(rate: u32, wait: u64) -> Option<Problem> {
    match wait.div_ceil(1000) {
        0 => None,
        seconds => {
            let detail = format!("more than {rate} requests per minute; wait {seconds} s");
            Some(Problem::new(429, "rate_limited", detail).after(seconds))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut bucket = Bucket::full(60, 0);
        for _ in 0..10 {
            assert_eq!(bucket.take(60, 0), Ok(()));
        }
        assert_eq!(bucket.take(60, 0), Err(1000));
        assert_eq!(bucket.take(60, 400), Err(600));
        assert_eq!(bucket.take(60, 1000), Ok(()));
        assert_eq!(bucket.take(60, 1000), Err(1000));
        // It never holds more than a burst, and a clock that goes back fills nothing.
        let mut later = bucket;
        assert!(
            (0..20)
                .filter(|_| later.take(60, 10_000_000).is_ok())
                .count()
                == 10
        );
        assert!(bucket.take(60, 0).is_err());
    }

    #[test]
    fn only_slow_buckets_are_stored() {
        assert!((1..6).all(is_slow));
        assert!(![6, 7, 11, 12, 120, 1_000_000].into_iter().any(is_slow));
    }

    #[test]
    fn the_slowest_rate_lets_one_through() {
        let mut bucket = Bucket::full(1, 0);
        assert_eq!(bucket.take(1, 0), Ok(()));
        assert_eq!(bucket.take(1, 0), Err(60_000));
    }
}
