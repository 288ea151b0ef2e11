//! The log, and traces for OpenTelemetry.

use std::io::IsTerminal;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Layer, Registry};

use crate::config::{Config, LogFormat};

/// Why logging can't start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter's URL is invalid.
    #[cfg(feature = "otlp")]
    #[error("--otlp: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The server was built without them.
    #[cfg(not(feature = "otlp"))]
    #[error("--otlp: this build sends no traces; build with the feature `otlp`")]
    NotBuilt,
    /// Another logger is installed.
    #[error("the log: {0}")]
    Log(#[from] TryInitError),
    /// The log filter is invalid.
    #[error("RUST_LOG: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
}

/// Flushes pending traces on drop.
pub struct Telemetry {
    #[cfg(feature = "otlp")]
    _traces: Option<traces::Sender>,
}

/// Starts the log, and traces if the configuration names a collector. Call it once per process, outside an async runtime.
///
/// # Errors
/// The exporter's URL or the log filter is invalid, or a logger is already installed.
pub fn start(config: &Config) -> Result<Telemetry, TelemetryError> {
    let said = std::env::var("RUST_LOG").unwrap_or_default();
    // From libraries, only warnings and errors; none from decoders, of whose files the caller hears, and none from MCP's,
    // to which a client that hangs up is an error.
    let usual = "warn,maoocr_server=info,maoocr_runtime=info,jxl=off,lopdf=off,rmcp=off";
    // Levels by target. Directives for single spans and fields would bring a regex engine into the build.
    let filter: Targets = if said.is_empty() { usual } else { &said }.parse()?;
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
        return Ok(Telemetry {
            #[cfg(feature = "otlp")]
            _traces: None,
        });
    };
    #[cfg(feature = "otlp")]
    {
        let (layer, sender) = traces::send_to(address)?;
        registry.with(layer).try_init()?;
        Ok(Telemetry {
            _traces: Some(sender),
        })
    }
    #[cfg(not(feature = "otlp"))]
    {
        let _ = address;
        Err(TelemetryError::NotBuilt)
    }
}

/// Makes a request's span part of its caller's trace, if the caller names one (W3C Trace Context).
pub fn adopt(span: &tracing::Span, headers: &axum::http::HeaderMap) {
    #[cfg(feature = "otlp")]
    traces::adopt(span, headers);
    #[cfg(not(feature = "otlp"))]
    let _ = (span, headers);
}

#[cfg(feature = "otlp")]
mod traces {
    use opentelemetry::propagation::{Extractor, TextMapPropagator};
    use opentelemetry::trace::TracerProvider;
    use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::propagation::TraceContextPropagator;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing::Subscriber;
    use tracing_opentelemetry::OpenTelemetrySpanExt;
    use tracing_subscriber::Layer;
    use tracing_subscriber::registry::LookupSpan;

    struct Headers<'a>(&'a axum::http::HeaderMap);

    impl Extractor for Headers<'_> {
        fn get(&self, name: &str) -> Option<&str> {
            self.0.get(name).and_then(|value| value.to_str().ok())
        }

        fn keys(&self) -> Vec<&str> {
            self.0.keys().map(|name| name.as_str()).collect()
        }
    }

    pub(super) fn adopt(span: &tracing::Span, headers: &axum::http::HeaderMap) {
        if headers.contains_key("traceparent") {
            let caller = TraceContextPropagator::new().extract(&Headers(headers));
            // Only an error if no traces are sent.
            let _ = span.set_parent(caller);
        }
    }

    /// Sends traces to a collector; on drop the last ones.
    pub(super) struct Sender(SdkTracerProvider);

    impl Drop for Sender {
        fn drop(&mut self) {
            if let Err(error) = self.0.shutdown() {
                eprintln!("maoocr: the last traces were not sent: {error}");
            }
        }
    }

    /// What collects traces for the collector at this address, and what sends them.
    pub(super) fn send_to<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(
        address: &str,
    ) -> Result<(impl Layer<S>, Sender), ExporterBuildError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(format!("{}/v1/traces", address.trim_end_matches('/')))
            .build()?;
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder().with_service_name("maoocr").build())
            .with_batch_exporter(exporter)
            .build();
        let layer = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("maoocr"))
            .with_filter(tracing_subscriber::filter::LevelFilter::INFO);
        Ok((layer, Sender(provider)))
    }
}
