//! Connections: how many, and how long they may take to say what they want.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

/// A connection that has not sent its headers after so long is closed.
const HEADERS: Duration = Duration::from_secs(10);
/// A connection that finds no place for so long is closed.
const WAIT: Duration = Duration::from_secs(5);
/// Longest headers, bytes.
const BUFFER: usize = 64 << 10;
/// Requests at the same time on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// Serves until the handle says stop.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
    connections: u32,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle)
        .first_request_timeout(HEADERS)
        .acceptor(Places(Arc::new(Semaphore::new(connections as usize))));
    let builder = server.http_builder();
    builder
        .http1()
        .header_read_timeout(HEADERS)
        .max_buf_size(BUFFER);
    builder
        .http2()
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(BUFFER as u32)
        .keep_alive_interval(Duration::from_secs(30));
    server
        .serve(router.into_make_service_with_connect_info::<SocketAddr>())
        .await
}

/// Lets in as many connections as there are places.
#[derive(Clone)]
struct Places(Arc<Semaphore>);

impl<S: Send + 'static> Accept<TcpStream, S> for Places {
    type Stream = TcpStream;
    type Service = Placed<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(TcpStream, Placed<S>)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let places = self.0.clone();
        Box::pin(async move {
            stream.set_nodelay(true)?;
            let place = tokio::time::timeout(WAIT, places.acquire_owned()).await;
            let place = place
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                .map_err(io::Error::other)?;
            let service = Placed {
                service,
                _place: Arc::new(place),
            };
            Ok((stream, service))
        })
    }
}

/// A connection's service, which holds its place.
#[derive(Clone)]
struct Placed<S> {
    service: S,
    _place: Arc<OwnedSemaphorePermit>,
}

impl<R, S: Service<R>> Service<R> for Placed<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.service.call(request)
    }
}
