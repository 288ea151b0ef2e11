//! What each caller has open at the same time, so that none takes all there is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

/// What is counted apart.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// Requests that may bring pictures.
    Requests,
    /// WebSockets.
    Sockets,
    /// Those who follow a job.
    Followers,
}

/// What all callers have open.
#[derive(Clone, Default)]
pub struct Open(Arc<Mutex<HashMap<(Kind, String), u32>>>);

impl Open {
    /// Counts one more for a caller; none if it has `most` already.
    pub fn take(&self, kind: Kind, who: &str, most: u32) -> Option<Holding> {
        let key = (kind, who.to_string());
        let mut counts = self.lock();
        let count = counts.entry(key.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Holding {
            open: self.clone(),
            key,
        })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Kind, String), u32>> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// One that counts until it is dropped.
pub struct Holding {
    open: Open,
    key: (Kind, String),
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut counts = self.open.lock();
        if let Some(count) = counts.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_has_more_than_his_share() {
        let open = Open::default();
        let first = open.take(Kind::Sockets, "a", 2).unwrap();
        let _second = open.take(Kind::Sockets, "a", 2).unwrap();
        assert!(open.take(Kind::Sockets, "a", 2).is_none());
        // Others, and other things, are counted apart.
        assert!(open.take(Kind::Sockets, "b", 1).is_some());
        assert!(open.take(Kind::Requests, "a", 1).is_some());
        drop(first);
        assert!(open.take(Kind::Sockets, "a", 2).is_some());
        assert_eq!(open.lock().len(), 1);
    }
}
