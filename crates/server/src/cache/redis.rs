//! The cache and the limiter in Redis, for all replicas, as long as it responds quickly.
//!
//! Redis is here to speed things up, so it must not slow anything down. A command gets [`PATIENCE`]. After the first
//! failure no request uses Redis: memory serves alone, while a background task checks whether Redis accepts writes again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{FromRedisValue, RedisFuture, Script};

use super::{Allowed, Cache, Limiter, MemoryCache, MemoryLimiter, OWNER, Rate, RetryAfter};

pub use redis::RedisError;

/// Time limit for a command.
const PATIENCE: Duration = Duration::from_millis(200);
/// Time between two attempts to reach a lost Redis.
const PAUSE: Duration = Duration::from_secs(1);
/// Milliseconds that Redis can still add to its clock.
const FOREVER: u64 = 1 << 48;
/// Longer answers stay in memory: over a slow connection they would look like a lost Redis.
const LONGEST: usize = 4 << 20;

/// GCRA with Redis's own clock: those of the replicas may differ. `ARGV`: a rate's microseconds, and for how many
/// requests this one counts.
const TAKE: &str = r"
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local due = tonumber(redis.call('GET', KEYS[1])) or now
local early = math.max(due, now) + ARGV[1] - ARGV[2] - now
if early <= 0 then
    local after = math.max(due, now) + ARGV[1] * ARGV[3]
    redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
end
return string.format('%.0f', early)
";

/// A connection that is established, lost and re-established.
#[derive(Clone)]
pub struct Redis(Arc<Link>);

struct Link {
    connection: ConnectionManager,
    lost: AtomicBool,
}

impl Redis {
    /// Connects to `redis://…` or `rediss://…`. A Redis that isn't up yet is found later.
    ///
    /// # Errors
    /// The URL can't be parsed. No error shows it, because it may hold a password.
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

    /// The reply of Redis; none while it is lost.
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
            tracing::warn!(%error, "lost Redis; each replica continues with its own memory");
            tokio::spawn(self.clone().find());
        }
        None
    }

    async fn find(self) {
        loop {
            tokio::time::sleep(PAUSE).await;
            // Nobody is left to use it.
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

/// Probes with a write, because a Redis that is full or a read-only replica still answers PING.
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

/// Answers in memory, backed by those of all replicas.
pub struct RedisCache {
    redis: Redis,
    memory: MemoryCache,
    time: Duration,
}

impl RedisCache {
    /// Redis keeps an answer for `time`, unless it reaches its memory limit first.
    pub fn new(redis: Redis, memory: MemoryCache, time: Duration) -> Self {
        Self {
            redis,
            memory,
            time,
        }
    }
}

/// The name of an owner's answer, or the beginning of all of them. In hexadecimal digits, which mean nothing in a pattern.
fn name(key: &[u8]) -> String {
    let digits = key.iter().map(|byte| format!("{byte:02x}"));
    format!("maoocr:answer:{}", digits.collect::<String>())
}

#[async_trait]
impl Cache for RedisCache {
    async fn get(&self, key: &[u8; 32]) -> Option<Bytes> {
        if let Some(value) = self.memory.get(key).await {
            return Some(value);
        }
        let mut get = redis::cmd("GET");
        get.arg(name(&key[..]));
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
        set.arg(name(&key[..]))
            .arg(&value[..])
            .arg("PX")
            .arg(time.clamp(1, FOREVER));
        self.redis
            .ask(|connection| run::<()>(connection, set))
            .await;
    }

    async fn forget(&self, owner: &[u8; OWNER]) {
        self.memory.forget(owner).await;
        let pattern = format!("{}*", name(owner));
        let mut cursor = 0u64;
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor)
                .arg("MATCH")
                .arg(&pattern)
                .arg("COUNT")
                .arg(1000);
            let found = self.redis.ask(|connection| run(connection, scan)).await;
            let Some((next, names)): Option<(u64, Vec<String>)> = found else {
                // It is lost, and what it holds runs out.
                return;
            };
            if !names.is_empty() {
                let mut unlink = redis::cmd("UNLINK");
                unlink.arg(names);
                let unlinked = self.redis.ask(|connection| run::<()>(connection, unlink));
                unlinked.await;
            }
            cursor = next;
            if cursor == 0 {
                return;
            }
        }
    }
}

/// Rates across all replicas, and those of this process while Redis is lost.
pub struct RedisLimiter {
    redis: Redis,
    memory: MemoryLimiter,
    script: Arc<Script>,
}

impl RedisLimiter {
    /// Counts a request in Redis.
    pub fn new(redis: Redis, memory: MemoryLimiter) -> Self {
        Self {
            redis,
            memory,
            script: Arc::new(Script::new(TAKE)),
        }
    }

    /// By how many microseconds a request is early; it is allowed unless this is positive.
    async fn early(&self, who: &str, rate: Rate, count: u32) -> Option<i64> {
        let script = Arc::clone(&self.script);
        let key = format!("maoocr:rate:{who}");
        self.redis
            .ask(move |mut connection| {
                Box::pin(async move {
                    script
                        .key(key)
                        .arg(rate.interval)
                        .arg(rate.burst)
                        .arg(count.max(1))
                        .invoke_async(&mut connection)
                        .await
                })
            })
            .await
    }
}

#[async_trait]
impl Limiter for RedisLimiter {
    async fn take(
        &self,
        who: &str,
        per_minute: u32,
        burst: u32,
        count: u32,
    ) -> Result<Allowed, RetryAfter> {
        let rate = Rate::new(per_minute, burst);
        match self.early(who, rate, count).await {
            Some(early) => rate.verdict(early),
            None => self.memory.take(who, per_minute, burst, count).await,
        }
    }
}
