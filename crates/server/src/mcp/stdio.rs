//! `maoocr mcp`: the protocol over standard input and output, for the user of this machine.

use std::sync::Arc;

use maoocr_models::Store as Files;
use rmcp::ServiceExt;
use rmcp::transport::stdio_pipes;

use super::Handler;
use crate::auth::Caller;
use crate::config::Config;
use crate::serve::{self, ServeError};

/// Answers what arrives on standard input until it ends. The log goes to standard error.
///
/// # Errors
/// The configuration, the device or the database can't be used.
pub fn serve(config: Config, files: Files) -> Result<(), ServeError> {
    let (_telemetry, runtime) = serve::prepare(&config)?;
    let served = runtime.block_on(async {
        let app = Arc::new(serve::make(config, files).await?);
        let handler = Handler {
            app: app.clone(),
            user: Some(Caller::local()),
        };
        let ended = match handler.serve(stdio_pipes()).await {
            Ok(service) => service
                .waiting()
                .await
                .map(drop)
                .map_err(std::io::Error::other),
            // Whoever hangs up before saying anything wants nothing.
            Err(error) => {
                tracing::info!(%error, "no conversation began");
                Ok(())
            }
        };
        app.stopping.cancel();
        let _ = tokio::task::spawn_blocking(move || app.pool.close()).await;
        ended.map_err(ServeError::System)
    });
    // Standard input can't be given up while it is read.
    runtime.shutdown_background();
    served
}
