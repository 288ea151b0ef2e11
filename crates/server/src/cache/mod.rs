//! What replicas share and may lose: answers by content, and how much each caller has asked for.
//!
//! Both live in this process, and in Redis too where there is one. Redis is never waited for: see [`redis`].

mod memory;
mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::{MemoryCache, MemoryLimiter};
pub use self::redis::{Redis, RedisCache, RedisError, RedisLimiter};

/// Answers by the hash of what they answer. An entry may be gone at any time.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// What was put there, if it still is.
    async fn get(&self, key: &[u8; 32]) -> Option<Bytes>;
    /// Puts it there.
    async fn put(&self, key: &[u8; 32], value: Bytes);
}

/// A request is within its caller's rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowed {
    /// Requests the caller could make right now after this one.
    pub remaining: u32,
}

/// A request is too early: when the same request would be allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryAfter(pub Duration);

/// Rates by caller, as the generic cell rate algorithm (GCRA) counts: `burst` requests at once, and then one every
/// minute's `per_minute`th part. A refused request costs nothing. Zeros count as one.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Counts a request.
    ///
    /// # Errors
    /// When to come back.
    async fn take(&self, who: &str, per_minute: u32, burst: u32) -> Result<Allowed, RetryAfter>;
}

/// A cache of at most `bytes`, whose entries stay for `time`, and a limiter: in this process, and in Redis where an
/// address is given.
///
/// # Errors
/// The address can't be read.
pub async fn open(
    redis: Option<&str>,
    bytes: u64,
    time: Duration,
) -> Result<(Arc<dyn Cache>, Arc<dyn Limiter>), RedisError> {
    let cache = MemoryCache::new(bytes, time);
    let limiter = MemoryLimiter::default();
    let Some(address) = redis else {
        return Ok((Arc::new(cache), Arc::new(limiter)));
    };
    let redis = Redis::open(address).await?;
    Ok((
        Arc::new(RedisCache::new(redis.clone(), cache, time)),
        Arc::new(RedisLimiter::new(redis, limiter)),
    ))
}

/// A rate in microseconds.
#[derive(Clone, Copy)]
struct Rate {
    /// Between two requests.
    interval: i64,
    /// What a whole burst is ahead of its time.
    burst: i64,
}

impl Rate {
    fn new(per_minute: u32, burst: u32) -> Self {
        let interval = (60_000_000 / i64::from(per_minute.max(1))).max(1);
        Self {
            interval,
            burst: interval * i64::from(burst.max(1)),
        }
    }

    /// On a request that comes `early` microseconds before it is allowed, or after where that is negative.
    fn verdict(self, early: i64) -> Result<Allowed, RetryAfter> {
        if early > 0 {
            return Err(RetryAfter(Duration::from_micros(early.unsigned_abs())));
        }
        Ok(Allowed {
            remaining: u32::try_from(-early / self.interval).unwrap_or(u32::MAX),
        })
    }
}
