//! Alone in its process, whose memory it watches.

#![cfg(target_os = "linux")]

use std::time::Duration;

use maoocr_server::metrics::tend;
use metrics::histogram;
use metrics_exporter_prometheus::PrometheusBuilder;

/// Resident memory of this process, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4096
}

#[tokio::test]
async fn histograms_do_not_grow_when_nobody_scrapes() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let tending = tokio::spawn(tend(handle, Duration::from_millis(1)));
    let before = resident();
    metrics::with_local_recorder(&recorder, || histogram!("x").record(0.0));
    for _ in 0..200 {
        metrics::with_local_recorder(&recorder, || {
            for value in 0..20_000 {
                histogram!("x").record(f64::from(value));
            }
        });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let grown = resident().saturating_sub(before);
    tending.abort();
    assert!(grown < 16 << 20, "{grown}");
}
