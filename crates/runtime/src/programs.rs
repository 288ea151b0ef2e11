//! What executors have compiled for the shapes of inputs, kept for the next input of the same shape.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::RuntimeError;

/// Programs by what they were compiled for. Of too many, the one that was not used for the longest time goes.
pub(crate) struct Programs<K, P> {
    kept: Mutex<Kept<K, P>>,
    limit: usize,
}

struct Kept<K, P> {
    /// With the time of the last use.
    programs: HashMap<K, (Arc<P>, u64)>,
    /// Counts uses.
    clock: u64,
}

impl<K: Clone + Eq + Hash, P> Programs<K, P> {
    /// At most `limit` of them.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                programs: HashMap::new(),
                clock: 0,
            }),
            limit,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Kept<K, P>> {
        self.kept.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The program for `key`, compiled by `make` where there is none.
    ///
    /// `make` runs outside the lock: it may take up to a second, and two threads that compile the same do no harm.
    pub(crate) fn get_or_make(
        &self,
        key: K,
        make: impl FnOnce() -> Result<P, RuntimeError>,
    ) -> Result<Arc<P>, RuntimeError> {
        if let Some(program) = self.lock().get(&key) {
            return Ok(program);
        }
        let made = Arc::new(make()?);
        let mut kept = self.lock();
        if kept.programs.len() >= self.limit {
            let unused = kept.programs.iter().min_by_key(|(_, (_, used))| *used);
            if let Some(unused) = unused.map(|(key, _)| key.clone()) {
                kept.programs.remove(&unused);
            }
        }
        kept.clock += 1;
        let now = kept.clock;
        kept.programs.insert(key, (made.clone(), now));
        Ok(made)
    }
}

impl<K: Eq + Hash, P> Kept<K, P> {
    fn get(&mut self, key: &K) -> Option<Arc<P>> {
        self.clock += 1;
        let (program, used) = self.programs.get_mut(key)?;
        *used = self.clock;
        Some(program.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_not_used_for_longest_goes() {
        let programs = Programs::new(2);
        let mut made = Vec::new();
        for key in [1, 2, 1, 3, 1, 2] {
            let program = programs.get_or_make(key, || {
                made.push(key);
                Ok(key * 10)
            });
            assert_eq!(*program.unwrap(), key * 10);
        }
        // 2 went for 3, since 1 had been used after it.
        assert_eq!(made, [1, 2, 3, 2]);
    }

    #[test]
    fn what_could_not_be_made_is_not_kept() {
        let programs = Programs::<_, u8>::new(2);
        let failed = programs.get_or_make(1, || {
            Err(RuntimeError::Run {
                reason: "no".into(),
            })
        });
        assert!(failed.is_err());
        assert_eq!(*programs.get_or_make(1, || Ok(7)).unwrap(), 7);
    }
}
