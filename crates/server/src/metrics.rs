//! The metrics and their names for Prometheus.

use std::time::Duration;

use maoocr_engine::answer::Answer;
use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

const REQUESTS: &str = "maoocr_http_requests_total";
const REQUEST_SECONDS: &str = "maoocr_http_request_seconds";
const PROBLEMS: &str = "maoocr_problems_total";
const PICTURES: &str = "maoocr_pictures_total";
const STAGE_SECONDS: &str = "maoocr_stage_seconds";
const PICTURE_SECONDS: &str = "maoocr_picture_seconds";
const MODEL_USES: &str = "maoocr_model_uses_total";
const MODEL_BYTES: &str = "maoocr_models_loaded_bytes";
const QUEUE: &str = "maoocr_queue_depth";
const BUSY: &str = "maoocr_workers_busy";
const WORKERS: &str = "maoocr_workers";
const BACKLOG: &str = "maoocr_jobs_backlog";
const DATABASE: &str = "maoocr_database_up";
const BATCH: &str = "maoocr_batch_size";
const VISION: &str = "maoocr_vision_total";
const VISION_SECONDS: &str = "maoocr_vision_seconds";
const VISION_TOKENS: &str = "maoocr_vision_tokens_total";
const VISION_UP: &str = "maoocr_vision_up";
const CACHE: &str = "maoocr_cache_total";
const WEBHOOKS: &str = "maoocr_webhooks_total";
const CONNECTIONS: &str = "maoocr_websockets";

/// Installs the recorder, once per process.
///
/// # Errors
/// A recorder is already installed.
pub fn install() -> Result<PrometheusHandle, BuildError> {
    let seconds = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    ];
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &seconds)?
        .set_buckets_for_metric(
            Matcher::Full(BATCH.into()),
            &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0],
        )?
        .install_recorder()?;
    describe_counter!(REQUESTS, "Requests by route, method and status");
    describe_histogram!(
        REQUEST_SECONDS,
        Unit::Seconds,
        "Time from request headers to response headers, by route"
    );
    describe_counter!(PROBLEMS, "Problem documents by code: rejections and errors");
    describe_counter!(PICTURES, "Pictures by outcome: read, failed, stopped");
    describe_histogram!(
        PICTURE_SECONDS,
        Unit::Seconds,
        "Time per picture from bytes to text, excluding waiting"
    );
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "Time per page in each stage");
    describe_counter!(MODEL_USES, "Pages read, by model");
    describe_gauge!(MODEL_BYTES, Unit::Bytes, "Size of the loaded models' files");
    describe_gauge!(QUEUE, "Pictures waiting for a thread");
    describe_gauge!(BUSY, "Busy threads");
    describe_gauge!(WORKERS, "All threads");
    describe_gauge!(BACKLOG, "Waiting pictures of jobs, across all replicas");
    describe_gauge!(DATABASE, "Whether the database responds");
    describe_histogram!(BATCH, "Lines recognised per run on a batching device");
    describe_counter!(
        VISION,
        "Pages that a vision model was to read: read, or why they were read without it"
    );
    describe_histogram!(
        VISION_SECONDS,
        Unit::Seconds,
        "Time per page that was spent on the vision model"
    );
    describe_counter!(
        VISION_TOKENS,
        "Tokens of the vision model: prompt, completion"
    );
    describe_gauge!(VISION_UP, "Whether the vision model is asked");
    describe_counter!(CACHE, "Lookups in the result cache: hit, miss");
    describe_counter!(
        WEBHOOKS,
        "Attempts to deliver webhooks, by outcome: delivered, failed, given_up"
    );
    describe_gauge!(CONNECTIONS, "Open WebSockets");
    metrics_process::Collector::default().describe();
    Ok(handle)
}

/// Condenses what the histograms were given, which otherwise only a scrape does: without one they would grow for ever.
pub async fn tend(recorder: PrometheusHandle, every: Duration) {
    let mut pause = tokio::time::interval(every);
    loop {
        pause.tick().await;
        recorder.run_upkeep();
    }
}

/// Counts the lines in one run.
pub fn batch(lines: usize) {
    histogram!(BATCH).record(lines as f64);
}

/// Counts a request and its answer.
pub fn request(route: String, method: &str, status: u16, took: Duration) {
    histogram!(REQUEST_SECONDS, "route" => route.clone()).record(took);
    let labels = [
        ("route", route),
        ("method", method.to_string()),
        ("status", status.to_string()),
    ];
    counter!(REQUESTS, &labels).increment(1);
}

/// Counts a problem document.
pub fn problem(code: &'static str) {
    counter!(PROBLEMS, "code" => code).increment(1);
}

/// Counts a finished picture.
pub fn picture(outcome: &'static str) {
    counter!(PICTURES, "outcome" => outcome).increment(1);
}

/// Counts the pages of a file that was read.
pub fn pages<'a>(pages: impl Iterator<Item = &'a Answer>) {
    picture("read");
    let mut total = 0.0;
    for page in pages {
        total += page.processing_time;
        for (stage, seconds) in &page.timings {
            histogram!(STAGE_SECONDS, "stage" => *stage).record(*seconds);
        }
        for model in &page.selected_models {
            counter!(MODEL_USES, "model" => model.clone()).increment(1);
        }
    }
    histogram!(PICTURE_SECONDS).record(total);
}

/// Counts a lookup in the result cache.
pub fn cache(hit: bool) {
    counter!(CACHE, "result" => if hit { "hit" } else { "miss" }).increment(1);
}

/// Counts a page that a vision model was to read.
pub fn vision(outcome: &'static str, seconds: f64) {
    counter!(VISION, "outcome" => outcome).increment(1);
    histogram!(VISION_SECONDS).record(seconds);
}

/// Counts tokens of a vision model.
pub fn vision_tokens(prompt: u64, completion: u64) {
    counter!(VISION_TOKENS, "kind" => "prompt").increment(prompt);
    counter!(VISION_TOKENS, "kind" => "completion").increment(completion);
}

/// Records whether the vision model is asked.
pub fn vision_works(works: bool) {
    gauge!(VISION_UP).set(f64::from(u8::from(works)));
}

/// Counts a try to tell of a job's end.
pub fn webhook(outcome: &'static str) {
    counter!(WEBHOOKS, "outcome" => outcome).increment(1);
}

/// Counts an opened or closed WebSocket.
pub fn websocket(opened: bool) {
    let open = gauge!(CONNECTIONS);
    if opened {
        open.increment(1.0);
    } else {
        open.decrement(1.0);
    }
}

/// Records whether the database responds.
pub fn database(responds: bool) {
    gauge!(DATABASE).set(f64::from(u8::from(responds)));
}

/// Records the current state of the pool and the models.
pub fn state(load: crate::pool::Load, workers: usize, model_bytes: u64, backlog: Option<u64>) {
    gauge!(QUEUE).set(load.waiting as f64);
    gauge!(BUSY).set(load.busy as f64);
    gauge!(WORKERS).set(workers as f64);
    gauge!(MODEL_BYTES).set(model_bytes as f64);
    if let Some(backlog) = backlog {
        gauge!(BACKLOG).set(backlog as f64);
    }
    metrics_process::Collector::default().collect();
}
