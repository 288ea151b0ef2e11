//! In this process.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Allowed, Cache, Limiter, Rate, RetryAfter};

/// Answers, the rarely wanted ones given up for others.
#[derive(Clone)]
pub struct MemoryCache(moka::future::Cache<[u8; 32], Bytes>);

impl MemoryCache {
    /// Bytes beside a value: its key and what the cache keeps about it.
    const BESIDE: usize = 200;

    /// Holds `capacity` bytes in all, each answer for `time`.
    pub fn new(capacity: u64, time: Duration) -> Self {
        let weigh = |_: &[u8; 32], value: &Bytes| {
            u32::try_from(value.len() + Self::BESIDE).unwrap_or(u32::MAX)
        };
        let cache = moka::future::Cache::builder()
            .max_capacity(capacity)
            .weigher(weigh)
            .time_to_live(time);
        Self(cache.build())
    }

    /// Bytes it holds now, about.
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
}

/// Rates of the callers of this process.
#[derive(Clone)]
pub struct MemoryLimiter {
    /// When a caller's next request is due, in microseconds since `start`.
    due: moka::future::Cache<String, Arc<AtomicI64>>,
    start: Instant,
}

impl Default for MemoryLimiter {
    fn default() -> Self {
        Self::new(100_000)
    }
}

impl MemoryLimiter {
    /// Remembers at most `callers`; the least often seen are forgotten, and may make a burst again.
    pub fn new(callers: u64) -> Self {
        let due = moka::future::Cache::builder()
            .max_capacity(callers)
            // Whoever asks for nothing all this time is within his rate again, unless it is tiny.
            .time_to_idle(Duration::from_secs(3600));
        Self {
            due: due.build(),
            start: Instant::now(),
        }
    }

    /// Callers it remembers, about.
    pub async fn callers(&self) -> u64 {
        self.due.run_pending_tasks().await;
        self.due.entry_count()
    }
}

#[async_trait]
impl Limiter for MemoryLimiter {
    async fn take(&self, who: &str, per_minute: u32, burst: u32) -> Result<Allowed, RetryAfter> {
        let rate = Rate::new(per_minute, burst);
        let due = self
            .due
            .get_with_by_ref(who, async { Arc::default() })
            .await;
        let now = i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX / 2);
        let mut early = 0;
        let next = |due: i64| {
            let next = due.max(now) + rate.interval;
            early = next - rate.burst - now;
            (early <= 0).then_some(next)
        };
        // Nothing changes where there is no next: a refused request costs nothing.
        let _ = due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
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
    async fn an_entry_has_its_time() {
        let cache = MemoryCache::new(1000, Duration::from_millis(50));
        cache.put(&[1; 32], Bytes::from_static(b"x")).await;
        assert!(cache.get(&[1; 32]).await.is_some());
        tokio::time::sleep(Duration::from_millis(80)).await;
        assert_eq!(cache.get(&[1; 32]).await, None);
    }

    #[tokio::test]
    async fn callers_are_bounded() {
        let limiter = MemoryLimiter::new(100);
        for i in 0..5000 {
            let _ = limiter.take(&i.to_string(), 60, 1).await;
        }
        assert!(limiter.callers().await <= 100);
    }
}
