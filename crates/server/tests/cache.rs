//! The result cache and the rates, in memory and with a real Redis that comes and goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use maoocr_server::cache::{
    Allowed, Cache, Limiter, MemoryCache, MemoryLimiter, RedisCache, RedisLimiter, RetryAfter,
};
use maoocr_services::Redis;

const HOUR: Duration = Duration::from_secs(3600);
const KEY: [u8; 32] = [7; 32];

fn memory() -> MemoryCache {
    MemoryCache::new(1 << 20, HOUR)
}

async fn connect(address: &str) -> maoocr_server::cache::Redis {
    maoocr_server::cache::Redis::open(address).await.unwrap()
}

async fn cache(redis: &Redis) -> RedisCache {
    RedisCache::new(connect(&redis.address()).await, memory(), HOUR)
}

async fn limiter(redis: &Redis) -> RedisLimiter {
    RedisLimiter::new(connect(&redis.address()).await, MemoryLimiter::default())
}

/// A burst of 5 and then one every 200 ms.
async fn counts_as_gcra_does(limiter: &dyn Limiter) {
    let take = || limiter.take("a caller", 300, 5, 1);
    for remaining in (0..5).rev() {
        assert_eq!(take().await, Ok(Allowed { remaining }));
    }
    let RetryAfter(wait) = take().await.unwrap_err();
    assert!(
        wait > Duration::from_millis(100) && wait <= Duration::from_millis(200),
        "{wait:?}"
    );
    // A refusal costs nothing, and another caller has a rate of his own.
    for _ in 0..50 {
        assert!(take().await.is_err());
    }
    assert!(limiter.take("another", 300, 5, 1).await.is_ok());
    tokio::time::sleep(wait).await;
    assert_eq!(take().await, Ok(Allowed { remaining: 0 }));
    assert!(take().await.is_err());
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(take().await, Ok(Allowed { remaining: 4 }));

    // Zeros and the largest numbers are rates too.
    assert_eq!(
        limiter.take("zero", 0, 0, 1).await,
        Ok(Allowed { remaining: 0 })
    );
    let RetryAfter(wait) = limiter.take("zero", 0, 0, 1).await.unwrap_err();
    assert!(
        wait > Duration::from_secs(59) && wait <= Duration::from_secs(60),
        "{wait:?}"
    );
    for (per_minute, burst) in [(u32::MAX, u32::MAX), (1, u32::MAX), (u32::MAX, 1)] {
        let who = format!("{per_minute} {burst}");
        let allowed = limiter.take(&who, per_minute, burst, 1).await.unwrap();
        assert_eq!(allowed.remaining, burst - 1);
    }
}

/// Of many at the same time exactly a burst is allowed.
async fn counts_together(limiters: Vec<Arc<dyn Limiter>>) {
    let tasks = (0..64).map(|i| {
        let limiter = Arc::clone(&limiters[i % limiters.len()]);
        tokio::spawn(async move { limiter.take("crowd", 1, 10, 1).await.is_ok() })
    });
    let allowed = join_all(tasks)
        .await
        .into_iter()
        .filter(|a| *a.as_ref().unwrap())
        .count();
    assert_eq!(allowed, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_counts() {
    counts_as_gcra_does(&MemoryLimiter::default()).await;
    counts_together(vec![Arc::new(MemoryLimiter::default())]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_counts_for_all_replicas() {
    let redis = Redis::start().unwrap();
    counts_as_gcra_does(&limiter(&redis).await).await;
    counts_together(vec![
        Arc::new(limiter(&redis).await),
        Arc::new(limiter(&redis).await),
    ])
    .await;
    // Redis forgets who is within his rate again.
    let left = redis.command(&["TTL", "maoocr:rate:another"]).unwrap();
    assert!(
        [":-2\r\n", ":0\r\n", ":1\r\n"].contains(&&left[..]),
        "{left}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_share_answers() {
    let redis = Redis::start().unwrap();
    let (one, other) = (cache(&redis).await, cache(&redis).await);
    assert_eq!(other.get(&KEY).await, None);
    let value = Bytes::from((0..100_000u32).map(|i| i as u8).collect::<Vec<u8>>());
    one.put(&KEY, value.clone()).await;
    assert_eq!(other.get(&KEY).await, Some(value.clone()));
    assert_eq!(other.get(&[8; 32]).await, None);
    let size = redis.command(&["DBSIZE"]).unwrap();
    // The answer and the probe.
    assert!([":1\r\n", ":2\r\n"].contains(&&size[..]), "{size}");
    // What Redis gave is in memory now.
    redis.command(&["FLUSHALL"]).unwrap();
    assert_eq!(other.get(&KEY).await, Some(value));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_redis_has_its_time() {
    let redis = Redis::start().unwrap();
    let short = Duration::from_millis(100);
    let cache = RedisCache::new(
        connect(&redis.address()).await,
        MemoryCache::new(0, HOUR),
        short,
    );
    cache.put(&KEY, Bytes::from_static(b"answer")).await;
    assert!(cache.get(&KEY).await.is_some());
    tokio::time::sleep(short * 2).await;
    assert_eq!(cache.get(&KEY).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_redis_slows_nobody_and_is_found_again() {
    let mut redis = Redis::start().unwrap();
    let connection = connect(&redis.address()).await;
    let cache = RedisCache::new(connection.clone(), memory(), HOUR);
    let limiter = RedisLimiter::new(connection.clone(), MemoryLimiter::default());
    cache.put(&KEY, Bytes::from_static(b"before")).await;
    for _ in 0..5 {
        limiter.take("caller", 1, 5, 1).await.unwrap();
    }
    limiter.take("caller", 1, 5, 1).await.unwrap_err();

    redis.stop();
    let start = Instant::now();
    assert!(cache.get(&[1; 32]).await.is_none());
    assert!(
        start.elapsed() < Duration::from_millis(300),
        "{:?}",
        start.elapsed()
    );
    assert!(!connection.is_there());
    let start = Instant::now();
    assert_eq!(cache.get(&KEY).await, Some(Bytes::from_static(b"before")));
    cache.put(&[2; 32], Bytes::from_static(b"amid")).await;
    assert_eq!(cache.get(&[2; 32]).await, Some(Bytes::from_static(b"amid")));
    for _ in 0..5 {
        limiter.take("caller", 1, 5, 1).await.unwrap();
    }
    limiter.take("caller", 1, 5, 1).await.unwrap_err();
    for i in 0..1000u32 {
        cache.get(&[i as u8; 32]).await;
    }
    assert!(
        start.elapsed() < Duration::from_millis(100),
        "{:?}",
        start.elapsed()
    );

    redis.restart().unwrap();
    let start = Instant::now();
    while !connection.is_there() {
        assert!(start.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cache.put(&[3; 32], Bytes::from_static(b"after")).await;
    assert_eq!(
        self::cache(&redis).await.get(&[3; 32]).await,
        Some(Bytes::from_static(b"after"))
    );
    assert_eq!(
        limiter.take("caller", 1, 5, 1).await,
        Ok(Allowed { remaining: 4 })
    );
}

/// Accepts connections and never says a word, as a Redis does whose machine hangs.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_redis_is_a_lost_one() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let start = Instant::now();
    let connection = connect(&format!("redis://{}", silent.local_addr().unwrap())).await;
    assert!(
        start.elapsed() < Duration::from_millis(400),
        "{:?}",
        start.elapsed()
    );
    assert!(!connection.is_there());
    let limiter = RedisLimiter::new(connection, MemoryLimiter::default());
    let start = Instant::now();
    let tries = join_all((0..100).map(|_| limiter.take("caller", 1, 5, 1))).await;
    assert_eq!(tries.iter().filter(|t| t.is_ok()).count(), 5);
    // While the background tries again and again.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let amid = Instant::now();
    limiter.take("caller", 1, 5, 1).await.unwrap_err();
    assert!(
        amid.elapsed() < Duration::from_millis(50),
        "{:?}",
        amid.elapsed()
    );
    assert!(
        start.elapsed() < Duration::from_millis(1300),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_no_writes_is_a_lost_one() {
    let redis = Redis::start().unwrap();
    let connection = connect(&redis.address()).await;
    let cache = RedisCache::new(connection.clone(), memory(), HOUR);
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    cache.put(&KEY, Bytes::from_static(b"answer")).await;
    assert!(!connection.is_there());
    assert_eq!(cache.get(&KEY).await, Some(Bytes::from_static(b"answer")));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(!connection.is_there(), "still full");
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(connection.is_there());
}

#[tokio::test]
async fn an_address_is_not_shown() {
    for address in [
        "redis://:hunter2@host:port/",
        "hunter2",
        "redis://u:hunter2@h/x",
    ] {
        let Err(error) = maoocr_server::cache::Redis::open(address).await else {
            continue;
        };
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}
