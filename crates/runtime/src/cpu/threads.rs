//! Spreads pieces of a step over threads, where the build has them.

use std::cell::RefCell;

use super::buffer::Buffer;

thread_local! {
    /// Memory that a piece of work needs for itself; kept, so that a run allocates nothing.
    static SCRATCH: RefCell<Buffer> = RefCell::default();
}

/// Sets how many threads share a run's work, the caller's among them; without it as many as the processor has cores.
/// Only the first call counts, and only before the first run. A build without the feature `threads` has one.
pub fn set_threads(count: usize) {
    #[cfg(feature = "threads")]
    {
        // It fails where a pool is there already, which then stays.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count.max(1));
        let _ = pool.build_global();
    }
    #[cfg(not(feature = "threads"))]
    let _ = count;
}

/// How many threads share a run's work.
pub(super) fn threads() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// Runs `work` for each of `0..count`, in any order and on rayon's current threads.
#[cfg(feature = "threads")]
pub(super) fn each(count: usize, work: impl Fn(usize) + Sync) {
    use rayon::prelude::*;

    if count > 1 && threads() > 1 {
        (0..count).into_par_iter().for_each(&work);
    } else {
        (0..count).for_each(work);
    }
}

/// Runs `work` for each of `0..count`.
#[cfg(not(feature = "threads"))]
pub(super) fn each(count: usize, work: impl Fn(usize)) {
    (0..count).for_each(work);
}

/// Lends this thread's scratch memory. `work` must not ask for it again.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Buffer) -> T) -> T {
    SCRATCH.with_borrow_mut(work)
}

/// An address that threads may share: each writes a part of its own.
#[derive(Clone, Copy)]
pub(super) struct Shared<T>(T);

// SAFETY: whoever uses the address keeps to a part that no other thread writes.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T: Copy> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self(value)
    }

    pub(super) fn get(&self) -> T {
        self.0
    }
}
