//! Drains bodies that nobody wants any more.
//!
//! A client that is refused while still sending, and then finds the connection closed, may never see why. So whatever a
//! handler leaves of a body is read and discarded, within limits.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use http_body::{Body as HttpBody, Frame, SizeHint};

/// The most that is discarded, bytes.
const MOST: usize = 16 << 20;
/// The longest time spent on it.
const TIME: Duration = Duration::from_secs(5);

/// Discards what the handler leaves of the request's body.
pub async fn rest(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Drained(Some(body)))))
        .await
}

/// A body whose rest is discarded on drop; none once it has been read to the end.
struct Drained(Option<Body>);

impl HttpBody for Drained {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        // Nothing more follows an error either.
        if !matches!(frame, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(SizeHint::default, HttpBody::size_hint)
    }
}

impl Drop for Drained {
    fn drop(&mut self) {
        let Some(body) = self.0.take().filter(|body| !body.is_end_stream()) else {
            return;
        };
        // Not while the runtime shuts down: the connection ends with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(tokio::time::timeout(TIME, async move {
            let mut stream = body.into_data_stream();
            let mut seen = 0;
            while let Some(Ok(chunk)) = stream.next().await {
                seen += chunk.len();
                if seen > MOST {
                    break;
                }
            }
        }));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn what_is_left_of_a_body_is_read() {
        let seen = Arc::new(AtomicUsize::new(0));
        let count = seen.clone();
        let chunks = futures_util::stream::iter(0..100).map(move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        let mut body = Body::new(Drained(Some(Body::from_stream(chunks)))).into_data_stream();
        body.next().await.unwrap().unwrap();
        assert_eq!(seen.load(Ordering::Relaxed), 1);
        drop(body);
        while seen.load(Ordering::Relaxed) < 100 {
            tokio::task::yield_now().await;
        }
    }
}
