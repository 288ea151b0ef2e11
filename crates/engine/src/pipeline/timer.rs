//! How long each stage takes.

use std::collections::BTreeMap;
use std::time::Duration;

/// Tells how much time has passed since some fixed moment.
pub type Clock = fn() -> Duration;

/// Time since the first call.
pub(super) fn wall_clock() -> Duration {
    use std::sync::OnceLock;
    static START: OnceLock<web_time::Instant> = OnceLock::new();
    START.get_or_init(web_time::Instant::now).elapsed()
}

/// Measures the stages of one page.
pub(super) struct Timer {
    clock: Clock,
    began: Duration,
    last: Duration,
    pub(super) laps: BTreeMap<&'static str, f64>,
}

impl Timer {
    pub(super) fn new(clock: Clock) -> Self {
        let now = clock();
        Self {
            clock,
            began: now,
            last: now,
            laps: BTreeMap::new(),
        }
    }

    /// A stage is over.
    pub(super) fn lap(&mut self, stage: &'static str) {
        let now = (self.clock)();
        self.laps.insert(stage, (now - self.last).as_secs_f64());
        self.last = now;
    }

    /// Time up to the end of the last stage, s.
    pub(super) fn total(&self) -> f64 {
        (self.last - self.began).as_secs_f64()
    }
}
