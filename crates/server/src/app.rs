//! What all requests share, and the router they pass through.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use maoocr_engine::imaging::Limits;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
use tower::{ServiceBuilder, ServiceExt};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{DefaultPredicate, NotForContentType, Predicate};
use tower_http::cors::{AllowHeaders, AllowOrigin, Any, CorsLayer};
use tower_http::request_id::{MakeRequestUuid, PropagateRequestIdLayer, SetRequestIdLayer};
use tower_http::services::{ServeDir, ServeFile};
use tracing::Instrument;

use crate::api::{self, status};
use crate::auth::{self, Keys};
use crate::body::Memory;
use crate::cache::{Cache, Limiter};
use crate::callers::Open;
use crate::config::Config;
use crate::docs;
use crate::drain;
use crate::etag;
use crate::fetch::Fetcher;
use crate::fitness::Fitness;
use crate::followers::Followers;
use crate::foreign;
use crate::jobs::RunningItems;
use crate::lines;
use crate::metrics;
use crate::models::Models;
use crate::pool::Pool;
use crate::problem::{Problem, Told};
use crate::store::{Scope, Store};
use crate::telemetry;
use crate::vision::Vision;
use crate::webhooks::Webhooks;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What all requests share.
pub struct App {
    /// The configuration.
    pub config: Config,
    /// Limits on one picture.
    pub limits: Limits,
    /// The models.
    pub models: Models,
    /// What runs them, in words.
    pub device: String,
    /// The threads that read pictures.
    pub pool: Pool,
    /// Jobs, history, keys.
    pub store: Arc<dyn Store>,
    /// Recent answers.
    pub cache: Arc<dyn Cache>,
    /// Counts requests.
    pub limiter: Arc<dyn Limiter>,
    /// API keys, with those looked up recently.
    pub keys: Keys,
    /// Fetches pictures by URL, if that is enabled.
    pub fetcher: Option<Fetcher>,
    /// The vision model elsewhere, if there is one.
    pub vision: Option<Vision>,
    /// Tells when jobs are over, if that is enabled.
    pub webhooks: Option<Webhooks>,
    /// The metrics.
    pub recorder: PrometheusHandle,
    /// Notified when there is work in the store.
    pub work: Notify,
    /// Pictures of jobs being read now.
    pub running: RunningItems,
    /// What each caller has open.
    pub open: Open,
    /// Who follows which jobs.
    pub followers: Followers,
    /// Number of open WebSockets.
    pub websockets: AtomicUsize,
    /// Cancelled when the server shuts down.
    pub stopping: CancellationToken,
    /// Memory for pictures that are arriving or waiting, KiB.
    pub upload_memory: Arc<Semaphore>,
    /// Whether this server reads right.
    pub fitness: Fitness,
}

impl App {
    /// A share of the memory for uploads, empty at first.
    pub fn memory(&self) -> Memory {
        Memory::of(&self.upload_memory)
    }
}

/// The complete HTTP interface.
pub fn router(app: Arc<App>) -> Router {
    let (api, description) = api::router();
    let api = api.route("/mcp", mcp());
    let api = api.layer(from_fn_with_state(app.clone(), auth::check));
    let open = Router::new()
        .route("/health", get(status::health))
        .route("/ready", get(status::ready));
    let docs = docs::router(&description);
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
    // Pictures are large; each handler has a limit of its own.
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::new(REQUEST_ID, MakeRequestUuid))
        .layer(from_fn(trace))
        .layer(PropagateRequestIdLayer::new(REQUEST_ID))
        .layer(from_fn(count))
        .layer(from_fn(headers))
        .layer(cors(&app.config))
        .layer(from_fn(drain::rest))
        .layer(from_fn_with_state(app.clone(), check_host))
        .layer(from_fn_with_state(app.clone(), check_page))
        .layer(from_fn(check_encoding))
        .layer(compression())
        .layer(from_fn(etag::tag))
        .layer(from_fn(foreign::errors))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(DefaultBodyLimit::disable());
    router.layer(layers).with_state(app)
}

#[cfg(feature = "mcp")]
fn mcp() -> MethodRouter<Arc<App>> {
    crate::mcp::route()
}

#[cfg(not(feature = "mcp"))]
fn mcp() -> MethodRouter<Arc<App>> {
    axum::routing::any(async || {
        Problem::new(
            StatusCode::NOT_IMPLEMENTED,
            "mcp_not_built",
            "this maoocr was built without the Model Context Protocol: build it with `cargo build --release -p maoocr-cli`",
        )
    })
}

/// `/metrics` alone, for a separate address.
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

/// The folder of the web app, if it was built.
fn web_folder(config: &Config) -> Option<std::path::PathBuf> {
    let usual = || {
        let folder = std::path::PathBuf::from("www/app/dist");
        folder.join("index.html").is_file().then_some(folder)
    };
    config.web.clone().or_else(usual)
}

/// The web app's files. All its pages are `index.html`; any other missing path is a 404.
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

/// Files with their hash in the name never change; the others are revalidated each time.
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
        "there is nothing at {}; /docs lists all paths",
        crate::input::short(uri.path())
    ))
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!(
            "{} does not accept {method}; /docs shows what it accepts",
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

/// A span around each request, and a log line at its end. Queries and headers stay out, because they may hold secrets.
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
    telemetry::adopt(&span, request.headers());
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
    if let Some(Told(problem)) = response.extensions().get() {
        metrics::problem(problem.code);
    }
    let method = match method {
        Method::GET | Method::POST | Method::DELETE | Method::HEAD | Method::OPTIONS => {
            method.to_string()
        }
        // Anything may arrive as a method, and each would become a series of its own.
        _ => "other".into(),
    };
    metrics::request(route, &method, response.status().as_u16(), began.elapsed());
    response
}

/// Headers that tell browsers what they may do with a response.
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
        // `*` would not cover `Authorization`.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([
            REQUEST_ID,
            header::RETRY_AFTER,
            header::LOCATION,
            HeaderName::from_static("x-maoocr-cache"),
            HeaderName::from_static("x-maoocr-id"),
        ])
        .max_age(Duration::from_secs(3600));
    if config.cors.iter().any(|o| o == "*") {
        return layer.allow_origin(Any);
    }
    let origins = config.cors.iter().filter_map(|o| o.parse().ok());
    layer.allow_origin(AllowOrigin::list(origins.collect::<Vec<HeaderValue>>()))
}

/// A server that is open to this machine, be it through a container's published port, must not be open to web pages shown
/// on it. A page can make its own name resolve to a loopback address (DNS rebinding), but it can't make the browser send
/// another `Host`.
async fn check_host(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    if app.config.checks_hosts()
        && !host(&request).is_some_and(|host| is_local(host, &app.config.allowed_hosts))
    {
        return Problem::new(
            StatusCode::FORBIDDEN,
            "host_not_allowed",
            "this server needs no key and answers only to certain host names: use localhost, or allow the name with --allowed-hosts",
        )
        .into_response();
    }
    next.run(request).await
}

/// Where no key is needed, any page in a caller's browser could post a form here. So what changes or costs something is
/// refused to pages of other origins; extensions of the browser, which act for the user, are let through.
async fn check_page(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let config = &app.config;
    let open = !config.needs_keys() && config.edge_secrets.is_empty();
    if open && !request.method().is_safe() {
        let text = |name: &HeaderName| request.headers().get(name).and_then(|v| v.to_str().ok());
        let origin = text(&header::ORIGIN);
        let site = text(&HeaderName::from_static("sec-fetch-site"));
        let foreign = match origin {
            Some(origin) => !is_own(origin, host(&request)) && !is_extension(origin),
            None => site.is_some_and(|site| !["same-origin", "none"].contains(&site)),
        };
        let allowed = |origin| config.cors.iter().any(|o| o == "*" || o == origin);
        if foreign && !allowed(origin.unwrap_or("null")) {
            return Problem::new(
                StatusCode::FORBIDDEN,
                "origin_not_allowed",
                "pages from this origin may not use this server, which needs no key; the operator can allow them with --cors",
            )
            .into_response();
        }
    }
    next.run(request).await
}

/// A compressed body would be taken for a file of no known format.
async fn check_encoding(request: Request, next: Next) -> Response {
    let encodings = request.headers().get_all(header::CONTENT_ENCODING);
    if encodings.iter().any(|value| value != "identity") {
        let detail =
            "compressed bodies (Content-Encoding) are not accepted: send the body as it is";
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Problem::new(status, "unsupported_encoding", detail).into_response();
    }
    next.run(request).await
}

/// The host that a request calls the server by.
fn host(request: &Request) -> Option<&str> {
    let uri = request.uri().authority().map(|a| a.as_str());
    let header = request.headers().get(header::HOST);
    uri.or_else(|| header.and_then(|v| v.to_str().ok()))
}

fn is_own(origin: &str, host: Option<&str>) -> bool {
    let own = ["http://", "https://"].map(|scheme| origin.strip_prefix(scheme));
    host.is_some_and(|host| own.contains(&Some(host)))
}

fn is_extension(origin: &str) -> bool {
    let schemes = [
        "chrome-extension://",
        "moz-extension://",
        "safari-web-extension://",
    ];
    schemes.iter().any(|scheme| origin.starts_with(scheme))
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
    // Events and pages must not wait for a block to fill; pictures are compressed already.
    let predicate = DefaultPredicate::new()
        .and(NotForContentType::new("text/event-stream"))
        .and(NotForContentType::new(lines::MEDIA_TYPE))
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
