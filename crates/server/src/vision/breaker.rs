//! A circuit breaker: after failures in a row, nobody asks for a while, and then one does.

use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Failures in a row that open it.
const FAILURES: u32 = 5;

/// Lets calls through unless the last ones failed.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    pause: Duration,
}

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Until when it is open, if it was opened.
    until: Option<Instant>,
    /// Whether one call finds out whether it can be closed.
    probed: bool,
}

/// A call that was let through. Dropped without a word, it says nothing.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Breaker {
    /// A closed one, which stays open for `pause` once opened.
    pub fn new(pause: Duration) -> Self {
        Self {
            state: Mutex::default(),
            pause,
        }
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.lock().until.is_none()
    }

    /// Lets a call through; none while it is open.
    pub fn pass(&self) -> Option<Pass<'_>> {
        let mut state = self.lock();
        let probe = match state.until {
            None => false,
            Some(until) if Instant::now() < until || state.probed => return None,
            Some(_) => true,
        };
        state.probed |= probe;
        Some(Pass {
            breaker: self,
            probe,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Pass<'_> {
    /// The call succeeded: it is closed.
    pub fn succeeded(self) {
        let mut state = self.breaker.lock();
        // One that began before it was opened doesn't close it.
        if self.probe || state.until.is_none() {
            (state.failures, state.until) = (0, None);
        }
    }

    /// The call failed; whether this opened it.
    pub fn failed(self) -> bool {
        let mut state = self.breaker.lock();
        state.failures = state.failures.saturating_add(1);
        let opens = self.probe || (state.failures >= FAILURES && state.until.is_none());
        if opens {
            state.until = Some(Instant::now() + self.breaker.pause);
        }
        opens
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            self.breaker.lock().probed = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fail(breaker: &Breaker) -> bool {
        breaker.pass().unwrap().failed()
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_success_closes_it() {
        let pause = Duration::from_millis(40);
        let breaker = Breaker::new(pause);
        for _ in 1..FAILURES {
            assert!(!fail(&breaker));
        }
        breaker.pass().unwrap().succeeded();
        for _ in 1..FAILURES {
            assert!(!fail(&breaker));
        }
        assert!(fail(&breaker) && !breaker.is_closed());
        assert!(breaker.pass().is_none());
        std::thread::sleep(pause);
        // One finds out. It fails, and nobody asks for another while.
        let probe = breaker.pass().unwrap();
        assert!(breaker.pass().is_none());
        assert!(probe.failed());
        assert!(breaker.pass().is_none());
        std::thread::sleep(pause);
        // One that was given up says nothing.
        drop(breaker.pass().unwrap());
        assert!(!breaker.is_closed());
        breaker.pass().unwrap().succeeded();
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_call_from_before_does_not_close_it() {
        let breaker = Breaker::new(Duration::from_secs(60));
        let early = breaker.pass().unwrap();
        for _ in 0..FAILURES {
            fail(&breaker);
        }
        early.succeeded();
        assert!(!breaker.is_closed());
    }
}
