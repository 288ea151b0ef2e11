//! Tells work to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// Tells work to stop, from outside or by its deadline.
#[derive(Clone, Debug)]
pub struct Stop(Arc<StopInner>);

#[derive(Debug)]
struct StopInner {
    stopped: AtomicBool,
    deadline: OnceLock<Instant>,
    /// Sets the deadline once the work begins.
    time: Option<Duration>,
}

impl Stop {
    /// Stops when told, or at the deadline.
    pub fn at(deadline: Option<Instant>) -> Self {
        Self(Arc::new(StopInner {
            stopped: AtomicBool::new(false),
            deadline: deadline.map_or_else(OnceLock::new, OnceLock::from),
            time: None,
        }))
    }

    /// Stops when told, or when the work has taken this long; waiting for its turn doesn't count.
    pub fn after(time: Duration) -> Self {
        Self(Arc::new(StopInner {
            stopped: AtomicBool::new(false),
            deadline: OnceLock::new(),
            time: Some(time),
        }))
    }

    /// The work begins.
    pub fn begin(&self) {
        if let Some(time) = self.0.time {
            self.0.deadline.get_or_init(|| Instant::now() + time);
        }
    }

    /// Stops the work.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }

    /// Whether it was told to stop.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Relaxed)
    }

    /// Whether the deadline has passed.
    pub fn is_late(&self) -> bool {
        self.0
            .deadline
            .get()
            .is_some_and(|at| Instant::now() >= *at)
    }

    /// Whether to stop, for either reason.
    pub fn asked(&self) -> bool {
        self.is_stopped() || self.is_late()
    }

    /// Time until the deadline.
    pub fn left(&self) -> Option<Duration> {
        self.0
            .deadline
            .get()
            .map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// A guard that stops the work when dropped: hold it for as long as someone waits.
    pub fn when_dropped(&self) -> StopGuard {
        StopGuard(self.clone())
    }
}

/// Stops work when dropped.
#[derive(Debug)]
pub struct StopGuard(Stop);

impl Drop for StopGuard {
    fn drop(&mut self) {
        self.0.stop();
    }
}
