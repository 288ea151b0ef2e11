//! What a connection does, so that one that does nothing gives up its place.
//!
//! HTTP/2 makes this necessary: a client can keep a connection open for ever without a request, or take answers so slowly
//! that they never end, while its pings say that it is alive.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use std::{io, mem};

use axum::body::{Body, Bytes};
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// How long a connection may do nothing.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Without a request, or with answers of which nothing is taken.
    pub idle: Duration,
    /// With bytes written of which the peer takes none.
    pub write: Duration,
}

/// What one connection does.
#[derive(Debug)]
pub struct Activity {
    start: Instant,
    /// Requests whose answer has not begun.
    handled: AtomicUsize,
    /// When something last happened, milliseconds since `start`.
    last: AtomicU64,
}

impl Activity {
    /// A new connection.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            handled: AtomicUsize::new(0),
            last: AtomicU64::new(0),
        })
    }

    /// A request begins.
    pub fn begin(self: &Arc<Self>) -> Handled {
        self.handled.fetch_add(1, Ordering::Relaxed);
        self.touch();
        Handled(self.clone())
    }

    fn touch(&self) {
        let now = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(now, Ordering::Relaxed);
    }

    /// How long nothing has happened.
    fn idle(&self) -> Duration {
        if self.handled.load(Ordering::Relaxed) > 0 {
            return Duration::ZERO;
        }
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        self.start.elapsed().saturating_sub(last)
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub struct Handled(Arc<Activity>);

impl Handled {
    /// The answer begins. One that ends HTTP on this connection, as for a WebSocket, keeps it busy for ever: whoever took
    /// it over has limits of its own.
    pub fn answer(self, response: Response) -> Response {
        let activity = self.0.clone();
        if response.status() == axum::http::StatusCode::SWITCHING_PROTOCOLS {
            mem::forget(self);
            return response;
        }
        response.map(|body| Body::new(Watched { body, activity }))
    }
}

impl Drop for Handled {
    fn drop(&mut self) {
        self.0.handled.fetch_sub(1, Ordering::Relaxed);
        self.0.touch();
    }
}

/// An answer's body, of which every piece that is taken counts as activity.
struct Watched {
    body: Body,
    activity: Arc<Activity>,
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.activity.touch();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection that ends when nothing happens on it.
pub struct Restless<S> {
    stream: S,
    activity: Arc<Activity>,
    patience: Patience,
    idle: Pin<Box<Sleep>>,
    /// Set while the peer takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
}

impl<S> Restless<S> {
    /// Watches a connection.
    pub fn new(stream: S, activity: Arc<Activity>, patience: Patience) -> Self {
        Self {
            stream,
            activity,
            patience,
            idle: Box::pin(tokio::time::sleep(patience.idle)),
            stuck: None,
        }
    }

    /// Passes on what a write gave, unless that has been nothing for too long.
    fn written<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stuck = None;
            return written;
        }
        let time = self.patience.write;
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(time)));
        ready!(stuck.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Restless<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(read) = Pin::new(&mut self.stream).poll_read(context, buffer) {
            return Poll::Ready(read);
        }
        while self.idle.as_mut().poll(context).is_ready() {
            let left = self.patience.idle.saturating_sub(self.activity.idle());
            if left.is_zero() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.idle.set(tokio::time::sleep(left));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Restless<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(written, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(written, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.written(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.written(shut, context)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Patience = Patience {
        idle: Duration::from_millis(100),
        write: Duration::from_millis(100),
    };

    async fn ended<T>(result: impl Future<Output = io::Result<T>>) -> bool {
        let result = tokio::time::timeout(Duration::from_secs(5), result).await;
        matches!(result, Ok(Err(error)) if error.kind() == io::ErrorKind::TimedOut)
    }

    #[tokio::test]
    async fn a_connection_without_requests_ends_and_one_with_some_does_not() {
        let (_peer, stream) = duplex(64);
        let activity = Activity::new();
        let mut connection = Restless::new(stream, activity.clone(), PATIENCE);
        let handled = activity.begin();
        let long = PATIENCE.idle * 4;
        assert!(
            tokio::time::timeout(long, connection.read_u8())
                .await
                .is_err()
        );
        let response = handled.answer(Response::new(Body::from("abc")));
        let mut body = response.into_body().into_data_stream();
        // The answer is taken, and then nothing more comes.
        assert_eq!(body.next().await.unwrap().unwrap(), "abc");
        assert!(ended(connection.read_u8()).await);
    }

    #[tokio::test]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (mut peer, stream) = duplex(64);
        let mut connection = Restless::new(stream, Activity::new(), PATIENCE);
        assert!(ended(connection.write_all(&[0; 1000])).await);
        // One that takes its time is not.
        let (mut slow, stream) = duplex(64);
        let mut connection = Restless::new(stream, Activity::new(), PATIENCE);
        let reading = async {
            for _ in 0..10 {
                tokio::time::sleep(PATIENCE.write / 2).await;
                slow.read_exact(&mut [0; 64]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(connection.write_all(&[0; 640]), reading);
        written.unwrap();
        let _ = peer.read(&mut [0; 64]).await;
    }
}
