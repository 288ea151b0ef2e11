//! The cache and the limiter in this process.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::{Allowed, Cache, Limiter, OWNER, Rate, RetryAfter};

/// Answers; rarely used ones make room for others.
#[derive(Clone)]
pub struct MemoryCache(moka::future::Cache<[u8; 32], Bytes>);

impl MemoryCache {
    /// Overhead per value: its key and the cache's own bookkeeping, bytes.
    const BESIDE: usize = 200;

    /// Holds `capacity` bytes in all, each answer for `time`.
    pub fn new(capacity: u64, time: Duration) -> Self {
        let weigh = |_: &[u8; 32], value: &Bytes| {
            u32::try_from(value.len() + Self::BESIDE).unwrap_or(u32::MAX)
        };
        let cache = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            .support_invalidation_closures()
            .time_to_live(time);
        Self(cache.build())
    }

    /// Approximate size, bytes.
    pub async fn size(&self) -> u64 {
        self.0.run_pending_tasks().await;
        self.0.weighted_size()
    }
}

#[async_trait]
impl Cache for MemoryCache {
    async fn get(&self, key: &[u8; 32]) -> Option<Bytes> {
        self.0.get(key).await
    }

    async fn put(&self, key: &[u8; 32], value: Bytes) {
        self.0.insert(*key, value).await;
    }

    async fn forget(&self, owner: &[u8; OWNER]) {
        let owner = *owner;
        let is_theirs = move |key: &[u8; 32], _: &Bytes| key.starts_with(&owner);
        // Only an error if closures weren't supported.
        let _ = self.0.invalidate_entries_if(is_theirs);
        self.0.run_pending_tasks().await;
    }
}

/// Rates of the callers of this process, exact: a caller is forgotten only when it is within its rate again, and if there
/// are too many others at the same time, newcomers are refused.
#[derive(Clone)]
pub struct MemoryLimiter {
    callers: Arc<Mutex<Callers>>,
    most: usize,
    start: Instant,
    /// Makes callers' hashes unpredictable, so that nobody can be mistaken for another on purpose.
    seed: [u8; 16],
}

#[derive(Default)]
struct Callers {
    /// When a caller's next request is due, in microseconds since `start`.
    due: HashMap<u128, i64>,
    /// When those within their rate were last dropped.
    swept: i64,
}

/// Microseconds between two sweeps while there is room.
const SWEEP: i64 = 60_000_000;

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new(200_000)
    }
}

impl MemoryLimiter {
    /// Remembers at most `callers` at the same time.
    pub fn new(callers: usize) -> Self {
        let mut seed = [0; 16];
        rand::fill(&mut seed);
        Self {
            callers: Arc::default(),
            most: callers,
            start: Instant::now(),
            seed,
        }
    }

    /// Number of remembered callers.
    pub fn callers(&self) -> usize {
        self.lock().due.len()
    }

    fn lock(&self) -> MutexGuard<'_, Callers> {
        self.callers.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn hash(&self, who: &str) -> u128 {
        let hash = Sha256::new().chain_update(self.seed).chain_update(who);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.finalize()[..16]);
        u128::from_le_bytes(half)
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take(
        &self,
        who: &str,
        per_minute: u32,
        burst: u32,
        count: u32,
    ) -> Result<Allowed, RetryAfter> {
        let rate = Rate::new(per_minute, burst);
        let who = self.hash(who);
        let now = i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX / 2);
        let mut callers = self.lock();
        let full = callers.due.len() >= self.most && !callers.due.contains_key(&who);
        // When full, at most every second: each sweep looks at everyone.
        let rest = if full { 1_000_000 } else { SWEEP };
        if now - callers.swept > rest {
            callers.swept = now;
            callers.due.retain(|_, due| *due > now);
        }
        if callers.due.len() >= self.most && !callers.due.contains_key(&who) {
            return Err(RetryAfter(Duration::from_secs(1)));
        }
        let due = callers.due.get(&who).copied().unwrap_or(now).max(now);
        let early = due + rate.interval - rate.burst - now;
        // A refused request costs nothing.
        if early <= 0 {
            let cost = rate.interval.saturating_mul(i64::from(count.max(1)));
            callers.due.insert(who, due.saturating_add(cost));
        }
        rate.verdict(early)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_entry_is_weighed_by_its_bytes() {
        let cache = MemoryCache::new(100_000, Duration::from_secs(60));
        for i in 0..100 {
            cache.put(&[i; 32], vec![i; 10_000].into()).await;
        }
        assert!(cache.size().await <= 100_000);
        cache.put(&[200; 32], vec![0; 200_000].into()).await;
        assert!(cache.size().await <= 100_000);
        assert_eq!(cache.get(&[200; 32]).await, None);
    }

    #[tokio::test]
    async fn an_owners_entries_are_forgotten() {
        let cache = MemoryCache::new(100_000, Duration::from_secs(60));
        for i in 0..20 {
            cache.put(&[i % 2; 32], Bytes::from_static(b"x")).await;
        }
        cache.forget(&[1; OWNER]).await;
        assert_eq!(cache.get(&[1; 32]).await, None);
        assert!(cache.get(&[0; 32]).await.is_some());
        // What comes later is kept.
        cache.put(&[1; 32], Bytes::from_static(b"x")).await;
        assert!(cache.get(&[1; 32]).await.is_some());
    }

    #[tokio::test]
    async fn an_entry_has_its_time() {
        let cache = MemoryCache::new(1000, Duration::from_millis(50));
        cache.put(&[1; 32], Bytes::from_static(b"x")).await;
        assert!(cache.get(&[1; 32]).await.is_some());
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(cache.get(&[1; 32]).await, None);
    }

    #[tokio::test]
    async fn nobody_is_forgotten_before_his_time() {
        let limiter = MemoryLimiter::new(1000);
        assert!(limiter.take("first", 1, 1, 1).await.is_ok());
        // Others crowd in, often.
        let mut let_in = 0;
        for round in 0..3 {
            for i in 0..5000 {
                let who = format!("{round} {i}");
                let_in += usize::from(limiter.take(&who, 1, 1, 1).await.is_ok());
                assert!(limiter.take("first", 1, 1, 1).await.is_err());
            }
        }
        assert_eq!((let_in, limiter.callers()), (999, 1000));
    }

    #[tokio::test]
    async fn whoever_is_within_his_rate_makes_room() {
        let limiter = MemoryLimiter::new(100);
        for i in 0..100 {
            // Due again after a millisecond.
            assert!(limiter.take(&i.to_string(), 60_000, 1, 1).await.is_ok());
        }
        assert!(limiter.take("new", 1, 1, 1).await.is_err());
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert!(limiter.take("new", 1, 1, 1).await.is_ok());
        assert_eq!(limiter.callers(), 1);
    }

    #[tokio::test]
    async fn what_counts_more_costs_more() {
        let limiter = MemoryLimiter::default();
        // One every 10 ms: twenty take two tenths of a second.
        assert!(limiter.take("a", 6000, 1, 20).await.is_ok());
        let RetryAfter(wait) = limiter.take("a", 6000, 1, 1).await.unwrap_err();
        assert!(wait > Duration::from_millis(150), "{wait:?}");
        tokio::time::sleep(wait).await;
        assert!(limiter.take("a", 6000, 1, 1).await.is_ok());
    }
}
