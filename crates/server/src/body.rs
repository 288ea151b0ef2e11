//! The body of a request as it arrives: counted, timed, and held in the memory for uploads.
//!
//! Every route that takes a body reads it through [`Incoming`] and keeps it under a [`Memory`]. So a caller can hold
//! only as much of that memory as it has really sent, and only for as long as it keeps sending.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, BodyDataStream};
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config::Config;
use crate::problem::Problem;

/// How far a body may fall behind the minimum rate, as with a connection that pauses.
const PAUSE: Duration = Duration::from_secs(10);

/// A share of the memory for pictures that are arriving or waiting. Dropping it returns the share.
#[derive(Debug)]
pub struct Memory {
    budget: Arc<Semaphore>,
    share: Option<OwnedSemaphorePermit>,
}

impl Memory {
    /// An empty share of a budget in KiB.
    pub fn of(budget: &Arc<Semaphore>) -> Self {
        Self {
            budget: budget.clone(),
            share: None,
        }
    }

    /// Makes the share this large: takes what is missing, returns what is too much.
    ///
    /// # Errors
    /// 503 `uploads_full` if there is not enough left; the share stays as it is.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Problem> {
        let wanted = bytes.div_ceil(1024);
        let held = self.share.as_ref().map_or(0, |s| s.num_permits());
        if wanted > held {
            let more = u32::try_from(wanted - held).map_err(|_| full())?;
            let more = self.budget.clone().try_acquire_many_owned(more);
            let more = more.map_err(|_| full())?;
            match &mut self.share {
                Some(share) => share.merge(more),
                None => self.share = Some(more),
            }
        } else if let Some(share) = &mut self.share {
            drop(share.split(held - wanted));
        }
        Ok(())
    }
}

fn full() -> Problem {
    let detail = "too many pictures are arriving at once; try again shortly";
    Problem::busy("uploads_full", detail, 2)
}

/// Why a body could not be read.
#[derive(Debug)]
pub enum BodyError {
    /// It has at least this many bytes.
    TooLarge(u64),
    /// Anything else.
    Problem(Problem),
}

impl From<Problem> for BodyError {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl BodyError {
    /// The problem to send; `too_large` makes it from the number of bytes.
    pub fn problem(self, too_large: impl FnOnce(u64) -> Problem) -> Problem {
        match self {
            Self::TooLarge(bytes) => too_large(bytes),
            Self::Problem(problem) => problem,
        }
    }
}

/// A body that is arriving.
pub struct Incoming {
    stream: BodyDataStream,
    received: u64,
    limit: u64,
    time: Duration,
    deadline: Instant,
    /// Bytes per second.
    rate: f64,
    /// How long the caller may pause now: grows with what arrives, shrinks while nothing does.
    credit: Duration,
    /// The most it may grow to.
    pause: Duration,
}

impl Incoming {
    /// A body of at most `limit` bytes that arrives within `time`, at no less than the configured rate.
    pub fn new(config: &Config, body: Body, limit: u64, time: Duration) -> Self {
        Self {
            stream: body.into_data_stream(),
            received: 0,
            limit,
            time,
            deadline: Instant::now() + time,
            rate: (config.upload_rate << 10) as f64,
            credit: PAUSE,
            pause: PAUSE,
        }
    }

    /// The next bytes; none at the end.
    ///
    /// # Errors
    /// The body is too large, too slow, or the connection broke.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        let began = Instant::now();
        let left = self.deadline.saturating_duration_since(began);
        // Only the time spent waiting for the caller counts as a pause: not that of storing what has arrived.
        let next = tokio::time::timeout(left.min(self.credit), self.stream.next()).await;
        let chunk = match next {
            Err(_) => return Err(self.too_slow().into()),
            Ok(None) => return Ok(None),
            Ok(Some(Err(_))) => {
                let detail = "the connection broke before the body was complete";
                return Err(Problem::bad_request("body_broken", detail).into());
            }
            Ok(Some(Ok(chunk))) => chunk,
        };
        let earned = Duration::from_secs_f64(chunk.len() as f64 / self.rate);
        self.credit = (self.credit.saturating_sub(began.elapsed()) + earned).min(self.pause);
        self.received += chunk.len() as u64;
        if self.received > self.limit {
            return Err(BodyError::TooLarge(self.received));
        }
        Ok(Some(chunk))
    }

    /// The whole body, in a growing share of the memory.
    ///
    /// # Errors
    /// As for [`Self::chunk`], or there is no memory for it.
    pub async fn whole(mut self, memory: &mut Memory) -> Result<Bytes, BodyError> {
        let mut bytes = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            memory.hold(bytes.len() + chunk.len())?;
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes.freeze())
    }

    fn too_slow(&self) -> Problem {
        Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "upload_too_slow",
            format!(
                "the request must arrive within {} s, at {} KiB/s or more",
                self.time.as_secs_f64(),
                self.rate / 1024.0,
            ),
        )
    }
}

/// The length that a request declares.
pub fn announced(headers: &HeaderMap) -> Option<u64> {
    let length = headers.get(header::CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::config::tests::config;

    /// A body of `count` chunks, one after each pause.
    fn dripping(pause: Duration, chunk: usize, count: usize) -> Body {
        Body::from_stream(stream::unfold(0, move |sent| async move {
            if sent == count {
                return None;
            }
            tokio::time::sleep(pause).await;
            Some((
                Ok::<_, std::io::Error>(Bytes::from(vec![0; chunk])),
                sent + 1,
            ))
        }))
    }

    #[test]
    fn a_share_grows_shrinks_and_is_returned() {
        let budget = Arc::new(Semaphore::new(10));
        let mut memory = Memory::of(&budget);
        memory.hold(1).unwrap();
        assert_eq!(budget.available_permits(), 9);
        memory.hold(10 << 10).unwrap();
        assert_eq!(budget.available_permits(), 0);
        assert_eq!(
            memory.hold((10 << 10) + 1).unwrap_err().code,
            "uploads_full"
        );
        memory.hold(2 << 10).unwrap();
        assert_eq!(budget.available_permits(), 8);
        drop(memory);
        assert_eq!(budget.available_permits(), 10);
    }

    #[tokio::test]
    async fn a_body_that_stalls_or_drips_is_given_up() {
        let config = config(&["--upload-rate", "1"]);
        let millis = Duration::from_millis;
        let read = async |body, time| {
            let began = Instant::now();
            let budget = Arc::new(Semaphore::new(1 << 20));
            let mut incoming = Incoming::new(&config, body, 1 << 30, time);
            (incoming.credit, incoming.pause) = (millis(300), millis(300));
            let result = incoming.whole(&mut Memory::of(&budget)).await;
            assert_eq!(budget.available_permits(), 1 << 20);
            (result.map(|b| b.len()), began.elapsed())
        };
        let slow = |result: Result<usize, BodyError>| {
            result.unwrap_err().problem(|_| unreachable!()).code == "upload_too_slow"
        };
        let long = Duration::from_secs(600);
        let (never, took) = read(dripping(long, 1, 1), long).await;
        assert!(slow(never) && took < Duration::from_secs(5), "{took:?}");
        // What came fast before earns no longer pause.
        let fast = dripping(millis(1), 64 << 10, 10);
        let stalled = Body::from_stream(fast.into_data_stream().chain(stream::pending()));
        let (never, took) = read(stalled, long).await;
        assert!(slow(never) && took < Duration::from_secs(5), "{took:?}");
        let (drips, took) = read(dripping(millis(10), 1, 60_000), long).await;
        assert!(slow(drips) && took < Duration::from_secs(5), "{took:?}");
        let (well, _) = read(dripping(millis(10), 4096, 100), long).await;
        assert_eq!(well.unwrap(), 409_600);
        // Fast enough, but for too long.
        let (long, took) = read(dripping(millis(10), 4096, 60_000), millis(500)).await;
        assert!(slow(long) && took < Duration::from_secs(5), "{took:?}");
    }

    #[tokio::test]
    async fn memory_is_taken_as_bytes_arrive() {
        let config = config(&[]);
        let budget = Arc::new(Semaphore::new(100));
        let first = stream::once(async { Ok::<_, std::io::Error>(Bytes::from(vec![0; 4096])) });
        let body = Body::from_stream(first.chain(stream::pending()));
        let incoming = Incoming::new(&config, body, 1 << 30, Duration::from_secs(60));
        let mut memory = Memory::of(&budget);
        let reading = incoming.whole(&mut memory);
        assert!(
            tokio::time::timeout(Duration::from_millis(50), reading)
                .await
                .is_err()
        );
        assert_eq!(budget.available_permits(), 96);

        let body = Body::from(vec![0; 101 << 10]);
        let incoming = Incoming::new(&config, body, 1 << 30, Duration::from_secs(60));
        let refused = incoming.whole(&mut Memory::of(&budget)).await.unwrap_err();
        assert_eq!(refused.problem(|_| unreachable!()).code, "uploads_full");
    }
}
