//! From the configuration to a running server, and to its end.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum_server::Handle;
use maoocr_engine::imaging::Page;
use maoocr_engine::plan::Requirements;
use maoocr_models::Store as Files;
use maoocr_runtime::{Device, RuntimeError};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::{self, App};
use crate::auth::Keys;
use crate::config::{Config, ConfigError, Switch};
use crate::fetch::Fetcher;
use crate::jobs::{self, RunningItems};
use crate::models::Models;
use crate::pool::Pool;
use crate::store::{self, StoreError};
use crate::telemetry::{self, TelemetryError};
use crate::{cache, listen, metrics};

/// Why the server does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Options that can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The device can't be used.
    #[error(transparent)]
    Device(#[from] RuntimeError),
    /// The log or the traces can't be started.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Redis's address can't be used.
    #[error("--redis-url: {0}")]
    Cache(String),
    /// The client for `image_url` can't be made.
    #[error("--url-hosts: {0}")]
    Fetcher(#[from] reqwest::Error),
    /// The counters can't be installed.
    #[error("the metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The address can't be listened on.
    #[error("listening on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The system refused a thread or a signal.
    #[error(transparent)]
    System(#[from] std::io::Error),
    /// The models can't run.
    #[error("warming up: {0}")]
    WarmUp(String),
}

/// Where jobs, history and keys are kept: as configured, else in the user's data folder.
pub fn database(url: Option<&str>, data: Option<PathBuf>) -> Result<String, ConfigError> {
    if let Some(url) = url {
        return Ok(url.into());
    }
    let usual = || dirs::data_dir().map(|d| d.join("maoocr"));
    let folder = data.or_else(usual).ok_or_else(|| {
        ConfigError("there is no home folder: say where data is kept with --data".into())
    })?;
    Ok(format!("sqlite:{}", folder.join("maoocr.db").display()))
}

/// Runs the server until it is told to stop by SIGTERM or Ctrl-C. `files` holds the models.
pub fn serve(config: Config, files: Files) -> Result<(), ServeError> {
    config.check()?;
    // One provider for every TLS client. A second call finds the first one's, which is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let _telemetry = telemetry::start(&config)?;
    maoocr_runtime::cpu::set_threads(config.threads.into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(config, files))
}

async fn run(config: Config, files: Files) -> Result<(), ServeError> {
    let device = Device::parse(&config.device)?;
    let listen = config.listen;
    let listener = TcpListener::bind(listen).map_err(|e| ServeError::Listen(listen, e))?;
    let address = listener.local_addr()?;
    let beside = match config.metrics_listen {
        Some(at) => Some(TcpListener::bind(at).map_err(|e| ServeError::Listen(at, e))?),
        None => None,
    };
    let app = Arc::new(make(config, files, device).await?);
    print_settings(&app.config, address, &app);

    let handle = Handle::new();
    let mut tasks = tokio::task::JoinSet::new();
    let connections = app.config.max_connections;
    tasks.spawn(listen::serve(
        listener,
        app::router(app.clone()),
        handle.clone(),
        connections,
    ));
    if let Some(listener) = beside {
        let router = app::metrics_router(app.clone());
        tasks.spawn(listen::serve(listener, router, handle.clone(), 16));
    }
    let jobs = tokio::spawn(jobs::run(app.clone()));
    tokio::spawn(jobs::retain(app.clone()));
    tokio::spawn(reload_on_signal(app.clone()));

    let warming = app.clone();
    let warm = tokio::task::spawn_blocking(move || warm_up(&warming));
    let outcome = tokio::select! {
        result = warmed(warm, &app) => result,
        // A connection problem is the connection's; what ends a listener ends the server.
        ended = tasks.join_next() => Err(listener_ended(ended)),
        () = told_to_stop() => Ok(()),
    };
    tracing::info!("stopping: no more is taken on, what is being read is finished");
    app.stopping.cancel();
    handle.graceful_shutdown(Some(app.config.drain));
    while tasks.join_next().await.is_some() {}
    // It gives back what it holds.
    let _ = jobs.await;
    let _ = tokio::task::spawn_blocking(move || app.pool.close()).await;
    outcome
}

fn listener_ended(
    ended: Option<Result<std::io::Result<()>, tokio::task::JoinError>>,
) -> ServeError {
    let error = match ended {
        Some(Ok(Err(error))) => error,
        _ => std::io::Error::other("a listener ended"),
    };
    ServeError::System(error)
}

/// Ends when the models can't run; else never.
async fn warmed(
    warm: tokio::task::JoinHandle<Result<(), String>>,
    app: &App,
) -> Result<(), ServeError> {
    match warm.await {
        Ok(Ok(())) => {
            app.warm.store(true, Ordering::Relaxed);
            tracing::info!(device = app.device, "ready");
            std::future::pending().await
        }
        Ok(Err(reason)) => Err(ServeError::WarmUp(reason)),
        Err(error) => Err(ServeError::WarmUp(error.to_string())),
    }
}

async fn make(config: Config, files: Files, device: Device) -> Result<App, ServeError> {
    let recorder = metrics::install()?;
    let database = database(config.database_url.as_deref(), config.data.clone())?;
    let store = store::open(&database).await?;
    let bytes = config.cache << 20;
    let (cache, limiter) = cache::open(config.redis_url.as_deref(), bytes, config.cache_time)
        .await
        .map_err(|e| ServeError::Cache(e.to_string()))?;
    let models = Models::new(files, device, config.model_memory << 20);
    let workers = config.worker_count(models.is_gpu());
    let pool = Pool::start(workers, config.queue_length(workers))?;
    Ok(App {
        limits: config.limits(),
        device: models.device(),
        models,
        pool,
        store,
        cache,
        limiter,
        keys: Keys::new(&config),
        fetcher: Fetcher::new(&config.url_hosts)?,
        recorder,
        work: Notify::new(),
        running: RunningItems::default(),
        websockets: AtomicUsize::new(0),
        stopping: CancellationToken::new(),
        upload_memory: Arc::new(Semaphore::new((config.upload_memory << 10) as usize)),
        warm: AtomicBool::new(false),
        config,
    })
}

/// Loads the models of the usual plan and runs each once: kernels are compiled and memory is laid out before anybody
/// waits for it.
fn warm_up(app: &App) -> Result<(), String> {
    let requirements = Requirements::default();
    let plan = app.models.plan(&requirements).map_err(|p| p.detail)?;
    let _models = app.models.hold(&plan).map_err(|e| e.to_string())?;
    // Low and wide: it is read as a line even though it shows none.
    let (width, height) = (320, 48);
    let page = Page {
        width,
        height,
        rgb: vec![255; (width * height * 3) as usize],
    };
    let engine = app.models.engine();
    pollster::block_on(engine.read_page(page, &plan, &mut ()))
        .map(drop)
        .map_err(|e| e.to_string())
}

/// What was decided, at the start of the log; no secrets.
fn print_settings(config: &Config, address: SocketAddr, app: &App) {
    let rate = config.usual_rate().map_or("none".into(), |r| r.to_string());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        device = app.device,
        workers = app.pool.workers(),
        queue = config.queue_length(app.pool.workers()),
        keys = config.needs_keys(),
        rate,
        history = config.history == Switch::On,
        shared = config.redis_url.is_some(),
        "starting"
    );
    if config.needs_keys() && !app.keys.any_fixed() {
        tracing::info!("callers need a key: make one with `maoocr keys create`");
    }
    if !config.edge_secrets.is_empty() {
        tracing::info!("only what an edge has signed is answered");
    } else if !config.needs_keys() && !config.listen.ip().is_loopback() {
        tracing::warn!("open to anyone who reaches {address}, as --auth open says");
    }
    tracing::info!("listening on http://{address}, described at http://{address}/docs");
}

async fn told_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                _ = tokio::signal::ctrl_c() => return,
            }
        }
    }
    // Without it the server can only be killed; then jobs go on at the next start.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reads the files of the loaded models anew on SIGHUP.
async fn reload_on_signal(app: Arc<App>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            return;
        };
        while hangup.recv().await.is_some() {
            let app = app.clone();
            let reload = move || {
                for name in app.models.loaded() {
                    if let Err(error) = app.models.reload(&name) {
                        tracing::error!(%error, "the old one goes on");
                    }
                }
            };
            // A panic is in the log.
            let _ = tokio::task::spawn_blocking(reload).await;
        }
    }
    #[cfg(not(unix))]
    drop(app);
}
