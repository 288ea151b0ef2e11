//! Deletes what was kept for long enough.

use std::sync::Arc;
use std::time::Duration;

use crate::app::App;

/// Deletes expired data, now and then every hour; nonces every minute.
pub async fn retain(app: Arc<App>) {
    const DAY: i64 = 86_400_000;
    for minute in 0u64.. {
        let now = crate::auth::now();
        if let Err(error) = app.store.forget_nonces().await {
            tracing::warn!(%error, "could not delete expired nonces");
        }
        if minute % 60 == 0 {
            let before = |days: u32| (days > 0).then(|| now - i64::from(days) * DAY);
            let entries = before(app.config.keep_history);
            let jobs = before(app.config.keep_jobs);
            match app.store.purge(entries, jobs, now - DAY).await {
                Ok(purged) if purged.jobs + purged.entries > 0 => {
                    tracing::info!(
                        jobs = purged.jobs,
                        entries = purged.entries,
                        "deleted what was too old"
                    );
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(%error, "could not delete expired data"),
            }
        }
        match app.store.purge_files().await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "deleted what was too old"),
            Err(error) => tracing::warn!(%error, "could not delete expired files"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(60)) => {}
            () = app.stopping.cancelled() => return,
        }
    }
}
