//! Why the pool refuses work.

use std::time::Duration;

/// Why work was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refused {
    /// The queue is full.
    #[error("{waiting} pictures are already waiting")]
    Full {
        /// Pictures waiting.
        waiting: usize,
        /// Time until the queue is likely to have room.
        retry_after: Duration,
    },
    /// Its turn would come too late.
    #[error("the pictures ahead of it take {wait:?}, and its deadline is in {left:?}")]
    TooLate {
        /// Time the pictures ahead of it take.
        wait: Duration,
        /// Time until the deadline.
        left: Duration,
    },
    /// The server is shutting down.
    #[error("the server is shutting down")]
    Closed,
}

impl Refused {
    /// Whole seconds to wait before trying again.
    pub fn retry_after(&self) -> u64 {
        let wait = match *self {
            Self::Full { retry_after, .. } => retry_after,
            Self::TooLate { wait, left } => wait.saturating_sub(left),
            Self::Closed => Duration::from_secs(5),
        };
        (wait.as_secs_f64().ceil() as u64).clamp(1, 60)
    }

    /// A stable identifier for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Full { .. } => "queue_full",
            Self::TooLate { .. } => "overloaded",
            Self::Closed => "shutting_down",
        }
    }
}
