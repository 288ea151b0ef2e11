//! What runs ask of a GPU: kernel launches, and the pipelines that have to be compiled for them.

use std::collections::{BTreeMap, BTreeSet};

/// What was launched while a [`Watch`] lasted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launched {
    /// How often each kernel was launched, by its name.
    pub kernels: BTreeMap<&'static str, usize>,
    /// The pipelines these launches need, each under a number that is the same in every run of this build.
    pub pipelines: BTreeSet<u128>,
}

impl Launched {
    /// Launches of all kernels together.
    pub fn count(&self) -> usize {
        self.kernels.values().sum()
    }
}

#[cfg(feature = "burn")]
mod watch {
    use std::sync::{Arc, Mutex};

    use cubecl::launched::LaunchedKernels;
    use cubecl::logging::{LaunchObservation, LaunchObserver};

    use super::{BTreeMap, Launched};

    #[derive(Default)]
    struct Counter(Mutex<BTreeMap<&'static str, usize>>);

    impl LaunchObserver for Counter {
        fn launched(&self, kernel: &'static str) {
            let mut counts = self.0.lock().unwrap_or_else(|e| e.into_inner());
            *counts.entry(kernel).or_default() += 1;
        }
    }

    /// Counts every launch of the process, on all threads, until [`finish`](Self::finish). A second one takes over
    /// from the first for as long as it lasts. CPU executors launch nothing.
    #[must_use = "it counts until `finish`"]
    pub struct Watch {
        counter: Arc<Counter>,
        observation: LaunchObservation,
        pipelines: LaunchedKernels,
    }

    impl Watch {
        /// Begins to count.
        #[allow(clippy::new_without_default, reason = "to begin is not a value")]
        pub fn new() -> Self {
            let counter = Arc::new(Counter::default());
            Self {
                observation: LaunchObservation::new(counter.clone()),
                counter,
                pipelines: LaunchedKernels::new(),
            }
        }

        /// Ends it and says what was launched.
        pub fn finish(self) -> Launched {
            let pipelines = self.pipelines.finish().into_iter().collect();
            drop(self.observation);
            let mut counts = self.counter.0.lock().unwrap_or_else(|e| e.into_inner());
            Launched {
                kernels: std::mem::take(&mut *counts),
                pipelines,
            }
        }
    }
}

#[cfg(not(feature = "burn"))]
mod watch {
    use super::Launched;

    /// Counts launches on GPUs, which this build without the feature `burn` can't use.
    #[must_use = "it counts until `finish`"]
    pub struct Watch(());

    impl Watch {
        /// Begins to count.
        #[allow(clippy::new_without_default, reason = "to begin is not a value")]
        pub fn new() -> Self {
            Self(())
        }

        /// Nothing was launched.
        pub fn finish(self) -> Launched {
            Launched::default()
        }
    }
}

pub use watch::Watch;
