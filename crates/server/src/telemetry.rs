//! The log, and traces for OpenTelemetry.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{EnvFilter, Layer, Registry};

use crate::config::{Config, LogFormat};

/// Why nothing can be logged.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter's address can't be used.
    #[error("--otlp: {0}")]
    Exporter(#[from] ExporterBuildError),
    /// Another log is installed.
    #[error("the log: {0}")]
    Log(#[from] TryInitError),
    /// What to log can't be understood.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Sends what is left when it is dropped.
pub struct Telemetry(Option<SdkTracerProvider>);

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.0.as_ref().map(SdkTracerProvider::shutdown) {
            eprintln!("maoocr: the last traces were not sent: {error}");
        }
    }
}

/// Starts the log, and traces where the configuration names a collector. Once a process, outside an async runtime.
pub fn start(config: &Config) -> Result<Telemetry, TelemetryError> {
    let said = std::env::var("RUST_LOG").unwrap_or_default();
    // Of libraries only what goes wrong.
    let usual = "warn,maoocr_server=info,maoocr_runtime=info";
    let filter = EnvFilter::try_new(if said.is_empty() { usual } else { &said })?;
    let log: Box<dyn Layer<Registry> + Send + Sync> = match config.log {
        LogFormat::Text => tracing_subscriber::fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
        LogFormat::Json => tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(std::io::stderr)
            .with_filter(filter)
            .boxed(),
    };
    let registry = tracing_subscriber::registry().with(log);
    let Some(address) = &config.otlp else {
        registry.try_init()?;
        return Ok(Telemetry(None));
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(format!("{}/v1/traces", address.trim_end_matches('/')))
        .build()?;
    let provider = SdkTracerProvider::builder()
        .with_resource(Resource::builder().with_service_name("maoocr").build())
        .with_batch_exporter(exporter)
        .build();
    let traces = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("maoocr"))
        .with_filter(tracing_subscriber::filter::LevelFilter::INFO);
    registry.with(traces).try_init()?;
    Ok(Telemetry(Some(provider)))
}
