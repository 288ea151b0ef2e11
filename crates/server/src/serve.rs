//! Starts the server from its configuration, and shuts it down.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use axum_server::Handle;
use maoocr_models::Store as Files;
use maoocr_runtime::{Device, RuntimeError};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::app::{self, App};
use crate::auth::Keys;
use crate::callers::Open;
use crate::config::{Config, ConfigError, Switch};
use crate::fetch::Fetcher;
use crate::fitness::{self, Fitness};
use crate::followers::{self, Followers};
use crate::jobs::{self, RunningItems};
use crate::listen::Admission;
use crate::models::Models;
use crate::pool::Pool;
use crate::store::{self, StoreError};
use crate::telemetry::{self, TelemetryError};
use crate::vision::Vision;
use crate::webhooks::Webhooks;
use crate::{cache, listen, metrics, retention, webhooks};

/// Why the server can't run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The options are invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The device is unavailable.
    #[error(transparent)]
    Device(#[from] RuntimeError),
    /// The log or the traces can't be started.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// The store can't be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The Redis URL is invalid.
    #[error("--redis-url: {0}")]
    Cache(String),
    /// The client for `image_url`, webhooks or the vision model can't be created.
    #[error("--url-hosts, --webhook-hosts, --vlm-url: {0}")]
    Fetcher(#[from] reqwest::Error),
    /// The metrics recorder can't be installed.
    #[error("can't start the metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// Can't listen on the address.
    #[error("can't listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// The system refused a thread or a signal.
    #[error(transparent)]
    System(#[from] std::io::Error),
}

/// The URL of the database: as configured, else a SQLite file in `data` or the user's data folder.
///
/// # Errors
/// There is no URL, no folder and no home folder.
pub fn database(url: Option<&str>, data: Option<PathBuf>) -> Result<String, ConfigError> {
    if let Some(url) = url {
        return Ok(url.into());
    }
    let usual = || dirs::data_dir().map(|d| d.join("maoocr"));
    let folder = data.or_else(usual).ok_or_else(|| {
        ConfigError("there is no home folder: set the data folder with --data".into())
    })?;
    Ok(format!("sqlite:{}", folder.join("maoocr.db").display()))
}

/// Runs the server until SIGTERM or Ctrl-C. `files` holds the models.
///
/// # Errors
/// The server can't start, or a listener fails.
pub fn serve(config: Config, files: Files) -> Result<(), ServeError> {
    let (_telemetry, runtime) = prepare(&config)?;
    runtime.block_on(run(config, files))
}

/// Checks the configuration, and starts the log and the runtime.
pub(crate) fn prepare(
    config: &Config,
) -> Result<(telemetry::Telemetry, tokio::runtime::Runtime), ServeError> {
    config.check()?;
    // One provider for every TLS client. A second call finds the same one installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let telemetry = telemetry::start(config)?;
    maoocr_runtime::cpu::set_threads(config.threads.into());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    Ok((telemetry, runtime))
}

async fn run(config: Config, files: Files) -> Result<(), ServeError> {
    let listen = config.listen;
    let listener = TcpListener::bind(listen).map_err(|e| ServeError::Listen(listen, e))?;
    let address = listener.local_addr()?;
    let beside = match config.metrics_listen {
        Some(at) => Some(TcpListener::bind(at).map_err(|e| ServeError::Listen(at, e))?),
        None => None,
    };
    let app = Arc::new(make(config, files).await?);
    print_settings(&app.config, address, &app);

    let handle = Handle::new();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(listen::serve(
        listener,
        app::router(app.clone()),
        handle.clone(),
        Admission::new(&app.config),
    ));
    if let Some(listener) = beside {
        let router = app::metrics_router(app.clone());
        let admission = Admission {
            connections: 16,
            by_address: None,
            ..Admission::new(&app.config)
        };
        tasks.spawn(listen::serve(listener, router, handle.clone(), admission));
    }
    let jobs = tokio::spawn(jobs::run(app.clone()));
    tokio::spawn(retention::retain(app.clone()));
    tokio::spawn(webhooks::run(app.clone()));
    tokio::spawn(followers::tend(app.clone()));
    let upkeep = metrics::tend(app.recorder.clone(), Duration::from_secs(5));
    tokio::spawn(upkeep);
    tokio::spawn(reload_on_signal(app.clone()));

    tokio::spawn(fitness::tend(app.clone()));

    let outcome = tokio::select! {
        // A connection may fail alone; a listener that ends takes the server with it.
        ended = tasks.join_next() => Err(listener_ended(ended)),
        () = told_to_stop() => Ok(()),
    };
    tracing::info!("shutting down: accepting no more work, finishing what is being read");
    app.stopping.cancel();
    handle.graceful_shutdown(Some(app.config.drain));
    while tasks.join_next().await.is_some() {}
    // It returns its claimed pictures.
    let _ = jobs.await;
    let _ = tokio::task::spawn_blocking(move || app.pool.close()).await;
    outcome
}

fn listener_ended(
    ended: Option<Result<std::io::Result<()>, tokio::task::JoinError>>,
) -> ServeError {
    let error = match ended {
        Some(Ok(Err(error))) => error,
        _ => std::io::Error::other("a listener stopped"),
    };
    ServeError::System(error)
}

/// What all requests share.
pub(crate) async fn make(config: Config, files: Files) -> Result<App, ServeError> {
    let device = Device::parse(&config.device)?;
    let recorder = metrics::install()?;
    let database = database(config.database_url.as_deref(), config.data.clone())?;
    let store = store::open_with(&database, config.database_connections).await?;
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
        vision: Vision::new(&config.vision)?,
        webhooks: Webhooks::new(&config)?,
        recorder,
        work: Notify::new(),
        running: RunningItems::default(),
        open: Open::default(),
        followers: Followers::default(),
        websockets: AtomicUsize::new(0),
        stopping: CancellationToken::new(),
        upload_memory: Arc::new(Semaphore::new((config.upload_memory << 10) as usize)),
        fitness: Fitness::default(),
        config,
    })
}

/// Logs the effective settings at the start; no secrets.
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
    if let Some(vision) = &app.vision {
        tracing::info!(
            model = vision.model(),
            "a vision model reads what asks for high accuracy and complex layout"
        );
    }
    if config.needs_keys() && !app.keys.any_fixed() {
        tracing::info!("callers need a key: create one with `maoocr keys create`");
    }
    if !config.edge_secrets.is_empty() {
        tracing::info!("answering only requests signed by an edge");
        if config.edge_origins.is_empty() {
            tracing::warn!(
                "a signature made for another server with this secret could be used here: set --edge-origin"
            );
        }
    } else if !config.needs_keys() && !config.listen.ip().is_loopback() {
        tracing::warn!("open to anyone who can reach {address}, because of --auth open");
    }
    tracing::info!("listening on http://{address}, documentation at http://{address}/docs");
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
    // Without signals the server can only be killed; jobs then continue at the next start.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Reloads the loaded models from their files on SIGHUP.
async fn reload_on_signal(app: Arc<App>) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            return;
        };
        while hangup.recv().await.is_some() {
            let (app, doubting) = (app.clone(), app.clone());
            let reload = move || {
                for name in app.models.loaded() {
                    if let Err(error) = app.models.reload(&name) {
                        tracing::error!(%error, "reloading failed; the old model stays");
                    }
                }
            };
            // A panic is logged.
            let _ = tokio::task::spawn_blocking(reload).await;
            doubting.fitness.doubt();
        }
    }
    #[cfg(not(unix))]
    drop(app);
}
