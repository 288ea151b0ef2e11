//! What replicas share and may lose: answers by content, and each caller's request count.
//!
//! Both live in this process, and also in Redis if there is one. Nothing ever waits for Redis: see `redis.rs`.

mod memory;
#[cfg(feature = "redis")]
mod redis;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::{MemoryCache, MemoryLimiter};
#[cfg(feature = "redis")]
pub use self::redis::{Redis, RedisCache, RedisError, RedisLimiter};

/// Bytes at the beginning of a key that say whose answer it is.
pub const OWNER: usize = 8;

/// Answers by hash of the request, which begins with a hash of its owner. An entry may vanish at any time.
#[async_trait]
pub trait Cache: Send + Sync + 'static {
    /// The stored answer, if it is still there.
    async fn get(&self, key: &[u8; 32]) -> Option<Bytes>;
    /// Stores an answer.
    async fn put(&self, key: &[u8; 32], value: Bytes);
    /// Deletes an owner's answers from this process and what it shares. Other replicas' own copies run out by themselves.
    async fn forget(&self, owner: &[u8; OWNER]);
}

/// Stores nothing.
pub struct NoCache;

#[async_trait]
impl Cache for NoCache {
    async fn get(&self, _: &[u8; 32]) -> Option<Bytes> {
        None
    }

    async fn put(&self, _: &[u8; 32], _: Bytes) {}

    async fn forget(&self, _: &[u8; OWNER]) {}
}

/// The request is within its caller's rate.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Allowed {
    /// Requests the caller could make right now after this one.
    pub remaining: u32,
}

/// The request is too early; says how long until it would be allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RetryAfter(pub Duration);

/// Rate limits per caller, by the generic cell rate algorithm (GCRA): `burst` requests at once, then `per_minute` evenly
/// spaced. A refused request costs nothing. Zeros count as one. Counts are exact: whoever can't be counted is refused.
#[async_trait]
pub trait Limiter: Send + Sync + 'static {
    /// Counts a request. One that counts as several is let in as soon as one would be; those after it wait the longer.
    ///
    /// # Errors
    /// How long to wait.
    async fn take(
        &self,
        who: &str,
        per_minute: u32,
        burst: u32,
        count: u32,
    ) -> Result<Allowed, RetryAfter>;
}

/// Why the shared cache can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The URL can't be parsed.
    #[cfg(feature = "redis")]
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The server was built without it.
    #[cfg(not(feature = "redis"))]
    #[error("this build can't use Redis; build with the feature `redis`")]
    NotBuilt,
}

/// Opens a cache of at most `bytes` in this process, whose entries stay for `time`, and a limiter; both also in Redis if a
/// URL is given. Without bytes there is no cache anywhere.
///
/// # Errors
/// The URL can't be parsed, or this build can't use Redis.
pub async fn open(
    redis: Option<&str>,
    bytes: u64,
    time: Duration,
) -> Result<(Arc<dyn Cache>, Arc<dyn Limiter>), CacheError> {
    let cache = (bytes > 0).then(|| MemoryCache::new(bytes, time));
    let limiter = MemoryLimiter::default();
    let Some(address) = redis else {
        let cache = cache.map(|cache| -> Arc<dyn Cache> { Arc::new(cache) });
        return Ok((
            cache.unwrap_or_else(|| Arc::new(NoCache)),
            Arc::new(limiter),
        ));
    };
    #[cfg(feature = "redis")]
    {
        let redis = Redis::open(address).await?;
        let cache = cache.map(|cache| -> Arc<dyn Cache> {
            Arc::new(RedisCache::new(redis.clone(), cache, time))
        });
        Ok((
            cache.unwrap_or_else(|| Arc::new(NoCache)),
            Arc::new(RedisLimiter::new(redis, limiter)),
        ))
    }
    #[cfg(not(feature = "redis"))]
    {
        let _ = address;
        Err(CacheError::NotBuilt)
    }
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
