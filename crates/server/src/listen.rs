//! Accepts connections: how many, and how long they may take to send a request, to take an answer, or to do nothing.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::response::Response;
use axum_server::Handle;
use axum_server::accept::Accept;
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::Service;

use crate::activity::{Activity, Patience, Restless};
use crate::config::Config;
use crate::network::{Network, subscriber};

/// A connection that hasn't sent its headers after this time is closed.
const HEADERS: Duration = Duration::from_secs(10);
/// A connection that finds no free place within this time is closed.
const WAIT: Duration = Duration::from_secs(5);
/// Longest headers, bytes.
const BUFFER: usize = 64 << 10;
/// Simultaneous requests on one HTTP/2 connection.
const STREAMS: u32 = 64;

/// Which connections a listener takes.
pub struct Admission {
    /// Simultaneous ones.
    pub connections: u32,
    /// Of them, those from one address; none: all.
    pub by_address: Option<u32>,
    /// Proxies, whose connections are those of many.
    pub trusted: Vec<Network>,
    /// How long one may do nothing.
    pub patience: Patience,
}

impl Admission {
    /// As configured, for the listener of the API.
    pub fn new(config: &Config) -> Self {
        Self {
            connections: config.max_connections,
            by_address: config.connections_by_address(),
            trusted: config.trusted_proxies.clone(),
            patience: Patience {
                idle: config.idle_timeout,
                write: config.write_timeout,
            },
        }
    }
}

/// Serves until the handle is shut down.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    handle: Handle<SocketAddr>,
    admission: Admission,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle)
        .first_request_timeout(HEADERS)
        .acceptor(Places::new(admission));
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

/// Accepts as many connections as there are places.
#[derive(Clone)]
struct Places(Arc<Admitted>);

struct Admitted {
    admission: Admission,
    places: Arc<Semaphore>,
    by_address: Mutex<HashMap<IpAddr, u32>>,
}

impl Places {
    fn new(admission: Admission) -> Self {
        let places = Arc::new(Semaphore::new(admission.connections as usize));
        Self(Arc::new(Admitted {
            admission,
            places,
            by_address: Mutex::default(),
        }))
    }
}

impl Admitted {
    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        self.by_address.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Counts a connection from this address.
    fn count(self: &Arc<Self>, address: IpAddr) -> io::Result<Counted> {
        let address = address.to_canonical();
        let most = self.admission.by_address;
        let Some(most) =
            most.filter(|_| !self.admission.trusted.iter().any(|n| n.contains(address)))
        else {
            return Ok(Counted(None));
        };
        let address = subscriber(address);
        let mut counts = self.lock();
        let count = counts.entry(address).or_default();
        if *count >= most {
            return Err(io::Error::other("too many connections from one address"));
        }
        *count += 1;
        Ok(Counted(Some((self.clone(), address))))
    }
}

/// A connection that counts for its address, until it is dropped.
struct Counted(Option<(Arc<Admitted>, IpAddr)>);

impl Drop for Counted {
    fn drop(&mut self) {
        let Some((admitted, address)) = &self.0 else {
            return;
        };
        let mut counts = admitted.lock();
        if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

impl<S: Send + 'static> Accept<TcpStream, S> for Places {
    type Stream = Restless<TcpStream>;
    type Service = Placed<S>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Placed<S>)>> + Send>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let admitted = self.0.clone();
        Box::pin(async move {
            let counted = admitted.count(stream.peer_addr()?.ip())?;
            stream.set_nodelay(true)?;
            let place = tokio::time::timeout(WAIT, admitted.places.clone().acquire_owned()).await;
            let place = place
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
                .map_err(io::Error::other)?;
            let activity = Activity::new();
            let stream = Restless::new(stream, activity.clone(), admitted.admission.patience);
            let service = Placed {
                service,
                activity,
                _place: Arc::new((place, counted)),
            };
            Ok((stream, service))
        })
    }
}

/// A connection's service, which holds its place.
#[derive(Clone)]
struct Placed<S> {
    service: S,
    activity: Arc<Activity>,
    _place: Arc<(OwnedSemaphorePermit, Counted)>,
}

impl<R, S> Service<R> for Placed<S>
where
    S: Service<R, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let handled = self.activity.begin();
        let answer = self.service.call(request);
        Box::pin(async move { Ok(handled.answer(answer.await?)) })
    }
}
