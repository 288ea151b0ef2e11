//! In Redis, for all replicas, as long as it answers quickly.
//!
//! What Redis holds speeds things up, so it may not slow anything down. A command has [`PATIENCE`]. The first that
//! fails is the last for all requests: from then on memory serves alone, while one task in the background tries
//! whether Redis takes a write again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, RedisFuture, Script};

use super::{Allowed, Cache, Limiter, MemoryCache, MemoryLimiter, Rate, RetryAfter};

pub use redis::RedisError;

/// What a command may take.
const PATIENCE: Duration = Duration::from_millis(200);
/// Between two tries of a lost Redis.
const PAUSE: Duration = Duration::from_secs(1);
/// Milliseconds that Redis can still add to its clock.
const FOREVER: u64 = 1 << 48;
/// Longer answers stay in memory: on a slow line they would look like a lost Redis.
const LONGEST: usize = 4 << 20;

/// GCRA with Redis's own clock: those of the replicas may differ. `ARGV`: a rate's microseconds.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = tonumber(redis.call('GET', KEYS[1])) or now
local after = math.max(due, now) + ARGV[1]
local early = after - ARGV[2] - now
if early <= 0 then
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return string.format('%.0f', early)
";

/// A connection that is made, lost and made again.
#[derive(Clone)]
pub struct Redis(Arc<Link>);

struct Link {
    connection: ConnectionManager,
    lost: AtomicBool,
}

impl Redis {
    /// Connects to `redis://…` or `rediss://…`. A Redis that isn't there yet is found when it is.
    ///
    /// # Errors
    /// The address can't be read. No error shows it: it may hold a password.
    pub async fn open(address: &str) -> Result<Self, RedisError> {
        let client = redis::Client::open(address)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let link = Link {
            connection: ConnectionManager::new_lazy_with_config(client, config)?,
            lost: AtomicBool::new(false),
        };
        let redis = Self(Arc::new(link));
        redis.ask(try_out).await;
        Ok(redis)
    }

    /// Whether commands go to Redis at the moment.
    pub fn is_there(&self) -> bool {
        !self.0.lost.load(Ordering::Relaxed)
    }

    /// What Redis answers; none where it is lost.
    async fn ask<T>(
        &self,
        command: impl FnOnce(ConnectionManager) -> RedisFuture<'static, T>,
    ) -> Option<T> {
        if !self.is_there() {
            return None;
        }
        let error = match within(command(self.0.connection.clone())).await {
            Ok(answer) => return Some(answer),
            Err(error) => error,
        };
        if !self.0.lost.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "Redis is lost; each replica goes on with its own memory");
            tokio::spawn(self.clone().find());
        }
        None
    }

    async fn find(self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            // Nobody is left who would ask.
            if Arc::strong_count(&self.0) == 1 {
                return;
            }
            if within(try_out(self.0.connection.clone())).await.is_ok() {
                self.0.lost.store(false, Ordering::Relaxed);
                tracing::info!("Redis is back");
                return;
            }
        }
    }
}

async fn within<T>(answer: RedisFuture<'static, T>) -> Result<T, RedisError> {
    let late = || RedisError::from((redis::ErrorKind::Io, "no answer in time"));
    tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap_or_else(|_| Err(late()))
}

/// A write, because a Redis that is full or only a copy still answers a PING.
fn try_out(connection: ConnectionManager) -> RedisFuture<'static, ()> {
    let mut set = redis::cmd("SET");
    set.arg("maoocr:probe").arg(1).arg("PX").arg(1000);
    run(connection, set)
}

fn run<T: FromRedisValue>(
    mut connection: ConnectionManager,
    command: redis::Cmd,
) -> RedisFuture<'static, T> {
    Box::pin(async move { command.query_async(&mut connection).await })
}

/// Answers in memory, and behind it those of all replicas.
pub struct RedisCache {
    redis: Redis,
    memory: MemoryCache,
    time: Duration,
}

impl RedisCache {
    /// Redis keeps an answer for `time`, unless its own limit of memory is reached before.
    pub fn new(redis: Redis, memory: MemoryCache, time: Duration) -> Self {
        Self {
            redis,
            memory,
            time,
        }
    }
}

fn name(key: &[u8; 32]) -> Vec<u8> {
    [b"maoocr:answer:", &key[..]].concat()
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &[u8; 32]) -> Option<Bytes> {
        if let Some(value) = self.memory.get(key).await {
            return Some(value);
        }
        let mut get = redis::cmd("GET");
        get.arg(name(key));
        let value: Option<Vec<u8>> = self.redis.ask(|connection| run(connection, get)).await?;
        let value = Bytes::from(value?);
        self.memory.put(key, value.clone()).await;
        Some(value)
    }

    async fn put(&self, key: &[u8; 32], value: Bytes) {
        self.memory.put(key, value.clone()).await;
        if value.len() > LONGEST {
            return;
        }
        let time = u64::try_from(self.time.as_millis()).unwrap_or(u64::MAX);
        let mut set = redis::cmd("SET");
        set.arg(name(key))
            .arg(&value[..])
            .arg("PX")
            .arg(time.clamp(1, FOREVER));
        self.redis
            .ask(|connection| run::<()>(connection, set))
            .await;
    }
}

/// Rates across all replicas, and those of this process while Redis is lost.
pub struct RedisLimiter {
    redis: Redis,
    memory: MemoryLimiter,
    script: Arc<Script>,
}

impl RedisLimiter {
    /// Counts in Redis.
    pub fn new(redis: Redis, memory: MemoryLimiter) -> Self {
        Self {
            redis,
            memory,
            script: Arc::new(Script::new(TAKE)),
        }
    }

    /// By how many microseconds a request is early; what isn't positive is allowed.
    async fn early(&self, who: &str, rate: Rate) -> Option<i64> {
        let script = Arc::clone(&self.script);
        let key = format!("maoocr:rate:{who}");
        self.redis
            .ask(move |mut connection| {
                Box::pin(async move {
                    script
                        .key(key)
                        .arg(rate.interval)
                        .arg(rate.burst)
                        .invoke_async(&mut connection)
                        .await
                })
            })
            .await
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(&self, who: &str, per_minute: u32, burst: u32) -> Result<Allowed, RetryAfter> {
        let rate = Rate::new(per_minute, burst);
        match self.early(who, rate).await {
            Some(early) => rate.verdict(early),
            None => self.memory.take(who, per_minute, burst).await,
        }
    }
}
