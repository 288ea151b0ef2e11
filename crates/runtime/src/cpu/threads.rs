//! Spreads pieces of a step over threads, where the build has them.

use std::cell::Cell;

use super::buffer::Buffer;

thread_local! {
    /// Memory that a piece of work needs for itself; kept, so that a run allocates nothing.
    static SCRATCH: Cell<Buffer> = Cell::default();
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

/// Lends this thread's scratch memory.
///
/// It is taken out and put back: while `work` waits for other threads, this one may be given another run's work, which
/// then finds none and brings its own. And where `work` ends in a panic or a trap, what is lost is the memory alone.
pub(super) fn with_scratch<T>(work: impl FnOnce(&mut Buffer) -> T) -> T {
    let mut scratch = SCRATCH.take();
    let result = work(&mut scratch);
    let other = SCRATCH.take();
    // The larger one is kept.
    SCRATCH.set(if other.capacity() > scratch.capacity() {
        other
    } else {
        scratch
    });
    result
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scratch_memory_may_be_asked_for_again() {
        with_scratch(|outer| {
            outer.reserve(100);
            outer.as_mut_slice()[0] = 1.0;
            with_scratch(|inner| {
                inner.reserve(1000);
                inner.as_mut_slice()[0] = 2.0;
            });
            assert_eq!(outer.as_mut_slice()[0], 1.0);
        });
        // The larger of both stayed.
        with_scratch(|kept| assert!(kept.capacity() >= 1000));
    }

    /// What a gate does, and another run's work that its thread takes over while it waits.
    #[cfg(feature = "threads")]
    #[test]
    fn work_within_scratch_memory_may_be_spread() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        pool.unwrap().install(|| {
            with_scratch(|outer| {
                outer.reserve(16);
                outer.as_mut_slice()[0] = 1.0;
                each(64, |task| {
                    with_scratch(|inner| {
                        inner.reserve(16);
                        inner.as_mut_slice()[0] = task as f32;
                    });
                });
                assert_eq!(outer.as_mut_slice()[0], 1.0);
            });
        });
    }

    #[test]
    fn a_panic_leaves_scratch_memory_usable() {
        let fault = std::panic::catch_unwind(|| with_scratch(|_| panic!("a fault in a kernel")));
        assert!(fault.is_err());
        with_scratch(|scratch| scratch.reserve(1));
    }
}
