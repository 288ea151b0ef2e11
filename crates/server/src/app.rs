//! What all requests share, and the router they go through.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use maoocr_engine::imaging::Limits;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::cors::{AllowOrigin, Any, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::services::{ServeDir, ServeFile};
use tracing::Instrument;
use utoipa_swagger_ui::SwaggerUi;

use crate::api::{self, status};
use crate::auth::{self, Keys};
use crate::cache::{Cache, Limiter};
use crate::config::Config;
use crate::drain;
use crate::etag;
use crate::fetch::Fetcher;
use crate::input::Memory;
use crate::jobs::RunningItems;
use crate::metrics;
use crate::models::Models;
use crate::pool::Pool;
use crate::problem::{Code, Problem};
use crate::store::{Scope, Store};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests share.
pub struct App {
    /// What was set.
    pub config: Config,
    /// What one picture may cost.
    pub limits: Limits,
    /// The models.
    pub models: Models,
    /// What runs them, for people.
    pub device: String,
    /// The threads that read.
    pub pool: Pool,
    /// Jobs, history, keys.
    pub store: Arc<dyn Store>,
    /// Answers given lately.
    pub cache: Arc<dyn Cache>,
    /// Who called how often.
    pub limiter: Arc<dyn Limiter>,
    /// API keys that were looked up lately.
    pub keys: Keys,
    /// Where pictures are fetched from, where they are at all.
    pub fetcher: Option<Fetcher>,
    /// What is counted.
    pub recorder: PrometheusHandle,
    /// Told when there is work in the store.
    pub work: Notify,
    /// Pictures of jobs that are being read.
    pub running: RunningItems,
    /// WebSockets that are open.
    pub websockets: AtomicUsize,
    /// Cancelled when the server is to stop.
    pub stopping: CancellationToken,
    /// Memory for pictures that arrive or wait, KiB.
    pub upload_memory: Arc<Semaphore>,
    /// Whether the models have run once.
    pub warm: AtomicBool,
}

impl App {
    /// Whether the models have run once.
    pub fn is_warm(&self) -> bool {
        self.warm.load(Ordering::Relaxed)
    }

    /// A share of the memory for pictures.
    pub fn memory(&self, bytes: usize) -> Result<Memory, Problem> {
        let kib = bytes.div_ceil(1024).max(1) as u32;
        let memory = self.upload_memory.clone().try_acquire_many_owned(kib);
        memory.map_err(|_| {
            let detail = "more pictures are arriving than there is memory for; try again shortly";
            Problem::busy("uploads_full", detail, 2)
        })
    }
}

/// The whole interface.
pub fn router(app: Arc<App>) -> Router {
    let (api, description) = api::router();
    let api = api.layer(from_fn_with_state(app.clone(), auth::check));
    let open = Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(status::ready));
    let docs = SwaggerUi::new("/docs").url("/openapi.json", description);
    let mut router = Router::new().merge(api).merge(open).merge(docs);
    if app.config.metrics_listen.is_none() {
        let metrics = Router::new()
            .route("/metrics", get(guarded_metrics))
            .layer(from_fn_with_state(app.clone(), auth::check));
        router = router.merge(metrics);
    }
    let router = match web_folder(&app.config) {
        Some(folder) => router
            .nest("/api", Router::new().fallback(unknown))
            .fallback_service(web_app(&folder)),
        None => router.fallback(unknown),
    };
    let router = router.method_not_allowed_fallback(wrong_method);
    // Large pictures come; each handler has a limit of its own.
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn(trace))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(from_fn(count))
        .layer(from_fn(headers))
        .layer(cors(&app.config))
        .layer(from_fn(drain::rest))
        .layer(from_fn_with_state(app.clone(), check_host))
        .layer(compression())
        .layer(from_fn(etag::tag))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::disable());
    router.layer(layers).with_state(app)
}

/// `/metrics` alone, for an address of its own.
pub fn metrics_router(app: Arc<App>) -> Router {
    Router::new()
        .route("/metrics", get(status::metrics))
        .with_state(app)
}

async fn guarded_metrics(
    state: State<Arc<App>>,
    caller: axum::extract::Extension<auth::Caller>,
) -> Result<Response, Problem> {
    caller.needs(Scope::Metrics)?;
    Ok(status::metrics(state).await)
}

/// Where the web app lies, if it was built.
fn web_folder(config: &Config) -> Option<std::path::PathBuf> {
    let usual = || {
        let folder = std::path::PathBuf::from("www/app/dist");
        folder.join("index.html").is_file().then_some(folder)
    };
    config.web.clone().or_else(usual)
}

/// The web app's files. Its pages are all the same file; what else isn't there isn't there.
fn web_app(folder: &std::path::Path) -> Router {
    let index = ServeFile::new(folder.join("index.html"));
    let pages = tower::service_fn(move |request: Request| {
        let wanted = request.headers().get(header::ACCEPT);
        let page = wanted.is_some_and(|v| v.to_str().is_ok_and(|v| v.contains("text/html")));
        let (index, uri) = (index.clone(), request.uri().clone());
        async move {
            if !page {
                return Ok(unknown(uri).await.into_response());
            }
            index
                .oneshot(request)
                .await
                .map(IntoResponse::into_response)
        }
    });
    let files = ServeDir::new(folder)
        .precompressed_br()
        .precompressed_gzip()
        .fallback(pages);
    Router::new()
        .fallback_service(files)
        .layer(from_fn(cache_files))
}

/// Files whose name holds their hash never change; the others are asked for anew each time.
async fn cache_files(request: Request, next: Next) -> Response {
    let hashed = request.uri().path().starts_with("/assets/");
    let mut response = next.run(request).await;
    if response.status().is_success() {
        let value = if hashed {
            "public, max-age=31536000, immutable"
        } else {
            "no-cache"
        };
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}

async fn unknown(uri: Uri) -> Problem {
    Problem::not_found(format!(
        "there is nothing at {}; /docs shows what there is",
        crate::input::short(uri.path())
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{} is not done with {method}; /docs shows how it is",
            crate::input::short(uri.path())
        ),
    )
}

fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    let cause = cause
        .downcast_ref::<&str>()
        .map(ToString::to_string)
        .or_else(|| cause.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    Problem::internal("server_failed", cause).into_response()
}

/// A span around each request, and a line at its end. Neither query nor headers: they may hold what is nobody's
/// business.
async fn trace(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let path = request.uri().path().to_string();
    let id = request.headers().get(REQUEST_ID);
    let span = tracing::info_span!(
        "request",
        method = %request.method(),
        path,
        id = id.and_then(|v| v.to_str().ok()).unwrap_or(""),
    );
    async move {
        let response = next.run(request).await;
        let (status, seconds) = (response.status().as_u16(), began.elapsed().as_secs_f64());
        match path.as_str() {
            // Asked for every few seconds, by machines.
            "/health" | "/ready" | "/metrics" => tracing::debug!(status, seconds, "answered"),
            _ => tracing::info!(status, seconds, "answered"),
        }
        response
    }
    .instrument(span)
    .await
}

async fn count(request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| "other".to_string(), |path| path.as_str().to_string());
    let response = next.run(request).await;
    if let Some(Code(code)) = response.extensions().get() {
        metrics::problem(code);
    }
    let method = match method {
        Method::GET | Method::POST | Method::DELETE | Method::HEAD | Method::OPTIONS => {
            method.to_string()
        }
        // Anything may come as a method; each would be a series of its own.
        _ => "other".into(),
    };
    metrics::request(route, &method, response.status().as_u16(), began.elapsed());
    response
}

/// What browsers may do with what they get.
async fn headers(request: Request, next: Next) -> Response {
    let docs = request.uri().path().starts_with("/docs");
    let mut response = next.run(request).await;
    let policy = if docs {
        // Its page sets styles on its elements.
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
         connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    } else {
        "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
         media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self' ws: wss:; font-src 'self'; \
         object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    };
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", policy),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        (
            "permissions-policy",
            "camera=(self), microphone=(), geolocation=()",
        ),
    ] {
        headers
            .entry(HeaderName::from_static(name))
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

fn cors(config: &Config) -> CorsLayer {
    let layer = CorsLayer::new()
        .allow_methods([Method::GET, Method::POST, Method::DELETE])
        .allow_headers(Any)
        .expose_headers([
            REQUEST_ID,
            header::RETRY_AFTER,
            header::LOCATION,
            HeaderName::from_static("x-maoocr-cache"),
        ])
        .max_age(Duration::from_secs(3600));
    if config.cors.iter().any(|o| o == "*") {
        return layer.allow_origin(Any);
    }
    let origins = config.cors.iter().filter_map(|o| o.parse().ok());
    layer.allow_origin(AllowOrigin::list(origins.collect::<Vec<HeaderValue>>()))
}

/// A server that is open to this machine must not be open to the web pages its browsers show: a page can have its own
/// name resolve to a loopback address, but it can't have the browser say another name.
async fn check_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.config.is_private() {
        let uri = request.uri().authority().map(|a| a.as_str());
        let header = request.headers().get(header::HOST);
        let host = uri.or_else(|| header.and_then(|v| v.to_str().ok()));
        if !host.is_some_and(|host| is_local(host, &app.config.allowed_hosts)) {
            return Problem::new(
                StatusCode::FORBIDDEN,
                "host_not_allowed",
                "this server is open to this machine alone: call it localhost, or allow the name with --allowed-hosts",
            )
            .into_response();
        }
    }
    next.run(request).await
}

fn is_local(host: &str, allowed: &[String]) -> bool {
    let name = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or(""),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    let address = name.parse::<std::net::IpAddr>();
    address.is_ok_and(|a| a.is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || allowed.iter().any(|a| a.eq_ignore_ascii_case(name))
}

fn compression() -> CompressionLayer<impl Predicate> {
    // Events must not wait for a block to fill; pictures are compressed already.
    let predicate = DefaultPredicate::new()
        .and(NotForContentType::new("text/event-stream"))
        .and(NotForContentType::new("application/wasm"));
    CompressionLayer::new().compress_when(predicate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_local() {
        let allowed = ["ocr.local".to_string()];
        for host in [
            "localhost",
            "localhost:8787",
            "LOCALHOST:1",
            "127.0.0.1:8787",
            "[::1]:8787",
            "ocr.local:80",
        ] {
            assert!(is_local(host, &allowed), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:8787",
            "localhost.evil.example",
            "",
            "192.168.1.2",
        ] {
            assert!(!is_local(host, &allowed), "{host}");
        }
    }
}
